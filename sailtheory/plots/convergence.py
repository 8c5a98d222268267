"""Projected, mirror and stochastic ascent, with the bounds of C15, C17 and C16."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sailtheory.analysis.check import theorem_threshold
from sailtheory.ascent import (
    Constants,
    Estimator,
    FixedBatch,
    Trajectory,
    bregman_divergence,
    constants,
    mirror_ascent,
    projected_ascent,
    spawn,
    stochastic_ascent,
)
from sailtheory.errors import InputError
from sailtheory.landscape import Domain, Search, maximise
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.objectives.algebra import Objective
from sailtheory.objectives.sail import SAILRevKL
from sailtheory.plots import style
from sailtheory.plots.series import array, positive
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory import bounds

__all__ = ["draw", "series"]

_STARTS = 8
_RUNS = 24  # stochastic
_BATCHES = (1, 64, 4096)
_MOST, _MOST_MIRROR, _MOST_STOCHASTIC = 4000, 200, 800
_DENSE, _SPARSE = 100, 64  # records one by one at first, then so many in all
_ACCURACY, _ROUNDING = 1e-6, 1e-13


def series(problem: PreferenceProblem, gamma: float | None, seed: int) -> dict[str, Any]:
    """Settings, caption and series; γ = 2 K_B unless given.

    Raises:
        InputError: γ ≤ K_B, where no rate is proved, or an F̄ whose least eigenvalue float64
            cannot tell from 0.
    """
    bound = theorem_threshold(problem)
    level = max(2 * bound, float(problem.beta)) if gamma is None else gamma
    objective, domain = SAILRevKL(problem, level), Domain(problem)
    known = constants(objective)
    if known.modulus is None and level > known.relative:
        raise InputError("problem", "F̄ singular", "in float64 at the centre: μ is not known")
    if known.modulus is None:
        raise InputError("gamma", level, f"a γ above K_B = {bound:.4g}, where rates are proved")
    best = maximise(objective, Search(domain, "quick", seed))
    start = domain.embed(_spread(domain, np.random.default_rng(seed)))
    steps = _horizon(known.modulus, known.smooth, _MOST)
    projected = _records(
        lambda n, every: projected_ascent(objective, start, steps=n, record=every), steps
    )
    steps = _horizon(known.relative_modulus, known.relative_smooth, _MOST_MIRROR)
    mirror = _records(
        lambda n, every: mirror_ascent(objective, start, steps=n, record=every), steps
    )
    top = max(best.value, float(projected[1].max()), float(mirror[1].max()))
    floor = _ROUNDING * (1 + abs(top))
    found = _exact(known, problem, best.theta, start, top, floor, projected, mirror)
    found |= _stochastic(objective, domain, known, best.theta, start[0], top, seed)
    found["floor"] = floor
    batches = ", ".join(str(n) for n in _BATCHES)
    return {
        "settings": {
            "gamma": level, "relative": known.relative, "lower": known.lower,
            "smooth": known.smooth, "modulus": known.modulus, "batches": _BATCHES, "runs": _RUNS,
        },
        "caption": (
            f"Gap J_γ* − J_γ against steps for γ = {level:.3g} (K_B = {known.relative:.3g}), on "
            f"{{problem}}. (a) Projected ascent with step 1/Λ and (b) mirror ascent with step "
            f"1/ℒ, {_STARTS} starts each (thin), with the bounds of C15 and C17 for the worst "
            f"start (dashed). (c) Projected stochastic ascent, batches of {batches} pairs, mean "
            f"of {_RUNS} runs (lines), with the bound of C16b for each batch (thin, dashed). "
            f"Gaps below {floor:.0e} are rounding and are not drawn."
        ),
        "series": found,
    }  # fmt: skip


def _spread(domain: Domain, rng: np.random.Generator) -> np.ndarray:
    """Starts uniform in the ball, (runs, r)."""
    normal = rng.normal(size=(_STARTS, domain.dimension))
    length = domain.radius * rng.random(_STARTS) ** (1 / domain.dimension)
    return np.asarray(normal * (length / np.linalg.norm(normal, axis=1))[:, None])


def _horizon(modulus: float, smooth: float, most: int) -> int:
    """Steps after which the bound has fallen to the accuracy, within what is affordable."""
    needed = float(bounds.linear_steps(FLOAT64, modulus, smooth, 1.0, _ACCURACY))
    return int(min(max(math.ceil(needed), 2 * _DENSE), most))


def _records(run: Any, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps (k,) and values (k, runs): every step at first, later ones spaced evenly."""
    every = max(steps // _SPARSE, 1)
    first: Trajectory = run(min(_DENSE, steps), 1)
    rest: Trajectory = run(steps, every)
    later = rest.steps > first.steps[-1]
    return (
        np.concatenate([first.steps, rest.steps[later]]),
        np.concatenate([first.value, rest.value[later]]),
    )


def _exact(
    known: Constants,
    problem: PreferenceProblem,
    best: np.ndarray,
    start: np.ndarray,
    top: float,
    floor: float,
    projected: tuple[np.ndarray, np.ndarray],
    mirror: tuple[np.ndarray, np.ndarray],
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    assert known.modulus is not None
    # D_A(θ*, θ_0) = KL(π_θ0‖π_θ*): the divergence of the problem whose reference is θ_0.
    divergence = float(bregman_divergence(problem, best, start).max())
    initial = (top - float(projected[1][0].min()), known.relative_smooth * divergence)
    moduli = ((known.modulus, known.smooth), (known.relative_modulus, known.relative_smooth))
    for name, (steps, value), size, pair in zip(
        ("projected", "mirror"), (projected, mirror), initial, moduli, strict=True
    ):
        gap = top - value
        found[f"{name}_steps"] = steps
        found[f"{name}_gap"] = np.where(gap > floor, gap, np.nan).T
        found[f"{name}_bound"] = bounds.linear_gap(*pair, steps, size)
    return found


def _stochastic(
    objective: Objective,
    domain: Domain,
    known: Constants,
    best: np.ndarray,
    start: np.ndarray,
    top: float,
    seed: int,
) -> dict[str, Any]:
    problem = domain.problem
    assert known.modulus is not None
    beta, z = float(problem.beta), problem.z_max_above
    # tr F_x = ½ E‖φ₁ − φ₂‖² ≤ ½D²(1 − Σπ²).
    trace = problem.feature_diameter**2 / 2 * (1 - 1 / max(problem.responses))
    variance = float(bounds.second_moment_bound(FLOAT64, beta, z, trace, centred=True))
    initial = known.smooth * float(np.linalg.norm(start - best)) ** 2
    steps = _horizon(known.modulus, known.smooth, _MOST_STOCHASTIC)
    found: dict[str, Any] = {"stochastic_gap": [], "stochastic_bound": []}
    for batch in _BATCHES:

        def run(n: int, every: int, batch: int = batch) -> Trajectory:
            return stochastic_ascent(
                objective, start, FixedBatch(1 / known.smooth, batch, n), spawn(seed, _RUNS),
                estimator=Estimator("mid-range"), record=every,
            )  # fmt: skip

        at, value = _records(run, steps)
        later = at >= 1
        found["stochastic_steps"] = at[later]
        found["stochastic_gap"].append((top - value[later]).mean(axis=1))
        found["stochastic_bound"].append(
            bounds.stochastic_gap(
                known.modulus, known.smooth, at[later], max(initial, 1e-300), variance, batch
            )
        )
    return found | {"batches": list(_BATCHES), "variance_bound": variance}


def draw(data: dict[str, Any]) -> Any:
    """Three panels at the width of two columns."""
    found = data["series"]
    figure, axes = style.panels(style.DOUBLE, 66, 1, 3, sharey=True)
    for i, (name, title) in enumerate((("projected", "projected"), ("mirror", "mirror"))):
        ax, steps = axes[0, i], array(found[f"{name}_steps"])
        for k, row in enumerate(found[f"{name}_gap"]):
            ax.plot(steps, positive(row), color=style.BLUE, linewidth=0.7,
                    label="runs" if k == 0 else None)  # fmt: skip
        ax.plot(steps, positive(found[f"{name}_bound"]), label="bound",
                **style.BOUND)  # fmt: skip
        ax.set_xscale("symlog", linthresh=1.0)
        ax.set_xlim(0, steps[-1])
        style.letter(ax, i, f"{title} ascent")
    ax, steps = axes[0, 2], array(found["stochastic_steps"])
    for k, batch in enumerate(found["batches"]):
        line = style.LINES[k % len(style.LINES)]
        ax.plot(steps, positive(found["stochastic_gap"][k]), label=f"$N$ = {batch}", **line)
        ax.plot(steps, positive(found["stochastic_bound"][k]), color=line["color"],
                linestyle=(0, (4, 2)), linewidth=0.8)  # fmt: skip
    ax.set_xscale("log")
    ax.set_xlim(1, steps[-1])
    style.letter(ax, 2, "stochastic ascent")
    rows = [array(row).ravel() for key, row in found.items() if key.endswith(("_gap", "_bound"))]
    style.log_axis(axes[0, 0].yaxis, np.concatenate(rows))
    axes[0, 0].set_ylim(bottom=found["floor"])
    axes[0, 0].set_ylabel(r"$J_\gamma^* - J_\gamma(\theta_t)$")
    for ax in axes[0]:
        ax.set_xlabel("step $t$")
        ax.legend(loc="lower left")
    return figure
