"""Small pictures as inline SVG in the colours of the page, light or dark."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from html import escape

from sailtheory.report.html import MARKS
from sailtheory.report.words import number
from sailtheory.verdict import Outcome, Verdict

_ROWS = ("proved", "certified", "supported", "undecided")
_LEFT, _STEP, _LINE = 84.0, 27.0, 30.0


def ledger_figure(verdicts: Sequence[tuple[str, Verdict]]) -> str:
    """Outcome and strength of each claim, a column a claim."""
    width = _LEFT + _STEP * len(verdicts) + 8
    base = _LINE * len(_ROWS)
    marks = []
    for y, name in enumerate(_ROWS):
        at = _LINE * (y + 0.5)
        marks.append(_line(_LEFT, at, width - 8, at))
        marks.append(_label(_LEFT - 10, at + 4, name, "end"))
    for x, (claim, verdict) in enumerate(verdicts):
        strength = verdict.strength.value if verdict.strength else "undecided"
        center = _LEFT + _STEP * (x + 0.5)
        marks.append(_mark(center, _LINE * (_ROWS.index(strength) + 0.5), verdict.outcome))
        marks.append(
            f'<text transform="translate({center - 4:.1f} {base + 6:.1f}) rotate(90)">'
            f"{escape(claim)}</text>"
        )
    title = "; ".join(
        f"{claim} {v.outcome.value}{f' ({v.strength.value})' if v.strength else ''}"
        for claim, v in verdicts
    )
    return _svg(width, base + 50, f"Verdicts: {title}", marks)


def _mark(x: float, y: float, outcome: Outcome) -> str:
    disc = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="11" fill="var(--paper)"/>'
    return (
        f'{disc}<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" dominant-baseline="central" '
        f'class="{outcome.value}" font-size="{20 if outcome is Outcome.REFUTED else 15}">'
        f"{MARKS[outcome]}</text>"
    )


def thresholds_figure(values: Sequence[tuple[str, float | None]], gamma: float) -> str:
    """Thresholds for γ and the γ in use on one logarithmic axis.

    Args:
        values: Names and thresholds; those that are absent or not positive are named as such.
        gamma: The γ that was checked.
    """
    rows = [*values, ("γ in use", gamma)]
    positive = [v for _, v in rows if v is not None and v > 0]
    low, high = _decades(positive or [1.0])
    left, right, width = 150.0, 640.0, 720.0

    def place(value: float) -> float:
        return left + (right - left) * (math.log10(value) - low) / (high - low)

    bottom = _LINE * len(rows)
    marks = []
    for power in range(low, high + 1):
        x = place(10.0**power)
        marks.append(_line(x, 6, x, bottom + 4))
        marks.append(_label(x, bottom + 20, _power(power), "middle"))
    for y, (name, value) in enumerate(rows):
        at = _LINE * (y + 0.5)
        marks.append(_label(left - 14, at + 4, name, "end"))
        if value is None or value <= 0:
            marks.append(_label(left + 4, at + 4, f"{number(value)}, not on this axis", "start"))
            continue
        x = place(value)
        used = name == "γ in use"
        dashes = "" if used else ' stroke-dasharray="5 3"'
        marks.append(
            f'<line x1="{left}" y1="{at}" x2="{x:.1f}" y2="{at}" stroke="currentColor" '
            f'stroke-width="{3 if used else 1.4}"{dashes}/>'
            f'<circle cx="{x:.1f}" cy="{at}" r="5" stroke="currentColor" stroke-width="1.6" '
            f'fill="{"currentColor" if used else "var(--paper)"}"/>'
        )
        marks.append(_label(x + 11, at + 4, number(value), "start", halo=True))
    marks.append(_label((left + right) / 2, bottom + 38, "γ (logarithmic)", "middle"))
    title = "Thresholds: " + "; ".join(f"{name} {number(value)}" for name, value in rows)
    return _svg(width, bottom + 44, title, marks)


def _decades(values: Sequence[float]) -> tuple[int, int]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _power(exponent: int) -> str:
    if -2 <= exponent <= 3:
        return f"{10.0**exponent:g}"
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def price_figure(rows: Sequence[tuple[str, float, float]]) -> str:
    """Gain in win rate and KL(π_ref‖π), a line a γ, two panels of bars.

    Args:
        rows: Name, KL ≥ 0 and gain.
    """
    panels = ((150.0, "gain in win rate", [g for _, _, g in rows]),
              (450.0, "KL(π_ref‖π)", [kl for _, kl, _ in rows]))  # fmt: skip
    length, top = 180.0, 26.0
    marks = []
    for y, (name, _, _) in enumerate(rows):
        marks.append(_label(136, top + _LINE * (y + 0.5) + 4, name, "end"))
    for left, title, values in panels:
        most = max((abs(v) for v in values), default=0.0) or 1.0
        marks.append(_label(left, 14, title, "start"))
        marks.append(_line(left, top, left, top + _LINE * len(rows), strong=True))
        for y, value in enumerate(values):
            at, width = top + _LINE * y + 8, max(length * value / most, 0.0)
            marks.append(
                f'<rect x="{left}" y="{at}" width="{width:.2f}" height="{_LINE - 16}" '
                'fill="currentColor" fill-opacity="0.7"/>'
            )
            marks.append(_label(left + width + 8, at + 11, number(value), "start"))
    title = "Price: " + "; ".join(f"{n}: KL {number(kl)}, gain {number(g)}" for n, kl, g in rows)
    return _svg(720, top + _LINE * len(rows) + 6, title, marks)


def _line(x1: float, y1: float, x2: float, y2: float, strong: bool = False) -> str:
    colour = "currentColor" if strong else "var(--rule)"
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        'stroke-width="1"/>'
    )


def _label(x: float, y: float, words: str, anchor: str, halo: bool = False) -> str:
    style = ' style="paint-order:stroke" stroke="var(--paper)" stroke-width="4"' if halo else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{_subscripts(words)}</text>'
    )


def _subscripts(words: str) -> str:
    """Subscripts such as K_B; SVG has no ``<sub>``. What follows returns to the line."""
    lowered = r'<tspan dy="3.5" font-size="10">\1</tspan><tspan dy="-3.5">\2</tspan>'
    return re.sub(r"(?<=\w)_([A-Za-z]+)([^A-Za-z]?)", lowered, escape(words))


def _svg(width: float, height: float, title: str, marks: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        f'role="img" aria-label="{escape(title)}">{"".join(marks)}</svg>'
    )
