"""What holds on one problem for a field that is no gradient: GRPO's with any rewards, self-play's.

With more than two levels of reward GRPO follows a field h (C32); self-play against its own copy
follows V (C37). Thresholds, a verdict on −(h − γ∇KL(π_ref‖π_θ)) being monotone, and the points
where training comes to rest can still be told.
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
from sailtheory.objectives.algebra import Objective
from sailtheory.objectives.fields import Gain
from sailtheory.objectives.reward_bounds import group_bounds
from sailtheory.objectives.rewards import GroupField, RewardObjective, response_rewards
from sailtheory.objectives.sail import KLRefPolicy, regularised
from sailtheory.objectives.self_play import SelfPlay, WinsAgainst, self_play_bounds
from sailtheory.objectives.target import CurvatureBounds
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.shown import Shown
from sailtheory.theory.reward_methods import reward_method
from sailtheory.verdict import Verdict

__all__ = ["FieldReport", "Rest", "Told", "check_field", "told"]

SCHEMA = "sailtheory.check-field/1"
_LARGE = 1 << 18  # entries of the arrays of groups above which a quick search is a light one


@dataclass(frozen=True)
class Rest:
    """A solution on C of the variational inequality of h − γ∇KL, reached from θ_ref.

    Attributes:
        gamma: γ.
        theta: (d,).
        worth: By the measure of the field.
        kl_ref_policy: E_x KL(π_ref‖π_θ).
        on_boundary: Whether ‖θ − c‖ = B up to rounding.
        settled: Whether the inequality holds to 10⁻¹⁰.
        regret: What a best reply on C gains against it in P − γKL, by search, 0 at an equilibrium
            of the game; None where there is no opponent.
    """

    gamma: float
    theta: np.ndarray
    worth: float
    kl_ref_policy: float
    on_boundary: bool
    settled: bool
    regret: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "gamma": self.gamma, "worth": self.worth, "kl_ref_policy": self.kl_ref_policy,
            "on_boundary": self.on_boundary, "settled": self.settled, "regret": self.regret,
            "theta": self.theta.tolist(),
        }  # fmt: skip


@dataclass(frozen=True)
class Told:
    """What is said of a field.

    Attributes:
        symbol: What it is in a formula.
        title: What tables call it.
        measure: What a policy is worth by.
        objective: That, as an objective.
        bounds: What is certain of its curvature; None when S = {0}.
        settings: Its name and options, as JSON holds them.
        scope: Whether there is an objective, and what then applies, in words.
        claim: What proves it.
        large: Whether a quick search for γ* is a light one.
        levels: The most levels of reward that a prompt has; None without rewards.
    """

    symbol: str
    title: str
    measure: str
    objective: Objective
    bounds: CurvatureBounds | None
    settings: dict[str, Any]
    scope: str
    claim: str
    large: bool = False
    levels: int | None = None

    def worth(self, theta: np.ndarray) -> np.ndarray:
        """What policies are worth: θ (..., d) to (...)."""
        shift = 0.5 if isinstance(self.objective, Gain) else 0.0
        return np.asarray(self.objective.value(np.asarray(theta, dtype=float)) + shift)


_MANY = (
    "With more than two levels of reward GRPO follows a field h that is no gradient (C32): no "
    "objective exists, so concavity, PL, certify, frontier, rates and plot do not apply."
)
_TWO = (
    "No prompt has more than two levels of reward. Written as 0 and 1 (ε over their difference) "
    "they have the objective E f(V), to which every command applies (C31)."
)
_GAME = (
    "Self-play against its own copy follows V = E[P(y₁ ≻ y₂)s₁], which is no gradient (C37): no "
    "objective exists, so concavity, PL, certify, frontier, rates and plot do not apply."
)


def told(field: GroupField | SelfPlay) -> Told:
    """What is said of GRPO's field, or of self-play's."""
    problem = field.problem
    if isinstance(field, SelfPlay):
        return Told(
            "V", "Self-play", "win rate", Gain(problem), self_play_bounds(problem),
            {"name": "self-play", "title": "Self-play"}, _GAME, "C37",
        )  # fmt: skip
    levels = max(len(set(rewards.tolist())) for rewards in response_rewards(problem))
    return Told(
        "h", field.title, "mean reward", RewardObjective(problem, reward_method("reward")),
        group_bounds(field),
        {"name": "grpo", "title": field.title, "group": field.group, "std": field.std,
         "epsilon": float(field.epsilon)},
        _MANY if levels > 2 else _TWO, "C32", field.entries > _LARGE, levels,
    )  # fmt: skip


@dataclass(frozen=True, repr=False)
class FieldReport(Shown):
    """The result of :func:`check_field`.

    Attributes:
        field: h, with its problem.
        told: What is said of it.
        gamma: The γ that was checked.
        gamma_given: False when the least certain threshold was taken.
        effort: Of the searches.
        seed: Of the searches.
        gamma_star: The largest curvature of h relative to F̄ found.
        monotone: Verdict on −(h − γ∇KL) being monotone on C, and where it was decided.
        modulus: γ − K with the least certain K: how strongly it is, relative to A. None unless > 0.
        start: What π_ref is worth.
        best: The policy in C that is worth most.
        price: Solutions at γ = 0, γ, γ* and each bound, by name.
    """

    field: GroupField | SelfPlay
    told: Told
    gamma: float
    gamma_given: bool
    effort: str
    seed: int
    gamma_star: Curvature
    monotone: tuple[Verdict | None, Curvature]
    modulus: float | None
    start: float
    best: Maximiser
    price: dict[str, Rest]

    @property
    def problem(self) -> PreferenceProblem:
        """The problem."""
        return self.field.problem

    @property
    def bounds(self) -> CurvatureBounds | None:
        """What is certain of its curvature; None when S = {0}."""
        return self.told.bounds

    def as_dict(self) -> dict[str, Any]:
        """JSON form; names are stable."""
        from sailtheory import __version__

        says, known, best = self.told, self.bounds, self.best
        return {
            "schema": SCHEMA,
            "version": __version__,
            "seed": self.seed,
            "objective": says.settings,
            "reward_levels": says.levels,
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
                "measure": says.measure,
                "reference": self.start,
                "best": {"worth": float(says.worth(best.theta)),
                         "kl_ref_policy": best.kl_ref_policy,
                         "on_boundary": best.on_boundary, "theta": best.theta.tolist()},
                "solutions": {name: each.as_dict() for name, each in self.price.items()},
            },
        }  # fmt: skip


@np.errstate(over="ignore", under="ignore")
def check_field(
    field: GroupField | SelfPlay,
    gamma: float | None = None,
    effort: str = "quick",
    seed: int = 0,
    progress: Callable[[str], None] = lambda stage: None,
) -> FieldReport:
    """Check the field of GRPO with any rewards, or of self-play, less γ∇KL(π_ref‖π_θ).

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
    says = told(field)
    known = says.bounds
    least = None if known is None else known.least
    used = float((least or 0.0) if gamma is None else gamma)
    require(">=", gamma=used)
    dear = effort == "quick" and says.large
    progress("γ*")
    star = largest_relative_curvature_on(field, Search(domain, "light" if dear else effort, seed))
    progress(f"best {says.measure}")
    best = maximise(says.objective, Search(domain, effort, seed))
    progress("where it comes to rest")
    levels = {
        "zero": 0.0, "gamma": used, "instance": star.value,
        "data": None if known is None or known.data == known.relative else known.data,
        "relative": None if known is None else known.relative,
    }  # fmt: skip
    asked = {name: max(float(level), 0.0) for name, level in levels.items() if level is not None}
    replies = Search(domain, "light", seed)
    rests = {level: _rest(field, says, replies, level) for level in set(asked.values())}
    return FieldReport(
        field=field, told=says, gamma=used, gamma_given=gamma is not None, effort=effort, seed=seed,
        gamma_star=star,
        monotone=monotone(field, used, star, proofs(known, used)),
        modulus=used - least if least is not None and used > least else None,
        start=float(says.worth(problem.ref_params)), best=best,
        price={name: rests[level] for name, level in asked.items()},
    )  # fmt: skip


def _rest(field: GroupField | SelfPlay, says: Told, search: Search, gamma: float) -> Rest:
    domain, problem = search.domain, field.problem
    found = solve(regularised(field, gamma), domain)
    regret = None
    if isinstance(field, SelfPlay):
        reply = regularised(WinsAgainst(problem, found.theta), gamma)
        best = maximise(reply, search, found.theta[None], concave=gamma >= 1)
        regret = max(best.value - float(reply.value(found.theta)), 0.0)
    return Rest(
        gamma=gamma,
        theta=found.theta,
        worth=float(says.worth(found.theta)),
        kl_ref_policy=float(KLRefPolicy(problem).value(found.theta)),
        on_boundary=bool(domain.on_boundary(domain.coordinates(found.theta))),
        settled=found.found,
        regret=regret,
    )
