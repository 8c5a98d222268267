"""``discover``: the constants of C35 are found again, extremal problems load, forms are refused."""

from __future__ import annotations

import numpy as np
import pytest

from sailtheory.analysis.discover import discover
from sailtheory.errors import InputError
from sailtheory.objectives.payoff import PayoffObjective
from sailtheory.objectives.registry import payoff_of
from sailtheory.objectives.sail import KLRefPolicy
from sailtheory.problem.problem_file import loads


@pytest.fixture(scope="module")
def found():
    return discover(payoff_of("exponential"), "a*exp(Z) + b", [1.0], [1.0])


def test_the_exponential_reaches_its_constant(found):
    """K = 1 + e^Z at β = 1."""
    (cell,) = found.cells
    assert 0.99 * (1 + np.e) < cell.found <= cell.proved * (1 + 1e-5) and cell.tight
    assert cell.proved == pytest.approx(1 + np.e, rel=0.02)
    total = found.searched["a"] * np.e + found.searched["b"]
    assert total == pytest.approx(cell.found, rel=1e-6)


def test_its_extremal_problem_shows_it(found):
    entry = found.as_dict()["cells"][0]
    problem, theta = loads(entry["problem"]), np.array(entry["theta"])
    objective, v = PayoffObjective(problem, payoff_of("exponential")), np.array([0.0, 1.0])
    shown = objective.curvature(theta, v) / KLRefPolicy(problem).curvature(theta, v)
    assert shown == pytest.approx(entry["found"], rel=1e-6)
    assert problem.z_max_above < 1 + 1e-4


@pytest.mark.parametrize(
    ("form", "words"),
    [("a*b*Z", "linear"), ("a**2*Z", "linear"), ("Z + beta", "constants among"),
     ("e*Z", "not allowed"), ("0 - a*Z", "finite constants")],
)  # fmt: skip
def test_forms_that_are_refused(form, words):
    with pytest.raises(InputError, match=words):
        discover(payoff_of("sail"), form, [1.0], [0.5])
