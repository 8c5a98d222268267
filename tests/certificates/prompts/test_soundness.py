"""No γ below a known witness is certified; a little above the searched ḡ it is, for m ≤ 3."""

from __future__ import annotations

import numpy as np
import pytest
from mpmath import mp, mpf

from sailtheory.certificates.prompts import boxes as boxes_module
from sailtheory.certificates.prompts import check
from sailtheory.certificates.prompts.boxes import Boxes, Prompts, settle
from sailtheory.certificates.prompts.branch import OPEN, PROVED, decide
from sailtheory.certificates.prompts.check import all_below
from sailtheory.certificates.prompts.points import curvature, eta, policy_at, search, top
from sailtheory.certificates.prompts.witness import lower_bound, prompt_of, witness_of
from sailtheory.problem.reduced import ROUNDING, reduce_chunk
from tests.support.prompt_data import data_set

BETA = 0.1
AS_BALL = (BETA, 2 * ROUNDING * BETA)
KINDS = ("bt", "ties", "hard", "any")


def searched(seed, n=3, m=2, d=5, radius=1.0, **knobs):
    """Reduced prompts with the value and the point that a search finds for each."""
    rng = np.random.default_rng(seed)
    data = data_set(rng, n, m, d, beta=BETA, radius=radius, kind=KINDS[seed % 4], **knobs)
    (chunk,) = data.chunks(1 << 22)
    made = reduce_chunk(data, chunk)
    return data, made, *search(made, BETA, rng)


@pytest.mark.parametrize("seed", range(20))
def test_a_millionth_below_a_witness_is_never_proved(seed):
    m = (2, 3, 4)[seed % 3]
    _, made, value, _ = searched(seed, m=m, radius=(0.5, 2.0)[seed % 2])
    for x in range(3):
        one = made.take(np.array([x]))
        gamma = float(value[x] - 1e-6 * abs(value[x]))
        assert decide(one, BETA, gamma, 8_000).verdict[0] != PROVED
        if m == 2:
            assert not all_below(one, AS_BALL, np.array([gamma]))[0]


@pytest.mark.parametrize("seed", range(20))
def test_a_fifth_above_it_is_proved_and_checked(seed):
    _, made, value, _ = searched(seed, m=2 + seed % 2, radius=(0.5, 2.0)[seed % 2])
    gamma = float(value.max() + 0.2 * max(abs(value.max()), 1e-3 * BETA))
    assert (decide(made, BETA, gamma, 200_000).verdict == PROVED).all()
    assert all_below(made, AS_BALL, np.full(3, gamma)).all()


def test_a_settled_box_holds_at_every_point_of_it():
    """Boxes of all sizes against points of each, and against the margin at which they settle."""
    for seed in range(8):
        m = 2 + seed % 3
        _, made, value, _ = searched(seed, n=20, m=m, radius=3.0)
        rng = np.random.default_rng(seed)
        gamma = float(np.median(value))
        half = 2.0 ** -rng.integers(0, 7, (20, 1)) * np.ones((20, m - 1))
        half = half.astype(float)
        x = np.round(rng.uniform(-1, 1, (20, m - 1)) / half) * half
        settled, false = settle(Prompts(made, BETA, gamma), Boxes(np.arange(20), x, half))
        points = x[:, None] + half[:, None] * rng.uniform(-1, 1, (20, 60, m - 1))
        points = np.concatenate([points, x[:, None]], 1)
        inside = (points**2).sum(-1) <= 1
        found = np.where(inside, curvature(made, BETA, points), -np.inf)
        assert (found[settled] < gamma).all()
        assert (found[false, -1] > gamma).all()
        assert settled.any()


def test_a_box_settled_by_the_checker_holds_at_every_point_of_it():
    """The same for the balls of ``replay``, which share no bound with the search."""
    settled_in_all = 0
    for seed in range(6):
        m = 3 + seed % 2
        _, made, value, _ = searched(seed, n=20, m=m, radius=3.0)
        rng = np.random.default_rng(seed)
        gamma = np.full(20, float(np.median(value)))
        half = 2.0 ** -rng.integers(1, 7, (20, 1)) * np.ones((20, m - 1))
        x = np.round(rng.uniform(-1, 1, (20, m - 1)) / half) * half
        k, l = np.triu_indices(m, 1)  # noqa: E741
        gaps = abs(made.reach[:, k] - made.reach[:, l])
        settled = check._settled(made, AS_BALL, gamma, gaps, x, half)
        points = x[:, None] + half[:, None] * rng.choice([-1, 0, 1], (20, 60, m - 1))
        inside = (points**2).sum(-1) <= 1
        found = np.where(inside, curvature(made, BETA, points), -np.inf)
        assert (found[settled] < gamma[0]).all()
        settled_in_all += settled.sum()
    assert settled_in_all > 20


@pytest.mark.parametrize("m", [3, 4])
def test_the_checker_shows_nothing_below_a_witness(m, monkeypatch):
    monkeypatch.setattr(check, "_MOST_BOXES", 60)
    for seed in range(4):
        _, made, value, _ = searched(seed, n=1, m=m, radius=3.0)
        gamma = value - 1e-2 * abs(value)
        assert not all_below(made, AS_BALL, gamma)[0]


def test_that_test_sees_a_remainder_left_out(monkeypatch):
    monkeypatch.setattr(boxes_module, "slack", lambda up, point, at, near, *rest: 0 * near.value)
    wrong = 0
    for seed in range(4):
        _, made, value, _ = searched(seed, n=20, m=3, radius=3.0)
        for x in range(20):
            gamma = float(value[x] * 0.98)
            one = made.take(np.array([x]))
            wrong += decide(one, BETA, gamma, 400).verdict[0] == PROVED
    assert wrong > 0


def test_the_value_at_a_witness_in_50_digits():
    for m, d in ((2, 3), (4, 6), (4, 2)):
        data, made, value, point = searched(m + d, m=m, d=d)
        x = int(value.argmax())
        chunk = prompt_of(data, x)
        witness, below = witness_of(data, chunk, made.take(np.array([x])), BETA, point[x])
        with mp.workdps(50):
            gaps = (data.features[x, 1:] - data.features[x, :1]).astype(float)
            theta = data.center + gaps.T @ witness.point
            shown = data.curvature(x, theta, gaps.T @ witness.direction)
        assert mpf(below) <= shown + mpf(10) ** -9 * abs(shown)
        if d > m - 1:
            assert below == pytest.approx(value[x], rel=1e-8)
        assert lower_bound(data, chunk, witness._replace(point=witness.point * 3)) == -np.inf


def test_budgets_leave_it_open():
    _, made, value, _ = searched(1, m=3)
    gamma = float(value.max() * 1.001)
    assert (decide(made, BETA, gamma, 2).verdict == OPEN).any()
    assert (decide(made, BETA, gamma, 10**6, deadline=0.0).verdict == OPEN).any()


def test_scaled_matrices_are_those_of_the_pair_form():
    """The largest eigenvalue against a plain generalised one in R^d."""
    data, made, _, _ = searched(2, m=4, d=3)
    theta = data.center
    logits = made.offset
    policy = policy_at(made, logits)
    found, _ = top(policy, eta(made, BETA, logits, policy))
    reference = data.reference(0)
    with mp.workdps(30):
        hessian = np.array(reference.hessian("sail", list(map(mpf, theta))), dtype=float)
        fisher = np.array(reference.kl_ref_policy(list(map(mpf, theta)))[2], dtype=float)
    plain = np.linalg.eigvals(np.linalg.solve(fisher, hessian)).real.max()
    assert found[0] == pytest.approx(plain, rel=1e-8)
