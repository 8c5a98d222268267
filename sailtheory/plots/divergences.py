"""The two KLs side by side: values and least curvatures along a line (C07, C08)."""

from __future__ import annotations

from typing import Any

import numpy as np

from sailtheory.landscape import Domain, Search
from sailtheory.landscape.concavity import largest_curvature_on
from sailtheory.landscape.pencil import largest_curvature
from sailtheory.objectives.algebra import Objective
from sailtheory.objectives.sail import KLPolicyRef, KLRefPolicy
from sailtheory.plots import style
from sailtheory.plots.series import array, margin_range, plane, polar, reach, unit
from sailtheory.problem.problem import PreferenceProblem

__all__ = ["draw", "series"]

_POINTS, _RINGS, _SPOKES = 161, 31, 96
_LABELS = {
    "ref_policy": r"$\mathrm{KL}(\pi_{\mathrm{ref}}\,\|\,\pi_\theta)$",
    "policy_ref": r"$\mathrm{KL}(\pi_\theta\,\|\,\pi_{\mathrm{ref}})$",
}


def series(problem: PreferenceProblem, gamma: float | None, seed: int) -> dict[str, Any]:
    """Settings, caption and series."""
    domain = Domain(problem)
    kinds: dict[str, Objective] = {
        "ref_policy": KLRefPolicy(problem), "policy_ref": KLPolicyRef(problem)
    }  # fmt: skip
    worst = largest_curvature_on(-1.0 * kinds["policy_ref"], Search(domain, "light", seed))
    assert worst.value is not None
    direction = unit(domain.coordinates(worst.theta) - domain.ref)
    direction = np.eye(domain.dimension)[0] if direction is None else direction
    low, high = -reach(domain, domain.ref, -direction), reach(domain, domain.ref, direction)
    t = np.linspace(low, high, _POINTS)
    theta = domain.embed(domain.ref + t[:, None] * direction)
    found: dict[str, Any] = {"position": t}
    for name, kind in kinds.items():
        found[f"{name}_value"] = kind.value(theta)
        found[f"{name}_curvature"] = _least(kind, domain, theta)
    found["range"] = margin_range(problem, theta)
    least = f"λ_min(∇²KL(π_θ‖π_ref)) on C: {-worst.value:.3g}, found by search"
    maps = ""
    if domain.dimension > 1:
        cut = plane(domain, worst.theta, problem.ref_params)
        radii, angles, grid = cut.disc(_RINGS, _SPOKES)
        found |= {
            "radii": radii, "angles": angles, "radius": domain.radius, "labels": list(cut.labels),
            "map": _least(kinds["policy_ref"], domain, grid),
            "map_ref": cut.coordinates(problem.ref_params),
            "map_line": cut.coordinates(theta[[0, -1]]),
        }  # fmt: skip
        over = "C" if domain.dimension == 2 else "a plane slice of C"
        maps = (
            f" (c) Least curvature of KL(π_θ‖π_ref) over {over}, negative where hatched; "
            "circle: θ_ref, line: the line of (a) and (b)."
        )
    return {
        "settings": {"direction": domain.lift(direction), "effort": "light"},
        "caption": (
            "The two divergences along the line through θ_ref and the point of C where "
            "KL(π_θ‖π_ref) is least convex, on {problem}: (a) values, (b) the least eigenvalue on "
            "S of the Hessian, which is F̄ ⪰ 0 for KL(π_ref‖π_θ) (C07) and may be negative for "
            "KL(π_θ‖π_ref) (C08); grey: where range δᵀφ ≤ 1, so that C08 proves it convex. "
            f"Smallest {least}.{maps}"
        ),
        "series": found,
    }


def _least(kind: Objective, domain: Domain, theta: np.ndarray) -> np.ndarray:
    """λ_min of the Hessian on S: (..., d) to (...)."""
    return -largest_curvature(-1.0 * kind, domain, theta)[0]


def draw(data: dict[str, Any]) -> Any:
    """Two panels and, where C has a plane slice, a map."""
    found = data["series"]
    count = 3 if "map" in found else 2
    figure, axes = style.panels(style.DOUBLE, 72, 1, count)
    t = array(found["position"])
    inside = t[array(found["range"]) <= 1]
    for i, (what, label) in enumerate(
        (("value", "divergence"), ("curvature", r"$\lambda_{\min}$ of the Hessian"))
    ):
        ax = axes[0, i]
        for k, name in enumerate(_LABELS):
            row = array(found[f"{name}_{what}"])
            ax.plot(t, row, label=_LABELS[name], **style.LINES[k])
        ax.axvspan(inside[0], inside[-1], color="0.92", zorder=0, linewidth=0)
        ax.axhline(0, **style.ZERO)
        ax.set_xlim(t[0], t[-1])
        ax.set_xlabel(r"position on the line, 0 at $\theta_{\mathrm{ref}}$")
        ax.set_ylabel(label)
        style.letter(ax, i, "values" if i == 0 else "curvature")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    if "map" in found:
        _map(figure, axes[0, 2], found)
    return figure


def _map(figure: Any, ax: Any, found: dict[str, Any]) -> None:
    from matplotlib.colors import Normalize
    from matplotlib.ticker import MaxNLocator

    at, values = polar(found["radii"], found["angles"]), array(found["map"])
    top = max(float(np.abs(values).max()), 1e-12)
    levels = MaxNLocator(8).tick_values(min(float(values.min()), 0.0), float(values.max()))
    filled = ax.contourf(*at, values, levels, cmap=style.DIVERGING, norm=Normalize(-top, top))
    if values.min() < 0:
        ax.contourf(*at, values, [values.min(), 0.0], colors="none", hatches=["////"])
        ax.contour(*at, values, [0.0], colors="black", linewidths=1.0)
    style.disc(ax, found["radius"])
    line = array(found["map_line"])
    ax.plot(line[:, 0], line[:, 1], color=style.BLACK, linewidth=0.8, linestyle=(0, (4, 2)))
    ax.plot(*array(found["map_ref"]), "o", color="white", markeredgecolor="black")
    ax.set_xlabel(found["labels"][0])
    ax.set_ylabel(found["labels"][1])
    style.scale_bar(figure, filled, ax)
    style.letter(ax, 2, r"$\lambda_{\min}$ over C")
