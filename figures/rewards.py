"""How large the KL of training with rewards must be, and what it leaves to learn (C30, C31, C33).

``python -m figures.rewards`` draws (a) what one prompt needs alone by its pass rate, method by
method, with K where it is finite; (b) the pass rate at the tabular maximiser against γ, for both
KLs; (c) the set {J_γ ≥ J_γ(θ_ref)} of two prompts at a γ above what each needs alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from figures.write import FOLDER, finish
from proofs_check.claims.c30_reward import regularised, two_prompts
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.plots import style
from sailtheory.plots.series import array, plain
from sailtheory.theory.reward_maximiser import maximiser_policy_ref, maximiser_ref_policy
from sailtheory.theory.reward_methods import reward_method

GROUP, RATE, GAMMA = 8, 0.1, 0.505
METHODS = {
    "reward": ("RLOO", "population"), "grpo": ("GRPO (TRL)", "sample"),
    "dynamic-sampling": ("dynamic sampling", "sample"), "log": ("log V", "population"),
    "pass-at-k": ("pass@8", "population"), "maxrl": ("MaxRL", "population"),
}  # fmt: skip
PRICED = ("reward", "grpo", "maxrl")
SOLVERS = {"ref_policy": maximiser_ref_policy, "policy_ref": maximiser_policy_ref}
KLS = {
    "ref_policy": r"$\mathrm{KL}(\pi_{\mathrm{ref}}\,\|\,\pi_\theta)$",
    "policy_ref": r"$\mathrm{KL}(\pi_\theta\,\|\,\pi_{\mathrm{ref}})$",
}
_POINTS = 161


def compute() -> dict[str, Any]:
    """Settings, caption and series, as JSON holds them."""
    rates = 1 / (1 + np.exp(-np.linspace(-5, 4, _POINTS)))
    gammas = np.geomspace(0.01, 10, _POINTS)
    path, limits, reached = {}, {}, {}
    for name, (_, std) in METHODS.items():
        method = reward_method(name, GROUP, std)
        path[name] = method.path(FLOAT64, rates, 1 - rates)
        k = method.threshold(FLOAT64)
        limits[name] = None if k is None else float(k)
        if name in PRICED:
            start = np.full(gammas.shape, RATE)
            reached[name] = {kl: solve(method, gammas, start) for kl, solve in SOLVERS.items()}
    problem = two_prompts()
    x, y = np.linspace(-0.03, 0.45, 120), np.linspace(-4.5, 4.5, 121)
    grid = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)
    objective = regularised(problem, GAMMA)
    above = objective.value(grid) - objective.value(problem.ref_params)
    caption = (
        "(a) The KL coefficient that one prompt needs alone, (1 − p)f'(p), against its pass rate "
        f"p under π_ref, groups of {GROUP}; marks at the left: K, enough for any prompts that "
        "share features, where it is finite (C31). (b) Pass rate where training ends from "
        f"p = {RATE}, each response with a parameter of its own, against γ: with KL(π_ref‖π_θ), "
        "whose K is marked, and with KL(π_θ‖π_ref), which has no threshold (C33). (c) Two prompts "
        f"that share features, γ = {GAMMA}, above the .5 that each needs alone: the set where "
        "V − γKL(π_ref‖π_θ) is at least its value at θ_ref (grey) is not convex; two points of it "
        "and their midpoint, which is outside (C30)."
    )
    return plain({
        "schema": "sailtheory.rewards-figure/1", "caption": caption,
        "settings": {"group": GROUP, "pass_rate": RATE, "gamma": GAMMA},
        "series": {
            "rates": rates, "path": path, "threshold": limits, "gammas": gammas,
            "reached": reached, "x": x, "y": y, "above": above,
            "ends": [[0.36, 3.5], [0.36, -3.5]],
        },
    })  # fmt: skip


def draw(data: dict[str, Any]) -> Any:
    """Three panels."""
    found = data["series"]
    with style.context():
        figure, axes = style.panels(style.DOUBLE, 74, 1, 3)
        _thresholds(axes[0, 0], found)
        _reached(axes[0, 1], found)
        _set(axes[0, 2], found)
        figure.legend(loc="outside upper center", ncols=6)
    return figure


def _thresholds(ax: Any, found: dict[str, Any]) -> None:
    rates = array(found["rates"])
    for i, (name, (label, _)) in enumerate(METHODS.items()):
        line = style.LINES[i]
        ax.plot(rates, array(found["path"][name]), label=label, **line)
        k = found["threshold"][name]
        if k is not None:
            ax.plot(rates[:1], [k], marker="o", color=line["color"], clip_on=False)
    style.log_axis(ax.yaxis, np.array([0.01, 100.0]))
    style.log_axis(ax.xaxis, rates)
    ax.set_xlim(rates[0], 1)
    ax.set_ylim(0.01, 150)
    ax.set_xlabel("pass rate of the reference")
    ax.set_ylabel(r"$\gamma$ needed by one prompt")
    style.letter(ax, 0, "thresholds")


def _reached(ax: Any, found: dict[str, Any]) -> None:
    gammas = array(found["gammas"])
    for name in PRICED:
        line = style.LINES[list(METHODS).index(name)]
        for kl, width in (("ref_policy", 1.4), ("policy_ref", 0.7)):
            row = array(found["reached"][name][kl])
            ax.plot(gammas, row, **line, linewidth=width)
            if kl == "ref_policy":
                k = found["threshold"][name]
                ax.plot([k], [np.interp(k, gammas, row)], marker="o", color=line["color"])
    style.log_axis(ax.xaxis, gammas)
    ax.set_xlim(gammas[0], gammas[-1])
    ax.set_ylim(0, 1.02)
    ax.axhline(RATE, **style.ZERO)
    ax.text(0.03, 0.24, f"thick: {KLS['ref_policy']}\nthin: {KLS['policy_ref']}",
            transform=ax.transAxes, fontsize=7)  # fmt: skip
    ax.set_xlabel(r"$\gamma$")
    ax.set_ylabel("pass rate at the maximiser")
    style.letter(ax, 1, "what is left to learn")


def _set(ax: Any, found: dict[str, Any]) -> None:
    x, y, above = (array(found[key]) for key in ("x", "y", "above"))
    top = float(above.max())
    ax.contourf(x, y, above.T, [0.0, top], colors=["0.82"])
    ax.contour(x, y, above.T, [0.0], colors="black", linewidths=1.0)
    ends = array(found["ends"])
    ax.plot(ends[:, 0], ends[:, 1], color=style.BLUE, linestyle=(0, (4, 2)), marker="o")
    ax.plot(*ends.mean(0), marker="x", color=style.VERMILLION, markersize=6)
    ax.plot(0, 0, marker="o", color="white", markeredgecolor="black")
    ax.set_xlabel(r"$\theta_1$")
    ax.set_ylabel(r"$\theta_2$")
    style.letter(ax, 2, "two prompts")


def main() -> None:
    """Data, image and caption."""
    finish(compute(), FOLDER / "rewards.json", draw)


if __name__ == "__main__":
    main()
