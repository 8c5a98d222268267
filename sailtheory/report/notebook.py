"""How results look in Python: as text, as HTML in a notebook, as a table, on axes.

Text and HTML are made of the tables that the commands print; nothing is worded twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import singledispatch
from html import escape
from io import StringIO
from typing import Any

from rich.console import Console
from rich.markup import escape as escape_markup
from rich.table import Table
from rich.text import Text

from sailtheory.analysis.check import STRENGTHS, Report
from sailtheory.analysis.field_check import FieldReport
from sailtheory.analysis.frontier import Frontier
from sailtheory.analysis.sweep import Sweep
from sailtheory.analysis.target_check import STRENGTHS as TARGET_STRENGTHS
from sailtheory.analysis.target_check import TargetReport
from sailtheory.analysis.trade_off import TradeOff
from sailtheory.certificates.averaged.certificate import AveragedCertificate
from sailtheory.certificates.bounded import BoundCertificate
from sailtheory.certificates.certificate import Certificate
from sailtheory.certificates.prompts.certificate import PromptCertificate
from sailtheory.convergence.fit import RateFit
from sailtheory.convergence.prediction import Prediction
from sailtheory.errors import InputError
from sailtheory.extras import require_extra
from sailtheory.report import averaged, bounded, certificates, prompts
from sailtheory.report.field_check import print_field_report
from sailtheory.report.numerals import number
from sailtheory.report.rates import describe, print_prediction
from sailtheory.report.rewards import print_assessment
from sailtheory.report.run_audit import print_audit, summary
from sailtheory.report.sweep import print_sweep
from sailtheory.report.target_check import print_target_report, print_trade_off
from sailtheory.report.text import print_frontier, print_report
from sailtheory.rewards.assess import Assessment
from sailtheory.run_audit.audit import Audit

__all__ = ["draw", "frame", "headline", "html", "text"]

_WIDTH = 120


class _Pieces:
    """In place of a console: what would be printed."""

    def __init__(self) -> None:
        self.found: list[Any] = []

    def print(self, piece: Any, markup: bool = True) -> None:
        self.found.append(piece if markup else escape_markup(piece))


def _said(words: Callable[[Any], str]) -> Callable[[Any, Any], None]:
    """What prints a result that is told in text alone."""
    return lambda console, result: console.print(words(result))


_PRINTED: dict[type, Callable[[Any, Any], None]] = {
    Report: print_report,
    Frontier: print_frontier,
    TargetReport: print_target_report,
    FieldReport: print_field_report,
    TradeOff: print_trade_off,
    Sweep: print_sweep,
    Prediction: print_prediction,
    Assessment: print_assessment,
    Audit: lambda console, found: print_audit(found, "the run", console),
    RateFit: _said(describe),
    Certificate: _said(certificates.summary),
    PromptCertificate: _said(prompts.summary),
    BoundCertificate: _said(bounded.summary),
    AveragedCertificate: _said(averaged.summary),
}
"""What prints each kind of result on a console."""


def text(result: object) -> str:
    """What the command prints."""
    out = StringIO()
    _PRINTED[type(result)](Console(file=out, width=_WIDTH, highlight=False), result)
    return out.getvalue().rstrip("\n")


def html(result: object) -> str:
    """The same, its tables as those of HTML."""
    pieces = _Pieces()
    _PRINTED[type(result)](pieces, result)
    return "".join(map(_html, pieces.found))


def _html(piece: Any) -> str:
    if not isinstance(piece, Table):
        lines = _plain(piece).strip("\n").split("\n")
        return f"<p>{'<br>'.join(map(escape, lines))}</p>"
    caption = f"<caption>{escape(_plain(piece.title))}</caption>" if piece.title else ""
    head = "".join(f"<th>{escape(_plain(column.header))}</th>" for column in piece.columns)
    rows = zip(*(column.cells for column in piece.columns), strict=True)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(_plain(cell))}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _plain(piece: Any) -> str:
    return Text.from_markup(str(piece)).plain


@singledispatch
def headline(result: Any) -> str:
    """What matters most, in less than a line."""
    return text(result).split("\n")[0]


@headline.register
def _(result: Report) -> str:
    verdict = result.sail_revkl[0]
    names = {"instance": "γ*", "per_prompt": "ḡ", "relative": "K_B"}
    found = [f"{label} = {number(getattr(result.thresholds, name))}"
             for name, label in names.items()]  # fmt: skip
    said = "constant" if verdict is None else f"concave: {verdict.outcome.value}"
    return f"γ = {number(result.gamma)}, J_γ {said}, {', '.join(found)}"


@headline.register
def _(result: Frontier) -> str:
    return (
        f"{len(result.points)} values of γ, γ* = {number(result.instance)}, "
        f"K_B = {number(result.relative)}"
    )


@headline.register
def _(result: TargetReport | TradeOff | FieldReport) -> str:
    star = result.instance if isinstance(result, TradeOff) else result.gamma_star.value
    least = None if result.bounds is None else result.bounds.least
    title = result.field.title if isinstance(result, FieldReport) else result.target.title
    return f"{title}: γ* = {number(star)}, certain to suffice {number(least)}"


@headline.register
def _(result: Audit) -> str:
    return summary(result)


@headline.register
def _(result: Assessment) -> str:
    k = number(result.chosen.threshold)
    return f"{len(result.mean.value)} prompts, {result.chosen.title}: K = {k}"


@headline.register
def _(result: Sweep) -> str:
    return f"{len(result.rows)} rows"


@singledispatch
def _rows(result: Any) -> list[dict[str, Any]]:
    """A certificate: one row."""
    found = result.as_dict()
    return [{key: value for key, value in found.items() if not isinstance(value, (dict, list))}]


@_rows.register
def _(result: Report) -> list[dict[str, Any]]:
    price = {"instance": "instance", "per_prompt": "per_prompt", "relative": "relative",
             "closed_form": "closed_form"}  # fmt: skip
    rows = []
    for name, strength in STRENGTHS.items():
        best = result.price.get(price.get(name, ""))
        rows.append({
            "threshold": name, "gamma": getattr(result.thresholds, name), "strength": strength,
            "win_rate": None if best is None else best.win_rate,
            "kl_ref_policy": None if best is None else best.kl_ref_policy,
        })  # fmt: skip
    return rows


@_rows.register
def _(result: TargetReport | FieldReport) -> list[dict[str, Any]]:
    values = result.as_dict()["thresholds"]
    return [
        {"threshold": name, "gamma": values[name], "strength": strength,
         "worth": result.price[name].worth if name in result.price else None}
        for name, strength in TARGET_STRENGTHS.items()
    ]  # fmt: skip


@_rows.register
def _(result: TradeOff) -> list[dict[str, Any]]:
    return [point.as_dict() for point in result.points]


@_rows.register
def _(result: Frontier) -> list[dict[str, Any]]:
    rows = []
    for point in result.points:
        row = asdict(point)
        online = row.pop("online") or {}
        rows.append(row | {f"online_{name}": value for name, value in online.items()})
    return rows


@_rows.register
def _(result: Audit) -> list[dict[str, Any]]:
    return [
        {"assumption": line.name, "standing": line.standing.value, "why": line.why}
        for line in result.lines
    ]


@_rows.register
def _(result: Assessment) -> list[dict[str, Any]]:
    path = result.chosen.path
    columns = {
        "prompt": result.rates.prompts, "mean": result.mean.value, "low": result.mean.low,
        "high": result.mean.high, **({} if path is None else {"path_threshold": path.value}),
    }  # fmt: skip
    rows = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


@_rows.register
def _(result: Sweep) -> list[dict[str, Any]]:
    return [asdict(row) for row in result.rows]


@_rows.register
def _(result: Prediction) -> list[dict[str, Any]]:
    rows = []
    for method in result.methods:
        row = method.as_dict()
        rows.append(row | {"fit": None if method.fit is None else method.fit.model})
    return rows


@_rows.register
def _(result: RateFit) -> list[dict[str, Any]]:
    return [
        {"parameter": name, "value": value, "low": low, "high": high}
        for name, value in result.parameters.items()
        for low, high in [result.intervals.get(name, (None, None))]
    ]


def frame(result: Any) -> Any:
    """The numbers as a ``pandas.DataFrame``.

    Raises:
        MissingExtra: pandas is not installed.
    """
    require_extra("pandas", "pandas")
    import pandas

    return pandas.DataFrame(_rows(result))


def draw(result: Any, ax: Any, line: dict[str, Any]) -> Any:
    """On axes of matplotlib, by default new ones.

    Raises:
        InputError: A result that has nothing to draw.
    """
    if ax is None:
        from sailtheory.plots import style

        with style.context():
            ax = style.panels(style.SINGLE, 60)[1][0, 0]
    _draw(result, ax, line)
    return ax


@singledispatch
def _draw(result: object, ax: Any, line: dict[str, Any]) -> None:
    accepted = "a result of check, frontier or sweep has a drawing; sailtheory plot draws more"
    raise InputError("plot", type(result).__name__, accepted)


@_draw.register
def _(result: Report, ax: Any, line: dict[str, Any]) -> None:
    """The thresholds that are known, the largest on top, and γ."""
    names = {"instance": "γ*", "per_prompt": "ḡ", "data": r"$K_{\mathrm{data}}$",
             "relative": "$K_B$", "closed_form": "closed form"}  # fmt: skip
    values = {label: getattr(result.thresholds, name) for name, label in names.items()}
    _draw_thresholds(values, result.gamma, ax, line)


@_draw.register
def _(result: TargetReport | FieldReport, ax: Any, line: dict[str, Any]) -> None:
    """The same for any objective."""
    known = result.bounds
    data, proved = (None, None) if known is None else (known.data, known.relative)
    values = {"γ*": result.gamma_star.value, r"$K_{\mathrm{data}}$": data, "$K$": proved}
    _draw_thresholds(values, result.gamma, ax, line)


def _draw_thresholds(
    values: dict[str, float | None], gamma: float, ax: Any, line: dict[str, Any]
) -> None:
    known = {label: value for label, value in values.items() if value is not None and value > 0}
    ax.plot(list(known.values()), list(known), **{"marker": "o", "linestyle": "none"} | line)
    ax.grid(axis="y", linewidth=0.5)
    ax.axvline(gamma, color="black", linestyle="--", linewidth=1)
    ax.set_xscale("log")
    ax.set_xlabel("γ (dashed: in use)")


@_draw.register
def _(result: Frontier, ax: Any, line: dict[str, Any]) -> None:
    """Win rate against γ, SAIL's and online DPO's."""
    points = [point for point in result.points if point.gamma > 0]
    levels = [point.gamma for point in points]
    ax.plot(levels, [p.win_rate for p in points], **{"marker": "o", "label": "SAIL"} | line)
    online = [(p.gamma, p.online.win_rate) for p in points if p.online is not None]
    if online:
        ax.plot(*zip(*online, strict=True), marker="s", linestyle="--", label="online DPO")
    ax.set_xscale("log")
    ax.set_xlabel("γ")
    ax.set_ylabel("win rate over the reference")
    ax.legend()


@_draw.register
def _(result: TradeOff, ax: Any, line: dict[str, Any]) -> None:
    """Worth against γ."""
    points = [point for point in result.points if point.gamma > 0]
    shown = {"marker": "o", "label": result.target.title} | line
    ax.plot([p.gamma for p in points], [p.worth for p in points], **shown)
    ax.set_xscale("log")
    ax.set_xlabel("γ")
    ax.set_ylabel(result.target.measure)
    ax.legend()


@_draw.register
def _(result: Sweep, ax: Any, line: dict[str, Any]) -> None:
    """γ* against B, a line for each β."""
    rows = [row for row in result.rows if row.instance is not None]
    for beta in sorted({row.beta for row in rows}):
        of_beta = sorted((row.radius, row.instance) for row in rows
                         if row.beta == beta and row.prompts == rows[0].prompts
                         and row.temperature == rows[0].temperature)  # fmt: skip
        ax.plot(*zip(*of_beta, strict=True), **{"marker": "o", "label": f"β = {beta:g}"} | line)
    ax.set_xlabel("B")
    ax.set_ylabel("γ*")
    if rows:
        ax.legend()
