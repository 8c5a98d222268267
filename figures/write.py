"""What every figure script does: compute, write the data, draw from the written data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sailtheory import examples, plots

FOLDER = Path(__file__).parent
SUFFIXES = (".png", ".svg")


def write_summary(
    source: Path,
    out: Path,
    summarise: Callable[[dict[str, Any]], dict[str, Any]],
    draw: Callable[[dict[str, Any]], Any],
) -> None:
    """Data, image and caption of an experiment, from its records; nothing where there are none."""
    if not source.is_file():
        print(f"{out.stem}: no {source}; run the experiment first")
        return
    finish(summarise(json.loads(source.read_text(encoding="utf-8"))), out, draw)


def write(name: str, kind: str, example: str, **settings: Any) -> None:
    """figures/NAME.json, .png and .svg of one kind on one built-in problem."""
    data = plots.compute(kind, examples.load(example), name=example, **settings)
    finish(data, FOLDER / f"{name}.json", plots.draw)


def finish(data: dict[str, Any], target: Path, draw: Callable[[dict[str, Any]], Any]) -> None:
    """The data as JSON, the drawing of what was written, the caption."""
    plots.write_data(data, target)
    figure = draw(json.loads(target.read_text(encoding="utf-8")))
    for suffix in SUFFIXES:
        plots.save(figure, target.with_suffix(suffix))
    print(f"{target.stem}: {data['caption']}")
