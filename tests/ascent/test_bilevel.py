"""The two-level methods: their derivatives by enumeration, their limits, their counters."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from sailtheory import SAIL, PreferenceProblem, SAILRevKL
from sailtheory.ascent import Nested, Penalty, bilevel_ascent, spawn
from sailtheory.ascent.bilevel import Level
from sailtheory.ascent.pairs import Draws, Layout
from sailtheory.errors import InputError
from sailtheory.landscape import Domain, Search, maximise
from sailtheory.objectives.sail import fisher

GAMMA, BETA = 0.3, 0.6
EXACT = 10**12  # pairs: counts without visible noise


def problem() -> PreferenceProblem:
    """Two prompts of 3 and 2 responses, weights 1/4 and 3/4, d = 2."""
    return PreferenceProblem(
        features=[[[0.9, -0.2], [-0.4, 0.5], [0.1, 0.8]], [[0.3, 0.7], [-0.6, 0.1]]],
        preferences=[[[0.5, 0.9, 0.3], [0.1, 0.5, 1.0], [0.7, 0.0, 0.5]], [[0.5, 0.8], [0.2, 0.5]]],
        beta=BETA,
        radius=2.0,
        weights=[0.25, 0.75],
        ref_params=[0.2, -0.1],
    )


def policy(phi: np.ndarray, theta: np.ndarray) -> np.ndarray:
    mass = np.exp(phi @ theta)
    return mass / mass.sum()


def upper(given: PreferenceProblem, omega: np.ndarray, theta: np.ndarray) -> float:
    """f(ω, θ) by loops."""
    ref, total = np.array([0.2, -0.1]), 0.0
    for weight, phi, p in zip(
        [0.25, 0.75],
        [np.array([[0.9, -0.2], [-0.4, 0.5], [0.1, 0.8]]), np.array([[0.3, 0.7], [-0.6, 0.1]])],
        [np.array([[0.5, 0.9, 0.3], [0.1, 0.5, 1.0], [0.7, 0.0, 0.5]]),
         np.array([[0.5, 0.8], [0.2, 0.5]])],
        strict=True,
    ):  # fmt: skip
        pi, start = policy(phi, theta), policy(phi, ref)
        reward = BETA * phi @ (omega - ref)
        for k, j in product(range(len(phi)), repeat=2):
            win = 1 / (1 + np.exp(reward[j] - reward[k]))
            log = p[k, j] * np.log(win) + p[j, k] * np.log(1 - win)
            total += weight * pi[k] * pi[j] * log
        total -= weight * GAMMA * float(start @ np.log(start / pi))
    return total


def expected(estimate, layout: Layout, frame) -> np.ndarray:
    """E of an estimate from one pair, over all pairs of all prompts: (d,)."""
    pairs, factor, x = layout.outcomes(bernoulli=False)
    flat = frame.policy.reshape(layout.n * layout.m, -1)
    chance = (
        layout.weights[x][:, None] * factor * flat[pairs.first[:, 0]] * flat[pairs.second[:, 0]]
    )
    ones = np.ones((1, 1))
    each = [estimate(Draws(*(a[i : i + 1] for a in pairs[:3]), ones)) for i in range(len(x))]
    return sum(c * e for c, e in zip(chance[:, 0], each, strict=True))[:, 0]


def slope_of(function, at: np.ndarray) -> np.ndarray:
    step = 1e-5
    return np.array([
        (function(at + step * e) - function(at - step * e)) / (2 * step) for e in np.eye(2)
    ])  # fmt: skip


OMEGA, THETA = np.array([0.7, -0.9]), np.array([-0.3, 0.4])


@pytest.fixture
def level() -> tuple[PreferenceProblem, Layout, Level]:
    given = problem()
    layout = Layout(given)
    return given, layout, Level(layout, GAMMA)


def test_upper_derivatives_are_those_of_f(level):
    given, layout, level = level
    frame = level.frame(OMEGA[:, None], THETA[:, None])
    found = expected(lambda d: level.upper_reward(frame, d), layout, frame)
    np.testing.assert_allclose(found, slope_of(lambda w: upper(given, w, THETA), OMEGA), atol=1e-9)
    found = expected(lambda d: level.upper_policy(frame, d), layout, frame)
    np.testing.assert_allclose(found, slope_of(lambda t: upper(given, OMEGA, t), THETA), atol=1e-9)


def test_lower_estimate_is_the_slope_of_h_and_beta_fisher(level):
    given, layout, level = level

    def h(theta: np.ndarray) -> float:
        """E r_ω − β KL(π_θ‖π_ref), by loops."""
        total, ref = 0.0, given.ref_params.astype(float)
        for weight, phi in zip([0.25, 0.75], given.features, strict=True):
            phi = np.asarray(phi, dtype=float)
            pi, start = policy(phi, theta), policy(phi, ref)
            total += weight * BETA * float(pi @ (phi @ (OMEGA - ref)) - pi @ np.log(pi / start))
        return total

    frame = level.frame(OMEGA[:, None], THETA[:, None])
    v = (OMEGA - THETA)[:, None]
    found = expected(lambda d: level.lower(d, v), layout, frame)
    np.testing.assert_allclose(found, slope_of(h, THETA), atol=1e-9)
    np.testing.assert_allclose(found, BETA * fisher(given, THETA) @ v[:, 0], atol=1e-12)


def test_where_the_lower_level_is_solved_f_is_the_objective(level):
    given, layout, level = level
    objective = SAILRevKL(given, GAMMA)
    assert upper(given, OMEGA, OMEGA) == pytest.approx(float(objective.value(OMEGA)), abs=1e-12)
    frame = level.frame(OMEGA[:, None], OMEGA[:, None])
    whole = expected(
        lambda d: level.upper_reward(frame, d) + level.upper_policy(frame, d), layout, frame
    )
    np.testing.assert_allclose(whole, objective.gradient(OMEGA), atol=1e-12)


def limit(method) -> float:
    objective = SAILRevKL(problem(), GAMMA)
    best = maximise(objective, Search(Domain(problem()), "quick", 0))
    assert not best.on_boundary
    run = bilevel_ascent(
        objective, np.zeros(2), method(objective), spawn(0, 2), best=best.value, record=5000
    )
    return float(run.gap[-1].max())


def test_nested_loops_without_noise_reach_the_maximiser():
    def method(objective):
        return Nested.from_constants(objective, inner=2, solve=2, batch=EXACT, steps=1000)

    assert abs(limit(method)) < 1e-10


def test_nested_loops_without_the_implicit_term_do_not(monkeypatch):
    def method(objective):
        return Nested.from_constants(objective, inner=2, solve=2, batch=EXACT, steps=200)

    monkeypatch.setattr(Level, "upper_policy", lambda self, at, draws: np.zeros((2, 2)))
    assert limit(method) > 1e-3


def test_the_penalty_method_is_off_by_the_square_of_one_over_lambda():
    gaps = [
        limit(lambda o, penalty=penalty: Penalty.from_constants(
            o, inner=1, batch=EXACT, steps=400, penalty=penalty))
        for penalty in (2.0, 4.0)
    ]  # fmt: skip
    assert 3.4 < gaps[0] / gaps[1] < 4.6
    assert gaps[1] > 1e-5


def test_a_penalty_of_the_wrong_sign_is_seen(monkeypatch):
    mean = Level.mean
    monkeypatch.setattr(Level, "mean", lambda self, draws: -mean(self, draws))
    wrong = limit(lambda o: Penalty.from_constants(
        o, inner=1, batch=EXACT, steps=400, penalty=4.0))  # fmt: skip
    assert wrong > 1e-3


@pytest.mark.parametrize("batch", [3, 400])
def test_runs_do_not_depend_on_each_other_and_samples_are_counted(batch):
    objective = SAILRevKL(problem(), GAMMA)
    for method in (
        Nested.from_constants(objective, inner=2, solve=3, batch=batch, steps=7),
        Penalty.from_constants(objective, inner=2, batch=batch, steps=7, penalty=2.0),
    ):
        starts = np.array([[0.1, 0.2], [-0.5, 0.3], [0.0, 0.0]])
        together = bilevel_ascent(objective, starts, method, spawn(4, 3), record=2)
        alone = bilevel_ascent(objective, starts[1], method, spawn(4, 3)[1:2], record=2)
        np.testing.assert_array_equal(together.path[:, 1], alone.path[:, 0])
        assert not np.array_equal(together.path[-1, 0], together.path[-1, 2])
        per_step = {Nested: 2 + 3 + 2, Penalty: 2 * 2 + 2}[type(method)]
        np.testing.assert_array_equal(together.samples[:, 0], batch * per_step * together.steps)
        assert 0 < method.labelled < method.batches


def test_a_callback_ends_all_runs():
    objective = SAILRevKL(problem(), GAMMA)
    method = Nested.from_constants(objective, inner=1, solve=1, batch=2, steps=50)
    run = bilevel_ascent(
        objective, np.zeros(2), method, spawn(0, 2), record=10,
        callback=lambda step, steps, theta: step >= 20,
    )  # fmt: skip
    assert list(run.steps) == [0, 10, 20]


@pytest.mark.parametrize(
    ("change", "field"),
    [({"step": 0.0}, "step"), ({"inner_step": -1.0}, "inner_step"), ({"inner": 0}, "inner"),
     ({"batch": 0}, "batch"), ({"steps": -1}, "steps"), ({"batch": 2.5}, "batch")],
)  # fmt: skip
def test_what_is_out_of_range_is_named(change, field):
    good = Nested(0.1, 0.1, 1, 1, 1)
    with pytest.raises(InputError, match=field):
        replace(good, **change)
    with pytest.raises(InputError, match="solve"):
        replace(good, solve=0)
    with pytest.raises(InputError, match="penalty"):
        Penalty(0.1, 0.1, 1, 1, 1, float("nan"))


def test_nothing_moves_where_features_are_equal():
    flat = PreferenceProblem(
        features=[[[1.0], [1.0]]], preferences=[[[0.5, 1.0], [0.0, 0.5]]], beta=0.1, radius=1.0
    )
    with pytest.raises(InputError, match="features"):
        Nested.from_constants(SAIL(flat), inner=1, solve=1, batch=1, steps=1)
