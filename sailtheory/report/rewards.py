"""Terminal output of ``sailtheory rewards``."""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sailtheory.report.numerals import number, percent, times
from sailtheory.rewards.assess import Assessment, Ends, MethodReport, rests_on

__all__ = ["print_assessment"]

_SHOWN = 5
_NAMED = 28
_KL = {"ref-policy": "KL(π_ref‖π_θ)", "policy-ref": "KL(π_θ‖π_ref)"}


def print_assessment(console: Console, found: Assessment) -> None:
    """The prompts, the methods, the prompts that need most, and what it all rests on."""
    rates, asked = found.rates, found.settings
    for note in rates.notes:
        console.print(f"[yellow]note[/yellow] {escape(note)}")
    console.print(_prompts(found))
    gamma = "" if asked.gamma is None else f", γ = {number(asked.gamma)}"
    console.print(f"{escape(found.chosen.title)}{gamma}, {_KL[asked.kl]}\n")
    if asked.kl == "ref-policy":
        console.print(_thresholds(found))
    if rates.binary and (asked.gamma or asked.kl == "ref-policy"):
        console.print(_reached(found))
    console.print(_worst(found))
    console.print(_basis(found))
    console.print(f"\n[bold]{escape(_summary(found))}[/bold]")


def _prompts(found: Assessment) -> str:
    rates, mean = found.rates, found.rates.mean
    kind = "pass rate" if rates.binary else "mean reward"
    said = (
        f"{len(rates.prompts)} prompts, {int(rates.samples.sum())} samples; {kind} "
        f"{mean.mean():.3g}, of the median prompt {np.median(mean):.3g}"
    )
    if rates.binary:
        never, always = int((mean == 0).sum()), int((mean == 1).sum())
        said += f"; {never} without a correct sample, {always} without a wrong one"
    return said


def _thresholds(found: Assessment) -> Table:
    asked = found.settings
    table = Table(title="How large must γ be?", title_justify="left")
    table.add_column("method")
    names = ["K: any prompts", "one prompt: median (10–90 %)"]
    names += [f"K·ρ at ρ = {asked.rho:g}"] if asked.rho is not None else []
    if asked.gamma is not None:
        names += ["prompts below γ", "surely", "mirror ascent contracts by"]
    for name in names:
        table.add_column(name, justify="right")
    for each in (found.chosen, *found.beside):
        unbounded = each.threshold is None and each.path is not None
        cells = ["∞" if unbounded else number(each.threshold), _spread(each.path)]
        cells += [number(each.sequence)] if asked.rho is not None else []
        if asked.gamma is not None:
            cells += [percent(each.alone), percent(each.alone_sure), _factor(each, asked.gamma)]
        table.add_row(escape(each.title), *cells)
    return table


def _factor(each: MethodReport, gamma: float) -> str:
    """Mirror ascent's, or why it has none."""
    if each.factor is not None:
        return number(each.factor)
    if each.threshold is None:
        return "— (K = ∞)" if each.path is not None else "—"
    return "— (γ ≤ K)" if gamma <= each.threshold else "— (K⁻ = ∞)"


def _spread(path: Ends | None) -> str:
    if path is None:
        return "—"
    low, middle, high = np.quantile(path.value, (0.1, 0.5, 0.9), method="lower")
    return f"{_number(middle)} ({_number(low)}–{_number(high)})"


def _reached(found: Assessment) -> Table:
    """Mean pass rates of tabular maximisers."""
    table = Table(title="Mean pass rate where each prompt has parameters of its own",
                  title_justify="left")  # fmt: skip
    table.add_column("method")
    kinds = {
        "at γ": bool(found.settings.gamma),
        "at its own threshold": found.settings.kl == "ref-policy",
        "at K": found.settings.kl == "ref-policy",
    }
    for name in ("π_ref", *(kind for kind, shown in kinds.items() if shown)):
        table.add_column(name, justify="right")
    start = f"{found.rates.mean.mean():.3f}"
    for each in (found.chosen, *found.beside):
        means = [m for m, shown in zip(each.means(), kinds.values(), strict=True) if shown]
        table.add_row(escape(each.title), start, *("—" if m is None else f"{m:.3f}" for m in means))
    return table


def _number(value: float) -> str:
    return number(float(value)) if np.isfinite(value) else "∞"


def _worst(found: Assessment) -> Table:
    """The prompts of the lowest rates: what they need, with its interval."""
    rates, chosen = found.rates, found.chosen
    kind = "pass rate" if rates.binary else "mean reward"
    table = Table(title=f"Prompts of the lowest {kind}", title_justify="left")
    table.add_column("prompt", no_wrap=True)
    columns = {f"{kind} (interval)": found.mean, "needs γ alone": chosen.path,
               "pass rate at γ": chosen.at_gamma}  # fmt: skip
    shown = {name: ends for name, ends in columns.items() if ends is not None}
    for name in ("samples", *shown):
        table.add_column(name, justify="right")
    for x in np.lexsort((-rates.samples, found.mean.value))[:_SHOWN]:
        name = rates.prompts[x]
        short = name if len(name) <= _NAMED else name[: _NAMED - 1] + "…"
        cells = (_interval(ends, x) for ends in shown.values())
        table.add_row(escape(short), str(int(rates.samples[x])), *cells)
    return table


def _interval(ends: Ends, x: int) -> str:
    value, low, high = (_number(each[x]) for each in (ends.value, ends.low, ends.high))
    return f"{value} ({low}–{high})"


def _basis(found: Assessment) -> Table:
    table = Table("number", "what it rests on", title="What this rests on", title_justify="left")
    for statement, basis in rests_on(found):
        table.add_row(statement, basis)
    return table


def _summary(found: Assessment) -> str:
    asked, chosen = found.settings, found.chosen
    if asked.kl == "policy-ref":
        return (
            "With KL(π_θ‖π_ref) no γ is large enough for every problem (C33): what holds is PL "
            "where the reward is linear in the features."
        )
    k, gamma = chosen.threshold, asked.gamma
    if k is None:
        said = "No γ is enough for all pass rates: what is needed grows without bound as V falls."
    elif gamma == 0:
        said = (
            f"γ = 0: nothing is guaranteed, and no maximiser exists where a prompt can be solved; "
            f"γ > {number(k)} is enough for any prompts."
        )
    elif gamma is None:
        said = f"γ > {number(k)} is enough for any prompts."
    elif gamma > k:
        said = (
            f"γ = {number(gamma)} is {times(gamma / k)} what is enough for any prompts "
            f"({number(k)}): one maximum, and mirror ascent contracts by {number(chosen.factor)}."
        )
    else:
        said = (
            f"γ = {number(gamma)} is {times(k / gamma)} below what is enough for any prompts "
            f"({number(k)}): for prompts that share features nothing is guaranteed."
        )
    if gamma is not None and chosen.alone is not None:
        said += (
            f" γ is above what {percent(chosen.alone)} of the prompts need alone, of "
            f"{percent(chosen.alone_sure)} surely."
        )
    means = chosen.means()
    if means[0] is not None and means[2] is not None:
        said += (
            f" Prompts with parameters of their own go from {found.mean.value.mean():.3f} to "
            f"{means[0]:.3f} at this γ, to {means[2]:.3f} at K."
        )
    return said
