"""N(ε) with fitted slopes, drawn from the records of studies.sample_complexity.

``python -m figures.sample_complexity_plot [RECORDS.json]`` draws response pairs against
accuracy for each problem, one panel a method, and the slopes of log N against log 1/ε with
their intervals. The records hold every number that is drawn.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from figures.write import FOLDER, write_summary
from sailtheory.plots import style
from sailtheory.plots.series import array, plain, positive

RECORDS = FOLDER.parent / "studies" / "sample_complexity" / "evidence.json"
OUT = Path(__file__).with_suffix(".json")
REGIMES = {"theorem": r"$1.05\,K_B$", "instance": r"$1.05\,\gamma^*$"}


def summarise(data: dict[str, Any]) -> dict[str, Any]:
    """What is drawn, as :func:`sailtheory.plots.write_data` writes it."""
    keys = ("problem", "regime", "method", "gamma", "eps", "samples")
    records = [{key: r[key] for key in keys} | {"slopes": r["slopes"]} for r in data["records"]]
    problems = {r["problem"] for r in records}
    return plain({
        "schema": "sailtheory.sample-complexity-summary/1",
        "caption": (
            "Response pairs N that bring the mean gap to the share ε of the first gap, on "
            f"{len(problems)} random problems (two or three prompts, d = 2 or 3; "
            "studies/sample_complexity), a line each, by method; dashed: N ∝ 1/ε. "
            "SAIL-RevKL is run at γ = 1.05 K_B, where C16 is proved, and "
            "at 1.05 γ*, where it is not; the methods that treat both levels at the first. Last: "
            "the exponent a with its 95 % interval, by problem, fitted as N ∝ ε⁻ᵃ (filled) and as "
            "N ∝ ε⁻ᵃ log 1/ε (open), the form of C16; dashed: 1 (C16) and 3 (the generic bilevel "
            "bound)."
        ),
        "series": {"records": records},
    })  # fmt: skip


def groups(records: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """(method, regime) in the order of their first record."""
    return list(dict.fromkeys((r["method"], r["regime"]) for r in records))


def draw(data: dict[str, Any]) -> Any:
    """A panel a method and regime, and one of slopes."""
    records = data["series"]["records"]
    found = groups(records)
    with style.context():
        columns = (len(found) + 2) // 2
        figure, axes = style.panels(style.DOUBLE, 112, 2, columns)
        for ax in axes.flat[len(found) + 1 :]:
            ax.remove()
        counts = np.concatenate([positive(r["samples"]) for r in records])
        for i, (method, regime) in enumerate(found):
            ax = axes.flat[i]
            mine = [r for r in records if (r["method"], r["regime"]) == (method, regime)]
            for k, r in enumerate(mine):
                line = style.LINES[k % len(style.LINES)]
                ax.plot(1 / array(r["eps"]), positive(r["samples"]), marker="o", markersize=2,
                        label=str(r["problem"]), **line)  # fmt: skip
            anchor = min(mine, key=lambda r: positive(r["samples"])[0])
            eps = array(anchor["eps"])
            ax.plot(1 / eps, positive(anchor["samples"])[0] * eps[0] / eps, **style.BOUND)
            style.log_axis(ax.xaxis, 1 / np.concatenate([array(r["eps"]) for r in mine]))
            style.log_axis(ax.yaxis, counts)
            ax.set_ylim(np.nanmin(counts) / 2, np.nanmax(counts) * 2)
            ax.set_xlabel(r"$1/\varepsilon$, in first gaps")
            ax.set_ylabel("pairs $N$")
            style.letter(ax, i, f"{method}, {REGIMES[regime]}")
        _slopes(axes.flat[len(found)], records, found)
        style.letter(axes.flat[len(found)], len(found), "exponent $a$")
    return figure


def _slopes(ax: Any, records: list[dict[str, Any]], found: list[tuple[str, str]]) -> None:
    marks = "osD^v<"
    for i, (method, regime) in enumerate(found):
        mine = [r for r in records if (r["method"], r["regime"]) == (method, regime)]
        for k, r in enumerate(mine):
            color, x = style.LINES[i % 6]["color"], i + 0.6 * ((k + 0.5) / len(mine) - 0.5)
            for model, face in (("power", color), ("power-log", "white")):
                center, low, high = array(r["slopes"][model])
                ax.errorbar(x, center, yerr=[[center - low], [high - center]], fmt=marks[i % 6],
                            markersize=3, elinewidth=0.9, color=color,
                            markerfacecolor=face)  # fmt: skip
    for level in (1.0, 3.0):
        ax.axhline(level, color=style.GREY, linewidth=0.8, linestyle=(0, (4, 2)))
    ax.set_xticks(range(len(found)), [f"({'abcdef'[i]})" for i in range(len(found))])
    ax.set_ylabel("$a$")


def main(source: Path = RECORDS, out: Path = OUT) -> None:
    """Summary, image and caption."""
    write_summary(source, out, summarise, draw)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:3]))
