"""Where the ticks of an axis are."""

from __future__ import annotations

import numpy as np

__all__ = ["decades", "round_ticks"]

_TICKS = 5


def round_ticks(low: float, high: float) -> np.ndarray:
    """Round numbers between two ends, about five of them."""
    rough = (high - low) / _TICKS
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * next(m for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
    ticks: np.ndarray = np.arange(first, last + 1) * step + 0.0  # 0, where −0 would be written -0
    return ticks


def decades(low: float, high: float) -> np.ndarray:
    """Powers of ten between two positive ends, about five of them."""
    first, last = int(np.ceil(np.log10(low) - 1e-9)), int(np.floor(np.log10(high) + 1e-9))
    every = max(-(-(last - first) // _TICKS), 1)
    return np.asarray(10.0 ** np.arange(first, last + 1, every))
