"""Rates compared with the theorems on many problems: C14, C15, C16, C17 and C20.

``python -m studies.dynamics [--lists L ...] [--count N] [--out FILE]``. Every problem follows
from the seed, its list and its place in it. The JSON file is written after each problem, and
what it contains is not run again.

* ``rates``: γ in (1, 2] K_B, maximisers inside and on the sphere in turn. Projected (C15),
  stochastic (C16b) and mirror ascent (C17) with the theorems' constants: largest gap over
  bound, and steps promised over steps taken.
* ``mirror``: one feature direction 3 times shorter: steps to 1e-6 of the first gap, at most
  20,000.
* ``spurious``: C14's instance: which share of uniform starts ends away from the maximiser,
  against γ; γ* is certified.
* ``price``: what the maximiser of J_γ gains at γ = 0, γ*, K_B and the closed form (C20).
* ``online``: on the same problems, the best gain on C, and what the solution of V − γ∇KL, without
  the score term, gains at γ = 0, γ*_V, K_V and 2β (C28, C29).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

import sailtheory
from benchmarks.problems import arguments
from sailtheory import (
    SAIL,
    BradleyTerry,
    Gain,
    KLRefPolicy,
    OnlineDPO,
    OnlineDPORevKL,
    PreferenceProblem,
    SAILRevKL,
)
from sailtheory.analysis.check import theorem_threshold
from sailtheory.analysis.online import field_thresholds
from sailtheory.ascent import (
    Estimator,
    FixedBatch,
    bregman_divergence,
    constants,
    mirror_ascent,
    moments,
    projected_ascent,
    spawn,
    stochastic_ascent,
)
from sailtheory.certificates import certify_gamma
from sailtheory.examples import load
from sailtheory.landscape import Domain, Search, gain, largest_relative_curvature_on, maximise
from sailtheory.landscape.solution import solve
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.objectives.sail import fisher
from sailtheory.storage.files import write_text
from sailtheory.theory import bounds

SEED = 20263
OUT = "studies/dynamics/evidence.json"
COUNTS = {"rates": 80, "mirror": 30, "spurious": 12, "price": 120, "online": 120}
STARTS, RUNS, ACCURACY = 6, 256, 1e-6
_FLOOR = 1e-11  # gaps below this times 1 + |J| are not resolved in float64
_DRAWS = 400
MOST = 20_000  # steps to the accuracy

Record = dict[str, Any]
Generator = np.random.Generator


def generator(name: str, index: int) -> Generator:
    """Of one place of a list."""
    return np.random.default_rng([SEED, *name.encode(), index])


# --- C15, C16, C17 ----------------------------------------------------------------------


def rates(index: int) -> Record:
    """Worst ratio to each bound, and how loose it is."""
    rng = generator("rates", index)
    for _ in range(_DRAWS):
        given = rates_problem(rng, on_boundary=bool(index % 2))
        gamma = theorem_threshold(given) * float(rng.uniform(1.001, 2))
        objective, search = SAILRevKL(given, gamma), Search(Domain(given), "quick", index)
        best = maximise(objective, search)
        at = constants(objective)
        if best.on_boundary == bool(index % 2) and at.modulus is not None:
            break
    else:
        raise RuntimeError("no problem with such a maximiser was drawn")
    start = search.domain.embed(search.domain.starts(STARTS, rng)[-STARTS:])
    return {
        "n": given.prompts, "d": given.dimension, "gamma": gamma, "mu": at.modulus,
        "smooth": at.smooth, "on_boundary": best.on_boundary,
        "projected": exact(objective, best, start, at.modulus, at.smooth, projected=True),
        "mirror": exact(objective, best, start, at.relative_modulus, at.relative_smooth),
        "stochastic": [
            stochastic(objective, best, start[0], batch, steps, index)
            for batch in (4, 256) for steps in (1, 8, 64)
        ],
    }  # fmt: skip


def rates_problem(rng: Generator, on_boundary: bool) -> PreferenceProblem:
    """n, d ≤ 3, m ≤ 5; small balls with θ_ref near the sphere for maximisers on it."""
    d = int(rng.integers(1, 4))
    made = arguments(rng, d, 5, (1, 3))
    if on_boundary:
        away = rng.normal(size=d)
        away *= 0.95 * made["radius"] / np.linalg.norm(away)
        made["ref_params"] = np.round(np.zeros(d) + away, 4)
        made["center"] = np.zeros(d)
    return PreferenceProblem(**made)


def exact(
    objective: Any, best: Any, start: np.ndarray, mu: float, smooth: float, projected: bool = False
) -> Record:
    """Projected ascent (C15) or mirror ascent (C17) against its bound."""
    promised = float(np.log(1 / ACCURACY) * smooth / mu)
    steps = int(min(4000, np.ceil(promised) + 1))
    if projected:
        run = projected_ascent(objective, start, steps=steps, best=best.value)
        initial = run.gap[0]
    else:
        run = mirror_ascent(objective, start, steps=min(steps, 400), best=best.value)
        initial = smooth * bregman_divergence(objective.problem, best.theta, start)
    floor = _FLOOR * (1 + abs(best.value))
    initial = np.maximum(initial, 1e-300)  # a start may be the maximiser
    bound = bounds.linear_gap(mu, smooth, run.steps[:, None], initial)
    worst = np.where(bound > floor, run.gap / np.maximum(bound, floor), 0.0)[1:].max()
    taken = first_below(run.gap, run.steps, ACCURACY * run.gap[0])
    return {"worst_ratio": float(worst), "promised": promised, "taken": taken}


def first_below(gap: np.ndarray, steps: np.ndarray, level: np.ndarray) -> float | None:
    """Median over runs of the first step with gap ≤ level; None if a run has none."""
    met = gap <= level
    return float(np.median(steps[met.argmax(0)])) if met.any(0).all() else None


def stochastic(
    objective: Any, best: Any, start: np.ndarray, batch: int, steps: int, seed: int
) -> Record:
    """Mean gap against C16b with σ² bounded by C18 over C, and with σ² at the maximiser."""
    given, at, estimator = objective.problem, constants(objective), Estimator("mid-range")
    run = stochastic_ascent(
        objective, start, FixedBatch(1 / at.smooth, batch, steps), spawn(seed, RUNS),
        estimator=estimator, best=best.value, record=steps,
    )  # fmt: skip
    trace = given.feature_diameter**2 / 2  # ½E‖Δ‖² = tr F
    proved = float(bounds.second_moment_bound(
        FLOAT64, float(given.beta), given.z_max, trace, centred=True
    ))  # fmt: skip
    local = float(moments(given, best.theta, estimator).variance[0])
    distance = at.smooth * float(((start - best.theta) ** 2).sum())
    gaps = run.gap[-1]
    error = float(gaps.std(ddof=1) / np.sqrt(RUNS))

    def bound(variance: float) -> float:
        return float(bounds.stochastic_gap(at.modulus, at.smooth, steps, distance, variance, batch))

    return {
        "batch": batch, "steps": steps, "gap": float(gaps.mean()), "error": error,
        "bound": bound(proved), "bound_local_variance": bound(local),
    }  # fmt: skip


# --- mirror against projected -----------------------------------------------------------


def mirror(index: int) -> Record:
    """Steps to 1e-6 of the first gap, one start, where F̄ is ill-conditioned."""
    rng = generator("mirror", index)
    made = arguments(rng, 2 + index % 2, 5, (1, 3))
    shrink = np.ones(2 + index % 2)
    shrink[-1] = 0.3
    zero = np.zeros(len(shrink))
    made |= {"ref_params": zero, "center": zero, "radius": 1.0}
    made["features"] = [np.round(phi * shrink, 5) for phi in made["features"]]
    given = PreferenceProblem(**made)
    gamma = 1.1 * theorem_threshold(given)
    objective = SAILRevKL(given, gamma)
    domain = Domain(given)
    best = maximise(objective, Search(domain, "quick", index))
    start = domain.embed(domain.starts(STARTS, rng)[-1:])
    level = ACCURACY * (best.value - float(objective.value(start)[0]))
    eigenvalues = np.linalg.eigvalsh(domain.reduce_matrix(fisher(given, best.theta)))
    out: Record = {"condition": float(eigenvalues[-1] / eigenvalues[0])}
    plan: Record = {"steps": MOST, "record": MOST, "best": best.value, "tolerance": level}
    runs = {
        "mirror": mirror_ascent(objective, start, **plan),
        "projected": projected_ascent(objective, start, **plan),
        "line search": projected_ascent(objective, start, step="line-search", **plan),
    }
    for name, run in runs.items():
        out[name] = int(run.steps[-1]) if run.stopped.all() else None
    return out


# --- C14 --------------------------------------------------------------------------------

SHARES = (0.0, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.5, 1.001, 1.1)
UNIFORM = 4000


def spurious(index: int) -> Record:
    """Starts uniform in C that do not end at the maximiser, at one multiple of γ*."""
    given = load("c14-spurious-stop")
    found = certify_gamma(given, 1e-6)
    assert found.lower is not None and found.gamma is not None
    star = found.gamma if SHARES[index] > 1 else found.lower
    gamma = float(star * Fraction(SHARES[index]))
    objective = SAILRevKL(given, gamma)
    domain = Domain(given)
    rng = generator("spurious", 0)
    normal = rng.normal(size=(UNIFORM, 2))
    start = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    start *= 2 * np.sqrt(rng.random((UNIFORM, 1)))
    best = maximise(objective, Search(domain, "full", 0))
    run = projected_ascent(
        objective, start, step="line-search", steps=3000, tolerance=1e-9, record=3000
    )
    gap = best.value - run.value[-1]
    away = gap > 1e-6 * (1 + abs(best.value))
    return {
        "share_of_star": SHARES[index], "gamma": gamma, "lower": float(found.lower),
        "upper": float(found.gamma), "starts": UNIFORM, "away": int(away.sum()),
        "settled": int((run.mapping_norm[-1] <= 1e-6).sum()),
        "largest_gap": float(gap.max()),
    }  # fmt: skip


# --- C20 --------------------------------------------------------------------------------

CELLS = ((0.1, 1.0), (0.1, 4.0), (1.0, 1.0), (1.0, 4.0))


def price_problem(index: int) -> PreferenceProblem:
    """L = 1, Bradley–Terry, θ_ref = c = 0."""
    rng = generator("price", index)
    beta, radius = CELLS[index % len(CELLS)]
    n, d = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    features, preferences = [], []
    for _ in range(n):
        m = int(rng.integers(max(2, d + 1), 7))
        phi = rng.normal(size=(m, d))
        features.append(phi / np.maximum(np.linalg.norm(phi, axis=1, keepdims=True), 1.0))
        preferences.append(BradleyTerry(rng.normal(size=m)))
    return PreferenceProblem(features=features, preferences=preferences, beta=beta, radius=radius)


def price(index: int) -> Record:
    """Gain and KL of the maximiser at the thresholds."""
    given = price_problem(index)
    beta, radius = CELLS[index % len(CELLS)]
    n, d = given.prompts, given.dimension
    if not given.span.dimension:  # d = 1 and every feature cut to 1
        return {"beta": beta, "radius": radius, "skipped": "S = {0}"}
    search = Search(Domain(given), "quick", index)
    star = largest_relative_curvature_on(SAIL(given), search).value
    assert star is not None
    levels = {
        "none": 0.0,
        "gamma_star": max(star, 0.0),
        "relative": theorem_threshold(given),
        "closed_form": bounds.closed_form_threshold(beta, given.feature_diameter, radius, 0.0),
    }
    out: Record = {"beta": beta, "radius": radius, "n": n, "d": d}
    for name, gamma in levels.items():
        best = maximise(SAILRevKL(given, gamma), search)
        out[name] = {"gamma": float(gamma), "gain": best.gain, "kl": best.kl_ref_policy}
    return out


def online(index: int) -> Record:
    """The best gain on C, and gain and KL of the field's solution at its thresholds."""
    given = price_problem(index)
    beta, radius = CELLS[index % len(CELLS)]
    out: Record = {"beta": beta, "radius": radius}
    if not given.span.dimension:
        return out | {"skipped": "S = {0}"}
    domain = Domain(given)
    search = Search(domain, "quick", index)
    star = largest_relative_curvature_on(OnlineDPO(given), search).value
    certain = field_thresholds(given, star)
    assert star is not None and certain.relative is not None and certain.limit is not None
    levels = {"none": 0.0, "gamma_star": star, "relative": certain.relative, "limit": certain.limit}
    best = maximise(Gain(given), search)
    out |= {"best": best.gain, "trusted": best.trusted}
    for name, gamma in levels.items():
        found = solve(OnlineDPORevKL(given, max(gamma, 0.0)), domain)
        out[name] = {
            "gamma": float(gamma), "gain": float(gain(given, found.theta)), "found": found.found,
            "kl": float(KLRefPolicy(given).value(found.theta)),
        }  # fmt: skip
    return out


# --- running ----------------------------------------------------------------------------

TASKS: dict[str, Callable[[int], Record]] = {
    "rates": rates, "mirror": mirror, "spurious": spurious, "price": price, "online": online,
}  # fmt: skip


def main() -> None:
    """Run what is asked for and not done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lists", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--count", type=int, help="problems in each list, not its own number")
    parser.add_argument("--out", default=OUT)
    asked = parser.parse_args()
    out = Path(asked.out)
    data = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {"records": {}}
    data |= {"seed": SEED, "version": sailtheory.__version__, "runs": RUNS, "starts": STARTS}
    for name in asked.lists:
        rows = data["records"].setdefault(name, [])
        done = {row["index"] for row in rows}
        for index in range(min(asked.count or COUNTS[name], COUNTS[name])):
            if index in done:
                continue
            began = time.process_time()
            row = {"index": index, **TASKS[name](index)}
            row["cpu_seconds"] = round(time.process_time() - began, 2)
            rows.append(row)
            write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", out, "out")
            print(name, json.dumps(row, ensure_ascii=False)[:300], flush=True)


if __name__ == "__main__":
    main()
