"""The landscape of self-preference: a minimum at π_ref, and what γ makes of it (C06, C19)."""

from __future__ import annotations

from typing import Any

import numpy as np

from sailtheory.landscape import Domain, Search, maximise
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.objectives.sail import KLRefPolicy, SelfPreferenceSAIL
from sailtheory.plots import style
from sailtheory.plots.series import array, margin_range, plane, polar, positive, reach, unit
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory import bounds

__all__ = ["draw", "series"]

_POINTS, _RINGS, _SPOKES, _LEVELS = 161, 31, 96, 25


def series(problem: PreferenceProblem, gamma: float | None, seed: int) -> dict[str, Any]:
    """Settings, caption and series."""
    domain, search = Domain(problem), Search(Domain(problem), "light", seed)
    reward, kl = SelfPreferenceSAIL(problem), KLRefPolicy(problem)
    beta, base = float(problem.beta), float(reward.value(problem.ref_params))
    local = beta * beta / 2  # curvature of J_self at θ_ref relative to F̄ (C06)
    theorem = float(bounds.self_preference_curvature(FLOAT64, beta))
    best = maximise(reward, search)
    direction = unit(domain.coordinates(best.theta) - domain.ref)
    direction = np.eye(domain.dimension)[0] if direction is None else direction
    low, high = -reach(domain, domain.ref, -direction), reach(domain, domain.ref, direction)
    t = np.linspace(low, high, _POINTS)
    theta = domain.embed(domain.ref + t[:, None] * direction)
    steps = [0.0, local / 4, local / 2, local]
    rise, distance = reward.value(theta) - base, kl.value(theta)
    found: dict[str, Any] = {
        "position": t, "line_gamma": steps, "line": [rise - g * distance for g in steps],
        "local": local, "theorem": theorem,
    }  # fmt: skip
    if domain.dimension > 1:
        cut = plane(domain, best.theta, problem.ref_params)
        radii, angles, grid = cut.disc(_RINGS, _SPOKES)
        found |= {
            "radii": radii, "angles": angles, "radius": domain.radius, "labels": list(cut.labels),
            "map": reward.value(grid) - base, "map_ref": cut.coordinates(problem.ref_params),
            "map_best": cut.coordinates(best.theta),
        }  # fmt: skip
    levels = np.geomspace(local / 30, 2 * theorem, _LEVELS)
    loss, start = [], best.theta
    for g in levels:
        each = maximise(reward - float(g) * kl, search, np.stack([start, problem.ref_params]))
        loss.append(best.value - float(reward.value(each.theta)))
        start = each.theta
    span = margin_range(problem, best.theta)
    found |= {
        "gamma": levels, "loss": loss, "most": best.value - base,
        "loss_bound": levels * best.kl_ref_policy,
        "range_bound": bounds.bias_bound(FLOAT64, levels, span),
    }  # fmt: skip
    first = "" if domain.dimension == 1 else (
        "(a) J_self + log 2 over " + ("C" if domain.dimension == 2 else "a plane slice of C")
        + ", circle: θ_ref, its global minimiser (C06), star: the maximiser found. "
    )  # fmt: skip
    one, two = ("(a)", "(b)") if domain.dimension == 1 else ("(b)", "(c)")
    return {
        "settings": {"direction": domain.lift(direction), "effort": "light"},
        "caption": (
            f"Self-preference (p replaced by σ(z), gradient flowing) on {{problem}}. {first}"
            f"{one} J_self − γKL(π_ref‖π_θ) + log 2 on the line through θ_ref and that "
            f"maximiser, for γ up to β²/2 = {local:.3g}, the curvature of J_self at θ_ref "
            f"relative to F̄. {two} What γ costs, J_self(θ*) − J_self(θ*_γ), below the bounds "
            f"γKL(π_ref‖π_θ*) and γK(R*) of C19; it cannot exceed {best.value - base:.3g}, where "
            f"π_ref is the maximiser, as C06 proves from γ = 2 log 2 + β²/2 = {theorem:.3g} on. "
            "Losses that are zero to rounding are not drawn."
        ),
        "series": found,
    }


def draw(data: dict[str, Any]) -> Any:
    """Two panels and, where C has a plane slice, a map before them."""
    found = data["series"]
    count = 3 if "map" in found else 2
    figure, axes = style.panels(style.DOUBLE, 72, 1, count)
    panels = list(axes[0])
    if count == 3:
        _map(figure, panels.pop(0), found)
    line, cost = panels
    t = array(found["position"])
    factor, unit_ = style.power_of_ten(array(found["line"]))
    for k, (row, gamma) in enumerate(zip(found["line"], found["line_gamma"], strict=True)):
        line.plot(t, array(row) / factor, label=rf"$\gamma =$ {gamma:.3g}", **style.LINES[k])
    line.axhline(0, **style.ZERO)
    line.set_xlim(t[0], t[-1])
    line.set_xlabel(r"position on the line, 0 at $\theta_{\mathrm{ref}}$")
    line.set_ylabel(r"$J_{\mathrm{self}} - \gamma\,\mathrm{KL} + \log 2$" + unit_)
    line.legend(loc="best")
    style.letter(line, count - 2, "along a line")
    levels = array(found["gamma"])
    loss = array(found["loss"])
    loss = np.where(loss > 1e-12 * found["most"], loss, np.nan)
    cost.plot(levels, loss, label="loss", marker="o", markersize=2.5, **style.LINES[0])
    cost.plot(levels, positive(found["loss_bound"]),
              label=r"$\gamma\,\mathrm{KL}(\pi_{\mathrm{ref}}\|\pi_{\theta^*})$",
              **style.LINES[1])  # fmt: skip
    cost.plot(levels, positive(found["range_bound"]), label=r"$\gamma K(R^*)$", **style.LINES[2])
    for mark, dash, name in (("local", (0, (1, 1)), r"$\beta^2\!/2$"),
                             ("theorem", (0, (4, 2)), r"$2\log 2 + \beta^2\!/2$")):  # fmt: skip
        cost.axvline(found[mark], color=style.GREY, linestyle=dash, linewidth=0.9, label=name)
    style.log_axis(cost.xaxis, levels)
    style.log_axis(cost.yaxis, np.stack([loss, array(found["range_bound"])]))
    cost.set_xlabel(r"$\gamma$")
    cost.set_ylabel(r"loss in $J_{\mathrm{self}}$")
    cost.legend(loc="best")
    style.letter(cost, count - 1, "what γ costs")
    return figure


def _map(figure: Any, ax: Any, found: dict[str, Any]) -> None:
    at = polar(found["radii"], found["angles"])
    factor, unit_ = style.power_of_ten(array(found["map"]))
    filled = ax.contourf(*at, array(found["map"]) / factor, 9, cmap=style.SEQUENTIAL)
    style.disc(ax, found["radius"])
    ax.plot(*array(found["map_ref"]), "o", color="white", markeredgecolor="black")
    ax.plot(*array(found["map_best"]), "*", color="white", markeredgecolor="black",
            markersize=7, markeredgewidth=0.6, clip_on=False)  # fmt: skip
    ax.set_xlabel(found["labels"][0])
    ax.set_ylabel(found["labels"][1])
    style.scale_bar(figure, filled, ax, r"$J_{\mathrm{self}} + \log 2$" + unit_)
    style.letter(ax, 0, "landscape")
