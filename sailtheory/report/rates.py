"""Rates in words."""

from __future__ import annotations

from rich.table import Table

from sailtheory.rates.fit import RateFit
from sailtheory.rates.prediction import Prediction


def describe(fit: RateFit) -> str:
    """A fit in a few lines."""
    lines = [f"{fit.model}: {fit.reason}"]
    for name, value in fit.parameters.items():
        low, high = fit.intervals.get(name, (float("nan"), float("nan")))
        lines.append(f"  {name} = {value:.6g}  (95 % interval {low:.6g} to {high:.6g})")
    return "\n".join(lines)


def prediction_table(found: Prediction) -> Table:
    """Predicted against measured, one row a method."""
    table = Table(title="Contraction of the gap a step, and steps to 1e-6 of the first gap")
    for column in (
        "method", "predicted ≤", "measured", "kind", "steps predicted", "steps", "gap/bound ≤"
    ):  # fmt: skip
        table.add_column(column)
    for method in found.methods:
        table.add_row(
            method.name,
            _number(method.predicted),
            _number(method.measured),
            method.fit.model,
            _number(method.predicted_steps),
            _number(method.to_accuracy),
            _number(method.worst_ratio),
        )
    return table


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"
