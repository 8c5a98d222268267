"""A comparison of runs as one HTML page: nothing is loaded, light and dark, drawn as SVG."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import numpy as np

from sailtheory.compare.compare import Comparison, Task
from sailtheory.compare.statistics import mean_and_deviation
from sailtheory.report.comparison import caveats, conclusion, interval

_WIDTH, _HEIGHT = 720, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 12, 40
_TICKS = 5
# Colours close to Okabe and Ito's, told apart by colour-blind readers; beyond them, dashes.
_COLOURS = ("#2a8bd0", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_DASHES = ("", "6 3", "2 3", "8 3 2 3")

_STYLE = """
:root { color-scheme: light dark; --text: #1b1b1b; --soft: #666; --line: #d0d0d0; --page: #fff }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e6e6; --soft: #a0a0a0; --line: #444; --page: #16181b }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
       max-width: 58rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0; font-size: 0.9rem; display: block;
        overflow-x: auto }
th, td { border-bottom: 1px solid var(--line); padding: 0.3rem 0.7rem; text-align: left }
td { white-space: nowrap }
svg { width: 100%; height: auto }
svg text { font-size: 12px; fill: var(--soft) }
.grid { stroke: var(--line) }
.conclusion { border-left: 3px solid var(--soft); padding-left: 1rem }
.swatch { vertical-align: middle; width: 28px; height: 8px }
"""


def page(comparison: Comparison) -> str:
    """The whole page."""
    title = f"{comparison.metric} by arm"
    parts = [f"<h1>{escape(title)}</h1>", *map(_section, comparison.tasks)]
    if comparison.overall:
        overall = comparison.overall.items()
        rows = [(name, interval(iqm, 4), interval(won)) for name, (iqm, won) in overall]
        parts.append("<h2>Over all tasks</h2>")
        parts.append(_table(("arm", "IQM", "probability of improvement"), rows))
    items = "".join(f"<li>{escape(text)}</li>" for text in caveats(comparison))
    parts.append(f"<h2>How far this goes</h2><ul>{items}</ul>")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _section(task: Task) -> str:
    arms = [
        (
            _Raw(f"{_swatch(i)} {escape(arm.name)}"), len(arm.scores),
            ", ".join(map(str, arm.seeds)), interval(arm.iqm, 4),
            "{:.4g} ± {:.3g}".format(*mean_and_deviation(arm.scores)),
        )
        for i, arm in enumerate(task.arms)
    ]  # fmt: skip
    pairs = [
        (
            f"{pair.arm} − {pair.baseline}", f"{pair.difference:+.4g}", interval(pair.d),
            interval(pair.paired), interval(pair.improvement), f"{pair.detectable:.3g}",
            f"{pair.needed} for d = {pair.effect:g}",
        )
        for pair in task.pairs
    ]  # fmt: skip
    parts = [f"<h2>{escape(task.name)}</h2>", _plot(task)]
    parts.append(_table(("arm", "runs", "seeds", "IQM", "mean ± sd"), arms))
    parts += [f'<p class="conclusion">{escape(conclusion(pair))}</p>' for pair in task.pairs]
    if pairs:
        head = (
            "against the first arm", "mean difference", "d", "paired d",
            "probability of improvement", "d seen with 80 %", "runs needed",
        )  # fmt: skip
        parts.append(_table(head, pairs))
    if task.diff.allowed:
        shown = [
            (difference.key, str(difference).partition(": ")[2]) for difference in task.diff.allowed
        ]
        parts.append(_table(("declared difference", "values"), shown))
    return "".join(parts)


class _Raw(str):
    """Text that is HTML already."""


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>"
        + "".join(f"<td>{c if isinstance(c, _Raw) else escape(str(c))}</td>" for c in row)
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _stroke(i: int) -> str:
    dash = _DASHES[i // len(_COLOURS) % len(_DASHES)]
    return f'stroke="{_COLOURS[i % len(_COLOURS)]}" stroke-width="2" stroke-dasharray="{dash}"'


def _swatch(i: int) -> str:
    line = f'<line x1="0" x2="28" y1="4" y2="4" {_stroke(i)}/>'
    return f'<svg class="swatch" viewBox="0 0 28 8">{line}</svg>'


def _ticks(low: float, high: float) -> np.ndarray:
    """Round numbers between two ends, about ``_TICKS`` of them."""
    rough = (high - low) / _TICKS
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * next(m for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    ticks: np.ndarray = (
        np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1) * step
    )
    return ticks


def _plot(task: Task) -> str:
    """Curves of the IQM with their intervals as bands."""
    steps = task.arms[0].steps
    curves = np.stack([arm.curve for arm in task.arms])
    x0, x1 = min(0.0, float(steps[0])), float(steps[-1])
    y0, y1 = float(curves.min()), float(curves.max())
    x1 = x1 if x1 > x0 else x0 + 1
    y1 = y1 if y1 > y0 else y0 + max(1.0, abs(y0))  # a flat line needs room as well

    def across(x: float) -> float:
        return _LEFT + (x - x0) / (x1 - x0) * (_WIDTH - _LEFT - _RIGHT)

    def down(y: float) -> float:
        return _TOP + (y1 - y) / (y1 - y0) * (_HEIGHT - _TOP - _BOTTOM)

    def points(xs: np.ndarray, ys: np.ndarray) -> str:
        return " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in zip(xs, ys, strict=True))

    parts = []
    for y in _ticks(y0, y1):
        line = f'x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{down(y):.1f}" y2="{down(y):.1f}"'
        parts.append(f'<line class="grid" {line}/>')
        at = f'x="{_LEFT - 8}" y="{down(y) + 4:.1f}"'
        parts.append(f'<text {at} text-anchor="end">{y:.4g}</text>')
    for x in _ticks(x0, x1):
        at = f'x="{across(x):.1f}" y="{_HEIGHT - _BOTTOM + 20}"'
        parts.append(f'<text {at} text-anchor="middle">{x:,.6g}</text>')
    there_and_back = np.concatenate([steps, steps[::-1]])
    for i, (_, low, high) in enumerate(curves):
        edge = points(there_and_back, np.concatenate([low, high[::-1]]))
        colour = _COLOURS[i % len(_COLOURS)]
        parts.append(f'<polygon points="{edge}" fill="{colour}" fill-opacity="0.18"/>')
    for i, (value, _, _) in enumerate(curves):
        parts.append(f'<polyline points="{points(steps, value)}" fill="none" {_stroke(i)}/>')
    label = f'x="{_WIDTH / 2}" y="{_HEIGHT - 4}" text-anchor="middle"'
    parts.append(f"<text {label}>steps; IQM over runs, band: 95 % bootstrap interval</text>")
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{"".join(parts)}</svg>'
