"""What holds on one problem for GRPO with rewards that are not 0 and 1: it follows a field (C32).

With more than two levels of reward what GRPO follows is no gradient. Its threshold, a verdict on
−(h − γ∇KL(π_ref‖π_θ)) being monotone, and the points where it comes to rest can still be told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sailtheory.analysis.certain import proofs
from sailtheory.analysis.monotone import monotone, monotone_dict
from sailtheory.analysis.target_check import STRENGTHS, problem_dict
from sailtheory.errors import require
from sailtheory.landscape.concavity import Curvature, largest_relative_curvature_on
from sailtheory.landscape.domain import Domain
from sailtheory.landscape.maximiser import Maximiser, maximise
from sailtheory.landscape.search import Search
from sailtheory.landscape.solution import solve
from sailtheory.objectives.reward_bounds import group_bounds
from sailtheory.objectives.rewards import GroupField, RewardObjective, response_rewards
from sailtheory.objectives.sail import KLRefPolicy, regularised
from sailtheory.objectives.target import CurvatureBounds
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.shown import Shown
from sailtheory.theory.reward_methods import reward_method
from sailtheory.verdict import Verdict

__all__ = ["FieldReport", "Rest", "check_field"]

SCHEMA = "sailtheory.check-field/1"
_LARGE = 1 << 18  # entries of the arrays of groups above which a quick search is a light one


@dataclass(frozen=True)
class Rest:
    """A solution on C of the variational inequality of h − γ∇KL, reached from θ_ref.

    Attributes:
        gamma: γ.
        theta: (d,).
        worth: The mean reward.
        kl_ref_policy: E_x KL(π_ref‖π_θ).
        on_boundary: Whether ‖θ − c‖ = B up to rounding.
        settled: Whether the inequality holds to 10⁻¹⁰.
    """

    gamma: float
    theta: np.ndarray
    worth: float
    kl_ref_policy: float
    on_boundary: bool
    settled: bool

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "gamma": self.gamma, "worth": self.worth, "kl_ref_policy": self.kl_ref_policy,
            "on_boundary": self.on_boundary, "settled": self.settled, "theta": self.theta.tolist(),
        }  # fmt: skip


@dataclass(frozen=True, repr=False)
class FieldReport(Shown):
    """The result of :func:`check_field`.

    Attributes:
        field: h, with its problem.
        gamma: The γ that was checked.
        gamma_given: False when the least certain threshold was taken.
        effort: Of the searches.
        seed: Of the searches.
        levels: The most levels of reward that a prompt has: from three on h is no gradient.
        gamma_star: The largest curvature of h relative to F̄ found.
        bounds: What is certain of it; None when S = {0}.
        monotone: Verdict on −(h − γ∇KL) being monotone on C, and where it was decided.
        modulus: γ − K with the least certain K: how strongly it is, relative to A. None unless > 0.
        start: The mean reward of π_ref.
        best: The policy in C of the largest mean reward.
        price: Solutions at γ = 0, γ, γ* and each bound, by name.
    """

    field: GroupField
    gamma: float
    gamma_given: bool
    effort: str
    seed: int
    levels: int
    gamma_star: Curvature
    bounds: CurvatureBounds | None
    monotone: tuple[Verdict | None, Curvature]
    modulus: float | None
    start: float
    best: Maximiser
    price: dict[str, Rest]

    @property
    def problem(self) -> PreferenceProblem:
        """The problem."""
        return self.field.problem

    def as_dict(self) -> dict[str, Any]:
        """JSON form; names are stable."""
        from sailtheory import __version__

        field, known, best = self.field, self.bounds, self.best
        return {
            "schema": SCHEMA,
            "version": __version__,
            "seed": self.seed,
            "objective": {
                "name": "grpo", "title": field.title, "group": field.group, "std": field.std,
                "epsilon": float(field.epsilon),
            },
            "reward_levels": self.levels,
            "problem": problem_dict(self.problem),
            "gamma": self.gamma,
            "monotone": monotone_dict(self.monotone) | {"modulus": self.modulus},
            "thresholds": {
                "instance": self.gamma_star.value,
                "data": None if known is None else known.data,
                "relative": None if known is None else known.relative,
            },
            "strengths": STRENGTHS,
            "worth": {
                "measure": "mean reward",
                "reference": self.start,
                "best": {"worth": best.value, "kl_ref_policy": best.kl_ref_policy,
                         "on_boundary": best.on_boundary, "theta": best.theta.tolist()},
                "solutions": {name: each.as_dict() for name, each in self.price.items()},
            },
        }  # fmt: skip


@np.errstate(over="ignore", under="ignore")
def check_field(
    field: GroupField,
    gamma: float | None = None,
    effort: str = "quick",
    seed: int = 0,
    progress: Callable[[str], None] = lambda stage: None,
) -> FieldReport:
    """Check the field of GRPO with any rewards, less γ∇KL(π_ref‖π_θ) (C32).

    Args:
        field: h, with its problem.
        gamma: γ ≥ 0; by default the least certain threshold.
        effort: ``quick`` or ``full``; where groups are many, a quick search for γ* is a light one.
        seed: Seed of the search.
        progress: Called with the name of each stage as it begins.

    Raises:
        InputError: γ negative or not finite.
    """
    problem = field.problem
    domain = Domain(problem)
    known = group_bounds(field)
    least = None if known is None else known.least
    used = float((least or 0.0) if gamma is None else gamma)
    require(">=", gamma=used)
    dear = effort == "quick" and field.entries > _LARGE
    progress("γ*")
    star = largest_relative_curvature_on(field, Search(domain, "light" if dear else effort, seed))
    progress("best mean reward")
    reward = RewardObjective(problem, reward_method("reward"))
    best = maximise(reward, Search(domain, effort, seed))
    progress("where it comes to rest")
    levels = {
        "zero": 0.0, "gamma": used, "instance": star.value,
        "data": None if known is None or known.data == known.relative else known.data,
        "relative": None if known is None else known.relative,
    }  # fmt: skip
    asked = {name: max(float(level), 0.0) for name, level in levels.items() if level is not None}
    rests = {level: _rest(field, reward, domain, level) for level in set(asked.values())}
    return FieldReport(
        field=field, gamma=used, gamma_given=gamma is not None, effort=effort, seed=seed,
        levels=max(len(set(rewards.tolist())) for rewards in response_rewards(problem)),
        gamma_star=star, bounds=known,
        monotone=monotone(field, used, star, proofs(known, used)),
        modulus=used - least if least is not None and used > least else None,
        start=float(reward.value(problem.ref_params)), best=best,
        price={name: rests[level] for name, level in asked.items()},
    )  # fmt: skip


def _rest(field: GroupField, reward: RewardObjective, domain: Domain, gamma: float) -> Rest:
    found = solve(regularised(field, gamma), domain)
    return Rest(
        gamma=gamma,
        theta=found.theta,
        worth=float(reward.value(found.theta)),
        kl_ref_policy=float(KLRefPolicy(field.problem).value(found.theta)),
        on_boundary=bool(domain.on_boundary(domain.coordinates(found.theta))),
        settled=found.found,
    )
