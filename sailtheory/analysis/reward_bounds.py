"""How large γ must be for a method of rewards on one problem, for certain (C30, C31).

K holds for every problem, K_data for the pass rates that this problem's policies can have on C.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sailtheory.numeric.numbers import FLOAT64
from sailtheory.objectives.rewards import RewardObjective, response_rewards
from sailtheory.problem.blocks import Block
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory.reward_methods import RewardMethod
from sailtheory.verdict import Evidence, Outcome, Strength

__all__ = ["RewardLadder", "pass_rate_ranges", "reward_ladder"]

_ABOVE = 1 + 2.0**-40


@dataclass(frozen=True)
class RewardLadder:
    """Bounds of γ* that hold for sure; None where infinite or nothing moves.

    Attributes:
        relative: K of the method, times the range of the rewards where they are not binary.
        data: The largest of (1 − V)f' at the least pass rate that a prompt can have on C.
        lower: K⁻, at the largest pass rates.
        path: (1 − p)f'(p) of each prompt at θ_ref, its path threshold alone, (n,).
        worst: The prompts that set ``data``: position, least pass rate, bound.
    """

    relative: float | None
    data: float | None
    lower: float | None
    path: np.ndarray
    worst: tuple[tuple[int, float, float], ...]

    @property
    def least(self) -> float | None:
        """The least γ that is known to suffice."""
        known = [bound for bound in (self.relative, self.data) if bound is not None]
        return min(known) if known else None

    def proofs(self, gamma: float, strict: bool = False) -> list[Evidence]:
        """Why J_γ is concave on C, or (``strict``) strongly concave on S; empty without."""

        def enough(bound: float | None) -> bool:
            return bound is not None and (gamma > bound if strict else gamma >= bound)

        sign = ">" if strict else "≥"
        if enough(self.relative):
            said = f"γ {sign} K (C30, C31)"
            return [Evidence("argument", said, Outcome.HOLDS, Strength.PROVED)]
        if enough(self.data):
            said = f"γ {sign} {self.data:.6g}, (1 − V)f' at the least pass rate on C (C31)"
            return [Evidence("certificate", said, Outcome.HOLDS, Strength.CERTIFIED)]
        return []


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


def reward_ladder(objective: RewardObjective) -> RewardLadder:
    """Bounds of γ* of a method on a problem.

    Args:
        objective: With its problem.
    """
    method, problem = objective.method, objective.problem
    k, lower = method.threshold(FLOAT64), method.lower(FLOAT64)
    rewards = [r.astype(float) for r in response_rewards(problem)]
    if not all(np.isin(r, (0, 1)).all() for r in rewards):  # f is linear
        assert k is not None
        ranges = np.array([np.ptp(r) for r in rewards])
        best = np.array([r.max() for r in rewards])
        bound = float(k) * float(ranges.max()) * _ABOVE
        path = float(k) * (best - objective.pass_rates(problem.ref_params))
        order = np.argsort(-ranges)[:8]
        worst = tuple((int(x), float(rewards[x].min()), float(k * ranges[x])) for x in order)
        return RewardLadder(bound, bound, bound, path, worst)
    start, low, high = pass_rate_ranges(problem)
    moving = np.isfinite(start)
    path, data, back = (np.zeros(len(start)) for _ in range(3))
    path[moving] = _at(method, start[moving], "path")
    data[moving] = _at(method, low[moving], "path") * _ABOVE
    back[moving] = _at(method, high[moving], "lower_up_to") * _ABOVE
    top = float(data.max(initial=0.0))
    rates = FLOAT64.sigmoid(low)
    worst = tuple((int(x), float(rates[x]), float(data[x])) for x in np.argsort(-data)[:8])
    floor = float(back.max(initial=0.0))
    return RewardLadder(
        relative=None if k is None else float(k) * _ABOVE,
        data=top if k is None else min(top, float(k) * _ABOVE),
        lower=floor if lower is None else min(floor, float(lower) * _ABOVE),
        path=path,
        worst=worst,
    )


def _at(method: RewardMethod, odds: np.ndarray, which: str) -> np.ndarray:
    hit, miss = FLOAT64.sigmoid(odds), FLOAT64.sigmoid(-odds)
    return np.asarray(getattr(method, which)(FLOAT64, hit, miss))
