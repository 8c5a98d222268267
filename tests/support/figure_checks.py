"""What the tests of figures share: data made once, text boxes that must not overlap."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

from matplotlib.text import Text
from matplotlib.transforms import Bbox

from sailtheory import examples, plots
from sailtheory.convergence.complexity import Design
from sailtheory.plots import style

FIGURES = Path(__file__).parents[2] / "figures"
PROBLEMS = ("c08-kl-policy-ref", "ragged")
CASES = list(itertools.product(plots.KINDS, PROBLEMS))
DIGITS = 2e-8  # data hold 9 significant digits; points of evaluation too
_MADE: dict[tuple[str, str], dict] = {}


def fewer_points(monkeypatch) -> None:
    """The code is the same."""
    for module, constants in {
        "convergence": {
            "_MOST": 150,
            "_MOST_MIRROR": 30,
            "_MOST_STOCHASTIC": 60,
            "_RUNS": 4,
            "_DENSE": 12,
            "_SPARSE": 10,
        },
        "pl": {"_STARTS": 40, "_STEPS": 300},
        "thresholds": {"_POINTS": 3},
        "samples": {"_DESIGN": Design(runs=3, decades=0.5, points=4, growth=30, penalties=(1,))},
        "price": {"_POINTS": 9},
        "self_preference": {"_LEVELS": 8},
    }.items():
        for name, value in constants.items():
            monkeypatch.setattr(f"sailtheory.plots.{module}.{name}", value)


def made(kind: str, problem: str) -> dict:
    """The data, through JSON; computed once."""
    if (kind, problem) not in _MADE:
        data = plots.compute(kind, examples.load(problem), name=problem)
        _MADE[kind, problem] = json.loads(json.dumps(data, allow_nan=False))
    return _MADE[kind, problem]


def drawn(data: dict):
    """The figure, and its text boxes within the canvas."""
    figure = plots.draw(data)
    with style.context():
        figure.canvas.draw()
    return figure


# --- text: inside the figure, apart from other text ------------------------------------------


def boxes(figure) -> list[tuple[str, Bbox]]:
    """Everything written that is to be seen, with its extent in pixels."""
    hidden = set()
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            slack = 1e-9 * (high - low)
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if not low - slack <= tick.get_loc() <= high + slack:
                    hidden |= {tick.label1, tick.label2}
    found = []
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and text not in hidden:
            found.append((text.get_text(), text.get_window_extent()))
    return found


def collisions(figure) -> list[str]:
    """Pairs of texts that overlap by more than a pixel, and texts that are cut off."""
    found, bad = boxes(figure), []
    for (one, a), (two, b) in itertools.combinations(found, 2):
        wide = min(a.x1, b.x1) - max(a.x0, b.x0)
        high = min(a.y1, b.y1) - max(a.y0, b.y0)
        if wide > 1 and high > 1:
            bad.append(f"{one!r} on {two!r}")
    for text, box in found:
        if box.x0 < -1 or box.y0 < -1 or box.x1 > figure.bbox.x1 + 1 or box.y1 > figure.bbox.y1 + 1:
            bad.append(f"{text!r} is cut off")
    return bad
