"""The curvature of a network's objective: its spectrum, and its size relative to F̄."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from sailtheory.plots import style
from sailtheory.plots.series import array

__all__ = ["draw"]

_FLOOR = 1e-12  # shares below it are rounding


def draw(report: dict[str, Any]) -> Any:
    """Two panels from what ``sailtheory curvature`` reports.

    Args:
        report: Its JSON.
    """
    with style.context():
        figure, axes = style.panels(style.DOUBLE, 68, 1, 2)
        _spectrum(axes[0, 0], report)
        _relative(axes[0, 1], report)
        style.letter(axes[0, 0], 0, rf"spectrum, $d$ = {report['parameters']}")
        style.letter(axes[0, 1], 1, r"curvature of the objective relative to $\bar F$")
    return figure


def _spectrum(ax: Any, report: dict[str, Any]) -> None:
    nodes, weights = array(report["density"]["nodes"]), array(report["density"]["weights"])
    shown = weights > _FLOOR
    divisor, unit = style.power_of_ten(nodes)
    for sign, line in ((nodes > 0, style.LINES[1]), (nodes <= 0, style.LINES[0])):
        at = shown & sign
        ax.vlines(nodes[at] / divisor, _FLOOR, weights[at], color=line["color"], linewidth=0.9)
    for name, marker in (("lowest", "v"), ("highest", "^")):
        value = report["eigenvalues"][name]["value"]
        label = rf"$\lambda_{{\mathrm{{{'min' if name == 'lowest' else 'max'}}}}}$ = {value:.3g}"
        ax.plot(value / divisor, weights[shown].min(), marker, color=style.BLACK, label=label)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.set_yscale("log")
    ax.set_ylim(weights[shown].min() / 3, 30)
    ax.set_xlabel(rf"eigenvalue{unit}")
    ax.set_ylabel("share of the spectrum")
    ax.legend(loc="upper left", ncols=2)


def _relative(ax: Any, report: dict[str, Any]) -> None:
    relative = report["relative"]
    damping = sorted((float(k), v) for k, v in relative["damped"].items())
    x, y = np.array(damping).T
    ax.plot(x, y, marker="o", markersize=3, label="damped", **style.LINES[0])
    ax.axhline(relative["highest"], label=r"on range($\bar F$)", **style.LINES[1])
    bound, label = relative.get("bound_K_B_at_this_range"), "$K_B$ at this range"
    if bound is None:  # of another objective: the theorem's, or none
        bound, label = relative.get("bound_K"), "$K$ of the theorem"
    if bound is not None:
        ax.axhline(bound, label=label, **style.LINES[3])
    ax.axhline(0, **style.ZERO)
    ax.set_xscale("log")
    bound = max(abs(relative["highest"]), 1e-12) if bound is None else bound
    span = [*y, relative["highest"], bound]
    ax.set_yscale("symlog", linthresh=bound)  # linear up to the bound, in either direction
    ax.set_ylim(min(*span, 0) * 3 - bound / 2, max(span) * 30)
    ax.set_xlabel(r"damping, as a share of $\lambda_{\max}(\bar F)$")
    ax.set_ylabel(r"$\lambda_{\max}$")
    ax.legend(loc="upper right")
