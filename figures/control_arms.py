"""Learning curves of the control arms, drawn from the runs of studies.control_arms.

``python -m figures.control_arms [RUNS.json]`` draws every run as a thin line and the
interquartile mean of each arm's runs as a thick one, a panel a task, and in a second row the
difference of each pair of seeds between two arms. The records hold every number that is drawn.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from figures.write import FOLDER, write_summary
from sailtheory.compare.statistics import iqm
from sailtheory.plots import style
from sailtheory.plots.series import array, plain
from studies.control_arms.pairs import both, score

RUNS = FOLDER.parent / "studies" / "control_arms" / "evidence.json"
OUT = Path(__file__).with_suffix(".json")
PAIRS = (("pebble-revkl", "pebble"), ("sail", "pebble"), ("sail-revkl", "sail"))


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
        task: {
            f"{arm} − {base}": [[seed, score(x) - score(y)] for seed, x, y in found]
            for arm, base in PAIRS
            if (found := both(arms.get(arm, []), arms.get(base, [])))
        }
        for task, arms in tasks.items()
    }
    return plain({
        "schema": "sailtheory.control-arms-summary/1",
        "caption": (
            "Returns of ten deterministic episodes along training (studies/control_arms), a "
            "thin line a run and the interquartile mean of an arm's runs a thick one. Below: mean "
            "return over the second half of training of one arm less another's, a mark a seed, "
            "and the mean of the marks as a bar."
        ),
        "series": {"tasks": panels, "pairs": pairs},
    })  # fmt: skip


def draw(data: dict[str, Any]) -> Any:
    """Curves above, differences of pairs below, a column a task."""
    tasks, pairs = data["series"]["tasks"], data["series"]["pairs"]
    columns = max(len(tasks), 1)
    names = list(dict.fromkeys(arm for arms in tasks.values() for arm in arms))
    with style.context():
        figure, axes = style.panels(style.DOUBLE, 105, 2, columns)
        for i, (task, arms) in enumerate(tasks.items()):
            _curves(axes[0, i], arms, names)
            style.letter(axes[0, i], i, task)
            _differences(axes[1, i], pairs[task], names)
            style.letter(axes[1, i], columns + i, f"{task}, pairs")
    return figure


def _curves(ax: Any, arms: dict[str, Any], names: list[str]) -> None:
    for arm, found in arms.items():
        line = style.LINES[names.index(arm)]
        steps = array(found["steps"]) / 1000
        returns = np.array([array(values) for values in found["returns"]])
        ax.plot(steps, returns.T, alpha=0.3, **line | {"linewidth": 0.5})
        middle = [iqm(column) for column in returns.T]
        ax.plot(steps, middle, label=f"{arm} ({len(returns)})", **line)
    ax.set_xlabel("thousand steps")
    ax.set_ylabel("return")
    ax.set_ylim(0, 1.5 * ax.get_ylim()[1])  # the legend stands above the curves
    ax.legend(loc="upper left")


def _differences(ax: Any, pairs: dict[str, Any], names: list[str]) -> None:
    """A row of marks for two arms, in the colour of the first."""
    for row, (label, found) in enumerate(pairs.items()):
        color = style.LINES[names.index(label.split(" − ")[0])]["color"]
        values = [difference for _, difference in found]
        ax.plot(values, np.full(len(values), row), "o", color=color, alpha=0.6)
        ax.plot([np.mean(values)] * 2, [row - 0.3, row + 0.3], color=color)
    ax.axvline(0, **style.ZERO)
    ax.set_yticks(range(len(pairs)), [label.replace(" − ", "\n− ") for label in pairs])
    ax.set_ylim(len(pairs) - 0.5, -0.5)
    ax.set_xlabel("difference of returns")


def main(source: Path = RUNS, out: Path = OUT) -> None:
    """Summary, image and caption."""
    write_summary(source, out, summarise, draw)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:3]))
