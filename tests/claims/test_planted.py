"""Planted falsehoods end refuted, some only by search; disguised truths do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from proofs_check.__main__ import is_refuted, main
from proofs_check.claims import all_claims
from proofs_check.trials import hidden
from proofs_check.trials.disguised import TRUTHS, attempt
from sailtheory.claims import Context
from sailtheory.verdict import Outcome, conclude

PLANTED = [(claim.id, falsehood) for claim in all_claims() for falsehood in claim.planted]
HIDDEN = [f for claim_id, f in PLANTED if f.name.startswith("hidden-")]


def test_there_are_enough():
    assert len(PLANTED) >= 60
    assert len({(c, f.name) for c, f in PLANTED}) == len(PLANTED)
    assert len(HIDDEN) == len(hidden.TABLE) >= 20
    assert len(TRUTHS) >= 20


@pytest.mark.parametrize("falsehood", HIDDEN, ids=lambda f: f.name)
def test_a_thousand_points_support_what_the_search_refutes(falsehood):
    evidence = list(falsehood.check(Context()))
    assert hidden.survives_sampling(evidence)
    assert is_refuted(conclude(evidence))


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda t: t.name)
def test_a_disguised_truth_is_not_refuted(truth):
    assert conclude(attempt(truth, Context())).outcome is Outcome.HOLDS


@pytest.mark.parametrize(
    "truth", [t for t in TRUTHS if t.name != "fair-ceiling"][:12], ids=lambda t: t.name
)
def test_the_same_machinery_refutes_the_truth_shifted(truth):
    wrong = replace(truth, left=lambda p, t: truth.left(p, t) + 1e-6, right=truth.left)
    verdict = conclude(attempt(wrong, Context()))
    assert is_refuted(verdict)


def test_the_command_line_ends_with_the_tally(capsys):
    assert main(["--planted", "C04", "C07"]) == 0
    last = capsys.readouterr().out.strip().splitlines()[-1]
    count = sum(claim_id in ("C04", "C07") for claim_id, _ in PLANTED)
    assert last == f"planted {count}, refuted {count}, missed 0"


def test_a_missed_falsehood_exits_1(capsys, monkeypatch):
    from proofs_check import __main__ as command

    monkeypatch.setattr(command, "is_refuted", lambda verdict: False)
    assert main(["--planted", "C21"]) == 1
    assert "missed 5" in capsys.readouterr().out
