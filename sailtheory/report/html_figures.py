"""Where the marks of the small pictures are; ``templates/figures.html.jinja`` draws them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from sailtheory.report.html import piece
from sailtheory.report.numerals import number

__all__ = ["price_figure", "thresholds_figure"]

_LEFT, _RIGHT = 150.0, 640.0


def thresholds_figure(values: Sequence[tuple[str, float | None]], gamma: float) -> Markup:
    """Thresholds for γ and the γ in use on one logarithmic axis.

    Args:
        values: Names and thresholds; those that are absent or not positive are named as such.
        gamma: The γ that was checked.
    """
    rows = [*values, ("γ in use", gamma)]
    low, high = _decades([v for _, v in rows if v is not None and v > 0] or [1.0])

    def place(value: float | None) -> float | None:
        if value is None or value <= 0:
            return None
        return _LEFT + (_RIGHT - _LEFT) * (math.log10(value) - low) / (high - low)

    ticks = [{"x": place(10.0**p), "words": _power(p)} for p in range(low, high + 1)]
    shown = [{"name": name, "words": number(v), "x": place(v)} for name, v in rows]
    return piece("figures", "thresholds", ticks, shown)


def _decades(values: Sequence[float]) -> tuple[int, int]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _power(exponent: int) -> str:
    if -2 <= exponent <= 3:
        return f"{10.0**exponent:g}"
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def price_figure(
    rows: Sequence[tuple[str, float, float]], title: str = "gain in win rate"
) -> Markup:
    """What a maximiser gains and KL(π_ref‖π), a line a γ, two panels of bars.

    Args:
        rows: Name, KL ≥ 0 and gain.
        title: Of the gain.
    """
    panels = [
        {"left": 150.0, "title": title, "bars": _bars([g for _, _, g in rows])},
        {"left": 450.0, "title": "KL(π_ref‖π)", "bars": _bars([kl for _, kl, _ in rows])},
    ]
    shown = [{"name": n, "kl": number(kl), "gain": number(gain)} for n, kl, gain in rows]
    return piece("figures", "price", shown, panels)


def _bars(values: Sequence[float]) -> list[dict[str, object]]:
    most = max((abs(v) for v in values), default=0.0) or 1.0
    return [{"width": max(180.0 * v / most, 0.0), "words": number(v)} for v in values]
