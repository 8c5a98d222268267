"""Sample complexity: pairs N(ε) of SAIL-RevKL and of methods that treat both levels (C16)."""

from __future__ import annotations

from typing import Any

import numpy as np

from sailtheory.analysis.check import theorem_threshold
from sailtheory.convergence.complexity import QUICK, sample_complexity
from sailtheory.errors import InputError
from sailtheory.plots import style
from sailtheory.plots.series import array
from sailtheory.problem.problem import PreferenceProblem

__all__ = ["draw", "series"]

_DESIGN = QUICK
_FACTOR = 1.05


def series(problem: PreferenceProblem, gamma: float | None, seed: int) -> dict[str, Any]:
    """Settings, caption and series; γ = 1.05 K_B unless given.

    Raises:
        InputError: θ_ref maximises J_γ already.
    """
    level = _FACTOR * theorem_threshold(problem) if gamma is None else gamma
    found = sample_complexity(problem, level, design=_DESIGN, seed=seed)
    if not any(each.eps for each in found):
        raise InputError("theta_ref", "a maximiser", "a problem where J_γ can still rise from it")
    return {
        "settings": {"gamma": level, **vars(_DESIGN)},
        "caption": (
            "Response pairs N that bring the mean gap below the share ε of the first gap for "
            f"good, from θ_ref on {{problem}} at γ = {level:.4g}: the best batch and settings of "
            "each method. The exponent a of N ∝ ε⁻ᵃ with its 95 % interval by resampling the "
            f"{_DESIGN.runs} runs; dashed: N ∝ 1/ε, the order of C16 up to a logarithm."
        ),
        "series": {"methods": [each.as_dict() for each in found if each.eps]},
    }


def draw(data: dict[str, Any]) -> Any:
    """One panel at the width of a column."""
    figure, axes = style.panels(style.SINGLE, 76)
    ax, counts, inverse = axes[0, 0], [], []
    for line, marker, found in zip(style.LINES, "osD", data["series"]["methods"], strict=False):
        x, n = 1 / array(found["eps"]), array(found["samples"])
        slope = found["slopes"].get("power")
        name = found["method"]
        label = f"{name}: {slope[0]:.2f} ({slope[1]:.2f} to {slope[2]:.2f})" if slope else name
        ax.plot(x, n, marker=marker, markersize=3, label=label, **line)
        counts.append(n)
        inverse.append(x)
    first = min(counts, key=lambda n: float(n[0]))
    x = np.sort(np.concatenate(inverse))
    ax.plot(x[[0, -1]], first[0] * x[[0, -1]] / x[0], **style.BOUND)
    style.log_axis(ax.xaxis, x)
    style.log_axis(ax.yaxis, np.concatenate(counts))
    ax.set_xlabel(r"$1/\varepsilon$, in first gaps")
    ax.set_ylabel("response pairs $N$")
    ax.set_ylim(top=30 * float(np.concatenate(counts).max()))
    ax.legend(loc="upper left", title="exponent $a$")
    return figure
