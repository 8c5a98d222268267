"""Every claim ends as it was expected to, and each of its planted falsehoods is refuted."""

from __future__ import annotations

import pytest

from proofs_check.__main__ import is_refuted
from sailtheory.verdict import Outcome, Strength, conclude
from tests.support.claims import CLAIMS, QUICK, verdict_of

PLANTED = [
    (claim.id, wrong)
    for claim in CLAIMS.values()
    for wrong in claim.planted
    if not wrong.name.startswith("hidden-")  # those need a search: test_planted.py
]
TROUBLE = ("NOT SHOWN", "not proved", "could not", " as stated")


@pytest.mark.parametrize("claim_id", CLAIMS)
def test_it_ends_as_expected_and_its_witnesses_replay(claim_id):
    claim, verdict = CLAIMS[claim_id], verdict_of(claim_id)
    assert (verdict.outcome, verdict.strength) == (claim.expected, claim.reachable)
    for evidence in verdict.evidence:
        assert not [trouble for trouble in TROUBLE if trouble in evidence.detail]
        if evidence.witness is not None:
            assert evidence.witness.replay()
            assert evidence.witness.as_dict()["problem"]


@pytest.mark.parametrize(("claim_id", "wrong"), PLANTED, ids=lambda x: getattr(x, "name", x))
def test_a_planted_falsehood_is_refuted_and_replays(claim_id, wrong):
    verdict = conclude(wrong.check(QUICK))
    assert verdict.strength is Strength.PROVED
    assert is_refuted(verdict)


def test_what_is_to_hold_has_falsehoods_with_names_of_their_own():
    for claim in CLAIMS.values():
        names = [wrong.name for wrong in claim.planted]
        enough = 3 if claim.expected is Outcome.HOLDS else 0
        assert len(names) == len(set(names)) >= enough, claim.id
