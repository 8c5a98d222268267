"""How large γ must be for a method of rewards on one problem, for certain (C30 to C32).

K holds for every problem; what a prompt can need is told by the pass rates that its policies can
have on C. With q = (1 − V)f' and w' = (V(1 − V)f')' ≤ q, every policy of a prompt has ∇²f ⪯ qF,
and ∇²f ⪯ max(w', 0)F where one response alone is correct, as q then has no direction. q falls in
V, so that its largest value is at the least pass rate; w' is enclosed on pieces of the range of
pass rates. All of it in ball arithmetic. The field of any rewards (C32) is bounded by their range.
"""

from __future__ import annotations

import numpy as np

from sailtheory.numeric.balls import BALLS, Balls
from sailtheory.numeric.numbers import FLOAT64, Array, NumberSystem
from sailtheory.objectives.rewards import GroupField, RewardObjective, response_rewards
from sailtheory.objectives.target import CurvatureBounds, nothing_moves
from sailtheory.problem.blocks import Block
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory.reward_methods import group_field_bound
from sailtheory.theory.reward_slopes import RewardMethod

__all__ = ["group_bounds", "pass_rate_ranges", "reward_bounds"]

_ABOVE = 1 + 2.0**-40  # beyond what float64 adds to an eigenvalue that a search compares
_CELLS, _MOST_PIECES = 1 << 16, 512  # of the ranges of log-odds of prompts, and of one
_SHOWN = 8


def pass_rate_ranges(problem: PreferenceProblem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log-odds of V_x at θ_ref, and the least and the largest on C, for binary rewards.

    They change by a mean of δᵀ(φ_k − φ_l) over correct k and wrong l, so by no more than its
    extremes over the ball. Rounding is covered as in ``PreferenceProblem.z_max_above``.

    Returns:
        (n,) each; ±∞ where every response is correct or wrong.
    """
    n = problem.prompts
    start, low, high = (np.zeros(n) for _ in range(3))
    shift = np.linalg.norm(problem.center.astype(float)) + np.linalg.norm(problem.ref_params)
    size = (float(problem.radius) + float(shift)) * problem.feature_norm
    room = 8 * (problem.dimension + 8) * float(np.finfo(float).eps) * (1 + size)
    rewards = response_rewards(problem)
    for block in problem.blocks():
        hits = np.stack([rewards[x].astype(float) for x in block.prompts])
        least, largest = _moves(problem, block, hits)
        odds = _log_odds(block.log_ref, hits)
        start[block.prompts] = odds
        slack = room + 2.0**-40 * (1 + np.where(np.isfinite(odds), abs(odds), 0))
        low[block.prompts] = odds + least - slack
        high[block.prompts] = odds + largest + slack
    return start, low, high


def _log_odds(log_ref: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """log V/(1 − V) of π_ref: (n, m) to (n,)."""
    with np.errstate(divide="ignore"):
        right, wrong = (np.logaddexp.reduce(log_ref + np.log(h), axis=-1) for h in (hits, 1 - hits))
    return np.asarray(right - wrong)


def _moves(
    problem: PreferenceProblem, block: Block, hits: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The extremes over C of δᵀ(φ_k − φ_l), k correct and l wrong: (n,) each."""
    offset, radius = problem.center.astype(float) - problem.ref_params, float(problem.radius)
    phi = block.features
    least, largest = np.zeros(len(phi)), np.zeros(len(phi))
    for k in range(phi.shape[1]):
        for j in range(phi.shape[1]):
            if k == j:
                continue
            counts = (hits[:, k] == 1) & (hits[:, j] == 0)
            gap = phi[:, k] - phi[:, j]
            middle, reach = gap @ offset, radius * np.linalg.norm(gap, axis=-1)
            least = np.where(counts, np.minimum(least, middle - reach), least)
            largest = np.where(counts, np.maximum(largest, middle + reach), largest)
    return least, largest


def reward_bounds(objective: RewardObjective) -> CurvatureBounds | None:
    """Bounds of the curvature of a method on a problem; None where no policy moves.

    Args:
        objective: With its problem.
    """
    method, problem = objective.method, objective.problem
    if nothing_moves(problem):
        return None
    k, lower = (_up(bound) for bound in (method.threshold(BALLS), method.lower(BALLS)))
    rewards = [r.astype(float) for r in response_rewards(problem)]
    if not all(np.isin(r, (0, 1)).all() for r in rewards):
        assert k is not None  # f is linear
        return _linear(objective, k, rewards)
    start, low, high = pass_rate_ranges(problem)
    moving = np.isfinite(start)
    correct = np.array([int(r.sum()) for r in rewards])
    path, most, back = (np.zeros(len(start)) for _ in range(3))
    path[moving] = method.path(FLOAT64, *_rates(FLOAT64, start[moving]))
    most[moving] = method.path(BALLS, *_rates(BALLS, low[moving])).upper
    back[moving] = method.lower_up_to(BALLS, *_rates(BALLS, high[moving])).upper
    single = np.flatnonzero(moving & (correct == 1))
    if len(single):
        sharper = _of_single(method, low[single], high[single])
        most[single] = np.fmin(most[single], sharper)  # nan where balls are too wide
    most *= _ABOVE
    back *= _ABOVE
    if k is not None:
        most = np.minimum(most, k)
    top = float(most.max(initial=0.0))
    floor = float(back.max(initial=0.0))
    least = FLOAT64.sigmoid(low)
    order = np.argsort(-most)[:_SHOWN]
    return CurvatureBounds(
        relative=k,
        data=top if np.isfinite(top) else None,
        prompts=most,
        lower=floor if lower is None else min(floor, lower),
        path=path,
        seen={int(x): f"V ≥ {least[x]:.3g}" for x in order},
        claims="C30, C31",
        data_claims="the pass rates that each prompt can have on C (C31)",
    )


def _linear(objective: RewardObjective, k: float, rewards: list[np.ndarray]) -> CurvatureBounds:
    """K times the range of the rewards (C30)."""
    ranges = np.array([np.ptp(r) for r in rewards])
    best = np.array([r.max() for r in rewards])
    most = k * ranges * _ABOVE
    order = np.argsort(-ranges)[:_SHOWN]
    bound = float(most.max())
    return CurvatureBounds(
        relative=bound,
        data=bound,
        prompts=most,
        lower=bound,
        path=k * (best - objective.pass_rates(objective.problem.ref_params)),
        seen={int(x): f"range {ranges[x]:.3g}" for x in order},
        claims="C30",
        data_claims="the range of each prompt's rewards (C30)",
    )


def group_bounds(field: GroupField) -> CurvatureBounds | None:
    """Bounds of GRPO's field with any rewards, of sym(Dh) relative to F̄ (C32).

    ε makes a prompt's bound smaller, by how much depends on the range of its rewards.

    Args:
        field: With its problem.

    Returns:
        None where no policy moves.
    """
    if nothing_moves(field.problem):
        return None
    spans = np.array([np.ptp(r.astype(float)) for r in response_rewards(field.problem)]) * _ABOVE
    most, varied = np.zeros(len(spans)), spans > 0
    of_prompts = group_field_bound(BALLS, field.group, spans[varied], field.std, field.epsilon)
    most[varied] = of_prompts.upper * _ABOVE
    bound = _up(group_field_bound(BALLS, field.group, np.ones(1), field.std)[0])
    assert bound is not None
    data = min(float(most.max()), bound)
    return CurvatureBounds(
        relative=bound,
        data=data,
        prompts=np.minimum(most, bound),
        lower=data,
        claims="C32",
        scope="whatever the rewards, the problem and B",
        data_claims="the range of each prompt's rewards, and ε (C32)" if field.epsilon else "",
    )


def _of_single(method: RewardMethod, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Sup of max(w', 0) over pass rates with log-odds between two ends: (n,) each to (n,)."""
    pieces = int(np.clip(_CELLS // len(low), 8, _MOST_PIECES))
    share = (np.arange(pieces) + 0.5) / pieces
    width = (high - low)[:, None]
    middle = low[:, None] + width * share
    odds = Balls(middle, width * (0.5 / pieces) * _ABOVE + 2.0**-50 * (1 + abs(middle)))
    with np.errstate(all="ignore"):
        hit, miss = (1 / (1 + BALLS.exp(each)) for each in (-odds, odds))
        turn = method.turn(BALLS, hit, miss)
    return np.asarray(np.maximum(turn.upper, 0.0).max(-1))


def _rates(xp: NumberSystem, odds: Array) -> tuple[Array, Array]:
    """V and 1 − V at log-odds."""
    return xp.sigmoid(odds), xp.sigmoid(-odds)


def _up(bound: Array | None) -> float | None:
    return None if bound is None else float(bound.upper) * _ABOVE
