"""How large γ must be as C grows: γ*, ḡ, K_data, K_B and more against B (C10, C11, C23, C25)."""

from __future__ import annotations

from typing import Any

import numpy as np

from sailtheory.analysis.check import theorem_threshold
from sailtheory.analysis.ladder import ladder
from sailtheory.landscape import Domain, Search
from sailtheory.landscape.concavity import largest_curvature_on, largest_relative_curvature_on
from sailtheory.landscape.fisher import least_fisher
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.objectives.sail import SAIL
from sailtheory.plots import style
from sailtheory.plots.series import array, positive, searched
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory import bounds

__all__ = ["draw", "series"]

_POINTS = 13
_CURVES = (
    ("absolute", r"$\gamma_{\mathrm{abs}}$ (C10)", "v"),
    ("closed_form", r"$\beta(1.5\,D(B + \|\theta_{\mathrm{ref}} - c\|) + 4)$", "^"),
    ("relative", "$K_B$ (C11)", "s"),
    ("data", "$K_{\\mathrm{data}}$ (C25)", "D"),
    ("per_prompt", r"$\bar g$ (C23)", "P"),
    ("instance", r"$\gamma^*$ (search)", "o"),
)


def series(problem: PreferenceProblem, gamma: float | None, seed: int) -> dict[str, Any]:
    """Settings, caption and series."""
    offset = float(np.linalg.norm(problem.ref_params - problem.center.astype(float)))
    own = float(problem.radius)
    radii = np.geomspace(max(own / 16, offset * (1 + 1e-9)), 4 * own, _POINTS)
    found: dict[str, Any] = {"radius": radii, "own_radius": own}
    rows: dict[str, list[float]] = {name: [] for name, *_ in _CURVES}
    beta, diameter = float(problem.beta), problem.feature_diameter
    for radius in radii:
        each = problem.replace(radius=float(radius))
        domain = Domain(each)
        search = Search(domain, "light", seed)
        star = largest_relative_curvature_on(SAIL(each), search)
        steepest = largest_curvature_on(SAIL(each), search, star.theta)
        rows["instance"].append(searched(star))
        k_b = theorem_threshold(each)
        rungs = ladder(each, k_b)
        rows["relative"].append(k_b)
        rows["data"].append(np.nan if rungs is None else rungs.data)
        rows["per_prompt"].append(np.nan if rungs is None else rungs.per_prompt)
        rows["closed_form"].append(
            float(bounds.closed_form_threshold(beta, diameter, float(radius), offset))
        )
        least = least_fisher(domain)
        absolute = np.nan
        if least > 0:
            top = searched(steepest)
            absolute = bounds.absolute_threshold(FLOAT64, top, diameter, float(radius), least)
        rows["absolute"].append(float(absolute))
    hidden = [name for name, row in rows.items() if min(row) <= 0]
    note = ""
    if hidden:
        words = {"instance": "γ*", "absolute": "γ_abs", "relative": "K_B", "data": "K_data",
                 "per_prompt": "ḡ"}  # fmt: skip
        note = f" Where {' and '.join(words[name] for name in hidden)} ≤ 0 no point is drawn."
    if np.isnan(rows["absolute"]).any():
        note += " γ_abs is left out where the least eigenvalue of F̄ is 0 in float64."
    return {
        "settings": {"points": _POINTS, "effort": "light"},
        "caption": (
            "What γ makes J_γ concave on C, against the radius B of C, on {problem} with B "
            "varied: what the problem needs (γ*, by search, so from below), a certified bound of "
            "what its prompts need one by one (ḡ, C23), what the relative curvature theorem asks "
            "of these preferences (K_data, C25) and of all (K_B, C11), its closed form, and what "
            "an argument by absolute curvature asks (γ_abs, C10, with the searched supremum of "
            "λ_max(∇²J)). γ_abs knows the problem and so may lie below K_B, which holds for every "
            f"problem of this β and range, where B is small. Vertical line: the problem's own B.{note}"
        ),
        "series": found | rows,
    }


def draw(data: dict[str, Any]) -> Any:
    """One panel, both axes logarithmic."""
    found = data["series"]
    figure, axes = style.panels(style.SINGLE, 70)
    ax = axes[0, 0]
    for k, (name, label, marker) in enumerate(_CURVES):
        line = style.LINES[(len(_CURVES) - 1 - k) % len(style.LINES)]
        ax.plot(array(found["radius"]), positive(found[name]), marker=marker, label=label,
                markersize=3.5, **line)  # fmt: skip
    ax.axvline(found["own_radius"], color=style.GREY, linewidth=0.8, linestyle=(0, (1, 2)))
    style.log_axis(ax.xaxis, array(found["radius"]))
    style.log_axis(ax.yaxis, np.stack([array(found[name]) for name, *_ in _CURVES]))
    ax.set_xlabel("$B$")
    ax.set_ylabel(r"$\gamma$")
    figure.legend(loc="outside upper center", ncols=2)
    return figure
