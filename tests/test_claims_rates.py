"""C15: projected ascent's linear rate ends as expected, and its false variants refuted."""

from __future__ import annotations

import pytest

from proofs_check import c15_projected_ascent
from proofs_check.__main__ import is_refuted
from sailtheory import bounds
from sailtheory.claims import Context, run
from sailtheory.verdict import Outcome, conclude

(C15,) = c15_projected_ascent.CLAIMS


def test_verdict_and_strength():
    verdict = run(C15, Context()).verdict
    assert (verdict.outcome, verdict.strength) == (C15.expected, C15.reachable)


@pytest.mark.parametrize("falsehood", C15.planted, ids=lambda f: f.name)
def test_planted(falsehood):
    assert is_refuted(conclude(falsehood.check(Context())))


def test_a_rate_twice_too_fast_is_refuted(monkeypatch):
    right = bounds.linear_gap
    monkeypatch.setattr(bounds, "linear_gap", lambda mu, lam, t, gap: right(mu, lam, 8 * t, gap))
    assert run(C15, Context()).verdict.outcome is not Outcome.HOLDS
