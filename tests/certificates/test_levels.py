"""What a search and a cover are made into: levels, verdicts, notes. Search and cover are stubs."""

from __future__ import annotations

import time
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from sailtheory import InputError, examples
from sailtheory.certificates import (
    Budget,
    certify,
    certify_concave,
    certify_gamma,
    certify_pl,
    replay,
)
from sailtheory.certificates.refine import refine
from sailtheory.certificates.region import region
from sailtheory.certificates.saved import Cover
from sailtheory.objectives.sail import fisher as fisher_of
from tests.certificates.test_forged import EXACT, STOPS, WINNER

WORST, HIGHEST = -0.882156, 0.11890782697874
"""Where J''/F of that problem is largest, and γ*, from a grid of 2,000,001 points."""


@pytest.fixture
def search(monkeypatch):
    """Points that the search finds, one a call; the last again and again."""
    points = [WORST]

    def found(*_):
        theta = np.array([points.pop(0) if len(points) > 1 else points[0]])
        return SimpleNamespace(theta=theta, value=search.value)

    search = SimpleNamespace(points=points, value=-0.01)
    monkeypatch.setattr(certify, "largest_relative_curvature_on", found)
    monkeypatch.setattr(certify, "largest_curvature_on", found)
    return search


@pytest.fixture
def covers(monkeypatch):
    """What refine is asked, and what it answers instead of working."""
    asked, answers = [], []

    def refined(statement, budget):
        asked.append(statement)
        return answers.pop(0) if answers else refine(statement, budget)

    monkeypatch.setattr(certify, "refine", refined)
    return SimpleNamespace(asked=asked, answers=answers)


# --- γ* ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("tolerance", [0.1, 0.01, 1.0])
def test_the_upper_end_is_a_tolerance_above_the_lower_one(search, covers, tolerance):
    made = certify_gamma(WINNER, tolerance)
    assert made.verdict == "certified" and made.witness.x == pytest.approx([WORST])
    assert float(made.gamma) == pytest.approx(float(made.lower) * (1 + tolerance), rel=1e-15)
    assert len(covers.asked) == 1 and covers.asked[0].gamma == made.gamma
    assert covers.asked[0].modulus == 0 and covers.asked[0].bits == made.bits == 96
    assert made.modulus == 0 and made.note == "" and made.seconds > 0
    assert replay(made).valid and float(made.lower) == pytest.approx(HIGHEST, rel=1e-11)


def test_a_lower_end_that_was_too_low_is_raised(search, covers):
    """The search begins at θ_ref; a point against the first level starts it again."""
    search.points[:] = [0.0, WORST]
    made = certify_gamma(WINNER, 0.01)
    levels = [float(statement.gamma) for statement in covers.asked]
    assert levels == pytest.approx([float(EXACT) * 1.01, float(made.lower) * 1.01], rel=1e-9)
    assert made.verdict == "certified" and replay(made).valid and made.lower > EXACT


def test_a_lower_end_that_cannot_be_raised_ends_undecided(search, covers):
    search.points[:] = [0.0]
    made = certify_gamma(WINNER, 0.01)
    assert made.verdict == "undecided" and replay(made).valid
    assert float(made.lower) == pytest.approx(float(EXACT), rel=1e-9) and made.witness.x == [0]
    assert len(covers.asked) == 6 and made.gamma == covers.asked[4].gamma  # twice the lower end
    assert made.note == "the enclosure is wider than asked: float64 cannot tell a sign"


def test_wide_levels_are_tried_from_the_top(search, covers):
    """15, 7, 3, 1 and .3 times γ* above it, as long as there is time; the best is kept."""
    covers.answers += [Cover("a?."), *[Cover("a..")] * 3, Cover("a.?")]
    made = certify_gamma(WINNER, 0.01)
    ratios = [float(statement.gamma / made.lower) for statement in covers.asked]
    assert ratios == pytest.approx([1.01, 16, 8, 4, 2], rel=1e-12)
    assert made.gamma == covers.asked[3].gamma and made.cover == "a.."
    assert made.verdict == "undecided" and made.note.endswith("wider than asked: time ran out")
    covers.asked.clear()
    covers.answers += [Cover("a?.", stuck=True), *[Cover("a..")] * 5]
    made = certify_gamma(WINNER, 0.01)
    assert float(covers.asked[-1].gamma / made.lower) == pytest.approx(1.3, rel=1e-12)
    assert len(covers.asked) == 6 and made.gamma == covers.asked[-1].gamma
    assert made.note.endswith("wider than asked: float64 cannot tell a sign")


def test_no_level_narrower_than_asked_is_tried(search, covers):
    covers.answers += [Cover("?"), *[Cover("a..")] * 3]
    made = certify_gamma(WINNER, 1.0)
    ratios = [float(statement.gamma / made.lower) for statement in covers.asked]
    assert ratios == pytest.approx([2, 16, 8, 4], rel=1e-12)


def test_a_share_of_the_time_goes_to_the_width_asked_for(search, monkeypatch):
    left = []

    def spend(statement, budget):
        left.append(budget.left)
        return Cover("?")

    monkeypatch.setattr(certify, "refine", spend)
    certify_gamma(WINNER, 0.01, Budget(time.monotonic() + 10_000))
    assert len(left) == 2 and 5_900 < left[0] <= 6_000 and 9_900 < left[1] <= 10_000


# --- concavity --------------------------------------------------------------------------------


def test_a_point_of_the_search_refutes(search, covers):
    made = certify_concave(WINNER, 0.1)
    assert made.verdict == "refuted" and made.witness.x == pytest.approx([WORST])
    assert made.gamma == Fraction(1, 10) and made.cover is None and not covers.asked
    assert replay(made).valid


def test_a_point_of_the_cover_refutes_what_the_search_missed(search, covers):
    search.points[:] = [0.9]
    made = certify_concave(WINNER, 0.1)
    assert made.verdict == "refuted" and len(covers.asked) == 1 and replay(made).valid
    assert made.witness.x == refine(covers.asked[0], Budget()).against


@pytest.mark.parametrize(
    "cover, note",
    [
        (Cover("a.?"), "1 pieces remain open (time)"),
        (Cover("a??"), "2 pieces remain open (time)"),
        (Cover("?", stuck=True), "1 pieces remain open (a sign that float64 cannot tell)"),
        (Cover("?", np.zeros(1)), "1 pieces remain open (a sign that float64 cannot tell)"),
    ],
)
def test_what_is_not_settled_is_undecided(search, covers, cover, note):
    covers.answers.append(cover)
    made = certify_concave(WINNER, 1)
    assert (made.verdict, made.note, made.cover) == ("undecided", note, cover.word)


def test_a_complete_cover_certifies(search, covers):
    made = certify_concave(WINNER, Fraction(1, 3))
    assert made.verdict == "certified" and made.gamma == Fraction(1, 3) and made.note == ""
    assert covers.asked[0].gamma == Fraction(1, 3) and replay(made).valid


# --- PL ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("tolerance", [0.01, 0.25])
def test_a_modulus_is_a_tolerance_below_the_one_found(search, covers, tolerance):
    search.value = -0.05
    made = certify_pl(WINNER, 1, tolerance)
    assert made.verdict == "certified" and made.modulus == covers.asked[0].modulus
    assert made.modulus == Fraction(0.05 * (1 - tolerance)) and replay(made).valid


def test_a_modulus_that_was_overrated_is_undecided(search, covers):
    search.value = -10.0
    made = certify_pl(WINNER, 1)
    assert (made.verdict, made.note, made.witness) == (
        "undecided", "μ was overrated by search", None,
    )  # fmt: skip
    assert replay(made).valid and not covers.asked


@pytest.mark.parametrize("value", [0.0, 1e-9])
def test_without_strong_concavity_a_stop_is_looked_for(search, monkeypatch, value):
    search.value = value
    problem, gamma, stop = STOPS["interior"]
    monkeypatch.setattr(certify, "spurious_stop", lambda *_: stop)
    monkeypatch.setattr(certify, "largest_relative_curvature_on", None)
    made = certify_pl(problem, gamma)
    assert made.verdict == "refuted" and made.witness is stop and replay(made).valid
    assert made.note.startswith("an interior stationary point")
    monkeypatch.setattr(certify, "spurious_stop", lambda *_: None)
    made = certify_pl(problem, gamma)
    assert made.verdict == "undecided" and made.note.endswith("no spurious stop was found")
    made = certify_pl(problem, gamma, budget=Budget(time.monotonic() - 1))
    assert made.note.endswith("no spurious stop was found before time ran out")


# --- what cannot be done, and what need not ---------------------------------------------------


@pytest.mark.parametrize("error", [np.linalg.LinAlgError, OverflowError])
def test_numbers_beyond_float64_leave_the_question_open(monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(certify, "largest_relative_curvature_on", fail)
    for made in (certify_gamma(WINNER), certify_concave(WINNER, 1)):
        assert made.verdict == "undecided" and "float64" in made.note and replay(made).valid
        assert made.cover is None and made.gamma == (None if made.kind == "gamma" else 1)


def test_where_nothing_moves_nothing_is_searched(monkeypatch):
    monkeypatch.setattr(certify, "largest_relative_curvature_on", None)
    monkeypatch.setattr(certify, "largest_curvature_on", None)
    still = WINNER.replace(features=[[[1], [1], [1]]])
    for made in (certify_gamma(still), certify_concave(still, 2), certify_pl(still, 2)):
        assert made.verdict == "certified" and made.note.startswith("S = {0}")
        assert made.gamma == (None if made.kind == "gamma" else 2) and replay(made).valid
    point = certify_pl(WINNER.replace(radius=0), 2)
    assert point.verdict == "certified" and point.note.startswith("B = 0") and replay(point).valid


@pytest.mark.parametrize("value", [1e-12, 0.5, 1, 1.0])
def test_tolerances(value):
    assert certify._tolerance(value) == value


@pytest.mark.parametrize("value", [0.99e-12, 1.001, -0.1, float("nan"), float("inf"), "1", True])
def test_tolerances_that_are_none(value):
    for run in (lambda: certify_gamma(WINNER, value), lambda: certify_pl(WINNER, 1, value)):
        with pytest.raises(InputError, match="tol = "):
            run()


def test_levels():
    assert certify._level(0) == 0 and certify._level("1/3") == Fraction(1, 3)
    for run in (certify_concave, certify_pl):
        for value in (-1, Fraction(-1, 10**9), float("nan"), "x"):
            with pytest.raises(InputError, match="gamma = "):
                run(WINNER, value)


def test_the_direction_is_the_worst_one():
    """In R³ beside F̄, which need not be near a multiple of the identity."""
    problem = examples.load("bradley-terry")
    made = certify._Certifier(problem, Budget())
    found = region(problem)
    point = made.near(problem.center.astype(float), Fraction(1, 5))
    from sailtheory import SAIL

    theta, basis = problem.center.astype(float), found.basis.astype(float)
    fisher = basis.T @ fisher_of(problem, theta) @ basis
    matrix = 0.2 * fisher - basis.T @ SAIL(problem).hessian(theta) @ basis
    values, vectors = np.linalg.eig(np.linalg.solve(fisher, matrix))
    worst = vectors[:, values.real.argmin()].real
    cosine = abs(worst @ point.direction) / np.linalg.norm(worst) / np.linalg.norm(point.direction)
    assert cosine == pytest.approx(1, abs=1e-9) and not point.x.any()


def test_a_lower_bound_that_does_not_replay_is_a_defect(monkeypatch):
    """A hair above the quotient the sign is the other one."""
    made = certify._Certifier(WINNER, Budget())
    assert made.lower_bound(np.array([0.0]))[0] < EXACT
    monkeypatch.setattr(certify, "float_below", lambda ball: float(ball.mid()) * (1 + 1e-14))
    with pytest.raises(ArithmeticError, match="does not replay"):
        made.lower_bound(np.array([0.0]))
