"""The price of the guarantee: win-rate gain and KL(π_ref‖π) against γ (C20)."""

from __future__ import annotations

from typing import Any

import numpy as np

from sailtheory.analysis.frontier import frontier
from sailtheory.analysis.trade_off import trade_off
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.objectives.sail_target import SAILTarget
from sailtheory.objectives.target import Target
from sailtheory.plots import style
from sailtheory.plots.series import array, positive
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory import bounds

__all__ = ["draw", "series"]

_POINTS = 33
_NAMES = {
    "instance": r"$\gamma^*$", "data": r"$K_{\mathrm{data}}$", "theorem": "$K$",
    "online": "$K_V$", "relative": "$K_B$", "closed_form": "closed form",
}  # fmt: skip
_OF_SAIL = [("gain", "kl", "SAIL"), ("online_gain", "online_kl", "online DPO")]


def series(target: Target, gamma: float | None, seed: int) -> dict[str, Any]:
    """Settings, caption and series; for SAIL with online DPO beside it."""
    return _of_sail(target.problem, seed) if isinstance(target, SAILTarget) else _of(target, seed)


def _of(target: Target, seed: int) -> dict[str, Any]:
    """One curve."""
    curve = trade_off(target, count=_POINTS, effort="light", seed=seed)
    known, start = curve.bounds, float(target.worth(target.problem.ref_params))
    assert known is not None  # what has S = {0} is not drawn
    first, rest = curve.points[0], curve.points[1:]
    marks = {"instance": curve.instance, "data": known.data, "theorem": known.relative}
    gained = {point.gamma: point.worth - start for point in curve.points}
    proved = known.relative if known.relative is not None else known.least
    at = "" if proved not in gained else f", where the gain is {gained[proved]:.2g}"
    return {
        "settings": {"points": _POINTS, "effort": "light", "measure": target.measure},
        "caption": (
            "What γ costs: the maximiser of J_γ on C, J = {objective}, found by search, on "
            f"{{problem}}. (a) The gain in {target.measure} over π_ref and (b) KL(π_ref‖π_θ); "
            f"dashed: J at γ = 0, where the gain is {first.worth - start:.3g}. Verticals: γ* (what "
            f"J needs on this problem) and what is certain to suffice{at}."
        ),
        "series": {
            "gamma": [point.gamma for point in rest],
            "gain": [point.worth - start for point in rest],
            "kl": [point.kl_ref_policy for point in rest],
            "gain_at_zero": first.worth - start,
            "kl_at_zero": first.kl_ref_policy,
            "marks": {
                name: mark for name, mark in marks.items() if mark is not None and 0 < mark < np.inf
            },
        },
    }


def _of_sail(problem: PreferenceProblem, seed: int) -> dict[str, Any]:
    curve = frontier(problem, count=_POINTS, effort="light", seed=seed)
    assert curve.relative is not None  # what has S = {0} is not drawn
    offset = float(np.linalg.norm(problem.ref_params - problem.center.astype(float)))
    closed = bounds.closed_form_threshold(
        float(problem.beta), problem.feature_diameter, float(problem.radius), offset
    )
    levels = np.array([point.gamma for point in curve.points])
    first, rest = curve.points[0], curve.points[1:]
    marks = {
        "instance": curve.instance,
        "online": curve.online.relative,
        "relative": curve.relative,
        "closed_form": float(closed),
    }
    online = [point.online for point in curve.points if point.online is not None]
    found = {
        "gamma": levels[1:],
        "gain": [point.gain for point in rest],
        "kl": [point.kl_ref_policy for point in rest],
        "online_gain": [point.gain for point in online[1:]],
        "online_kl": [point.kl_ref_policy for point in online[1:]],
        "kl_ceiling": bounds.kl_ceiling(FLOAT64, levels[1:]),
        "gain_at_zero": first.gain,
        "kl_at_zero": first.kl_ref_policy,
        "marks": {name: mark for name, mark in marks.items() if mark is not None and mark > 0},
    }
    at = {point.gamma: point for point in curve.points}
    proved = at[curve.online.relative].online if curve.online.relative in at else None
    asked = "" if proved is None else f", where online DPO's is {proved.gain:.2g}"
    return {
        "settings": {"points": _POINTS, "effort": "light", "measure": "win rate"},
        "caption": (
            "What γ costs: the maximiser of J_γ on C, found by search, and the solution of "
            "V − γ∇KL, online DPO without the score term (C29), on {problem}. (a) The gain "
            "in win rate over π_ref and (b) KL(π_ref‖π_θ), with J_γ's ceiling log 2/γ of C20; "
            f"dashed: J at γ = 0, where the gain is {first.gain:.3g}, online DPO's "
            f"{online[0].gain:.3g}. Verticals: γ* (what J needs on this problem), K_V (what the "
            f"theorem asks of online DPO, C36{asked}), K_B (the theorem for J, C11), where J's "
            f"gain is {at[curve.relative].gain:.2g}, and its closed form."
        ),
        "series": found,
    }


def draw(data: dict[str, Any]) -> Any:
    """Two panels at the width of two columns, γ on a logarithmic axis."""
    found = data["series"]
    levels = array(found["gamma"])
    figure, axes = style.panels(style.DOUBLE, 68, 1, 2, sharex=True)
    left, right = axes[0]
    measure = data["settings"]["measure"]
    beside = bool({"online_gain", "online_kl", "kl_ceiling"} & found.keys())  # those of SAIL
    curves = _OF_SAIL if beside else [("gain", "kl", "J")]
    for (name, _, whose), line in zip(curves, style.LINES, strict=False):
        left.plot(levels, array(found[name]), marker="o", markersize=2.5, label=whose, **line)
    free = style.BOUND | {"color": style.LINES[0]["color"]}
    left.axhline(found["gain_at_zero"], label=rf"{curves[0][2]} at $\gamma = 0$", **free)
    left.axhline(0, **style.ZERO)
    left.set_ylabel("win rate − ½" if measure == "win rate" else f"gain in {measure}")
    shown = [name for _, name, _ in curves]
    for (_, name, whose), line in zip(curves, style.LINES, strict=False):
        right.plot(levels, positive(found[name]), marker="o", markersize=2.5, label=whose, **line)
    ceiling = None
    if beside:
        ceiling = right.plot(levels, positive(found["kl_ceiling"]), **style.LINES[5],
                             label=r"ceiling $\log 2\,/\,\gamma$")  # fmt: skip
        shown.append("kl_ceiling")
    kl = [array(found[name]) for name in shown]
    if found["kl_at_zero"] > 0:
        right.axhline(found["kl_at_zero"], **free)
    style.log_axis(right.yaxis, np.stack(kl))
    right.set_ylabel(r"$\mathrm{KL}(\pi_{\mathrm{ref}}\,\|\,\pi_\theta)$")
    if ceiling is not None:
        right.legend(handles=ceiling, loc="lower left")
    styles = ((0, (5, 1.5)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (5, 1.2, 1, 1.2)))
    colors = {"instance": style.BLACK, "data": style.SKY, "online": style.SKY,
              "theorem": style.GREEN, "relative": style.GREEN,
              "closed_form": style.PURPLE}  # fmt: skip
    for ax in (left, right):
        for dash, (name, mark) in zip(styles, found["marks"].items(), strict=False):
            ax.axvline(mark, color=colors[name], linestyle=dash, linewidth=1.0,
                       label=f"{_NAMES[name]} = {mark:.3g}")  # fmt: skip
        style.log_axis(ax.xaxis, levels)
        ax.set_xlabel(r"$\gamma$")
    left.legend(loc="lower left")
    style.letter(left, 0, f"gain in {measure}")
    style.letter(right, 1, "distance from the reference")
    return figure
