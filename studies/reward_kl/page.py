"""The values of the page of :mod:`studies.reward_kl`, from its evidence alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean, median
from typing import Any

from sailtheory.compare.statistics import power
from studies.render import fmt, interval, render, table
from studies.reward_kl.arms import K3, NONE, RATIOS, REF_POLICY, SCALES, Arm, arms
from studies.reward_kl.tuned import Record, cell_of
from studies.sequence_arms.page import mean_interval

ALPHA = 0.05 / 3
LEVEL = 1 - ALPHA
REMOVED = 0.05
"""A share of bad ends that is at most this is what the trial had at .2γ*."""
SCALE_NAMES = {"none": "f = V", "std": "std"}
Value = Callable[[int], float]


def page(data: Record) -> str:
    """The page as Markdown."""
    return render("reward_kl", **values(data))


def values(data: Record) -> dict[str, Any]:
    """All that the page is made of."""
    study = Study(data)
    primaries = study.primaries() if study.complete else []
    return data | {
        "complete": study.complete, "done": len(study.fresh), "planned": study.planned,
        "trl_done": len(study.trl), "trl_planned": len(data["cells"]) * len(study.seeds),
        "primaries": primaries, "level": 100 * LEVEL,
        "sentences": study.sentences(primaries) if study.complete else [],
        "power_d": next(d / 100 for d in range(50, 300) if power(d / 100, 10, alpha=ALPHA) >= 0.9),
        "learning": {depth: study.table(depth, "pass_rate") for depth in data["depths"]},
        "ends": {
            1: study.table(1, "bad_objective"), 2: study.table(2, "bad_pass_rate"),
        },
        "thresholds": study.thresholds(), "above": study.above(),
        "cells_told": study.cells(), "restless": study.worst("restless"),
        "edges": study.edges(), "by_rate": study.by_rate() if study.complete else "",
        "trl_edges": study.trl_edges(), "cpu": sum(run["cpu_seconds"] for run in data["runs"]) / 60,
        "commits": sorted({run["commit"] for run in data["runs"]}),
        "versions_told": ", ".join(
            f"{name} {data['versions'][name]}" for name in ("python", "numpy", "torch", "trl")
        ),
    }  # fmt: skip


class Study:
    """The records, by what they are of."""

    def __init__(self, data: Record) -> None:
        self.data, self.seeds = data, list(data["fresh_seeds"])
        runs = data["runs"]
        self.fresh = {
            (r["seed"], r["depth"], r["pass_rate"], r["scale"]): r
            for r in runs if r["stage"] == "fresh"
        }  # fmt: skip
        self.tuning = [r for r in runs if r["stage"] == "tuning"]
        self.trl = {(r["seed"], r["cell"]): r for r in runs if r["stage"] == "trl"}
        self.planned = len(self.seeds) * len(data["depths"]) * len(data["pass_rates"]) * len(SCALES)
        self.complete = (
            len(self.fresh) == self.planned
            and len(self.trl) == len(self.seeds) * len(data["cells"])
        )  # fmt: skip

    def of(
        self, field: str, depth: int, scale: str, arm: Arm, rates: Sequence[float] | None = None
    ) -> Value:
        """A field of an arm in the world of a seed, mean over the pass rates."""
        tried = self.data["pass_rates"] if rates is None else rates
        return lambda seed: fmean(
            self.fresh[seed, depth, rate, scale]["arms"][cell_of(arm)][field] for rate in tried
        )

    def mean(self, value: Value, level: float = 0.95) -> tuple[float, float, float]:
        """Over the worlds, with a t interval."""
        return mean_interval([value(seed) for seed in self.seeds], level)

    def primaries(self) -> list[Record]:
        """The three tests of the design."""
        none, proved = Arm(NONE, "0"), Arm(REF_POLICY, "K")
        cost = self._apart("pass_rate", 1, proved, none)
        share = self.of("bad_objective", 1, "none", Arm(REF_POLICY, "0.2"))
        at_none = self.of("bad_objective", 1, "none", none)
        grid = [f"{ratio:g}" for ratio in RATIOS]

        def on_grid(kl: str) -> Value:
            each = [self.of("bad_pass_rate", 2, "none", Arm(kl, gamma)) for gamma in grid]
            return lambda seed: fmean(one(seed) for one in each)

        sequence, by_token = on_grid(REF_POLICY), on_grid(K3)
        return [
            self._test("pass rate, γ = K minus no KL", cost, _sign),
            self._test("share of bad ends at .2γ*", share, _removed)
            | {"from_none": told(self.mean(lambda s: at_none(s) - share(s), LEVEL), "+.3f")},
            self._test("share of bad ends, k3 minus sequence KL",
                       lambda s: by_token(s) - sequence(s), _sign)
            | {"sequence": self.mean(sequence)},
        ]  # fmt: skip

    def _apart(self, field: str, depth: int, arm: Arm, other: Arm, scale: str = "none") -> Value:
        one, two = self.of(field, depth, scale, arm), self.of(field, depth, scale, other)
        return lambda seed: one(seed) - two(seed)

    def _test(self, name: str, value: Value, verdict: Callable[[Sequence[float]], str]) -> Record:
        found = self.mean(value, LEVEL)
        each = [value(seed) for seed in self.seeds]
        return {
            "name": name, "interval": found, "told": told(found, "+.3f"),
            "verdict": verdict(found), "least": min(each), "most": max(each),
        }  # fmt: skip

    def sentences(self, primaries: list[Record]) -> list[str]:
        """Three tests and one sentence that is exploratory."""
        return [*map(str, (self._cost(primaries[0]), self._removed(primaries[1]),
                           self._stable(primaries[2]), self._in_trl()))]  # fmt: skip

    def _cost(self, found: Record) -> str:
        left = self.mean(self._apart("pass_rate", 1, Arm(REF_POLICY, "0.2"), Arm(NONE, "0")))
        says = {
            "less": "costs reward", "more": "raises the reward",
            "none": "is not shown to cost reward",
        }  # fmt: skip
        return (
            "On one token the γ that is proved for every problem (K = 1) "
            f"{says[found['verdict']]}: after 200 updates the mean pass rate differs by "
            f"{found['told']} from that without a "
            f"KL; at .2γ* it differs by {interval(left, '+.3f')} (exploratory)."
        )

    def _removed(self, found: Record) -> str:
        def share(gamma: str, rates: Sequence[float] | None = None) -> float:
            arm = Arm(NONE, "0") if gamma == "0" else Arm(REF_POLICY, gamma)
            return 100 * self.mean(self.of("bad_objective", 1, "none", arm, rates))[0]

        says = {"yes": "removes", "no": "does not remove", "undecided": "may or may not remove"}
        rates = self.data["pass_rates"]
        each = ", ".join(f"{share('0.2', [p]):.0f} % at p = {p:g}" for p in rates)
        mean, low, high = (100 * value for value in found["interval"])
        return (
            f".2γ* {says[found['verdict']]} bad maxima as in the trial: {mean:.1f} % "
            f"({100 * LEVEL:.1f} %: {low:.1f} to {high:.1f}) of random starts end badly with it; "
            f"it is {each}, and over all {share('0'):.0f} % without a KL and {share('0.5'):.1f} % "
            "at .5γ* (exploratory)."
        )

    def _stable(self, found: Record) -> str:
        says = {
            "more": "is less stable than", "less": "is more stable than",
            "none": "is not shown to be less stable than",
        }  # fmt: skip
        more = "" if found["verdict"] == "more" else (
            "; C34's counterexample is not what these random problems look like"
        )  # fmt: skip
        return (
            f"On two tokens k3 by token {says[found['verdict']]} KL(π_ref‖π_θ) of whole responses: "
            f"its share of bad ends differs by {found['told']} from the sequence's, "
            f"{found['sequence'][0]:.3f}{more}."
        )

    def _in_trl(self) -> str:
        cells = "; ".join(
            f"{interval(self._cell(cell, 'pass_rate'), '.3f')} with {cell}"
            for cell in self.data["cells"]
        )
        return (
            "In TRL's GRPOTrainer with k3 by token γ = K leaves little to gain within "
            f"{self.data['trl_updates']} updates: from .1 the pass rate goes to {cells} "
            "(exploratory)."
        )

    def table(self, depth: int, field: str) -> str:
        """One line a KL and γ, one column an f and a pass rate; means over the worlds."""
        rates = self.data["pass_rates"]
        columns = [(scale, rate) for scale in SCALES for rate in rates]
        head = ["KL", "γ", *(f"{SCALE_NAMES[scale]}, p = {rate:g}" for scale, rate in columns)]
        rows = []
        for arm in arms(depth):
            if arm.kl == K3 and field == "bad_objective":
                continue
            cells = [self._told(field, depth, scale, arm, rate) for scale, rate in columns]
            gamma = {"0": "0", "K": "K"}.get(arm.gamma, f"{arm.gamma}γ*")
            rows.append([arm.kl, gamma, *cells])
        return table(head, rows)

    def _told(self, field: str, depth: int, scale: str, arm: Arm, rate: float) -> str:
        seeds = [s for s in self.seeds if (s, depth, rate, scale) in self.fresh]
        if len(seeds) < 2:
            return "–"
        value = self.of(field, depth, scale, arm, [rate])
        mean, low, high = mean_interval([value(seed) for seed in seeds])
        return (
            f"{fmt(mean, '.3f')} ± {(high - low) / 2:.3f}" if math.isfinite(low) else f"{mean:.3f}"
        )

    def thresholds(self) -> str:
        """Searched γ*, by kind of problem."""
        rows = []
        for depth in self.data["depths"]:
            for scale in SCALES:
                cells = []
                for rate in self.data["pass_rates"]:
                    found = self._gammas(depth, scale, rate)
                    cells.append(f"{median(found):.2f} ({max(found):.2f})" if found else "–")
                rows.append(
                    [depth, SCALE_NAMES[scale], f"{self.data['proved'][scale]:.3f}", *cells]
                )
        return table(["T", "f", "K", *(f"p = {p:g}" for p in self.data["pass_rates"])], rows)

    def _gammas(self, depth: int, scale: str, rate: float) -> list[float]:
        return [g for (_, d, p, s), r in self.fresh.items()
                if (d, p, s) == (depth, rate, scale) for g in r["threshold"]]  # fmt: skip

    def above(self) -> Record:
        """In how many problems γ* is above K of one softmax, by T."""
        told: Record = {}
        for depth in self.data["depths"]:
            found = [(g, self.data["proved"][s]) for s in SCALES for p in self.data["pass_rates"]
                     for g in self._gammas(depth, s, p)]  # fmt: skip
            told[depth] = (sum(g > k for g, k in found), len(found))
        return told

    def cells(self) -> list[Record]:
        """TRL's cells."""
        found = []
        for cell, settings in self.data["cells"].items():
            own = [r for (_, name), r in self.trl.items() if name == cell]
            if len(own) > 1:
                names = ("pass_rate", "kl_ref_policy", "kl_policy_ref")
                means = {n: mean_interval([r["final"][n] for r in own]) for n in names}
                found.append({"cell": cell, "n": len(own), "rate": own[0]["rate"],
                              "beta": settings["beta"], **means})  # fmt: skip
        return found

    def by_rate(self) -> str:
        """Shares of ends that are bad by pass rate at .2γ*, one token, f = V."""
        arm = Arm(REF_POLICY, "0.2")
        shares = [
            self.mean(self.of("bad_pass_rate", 1, "none", arm, [p]))[0]
            for p in self.data["pass_rates"]
        ]
        return ", ".join(f"{share:.3f}" for share in shares)

    def trl_edges(self) -> list[str]:
        """Cells of TRL whose tuned rate is at an end of the range."""
        ends = (self.data["trl_rates"][0], self.data["trl_rates"][-1])
        return [row["cell"] for row in self.cells() if row["rate"] in ends]

    def _cell(self, cell: str, name: str) -> tuple[float, float, float]:
        return mean_interval([r["final"][name] for (_, c), r in self.trl.items() if c == cell])

    def worst(self, field: str) -> float:
        """The largest value of a field over all records and arms."""
        return max((a[field] for r in self.fresh.values() for a in r["arms"].values()), default=0.0)

    def edges(self) -> Record:
        """How many cells have which tuned rate."""
        told: Record = {}
        for (seed, *_), record in self.fresh.items():
            if seed == self.seeds[0]:
                for arm in record["arms"].values():
                    told[arm["rate"]] = told.get(arm["rate"], 0) + 1
        return dict(sorted(told.items()))


def told(found: Sequence[float], spec: str) -> str:
    """A value with its interval of the tests' level."""
    value, low, high = (format(each, spec) for each in found)
    return f"{value} ({100 * LEVEL:.1f} %: {low} to {high})"


def _sign(found: Sequence[float]) -> str:
    mean, low, high = found
    return "none" if low <= 0 <= high else "more" if mean > 0 else "less"


def _removed(found: Sequence[float]) -> str:
    _, low, high = found
    return "yes" if high <= REMOVED else "no" if low > REMOVED else "undecided"
