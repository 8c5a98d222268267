"""How figures look: print widths, a colour-blind-safe palette, deterministic files.

Every line differs from its neighbours in colour and in dash pattern, so that the figures
survive a grey printer. Figures are drawn on the Agg canvas, without pyplot's global state.
"""

from __future__ import annotations

import io
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sailtheory.errors import InputError
from sailtheory.storage.files import require_writable, write_bytes

__all__ = [
    "BLACK",
    "BLUE",
    "BOUND",
    "DIVERGING",
    "DOUBLE",
    "GREEN",
    "GREY",
    "LINES",
    "PURPLE",
    "SEQUENTIAL",
    "SINGLE",
    "SKY",
    "VERMILLION",
    "ZERO",
    "check_target",
    "context",
    "disc",
    "letter",
    "log_axis",
    "panels",
    "power_of_ten",
    "render",
    "save",
    "scale_bar",
]

SINGLE, DOUBLE = 84.0, 174.0  # column widths of print, in mm
SUFFIXES = (".png", ".svg", ".pdf")

# Okabe & Ito (2008), without the yellow, which white paper swallows.
BLACK, BLUE, VERMILLION, GREEN = "#000000", "#0072B2", "#D55E00", "#009E73"
ORANGE, SKY, PURPLE, GREY = "#E69F00", "#56B4E9", "#CC79A7", "#777777"
LINES: tuple[dict[str, Any], ...] = (
    {"color": BLUE, "linestyle": "-"},
    {"color": VERMILLION, "linestyle": (0, (5, 1.5))},
    {"color": GREEN, "linestyle": (0, (5, 1.2, 1, 1.2))},
    {"color": BLACK, "linestyle": (0, (1, 1))},
    {"color": PURPLE, "linestyle": (0, (3, 1, 1, 1, 1, 1))},
    {"color": ORANGE, "linestyle": (0, (8, 2))},
)
BOUND: dict[str, Any] = {"color": BLACK, "linestyle": (0, (4, 2)), "linewidth": 1.0}
ZERO: dict[str, Any] = {"color": GREY, "linewidth": 0.6, "zorder": 0}
DIVERGING = "PuOr_r"  # safe for the colour-blind; its ends differ in darkness from its middle
SEQUENTIAL = "cividis"

_RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.labelsize": 7.5,
    "axes.titlesize": 7.5,
    "axes.linewidth": 0.6,
    "axes.unicode_minus": True,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "legend.fontsize": 7,
    "legend.framealpha": 1.0,
    "legend.edgecolor": "none",
    "legend.fancybox": False,
    "legend.handlelength": 2.6,
    "legend.borderaxespad": 0.3,
    "legend.labelspacing": 0.3,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "hatch.linewidth": 0.4,
    "mathtext.fontset": "dejavusans",
    "savefig.dpi": 300,
    "figure.dpi": 100,
    "svg.hashsalt": "sailtheory",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
}


def context() -> AbstractContextManager[None]:
    """The settings under which figures are drawn and saved; they end with the block."""
    settings: Any = {**matplotlib.rcParamsDefault, **_RC}
    return matplotlib.rc_context(settings)


def panels(
    width: float, height: float, rows: int = 1, columns: int = 1, **grid: Any
) -> tuple[Figure, np.ndarray]:
    """A figure of so many mm and its axes, (rows, columns)."""
    figure = Figure(figsize=(width / 25.4, height / 25.4), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **grid)


def letter(axes: Any, index: int, title: str = "") -> None:
    """Names a panel (a), (b), …, with a title."""
    axes.set_title(f"({'abcdefghijkl'[index]}) {title}".strip(), loc="left")


def log_axis(axis: Any, values: np.ndarray) -> None:
    """Makes an axis logarithmic, its labels few enough to stand apart.

    Args:
        axis: ``axes.xaxis`` or ``axes.yaxis``.
        values: What is drawn along it; what is not positive or not finite does not count.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    numbers = np.asarray(values, dtype=float).ravel()
    numbers = numbers[np.isfinite(numbers) & (numbers > 0)]
    set_scale = axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale
    set_scale("log")
    axis.set_minor_formatter(NullFormatter())
    if len(numbers) and numbers.max() < 10**2.5 * numbers.min():
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def scale_bar(figure: Figure, mapped: Any, axes: Any, label: str = "", **where: Any) -> Any:
    """A horizontal colour bar with few labels, which its panels know as ``color_bar``."""
    from matplotlib.ticker import MaxNLocator

    bar = figure.colorbar(mapped, ax=axes, orientation="horizontal", label=label, **where)
    bar.ax.minorticks_off()
    bar.locator = MaxNLocator(5)
    bar.update_ticks()
    for panel in np.ravel(axes):
        panel.color_bar = bar
    return bar


def power_of_ten(values: np.ndarray) -> tuple[float, str]:
    """What to divide by so that tick labels stay short, and how the axis says so."""
    largest = float(np.nanmax(np.abs(values), initial=0.0))
    exponent = int(np.floor(np.log10(largest))) if largest > 0 else 0
    if -3 < exponent < 4:
        return 1.0, ""
    return 10.0**exponent, rf" $[10^{{{exponent}}}]$"


def disc(axes: Any, radius: float) -> None:
    """The outline of a plane slice of C, with equal scales."""
    from matplotlib.patches import Circle

    axes.add_patch(Circle((0, 0), radius, fill=False, linewidth=0.8, clip_on=False))
    axes.set_aspect("equal")
    axes.set_anchor("N")
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_xlim(-1.02 * radius, 1.02 * radius)
    axes.set_ylim(-1.02 * radius, 1.02 * radius)


def check_target(path: str | Path) -> Path:
    """A path that can be written and whose suffix is known.

    Raises:
        InputError: Another suffix, no such folder, or a folder itself.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError("out", path, f"a name that ends in {', '.join(SUFFIXES)} is expected")
    require_writable(path, "out")
    return path


def render(figure: Figure, suffix: str) -> bytes:
    """The figure as a file of one of :data:`SUFFIXES`, without dates."""
    kind = suffix.lower().removeprefix(".")
    undated = {"png": "Software", "svg": "Date", "pdf": "CreationDate"}[kind]
    buffer = io.BytesIO()
    with context():
        figure.savefig(buffer, format=kind, metadata={undated: None})
    return buffer.getvalue()


def save(figure: Figure, path: str | Path) -> None:
    """Write PNG, SVG or PDF by suffix; equal figures give equal bytes.

    Raises:
        InputError: Unknown suffix, or the file cannot be written.
    """
    path = check_target(path)
    write_bytes(render(figure, path.suffix), path, "out")
