"""The search: trees against a plain recursion, exact coordinates, first-order points, levels."""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np
import pytest
from flint import arb, ctx

from sailtheory import SAIL, InputError, PreferenceProblem, examples
from sailtheory.certificates.branch import Growth, Planner, Statement, grow
from sailtheory.certificates.certify import _Certifier
from sailtheory.certificates.cover import LETTERS, Checker, root
from sailtheory.certificates.pencil import Pencil, whitening
from sailtheory.certificates.refine import Budget, _open, _received, _replaced, _sent, refine
from sailtheory.certificates.region import Region, ball, region
from sailtheory.certificates.stationary import _System, kind
from sailtheory.numeric.numbers import FLOAT64, arb_numbers
from sailtheory.objectives.sail import SAILRevKL
from sailtheory.objectives.sail import fisher as fisher_of
from tests.certificates.test_bounds import random_problem

HARD = random_problem(np.random.default_rng(3), d=2, m=4, n=2)
"""γ* = 0.1711 on C."""
LEVEL = Fraction(17, 50)
FOREVER = 1e9


def statement(problem=HARD, gamma=LEVEL, modulus=0):
    return Statement(region(problem), Fraction(gamma), Fraction(modulus))


@pytest.fixture(scope="module")
def word():
    """The tree by recursion: a box is a leaf when float64 and balls agree, or halved."""
    given = statement()
    with ctx.workprec(96):
        planner = Planner(given)
        checker = Checker(given.region, ball(given.gamma), arb(0))

        def tree(box):
            x, half, meets = planner.contracted(box.lower[None], box.upper[None])
            if not meets[0] or (planner.accepts(x, half)[0] and checker.holds(box)):
                return "."
            below, above = box.halves(int((half[0] * planner._extent).argmax()))
            axis = int(np.flatnonzero(below.upper != box.upper)[0])
            return LETTERS[axis] + tree(below) + tree(above)

        return tree(root(given.region.dimension))


# --- trees --------------------------------------------------------------------------------------


def test_the_tree_is_that_of_a_plain_recursion(word):
    assert word.count(".") > 15 and {"a", "b"} < set(word)
    assert grow(statement(), [root(2)], 10**6, FOREVER) == Growth([word])
    assert refine(statement(), Budget()).word == word


def test_a_budget_of_boxes_is_kept(word):
    """A tree of k letters is looked at k times; what is not looked at stays open."""
    for most in (0, 1, 2, 7, 40, len(word) - 1, len(word)):
        (grown,) = grow(statement(), [root(2)], most, FOREVER).words
        assert len(grown) - grown.count("?") == most
    assert grown == word
    assert grow(statement(), [root(2)], 10, 0.0).words == ["?"]
    halves = list(root(2).halves(0))
    both = grow(statement(), halves, 10**6, FOREVER).words
    assert len(both) == 2


def test_a_cover_is_grown_in_the_order_of_its_leaves():
    word = "ab.?b?."
    places, boxes = _open(word, 2)
    assert places == [3, 5]
    assert [tuple(box.lower) for box in boxes] == [(-1, 0), (0, -1)]
    assert _replaced(word, places, ["a..", "."]) == "ab.a..b.."
    assert _replaced(word, places, ["a?."]) == "ab.a?.b?."
    assert _replaced(word, places, []) == word


def test_the_search_stops_at_a_point_that_refutes():
    """At a γ below what is attained; the point is the worst of the boxes looked at."""
    low = statement(gamma=Fraction(1, 20))
    found = grow(low, [root(2)], 10**6, FOREVER)
    assert found.words == ["?"] and not found.stuck and low.region.contains(found.against)
    matrix = Pencil(low.region, FLOAT64).matrix(found.against, 0.05, 0.0)
    assert np.linalg.eigvalsh(matrix)[0] < 0
    planner = Planner(low)
    grid = np.array([[0.1 * i, 0.1 * j] for i in range(-9, 10) for j in range(-9, 10)])
    values = np.linalg.eigvalsh(planner._pencil.matrix(grid, 0.05, 0.0))[:, 0]
    inside = np.array([low.region.contains(x) for x in grid])
    worst = planner.against(grid)
    assert worst.tolist() == grid[inside][values[inside].argmin()].tolist()
    assert planner.against(grid[~inside]) is None
    assert Planner(statement(gamma=5)).against(grid) is None


def test_a_box_of_no_width_is_not_halved():
    """At γ* exactly no piece that holds the worst point can be shown, nor refuted."""
    flat = PreferenceProblem(
        features=[[[0], [1]]], preferences=[[[0.5, 0.5], [0.5, 0.5]]], beta=0.5, radius=2
    )
    worst = SAIL(flat).hessian(np.array([2.0]))[0, 0] / fisher_of(flat, np.array([2.0]))[0, 0]
    found = grow(statement(flat, Fraction(float(worst))), [root(1)], 10**5, FOREVER)
    assert found.stuck and found.against is None and found.words == ["?"]
    assert refine(statement(flat, Fraction(float(worst))), Budget()).stuck  # and it ends


def test_the_longest_side_is_halved():
    """Longest in the logits: features twice as large count twice."""
    wide = HARD.replace(features=[phi * [1, 8] for phi in HARD.features])
    planner = Planner(statement(wide))
    extent = planner._extent
    expected = sum(
        ((phi[:, None] - phi) ** 2).sum((0, 1)) / 2 for phi in map(np.asarray, wide.features)
    )
    np.testing.assert_allclose(extent, np.sqrt(expected))
    assert planner.axis(np.array([[1.0, 1.0], [100.0, 1.0], [0.0, 1e-9]])).tolist() == [1, 0, 1]


def test_whitening_makes_the_fisher_matrix_the_identity():
    one = random_problem(np.random.default_rng(0), d=3, m=5, n=2)
    uneven = one.replace(features=[phi * [1e-3, 1, 40] for phi in one.features])
    found, x = region(uneven), np.array([0.1, -0.2, 0.01])
    frame = whitening(found, x)
    fisher = fisher_of(uneven, found.embed(FLOAT64, x))
    np.testing.assert_allclose(frame.T @ fisher @ frame, np.eye(3), atol=1e-9)
    # In that frame the pencil is the same matrix.
    plain_ = Pencil(found, FLOAT64).matrix(x, 0.2, 0.1)
    framed = Pencil(found, FLOAT64, frame).matrix(x, 0.2, 0.1)
    np.testing.assert_allclose(framed, frame.T @ plain_ @ frame, rtol=1e-9, atol=1e-12)
    half = np.array([1e-2, 1e-3, 1e-4])
    affine = Pencil(found, FLOAT64).affine(x, half, 0.2, 0.1)
    framed = Pencil(found, FLOAT64, frame).affine(x, half, 0.2, 0.1)
    np.testing.assert_allclose(framed, frame.T @ affine @ frame, rtol=1e-7, atol=1e-9)


def test_a_share_of_the_time_that_is_left():
    budget = Budget(time.monotonic() + 1000, jobs=3)
    part = budget.part(0.25)
    assert part.jobs == 3 and 240 < part.left < 250.1 and 990 < budget.left <= 1000
    assert Budget().part(0.5).left == float("inf")


def test_no_time_leaves_everything_open():
    assert refine(statement(), Budget(time.monotonic() - 1)).word == "?"


def test_a_statement_survives_the_way_to_another_process():
    given = statement(modulus=Fraction(1, 7))
    back = _received(_sent(given))
    assert (back.gamma, back.modulus, back.bits) == (given.gamma, given.modulus, given.bits)
    assert back.region.radius == given.region.radius
    assert (back.region.basis == given.region.basis).all()
    assert refine(back, Budget()).word == refine(given, Budget()).word


# --- exact coordinates ----------------------------------------------------------------------------


def test_coordinates_of_a_full_space_are_theta():
    moved = HARD.replace(center=[0.25, -0.5], ref_params=[0.25, -0.5])
    found = region(moved)
    assert (
        found.dimension == 2 and not found.is_point and (found.gram == np.eye(2, dtype=int)).all()
    )
    assert found.embed(FLOAT64, np.array([0.5, 0.125])).tolist() == [0.75, -0.375]
    assert Fraction(found.radius) >= Fraction(3, 5) > Fraction(np.nextafter(found.radius, 0))


def test_coordinates_of_a_smaller_space_are_nearly_orthonormal():
    tabular = examples.load("tabular")
    found = region(tabular)
    gram = found.gram.astype(float)
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-12)
    assert 1 < found.radius / float(tabular.radius) < 1 + 2e-9
    assert not found.basis.astype(float).sum(0).any()  # S is orthogonal to (1, …, 1)
    off = tabular.span.basis @ np.linalg.lstsq(tabular.span.basis, found.basis.astype(float))[0]
    np.testing.assert_allclose(off, found.basis.astype(float), atol=1e-12)


def test_points_of_c_are_decided_exactly():
    """‖Wx‖ ≤ B for W = diag(1, 2): an ellipse."""
    plane = Region(HARD, np.array([[1, 0], [0, 2]], dtype=object) * Fraction(1), 5.0)
    assert plane.contains(np.array([0.0, 0.3])) is (2 * Fraction(0.3) <= Fraction(3, 5))
    assert plane.contains(np.array([0.0, 0.25])) and not plane.contains(np.array([0.0, 0.3125]))
    assert plane.contains(np.array([0.5, 0.125])) and not plane.contains(np.array([0.5, 0.25]))


@pytest.mark.parametrize("length", [0.1, 0.599, 0.6, 0.6 + 1e-16, 0.61])
def test_a_point_is_moved_into_c_by_no_more_than_needed(length):
    found = region(HARD)
    direction = np.array([0.6, -0.8])
    x = found.inside(length * direction)
    assert found.contains(x)
    expected = min(length, 0.6)
    assert np.linalg.norm(x) == pytest.approx(expected, abs=0.02 if length > 0.6001 else 1e-12)
    if length < 0.6:
        np.testing.assert_allclose(x, length * direction, rtol=1e-14)
    inexact = found.inside(np.array([0.36, 0.48]))
    assert found.contains(inexact) and np.linalg.norm(inexact) > 0.6 - 1e-13


def test_a_rank_that_float64_misjudges_is_refused():
    near = PreferenceProblem(
        features=[[[0, 0], [1, 1], [1, 1 + 2**-50], [2, 2]]], beta=1, radius=1,
        preferences=[0.5 * np.ones((4, 4))],
    )  # fmt: skip
    assert near.span.dimension == 1
    assert region(near).dimension == 2  # every coordinate: nothing has to be decided
    features = [np.pad(near.features[0], ((0, 0), (0, 1)))]
    lifted = near.replace(features=features, center=None, ref_params=None)
    with pytest.raises(InputError, match="differences of rank 1 up to rounding, 2 exactly"):
        region(lifted)


def test_ten_dimensions_are_accepted_and_eleven_are_not():
    for d in (10, 11):
        wide = PreferenceProblem(
            features=[np.vstack([np.zeros(d), np.eye(d)])], beta=1, radius=1,
            preferences=[0.5 * np.ones((d + 1, d + 1))],
        )  # fmt: skip
        if d == 10:
            assert region(wide).dimension == 10
        else:
            with pytest.raises(InputError, match="dim S = 11"):
                region(wide)


# --- first-order points --------------------------------------------------------------------------


class Line(_System):
    """A system whose gradient is a known function of one unknown."""

    def __init__(self, gradient, slope):
        self._function, self._slope = gradient, slope
        self._gram, self.radius = arb_numbers().asarray(np.eye(1)), arb(1)

    def _gradient(self, x):
        return np.array([self._function(x[0])], dtype=object)

    def _jacobian(self, unknowns, boundary):
        return np.array([[self._slope(unknowns[0])]], dtype=object)


@pytest.mark.parametrize(
    "zero, width",
    [(0.5e-13, 1e-13), (0.99e-13, 1e-13), (1.01e-13, 1e-11), (1.9e-13, 1e-11), (0.7e-11, 1e-11),
     (1.5e-11, 1e-9), (1.9e-9, 1e-7), (0.99e-7, 1e-7), (1.01e-7, None), (1.9e-7, None)],
)  # fmt: skip
def test_a_box_is_said_to_hold_a_zero_only_if_it_does(zero, width):
    """x − a next to 0: the image of a box is the zero, and has to lie inside."""
    for sign in (-1, 1):
        system = Line(lambda x, a=sign * zero: x - arb(a), lambda x: arb(1))
        box = system.zero(np.zeros(1), False)
        if width is None:
            assert box is None
        else:
            assert float(box[0].rad()) == pytest.approx(width, rel=1e-8)
            assert box[0].contains(arb(sign * zero))


def test_the_image_grows_with_the_slope_over_the_box():
    """x + kx²: the slope over |x| ≤ w varies by 2kw, so a box holds while 2kw < 1."""
    for k, width in ((1e6, 1e-13), (0.4e13, 1e-13), (0.6e13, None)):
        system = Line(lambda x, k=k: x + k * x * x, lambda x, k=k: 1 + 2 * k * x)
        box = system.zero(np.zeros(1), False)
        assert (box is None) == (width is None)
        if width:
            assert float(box[0].rad()) == pytest.approx(width, rel=1e-8)


def test_no_zero_and_double_zeros_are_not_certain():
    assert Line(lambda x: arb(1), lambda x: arb(0)).zero(np.zeros(1), False) is None
    assert Line(lambda x: x * x, lambda x: 2 * x).zero(np.zeros(1), False) is None
    assert Line(lambda x: x * x + 1e-9, lambda x: 2 * x).zero(np.array([1e-9]), False) is None
    assert Line(lambda x: arb("nan"), lambda x: arb("nan")).zero(np.zeros(1), False) is None
    assert Line(lambda x: x, lambda x: arb(1)).zero(np.zeros(1), True) is None  # no way outward


@pytest.mark.parametrize("boundary", [False, True])
def test_first_order_conditions_and_their_jacobian(boundary):
    """g(x), or g(x) − λGx and (xᵀGx − B²)/2, by differences; J_γ by float64 objectives."""
    problem, gamma = HARD, Fraction(1, 3)
    skew = Region(problem, np.array([[1, 2], [0, 1]], dtype=object) * Fraction(1, 2), 5.0)
    x, multiplier = np.array([0.25, -0.125]), 0.75
    unknowns = np.append(x, multiplier) if boundary else x
    with ctx.workprec(200):
        system = _System(skew, gamma)
        start = arb_numbers().asarray(unknowns)
        residual = system._residual(start, boundary)
        jacobian = system._jacobian(start, boundary).astype(float)
        h = arb(2) ** -60
        for j in range(len(unknowns)):
            step = start.copy()
            step[j] = step[j] + h
            slope = ((system._residual(step, boundary) - residual) / h).astype(float)
            np.testing.assert_allclose(jacobian[:, j], slope, atol=1e-14)
        theta, w = skew.embed(FLOAT64, x), skew.basis.astype(float)
        objective = SAILRevKL(problem, 1 / 3)
        expected = w.T @ objective.gradient(theta)
        if boundary:
            expected = np.append(
                expected - multiplier * (w.T @ w) @ x, (x @ w.T @ w @ x - 0.36) / 2
            )
        np.testing.assert_allclose(residual.astype(float), expected, rtol=1e-12, atol=1e-15)
        assert float(system.value(start[:2])) == pytest.approx(objective.value(theta), rel=1e-12)
        assert float(system.square(start[:2])) == pytest.approx(x @ w.T @ w @ x)


# --- levels and bounds ----------------------------------------------------------------------------


def test_a_lower_bound_is_just_below_the_quotient():
    made = _Certifier(HARD, Budget())
    for theta in np.random.default_rng(0).uniform(-0.3, 0.3, (5, 2)):
        bound, point = made.lower_bound(theta)
        np.testing.assert_allclose(point.x, theta, atol=1e-12)
        w = region(HARD).basis.astype(float) @ point.direction
        quotient = (w @ SAIL(HARD).hessian(theta) @ w) / (w @ fisher_of(HARD, theta) @ w)
        assert float(bound) == pytest.approx(quotient, rel=1e-10, abs=1e-13)
        values = np.linalg.eigvals(
            np.linalg.solve(fisher_of(HARD, theta), SAIL(HARD).hessian(theta))
        )
        assert quotient == pytest.approx(values.real.max(), rel=1e-9)
        assert abs(point.direction).max() == 1


def test_tolerances_have_a_scale_at_zero():
    made = _Certifier(HARD, Budget())
    assert made.scale(Fraction(-3)) == 3 and made.scale(Fraction(2)) == 2
    assert made.scale(Fraction(0)) == pytest.approx(1e-3 * 0.4)


def test_kinds_of_stops_at_the_edge():
    """A better point outside C, or one that is not better, shows nothing."""
    trap = examples.load("c14-spurious-stop")
    from sailtheory.certificates.certificate import Stop

    x = np.array([-1.45276427, -1.3745821])
    with ctx.workprec(96):
        found = region(trap)
        assert kind(found, Fraction(0), Stop(x, np.array([1.675, -1.091]))) == "boundary"
        assert kind(found, Fraction(0), Stop(x, np.array([1.676, -1.1]))) is None
        assert kind(found, Fraction(0), Stop(-x, np.array([1.675, -1.091]))) is None
