"""Numbers as people write them."""

from __future__ import annotations

from math import inf

__all__ = ["number", "percent", "times"]


def number(value: float | None, digits: int = 3) -> str:
    """A number as people write it; an em dash for None."""
    if value is None:
        return "—"
    if value == inf:
        return "∞"
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.{digits}g}" if abs(value) < 1 else f"{value:.{max(digits, 4)}g}"
    return f"{value:.{digits - 1}e}"


def times(ratio: float) -> str:
    """A ratio ≥ 1 in words: ``12 times``."""
    if ratio < 1.095:
        return f"{ratio:.3f} times"
    return f"{ratio:.2g} times" if ratio < 10 else f"{ratio:,.0f} times"


def percent(share: float | None) -> str:
    """A share as people write it; an em dash for None."""
    return "—" if share is None else f"{100 * share:.0f} %"
