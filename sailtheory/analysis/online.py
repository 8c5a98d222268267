"""Online DPO beside SAIL: the γ that each needs, and what the policies that they end at earn.

Online DPO follows V − γ∇KL(π_ref‖π_θ), the gradient of J_γ without its score term (C29). J is
not reward (C28), so that both are compared by win rate, and by reward where it is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sailtheory.analysis.monotone import monotone, monotone_dict
from sailtheory.landscape.concavity import Curvature, largest_relative_curvature_on
from sailtheory.landscape.maximiser import Maximiser, gain, maximise
from sailtheory.landscape.search import Search
from sailtheory.landscape.solution import solve
from sailtheory.numeric.enclose import float_above
from sailtheory.numeric.numbers import arb_numbers
from sailtheory.objectives.fields import (
    ExpectedReward,
    Gain,
    OnlineDPO,
    OnlineDPORevKL,
    has_rewards,
)
from sailtheory.objectives.sail import KLRefPolicy
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.problem.reduced import ProblemPrompts, Reduced, ranges, reduced
from sailtheory.theory import field_bound
from sailtheory.verdict import Evidence, Verdict, enough

__all__ = [
    "FIELD_STRENGTHS",
    "Earned",
    "FieldThresholds",
    "OnlineReport",
    "field_thresholds",
    "online_report",
]

FIELD_STRENGTHS = {
    "instance": "supported",
    "data": "certified",
    "relative": "proved",
    "limit": "proved",
}
"""What each threshold of the field rests on."""

_LARGE = 1 << 13  # entries of the features above which a quick search is a light one
_LEAST_GAIN = 1e-12


@dataclass(frozen=True)
class FieldThresholds:
    """How large must γ be for online DPO? None when S = {0}; they fall to γ*_V.

    Attributes:
        instance: γ*_V, the best lower bound found by search on this problem.
        data: K_V of the prompts' own preferences and ranges, the largest (C36); for a prompt of
            two responses an upper bound of its γ*_V, which is tighter.
        relative: K_V = 2βσ(Z) − 2β²σ'(Z) at Z_max (C36).
        limit: 2β, whatever B, the preferences and π_ref are (C29).
    """

    instance: float | None
    data: float | None
    relative: float | None
    limit: float | None

    def proofs(self, gamma: float) -> list[Evidence]:
        """Why −(V − γ∇KL) is monotone on C; empty where nothing certain says so."""
        if self.relative is None or self.data is None:
            return []
        data = f"γ ≥ {self.data:.6g}, K_V of each prompt's preferences (C36)"
        proved = self.relative, "γ ≥ 2βσ(Z) − 2β²σ'(Z) (C36)"
        return enough(gamma, proved, (self.data, data))


@dataclass(frozen=True)
class Earned:
    """What a policy is worth.

    Attributes:
        gamma: The γ that it belongs to; None for the best policy in C.
        theta: (d,).
        win_rate: Against π_ref.
        gain: win_rate − ½.
        share: gain over the largest on C; None where no policy gains.
        reward: E_x E_π r; None where rewards are not known.
        reward_share: How far from π_ref's to the largest mean reward on C.
        kl_ref_policy: E_x KL(π_ref‖π_θ).
        on_boundary: Whether ‖θ − c‖ = B up to rounding.
        settled: Whether the maximiser is one on which searches agree, or the inequality holds
            to 10⁻¹⁰.
    """

    gamma: float | None
    theta: np.ndarray
    win_rate: float
    gain: float
    share: float | None
    reward: float | None
    reward_share: float | None
    kl_ref_policy: float
    on_boundary: bool
    settled: bool

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self) | {"theta": self.theta.tolist()}


@dataclass(frozen=True)
class OnlineReport:
    """Online DPO on one problem, beside SAIL.

    Attributes:
        gamma_star: The largest relative curvature of the field found.
        monotone: Verdict on −(V − γ∇KL) being monotone on C, and where it was decided.
        thresholds: For the field.
        best: The best policy in C, by win rate.
        sail: What maximisers of J_γ earn: at γ = 0, at the γ in use, at the least γ that is
            certain and at K_B (``zero``, ``gamma``, ``certain``, ``proved``).
        online: The same for solutions of V − γ∇KL, ``proved`` at K_V; at γ below γ*_V there may
            be several, and the one reached from θ_ref is taken.
    """

    gamma_star: Curvature
    monotone: tuple[Verdict | None, Curvature]
    thresholds: FieldThresholds
    best: Earned
    sail: dict[str, Earned]
    online: dict[str, Earned]

    def as_dict(self) -> dict[str, Any]:
        """JSON form; names are stable."""
        return {
            "thresholds": asdict(self.thresholds),
            "strengths": FIELD_STRENGTHS,
            "monotone": monotone_dict(self.monotone),
            "earned": {
                "best": self.best.as_dict(),
                "sail": {name: each.as_dict() for name, each in self.sail.items()},
                "online": {name: each.as_dict() for name, each in self.online.items()},
            },
        }


def field_thresholds(problem: PreferenceProblem, instance: float | None = None) -> FieldThresholds:
    """The thresholds of the field; ``instance`` is γ*_V where a search found one."""
    beta = float(problem.beta)
    found = [
        _of_prompts(data.take(data.moves), beta).max()
        for data in reduced(ProblemPrompts(problem))
        if data.moves.any()
    ]
    if not found:
        return FieldThresholds(None, None, None, None)
    xp = arb_numbers()
    b, z = xp.asarray(np.array([beta, problem.z_max_above]))
    closed = float_above(field_bound.field_bound(xp, b, z))
    data_bound = min(float(max(found)), closed)
    return FieldThresholds(instance, data_bound, closed, field_bound.field_limit(beta))


def _of_prompts(data: Reduced, beta: float) -> np.ndarray:
    """A bound of each prompt's γ*_V, (k,)."""
    k, l = np.triu_indices(data.responses, 1)  # noqa: E741
    low, high = (each[:, k, l] for each in ranges(data, beta))
    pairs = data.preference[:, k, l]
    bound = field_bound.field_data_bound(beta, pairs, low, high)
    if data.responses > 2:
        return bound
    odds = data.log_ref[:, 0] - data.log_ref[:, 1]
    alone = field_bound.field_two_bound(
        beta, pairs[:, 0], odds, low[:, 0], high[:, 0], 2 * data.error
    )
    return np.asarray(np.minimum(bound, alone))


def online_report(
    problem: PreferenceProblem,
    gamma: float,
    search: Search,
    sail: Mapping[str, tuple[float, Maximiser]],
    progress: Callable[[str], None] = lambda stage: None,
) -> OnlineReport:
    """Online DPO's thresholds, and what it and SAIL earn.

    Args:
        problem: The problem.
        gamma: The γ in use.
        search: Its domain, effort and seed apply; for a large problem a quick one is made light.
        sail: Maximisers of J_γ and their γ, by the names of :class:`OnlineReport`.
        progress: Called with the name of each stage.
    """
    domain = search.domain
    if search.effort == "quick" and not domain.small(_LARGE):
        search = Search(domain, "light", search.seed)
    progress("γ* of online DPO")
    field = OnlineDPO(problem)
    star = largest_relative_curvature_on(field, search)
    thresholds = field_thresholds(problem, star.value)
    progress("what each earns")
    best = maximise(Gain(problem), search)
    worth = _Worth(problem, search, best.gain)
    levels = {"zero": 0.0, "gamma": gamma, "certain": thresholds.data,
              "proved": thresholds.relative}  # fmt: skip
    online = {name: max(at, 0.0) for name, at in levels.items() if at is not None}
    solved = {at: solve(OnlineDPORevKL(problem, at), domain) for at in set(online.values())}
    return OnlineReport(
        gamma_star=star,
        monotone=monotone(field, gamma, star, thresholds.proofs(gamma), "γ*_V"),
        thresholds=thresholds,
        best=worth(None, best.theta, best.trusted),
        sail={name: worth(at, each.theta, each.trusted) for name, (at, each) in sail.items()},
        online={name: worth(at, solved[at].theta, solved[at].found) for name, at in online.items()},
    )


class _Worth:
    """Makes :class:`Earned` of a policy."""

    def __init__(self, problem: PreferenceProblem, search: Search, best: float) -> None:
        self._problem, self._domain, self._best = problem, search.domain, best
        self._reward = ExpectedReward(problem) if has_rewards(problem) else None
        self._start = self._room = 0.0
        if self._reward is not None and search.domain.dimension:
            self._start = float(self._reward.value(problem.ref_params))
            top = maximise(self._reward, search).value
            self._room = top - self._start

    def __call__(self, gamma: float | None, theta: np.ndarray, settled: bool) -> Earned:
        ahead, domain = float(gain(self._problem, theta)), self._domain
        reward = share = None
        if self._reward is not None:
            reward = float(self._reward.value(theta))
            if self._room > _LEAST_GAIN * (1 + abs(self._start)):
                share = (reward - self._start) / self._room
        return Earned(
            gamma=gamma,
            theta=theta,
            win_rate=0.5 + ahead,
            gain=ahead,
            share=ahead / self._best if self._best > _LEAST_GAIN else None,
            reward=reward,
            reward_share=share,
            kl_ref_policy=float(KLRefPolicy(self._problem).value(theta)),
            on_boundary=bool(domain.on_boundary(domain.coordinates(theta))),
            settled=settled,
        )
