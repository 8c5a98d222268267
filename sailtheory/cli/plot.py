"""``sailtheory plot``: a figure of one problem, and its data."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from sailtheory import plots
from sailtheory.cli.common import Problem, Progress, Seed, require_outputs
from sailtheory.cli.objectives import (
    SAIL,
    Divergence,
    Epsilon,
    Group,
    Objective,
    Std,
    given,
    is_paper,
    load_target,
)
from sailtheory.errors import InputError


def _kinds() -> list[str]:
    return list(plots.KINDS)


def plot(
    kind: Annotated[str, typer.Argument(help=f"{', '.join(plots.KINDS)}.", autocompletion=_kinds)],
    problem: Problem,
    out: Annotated[str, typer.Option("--out", "-o", help="FILE.png, FILE.svg or FILE.pdf.")],
    data: Annotated[
        str | None, typer.Option("--data", help="Write the data, as JSON, to this file.")
    ] = None,
    gamma: Annotated[
        float | None, typer.Option(min=0, help="γ, for the kinds that take one.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(metavar="WIDTHxHEIGHT", help="In mm, such as 174x60.")
    ] = None,
    panel: Annotated[
        str | None,
        typer.Option(metavar="LETTER", help="One panel only, such as b: fits a column of 84 mm."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="OLD=NEW", help="New words for a label, title or legend."),
    ] = None,
    objective: Objective = SAIL,
    group: Group = None,
    std: Std = None,
    epsilon: Epsilon = None,
    divergence: Divergence = None,
    seed: Seed = 0,
) -> None:
    """Draw a figure of your problem and print its caption."""
    from sailtheory.plots.style import check_target

    plots.check_kind(kind)
    lengths, words = _size(size), dict(_words(each) for each in label or [])
    target = check_target(out)
    require_outputs(problem, out=out, data=data)
    of = load_target(problem, objective, given(group, std, epsilon, divergence))
    source, name = of.problem if is_paper(of) else of, Path(problem).stem
    with Progress() as progress:
        progress(f"the data of {kind}")
        found = plots.compute(kind, source, name=name, gamma=gamma, seed=seed)
    if data is not None:
        plots.write_data(found, data)
    plots.save(plots.draw(found, lengths, words, panel), target)
    print(found["caption"] if panel is None else f"Panel ({panel}) of: {found['caption']}")


def _size(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        width, height = map(float, text.split("x"))
    except ValueError:
        raise InputError("size", text, "two lengths in mm are expected, such as 174x60") from None
    plots.check_size((width, height))
    return width, height


def _words(text: str) -> tuple[str, str]:
    # Labels such as "K_B = 0.69" have spaces there.
    parts = re.split(r"(?<! )=(?! )", text, maxsplit=1)
    if len(parts) == 1:
        parts = text.split("=", maxsplit=1)
    if len(parts) == 1:
        raise InputError("label", text, "OLD=NEW is expected")
    return parts[0].strip(), parts[1].strip()
