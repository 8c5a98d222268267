"""Rates in words."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from sailtheory.convergence.complexity import Complexity
from sailtheory.convergence.fit import RateFit
from sailtheory.convergence.prediction import Prediction

__all__ = [
    "complexity_table", "describe", "fitted", "prediction_table", "print_prediction",
    "where_fits_end",
]  # fmt: skip


def describe(fit: RateFit) -> str:
    """A fit in a few lines."""
    lines = [f"{fit.model}: {fit.reason}"]
    for name, value in fit.parameters.items():
        low, high = fit.intervals.get(name, (float("nan"), float("nan")))
        lines.append(f"  {name} = {value:.6g}  (95 % interval {low:.6g} to {high:.6g})")
    return "\n".join(lines)


def print_prediction(console: Console, found: Prediction) -> None:
    """The comparison, with where γ and the maximiser lie."""
    above = "above" if found.gamma > found.relative else "not above"
    bound = "K_B"
    if found.objective != "SAIL":
        bound = f"the least certified bound for {found.objective}"
    console.print(
        f"γ = {found.gamma:g}, {above} {bound} = {found.relative:.6g}; the maximiser lies "
        f"{'on the sphere' if found.on_boundary else 'inside'}."
    )
    console.print(prediction_table(found))
    console.print(where_fits_end(found))
    undecided = [m for m in found.methods if m.fit is not None and m.fit.model == "undecided"]
    for reason in dict.fromkeys(m.fit.reason for m in undecided if m.fit is not None):
        console.print(f"undecided: {reason}.")


def prediction_table(found: Prediction) -> Table:
    """Predicted against measured, one row a method."""
    table = Table(title="Contraction of the gap a step, and steps to 1e-6 of the first gap")
    for column in (
        "method", "predicted ≤", "measured", "fit", "steps predicted", "steps", "gap/bound ≤"
    ):  # fmt: skip
        table.add_column(column)
    for method in found.methods:
        table.add_row(
            method.name,
            _number(method.predicted),
            _number(method.measured),
            "too few gaps" if method.fit is None else fitted(method.fit),
            _number(method.predicted_steps),
            _number(method.to_accuracy),
            _number(method.worst_ratio),
        )
    return table


def fitted(fit: RateFit) -> str:
    """The kind of decay, and its rate with the interval where there is one."""
    for name in ("q", "a"):
        if name in fit.parameters:
            low, high = fit.intervals[name]
            return f"{fit.model}, {name} = {fit.parameters[name]:.4g} ({low:.4g} to {high:.4g})"
    return fit.model


def where_fits_end(found: Prediction) -> str:
    """Up to which step each method's gaps are fitted, one line."""
    steps = [str(method.resolved) for method in found.methods]
    return f"Fits use the gaps that rounding leaves: up to steps {', '.join(steps)}."


def complexity_table(found: tuple[Complexity, ...]) -> Table:
    """N(ε) at the ends of its range, and exponents under two models, one row a method."""
    table = Table(
        title="Pairs N(ε) to a share ε of the first gap, and a in N ~ C ε^−a, with and without "
        "a factor log(1/ε); 95 % intervals"
    )
    for column in ("method", "ε", "N", "ε", "N", "a", "a, with the log", "fit"):
        table.add_column(column)
    for each in found:
        ends = [("none", "none")] * 2
        if each.eps:
            ends = [(f"{each.eps[i]:.2g}", f"{each.samples[i]:.3g}") for i in (0, -1)]
        table.add_row(
            each.method,
            *ends[0],
            *ends[1],
            *(_interval(each.slopes.get(name)) for name in ("power", "power-log")),
            each.fit.model if each.fit else "none",
        )
    return table


def _interval(slope: tuple[float, float, float] | None) -> str:
    return "none" if slope is None else "{:.2f} ({:.2f} to {:.2f})".format(*slope)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"
