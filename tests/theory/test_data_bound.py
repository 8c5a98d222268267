"""K_data (C25): above the curvature at the worst points, in 50 digits; below K_B's formula."""

from __future__ import annotations

import numpy as np
import pytest
from mpmath import mp, mpf

from sailtheory.certificates.prompts.points import eta, policy_at, search, top
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.problem.reduced import ranges, reduce_chunk
from sailtheory.theory import data_bound as module
from sailtheory.theory.bounds import sharp_curvature
from sailtheory.theory.data_bound import data_bound, inner_bound, value_bound
from tests.support.prompt_data import data_set

RNG = np.random.default_rng(5)
CASES = [
    (kind, m, beta, radius)
    for kind in ("bt", "ties", "hard", "any")
    for m, beta, radius in ((2, 0.1, 1.0), (3, 1.0, 4.0), (5, 0.02, 20.0))
]


def bounded(data):
    """The bound and the worst point that a search finds, for each prompt."""
    (chunk,) = data.chunks(1 << 22)
    made = reduce_chunk(data, chunk)
    m = made.responses
    k, l = np.triu_indices(m, 1)  # noqa: E741
    low, high = ranges(made, data.beta)
    bound = data_bound(data.beta, made.preference[:, k, l], low[:, k, l], high[:, k, l], m)
    return made, bound, search(made, data.beta, RNG)


def witness(data, made, x, point):
    """θ and v in R^d next to a point of the unit ball."""
    gaps = (data.features[x, 1:] - data.features[x, :1]).astype(float)
    inverse = np.linalg.pinv(gaps)
    moved = made.reach[x] @ point
    one = made.take(np.array([x]))
    logits = one.offset + moved
    policy = policy_at(one, logits)
    _, h = top(policy, eta(one, data.beta, logits, policy))
    return data.center + inverse @ moved[1:] * (1 - 1e-12), inverse @ (h[0, 1:] - h[0, 0])


@pytest.mark.parametrize(("kind", "m", "beta", "radius"), CASES)
def test_it_is_above_the_worst_point_in_50_digits(kind, m, beta, radius):
    data = data_set(RNG, 4, m, 6, beta=beta, radius=radius, kind=kind)
    made, bound, (value, point) = bounded(data)
    for x in range(4):
        theta, v = witness(data, made, x, point[x])
        found = data.curvature(x, theta, v)
        assert found == pytest.approx(float(value[x]), rel=1e-6)
        assert found <= mpf(bound[x])


def test_it_is_never_above_the_closed_form_and_often_far_below():
    for kind, factor in (("bt", 1.05), ("ties", 3.0)):
        data = data_set(RNG, 50, 4, 6, beta=0.1, radius=0.5, kind=kind, away=False)
        made, bound, _ = bounded(data)
        _, high = ranges(made, data.beta)
        closed = sharp_curvature(FLOAT64, data.beta, abs(high).max((1, 2)))
        assert (bound <= closed * (1 + 1e-9)).all()
        assert np.median(closed / bound) > factor


def test_the_value_is_bounded():
    """−J̃ by a plain double sum, at points of the ball."""
    data = data_set(RNG, 6, 3, 4, beta=0.5, radius=3.0, kind="any")
    (chunk,) = data.chunks(1 << 22)
    made = reduce_chunk(data, chunk)
    k, l = np.triu_indices(3, 1)  # noqa: E741
    low, high = ranges(made, data.beta)
    bound = value_bound(made.preference[:, k, l], low[:, k, l], high[:, k, l], 3)
    for _ in range(300):
        move = RNG.normal(size=4)
        theta = data.center + data.radius * RNG.random() * move / np.linalg.norm(move)
        for x in range(6):
            a = data.features[x] @ (theta - data.ref_params)
            rho = np.exp(data.log_base[x] + data.features[x] @ theta)
            pi, z = rho / rho.sum(), data.beta * (a[:, None] - a)
            g = data.preference[x] * z - np.log(np.cosh(z / 2))
            assert -(pi @ g @ pi) <= bound[x] + 1e-12


def test_pieces_enclose_what_points_only_sample():
    """Against 4,001 points at each b: never below, and close to them when the pieces are small."""
    n = 200
    q = RNG.uniform(-0.5, 0.5, (n, 3)) * (RNG.random((n, 1)) < 0.8)
    low = -(10.0 ** RNG.uniform(-3, 1, (n, 3)))
    high = 10.0 ** RNG.uniform(-3, 1, (n, 3))
    beta, value = 0.3, RNG.random(n)
    z = low[..., None] + (high - low)[..., None] * np.linspace(0, 1, 4001)
    t, g = np.tanh(z / 2) / 2, q[..., None] * z - np.log(np.cosh(z / 2))
    u = q[..., None] - t
    found = []
    for share in module._OFFSETS:
        b = np.maximum(g.max((1, 2)), 0) + beta * share * abs(u).max((1, 2))
        inner = (u * u / (b[:, None, None] - g) + t * t - 0.25).max((1, 2))
        found.append(2 * (b + value) + 2 * beta**2 * inner)
    sampled = np.min(found, axis=0)
    coarse, fine = (inner_bound(beta, q, low, high, value, pieces) for pieces in (2, 1000))
    assert (coarse >= sampled - 1e-12).all() and (fine >= sampled - 1e-12).all()
    assert (fine <= sampled * 1.02 + 1e-2).all()


def test_extremes_stay_numbers():
    for q, reach in ((0.5, 1e4), (-0.5, 1e4), (0.0, 0.0), (0.5, 1e-12), (0.3, 800.0)):
        ends = np.array([[-reach]]), np.array([[reach]])
        bound = data_bound(0.1, np.array([[q]]), *ends, 2)
        assert np.isfinite(bound).all()
    with mp.workdps(
        30
    ):  # B = 0: η at z = 0 is 2β(2p − 1)(1 − 2π₁) − β²/2, at most β − β²/2 at p = 1
        zero = np.zeros((1, 1))
        assert data_bound(0.1, np.array([[0.5]]), zero, zero, 2)[0] >= 2 * 0.1 - 0.1**2 / 2 - 1e-12
