"""The values of the page of :mod:`studies.llm_arms`, from its JSON files alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean, median, stdev
from typing import Any

import numpy as np
from scipy import stats

from sailtheory.training.llm.winrate import WinRate, at_equal_length, by_reward, win_rate
from studies.render import read, render

Run = dict[str, Any]
Arms = dict[str, list[Run]]
BESIDE = ("sft", "dpo", "sail-dpr")
"""Arms that the others are compared with."""
PLAIN = "sail-dpr"
"""The arm without KL."""


def page(data: dict[str, Any]) -> str:
    """The page as Markdown."""
    arms, lora = (by_arm(data["runs"], tuning) for tuning in ("last-block", "lora"))
    base = {run["seed"]: run for run in data["runs"] if run["arm"] == "reference"}
    return render(
        "llm_arms", **data, labels=data["updates"] * data["batch"],
        arms={name: arm(name, arms, base) for name in arms},
        lora=[row for name in lora for row in _lora(name, lora, arms, base)],
        reference=_means(list(base.values())),
        columns=[name for name in BESIDE if name in arms],
        thresholds=_thresholds(read("llm_arms/thresholds.json")),
        bias=read("llm_arms/bias.json"),
    )  # fmt: skip


def by_arm(runs: Sequence[Run], tuning: str) -> Arms:
    """Runs by arm, in the order of the file, which is that of the design."""
    found: Arms = {}
    for run in runs:
        if run["tuning"] == tuning:
            found.setdefault(run["arm"], []).append(run)
    return found


def kl_coef(name: str) -> str | None:
    """The coefficient in the name of an arm."""
    return name.split()[-1] if " kl " in name else None


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half a 95 % t interval; infinite for one value."""
    if len(values) < 2:
        return fmean(values), math.inf
    half = stats.t.ppf(0.975, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return fmean(values), float(half)


def kl(run: Run, name: str) -> float:
    """KL(π_ref‖π_θ) or KL(π_θ‖π_ref) of a run, a mean over prompts."""
    return -fmean(run["log_ratio_ref"]) if name == "ref" else fmean(run["log_ratio"])


def reward(run: Run) -> float:
    """Mean reward of a run."""
    return fmean(run["rewards"])


def pooled(mine: Sequence[Run], theirs: dict[int, Run]) -> tuple[WinRate, Any]:
    """Win rate and win rate at equal length over all seeds that both have."""
    pairs = [(run, theirs[run["seed"]]) for run in mine if run["seed"] in theirs]

    def joined(name: str, side: int) -> list[float]:
        return [value for pair in pairs for value in pair[side][name]]

    outcomes = by_reward(joined("rewards", 0), joined("rewards", 1))
    return win_rate(outcomes), at_equal_length(outcomes, joined("words", 0), joined("words", 1))


def _share(found: Any) -> tuple[float, float, float]:
    return found.value, found.low, found.high


def _means(runs: list[Run]) -> dict[str, Any]:
    return {
        "seeds": len(runs), "reward": interval([reward(r) for r in runs]),
        "words": fmean(fmean(r["words"]) for r in runs),
    }  # fmt: skip


def arm(name: str, arms: Arms, base: dict[int, Run]) -> dict[str, Any]:
    """All that the page tells of an arm."""
    runs = arms[name]
    won, level = pooled(runs, base)
    spent = {
        key: [r["curves"][f"spent/{key}"][1][-1] for r in runs] for key in ("updates", "tokens")
    }
    return _means(runs) | {
        "kl_coef": kl_coef(name), "won": _share(won), "level": _share(level),
        "ref": interval([kl(r, "ref") for r in runs]),
        "policy": interval([kl(r, "policy") for r in runs]),
        "spent": {key: fmean(values) for key, values in spent.items()},
        "over": {
            other: _share(pooled(runs, {r["seed"]: r for r in arms[other]})[0])
            for other in BESIDE if other in arms and other != name
        },
        "effect": _effect(arms, name) if kl_coef(name) else None,
        "rewards": _quarters([r["curves"].get("rewards/mean") for r in runs], 1),
        "kls": _quarters([r["curves"].get("kl_ref_policy") for r in runs], 5),
        "norm": max(r["largest_grad_norm"] for r in runs),
    }  # fmt: skip


def differences(arms: Arms, name: str, value: Callable[[Run], float]) -> list[float]:
    """Value of an arm less that of sail-dpr without KL, seed by seed."""
    plain = {run["seed"]: value(run) for run in arms.get(PLAIN, [])}
    return [value(run) - plain[run["seed"]] for run in arms[name] if run["seed"] in plain]


def effect(values: Sequence[float]) -> str:
    """What the interval of a difference shows: ``unknown``, ``raised``, ``lowered`` or ``none``."""
    mean, half = interval(values)
    if not math.isfinite(half):
        return "unknown"
    return ("raised" if mean > 0 else "lowered") if abs(mean) > half else "none"


def _effect(arms: Arms, name: str) -> dict[str, Any] | None:
    """Differences to the same seeds without KL."""
    found = differences(arms, name, lambda run: kl(run, "ref"))
    if not found:
        return None
    return {
        "seeds": len(found), "ref": interval(found), "verdict": effect(found),
        "policy": interval(differences(arms, name, lambda run: kl(run, "policy"))),
        "reward": interval(differences(arms, name, reward)),
    }  # fmt: skip


def _quarters(curves: list[Any], minimum: int) -> list[float] | None:
    """Means over the quarters of curves, of which each has so many points."""
    if not all(curve and len(curve[0]) >= minimum for curve in curves):
        return None
    each = [np.array_split(np.array(curve[1]), 4) for curve in curves]
    return [fmean(parts[k].mean() for parts in each) for k in range(4)]


def _lora(name: str, lora: Arms, arms: Arms, base: dict[int, Run]) -> list[dict[str, Any]]:
    """Seed 0 of an arm, by what was tuned."""
    found = []
    for tuning, chosen in (("LoRA", lora), ("last block", arms)):
        for run in chosen.get(name, []):
            if run["seed"] == 0:
                won, _ = pooled([run], base)
                found.append({
                    "arm": name, "tuning": tuning, "won": _share(won), "reward": reward(run),
                    "ref": kl(run, "ref"), "policy": kl(run, "policy"),
                })  # fmt: skip
    return found


def _thresholds(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Medians over the seeds, by arm; γ* that was not certified is nan."""
    keys = ("median_range", "largest_range", "K_B", "gamma_star")
    return {
        name: {
            key: median(math.nan if r[key] is None else r[key] for r in rows if r["arm"] == name)
            for key in keys
        } | {"kl_coef": kl_coef(name)}
        for name in dict.fromkeys(r["arm"] for r in rows)
    }  # fmt: skip
