"""The expansion and the remainder of certificates, against independent references."""

from __future__ import annotations

import numpy as np
import pytest
from flint import arb, ctx
from mpmath import mp

from sailtheory import PreferenceProblem, examples
from sailtheory.certificates import expansion, remainder
from sailtheory.certificates.cover import Box, Checker, root
from sailtheory.certificates.pencil import Pencil, ball_pencil
from sailtheory.certificates.positive import positive_definite
from sailtheory.certificates.region import Region, region, valid
from sailtheory.numeric import layout
from sailtheory.numeric.enclose import supremum
from sailtheory.numeric.numbers import FLOAT64, arb_numbers
from sailtheory.objectives.sail import fisher
from sailtheory.theory import formulas


def random_problem(rng, d=2, m=4, n=2, **changes):
    """A problem with exact decimals, away from θ_ref = c."""
    preferences = []
    for _ in range(n):
        p = np.triu(np.round(rng.random((m, m)), 2), 1)
        preferences.append(p + np.tril(1 - p.T, -1) + 0.5 * np.eye(m))
    data = {
        "features": [np.round(rng.normal(size=(m, d)), 2) for _ in range(n)],
        "preferences": [np.round(p, 2) for p in preferences],
        "beta": 0.4,
        "radius": 0.6,
        "ref_params": np.round(0.2 * rng.normal(size=d), 2),
        "weights": list(np.round(rng.uniform(0.2, 1, n), 2)),
        "base": [np.round(rng.uniform(0.5, 2, m), 2) for _ in range(n)],
    }
    return PreferenceProblem(**(data | changes))


def coefficient(problem, x, gamma, k, j):
    """w π_kπ_j(γ − η_kj) of the first prompt, from theory.md in mpmath: the reference."""
    phi = [[mp.mpf(str(v)) for v in row] for row in problem.features[0]]
    p = [[mp.mpf(str(v)) for v in row] for row in problem.preferences[0].centred(FLOAT64) + 0.5]
    beta, theta = mp.mpf(str(problem.beta)), [mp.mpf(v) for v in x]
    ref = [mp.mpf(str(v)) for v in problem.given_ref_params]
    base = [mp.mpf(str(v)) for v in problem.base[0]]
    m = len(phi)
    logit = [sum(t * f for t, f in zip(theta, row, strict=True)) for row in phi]
    mass = [b * mp.exp(v) for b, v in zip(base, logit, strict=True)]
    pi = [v / sum(mass) for v in mass]
    drift = [sum((t - r) * f for t, r, f in zip(theta, ref, row, strict=True)) for row in phi]
    z = [[beta * (a - b) for b in drift] for a in drift]

    def sigma(v):
        return 1 / (1 + mp.exp(-v))

    g = [
        [
            p[a][b] * mp.log(sigma(z[a][b])) + p[b][a] * mp.log(sigma(-z[a][b])) + mp.log(2)
            for b in range(m)
        ]
        for a in range(m)
    ]
    f = [
        sum(pi[b] * (g[a][b] + beta * (p[a][b] - sigma(z[a][b]))) for b in range(m))
        for a in range(m)
    ]
    mean = sum(pi[a] * f[a] for a in range(m))
    slope = sigma(z[k][j]) * sigma(-z[k][j])
    eta = 4 * (f[k] + f[j]) - 6 * mean - 2 * g[k][j] - 2 * beta**2 * slope
    total = sum(mp.mpf(str(w)) for w in problem.raw_weights)
    return mp.mpf(str(problem.raw_weights[0])) / total * pi[k] * pi[j] * (gamma - eta)


def coefficients_at(problem, x, gamma):
    pencil = Pencil(region(problem), FLOAT64)
    block, features = problem.blocks()[0], region(problem).features(FLOAT64)[0]
    at = expansion.expand(pencil._point(block, x), features)
    return expansion.coefficients(at, gamma, block.weights)


@pytest.mark.parametrize("seed", range(3))
def test_gradient_and_hessian_of_the_coefficients(seed):
    rng = np.random.default_rng(seed)
    problem = random_problem(rng)
    x, v = rng.normal(size=2) * 0.3, rng.normal(size=2)
    near = coefficients_at(problem, x, 0.3)
    with mp.workdps(40):
        for i, (k, j) in enumerate(zip(*np.triu_indices(4, 1), strict=True)):

            def along(t, k=k, j=j):
                point = [mp.mpf(a) + t * mp.mpf(b) for a, b in zip(x, v, strict=True)]
                return coefficient(problem, point, mp.mpf(0.3), k, j)

            value, first, second = (float(mp.diff(along, 0, order)) for order in range(3))
            scale = 1e-11 * (1 + abs(value) + abs(first) + abs(second))
            assert abs(near.value[0, i] - value) < scale
            assert abs(near.gradient[0, i] @ v - first) < scale
            assert abs(v @ near.hessian[0, i] @ v - second) < scale


@pytest.mark.parametrize("size", [1e-3, 0.05, 0.3, 1.0])
def test_the_bound_lies_below_every_coefficient_on_the_box(size):
    """What the remainder promises, on random points of random boxes."""
    rng = np.random.default_rng(7)
    least = np.inf
    for _ in range(40):
        problem = random_problem(rng, n=1, radius=2.0, beta=float(rng.choice([0.1, 0.7, 3.0])))
        x, half = rng.normal(size=2) * 0.5, size * rng.uniform(0.1, 1, 2)
        gamma = float(rng.normal())
        pencil = Pencil(region(problem), FLOAT64)
        block, features = problem.blocks()[0], region(problem).features(FLOAT64)[0]
        point = pencil._point(block, x)
        at = expansion.expand(point, features)
        near = expansion.coefficients(at, gamma, block.weights)
        loss = remainder.slack(lambda v: v, point, at, near, gamma, pencil._reach[0], half)
        delta = half * rng.uniform(-1, 1, (200, 2))
        delta[:100] = half * np.sign(delta[:100])
        there = coefficients_at(problem, x + delta, gamma).value[:, 0]
        below = near.value[0] + np.einsum("pi,ki->kp", near.gradient[0], delta) - loss[0]
        assert (there >= below - 1e-13).all()
        least = min(least, float(((there - below) / (loss[0] + 1e-300)).min()))
    if size < 0.5:  # the bound is not idle: some point uses up a part of it
        assert least < 0.9


def test_the_third_derivative_is_needed():
    """Without it the bound is wrong on large boxes: the test above can fail."""
    rng = np.random.default_rng(8)
    violated = 0
    for _ in range(60):
        problem = random_problem(rng, n=1, radius=2.0, beta=0.7)
        x, half = rng.normal(size=2) * 0.5, np.ones(2)
        near = coefficients_at(problem, x, 0.2)
        delta = half * rng.choice([-1.0, 1.0], (50, 2))
        there = coefficients_at(problem, x + delta, 0.2).value[:, 0]
        quadratic = np.einsum("ki,pij,kj->kp", delta, near.hessian[0], delta) / 2
        below = near.value[0] + np.einsum("pi,ki->kp", near.gradient[0], delta) + quadratic
        violated += bool((there < below - 1e-9).any())
    assert violated > 20


def test_constants_of_the_sigmoid():
    """sup |σ''| and |σ''''|, enclosed in ball arithmetic, lie below the constants."""

    def on_slope(function):
        """σ', σ'' and so on as polynomials in t = tanh(z/2)/2, t in [0, ½]."""
        everywhere = arb("0 +/- 10")
        return supremum(lambda a, b: (function(a.union(b)), everywhere), 0, 0.5, relative=1e-4)

    def third(t):
        return 2 * t * (arb("0.25") - t * t)

    def fifth(t):
        slope = arb("0.25") - t * t
        return abs(8 * t * slope * (2 * slope - t * t))

    def fourth(t):
        slope = arb("0.25") - t * t
        return abs(slope * (4 * t * t - 2 * slope))

    assert on_slope(third).upper <= remainder.THIRD_SIGMOID
    assert on_slope(fourth).upper <= remainder.FOURTH_SIGMOID * 1.001
    assert on_slope(fifth).upper <= remainder.FIFTH_SIGMOID
    assert on_slope(fifth).lower > 0.99 * 0.127


def test_fourth_derivative_of_the_payoff():
    z = np.linspace(-6, 6, 41)
    payoff = formulas.log_likelihood_payoff(FLOAT64, 0.3, z)
    with mp.workdps(40):
        exact = [float(mp.diff(lambda v: -mp.log(mp.cosh(v / 2)), v, 4)) for v in z]
    np.testing.assert_allclose(formulas.log_likelihood_fourth(0.3, payoff), exact, atol=1e-14)


@pytest.mark.parametrize("name", examples.names()[:6])
def test_the_pencil_is_the_hessian(name):
    """wᵀMw = γ wᵀF̄w − wᵀ∇²Jw − μ‖w‖², in float64 and in balls."""
    from sailtheory import SAIL

    problem = examples.load(name)
    rng, found = np.random.default_rng(0), region(problem)
    x = 0.3 * float(problem.radius) * rng.normal(size=found.dimension) / found.dimension**0.5
    w = rng.normal(size=found.dimension)
    theta = found.embed(FLOAT64, x)
    direction = found.basis.astype(float) @ w
    expected = direction @ (0.4 * fisher(problem, theta) - SAIL(problem).hessian(theta)) @ direction
    expected -= 0.1 * direction @ direction
    scale = 1e-12 * (1 + abs(expected))
    assert abs(w @ Pencil(found, FLOAT64).matrix(x, 0.4, 0.1) @ w - expected) < scale
    with ctx.workprec(80):
        balls = ball_pencil(found).matrix(arb_numbers().asarray(x), arb(0.4), arb(0.1))
        assert abs(float(w @ balls @ w) - expected) < scale
        bound = Pencil(found, arb_numbers()).affine(
            arb_numbers().asarray(x), arb_numbers().asarray(np.zeros_like(x)), arb(0.4), arb(0.1)
        )
        assert abs(float(w @ bound[0] @ w) - expected) < scale


def test_positive_definite_decides_only_what_is_certain():
    xp = arb_numbers()
    rng = np.random.default_rng(3)
    for _ in range(20):
        a = rng.normal(size=(4, 4))
        matrix = a @ a.T
        assert positive_definite(xp.asarray(matrix))
        top = np.linalg.eigvalsh(matrix)[0]
        assert not positive_definite(xp.asarray(matrix - 1.001 * top * np.eye(4)))
    assert not positive_definite(xp.asarray(np.zeros((2, 2))))
    assert not positive_definite(np.array([[arb(1, 2)]], dtype=object))
    assert not positive_definite(np.array([[arb("nan")]], dtype=object))


def test_regions_of_lower_dimension():
    tabular = examples.load("tabular")
    found = region(tabular)
    assert found.dimension == tabular.span.dimension < tabular.dimension
    assert valid(found)
    assert not valid(Region(tabular, found.basis, 0.9 * found.radius))
    assert not valid(Region(tabular, found.basis[:, :-1], found.radius))
    skewed = found.basis.copy()
    skewed[0, 0] += 1
    assert not valid(Region(tabular, skewed, found.radius))


@pytest.mark.parametrize("seed", range(20))
def test_random_spans_of_lower_dimension_are_accepted(seed):
    """Features of very unequal sizes, S of dimension 3 in R⁴."""
    rng = np.random.default_rng(seed)
    problem = random_problem(rng, d=4, m=4, n=1)
    uneven = [phi * [1, 10, 0.1, 1] for phi in problem.features]
    found = region(problem.replace(features=[np.round(phi, 3) for phi in uneven]))
    assert found.dimension == 3 and valid(found)


def test_the_checker_refuses_what_is_false():
    """At γ below γ* no box that holds the worst point passes, however small."""
    from fractions import Fraction

    problem = examples.load("c04-one-winner")  # J''(θ_ref) = 37/2700, F = 2/9 at θ = 0
    found = region(problem)
    exact = Fraction(37, 2700) / Fraction(2, 9)
    with ctx.workprec(96):
        for level, expected in ((exact * Fraction(99, 100), False), (exact * 3, True)):
            gamma = arb(level.numerator) / level.denominator
            box = root(found.dimension)
            for _ in range(20):
                box = box.halves(0)[1]
                box = type(box)(-box.upper / 2, box.upper / 2)
            assert Checker(found, gamma, arb(0)).holds(box) is expected


def test_a_box_that_meets_the_ball_in_one_point():
    """(½, …, ½) in R⁴ has norm 1: box ∩ ball is smaller than the rounding of its ends."""
    rng = np.random.default_rng(1)
    found = region(random_problem(rng, d=4, m=4, n=2))
    touching = Box(np.array([0.5, -1, -1, 0.5]), np.array([1, -0.5, -0.5, 1]))
    with ctx.workprec(96):
        assert Checker(found, arb(10), arb(0)).holds(touching)
        assert not Checker(found, arb(-10), arb(0)).holds(touching)


@pytest.mark.parametrize("level", [-0.05, 0.15])
def test_pieces_at_once_are_pieces_one_by_one(level):
    """Among them some that hold, some that do not, and one outside the ball."""
    found = region(random_problem(np.random.default_rng(3)))
    boxes = [Box(np.full(2, 0.8), np.ones(2)), root(2)]
    for side in np.linspace(-0.7, 0.6, 14):
        boxes.append(Box(np.array([side, 0.0]), np.array([side + 0.1, 0.05])))
    with ctx.workprec(96):
        checker = Checker(found, arb(level), arb(0))
        alone = [checker.holds(box) for box in boxes]
        assert checker.each_holds(boxes) == alone and checker.each_holds([]) == []
    assert alone[0] and not alone[1] and sum(alone[2:]) == {-0.05: 11, 0.15: 14}[level]


def test_a_prompt_with_one_response_adds_nothing():
    one = random_problem(np.random.default_rng(3), n=1)
    both = PreferenceProblem(
        features=[*one.features, [[5.0, -7.0]]],
        preferences=[*one.preferences, [[0.5]]],
        base=[*one.base, [1]],
        weights=[1, 1], beta=one.beta, radius=one.radius, ref_params=one.given_ref_params,
    )  # fmt: skip
    x, half = arb_numbers().asarray(np.array([[0.1, 0.2], [0.01, 0.02]]))
    with ctx.workprec(96):
        alone, half_weight = (
            ball_pencil(region(p)).affine(x, half, arb(0.3), arb(0)) for p in (one, both)
        )
    np.testing.assert_allclose(half_weight.astype(float) * 2, alone.astype(float), rtol=1e-12)


def test_sums_over_pairs_are_sums_over_all():
    """f̄ sums X_kl, which is not symmetric, over all k and l."""
    rng = np.random.default_rng(4)
    m = 4
    away, moved, weight = rng.random((m, m)), rng.random(6), rng.random(m)
    k, j = layout.pairs(m)
    full = layout.mirrored(moved, m)
    assert (full == full.T).all() and (full[k, j] == moved).all() and not np.diag(full).any()
    turned = layout.mirrored(moved, m, -1)
    assert (turned == -turned.T).all() and (turned[k, j] == moved).all()
    total = sum(
        weight[a] * weight[b] * (away[a, b] + full[a, b]) for a in range(m) for b in range(m)
    )
    rows, columns = np.append(k, np.arange(m)), np.append(j, np.arange(m))
    mean = (away[rows, columns] + away[columns, rows]) / 2 + expansion.with_zeros(moved, m)
    weighed = weight[rows] * weight[columns] * mean
    assert abs(remainder.over_all(weighed, len(k)) - total) < 1e-14 * total
