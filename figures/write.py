"""What every figure script does: compute, write the data, draw from the written data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sailtheory import examples, plots

FOLDER = Path(__file__).parent
SUFFIXES = (".png", ".svg")


def write(name: str, kind: str, example: str, **settings: Any) -> None:
    """figures/NAME.json, .png and .svg of one kind on one built-in problem."""
    data = plots.compute(kind, examples.load(example), name=example, **settings)
    target = FOLDER / f"{name}.json"
    plots.write_data(data, target)
    figure = plots.draw(json.loads(target.read_text(encoding="utf-8")))
    for suffix in SUFFIXES:
        plots.save(figure, target.with_suffix(suffix))
    print(f"{name}: {data['caption']}")
