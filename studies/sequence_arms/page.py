"""The values of the page of :mod:`studies.sequence_arms`, from its evidence alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from statistics import fmean, stdev
from typing import Any

from scipy import stats

from sailtheory.compare.statistics import paired_d, power
from studies.render import interval, render, table
from studies.sequence_arms.tuned import (
    HOOK,
    HOOK_MEAN,
    KL,
    MENDED,
    PLAIN,
    SAIL,
    Record,
    curves,
    gain,
)

PRIMARIES = (("fresh", SAIL, PLAIN), ("tenfold", KL, PLAIN))
ALPHA = 0.025
EXPECTED = (5.2, 1.6)
"""Cohen's d of the trial, by which the power was stated."""
TRIAL = (-0.483, 0.264)
"""Its differences."""
COLUMNS = ("gain", "win_rate", "sail", "kl_ref_policy", "kl_policy_ref", "entropy")


def page(data: Record) -> str:
    """The page as Markdown."""
    return render("sequence_arms", **values(data))


def values(data: Record) -> dict[str, Any]:
    """All that the page is made of."""
    runs, worlds = data["runs"], len(data["fresh_seeds"])
    arms = [arm for arm in data["arms"] if of(runs, "fresh", arm)]
    primaries = [compared(runs, *each, level=1 - ALPHA) for each in PRIMARIES]
    tuning = [tuning_row(arm, rates, data) for arm, rates in curves(runs).items()]
    stopped = Counter((run["arm"], run["rate"]) for run in runs if run["stopped"])
    complete = all(found is not None and found["n"] == worlds for found in primaries)
    return data | {
        "primaries": primaries, "complete": complete, "planned": worlds,
        "powers": [(d, power(d, worlds, alpha=ALPHA), power(d / 2, worlds, alpha=ALPHA))
                   for d in EXPECTED],
        "table_of_rates": rates_told(tuning, data["rates"]),
        "edges": [row["arm"] for row in tuning if row["edge"]],
        "sentences": sentences(runs, primaries) if complete else [],
        "arms_told": [arm_row(runs, "fresh", arm) for arm in arms],
        "tenfold": [arm_row(runs, "tenfold", arm) for arm in (PLAIN, KL)
                    if of(runs, "tenfold", arm)],
        "against": [compared(runs, "fresh", arm, PLAIN) for arm in arms if arm != PLAIN],
        "between": [found for pair in ((PLAIN, "dpo"), (MENDED, HOOK), (MENDED, HOOK_MEAN))
                    if (found := compared(runs, "fresh", *pair)) is not None],
        "stopped": stopped.total(),
        "stopped_by": [f"{arm} at {rate:g}: {n}" for (arm, rate), n in stopped.items()],
        "cpu": sum(sum(run["cpu_seconds"]) for run in runs) / 3600,
        "commits": sorted({run["commit"] for run in runs}),
        "versions_told": ", ".join(
            f"{name} {data['versions'][name]}" for name in ("python", "torch", "transformers")
        ),
    }  # fmt: skip


def of(runs: list[Record], stage: str, arm: str) -> dict[int, Record]:
    """Runs of an arm by their world."""
    return {run["seed"]: run for run in runs if (run["stage"], run["arm"]) == (stage, arm)}


def mean_interval(found: list[float], level: float = 0.95) -> tuple[float, float, float]:
    """A mean with its t interval; without ends where there is one value."""
    if len(found) < 2:
        return fmean(found), math.nan, math.nan
    half = stats.t.ppf((1 + level) / 2, len(found) - 1) * stdev(found) / math.sqrt(len(found))
    return fmean(found), fmean(found) - half, fmean(found) + half


def compared(
    runs: list[Record], stage: str, arm: str, other: str,
    value: Callable[[Record], float] = gain, level: float = 0.95,
) -> Record | None:  # fmt: skip
    """Differences of two arms world by world; None where there are not two worlds."""
    mine, theirs = of(runs, stage, arm), of(runs, stage, other)
    seeds = sorted(mine.keys() & theirs.keys())
    if len(seeds) < 2:
        return None
    x, y = ([value(side[seed]) for seed in seeds] for side in (mine, theirs))
    apart = [a - b for a, b in zip(x, y, strict=True)]
    mean, low, high = mean_interval(apart, level)
    spread = stdev(apart)
    p = float(stats.ttest_rel(x, y).pvalue) if spread else math.nan
    d = paired_d(x, y, level=level)
    return {
        "arm": arm, "other": other, "n": len(seeds), "interval": (mean, low, high), "p": p,
        "d": (d.value, d.low, d.high), "deviation": spread, "level": level,
        "verdict": "none" if low <= 0 <= high else "more" if mean > 0 else "less",
        "above": sum(a > 0 for a in apart),
    }  # fmt: skip


def tuning_row(arm: str, rates: dict[float, list[float]], data: Record) -> Record:
    """Mean gain of an arm at every rate, and the rate that was taken."""
    taken = data["tuned"][arm]
    return {
        "arm": arm, "runs": sum(map(len, rates.values())), "tuned": taken,
        "edge": taken in (data["rates"][0], data["rates"][-1]),
        "gains": {rate: fmean(rates[rate]) if rate in rates else None for rate in data["rates"]},
    }  # fmt: skip


def arm_row(runs: list[Record], stage: str, arm: str) -> Record:
    """What an arm came to, means over its worlds."""
    own = of(runs, stage, arm)
    return {
        "arm": arm, "n": len(own), "rate": next(iter(own.values()))["rate"],
        **{name: mean_interval([run["final"][name] for run in own.values()]) for name in COLUMNS},
    }  # fmt: skip


def rates_told(rows: list[Record], rates: list[float]) -> str:
    """The tuned curves of all arms as a table, the rate that was taken in bold."""

    def cell(row: Record, rate: float) -> str:
        mean = row["gains"][rate]
        shown = "–" if mean is None else f"{mean:.3f}"
        return f"**{shown}**" if rate == row["tuned"] else shown

    head = ["arm", "runs", *(f"{rate:g}" for rate in rates)]
    return table(head, [[r["arm"], r["runs"], *(cell(r, rate) for rate in rates)] for r in rows])


def sentences(runs: list[Record], primaries: list[Any]) -> list[str]:
    """What a complete set of runs says: two tests, and two sentences that are exploratory."""
    first, second = primaries
    kl = compared(runs, "fresh", KL, PLAIN)
    j = compared(runs, "fresh", SAIL, PLAIN, lambda run: run["final"]["sail"])
    left_out = compared(runs, "fresh", PLAIN, MENDED)
    mended = [compared(runs, "fresh", MENDED, hook) for hook in (HOOK, HOOK_MEAN)]
    assert kl and j and left_out and all(mended)
    return [
        f"With the score term (`{SAIL}`) the trainer ends {_moved(first)} without it "
        f"(`{PLAIN}`), each at its tuned rate: {_told(first)} over {first['n']} new worlds.",
        f"At ten times the rate tuned for `{PLAIN}`, .001 KL(π_ref‖π_θ) ends {_moved(second)} "
        f"without it: {_told(second)}; the trial's {TRIAL[1]:+.3f} lies "
        f"{_within(second, TRIAL[1])} that interval, and with each at its own tuned rate the "
        f"difference is {_told(kl)} (exploratory).",
        f"`{SAIL}` ends with a J that is {_moved(j, 'higher than', 'lower than')} that of "
        f"`{PLAIN}`: {_told(j, '+.4f')} (exploratory)" + (
            "; so its optimiser does what J asks, and J is not the reward (claim C28)."
            if j["verdict"] == "more" and first["verdict"] == "less"
            else "; so J alone does not explain the difference in gain."
        ),
        "Mending the published hook, that is putting the score term at the same γ in its place, "
        f"changes the gain by {_told(mended[0])}, and by {_told(mended[1])} where the hook has the "
        f"batch's 1/n; leaving the term out changes that of the mended one by {_told(left_out)} "
        "(exploratory).",
    ]  # fmt: skip


def _moved(found: Any, more: str = "with more gain than", less: str = "with less gain than") -> str:
    none = (
        "with no shown difference from" if more.startswith("with") else "not shown to differ from"
    )
    return {"more": more, "less": less, "none": none}[found["verdict"]]


def _within(found: Any, value: float) -> str:
    _, low, high = found["interval"]
    return "inside" if low <= value <= high else "outside"


def _told(found: Any, spec: str = "+.3f") -> str:
    return interval(found["interval"], spec, found["level"])
