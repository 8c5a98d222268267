"""The tables of thresholds as CSV and LaTeX, from the evidence.

``python -m studies.data_thresholds.tables`` writes thresholds.csv and thresholds.tex.
"""

from __future__ import annotations

from typing import Any

from sailtheory.storage.files import write_text
from studies.render import ROOT, read

FOLDER = ROOT / "data_thresholds"
COLUMNS = {
    "beta": r"$\beta$", "radius": "$B$", "confidence": "$c$", "gamma_star": r"$\gamma^*$",
    "g_low": r"$\bar g$ from", "g_high": r"$\bar g$ to", "g_most": r"$99\,\%$",
    "k_data": r"$K_{\mathrm{data}}$", "k_b": "$K_B$", "closed": "closed form",
}  # fmt: skip


def rows(data: dict[str, Any]) -> list[list[float]]:
    """The columns of every cell of the choices."""
    return [[cell[name] for name in COLUMNS] for cell in data["choices"]["cells"]]


def csv(data: dict[str, Any]) -> str:
    """All digits."""
    lines = [list(COLUMNS), *([repr(float(v)) for v in row] for row in rows(data))]
    return "".join(",".join(line) + "\n" for line in lines)


def latex(data: dict[str, Any]) -> str:
    """Four digits, for the package booktabs."""
    body = [" & ".join(COLUMNS.values()), *(
        " & ".join([f"{v:g}" for v in row[:3]] + [f"{v:.4f}" for v in row[3:]])
        for row in rows(data)
    )]  # fmt: skip
    head, *rest = (line + r" \\" for line in body)
    return "\n".join([
        r"\begin{tabular}{" + "r" * len(COLUMNS) + "}", r"\toprule", head, r"\midrule", *rest,
        r"\bottomrule", r"\end{tabular}", "",
    ])  # fmt: skip


def main() -> None:
    """Write both files."""
    data = read("data_thresholds/evidence.json")
    write_text(csv(data), FOLDER / "thresholds.csv")
    write_text(latex(data), FOLDER / "thresholds.tex")


if __name__ == "__main__":
    main()
