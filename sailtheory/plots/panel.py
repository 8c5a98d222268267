"""One panel of a figure on its own, at the width of a column."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from sailtheory.errors import InputError
from sailtheory.plots import style

__all__ = ["alone", "letters"]

_LEAST, _MOST = 66.0, 84.0  # mm of height
_INSIDE = 3  # lines that a legend within a panel may have


def letters(figure: Figure) -> dict[str, Any]:
    """The panels of a figure that :func:`style.letter` has named, by letter."""
    titles = ((axes, axes.get_title(loc="left")) for axes in figure.axes)
    return {title[1]: axes for axes, title in titles if title[:1] == "(" and title[2:3] == ")"}


def alone(figure: Figure, panel: str) -> None:
    """Leave one panel, with the axis labels, legend and colour bar that it shared.

    Raises:
        InputError: The figure has no such panel.
    """
    named = letters(figure)
    if panel not in named:
        have = f"one of {', '.join(named)}" if named else "a kind of several panels"
        raise InputError("panel", panel, f"{have} is expected")
    chosen = named[panel]
    _, high = figure.get_size_inches() * 25.4
    rows = chosen.get_subplotspec().get_gridspec().nrows
    _label(chosen, figure)
    bar = getattr(chosen, "color_bar", None)
    for each in {axes.color_bar for axes in named.values() if hasattr(axes, "color_bar")}:
        each.remove()
    for other in [axes for axes in figure.axes if axes is not chosen]:
        other.remove()
    for legend in [*figure.legends]:
        legend.remove()
    chosen.set_subplotspec(GridSpec(1, 1, figure)[0])
    figure.set_size_inches(style.SINGLE / 25.4, min(max(high / rows, _LEAST), _MOST) / 25.4)
    chosen.set_title(chosen.get_title(loc="left")[4:], loc="left")
    _name_lines(chosen)
    if bar is not None:
        style.scale_bar(figure, bar.mappable, chosen, bar.ax.get_xlabel())


def _label(chosen: Any, figure: Figure) -> None:
    """Labels and ticks that only the outer panels of a grid have."""
    grid: list[Any] = [axes for axes in figure.axes if axes.get_subplotspec() is not None]
    place = chosen.get_subplotspec()
    for axes in grid:
        other = axes.get_subplotspec()
        if other.rowspan == place.rowspan and not chosen.get_ylabel():
            chosen.set_ylabel(axes.get_ylabel())
        if other.colspan == place.colspan and not chosen.get_xlabel():
            chosen.set_xlabel(axes.get_xlabel())
    chosen.tick_params(labelleft=True, labelbottom=True)


def _name_lines(chosen: Any) -> None:
    """A legend of every named line, below the panel where it would be large or leave some out."""
    handles, _ = chosen.get_legend_handles_labels()
    legend = chosen.get_legend()
    shown = [] if legend is None else legend.get_texts()
    if len(handles) > min(len(shown), _INSIDE):
        chosen.legend(loc="upper center", bbox_to_anchor=(0.5, -0.26), ncols=2)
