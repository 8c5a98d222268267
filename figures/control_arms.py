"""Learning curves of the control arms, drawn from the runs of benchmarks.control_arms.

``python -m figures.control_arms [RUNS.json]`` draws every run as a thin line and the
interquartile mean of each arm's runs as a thick one, a panel a task, and for the published
comparison the difference of each pair of seeds. The records hold every number that is drawn.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.control_arms_page import both, score
from figures.write import FOLDER, write_summary
from sailtheory.plots import style
from sailtheory.plots.series import array, plain
from sailtheory.training.statistics import iqm

RUNS = FOLDER.parent / "docs" / "evidence" / "control_arms.json"
OUT = Path(__file__).with_suffix(".json")
FIRST, SECOND = "pebble", "pebble-revkl"


def summarise(data: dict[str, Any]) -> dict[str, Any]:
    """What is drawn, as :func:`sailtheory.plots.write_data` writes it."""
    tasks: dict[str, dict[str, Any]] = {}
    for plan in ("published", "sail", "stand"):
        for task, arms in data.get(plan, {}).items():
            tasks.setdefault(task, {}).update(arms)
    panels = {
        task: {
            arm: {
                "steps": runs[0]["curves"]["eval/return"][0],
                "seeds": [run["seed"] for run in runs],
                "returns": [run["curves"]["eval/return"][1] for run in runs],
            }
            for arm, runs in arms.items()
        }
        for task, arms in tasks.items()
    }
    pairs = {
        task: [[seed, score(one) - score(other)] for seed, one, other in
               both(arms.get(SECOND, []), arms.get(FIRST, []))]
        for task, arms in data.get("published", {}).items()
    }  # fmt: skip
    return plain({
        "schema": "sailtheory.control-arms-summary/1",
        "caption": (
            "Returns of ten deterministic episodes along training (benchmarks/control_arms.py), a "
            "thin line a run and the interquartile mean of an arm's runs a thick one. Last: mean "
            f"return over the second half of training, {SECOND} less {FIRST}, a mark a seed, by "
            "size; the line is their mean."
        ),
        "series": {"tasks": panels, "pairs": pairs},
    })  # fmt: skip


def draw(data: dict[str, Any]) -> Any:
    """A panel a task, and one of pairs."""
    tasks, pairs = data["series"]["tasks"], data["series"]["pairs"]
    count = len(tasks) + len(pairs)
    names = list(dict.fromkeys(arm for arms in tasks.values() for arm in arms))
    with style.context():
        figure, axes = style.panels(style.DOUBLE, 62, 1, max(count, 1))
        for i, (task, arms) in enumerate(tasks.items()):
            ax = axes.flat[i]
            for arm, found in arms.items():
                line = style.LINES[names.index(arm)]
                steps = array(found["steps"]) / 1000
                returns = np.array([array(values) for values in found["returns"]])
                ax.plot(steps, returns.T, alpha=0.3, **line | {"linewidth": 0.5})
                middle = [iqm(column) for column in returns.T]
                ax.plot(steps, middle, label=f"{arm} ({len(returns)})", **line)
            ax.set_xlabel("thousand steps")
            ax.set_ylabel("return")
            ax.set_ylim(bottom=0)
            ax.legend(loc="upper left")
            style.letter(ax, i, task)
        for i, (task, found) in enumerate(pairs.items(), len(tasks)):
            ax, values = axes.flat[i], np.sort([difference for _, difference in found])
            ax.plot(np.arange(1, len(values) + 1), values, "o", color=style.LINES[1]["color"])
            ax.axhline(0, **style.ZERO)
            if len(values):
                ax.axhline(float(np.mean(values)), color=style.LINES[1]["color"])
            ax.set_xlabel("pairs, by size")
            ax.set_ylabel("difference")
            style.letter(ax, i, f"{task}, pairs")
    return figure


def main(source: Path = RUNS, out: Path = OUT) -> None:
    """Summary, image and caption."""
    write_summary(source, out, summarise, draw)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:3]))
