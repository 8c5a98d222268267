"""What holds on one problem: concavity, γ, PL, smoothness, and the price of the guarantee."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

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
from sailtheory.landscape.pl import PLConstant, pl_constant
from sailtheory.landscape.search import Search
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.objectives.sail import SAIL, SAILRevKL
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory import bounds
from sailtheory.verdict import Verdict

__all__ = ["Report", "Thresholds", "check", "theorem_threshold"]

SCHEMA = "sailtheory.check/1"


@dataclass(frozen=True)
class Thresholds:
    """Four answers to "how large must γ be?"; None when S = {0}.

    Attributes:
        instance: γ*, the best lower bound found by search on this problem.
        relative: K_B, proved for every problem with this β and Z_max (C11).
        closed_form: β(1.5·D(B + ‖θ_ref − c‖) + 4) (C11).
        absolute: sup λ_max(∇²J) / (e^{−DB} λ⁺_min(F̄(c))), at least 0 (C10).
    """

    instance: float | None
    relative: float | None
    closed_form: float | None
    absolute: float | None


@dataclass(frozen=True)
class Report:
    """The result of :func:`check`.

    Attributes:
        problem: The problem.
        gamma: The γ that was checked.
        gamma_given: False when γ was not given and the closed form was taken.
        effort: ``quick`` or ``full``.
        seed: Seed of the search.
        sail: Verdict on the concavity of J, and where it was decided.
        sail_revkl: The same for J_γ.
        gamma_star: The largest relative curvature found.
        thresholds: Four thresholds for γ.
        plain: Plain PL constant of J_γ.
        prox: Prox-PL constant of J_γ.
        mu: Strong concavity modulus that C12 gives; None unless γ > K_B, and where
            λ⁺_min(F̄(c)) is 0 in float64.
        smoothness: Λ (C12).
        k_minus: K⁻ (C11).
        maximiser: Of J_γ on C.
        price: Maximisers of J_γ at γ = 0 and at each threshold, by name.
    """

    problem: PreferenceProblem
    gamma: float
    gamma_given: bool
    effort: str
    seed: int
    sail: tuple[Verdict | None, Curvature]
    sail_revkl: tuple[Verdict | None, Curvature]
    gamma_star: Curvature
    thresholds: Thresholds
    plain: PLConstant
    prox: PLConstant
    mu: float | None
    smoothness: float | None
    k_minus: float | None
    maximiser: Maximiser
    price: dict[str, Maximiser]

    def as_dict(self) -> dict[str, Any]:
        """JSON form; names are stable."""
        from sailtheory import __version__

        problem = self.problem
        return {
            "schema": SCHEMA,
            "version": __version__,
            "seed": self.seed,
            "problem": {
                "prompts": problem.prompts,
                "responses": list(problem.responses),
                "dimension": problem.dimension,
                "span_dimension": problem.span.dimension,
                "beta": float(problem.beta),
                "radius": float(problem.radius),
                "feature_norm": problem.feature_norm,
                "feature_diameter": problem.feature_diameter,
                "z_max": problem.z_max,
            },
            "gamma": self.gamma,
            "concavity": {
                "sail": _concavity_dict(*self.sail),
                "sail_revkl": _concavity_dict(*self.sail_revkl),
            },
            "relative_curvature": {
                "lower": self.gamma_star.value,
                "theta": _theta(self.gamma_star),
                "search": _search_dict(self.gamma_star),
                "upper": self.thresholds.relative,
            },
            "thresholds": {
                "instance": self.thresholds.instance,
                "relative": self.thresholds.relative,
                "closed_form": self.thresholds.closed_form,
                "absolute": self.thresholds.absolute,
            },
            "pl": {"plain": _pl_dict(self.plain), "prox": _pl_dict(self.prox)},
            "constants": {"mu": self.mu, "smoothness": self.smoothness, "k_minus": self.k_minus},
            "maximiser": {
                "theta": self.maximiser.theta.tolist(),
                "value": self.maximiser.value,
                "on_boundary": self.maximiser.on_boundary,
                "kl_ref_policy": self.maximiser.kl_ref_policy,
                "win_rate": self.maximiser.win_rate,
                "gain": self.maximiser.gain,
            },
        }


@np.errstate(over="ignore", under="ignore")  # e^{DB}: ∞ and 0 are told as such
def check(
    problem: PreferenceProblem,
    gamma: float | None = None,
    effort: str = "quick",
    seed: int = 0,
    progress: Callable[[str], None] = lambda stage: None,
) -> Report:
    """Check the theory's assumptions and constants on one problem.

    Args:
        problem: The problem.
        gamma: γ ≥ 0; by default the closed-form threshold of C11.
        effort: ``quick`` or ``full``.
        seed: Seed of the search.
        progress: Called with the name of each stage as it begins.

    Raises:
        InputError: γ negative or not finite, unknown effort, bad seed.
    """
    domain = Domain(problem)
    search = Search(domain, effort, seed)
    null = domain.dimension == 0
    beta, diameter, radius = float(problem.beta), problem.feature_diameter, float(problem.radius)
    offset = float(np.linalg.norm(problem.ref_params - problem.center.astype(float)))
    k_b = theorem_threshold(problem)
    closed = float(bounds.closed_form_threshold(beta, diameter, radius, offset))
    used = closed if gamma is None else gamma
    if not (np.isfinite(used) and used >= 0):
        raise InputError("gamma", gamma, "a finite γ ≥ 0 is required")

    progress("γ*")
    sail, revkl = SAIL(problem), SAILRevKL(problem, used)
    star = largest_relative_curvature_on(sail, search)
    # γ* decides; where spectra are dear, the others start from where it was found.
    rough = Search(domain, "light", seed) if search.spectra_are_dear else search
    progress("curvature of J")
    steepest = largest_curvature_on(sail, rough, star.theta if rough is not search else None)
    progress("curvature of J_γ")
    worst = largest_curvature_on(revkl, rough, star.theta)
    k_minus = float(bounds.lower_curvature(FLOAT64, beta, problem.z_max_above))
    smoothness = float(bounds.smoothness(used, k_minus, diameter))
    lam_min = least_fisher(domain)
    mu = absolute = None
    if lam_min > 0:
        if used > k_b:
            mu = bounds.strong_concavity(FLOAT64, used, k_b, diameter, radius, lam_min)
        absolute = bounds.absolute_threshold(
            FLOAT64, max(steepest.value or 0.0, 0.0), diameter, radius, lam_min
        )
    progress("maximiser")
    best = maximise(revkl, search)
    progress("PL constants")
    plain = pl_constant(revkl, search, best, "plain", smoothness, used > k_b)
    prox = pl_constant(revkl, search, best, "prox", smoothness, used > k_b)
    stops = [pl.convex for pl in (plain, prox) if pl.convex is not None]
    convex = [*([star] if _exceeds(star, used) else []), *stops]
    revkl_verdict = concavity(revkl, worst, convex, used >= k_b, star)
    # The KL term is convex: where J_γ is not concave, J is not either.
    convex = [*(point for point in (star, worst) if _exceeds(point, 0.0)), *stops]
    sail_verdict = concavity(sail, steepest, convex, k_b <= 0, star)

    progress("price of the guarantee")
    price = {
        name: best if max(at, 0.0) == used else maximise(SAILRevKL(problem, max(at, 0.0)), search)
        for name, at in (("zero", 0.0), ("instance", star.value), ("relative", k_b),
                         ("closed_form", closed))
        if at is not None
    }  # fmt: skip
    return Report(
        problem=problem,
        gamma=float(used),
        gamma_given=gamma is not None,
        effort=effort,
        seed=seed,
        sail=sail_verdict,
        sail_revkl=revkl_verdict,
        gamma_star=star,
        thresholds=Thresholds(
            instance=star.value,
            relative=None if null else k_b,
            closed_form=None if null else closed,
            absolute=None if absolute is None else float(absolute),
        ),
        plain=plain,
        prox=prox,
        mu=None if mu is None else float(mu),
        smoothness=None if null else smoothness,
        k_minus=None if null else k_minus,
        maximiser=best,
        price=price,
    )


def theorem_threshold(problem: PreferenceProblem) -> float:
    """K_B of a problem: ∇²J ⪯ K_B F̄ on C (C11), rounded up."""
    return bounds.relative_bound(float(problem.beta), problem.z_max_above)


def _exceeds(curvature: Curvature, threshold: float) -> bool:
    return curvature.value is not None and curvature.value > threshold


def _theta(curvature: Curvature) -> list[float] | None:
    return None if curvature.value is None else [float(x) for x in curvature.theta]


def _verdict_dict(verdict: Verdict | None) -> dict[str, Any]:
    strength = verdict.strength if verdict else None
    return {
        "verdict": verdict.outcome.value if verdict else None,
        "strength": strength.value if strength else None,
    }


def _search_dict(curvature: Curvature) -> dict[str, Any] | None:
    found = curvature.search
    if found is None:
        return None
    return {"rounds": found.rounds, "agreeing": found.agreeing, "trusted": found.trusted}


def _concavity_dict(verdict: Verdict | None, point: Curvature) -> dict[str, Any]:
    return _verdict_dict(verdict) | {"max_eigenvalue": point.value, "theta": _theta(point)}


def _pl_dict(pl: PLConstant) -> dict[str, Any]:
    theta = None if pl.constant is None else [float(x) for x in pl.theta]
    return _verdict_dict(pl.verdict) | {"constant": pl.constant, "theta": theta}
