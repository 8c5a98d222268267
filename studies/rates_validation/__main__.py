"""fit_rate and fit_exponent on series with known truth.

``python -m studies.rates_validation [--development] [--limit N] [--out FILE]`` draws the series
of design.md, which was written down with its goals before the recorded run, and counts.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sailtheory.convergence import fit_exponent, fit_rate

DEVELOPMENT_SEED = 1
VALIDATION_SEED = 20262
PER_CATEGORY = 50
KINDS = ("linear", "power", "logarithmic")
Generator = np.random.Generator


@dataclass(frozen=True)
class Case:
    """A series, its truth, and whether it is clear by the rule of design.md."""

    t: np.ndarray
    gaps: np.ndarray
    kind: str  # of the decay; "none" where no model is right
    floor: float
    rate: float
    noisy: bool
    clear: bool


def log_decay(kind: str, rate: float, t: np.ndarray) -> np.ndarray:
    """log of q^t, t^−a, or rate / log t."""
    if kind == "linear":
        return t * math.log(rate)
    return -rate * np.log(t) if kind == "power" else math.log(rate) - np.log(np.log(t))


def errors(rng: Generator, n: int, rho: float) -> np.ndarray:
    """AR(1) with variance 1."""
    e = rng.normal(size=n)
    for i in range(1, n):
        e[i] = rho * e[i - 1] + math.sqrt(1 - rho**2) * e[i]
    return e


def wrong_misfit(kind: str, t: np.ndarray, y: np.ndarray) -> float:
    """Root mean square that the best wrong model leaves."""
    left = []
    for other in KINDS:
        if other == kind:
            continue
        if other == "logarithmic":
            r = y + np.log(np.log(t))
            left.append(np.std(r))
        else:
            x = t if other == "linear" else np.log(t)
            left.append(np.std(y - np.polyval(np.polyfit(x, y, 1), x)))
    return float(min(left))


def length(rng: Generator) -> int:
    return round(math.exp(rng.uniform(math.log(50), math.log(2000))))


def times(rng: Generator, n: int, spacing: str = "even") -> np.ndarray:
    """Iterations from 2 on, so that 1/log t is finite; evenly or log-spaced."""
    if spacing == "even":
        return np.arange(2.0, n + 2)
    return np.unique(np.round(np.geomspace(2, 10 ** rng.uniform(3.5, 6), n)))


def draw_rate(rng: Generator, kind: str, last: float) -> float:
    """q with 2 to 12 e-folds over the series; a in [0.3, 2.5]; C of C / log t."""
    if kind == "linear":
        return math.exp(-rng.uniform(2, 12) / last)
    return float(rng.uniform(0.3, 2.5)) if kind == "power" else float(rng.uniform(0.1, 10))


def draw_noise(rng: Generator, kind: str) -> float:
    low, high = (0.002, 0.05) if kind == "logarithmic" else (0.02, 0.5)
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def build(
    rng: Generator,
    *,
    kinds: tuple[str, ...] = KINDS,
    sigma: float | None = None,
    rho: float = 0.0,
    spacing: str = "even",
    start: str = "",
    floor: bool = False,
    heavy: bool = False,
) -> Case:
    """One series; ``start`` is a plateau or another regime before the decay."""
    kind = str(rng.choice(kinds))
    t = times(rng, length(rng), spacing)
    n, first = len(t), 0
    share = rng.uniform(0.25, 0.6) if floor else 1.0  # of the points, above the floor
    if start:
        first = int(n * share * rng.uniform(0.05, 0.35))
    end = max(first + 8, int(n * share)) if floor else n
    rate = draw_rate(rng, kind, float(t[end - 1] - t[first]))
    y = log_decay(kind, rate, t) + rng.normal() * 2 * (kind != "logarithmic")
    if start == "plateau":
        y[:first] = y[first]
    elif start == "regime":  # a slower or a faster decay, then a jump
        slope = rng.uniform(-0.02, 0.02)
        y[:first] = y[first] + rng.uniform(-1, 1) + slope * np.arange(first - 1.0, -1, -1)
    sigma = draw_noise(rng, kind) if sigma is None else sigma
    level = 0.0
    clean = y.copy()
    if floor:
        level = math.exp(y[end - 1])
        y = np.logaddexp(y, math.log(level))
    e = errors(rng, n, rho)
    if heavy:
        e = rng.standard_t(4, size=n) / math.sqrt(2)
    gaps = np.exp(y + sigma * e)
    above = slice(first, end)
    count = end - first
    clear = float(clean[first] - clean[end - 1]) >= 2
    if sigma > 0:
        independent = count * (1 - rho) / (1 + rho)
        r = wrong_misfit(kind, t[above], clean[above])
        clear = clear and independent >= 20 and independent * (r / sigma) ** 2 >= 60
    if floor:
        clear = clear and bool(np.mean(y < math.log(1.1 * level)) >= 0.25)
    return Case(t, gaps, kind, level, rate, sigma > 0, clear)


def rounding(rng: Generator) -> Case:
    """A geometric decay computed as a difference of values near 1, or down to underflow."""
    n = length(rng)
    t = times(rng, n)
    if rng.random() < 0.5:
        q = math.exp(-rng.uniform(50, 120) / n)
        gaps = np.abs(1.0 - (1.0 + q**t))
    else:
        q = math.exp(-rng.uniform(800, 1500) / n)
        gaps = 3 * q**t
    usable = int(np.sum(q**t > 1e4 * np.finfo(float).eps)) if q**n > 1e-60 else n // 2
    return Case(t, gaps, "linear", 0.0, q, False, usable >= 30)


def additive(rng: Generator) -> Case:
    """A geometric decay with additive noise, so that its modulus ends on noise."""
    n = length(rng)
    t = times(rng, n)
    q = math.exp(-rng.uniform(6, 15) / (0.5 * n))
    level = float(q ** t[n // 2])
    gaps = np.abs(q**t + level * rng.normal(size=n))
    level *= math.exp(-(np.euler_gamma + math.log(2)) / 2)  # geometric mean of |noise|
    return Case(t, gaps, "linear", level, q, True, False)


def nothing(rng: Generator) -> Case:
    """Constant, noise, growth, random walks, or decay followed by growth."""
    n = length(rng)
    t = times(rng, n)
    e = errors(rng, n, float(rng.choice([0.0, 0.8])))
    y = [
        0 * t,
        0.3 * e,
        0.01 * t + 0.1 * e,
        np.cumsum(0.1 * rng.normal(size=n)),
        np.cumsum(0.1 * rng.normal(size=n)) + rng.uniform(0.05, 0.4) * rng.normal(size=n),
        8 * np.abs(t / n - 0.5) + 0.1 * e,
        0.3 * np.log(t) + 0.1 * e,
    ][int(rng.integers(7))]
    return Case(t, np.exp(y), "none", 0.0, 0.0, True, False)


def ended(rng: Generator) -> Case:
    """A decay, with noise or without, that the run ends with a gap of exactly 0."""
    case = build(rng, sigma=0.0 if rng.random() < 0.3 else None, kinds=("linear", "power"))
    t = np.append(case.t, case.t[-1] + 1.0 + np.arange(rng.integers(1, 4)))
    gaps = np.append(case.gaps, np.zeros(len(t) - len(case.t)))
    return Case(t, gaps, case.kind, 0.0, case.rate, case.noisy, case.clear)


def own_best(rng: Generator) -> Case:
    """Gaps to the best value of the run itself, which ends there: each lacks that value's gap."""
    case = build(rng, sigma=0.0 if rng.random() < 0.3 else None, kinds=("linear", "power"))
    stop = int(case.gaps.argmin()) + 1
    gaps = case.gaps[:stop] - case.gaps[stop - 1]
    return Case(case.t[:stop], gaps, case.kind, 0.0, case.rate, True, False)


def at_rest(rng: Generator) -> Case:
    """A geometric decay as a difference of values of any size, which stays on their rounding."""
    n = length(rng)
    t = times(rng, n)
    q, best = math.exp(-rng.uniform(60, 200) / n), float(rng.uniform(-3, 3))
    gaps = np.abs(best - (best - q**t))
    gaps[gaps == 0] = abs(np.spacing(best))
    usable = int(np.sum(q**t > 1e4 * abs(np.spacing(best))))
    return Case(t, gaps, "linear", 0.0, q, False, usable >= 30)


CATEGORIES: dict[str, Callable[[Generator], Case]] = {
    "multiplicative noise": build,
    "heavy-tailed noise (t, 4 degrees)": lambda g: build(g, heavy=True),
    "autocorrelated noise, ρ = 0.5": lambda g: build(g, rho=0.5),
    "autocorrelated noise, ρ = 0.8": lambda g: build(g, rho=0.8),
    "log-spaced iterations": lambda g: build(g, spacing="log", kinds=("power", "logarithmic")),
    "starting plateau": lambda g: build(g, start="plateau", kinds=("linear", "power")),
    "change of regime": lambda g: build(g, start="regime"),
    "floor": lambda g: build(g, floor=True, kinds=("linear", "power")),
    "floor, ρ = 0.5": lambda g: build(g, floor=True, rho=0.5, kinds=("linear", "power")),
    "floor after a plateau": lambda g: build(
        g, floor=True, start="plateau", kinds=("linear", "power")
    ),
    "additive noise": additive,
    "exact": lambda g: build(g, sigma=0.0),
    "exact, floor": lambda g: build(g, sigma=0.0, floor=True, kinds=("linear", "power")),
    "down to rounding or to 0": rounding,
    "no decay": nothing,
    "ending with a gap of 0": ended,
    "gaps to the run's own best value": own_best,
    "at rest on rounding": at_rest,
}


def judge(case: Case) -> dict[str, Any]:
    """Outcome of one series."""
    began = time.process_time()
    fit = fit_rate(case.gaps, case.t)
    seconds = time.process_time() - began
    decided = fit.model != "undecided"
    if case.kind == "none":
        right = not decided
    elif case.floor:
        right = fit.model == "floor" and fit.decay in (case.kind, "undecided")
    else:
        right = fit.model == case.kind
    name = {"linear": "q", "power": "a", "logarithmic": "C"}.get(case.kind, "")
    covers = floor_covers = width = None
    if decided and right and name in fit.intervals and fit.decay == case.kind:
        low, high = fit.intervals[name]
        covers = low <= case.rate <= high
        scale = abs(math.log(case.rate)) if name == "q" else case.rate
        width = (math.log(high / low) if name == "q" else high - low) / scale
    if decided and right and case.floor and "floor" in fit.intervals:
        low, high = fit.intervals["floor"]
        floor_covers = low <= case.floor <= high
    return {
        "decided": decided, "wrong": decided and not right, "covers": covers, "width": width,
        "floor_covers": floor_covers, "clear": case.clear, "noisy": case.noisy,
        "seconds": seconds, "model": fit.model, "decay": fit.decay, "truth": case.kind,
        "n": len(case.t), "reason": fit.reason,
    }  # fmt: skip


def exponent_case(rng: Generator, category: str) -> dict[str, Any]:
    """One set of sample sizes, its fit and the outcome."""
    n = int(rng.integers(6, 41))
    eps = np.geomspace(10 ** rng.uniform(-1, -0.3), 10 ** rng.uniform(-6, -2.5), n)
    repeats = 5 if category == "repeated runs" else 1
    eps = np.repeat(eps, repeats)
    log_factor, a = bool(rng.random() < 0.5), float(rng.uniform(0.5, 4))
    x = -np.log(eps)
    y = rng.normal() + a * x + (np.log(x) if log_factor else 0.0)
    sigma = 0.0 if category == "exact" else math.exp(rng.uniform(math.log(0.003), math.log(0.5)))
    spread = sigma * (x / x.max() * 1.5 if category == "unequal noise" else np.ones_like(x))
    fit = fit_exponent(eps, np.exp(y + spread * rng.normal(size=len(x))))
    curved = np.log(x)
    r = float(np.std(curved - np.polyval(np.polyfit(x, curved, 1), x)))
    decided = fit.model != "undecided"
    right = fit.model == ("power-log" if log_factor else "power")
    clear = sigma == 0 or len(x) * (r / sigma) ** 2 >= 60
    low, high = fit.intervals.get("a", (math.nan, math.nan))
    shown = (decided and right) or (not decided and "a" in fit.intervals)
    return {
        "decided": decided, "wrong": decided and not right, "clear": bool(clear),
        "noisy": sigma > 0, "covers": low <= a <= high if shown else None,
        "width": (high - low) / a if shown else None, "floor_covers": None, "seconds": 0.0,
    }  # fmt: skip


def share(values: list[Any]) -> float | None:
    return round(float(np.mean(values)), 4) if values else None


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Shares over rows; coverage only over series that were decided with the right model."""
    covers = [r["covers"] for r in rows if r["covers"] is not None]
    clear = [r["decided"] for r in rows if r["clear"]]
    widths = [r["width"] for r in rows if r["width"] is not None]
    floors = [r["floor_covers"] for r in rows if r["floor_covers"] is not None]
    return {
        "series": len(rows),
        "decided": share([r["decided"] for r in rows]),
        "wrong": sum(r["wrong"] for r in rows),
        "clear": len(clear),
        "clear_decided": share(clear),
        "intervals": len(covers),
        "coverage": share(covers),
        "floors": len(floors),
        "floor_coverage": share(floors),
        "median_relative_width": float(f"{np.median(widths):.3g}") if widths else None,
        "longest_cpu_seconds": round(max(r["seconds"] for r in rows), 2),
    }


def run(seed: int, limit: int, talk: bool = False) -> dict[str, Any]:
    """Every category, each with its own stream of random numbers."""
    out: dict[str, Any] = {"seed": seed, "per_category": limit}
    everything: list[dict[str, Any]] = []
    out["rates"] = {}
    for index, (name, make) in enumerate(CATEGORIES.items()):
        rng = np.random.default_rng([seed, index])
        rows = [judge(make(rng)) for _ in range(limit)]
        everything += rows
        out["rates"][name] = summary(rows)
        if talk:
            print(f"{name:36s}", json.dumps(out["rates"][name]), flush=True)
            for k, r in enumerate(rows):
                bad = r["wrong"] or (r["clear"] and not r["decided"]) or r["covers"] is False
                if bad:
                    keys = ("truth", "model", "decay", "n", "covers", "clear", "width", "reason")
                    print("   ", k, {key: r[key] for key in keys})
    for name, noisy in (("all noisy", True), ("all without noise", False)):
        out["rates"][name] = summary([r for r in everything if r["noisy"] == noisy])
    out["rates"]["all"] = summary(everything)
    out["exponents"] = {}
    names = ("equal noise", "unequal noise", "repeated runs", "exact")
    rows = []
    for index, name in enumerate(names):
        rng = np.random.default_rng([seed, 100 + index])
        part = [exponent_case(rng, name) for _ in range(4 * limit)]
        out["exponents"][name] = summary(part)
        rows += part
    out["exponents"]["all noisy"] = summary([r for r in rows if r["noisy"]])
    for kind in ("rates", "exponents"):
        noisy = out[kind]["all noisy"]
        pooled = out[kind]["all"] if kind == "rates" else summary(rows)
        exact = out[kind]["all without noise" if kind == "rates" else "exact"]
        out[f"{kind}_goals"] = {
            "coverage between 0.90 and 0.99": 0.90 <= noisy["coverage"] <= 0.99,
            "every interval without noise covers": exact["coverage"] == 1.0,
            "wrong at most 2 %": pooled["wrong"] <= 0.02 * pooled["series"],
            "clear series decided at least 90 %": pooled["clear_decided"] >= 0.90,
        }
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--development", action="store_true", help="the development seed")
    parser.add_argument("--limit", type=int, default=PER_CATEGORY, help="series per category")
    parser.add_argument("--out", help="JSON file to write")
    arguments = parser.parse_args()
    seed = DEVELOPMENT_SEED if arguments.development else VALIDATION_SEED
    result = run(seed, arguments.limit, talk=arguments.development)
    text = json.dumps(result, indent=2, ensure_ascii=False) + "\n"
    if arguments.out:
        with open(arguments.out, "w", encoding="utf-8") as file:
            file.write(text)
    print(text)


if __name__ == "__main__":
    main()
