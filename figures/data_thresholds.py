"""Thresholds on preference data against B, drawn from the evidence of studies.data_thresholds.

``python -m figures.data_thresholds`` draws the human choices: the ladder at one confidence, with
bands over confidences and over samples of people; and the synthetic responses, where there are any.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from figures.write import FOLDER, write_summary
from sailtheory.plots import style
from sailtheory.plots.series import array, plain, positive
from studies.data_thresholds.page import raised

RECORDS = FOLDER.parent / "studies" / "data_thresholds" / "evidence.json"
OUT = Path(__file__).with_suffix(".json")
BETA, CONFIDENCE, TEMPERATURE = 0.1, 0.9, 0.25
CURVES = {
    "closed": ("closed form (C11)", "^"), "k_b": ("$K_B$ (C11)", "s"),
    "k_data": (r"$K_{\mathrm{data}}$ (C25)", "D"), "g_high": (r"$\bar g$ (C23)", "P"),
    "g_most": (r"$\bar g$ but for 1 %", "v"), "gamma_star": (r"$\gamma^*$ (search)", "o"),
}  # fmt: skip


def summarise(data: dict[str, Any]) -> dict[str, Any]:
    """What is drawn."""
    human = data["choices"]
    cells = [c for c in raised(human) if c["beta"] == BETA]
    panels = [
        {"title": "human choices"} | curves([c for c in cells if c["confidence"] == CONFIDENCE])
        | {"bars": {name: _ends(cells, name) for name in ("g_high", "k_data")}}
        | {"bands": {
            name: {"radius": [b["radius"] for b in human["bootstrap"]],
                   "low": [b[name][1] for b in human["bootstrap"]],
                   "high": [b[name][2] for b in human["bootstrap"]]}
            for name in ("gamma_star", "g_most")
        }}
    ]  # fmt: skip
    caption = (
        f"What γ makes J_γ concave on C, against its radius B, at β = {BETA}, for "
        f"{human['choices']:,} human choices between two trips, each label taken to be right with "
        f"probability {CONFIDENCE}. Bars of K_data and ḡ: that probability from "
        f"{min(c['confidence'] for c in cells)} to {max(c['confidence'] for c in cells)}; bands of "
        "γ* and of ḡ but for 1 %: 95 % of the samples of as many people, drawn with replacement, "
        "by a light search, which at large B falls short. γ* is the largest that a search found."
    )
    if made := data.get("synthetic"):
        chosen = [c for c in made["cells"] if c["temperature"] == TEMPERATURE]
        panels.append({"title": "synthetic responses", "bands": {}, "bars": {}} | curves(chosen))
        caption += (
            f" (b): not human: {made['responses']} responses of a small language model to each of "
            f"{made['prompts']} prompts, scored by a formula."
        )
    return plain({
        "schema": "sailtheory.data-thresholds-summary/1", "caption": caption,
        "series": {"panels": panels},
    })  # fmt: skip


def curves(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """Each threshold at each radius."""
    return {"radius": [c["radius"] for c in cells]} | {
        name: [c[name] for c in cells] for name in CURVES
    }


def _ends(cells: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Least and largest over the confidences, at the radii that have several; as error bars."""
    every = {c["radius"]: [x[name] for x in cells if x["radius"] == c["radius"]] for c in cells}
    each = {radius: values for radius, values in every.items() if len(values) > 1}
    return {
        "radius": list(each), "low": [min(v) for v in each.values()],
        "high": [max(v) for v in each.values()],
    }  # fmt: skip


def draw(data: dict[str, Any]) -> Any:
    """A panel for each data set, both axes logarithmic."""
    panels = data["series"]["panels"]
    width = style.SINGLE if len(panels) == 1 else style.DOUBLE
    with style.context():
        figure, axes = style.panels(width, 80, 1, len(panels))
        for k, (ax, panel) in enumerate(zip(axes.flat, panels, strict=True)):
            for i, (name, (label, marker)) in enumerate(CURVES.items()):
                line = style.LINES[len(CURVES) - 1 - i]
                ax.plot(array(panel["radius"]), positive(panel[name]), marker=marker,
                        markersize=3.5, label=label if k == 0 else None, **line)  # fmt: skip
                if band := panel["bands"].get(name):
                    ax.fill_between(array(band["radius"]), positive(band["low"]),
                                    positive(band["high"]), color=line["color"], alpha=0.2,
                                    linewidth=0)  # fmt: skip
                if bar := panel["bars"].get(name):
                    ax.vlines(array(bar["radius"]), positive(bar["low"]), positive(bar["high"]),
                              color=line["color"], linewidth=2.5, alpha=0.4)  # fmt: skip
            style.log_axis(ax.xaxis, array(panel["radius"]))
            every = [v for name in CURVES for v in panel[name]]
            style.log_axis(ax.yaxis, array(every))
            ax.set_xlabel("$B$")
            ax.set_ylabel(r"$\gamma$")
            if len(panels) > 1:
                style.letter(ax, k, panel["title"])
        figure.legend(loc="outside upper center", ncols=2 if len(panels) == 1 else 3)
    return figure


def main(source: Path = RECORDS, out: Path = OUT) -> None:
    """Summary, image and caption."""
    write_summary(source, out, summarise, draw)


if __name__ == "__main__":
    main()
