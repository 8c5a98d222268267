"""What the KLs do to a network's landscape, drawn from neural_landscape.json.

``python -m figures.neural_landscape_plot [RUNS.json]`` summarises the runs of
:mod:`figures.neural_landscape`, writes the summary as JSON and draws it. One entry of the
summary is a divergence, a factor of K_∞ and a depth: means over seeds and widths, with a
95 % bootstrap interval over seeds, and the mean of each width.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from figures.write import write_summary
from sailtheory.plots import style
from sailtheory.plots.series import array, plain

RUNS = Path(__file__).with_name("neural_landscape.json")
OUT = Path(__file__).with_suffix(".json")
RESAMPLES = 2000
FEWEST = 3  # seeds that give an interval
Run = dict[str, Any]


def last(run: Run) -> dict[str, Any]:
    """The measurements at the end of training."""
    return run["moments"][max(run["moments"], key=int)]


def least_ratio(run: Run) -> float:
    """log₁₀ of the smallest PL ratio along training; nan where none was measured."""
    ratios = [p["pl_ratio"] for p in run["path"] if p["pl_ratio"]]
    return float(np.log10(min(ratios))) if ratios else np.nan


MEASURES: dict[str, Callable[[Run], float]] = {
    "convex_share": lambda run: float(
        np.mean([p["curvature_along_gradient"] > 0 for p in run["path"]])
    ),
    "relative_of_J": lambda run: last(run)["relative_of_J"],
    "damped_of_objective": lambda run: last(run)["relative_damped_of_objective"],
    "K_B": lambda run: last(run)["K_B_at_range"],
    "log10_pl_ratio": least_ratio,
    "win_rate": lambda run: run["win_rate"],
    "test_win_rate": lambda run: run["test_win_rate"],
}


def summarise(data: dict[str, Any]) -> dict[str, Any]:
    """The summary, as :func:`sailtheory.plots.write_data` writes it."""
    runs = data["runs"]
    keys = sorted({(r["divergence"], r["factor"], r["depth"]) for r in runs})
    entries = [entry(runs, *key) for key in keys]
    seeds = sorted({r["seed"] for r in runs})
    sizes = [r["parameters"] for r in runs]
    design = data["design"]
    widths = ", ".join(str(w) for w in design["widths"])
    return plain({
        "schema": "sailtheory.neural-landscape-summary/1",
        "caption": (
            f"Multilayer perceptrons ({min(sizes):,} to {max(sizes):,} parameters; widths "
            f"{widths}, depths {' and '.join(str(d) for d in design['depths'])}) trained by J "
            f"(γ = 0) and by J less γ times a KL, γ in units of K_∞ (C11 iii), {len(runs)} runs, "
            f"{len(seeds)} seeds. Large marks: means over widths and seeds with 95 % bootstrap "
            "intervals over seeds; small marks: the widths. (a) Share of the recorded steps at "
            "which the objective is convex along its gradient. (b) At the end, the generalised "
            "largest curvature of J relative to F̄ on range(F̄), and K_B at the range reached "
            "(bars), which bounds it for log-linear policies. (c) The largest curvature of the "
            "trained objective relative to "
            "F̄ + 10⁻³λ_max(F̄): where positive, the objective is not "
            "concave. (d) Smallest PL ratio met in training, against the best value known. "
            "(e) Win rate over π_ref on the training prompts and (f) on fresh ones."
        ),
        "design": design,
        "series": {"entries": entries},
    })  # fmt: skip


def entry(runs: list[Run], divergence: str, factor: float, depth: int) -> dict[str, Any]:
    """Means and intervals of one group of runs."""
    mine = [r for r in runs if (r["divergence"], r["factor"], r["depth"]) ==
            (divergence, factor, depth)]  # fmt: skip
    seeds, widths = sorted({r["seed"] for r in mine}), sorted({r["width"] for r in mine})
    found: dict[str, Any] = {
        "divergence": divergence, "factor": factor, "depth": depth, "runs": len(mine),
        "widths": widths,
    }  # fmt: skip
    rng = np.random.default_rng(0)
    picks = rng.integers(len(seeds), size=(RESAMPLES, len(seeds)))
    for name, measure in MEASURES.items():
        by_seed = np.array([mean(measure(r) for r in mine if r["seed"] == s) for s in seeds])
        spread = np.full(2, np.nan)
        if np.isfinite(by_seed).sum() >= FEWEST:
            resampled = [mean(by_seed[pick]) for pick in picks]
            spread = np.nanquantile(resampled, [0.025, 0.975])
        found[name] = {
            "mean": mean(by_seed), "low": spread[0], "high": spread[1],
            "by_width": [mean(measure(r) for r in mine if r["width"] == w) for w in widths],
        }  # fmt: skip
    return found


def mean(values: Any) -> float:
    """The mean of the numbers among them; nan if there is none."""
    numbers = np.array([v for v in values if v is not None and np.isfinite(v)])
    return float(numbers.mean()) if len(numbers) else np.nan


NAMES = {
    "none": ("none (γ = 0)", style.BLACK, "D"),
    "kl_ref_policy": (r"$\mathrm{KL}(\pi_{\mathrm{ref}}\,\|\,\pi_\theta)$", style.BLUE, "o"),
    "kl_policy_ref": (r"$\mathrm{KL}(\pi_\theta\,\|\,\pi_{\mathrm{ref}})$", style.VERMILLION, "s"),
}
PANELS = (
    ("convex_share", "convex along the gradient", "share of steps"),
    ("relative_of_J", "generalised curvature of J", r"$\lambda_{\max}(\nabla^2 J, \bar F)$"),
    ("damped_of_objective", "curvature of the objective",
     r"$\lambda_{\max}(\nabla^2, \bar F + 10^{-3}\|\bar F\|)$"),
    ("log10_pl_ratio", "smallest PL ratio", r"$\log_{10}$ of the ratio"),
    ("win_rate", "win rate, training prompts", "win rate"),
    ("test_win_rate", "win rate, fresh prompts", "win rate"),
)  # fmt: skip


def draw(data: dict[str, Any]) -> Any:
    """Six panels at the width of two columns, from the summary alone."""
    entries = data["series"]["entries"]
    factors = sorted({e["factor"] for e in entries})
    depths = sorted({e["depth"] for e in entries})
    with style.context():
        figure, axes = style.panels(style.DOUBLE, 108, 2, 3, sharex=True)
        for i, (measure, title, label) in enumerate(PANELS):
            ax = axes.flat[i]
            for e in entries:
                mark(ax, e, measure, factors, depths)
            ax.axhline(0.5 if "win" in measure else 0.0, **style.ZERO)
            ax.set_ylabel(label)
            ax.set_xticks(range(len(factors)), [f"{f:g}" for f in factors])
            ax.set_xlim(-0.5, len(factors) - 0.5)
            style.letter(ax, i, title)
        for ax in axes[1]:
            ax.set_xlabel(r"$\gamma\,/\,K_\infty$")
        figure.legend(handles=legend(entries, depths), loc="outside upper center", ncols=3)
    return figure


def mark(ax: Any, e: dict[str, Any], measure: str, factors: list[float], depths: list[int]) -> None:
    """One group of runs in one panel."""
    _, color, shape = NAMES[e["divergence"]]
    groups = [(d, depth) for d in ("kl_ref_policy", "kl_policy_ref") for depth in depths]
    if e["divergence"] == "none":
        place = (depths.index(e["depth"]) + 0.5) / len(depths) - 0.5
    else:
        place = (groups.index((e["divergence"], e["depth"])) + 0.5) / len(groups) - 0.5
    x, found = factors.index(e["factor"]) + 0.8 * place, e[measure]
    face = color if depths.index(e["depth"]) == 0 else "white"
    center, low, high = array([found["mean"], found["low"], found["high"]])
    if np.isnan(low):
        low = high = center
    ax.errorbar(x, center, yerr=[[center - low], [high - center]], fmt=shape, color=color,
                markerfacecolor=face, markersize=4.5, elinewidth=0.9, capsize=1.5)  # fmt: skip
    small = x + 0.06 * np.linspace(-1, 1, len(e["widths"]))
    ax.plot(small, array(found["by_width"]), ".", color=style.GREY, markersize=2, zorder=1)
    if measure == "relative_of_J":
        ax.plot([x - 0.08, x + 0.08], [e["K_B"]["mean"]] * 2, color=style.GREEN, linewidth=1.5)


def legend(entries: list[dict[str, Any]], depths: list[int]) -> list[Any]:
    """What marks, fills and bars mean."""
    from matplotlib.lines import Line2D

    present = {e["divergence"] for e in entries}
    handles = [
        Line2D([], [], color=color, marker=shape, linestyle="", label=label)
        for name, (label, color, shape) in NAMES.items()
        if name in present
    ]
    for k, depth in enumerate(depths):
        handles.append(Line2D([], [], color=style.GREY, marker="o", linestyle="",
                              markerfacecolor=style.GREY if k == 0 else "white",
                              label=f"depth {depth}"))  # fmt: skip
    handles.append(Line2D([], [], color=style.GREEN, linewidth=1.5, label="$K_B$ in (b)"))
    return handles


def main(source: Path = RUNS, out: Path = OUT) -> None:
    """Summary, image and caption."""
    write_summary(source, out, summarise, draw)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:3]))
