"""Covers and the check of one piece, against fractions, linear programs and known maxima."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from flint import arb, ctx
from scipy.optimize import linprog

from sailtheory import PreferenceProblem
from sailtheory.certificates.branch import Planner, Statement
from sailtheory.certificates.certificate import WitnessPoint
from sailtheory.certificates.cover import CHUNK, Box, Checker, leaves, root
from sailtheory.certificates.region import Region, ball, region
from sailtheory.certificates.replay import negative
from sailtheory.numeric.numbers import arb_numbers
from sailtheory.objectives.sail import fisher as fisher_of
from tests.certificates.test_bounds import random_problem


@pytest.fixture(autouse=True)
def precision():
    with ctx.workprec(96):
        yield


def checker(r, radius=1.0):
    """One on a ball of this radius in R^r."""
    rng, reference = np.random.default_rng(r), [0] * r
    problem = random_problem(rng, d=r, m=r + 2, n=1, radius=radius, ref_params=reference)
    return Checker(region(problem), arb(1), arb(0))


def boxes(r, count, seed=0):
    """Dyadic boxes in [−1, 1]^r, some beyond the ball, some across its sphere."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        box = root(r)
        for _ in range(int(rng.integers(0, 4 * r))):
            box = box.halves(int(rng.integers(r)))[int(rng.integers(2))]
        yield box


def exact(value):
    """The upper end of a ball as a fraction."""
    mantissa, exponent = (int(part) for part in arb(value).upper().man_exp())
    return Fraction(mantissa) * Fraction(2) ** exponent


# --- trees -------------------------------------------------------------------------------------


def test_the_leaves_of_a_tree():
    found = [(i, *map(tuple, box)) for i, box in leaves("ab..a..", root(2))]
    assert found == [
        (2, (-1, -1), (0, 0)), (3, (-1, 0), (0, 1)), (5, (0, -1), (0.5, 1)), (6, (0.5, -1), (1, 1)),
    ]  # fmt: skip
    below, above = root(3).halves(1)
    assert below.upper.tolist() == [1, 0, 1] and above.lower.tolist() == [-1, 0, -1]
    assert root(3).lower.tolist() == [-1, -1, -1] and root(3).upper.tolist() == [1, 1, 1]
    assert below.lower.tolist() == [-1, -1, -1] and above.upper.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "word, reason",
    [
        ("..", "1 letters after the end"),
        (".....", "4 letters after the end"),
        ("a.", "1 boxes missing"),
        ("aaa", "4 boxes missing"),
        ("ac..", "'c' at 1 names no coordinate"),
        ("A..", "'A' at 0 names no coordinate"),
        ("a" * 60 + "." * 61, "the box at 54 is below the resolution"),
    ],
)
def test_words_that_are_no_tree(word, reason):
    with pytest.raises(ValueError, match=reason):
        list(leaves(word, root(2)))


# --- box ∩ ball ---------------------------------------------------------------------------------


@pytest.mark.parametrize("radius", [1.0, 0.6, 1e-30])
@pytest.mark.parametrize("r", [1, 2, 3])
def test_the_part_of_a_box_in_the_ball_is_bounded(r, radius):
    """Side i reaches to where the others are nearest to 0, rounded outwards by an ulp."""
    made = checker(r, radius)
    radius = float(made._radius)  # B rounded up
    for box in boxes(r, 60):
        low, high = ([Fraction(float(v)) * Fraction(radius) for v in end] for end in box)
        near = [max(a, -b, Fraction(0)) ** 2 for a, b in zip(low, high, strict=True)]
        sides = made._contracted(box)
        if sum(near) > Fraction(radius) ** 2:
            assert sides is None
            continue
        for i, (a, b) in enumerate(sides):
            rest = Fraction(radius) ** 2 - (sum(near) - near[i])
            for end, limit, found in ((low[i], -1, -exact(-a)), (high[i], 1, exact(b))):
                if (limit * end) ** 2 <= rest or limit * end < 0:
                    assert abs(found - end) <= 2**-90 * abs(end) and limit * (found - end) >= 0
                else:
                    assert rest <= found**2 <= rest * (1 + Fraction(1, 2**90))
                    assert limit * found > 0


@pytest.mark.parametrize("r", [1, 2, 3])
def test_the_polytope_is_that_of_a_linear_program(r):
    """Its vertices are those of the box cut by xᵀy ≤ R‖x‖, in every direction."""
    made, rng = checker(r), np.random.default_rng(1)
    for box in boxes(r, 12, seed=2):
        if made._contracted(box) is None:
            continue
        x = (box.lower + box.upper) / 2
        half = (box.upper - box.lower) / 2
        balls = arb_numbers().asarray(x), arb_numbers().asarray(half)
        steps = np.array([step.astype(float) for step in made._vertices(*balls)])
        limit = np.linalg.norm(x) * (1 - np.linalg.norm(x))
        for direction in rng.normal(size=(4, r)):
            best = linprog(
                -direction, A_ub=[x], b_ub=[limit], bounds=list(zip(-half, half, strict=True))
            )
            assert best.status in (0, 2)
            if best.status == 2:  # the half-space keeps nothing
                assert not len(steps)
                break
            assert (steps @ direction).max() == pytest.approx(-best.fun, rel=1e-9, abs=1e-12)


def test_a_half_space_that_keeps_nothing():
    """A corner beyond the ball, though each of its sides meets it."""
    made = checker(2)
    x, half = arb_numbers().asarray([0.9, 0.9]), arb_numbers().asarray([0.01, 0.01])
    assert list(made._vertices(x, half)) == []
    assert made._positive(x, half, np.array([[[arb(-1)] * 2] * 2] * 3))


def test_an_affine_matrix_is_checked_at_every_vertex():
    """M_0 + δ_1M_1 + δ_2M_2 on a box in the middle, whose corners alone decide."""
    made, xp = checker(2), arb_numbers()
    x, half = xp.asarray([0.0, 0.0]), xp.asarray([0.25, 0.5])
    identity, turn = np.eye(2), np.array([[0.0, 1], [1, 0]])
    for first, second, holds in (
        (0, 0, True), (3.9, 0, True), (4, 0, False), (-4, 0, False), (0, 1.9, True),
        (0, 2, False), (0, -2, False), (1.9, 1, True), (2, 1, False), (2, -1, False),
    ):  # fmt: skip
        assert made._positive(x, half, xp.asarray([identity, first * turn, 0 * turn])) is (
            abs(first) < 4
        )
        bound = xp.asarray([identity, first * turn, second * turn])
        assert made._positive(x, half, bound) is holds
    assert not made._positive(x, half, xp.asarray([0 * identity, turn, turn]))


# --- the whole domain ----------------------------------------------------------------------------


def tie(**changes):
    """Two responses that tie: J''/F rises from the centre to both ends of C = [−2, 2]."""
    data = {
        "features": [[[0], [1]]], "preferences": [[[0.5, 0.5], [0.5, 0.5]]],
        "beta": 0.5, "radius": 2,
    }  # fmt: skip
    return PreferenceProblem(**(data | changes))


def ratio(problem, x):
    """J''/F at x, to 1e-20: where the sign of the quadratic form turns."""
    low, high, found = Fraction(-5), Fraction(5), region(problem)
    point = WitnessPoint(np.array([x]), np.ones(1))
    while high - low > Fraction(1, 10**20):
        middle = (low + high) / 2
        low, high = (middle, high) if negative(found, point, middle, Fraction(0)) else (low, middle)
    return low


@pytest.mark.parametrize("end", [-1, 1])
def test_the_ends_of_the_domain_belong_to_it(end):
    """Between the values at .99 B and at B nothing is shown of a piece that ends at B."""
    problem = tie()
    found, inner, outer = region(problem), ratio(problem, 1.98 * end), ratio(problem, 2.0 * end)
    assert inner < outer
    pieces = [root(1)]
    for _ in range(12):
        pieces.append(pieces[-1].halves(0)[(1 + end) // 2])
    for level in ((inner + outer) / 2, outer * (1 - Fraction(1, 10**12))):
        made = Checker(found, ball(level), arb(0))
        assert made.each_holds(pieces) == [False] * len(pieces)
    above = Checker(found, ball(outer * Fraction(1001, 1000)), arb(0))
    assert above.each_holds(pieces[-2:]) == [True, True]
    assert above.holds(pieces[5].halves(0)[(1 - end) // 2])


def test_a_modulus_is_taken_off():
    """At γ: γF − J'' − μ > 0 up to the smallest value on C, which is at an end."""
    problem = tie(radius=0.5)
    found, level = region(problem), Fraction(1)
    theta = np.array([0.5])
    fisher = Fraction(float(fisher_of(problem, theta)[0, 0]))
    least = (level - ratio(problem, 0.5)) * fisher
    pieces = [Box(np.array([a]), np.array([a + 1 / 64])) for a in np.arange(-1, 1, 1 / 64)]
    for share, holds in ((Fraction(0), True), (Fraction(9, 10), True), (Fraction(101, 100), False)):
        checker_ = Checker(found, ball(level), ball(least * share))
        assert checker_.each_holds(pieces) == [True] * 127 + [holds] or share > 1
        assert checker_.holds(pieces[-1]) is holds
    piece = root(1)
    for _ in range(10):
        piece = piece.halves(0)[1]
    assert not Checker(found, ball(level), ball(least * Fraction(1001, 1000))).holds(piece)


def test_a_region_in_other_coordinates_is_the_same_domain():
    """θ = c + 2x on ‖x‖ ≤ B/2: the same pieces hold."""
    problem = tie()
    plain = region(problem)
    doubled = Region(problem, 2 * plain.basis, 2.0)
    level = ball(ratio(problem, 2.0) * Fraction(101, 100))
    for word in ("a..", "aa..a.."):
        pieces = [box for _, box in leaves(word, root(1))]
        inner = [Box(box.lower / 2, box.upper / 2) for box in pieces]
        first = Checker(plain, level, arb(0)).each_holds(pieces)
        assert Checker(doubled, level, arb(0)).each_holds(inner) == first


# --- what float64 plans ---------------------------------------------------------------------------


@pytest.mark.parametrize("r", [1, 2, 3])
def test_the_planner_sees_what_the_checker_sees(r):
    """The same parts of boxes, the same polytopes, the same answers."""
    problem = random_problem(np.random.default_rng(3), d=r, m=4, n=2)
    found = region(problem)
    accepted = []
    for level in (Fraction(0), Fraction(1, 8), Fraction(1)):
        planner = Planner(Statement(found, level, Fraction(1, 100)))
        made = Checker(found, ball(level), arb("0.01"))
        some = list(boxes(r, 15, seed=5))
        lower, upper = (np.array([box[i] for box in some]) for i in (0, 1))
        x, half, meets = planner.contracted(lower, upper)
        steps, used = planner._vertices(x, half)
        good = planner.accepts(x, half)
        for i, box in enumerate(some):
            sides = made._contracted(box)
            assert (sides is not None) == meets[i]
            if sides is None:
                continue
            ends = np.array([[float(a), float(b)] for a, b in sides])
            np.testing.assert_allclose(x[i], ends.mean(1), atol=1e-15)
            np.testing.assert_allclose(half[i], (ends[:, 1] - ends[:, 0]) / 2, atol=1e-15)
            balls = arb_numbers().asarray(x[i]), arb_numbers().asarray(half[i])
            exact_ = np.array([step.astype(float) for step in made._vertices(*balls)])
            near = np.abs(steps[i][used[i]][:, None] - exact_).max(-1)
            assert used[i].sum() == len(exact_) and (near.min(0) < 1e-12).all()
            accepted.append(bool(good[i]))
            assert made.holds(box) == good[i]
    assert set(accepted) == {True, False}


def test_pieces_beyond_one_chunk():
    assert CHUNK > 1
    made = checker(2)
    some = list(boxes(2, 2 * CHUNK + 1, seed=7))
    assert made.each_holds(some) == [made.holds(box) for box in some]


def test_vertices_of_the_planner_are_corners_and_cuts():
    problem = random_problem(np.random.default_rng(3), d=2, m=4, n=2)
    planner = Planner(Statement(region(problem), Fraction(1)))
    steps, used = planner._vertices(np.array([[0.0, 0.0]]), np.array([[0.25, 0.5]]))
    corners = {tuple(step) for step in steps[0][used[0]]}
    assert corners == set(product((-0.25, 0.25), (-0.5, 0.5)))
