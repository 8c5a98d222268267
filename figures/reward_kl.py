"""Learning curves, TRL's, and bad ends against γ/γ*, drawn from the runs of studies.reward_kl.

``python -m figures.reward_kl [RUNS.json]``: means over the fresh worlds, a thin line a world.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from figures.write import FOLDER, write_summary
from sailtheory.plots import style
from sailtheory.plots.series import array, plain
from studies.reward_kl.arms import K3, NONE, POLICY_REF, RATIOS, REF_POLICY

RUNS = FOLDER.parent / "studies" / "reward_kl" / "evidence.json"
OUT = Path(__file__).with_suffix(".json")
PASS_RATE = 0.1
LEARNING = {
    f"{NONE} 0": "no KL", f"{REF_POLICY} 0.2": ".2γ* KL(π_ref‖π_θ)",
    f"{REF_POLICY} K": "K KL(π_ref‖π_θ)", f"{POLICY_REF} 0.2": ".2γ* KL(π_θ‖π_ref)",
}  # fmt: skip


def summarise(data: dict[str, Any]) -> dict[str, Any]:
    """What is drawn, as :func:`sailtheory.plots.write_data` writes it."""
    fresh = [run for run in data["runs"] if run["stage"] == "fresh"]

    def of(depth: int, scale: str, rate: float) -> list[dict[str, Any]]:
        kind = (depth, scale, rate)
        return [r["arms"] for r in fresh if (r["depth"], r["scale"], r["pass_rate"]) == kind]

    learning = {
        scale: {
            arm: {"updates": [*map(int, runs[0][arm]["curve"])],
                  "pass_rate": [[*run[arm]["curve"].values()] for run in runs]}
            for arm in LEARNING
        }
        for scale in ("none", "std") if (runs := of(1, scale, PASS_RATE))
    }  # fmt: skip
    trl: dict[str, Any] = {}
    for run in data["runs"]:
        if run["stage"] == "trl":
            own = trl.setdefault(
                run["cell"], {"updates": [*map(int, run["curve"])], "pass_rate": []}
            )
            own["pass_rate"].append([*run["curve"].values()])
    ends = {
        f"p = {rate:g}": _by_gamma(of(1, "none", rate), REF_POLICY, "bad_objective")
        for rate in data["pass_rates"]
    }
    both = [arms for rate in data["pass_rates"] for arms in of(2, "none", rate)]
    two = {kl: _by_gamma(both, kl, "bad_pass_rate") for kl in (REF_POLICY, POLICY_REF, K3)}
    price = {
        kl: _by_gamma(of(1, "none", PASS_RATE), kl, "pass_rate") for kl in (REF_POLICY, POLICY_REF)
    }
    return plain({
        "schema": "sailtheory.reward-kl-summary/1",
        "caption": (
            "Responses that can be listed (studies/reward_kl), means over the fresh worlds, a thin "
            f"line a world. Above: pass rate along training from {PASS_RATE:g} with one token, "
            "f = V and the group's deviation; TRL's GRPOTrainer with k3 by token. Below: share of "
            "random starts that end badly against γ/γ*, one token and f = V by pass rate of π_ref; "
            "two tokens and three KL terms; and the pass rate after 200 updates against γ/γ*."
        ),
        "series": {"learning": learning, "trl": trl, "ends": ends, "two": two, "price": price},
    })  # fmt: skip


def _by_gamma(found: list[dict[str, Any]], kl: str, field: str) -> dict[str, Any]:
    """Means over worlds at γ = 0 and at every share of γ*."""
    names = [f"{NONE} 0", *(f"{kl} {ratio:g}" for ratio in RATIOS)]
    means = [float(np.mean([arms[name][field] for arms in found])) for name in names]
    return {"ratio": [0.0, *RATIOS], "mean": means}


def draw(data: dict[str, Any]) -> Any:
    """Curves above, what γ does below."""
    series = data["series"]
    with style.context():
        figure, axes = style.panels(style.DOUBLE, 125, 2, 3)
        for k, (scale, title) in enumerate((("none", "f = V"), ("std", "÷ deviation"))):
            _curves(axes[0, k], series["learning"].get(scale, {}), LEARNING)
            style.letter(axes[0, k], k, title)
        _curves(axes[0, 2], series["trl"], {name: name for name in series["trl"]})
        style.letter(axes[0, 2], 2, "TRL, k3 by token")
        for k, (name, title, label) in enumerate((
            ("ends", "one token", "share of bad ends"), ("two", "two tokens", "share of bad ends"),
            ("price", "one token, p = .1", "pass rate"),
        )):  # fmt: skip
            _against(axes[1, k], series[name], label)
            style.letter(axes[1, k], 3 + k, title)
    return figure


def _curves(ax: Any, found: dict[str, Any], names: dict[str, str]) -> None:
    for line, (name, label) in zip(style.LINES, names.items(), strict=False):
        if name in found:
            updates, runs = found[name]["updates"], array(found[name]["pass_rate"])
            ax.plot(updates, np.asarray(runs).T, alpha=0.25, **line | {"linewidth": 0.4})
            ax.plot(updates, np.asarray(runs).mean(0), label=label, **line)
    ax.set_xlabel("updates")
    ax.set_ylabel("pass rate")
    ax.set_ylim(0, 1.45)  # the legend stands above the curves
    ax.set_yticks([0, 0.5, 1])
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="upper left")


def _against(ax: Any, found: dict[str, Any], label: str) -> None:
    for line, (name, each) in zip(style.LINES, found.items(), strict=False):
        ax.plot(array(each["ratio"]), array(each["mean"]), label=name, marker="o", markersize=2.5,
                **line)  # fmt: skip
    ax.set_xlabel("γ/γ*")
    ax.set_ylabel(label)
    ax.set_ylim(bottom=0)
    ax.legend(loc="upper right")


def main(source: Path = RUNS, out: Path = OUT) -> None:
    """Summary, image and caption."""
    write_summary(source, out, summarise, draw)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:3]))
