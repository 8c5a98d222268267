"""What holds on one problem for an objective other than SAIL, less γKL(π_ref‖π_θ)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sailtheory.analysis.certain import certain, proofs
from sailtheory.errors import InputError
from sailtheory.landscape.concavity import (
    Curvature,
    concavity,
    largest_curvature_on,
    largest_relative_curvature_on,
)
from sailtheory.landscape.domain import Domain
from sailtheory.landscape.fisher import least_fisher
from sailtheory.landscape.maximiser import Maximiser, maximise
from sailtheory.landscape.pencil import largest_curvature
from sailtheory.landscape.pl import PLConstant, Slopes, pl_constant
from sailtheory.landscape.search import Search
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.objectives.algebra import Objective
from sailtheory.objectives.sail import regularised
from sailtheory.objectives.target import CurvatureBounds, Target
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.shown import Shown
from sailtheory.theory import bounds
from sailtheory.verdict import Verdict

__all__ = ["STRENGTHS", "TargetReport", "Worth", "check_target", "problem_dict"]

SCHEMA = "sailtheory.check-objective/1"
STRENGTHS = {"instance": "supported", "data": "certified", "relative": "proved"}
"""What each threshold rests on."""


@dataclass(frozen=True)
class Worth:
    """A maximiser of J_γ on C.

    Attributes:
        gamma: γ.
        worth: What it is worth, by the measure of the target.
        best: The maximiser.
    """

    gamma: float
    worth: float
    best: Maximiser


@dataclass(frozen=True, repr=False)
class TargetReport(Shown):
    """The result of :func:`check_target`.

    Attributes:
        target: The objective, with its problem.
        gamma: The γ that was checked.
        gamma_given: False when the least certain threshold was taken.
        effort: Of the searches.
        seed: Of the searches.
        plain: Verdict on the concavity of the objective, and where it was decided.
        penalised: The same for J_γ.
        gamma_star: The largest relative curvature found.
        bounds: What is proved or certified of the curvature; None when S = {0}.
        pl: Plain and prox PL constants of J_γ.
        mu: Strong concavity modulus (C12); None unless γ is above the least certain threshold.
        smoothness: Λ (C12); None where K⁻ is infinite.
        factor: Mirror ascent's 1 − (γ − K)/(γ + K⁻) with the least certain K (C17).
        start: Worth of π_ref.
        price: Maximisers at γ = 0 and at each threshold, by name.
    """

    target: Target
    gamma: float
    gamma_given: bool
    effort: str
    seed: int
    plain: tuple[Verdict | None, Curvature]
    penalised: tuple[Verdict | None, Curvature]
    gamma_star: Curvature
    bounds: CurvatureBounds | None
    pl: tuple[PLConstant, PLConstant]
    mu: float | None
    smoothness: float | None
    factor: float | None
    start: float
    price: dict[str, Worth]

    @property
    def problem(self) -> PreferenceProblem:
        """The problem."""
        return self.target.problem

    def as_dict(self) -> dict[str, Any]:
        """JSON form; names are stable."""
        from sailtheory import __version__

        known, target = self.bounds, self.target
        return {
            "schema": SCHEMA,
            "version": __version__,
            "seed": self.seed,
            "objective": {"name": target.name, "title": target.title, **target.settings()},
            "problem": problem_dict(self.problem),
            "gamma": self.gamma,
            "concavity": {
                "objective": _verdict(*self.plain), "penalised": _verdict(*self.penalised),
            },
            "thresholds": {
                "instance": self.gamma_star.value,
                "data": None if known is None else known.data,
                "relative": None if known is None else known.relative,
            },
            "strengths": STRENGTHS,
            "prompt_thresholds": _listed(None if known is None else known.prompts),
            "path_thresholds": _listed(None if known is None else known.path),
            "pl": {
                kind: _pl(found) for kind, found in zip(("plain", "prox"), self.pl, strict=True)
            },
            "constants": {
                "mu": self.mu,
                "smoothness": self.smoothness,
                "k_minus": None if known is None else known.lower,
                "mirror_factor": self.factor,
            },
            "worth": {"measure": target.measure, "reference": self.start} | {
                name: {"gamma": each.gamma, "worth": each.worth,
                       "kl_ref_policy": each.best.kl_ref_policy,
                       "on_boundary": each.best.on_boundary, "theta": each.best.theta.tolist()}
                for name, each in self.price.items()
            },
        }  # fmt: skip


def problem_dict(problem: PreferenceProblem) -> dict[str, Any]:
    """The sizes of a problem, as reports have them in JSON."""
    return {
        "prompts": problem.prompts,
        "responses": list(problem.responses),
        "dimension": problem.dimension,
        "span_dimension": problem.span.dimension,
        "radius": float(problem.radius),
    }


def _listed(values: np.ndarray | None) -> list[float] | None:
    return None if values is None else [float(v) for v in values]


def _verdict(verdict: Verdict | None, point: Curvature) -> dict[str, Any]:
    strength = verdict.strength if verdict else None
    found = point.value is not None
    return {
        "verdict": verdict.outcome.value if verdict else None,
        "strength": strength.value if strength else None,
        "max_eigenvalue": point.value,
        "theta": point.theta.tolist() if found else None,
    }


def _pl(found: PLConstant) -> dict[str, Any]:
    verdict = found.verdict
    strength = verdict.strength if verdict else None
    return {
        "verdict": verdict.outcome.value if verdict else None,
        "strength": strength.value if strength else None,
        "constant": found.constant,
    }


@np.errstate(over="ignore", under="ignore")
def check_target(
    target: Target,
    gamma: float | None = None,
    effort: str = "quick",
    seed: int = 0,
    progress: Callable[[str], None] = lambda stage: None,
) -> TargetReport:
    """Check the landscape of an objective less γKL(π_ref‖π_θ).

    Args:
        target: The objective, with its problem.
        gamma: γ ≥ 0; by default the least certain threshold.
        effort: ``quick`` or ``full``.
        seed: Seed of the search.
        progress: Called with the name of each stage as it begins.

    Raises:
        InputError: γ negative or not finite.
    """
    objective, problem = target.objective, target.problem
    domain = Domain(problem)
    search = Search(domain, effort, seed)
    progress("thresholds by prompt")
    known = certain(target, effort)
    least = None if known is None else known.least
    used = (least or 0.0) if gamma is None else gamma
    if not (np.isfinite(used) and used >= 0):
        raise InputError("gamma", gamma, "a finite γ ≥ 0 is required")
    penalised = regularised(objective, used)
    progress("γ*")
    star = largest_relative_curvature_on(objective, search)
    progress("curvature")
    steepest, worst = (_steepest(each, search, star) for each in (objective, penalised))
    progress("maximiser")
    best = maximise(penalised, search, concave=least is not None and used >= least)
    lower = None if known is None else known.lower
    smooth = mu = factor = None
    if lower is not None and np.isfinite(lower):
        smooth = float(bounds.smoothness(used, lower, problem.feature_diameter))
    progress("PL constants")
    rough = Search(domain, "light", seed) if search.spectra_are_dear else search
    strict = proofs(known, used, strict=True)
    slopes = Slopes(penalised, domain)
    plain = pl_constant(penalised, rough, best, "plain", smooth or 1.0, strict, slopes)
    prox = pl_constant(penalised, rough, best, "prox", smooth or 1.0, strict, slopes)
    stops = [pl.convex for pl in (plain, prox) if pl.convex is not None]
    convex = [*([star] if star.value is not None and star.value > used else []), *stops]
    others = [p for p in (star, worst) if p.value is not None and p.value > 0] + stops
    lam = least_fisher(domain)
    if least is not None and used > least:
        if lower is not None and np.isfinite(lower):
            factor = float(bounds.contraction(used - least, used + lower))
        if lam > 0:
            mu = float(bounds.strong_concavity(
                FLOAT64, used, least, problem.feature_diameter, float(problem.radius), lam
            ))  # fmt: skip
    progress("price of the guarantee")
    return TargetReport(
        target=target, gamma=float(used), gamma_given=gamma is not None,
        effort=effort, seed=seed,
        plain=concavity(objective, steepest, others, proofs(known, 0.0), star),
        penalised=concavity(penalised, worst, convex, proofs(known, used), star),
        gamma_star=star, bounds=known, pl=(plain, prox), mu=mu, smoothness=smooth, factor=factor,
        start=float(target.worth(problem.ref_params)),
        price=_price(target, search, star, known, (float(used), best)),
    )  # fmt: skip


def _steepest(objective: Objective, search: Search, star: Curvature) -> Curvature:
    """The largest curvature found; where spectra are dear, that at the point of γ* alone.

    Whether an objective is concave is decided by γ*, the certain bounds and its own witness.
    """
    if not search.spectra_are_dear or star.value is None:
        return largest_curvature_on(objective, search, star.theta)
    value, direction = largest_curvature(objective, search.domain, star.theta)
    return replace(star, value=float(value), direction=direction)


def _price(
    target: Target, search: Search, star: Curvature, known: CurvatureBounds | None,
    used: tuple[float, Maximiser],
) -> dict[str, Worth]:  # fmt: skip
    """Maximisers at γ = 0, at γ in use and at each threshold; equal γ are sought once."""
    levels = {
        "zero": 0.0, "instance": star.value, "gamma": used[0],
        "data": None if known is None else known.data,
        "relative": None if known is None else known.relative,
    }  # fmt: skip
    found, out = {used[0]: used[1]}, {}
    for name, level in levels.items():
        if level is None or not np.isfinite(level):
            continue
        gamma = max(float(level), 0.0)
        if gamma not in found:
            sure = known is not None and known.least is not None and gamma >= known.least
            found[gamma] = maximise(regularised(target.objective, gamma), search, concave=sure)
        out[name] = Worth(gamma, float(target.worth(found[gamma].theta)), found[gamma])
    return out
