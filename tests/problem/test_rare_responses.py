"""Responses so rare that F̄ is singular in float64: resolved where it can be, and said where not."""

from __future__ import annotations

import numpy as np
import pytest

from sailtheory import BradleyTerry, InputError, PreferenceProblem
from sailtheory.analysis.check import check, theorem_threshold
from sailtheory.analysis.frontier import frontier
from sailtheory.ascent.constants import constants
from sailtheory.certificates import certify_gamma, replay
from sailtheory.landscape import Domain, gamma_star
from sailtheory.landscape.fisher import least_fisher
from sailtheory.objectives.sail import SAILRevKL
from sailtheory.plots import compute
from sailtheory.report.words import modulus, summary
from sailtheory.verdict import Outcome, Strength

ALONG = [[0, 0], [1, 0], [0, 1]]  # the rare response alone has a second coordinate
ACROSS = [[0, 0], [1, 1], [1, -1]]


def problem(features, rare):
    return PreferenceProblem(
        features=[features], preferences=[BradleyTerry([0, 1, 2])], base=[[1, 1, rare]],
        beta=0.1, radius=1,
    )  # fmt: skip


@pytest.mark.parametrize("rare", [1e-20, 1e-40, 1e-300])
def test_a_rare_response_along_a_coordinate_does_not_hide_gamma_star(rare):
    """As the response vanishes γ* tends to a limit, which float64 sees at 1e-10 as well."""
    value = gamma_star(problem(ALONG, rare)).value
    assert value == pytest.approx(gamma_star(problem(ALONG, 1e-10)).value, rel=1e-8)
    made = certify_gamma(problem(ALONG, rare), 0.01)
    assert made.verdict == "certified" and replay(made).valid
    assert float(made.lower) <= value * (1 + 1e-9) and value <= float(made.gamma)


def test_where_float64_sees_nothing_gamma_star_is_not_found():
    hidden = problem(ACROSS, 1e-40)
    assert gamma_star(hidden).value is None
    made = certify_gamma(hidden, 0.01)
    assert made.verdict == "undecided" and "float64" in made.note
    below, above = check(hidden, gamma=0.2), check(hidden, gamma=0.6)
    assert below.sail_revkl[0].outcome is Outcome.UNDECIDED  # the search supports nothing
    between = check(hidden, gamma=0.3)
    assert between.sail_revkl[0].strength is Strength.CERTIFIED  # logits alone bound ḡ (C23)
    seen = gamma_star(problem(ACROSS, 1e-10)).value
    assert between.thresholds.per_prompt == pytest.approx(seen, rel=2e-3)
    assert above.sail_revkl[0].outcome is Outcome.HOLDS  # the theorem does: γ > K_B
    assert below.thresholds.instance is None and below.as_dict()["thresholds"]["absolute"] is None
    assert "γ* was not found" in summary(below) and "γ = 0.2 is 2.4 times below" in summary(below)
    assert above.mu is None and "0 in float64" in modulus(above)
    assert [p.concave for p in frontier(hidden, count=5).points] == [None] * 5


def test_no_modulus_comes_from_an_eigenvalue_that_is_rounding():
    """λ_min(F̄(c)) ≈ 2 π₃ = 1e-40 here, where the eigenvalues of F̄ itself are off by 1e-17."""
    hidden = problem(ACROSS, 1e-40)
    assert least_fisher(Domain(hidden)) == 0.0
    assert constants(SAILRevKL(hidden, 2 * theorem_threshold(hidden))).modulus is None
    seen = problem(ACROSS, 1e-20)
    p = np.array([1.0, 1.0, 1e-20]) / (2 + 1e-20)
    exact = 4 * p.prod() / (2 * p[0] * p[1])  # det F̄ over its other eigenvalue
    assert least_fisher(Domain(seen)) == pytest.approx(exact, rel=1e-4)


def test_figures_refuse_in_one_line():
    for kind in ("thresholds", "spectra", "curvature-map", "convergence"):
        with pytest.raises(InputError, match="problem = F̄ singular"):
            compute(kind, problem(ACROSS, 1e-40), name="x")
    assert "γ_abs is left out" in compute("thresholds", problem(ALONG, 1e-40), name="x")["caption"]
