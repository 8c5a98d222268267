"""How large γ must be as C grows: γ*, ḡ, K_data, K_B and more against B (C10, C11, C23, C25)."""

from __future__ import annotations

from typing import Any

import numpy as np

from sailtheory.analysis.certain import certain
from sailtheory.analysis.check import theorem_threshold
from sailtheory.analysis.ladder import ladder
from sailtheory.landscape import Domain, Search
from sailtheory.landscape.concavity import (
    largest_curvature_on,
    largest_relative_curvature_on,
    least_gamma_on,
)
from sailtheory.landscape.fisher import least_fisher
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.objectives.sail_target import SAILTarget
from sailtheory.objectives.target import Target
from sailtheory.plots import style
from sailtheory.plots.series import array, positive, searched
from sailtheory.theory import bounds

__all__ = ["draw", "series"]

_POINTS = 13
_CURVES = (
    ("absolute", r"$\gamma_{\mathrm{abs}}$ (C10)", "v"),
    ("closed_form", r"$\beta(1.5\,D(B + \|\theta_{\mathrm{ref}} - c\|) + 4)$", "^"),
    ("relative", "$K_B$ (C11)", "s"),
    ("theorem", "$K$ (theorem)", "s"),
    ("data", "$K_{\\mathrm{data}}$ (C25)", "D"),
    ("per_prompt", r"$\bar g$ (C23)", "P"),
    ("instance", r"$\gamma^*$ (search)", "o"),
)
_DATA = "$K_{\\mathrm{data}}$ (by prompt)"


def series(target: Target, gamma: float | None, seed: int) -> dict[str, Any]:
    """Settings, caption and series."""
    problem = target.problem
    offset = float(np.linalg.norm(problem.ref_params - problem.center.astype(float)))
    own = float(problem.radius)
    radii = np.geomspace(max(own / 16, offset * (1 + 1e-9)), 4 * own, _POINTS)
    levels = _of_sail if isinstance(target, SAILTarget) else _of
    each = [levels(target.on(problem.replace(radius=float(radius))), seed) for radius in radii]
    rows = {name: [row[name] for row in each] for name in each[0]}
    hidden = [name for name, row in rows.items() if min(row) <= 0]
    note = ""
    if hidden:
        words = {"instance": "γ*", "absolute": "γ_abs", "relative": "K_B", "data": "K_data",
                 "per_prompt": "ḡ", "theorem": "K"}  # fmt: skip
        note = f" Where {' and '.join(words[name] for name in hidden)} ≤ 0 no point is drawn."
    if np.isnan(rows.get("absolute", [0.0])).any():
        note += " γ_abs is left out where the least eigenvalue of F̄ is 0 in float64."
    says = _SAIL if isinstance(target, SAILTarget) else _ANY
    return {
        "settings": {"points": _POINTS, "effort": "light", "curves": list(rows)},
        "caption": f"{says} Vertical line: the problem's own B.{note}",
        "series": {"radius": radii, "own_radius": own} | rows,
    }


_SAIL = (
    "What γ makes J_γ concave on C, against the radius B of C, on {problem} with B "
    "varied: what the problem needs (γ*, by search, so from below), a certified bound of "
    "what its prompts need one by one (ḡ, C23), what the relative curvature theorem asks "
    "of these preferences (K_data, C25) and of all (K_B, C11), its closed form, and what "
    "an argument by absolute curvature asks (γ_abs, C10, with the searched supremum of "
    "λ_max(∇²J)). γ_abs knows the problem and so may lie below K_B, which holds for every "
    "problem of this β and range, where B is small."
)
_ANY = (
    "What γ makes J_γ concave on C, J = {objective}, against the radius B of C, on {problem} with "
    "B varied: what the problem needs (γ*, by search, so from below), what is certified from its "
    "prompts one by one (K_data), and what is proved for every problem (K), where that is finite. "
    "Where γ* is missing no γ works."
)


def _of(target: Target, seed: int) -> dict[str, float]:
    """The three levels of any objective."""
    search = Search(Domain(target.problem), "light", seed)
    star = least_gamma_on(target.objective, target.penalty, search)
    known = certain(target)
    assert known is not None  # what has S = {0} is not drawn
    least = searched(star)
    bounds_ = {"data": known.data, "theorem": known.relative}
    return {"instance": least if np.isfinite(least) else np.nan} | {
        name: np.nan if bound is None else bound for name, bound in bounds_.items()
    }


def _of_sail(target: Target, seed: int) -> dict[str, float]:
    """The six of SAIL."""
    each, objective = target.problem, target.objective
    domain = Domain(each)
    search = Search(domain, "light", seed)
    star = largest_relative_curvature_on(objective, search)
    steepest = largest_curvature_on(objective, search, star.theta)
    k_b = theorem_threshold(each)
    rungs = ladder(each, k_b)
    diameter, radius = each.feature_diameter, float(each.radius)
    offset = float(np.linalg.norm(each.ref_params - each.center.astype(float)))
    least, absolute = least_fisher(domain), np.nan
    if least > 0:
        top = searched(steepest)
        absolute = float(bounds.absolute_threshold(FLOAT64, top, diameter, radius, least))
    return {
        "absolute": absolute,
        "closed_form": float(
            bounds.closed_form_threshold(float(each.beta), diameter, radius, offset)
        ),
        "relative": k_b,
        "data": np.nan if rungs is None else rungs.data,
        "per_prompt": np.nan if rungs is None else rungs.per_prompt,
        "instance": searched(star),
    }


def draw(data: dict[str, Any]) -> Any:
    """One panel, both axes logarithmic."""
    found = data["series"]
    figure, axes = style.panels(style.SINGLE, 70)
    ax = axes[0, 0]
    curves = [each for each in _CURVES if each[0] in data["settings"]["curves"]]
    for k, (name, label, marker) in enumerate(curves):
        line = style.LINES[(len(curves) - 1 - k) % len(style.LINES)]
        label = _DATA if name == "data" and len(curves) < len(_CURVES) - 1 else label
        ax.plot(array(found["radius"]), positive(found[name]), marker=marker, label=label,
                markersize=3.5, **line)  # fmt: skip
    ax.axvline(found["own_radius"], color=style.GREY, linewidth=0.8, linestyle=(0, (1, 2)))
    style.log_axis(ax.xaxis, array(found["radius"]))
    style.log_axis(ax.yaxis, np.stack([array(found[name]) for name, *_ in curves]))
    ax.set_xlabel("$B$")
    ax.set_ylabel(r"$\gamma$")
    figure.legend(loc="outside upper center", ncols=2)
    return figure
