"""A comparison of runs as one HTML page: nothing is loaded, light and dark, drawn as SVG."""

from __future__ import annotations

import numpy as np

from sailtheory.compare.compare import Comparison, Task
from sailtheory.compare.statistics import mean_and_deviation
from sailtheory.report.axes import round_ticks
from sailtheory.report.comparison import caveats, conclusion, interval
from sailtheory.report.html import render

__all__ = ["page"]

_WIDTH, _HEIGHT = 720, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 708, 12, 300
# Colours close to Okabe and Ito's, told apart by colour-blind readers; beyond them, dashes.
_COLOURS = ("#2a8bd0", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_DASHES = ("", "6 3", "2 3", "8 3 2 3")


def page(comparison: Comparison) -> str:
    """The whole page."""
    return render(
        "comparison",
        comparison=comparison,
        plots=[_plot(task) for task in comparison.tasks],
        caveats=caveats(comparison),
        conclusion=conclusion,
        interval=interval,
        mean_and_deviation=mean_and_deviation,
        strokes=_stroke,
    )


def _stroke(i: int) -> tuple[str, str]:
    """Colour and dashes of an arm."""
    return _COLOURS[i % len(_COLOURS)], _DASHES[i // len(_COLOURS) % len(_DASHES)]


def _plot(task: Task) -> dict[str, object]:
    """Where the ticks, curves and bands of a task are."""
    steps = task.arms[0].steps
    curves = np.stack([arm.curve for arm in task.arms])
    x0, x1 = min(0.0, float(steps[0])), float(steps[-1])
    y0, y1 = float(curves.min()), float(curves.max())
    x1 = x1 if x1 > x0 else x0 + 1
    y1 = y1 if y1 > y0 else y0 + max(1.0, abs(y0))  # a flat line needs room as well

    def across(x: float) -> float:
        return _LEFT + (x - x0) / (x1 - x0) * (_RIGHT - _LEFT)

    def down(y: float) -> float:
        return _TOP + (y1 - y) / (y1 - y0) * (_BOTTOM - _TOP)

    def points(xs: np.ndarray, ys: np.ndarray) -> str:
        return " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in zip(xs, ys, strict=True))

    there_and_back = np.concatenate([steps, steps[::-1]])
    return {
        "width": _WIDTH,
        "height": _HEIGHT,
        "left": _LEFT,
        "right": _RIGHT,
        "bottom": _BOTTOM,
        "down": [(down(y), f"{y:.4g}") for y in round_ticks(y0, y1)],
        "across": [(across(x), f"{x:,.6g}") for x in round_ticks(x0, x1)],
        "bands": [
            points(there_and_back, np.concatenate([low, high[::-1]])) for _, low, high in curves
        ],
        "lines": [points(steps, value) for value, _, _ in curves],
    }
