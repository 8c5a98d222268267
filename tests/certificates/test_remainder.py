"""Each term of the remainder on its own: an upper bound, and attained where it can be.

The references are derivatives by mpmath, values on dense grids of a box, and the closed
forms of two responses with one parameter, where π₁π₂ is all there is.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from math import factorial

import numpy as np
import pytest
from flint import ctx
from mpmath import mp
from numpy.polynomial import Polynomial

from sailtheory import PreferenceProblem
from sailtheory.certificates import expansion, remainder
from sailtheory.certificates.pencil import Pencil, ball_pencil
from sailtheory.certificates.region import region
from sailtheory.numeric import layout
from sailtheory.numeric.numbers import FLOAT64, arb_numbers
from tests.certificates.test_bounds import random_problem

ROUNDING = 1e-13
"""Some 100 operations on terms that do not cancel."""


GRID = np.linspace(-6, 6, 401)


def exactly(values):
    """Float64 keeps the bounds as they are."""
    return values


def setting(problem, x, half, gamma=0.3):
    """What a bound on a box of the first block is made of, in float64."""
    pencil, found = Pencil(region(problem), FLOAT64), region(problem)
    point = pencil._point(problem.blocks()[0], np.asarray(x, dtype=float))
    at = expansion.expand(point, found.features(FLOAT64)[0])
    near = expansion.coefficients(at, gamma, point.block.weights)
    return point, at, near, pencil._reach[0], np.asarray(half, dtype=float)


def two_responses(share=0.5, gap=1.0, **changes):
    """One parameter, φ = 0 and ``gap``, π_ref = (1 − share, share)."""
    data = {
        "features": [[[0], [gap]]], "preferences": [[[0.5, 0.8], [0.2, 0.5]]],
        "base": [[1 - share, share]], "beta": 0.5, "radius": 20,
    }  # fmt: skip
    return PreferenceProblem(**(data | changes))


def central(problem, x, half):
    """|δᵀs_k|, the variance and |third moment|: the bounds on a box."""
    point, at, _, reach, half = setting(problem, x, half)
    rho = layout.mirrored((reach * half).sum(-1), at.policy.shape[-1])
    policy = remainder._policy_bound(point, rho)
    return policy[0], [part[0] for part in remainder._central(exactly, at, policy, rho, half)]


def moments_on(problem, x, half, steps):
    """The same, and π, at x + δ for steps δ = half · t, by their definitions: (steps, ...)."""
    delta = np.asarray(steps) * half
    policy = problem.policy(region(problem).embed(FLOAT64, x + delta))[0]
    along = region(problem).features(FLOAT64)[0][0] @ delta.T
    s = along.T - (policy * along.T).sum(-1, keepdims=True)
    return policy, abs(s), (policy * s**2).sum(-1), abs((policy * s**3).sum(-1))


# --- the sum -----------------------------------------------------------------------------------


def series(values):
    """Taylor coefficients from value and derivatives."""
    return np.array([value / factorial(n) for n, value in enumerate(values)])


def derivatives(coefficients):
    """The first three derivatives from Taylor coefficients."""
    return np.array([coefficients[n] * factorial(n) for n in (1, 2, 3)])


def majorant(problem, x, half, gamma):
    """w|c'''| for each pair: power series of absolute values, multiplied out, with plain loops."""
    point, at, _, reach, half = setting(problem, x, half, gamma)
    m, beta = at.policy.shape[-1], float(problem.beta)
    gap = (reach[0] * half).sum(-1)
    rho = layout.mirrored(gap, m)
    policy, (score, variance, skew) = central(problem, x, half)
    sigma = np.array(remainder._sigmoid_bounds(exactly, FLOAT64, beta, at.z, gap[None]))[:, 0]
    steep = abs(at.tilt[0]) + beta * gap * sigma[0]
    place = {pair: i for i, pair in enumerate(zip(*layout.pairs(m), strict=True))}

    def moments(s, v, k):
        return series([1, *remainder._moments(exactly, *map(np.array, (s, v, k)))])

    def payoff(k, j, centre):
        """|X_kj − centre| and the derivatives of X_kj."""
        far = abs(at.own[0, k, j] - centre)
        if k == j:
            return series([far, 0, 0, 0])
        i = place[min(k, j), max(k, j)]
        moved = [own[i] * rho[k, j] ** n for n, own in enumerate(own_, 1)]
        return series([far + moved[0], *moved])

    own_ = remainder._own(beta, steep, sigma)
    direct = remainder._direct(beta, steep, sigma)
    one = [moments(s, variance, skew) for s in score]
    effect = [
        sum(policy[j] * np.convolve(one[j], payoff(k, j, at.effect[0, k])) for j in range(m))
        for k in range(m)
    ]
    two = {
        (k, j): moments(score[k] + score[j], 2 * variance, 2 * skew)
        for k, j in product(range(m), repeat=2)
    }
    mean = sum(
        policy[k] * policy[j] * np.convolve(two[k, j], payoff(k, j, at.mean[0]))
        for k, j in product(range(m), repeat=2)
    )
    out = []
    for (k, j), i in place.items():
        turned = [part[i] * gap[i] ** n for n, part in enumerate(direct, 1)]
        eta = 4 * (derivatives(effect[k]) + derivatives(effect[j])) + 6 * derivatives(mean) + turned
        eta[0] = min(eta[0], abs(at.eta_gradient[0, i]) @ half + eta[1])
        excess = series([abs(gamma - at.eta[0, i]) + eta[0], *eta])
        change = derivatives(np.convolve(two[k, j], excess))[2]
        out.append(point.block.weights[0] * policy[k] * policy[j] * change)
    return np.array(out)


@pytest.mark.parametrize("half", [1e-3, 0.2, 3.0])
@pytest.mark.parametrize("seed", range(4))
def test_the_third_derivative_is_the_majorant_series(seed, half):
    rng = np.random.default_rng(seed)
    problem = random_problem(rng, m=4, n=1, radius=20, beta=[0.2, 0.5, 1.5, 4][seed])
    x, sides = rng.normal(size=2) * 0.4, half * rng.uniform(0.2, 1, 2)
    point, at, near, reach, sides = setting(problem, x, sides)
    found = remainder.third_derivative(exactly, point, at, 0.3, reach, sides)[0]
    np.testing.assert_allclose(found, majorant(problem, x, sides, 0.3), rtol=1e-11)
    total = remainder.slack(exactly, point, at, near, 0.3, reach, sides)[0]
    squared = remainder._second_order(exactly, near.hessian, sides)[0]
    np.testing.assert_allclose(total, squared + found / 6, rtol=1e-12)


def test_one_pair_of_rare_responses_attains_the_bound():
    """γ large: |c'''| → γπ₁π₂|D³δ³|, since π₁π₂ ~ e^{θ·D} while the third response is sure."""
    problem = PreferenceProblem(
        features=[[[1], [0.7], [0]]], preferences=[[[0.5] * 3] * 3], base=[["1e-7", "1e-7", 1]],
        beta=0.5, radius=1,
    )  # fmt: skip
    point, at, _, reach, half = setting(problem, [0.0], [1e-5], 1e9)
    found = remainder.third_derivative(exactly, point, at, 1e9, reach, half)[0, 0]
    with mp.workdps(60):

        def chance(t):
            weights = [mp.mpf("1e-7") * mp.exp(t), mp.mpf("1e-7") * mp.exp(mp.mpf("0.7") * t), 1]
            return weights[0] * weights[1] / sum(weights) ** 2

        exact = 1e9 * float(mp.diff(chance, 0, 3)) * 1e-15
    assert exact <= found <= 1.001 * exact


def test_in_balls_the_bound_is_rounded_upwards():
    """Float64 is within its rounding of the ball, and the ball is an exact bound and its radius."""
    problem = random_problem(np.random.default_rng(6), n=1, radius=2)
    x, half = np.array([0.25, -0.5]), np.array([0.125, 0.25])
    point, at, near, reach, _ = setting(problem, x, half, 0.25)
    plain = remainder.slack(exactly, point, at, near, 0.25, reach, half)[0]
    with ctx.workprec(96):
        balls = ball_pencil(region(problem))
        xp = arb_numbers()
        point = balls._point(problem.blocks(xp)[0], xp.asarray(x))
        at = expansion.expand(point, region(problem).features(xp)[0])
        gamma, sides = xp.asarray(0.25).item(), xp.asarray(half)
        near = expansion.coefficients(at, gamma, point.block.weights)
        found = remainder.slack(balls._up, point, at, near, gamma, balls._reach[0], sides)[0]
        for ball, value in zip(found, plain, strict=True):
            assert float(ball.rad()) < 1e-24 and abs(float(ball.mid()) - value) < 1e-12 * value


# --- the quadratic term ------------------------------------------------------------------


def quadratic(hessian, half):
    return remainder._second_order(exactly, np.array([[hessian]]), np.array(half))[0, 0]


@pytest.mark.parametrize("seed", range(20))
def test_the_quadratic_term_is_a_bound(seed):
    rng = np.random.default_rng(seed)
    a, half = rng.normal(size=(3, 3)), rng.uniform(0.1, 3, 3)
    hessian = a + a.T + 3 * np.diag(rng.normal(size=3))
    delta = half * np.vstack([rng.uniform(-1, 1, (200, 3)), rng.choice([-1, 0, 1], (200, 3))])
    worst = (-np.einsum("ki,ij,kj->k", delta, hessian, delta) / 2).max()
    assert worst <= quadratic(hessian, half) * (1 + ROUNDING)


def test_the_quadratic_term_is_attained():
    half = [2.0, 3.0]
    assert quadratic([[-5.0, 0], [0, -7]], half) == (5 * 4 + 7 * 9) / 2  # at a corner
    assert quadratic([[5.0, 0], [0, -7]], half) == 7 * 9 / 2  # at δ₁ = 0
    assert quadratic([[0, 5.0], [5, 0]], half) == 5 * 6
    assert quadratic([[-1, -5.0], [-5, -2]], half) == 5 * 6 + (4 + 2 * 9) / 2
    assert quadratic([[9, 2.0], [2, 4]], half) == 0  # positive definite, dominant


# --- policies, scores, moments --------------------------------------------------------------


@pytest.mark.parametrize("half", [1e-3, 0.4, 6.0])
def test_the_policy_is_bounded_by_its_largest_value(half):
    """One parameter: the largest and the smallest feature win most at an end of the box."""
    problem = random_problem(np.random.default_rng(1), d=1, m=3, n=1, radius=20)
    bound, _ = central(problem, [0.2], [half])
    policy, *_ = moments_on(problem, [0.2], [half], np.linspace(-1, 1, 401)[:, None])
    largest = policy.max(0)
    assert (largest <= bound * (1 + ROUNDING)).all()
    order = problem.features[0][:, 0].argsort()
    np.testing.assert_allclose(bound[order[[0, 2]]], largest[order[[0, 2]]], rtol=1e-12)


@pytest.mark.parametrize("half", [1e-3, 0.3, 2.0])
@pytest.mark.parametrize("seed", range(5))
def test_scores_and_moments_are_bounded_on_the_box(seed, half):
    """|δᵀs|, V and |κ| at x + tδ, for δ in the box and every t in [0, 1]."""
    rng = np.random.default_rng(seed)
    problem, sides = random_problem(rng, m=5, n=1, radius=20), half * rng.uniform(0.2, 1, 2)
    _, bounds = central(problem, [0.3, -0.2], sides)
    found, delta = region(problem), sides * rng.choice([-1, 1, 0.5], (200, 2))
    t = rng.choice([0, 0.3, 0.7, 1], (200, 1))
    policy = problem.policy(found.embed(FLOAT64, np.array([0.3, -0.2]) + t * delta))[0]
    s = delta @ found.features(FLOAT64)[0][0].T
    s = s - (policy * s).sum(-1, keepdims=True)
    exact = abs(s), (policy * s**2).sum(-1), abs((policy * s**3).sum(-1))
    for values, bound in zip(exact, bounds, strict=True):
        assert (values <= bound * (1 + ROUNDING)).all()


def test_scores_and_moments_of_a_small_box_are_those_at_its_centre():
    problem, half = random_problem(np.random.default_rng(2), m=5, n=1), np.array([2e-7, 1e-7])
    _, (score, variance, skew) = central(problem, [0.3, -0.2], half)
    corners = np.array(list(product((-1, 1), repeat=2)))
    _, s, v, _ = moments_on(problem, [0.3, -0.2], half, corners)
    np.testing.assert_allclose(score, s.max(0), rtol=1e-5)
    # Σπ_kπ_l(δᵀD_kl)²/2 bounds each |δ_iD_kl,i| by itself: attained along one coordinate.
    policy, (score, variance, skew) = central(problem, [0.3, -0.2], [2e-7, 0])
    _, s, v, _ = moments_on(problem, [0.3, -0.2], [2e-7, 0], corners)
    assert variance == pytest.approx(v.max(), rel=1e-5)
    assert skew == pytest.approx(policy @ score**3, rel=1e-5)  # E|δᵀs|³ ≥ |κ|
    assert skew < 0.9 * variance * score.max()


@pytest.mark.parametrize("half", [0.1, 1.0, 9.0])
def test_scores_of_two_responses_are_attained(half):
    """δᵀs₁ = −π₂ρ, largest at an end of the box."""
    problem = two_responses(0.3, gap=2.0)
    _, (score, *_) = central(problem, [0.4], [half])
    _, s, *_ = moments_on(problem, [0.4], [half], [[-1], [1]])
    np.testing.assert_allclose(score, s.max(0), rtol=1e-12)


def test_moments_of_a_wide_box_are_those_of_any_policy():
    """Among all policies on a range ρ: V ≤ ρ²/4, and |κ| ≤ V max|δᵀs| ≤ ρ³/4."""
    problem = two_responses(gap=2.0)
    _, (_, variance, skew) = central(problem, [0.0], [4.0])
    assert variance == 8.0**2 / 4
    assert skew == pytest.approx(8.0**3 / 4, rel=1e-3)
    many = random_problem(np.random.default_rng(3), d=1, m=6, n=1, radius=50)
    _, (score, *_) = central(many, [0.0], [30.0])
    features = many.features[0][:, 0]
    reach = 30 * abs(features[:, None] - features).max(-1)  # not Σ_j of them
    np.testing.assert_allclose(score, reach, rtol=1e-15)


def test_a_rare_response_attains_the_third_moment():
    """κ → π₂ρ³ as π₂ → 0."""
    _, (_, variance, skew) = central(two_responses(1e-5), [0.0], [1e-6])
    assert variance == pytest.approx(1e-5 * 1e-12, rel=1e-4)
    assert skew == pytest.approx(1e-5 * 1e-18, rel=1e-4)


@pytest.mark.parametrize(
    "score, variance, skew", [(1.0, 1e-7, 0.3), (1e-4, 2.0, 0.0), (1e-3, 2.0, 7.0), (3.0, 2.0, 1.0)]
)
def test_moments_of_the_policy(score, variance, skew):
    """sup of |s|, |s² − V| and |s³ − 3sV − κ| for |s|, V, |κ| up to these."""
    found = remainder._moments(exactly, *np.array([score, variance, skew]))
    s, v, k = (np.linspace(0, 1, 101) * limit for limit in (score, variance, skew))
    s, v, k = s[:, None, None], v[:, None], k
    sup = score, abs(s**2 - v).max(), (abs(s**3 - 3 * s * v) + k).max()
    for bound, value in zip(found, sup, strict=True):
        assert value <= bound * (1 + ROUNDING)
        if score**2 < 1e-5 * variance or variance < 1e-5 * score**2:  # one of two terms is left
            assert bound <= value * (1 + 1e-5)


# --- the sigmoid and what is made of it ----------------------------------------------------


@cache
def in_sigmoid(order):
    """σ^(order) as a polynomial in σ, from σ' = σ − σ²."""
    if order == 0:
        return Polynomial([0, 1])
    return in_sigmoid(order - 1).deriv() * Polynomial([0, 1, -1])


def sigmoid_derivative(order, z):
    return in_sigmoid(order)(1 / (1 + np.exp(-z)))


def sigmoid_bounds(z, moved, beta=0.5):
    out = remainder._sigmoid_bounds(exactly, FLOAT64, beta, np.array([z]), np.array([moved / beta]))
    return [float(bound[0]) for bound in out]


@pytest.mark.parametrize("z", [0.0, 0.3, -1.2, 3.0, -8.0])
@pytest.mark.parametrize("moved", [0.2, 0.6, 5.0])
def test_derivatives_of_the_sigmoid_are_bounded(z, moved):
    bounds = sigmoid_bounds(z, moved)
    grid = np.linspace(z - moved, z + moved, 401)
    for order, bound in enumerate(bounds, 1):
        assert abs(sigmoid_derivative(order, grid)).max() <= bound * (1 + ROUNDING)
    nearest = max(abs(z) - moved, 0)
    assert bounds[0] == pytest.approx(sigmoid_derivative(1, nearest), rel=1e-12)


@pytest.mark.parametrize(
    "z, orders", [(0.0, (1, 2, 3)), (1e-3, (1, 2, 4)), (-0.7, (1, 2)), (12.0, (1, 2, 3, 4))]
)
def test_derivatives_of_the_sigmoid_are_attained(z, orders):
    """σ''' = σ'(4t² − 2σ') and σ'''' = 8tσ'(2σ' − t²), where one of two terms vanishes."""
    bounds = sigmoid_bounds(z, 1e-9)
    for order in orders:
        assert bounds[order - 1] == pytest.approx(
            abs(sigmoid_derivative(order, z)), rel=1e-4, abs=1e-8
        )


def test_over_a_wide_range_the_sigmoid_is_bounded_by_its_maxima():
    for order, bound in enumerate(sigmoid_bounds(0.3, 9.0), 1):
        largest = abs(sigmoid_derivative(order, GRID)).max()
        assert largest <= bound <= 1.01 * largest


def payoff_derivative(order, preference, z):
    """G^(order) for G = p log σ(z) + (1 − p) log σ(−z), order ≥ 1."""
    return (preference if order == 1 else 0) - sigmoid_derivative(order - 1, z)


def pair_payoff(order, preference, beta, z):
    """d^order/dζ^order of X = G + βG' and of −2G + 2β²G'', at ζ = z/β."""
    first, second, third = (payoff_derivative(order + i, preference, z) for i in range(3))
    return beta**order * (first + beta * second), beta**order * 2 * (beta**2 * third - first)


@pytest.mark.parametrize("beta", [0.3, 2.0])
@pytest.mark.parametrize(
    "order, own, direct", [(1, (0, 1), (0, 2)), (2, (0, -1), (0, 0.8)), (3, (0, -2), (0, -1))]
)
def test_derivatives_of_the_payoff_are_attained(beta, order, own, direct):
    """Where all terms have one sign; elsewhere the bound is above."""
    for part, bound, (p, z) in ((0, remainder._own, own), (1, remainder._direct, direct)):
        for preference, at in ((0, GRID), (1, GRID), (p, z)):
            slope = abs(payoff_derivative(1, preference, at))
            sigma = [abs(sigmoid_derivative(n, at)) for n in range(1, 5)]
            found = bound(beta, slope, sigma)[order - 1]
            exact = abs(pair_payoff(order, preference, beta, at)[part])
            assert (exact <= found * (1 + 1e-12)).all()
        assert found == pytest.approx(exact, rel=1e-12)


def test_the_product_rule():
    """π = e^{at} and X − b = xe^{ct}: every term is positive, so the bound is the derivative."""
    a, c, x = 0.7, 1.9, 3.0
    found = remainder._leibniz(x, [x * c**n for n in (1, 2, 3)], remainder.Moments(a, a**2, a**3))
    np.testing.assert_allclose(found, [x * (a + c) ** n for n in (1, 2, 3)], rtol=1e-14)
