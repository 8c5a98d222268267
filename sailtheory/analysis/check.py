"""What holds on one problem: concavity, γ, PL, smoothness, and the price of the guarantee."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sailtheory.analysis.ladder import Ladder, ladder
from sailtheory.analysis.online import OnlineReport, online_report
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
from sailtheory.landscape.pl import PLConstant, Slopes, pl_constant
from sailtheory.landscape.search import Search
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.objectives.sail import SAIL, SAILRevKL
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.shown import Shown
from sailtheory.theory import bounds
from sailtheory.verdict import Verdict

__all__ = ["STRENGTHS", "Report", "Thresholds", "check", "theorem_threshold"]

SCHEMA = "sailtheory.check/1"

STRENGTHS = {
    "instance": "supported",
    "per_prompt": "certified",
    "data": "certified",
    "relative": "proved",
    "closed_form": "proved",
    "absolute": "supported",
}
"""What each threshold rests on."""


@dataclass(frozen=True)
class Thresholds:
    """Answers to "how large must γ be?", which fall to γ*; None when S = {0}.

    Attributes:
        instance: γ*, the best lower bound found by search on this problem.
        per_prompt: A bound of ḡ, the largest threshold of a prompt alone (C23).
        data: K_data, from the prompts' own preferences and ranges (C25).
        relative: K_B, proved for every problem with this β and Z_max (C11).
        closed_form: β(1.5·D(B + ‖θ_ref − c‖) + 4) (C11).
        absolute: sup λ_max(∇²J) / (e^{−DB} λ⁺_min(F̄(c))), at least 0 (C10).
    """

    instance: float | None
    per_prompt: float | None
    data: float | None
    relative: float | None
    closed_form: float | None
    absolute: float | None


@dataclass(frozen=True, repr=False)
class Report(Shown):
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
        thresholds: Thresholds for γ.
        ladder: Those that are proved or certified, and the prompts that set ḡ.
        plain: Plain PL constant of J_γ.
        prox: Prox-PL constant of J_γ.
        mu: Strong concavity modulus that C12 gives with the least bound of γ* that is
            certified; None unless γ is above it, and where
            λ⁺_min(F̄(c)) is 0 in float64.
        smoothness: Λ (C12).
        k_minus: K⁻ (C11).
        maximiser: Of J_γ on C.
        price: Maximisers of J_γ at γ = 0 and at each threshold, by name.
        online: Online DPO, without the score term, beside SAIL.
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
    ladder: Ladder | None
    plain: PLConstant
    prox: PLConstant
    mu: float | None
    smoothness: float | None
    k_minus: float | None
    maximiser: Maximiser
    price: dict[str, Maximiser]
    online: OnlineReport

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
                "upper": None if self.ladder is None else self.ladder.least,
            },
            "thresholds": asdict(self.thresholds),
            "strengths": STRENGTHS,
            "prompts": None if self.ladder is None else _prompts_dict(self.ladder),
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
            "online_dpo": self.online.as_dict(),
        }


@np.errstate(over="ignore", under="ignore")  # e^{DB}: ∞ and 0 are told as such
def check(
    problem: PreferenceProblem,
    gamma: float | None = None,
    effort: str = "quick",
    seed: int = 0,
    progress: Callable[[str], None] = lambda stage: None,
    jobs: int = 1,
) -> Report:
    """Check the theory's assumptions and constants on one problem.

    Args:
        problem: The problem.
        gamma: γ ≥ 0; by default the closed-form threshold of C11.
        effort: ``quick`` or ``full``.
        seed: Seed of the search.
        progress: Called with the name of each stage as it begins.
        jobs: Processes that bound the prompts' thresholds; they change no number.

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
    steepest = largest_curvature_on(sail, rough, *([] if rough is search else [star.theta]))
    progress("curvature of J_γ")
    worst = largest_curvature_on(revkl, rough, star.theta)
    progress("thresholds by prompt")
    rungs = None if null else ladder(problem, k_b, effort, jobs=jobs)
    certain = k_b if rungs is None else rungs.least
    strict = [] if rungs is None else rungs.proofs(used, strict=True)
    k_minus = float(bounds.lower_curvature(FLOAT64, beta, problem.z_max_above))
    smoothness = float(bounds.smoothness(used, k_minus, diameter))
    lam_min = least_fisher(domain)
    mu = absolute = None
    if lam_min > 0:
        if used > certain:
            mu = bounds.strong_concavity(FLOAT64, used, certain, diameter, radius, lam_min)
        absolute = bounds.absolute_threshold(
            FLOAT64, max(steepest.value or 0.0, 0.0), diameter, radius, lam_min
        )
    progress("maximiser")
    best = maximise(revkl, search, concave=used >= certain)
    progress("PL constants")
    slopes = Slopes(revkl, domain)
    plain = pl_constant(revkl, search, best, "plain", smoothness, strict, slopes)
    prox = pl_constant(revkl, search, best, "prox", smoothness, strict, slopes)
    stops = [pl.convex for pl in (plain, prox) if pl.convex is not None]
    convex = [*([star] if _exceeds(star, used) else []), *stops]
    revkl_verdict = concavity(
        revkl, worst, convex, [] if rungs is None else rungs.proofs(used), star
    )
    # The KL term is convex: where J_γ is not concave, J is not either.
    convex = [*(point for point in (star, worst) if _exceeds(point, 0.0)), *stops]
    sail_verdict = concavity(
        sail, steepest, convex, [] if rungs is None else rungs.proofs(0.0), star
    )

    progress("price of the guarantee")
    price = {
        name: best
        if max(at, 0.0) == used
        else maximise(SAILRevKL(problem, max(at, 0.0)), search, concave=at >= certain)
        for name, at in (("zero", 0.0), ("instance", star.value),
                         ("per_prompt", None if rungs is None else rungs.per_prompt),
                         ("relative", k_b), ("closed_form", closed))
        if at is not None
    }  # fmt: skip
    sail_found = {"zero": (0.0, price["zero"]), "gamma": (used, best)}
    if rungs is not None:
        sail_found["certain"] = (max(rungs.per_prompt, 0.0), price["per_prompt"])
        sail_found["proved"] = (max(k_b, 0.0), price["relative"])
    online = online_report(problem, used, search, sail_found, progress)
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
            per_prompt=None if rungs is None else rungs.per_prompt,
            data=None if rungs is None else rungs.data,
            relative=None if null else k_b,
            closed_form=None if null else closed,
            absolute=None if absolute is None else float(absolute),
        ),
        ladder=rungs,
        plain=plain,
        prox=prox,
        mu=None if mu is None else float(mu),
        smoothness=None if null else smoothness,
        k_minus=None if null else k_minus,
        maximiser=best,
        price=price,
        online=online,
    )


def theorem_threshold(problem: PreferenceProblem) -> float:
    """K_B of a problem: ∇²J ⪯ K_B F̄ on C (C11), rounded up."""
    return bounds.relative_bound(float(problem.beta), problem.z_max_above)


def _prompts_dict(found: Ladder) -> dict[str, Any]:
    worst = [{"prompt": x, "searched": value, "upper": high} for x, value, high in found.worst]
    return {
        "lower": found.per_prompt_lower,
        "upper": found.per_prompt,
        "upper_for_99_percent": found.most_prompts,
        "worst": worst,
    }


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
