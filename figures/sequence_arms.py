"""Gain along training, and by rate, drawn from the runs of studies.sequence_arms.

``python -m figures.sequence_arms [RUNS.json]`` draws the exact gain along training at the tuned
rates, a thin line a world and a thick one for their mean, and the mean gain by rate over the
tuning worlds, whose tuned rate is marked; last the two arms at ten times a tuned rate, a line a
world. The records hold every number that is drawn.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from figures.write import FOLDER, write_summary
from sailtheory.plots import style
from sailtheory.plots.series import array, plain
from studies.sequence_arms.tuned import HOOK, HOOK_MEAN, KL, MENDED, PLAIN, SAIL, curves, gain

RUNS = FOLDER.parent / "studies" / "sequence_arms" / "evidence.json"
OUT = Path(__file__).with_suffix(".json")
GROUPS = {
    "objectives": {a: a for a in ("sft", "dpo", PLAIN, SAIL)} | {MENDED: "sail-dpr, .3"},
    f"{PLAIN} and a KL": {
        PLAIN: "none", KL: "kl .001", f"{PLAIN}, kl 0.01": "kl .01",
        f"{PLAIN}, policy kl 0.01": "policy kl .01",
    },
    "with a score term": {
        SAIL: SAIL, f"{SAIL}, kl 0.001": "… kl .001", f"{SAIL}, kl 0.01": "… kl .01",
        HOOK: "hook .3", HOOK_MEAN: "hook .3, 1/n",
    },
}  # fmt: skip
"""Arms of a panel, and what its legend calls them."""
LIMITS = (-0.15, 1.5)  # the legend stands above the curves


def summarise(data: dict[str, Any]) -> dict[str, Any]:
    """What is drawn, as :func:`sailtheory.plots.write_data` writes it."""
    runs = data["runs"]

    def of(stage: str) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for run in runs:
            if run["stage"] == stage:
                found.setdefault(run["arm"], []).append(run)
        return found

    fresh = of("fresh")
    steps = sorted({step for own in fresh.values() for run in own for step, _ in run["curve"]})
    learning = {
        arm: [
            {"world": run["seed"], "updates": steps, "gain": along(run, steps)} for run in own
        ]
        for arm, own in fresh.items()
    }  # fmt: skip
    by_rate = {
        arm: {"rates": list(rates), "gains": list(rates.values()), "tuned": data["tuned"][arm]}
        for arm, rates in curves(runs).items()
    }
    tenfold = {arm: [[run["seed"], gain(run)] for run in own] for arm, own in of("tenfold").items()}
    return plain({
        "schema": "sailtheory.sequence-arms-summary/1",
        "caption": (
            "Sequences that can be listed (studies/sequence_arms): exact gain, 0 for π_ref and 1 "
            "for the best responses. Above: along training at each arm's tuned rate, a thin line "
            "a new world, the mean a thick one; a run that stopped keeps its gain. Below: mean "
            "gain at the end by rate over the tuning worlds, the tuned rate marked. "
            f"Last: {PLAIN} without and with .001 KL(π_ref‖π_θ) at ten times its tuned rate, "
            "a line a world."
        ),
        "series": {"learning": learning, "by_rate": by_rate, "tenfold": tenfold},
    })  # fmt: skip


def along(run: dict[str, Any], steps: list[int]) -> list[float]:
    """The gain at each of these updates; a run that stopped keeps the one it had then."""
    known = {step: found["gain"] for step, found in run["curve"]}
    return [known.get(step, gain(run)) for step in steps]


def draw(data: dict[str, Any]) -> Any:
    """Learning curves above, rates below, a column a group, and the pairs at a high rate."""
    series = data["series"]
    with style.context():
        figure, axes = style.panels(style.DOUBLE, 130, 2, len(GROUPS) + 1)
        for i, (title, arms) in enumerate(GROUPS.items()):
            _learning(axes[0, i], arms, series["learning"])
            style.letter(axes[0, i], i, title)
            _by_rate(axes[1, i], {a: series["by_rate"].get(a) for a in arms})
            style.letter(axes[1, i], len(GROUPS) + 1 + i, "by rate")
        _tenfold(axes[0, -1], series["tenfold"])
        style.letter(axes[0, -1], len(GROUPS), "ten times the rate")
        axes[1, -1].remove()
    return figure


def _learning(ax: Any, arms: dict[str, str], found: dict[str, list[dict[str, Any]]]) -> None:
    for line, (arm, label) in zip(style.LINES, arms.items(), strict=False):
        runs = found.get(arm)
        if runs:
            gains = np.array([array(run["gain"]) for run in runs])
            ax.plot(runs[0]["updates"], gains.T, alpha=0.25, **line | {"linewidth": 0.4})
            ax.plot(runs[0]["updates"], gains.mean(0), label=label, **line)
    ax.set_xlabel("updates")
    ax.set_ylabel("gain")
    ax.set_ylim(*LIMITS)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="upper left")


def _by_rate(ax: Any, arms: dict[str, Any]) -> None:
    for line, found in zip(style.LINES, arms.values(), strict=False):
        if found is None:
            continue
        means = [float(np.mean(array(gains))) for gains in found["gains"]]
        ax.plot(found["rates"], means, **line)
        if found["tuned"] in found["rates"]:
            best = found["rates"].index(found["tuned"])
            ax.plot(found["tuned"], means[best], "o", color=line["color"])
    ax.set_xscale("log")
    ax.set_xlabel("learning rate")
    ax.set_ylabel("gain")
    ax.set_ylim(*LIMITS)


def _tenfold(ax: Any, arms: dict[str, list[list[float]]]) -> None:
    if PLAIN in arms and KL in arms:
        with_kl = dict(map(tuple, arms[KL]))
        pairs = [(value, with_kl[world]) for world, value in arms[PLAIN] if world in with_kl]
        ax.plot([0, 1], np.array(pairs).T, "o-", color=style.BLUE, alpha=0.6, markersize=3)
    ax.set_xticks([0, 1], ["no KL", "kl .001"])
    ax.set_xlim(-0.3, 1.3)
    ax.set_ylabel("gain")
    ax.set_ylim(*LIMITS)


def main(source: Path = RUNS, out: Path = OUT) -> None:
    """Summary, image and caption."""
    write_summary(source, out, summarise, draw)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:3]))
