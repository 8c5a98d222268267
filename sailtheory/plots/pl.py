"""What PL says near a boundary maximiser, and where projected ascent stops (C13, C14)."""

from __future__ import annotations

from typing import Any

import numpy as np

from sailtheory.ascent import projected_ascent, target_constants
from sailtheory.ascent.trajectory import mapping_norm
from sailtheory.landscape import Domain, Search, maximise, pl_ratio
from sailtheory.objectives.algebra import Objective
from sailtheory.objectives.sail_target import SAILTarget
from sailtheory.objectives.target import Target
from sailtheory.plots import style
from sailtheory.plots.series import Plane, array, plane, polar, positive, reach, unit

__all__ = ["draw", "series"]

_POINTS, _NEAREST = 61, 1e-6
_RINGS, _SPOKES = 31, 96
_STARTS, _STEPS = 400, 4000
_STOPPED = 1e-7  # norm of the gradient mapping at which a run has ended
_SAME = 0.02  # ends closer than this share of B are one stop
_RATIOS = (
    ("plain", r"plain PL: $\|\nabla J\|^2 / 2\,\mathrm{gap}$"),
    ("prox", "prox-PL"),
    ("mapping", r"gradient mapping: $\|G\|^2 / 2\,\mathrm{gap}$"),
)


def series(target: Target, gamma: float | None, seed: int) -> dict[str, Any]:
    """Settings, caption and series; γ = 0 unless given."""
    level = 0.0 if gamma is None else gamma
    problem = target.problem
    objective, domain = target.penalised(level), Domain(problem)
    best = maximise(objective, Search(domain, "quick", seed))
    known = target_constants(target, level)
    found = _near(objective, domain, best.theta, best.value, known.smooth)
    found["modulus"] = known.modulus
    cut = plane(domain, best.theta, problem.ref_params) if domain.dimension > 1 else None
    found |= _stops(objective, domain, cut, best.theta, best.value, known.smooth)
    place = "on the boundary of C" if best.on_boundary else "inside C"
    name = "J" if level == 0 else f"J_γ, γ = {level:.3g},"
    if not isinstance(target, SAILTarget):
        name = f"{name} ({{objective}})"
    modulus = "" if known.modulus is None else " Dotted: μ of C12."
    of = found["stop_of"]
    missed = f"{(of > 0).sum()} end below the maximum (C14)"
    if (of < 0).any():
        missed += f", {(of < 0).sum()} are under way after {_STEPS} steps"
    slice_ = "C" if domain.dimension <= 2 else "a plane slice of C through the maximiser"
    return {
        "settings": {"gamma": level, "smoothness": known.smooth, "steps": _STEPS},
        "caption": (
            f"PL of {name} on {{problem}}. (a) The largest μ for which each inequality holds, "
            f"along the segment from the maximiser ({place}) through C: plain PL, prox-PL with "
            f"Λ = {known.smooth:.3g} (C13), and the same with the gradient mapping G in place "
            f"of ∇J.{modulus} (b) Projected ascent with step 1/Λ from {len(of)} starts in "
            f"{slice_}: {missed}; each start bears the mark of its end."
        ),
        "series": found,
    }


def _near(
    objective: Objective, domain: Domain, best: np.ndarray, value: float, smooth: float
) -> dict[str, Any]:
    """The three ratios on the way from the maximiser through the centre."""
    x = domain.coordinates(best)
    direction = unit(-x)
    direction = np.eye(domain.dimension)[0] if direction is None else direction
    distance = np.geomspace(_NEAREST, 1.0, _POINTS) * reach(domain, x, direction)
    at = domain.project(x + distance[:, None] * direction)
    theta = domain.embed(at)
    plain = pl_ratio(objective, domain, theta, value, "plain", smooth)
    prox = pl_ratio(objective, domain, theta, value, "prox", smooth)
    gradient = domain.reduce(objective.gradient(theta))
    moved = mapping_norm(domain, at, gradient, np.full(len(at), 1 / smooth))
    gap = value - objective.value(theta)
    mapping = np.where(np.isnan(plain), np.nan, moved**2 / np.where(gap > 0, 2 * gap, np.nan))
    return {"distance": distance, "plain": plain, "prox": prox, "mapping": mapping}


def _stops(
    objective: Objective,
    domain: Domain,
    cut: Plane | None,
    best: np.ndarray,
    value: float,
    smooth: float,
) -> dict[str, Any]:
    """Ends of projected ascent; stop 0 is the maximiser, whatever else counts as below it."""
    spread = np.arange(_STARTS) + 0.5
    if cut is None:
        at = domain.radius * np.linspace(-1.0, 1.0, 41)[:, None]
        ticks = domain.radius * np.linspace(-1.0, 1.0, 201)
        found: dict[str, Any] = {"labels": ["$x$"], "ticks": ticks}
        found["value"] = objective.value(domain.embed(ticks[:, None]))
    else:
        # A sunflower: even over the disc, without a random number.
        radius = domain.radius * np.sqrt(spread / _STARTS)
        angle = spread * np.pi * (3 - np.sqrt(5))
        at = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1) @ cut.axes.T
        radii, angles, theta = cut.disc(_RINGS, _SPOKES)
        found = {"labels": list(cut.labels), "radii": radii, "angles": angles}
        found["value"] = objective.value(theta)
    start = domain.embed(at)
    run = projected_ascent(
        objective, start, step=1 / smooth, steps=_STEPS, record=_STEPS, tolerance=_STOPPED
    )
    ends, gaps = run.theta, value - run.value[-1]
    stops, of = [best], np.full(len(ends), -1)
    for i in np.argsort(gaps, kind="stable"):
        if not run.stopped[i]:
            continue
        distances = [float(np.linalg.norm(ends[i] - stop)) for stop in stops]
        if min(distances) > _SAME * domain.radius:
            stops.append(ends[i])
        of[i] = int(np.argmin([float(np.linalg.norm(ends[i] - stop)) for stop in stops]))

    def flat(theta: np.ndarray) -> np.ndarray:
        x = domain.reduce(theta - domain.problem.center.astype(float))
        return x if cut is None else np.asarray(x @ cut.axes)

    return found | {
        "radius": domain.radius,
        "starts": flat(start),
        "stop_of": of,
        "stops": flat(np.array(stops)),
        "stop_values": objective.value(np.array(stops)),
    }


def draw(data: dict[str, Any]) -> Any:
    """Two panels at the width of two columns."""
    found = data["series"]
    figure, axes = style.panels(style.DOUBLE, 76, 1, 2, width_ratios=[1.25, 1])
    ax = axes[0, 0]
    distance = array(found["distance"])
    for k, (name, label) in enumerate(_RATIOS):
        ax.plot(distance, positive(found[name]), label=label, **style.LINES[k])
    if found["modulus"] is not None:
        ax.axhline(found["modulus"], color=style.BLACK, linestyle=(0, (1, 1)), linewidth=1.0)
    style.log_axis(ax.xaxis, distance)
    style.log_axis(ax.yaxis, np.stack([array(found[name]) for name, _ in _RATIOS]))
    ax.set_xlabel(r"distance $\|\theta - \theta^*\|$ from the maximiser")
    ax.set_ylabel(r"largest $\mu$")
    ax.legend()
    style.letter(ax, 0, "three forms of PL")
    _draw_stops(figure, axes[0, 1], found)
    style.letter(axes[0, 1], 1, "where projected ascent ends")
    return figure


_MARKS = (
    ("o", style.BLUE), ("x", style.VERMILLION), ("+", style.GREEN), ("^", style.PURPLE),
)  # fmt: skip


def _draw_stops(figure: Any, ax: Any, found: dict[str, Any]) -> None:
    starts, of = array(found["starts"]), np.array(found["stop_of"])
    stops, values = array(found["stops"]), array(found["stop_values"])
    one = len(found["labels"]) == 1
    if one:
        ax.plot(array(found["ticks"]), array(found["value"]), color=style.BLACK, linewidth=1.0)
        height = np.interp(starts[:, 0], array(found["ticks"]), array(found["value"]))
        starts = np.column_stack([starts[:, 0], height])
        stops = np.column_stack([stops[:, 0], values])
        ax.set_ylabel(r"$J_\gamma$")
    else:
        at = polar(found["radii"], found["angles"])
        lines = ax.contour(*at, array(found["value"]), 12, colors=style.GREY, linewidths=0.5)
        lines.set(linestyle="-")
        style.disc(ax, found["radius"])
        ax.set_ylabel(found["labels"][1])
    for k in range(len(stops)):
        mark, color = _MARKS[min(k, len(_MARKS) - 1)]
        mine = starts[of == k]
        fill = {"facecolors": "none", "edgecolors": color} if mark == "o" else {"color": color}
        place = "the maximum" if k == 0 else "a lower stop"
        value = f"{values[k]:.4g}".replace("-", "−")
        name = f"{len(mine)} starts end at {place}, {value}"
        ax.scatter(mine[:, 0], mine[:, 1], s=7, marker=mark, linewidths=0.7, zorder=2,
                   label=name if k < len(_MARKS) else None, **fill)  # fmt: skip
        ax.plot(*stops[k], "*" if k == 0 else "X", color=color, markeredgecolor="black",
                markersize=9, markeredgewidth=0.8, clip_on=False, zorder=3)  # fmt: skip
    away = starts[of < 0]
    if len(away):
        ax.scatter(away[:, 0], away[:, 1], s=7, marker=".", color=style.GREY, linewidths=0.7,
                   label=f"{len(away)} starts are under way")  # fmt: skip
    ax.set_xlabel(found["labels"][0])
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), handletextpad=0.4)
