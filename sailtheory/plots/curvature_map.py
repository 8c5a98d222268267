"""Where J_γ is concave: λ_max(∇²J_γ) over a plane slice of C as γ rises (C11, C12)."""

from __future__ import annotations

from typing import Any

import numpy as np

from sailtheory.landscape import Domain, Search, maximise
from sailtheory.landscape.concavity import least_gamma_on
from sailtheory.landscape.pencil import largest_curvature
from sailtheory.objectives.sail_target import SAILTarget
from sailtheory.objectives.target import Target, no_certain_gamma
from sailtheory.plots import style
from sailtheory.plots.series import array, plane, polar, searched

__all__ = ["draw", "series"]

_RINGS, _SPOKES = 31, 96


def series(target: Target, gamma: float | None, seed: int) -> dict[str, Any]:
    """Settings, caption and series."""
    problem, known = target.problem, target.bounds()
    domain, search = Domain(problem), Search(Domain(problem), "light", seed)
    assert known is not None  # what has S = {0} is not drawn
    of_sail = isinstance(target, SAILTarget)
    name = "K_B" if of_sail else "K"
    bound = known.relative if known.relative is not None else known.least
    if bound is None:
        raise no_certain_gamma(target, known)
    star = least_gamma_on(target.objective, target.penalty, search)
    least = searched(star)
    if least > 0:
        levels = [("0", 0.0), ("γ*/2", least / 2), ("γ*", least), (name, bound)]
    else:
        top = max(bound, float(problem.beta))
        levels = [("0", 0.0), ("half", top / 2), (name, top)]
    objectives = [target.penalised(level) for _, level in levels]
    found: dict[str, Any] = {"names": [name for name, _ in levels]}
    found["gamma"] = [level for _, level in levels]
    if domain.dimension == 1:
        ticks = np.linspace(-domain.radius, domain.radius, 241)
        theta = domain.embed(ticks[:, None])
        curvature = [largest_curvature(objective, domain, theta)[0] for objective in objectives]
        center = problem.center.astype(float)
        axis = domain.lift(np.ones(1))
        found |= {"labels": [r"$\theta$" if problem.dimension == 1 else "$x$"]}
        shift = float(center @ axis) if problem.dimension == 1 else 0.0
        found |= {"ticks": ticks + shift, "ref": [float(domain.ref[0]) + shift]}
    else:
        best = [maximise(objective, search).theta for objective in objectives]
        cut = plane(domain, star.theta, best[0])
        radii, angles, theta = cut.disc(_RINGS, _SPOKES)
        where = "over C" if domain.dimension == 2 else (
            "over the plane through the centre of C, the point of largest relative curvature "
            "and the maximiser of J (the marked points are projected onto it)"
        )  # fmt: skip
        curvature = [largest_curvature(objective, domain, theta)[0] for objective in objectives]
        found |= {"labels": list(cut.labels), "radii": radii, "angles": angles}
        found |= {"ref": cut.coordinates(problem.ref_params)}
        found["maximisers"] = [cut.coordinates(t) for t in best]
    found["curvature"] = curvature
    found["radius"] = domain.radius
    levels_found = (
        f"γ* = {star.value:.3g} by search, {name} = {bound:.3g} by theorem ({known.claims})."
    )
    of = "" if of_sail else ", J = {objective}"
    if domain.dimension == 1:
        caption = (
            "Second derivative of J_γ along C, a segment, on {problem}"
            + of
            + ", for rising γ: J_γ is "
            f"not concave where it is positive. {levels_found} Dotted vertical: θ_ref."
        )
    else:
        caption = (
            f"Largest eigenvalue of ∇²J_γ on S {where}, on {{problem}}{of}, for rising γ: J_γ is "
            f"convex along some direction where it is positive (hatched). {levels_found} "
            "Circle: θ_ref; star: the best point found of each J_γ."
        )
    return {
        "settings": {"effort": "light"},
        "caption": caption,
        "series": found,
    }


def draw(data: dict[str, Any]) -> Any:
    """A row of maps, or curves where C is a segment."""
    found = data["series"]
    return _curves(found) if len(found["labels"]) == 1 else _maps(found)


def _title(name: str, gamma: float) -> str:
    symbol = {"γ*": r"$\gamma = \gamma^*$", "γ*/2": r"$\gamma = \gamma^*\!/2$",
              "K_B": r"$\gamma = K_B$", "K": r"$\gamma = K$"}.get(name, r"$\gamma$")  # fmt: skip
    return f"{symbol} = {gamma:.3g}"


def _maps(found: dict[str, Any]) -> Any:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm
    from matplotlib.ticker import MaxNLocator

    maps = array(found["curvature"])
    at = polar(found["radii"], found["angles"])
    figure, axes = style.panels(style.DOUBLE, 70, 1, len(maps), sharex=True, sharey=True)
    # Levels as far as J itself is curved; what lies beyond shares the ends of the scale.
    reach = max(float(np.abs(maps[0]).max()), 1e-12)
    levels = MaxNLocator(8, symmetric=True).tick_values(-reach, reach)
    norm = BoundaryNorm(levels, 256, extend="both")
    for i, ax in enumerate(axes[0]):
        ax.contourf(*at, maps[i], levels, cmap=style.DIVERGING, norm=norm, extend="both")
        if maps[i].max() > 0:
            ax.contourf(*at, maps[i], [0.0, maps[i].max()], colors="none", hatches=["////"])
        if maps[i].min() < 0 < maps[i].max():
            ax.contour(*at, maps[i], [0.0], colors="black", linewidths=1.0)
        style.disc(ax, found["radius"])
        ax.plot(*array(found["ref"]), "o", color="white", markeredgecolor="black")
        ax.plot(*array(found["maximisers"][i]), "*", color="white", markeredgecolor="black",
                markersize=7, markeredgewidth=0.6, clip_on=False)  # fmt: skip
        ax.set_xlabel(found["labels"][0])
        style.letter(ax, i, _title(found["names"][i], found["gamma"][i]))
    axes[0, 0].set_ylabel(found["labels"][1])
    bar = figure.colorbar(
        ScalarMappable(norm, style.DIVERGING), ax=axes, orientation="horizontal", aspect=50,
        shrink=0.7, label=r"$\lambda_{\max}(\nabla^2 J_\gamma)$",
    )  # fmt: skip
    bar.ax.minorticks_off()
    for ax in axes[0]:
        ax.color_bar = bar
    return figure


def _curves(found: dict[str, Any]) -> Any:
    ticks = array(found["ticks"])
    figure, axes = style.panels(style.SINGLE, 62)
    ax = axes[0, 0]
    for k, row in enumerate(array(found["curvature"])):
        line = style.LINES[k % len(style.LINES)]
        ax.plot(ticks, row, label=_title(found["names"][k], found["gamma"][k]), **line)
    ax.axhline(0, **style.ZERO)
    ax.axvline(found["ref"][0], color=style.GREY, linewidth=0.8, linestyle=(0, (1, 2)))
    ax.text(found["ref"][0], 1.01, r"$\theta_{\mathrm{ref}}$", ha="center", va="bottom",
            transform=ax.get_xaxis_transform())  # fmt: skip
    ax.set_xlabel(found["labels"][0])
    ax.set_ylabel(r"$J_\gamma''$")
    ax.set_xlim(ticks[0], ticks[-1])
    figure.legend(loc="outside upper center", ncols=2)
    return figure
