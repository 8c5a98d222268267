"""What an import of preference data read, left out and measured, and a guide to β and B."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sailtheory.report.numerals import number

__all__ = ["print_import", "print_suggestion"]


def print_import(console: Console, report: dict[str, Any], out: str | None) -> None:
    """The report of a problem folder; without a place to write it to, that is said."""
    data = report["data"]
    sizes = ", ".join(f"{count} of {m}" for m, count in data["responses"].items())
    named = "as named" if report["format_named"] else "as detected"
    lines = [
        f"{report['source']}: {report['rows']} rows, format {report['format']} ({named})",
        f"direction: {report['direction']}",
        f"preferences: {report['preferences']}",
        f"features: {report['features']['from']}",
        f"{data['prompts']} prompts (responses: {sizes}), d = {data['dimension']}, "
        f"S has dimension {data['rank']}; L = {number(data['feature_norm'])}, "
        f"D = {number(data['feature_diameter'])}",
        *(_preferences(data) if "pairs" in data else _rewards(data)),
    ]
    if report["features"].get("texts_cut"):
        cut, longest = report["features"]["texts_cut"], report["features"]["longest"]
        lines.append(f"{cut} texts were longer than the model's {longest} tokens and were cut")
    for line in lines:
        console.print(escape(line), soft_wrap=True)
    left_out = [
        (f"{e['count']} {e['what']}", f"{e['reason']}: {_places(e)}") for e in report["dropped"]
    ]
    _listed(console, "Left out", left_out)
    _listed(console, "Notes", [(str(e["count"]), e["note"]) for e in report["notes"]])
    wrote = "nothing is written without --out" if out is None else f"written to {Path(out)}"
    console.print(escape(wrote), soft_wrap=True)


def _places(entry: dict[str, Any]) -> str:
    more = ", …" if entry["count"] > len(entry["first"]) else ""
    return ", ".join(entry["first"]) + more


def _preferences(data: dict[str, Any]) -> list[str]:
    gaps = data["gaps"]
    return [
        f"{data['pairs']} pairs of responses: {data['ties']} ties, "
        f"|p − ½| > .45 in {100 * data['share_sure']:.1f} %",
        "gaps in log-odds: " + ", ".join(f"{_quantile(q)} {_gap(gaps[q])}" for q in gaps),
    ]


def _rewards(data: dict[str, Any]) -> list[str]:
    means = data["mean_rewards"]
    kind = "0 and 1" if data["binary"] else "other numbers than 0 and 1 (reward and dr-grpo only)"
    return [
        f"rewards are {kind}; all alike in {data['alike']} prompts, which train nothing",
        "mean reward of a prompt: " + ", ".join(f"{_quantile(q)} {means[q]:.3g}" for q in means),
    ]


def _listed(console: Console, title: str, rows: list[tuple[str, str]]) -> None:
    if not rows:
        console.print(f"{title}: nothing")
        return
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for count, reason in rows:
        table.add_row(escape(count), escape(reason))
    console.print(table)


def _quantile(q: str) -> str:
    return {"0": "least", "0.5": "median", "1": "largest"}.get(q, f"{100 * float(q):g} %")


def _gap(gap: float | None) -> str:
    return "∞ (p is 0 or 1)" if gap is None else number(gap)


def print_suggestion(console: Console, found: dict[str, Any]) -> None:
    """The tables of ``--suggest``, with what each number is."""
    table = Table(title="Ridge fits of w = β(θ − θ_ref) by DPO's loss", title_justify="left")
    for name in ("ridge", "‖w‖", "held-out loss", "held-out accuracy"):
        table.add_column(name, justify="right")
    for fit in found["fits"]:
        mark = " *" if fit == found["best"] else ""
        table.add_row(f"{fit['ridge']:g}{mark}", number(fit["norm"]), f"{fit['loss']:.4f}",
                      "—" if fit["accuracy"] is None else f"{fit['accuracy']:.3f}")  # fmt: skip
    console.print(table)
    console.print(
        f"{found['pairs']} pairs of {found['prompts']} of {found['of_prompts']} prompts, a fifth "
        "of the prompts held out; * is the least held-out loss (0.6931 is chance)."
    )
    if found["best"] == found["fits"][0]:
        console.print("The least ridge fits best: ‖w‖ and B may have to be larger.")
    if found["best"] == found["fits"][-1]:
        console.print("The largest ridge fits best: the features hardly tell the preferences.")
    console.print(_costs("What the best fit asks for", found["radii"]))
    if found["policy"]:
        console.print(_costs("What the trained policy asks for", found["policy"]))
    if found["given"]:
        console.print(_costs("With the β and B that are given", [found["given"]]))
    console.print(
        f"D = {number(found['feature_diameter'])}. The best fit asks for B = ‖w‖/β around θ_ref, a "
        "policy for its distance from θ_ref. Z_max = βBD with the centre at θ_ref. K_B is "
        "the γ that the theorem asks for. βB is what the data decide; a smaller β lowers K_B "
        "towards its limit at that Z_max. The fit is an estimate: a ball that leaves out the "
        "policy that you train says nothing of it."
    )


def _costs(title: str, rows: list[dict[str, float]]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in ("β", "B", "Z_max", "K_B"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(f"{row['beta']:g}", *(number(row[key]) for key in ("radius", "z_max", "k_b")))
    return table
