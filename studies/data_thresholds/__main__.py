"""The thresholds of γ on preference data that were not made for the theory.

``python -m studies.data_thresholds --runs FOLDER [--part choices|synthetic] [--out FILE]`` runs
what is missing of design.md, which was written down before. The choices come with a package that
pip installs; the synthetic part needs ``sailtheory fetch smollm2-135m`` and ``fetch minilm``.
Every cell is kept in FOLDER, and a response once drawn stays, so that a stopped run goes on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import sailtheory
from sailtheory.storage.files import write_text
from studies import smollm
from studies.data_thresholds import choices, synthetic, variation
from studies.data_thresholds.commands import SEED, cell

OUT = "studies/data_thresholds/evidence.json"
RADII = (0.5, 1.0, 2.0, 4.0)
BETA, CONFIDENCE, RADIUS = 0.1, 0.9, 2.0
CELLS = [
    *((BETA, b, CONFIDENCE) for b in RADII),
    *((BETA, b, c) for c in (0.7, 0.99) for b in (1.0, 4.0)),
    *((beta, b, CONFIDENCE) for beta in (0.03, 0.3) for b in (1.0, 4.0)),
]
SYNTHETIC = [(BETA, b, 0.25) for b in RADII] + [(BETA, 1.0, 1.0)]
SECONDS = 120.0


def of_choices(folder: Path) -> dict[str, Any]:
    """The first part."""
    data = choices.read(choices.fetch())
    table, features = choices.write(data, folder)
    source = [str(table), "--features", str(features)]
    cells = []
    for beta, radius, confidence in CELLS:
        settings = {"beta": beta, "radius": radius, "confidence": confidence}
        cells.append(cell(folder / _name(settings), source, settings))
        _say(cells[-1])
    named = choices.prompts_of(data)
    base = next(c for c in cells if (c["beta"], c["radius"], c["confidence"])
                == (BETA, RADIUS, CONFIDENCE))  # fmt: skip
    worst = [{"prompt": x, "g": low, "trips": named(x)} for x, low, _ in base["worst"]]
    return {
        "further": [_further(folder, data, c) for c in cells if not c["search"]["trusted"]],
        "people": len(set(data.people.tolist())), "choices": len(data.chosen),
        "scale": dict(zip(choices.ATTRIBUTES, data.scale.tolist(), strict=True)),
        "cells": [_short(c) for c in cells], "import": base["import"], "worst": worst,
        "bootstrap": [_kept(folder / f"bootstrap-{b:g}.json", lambda b=b: _bootstrap(data, b))
                      for b in RADII],
        "halves": _kept(folder / "halves.json", lambda: variation.halves(
            data, lambda part: part.problem(BETA, RADIUS, CONFIDENCE))),
    }  # fmt: skip


def _further(folder: Path, data: choices.Choices, c: dict[str, Any]) -> dict[str, Any]:
    """Further searches where the one of ``check`` did not trust itself."""
    given = {name: c[name] for name in ("beta", "radius", "confidence")}
    values = _kept(folder / f"further-{_name(given)}.json",
                   lambda: variation.further_searches(data.problem(**given)))  # fmt: skip
    return given | {"seeds": variation.FURTHER, "gamma_star": values, "table": c["gamma_star"]}


def _bootstrap(data: choices.Choices, radius: float) -> dict[str, Any]:
    def make(part: choices.Choices) -> Any:
        return part.problem(BETA, radius, CONFIDENCE)

    return {"radius": radius} | variation.resampled(data, make(data), make, variation.DRAWS)


def of_samples(folder: Path) -> dict[str, Any]:
    """The second part."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = folder / "samples.jsonl"
    synthetic.sample(samples)
    source = [str(samples), "--embed", "minilm"]
    cells = []
    for beta, radius, temperature in SYNTHETIC:
        settings = {"beta": beta, "radius": radius, "temperature": temperature}
        cells.append(cell(folder / _name(settings), source, settings, time_limit=SECONDS))
        _say(cells[-1])
    lines = samples.read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return {
        "model": smollm.NAME, "temperature": synthetic.TEMPERATURE,
        "tokens": synthetic.TOKENS, "seed": synthetic.SEED, "responses": synthetic.RESPONSES,
        "prompts": len(rows), "import": cells[0]["import"], "cells": [_short(c) for c in cells],
        "time_limit": SECONDS,
        "worst": [rows[x] | {"prompt_number": x, "g": low} for x, low, _ in cells[0]["worst"][:3]],
    }  # fmt: skip


def _kept(path: Path, make: Any) -> Any:
    """What a file holds, or else what is made and written there."""
    if not path.exists():
        write_text(json.dumps(make()), path)
    return json.loads(path.read_text(encoding="utf-8"))


def _short(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key != "import"}


def _name(settings: dict[str, float]) -> str:
    return "-".join(f"{key}-{value:g}" for key, value in settings.items())


def _say(c: dict[str, Any]) -> None:
    keys = ("beta", "radius", "gamma_star", "g_low", "g_high", "g_most", "k_data", "k_b", "closed")
    print(*(f"{key} {c[key]:.4g}" for key in keys), c["verdict"], c["replay"], flush=True)


def main() -> None:
    """Run what is missing and write the evidence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", required=True, help="folder of the runs")
    parser.add_argument("--part", action="append", choices=("choices", "synthetic"))
    parser.add_argument("--out", default=OUT)
    arguments = parser.parse_args()
    out, runs = Path(arguments.out), Path(arguments.runs)
    known = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    known |= {"version": sailtheory.__version__, "seed": SEED}
    made = {"choices": of_choices, "synthetic": of_samples}
    for part in arguments.part or made:
        known[part] = made[part](runs / part)
        write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n", out, "out")


if __name__ == "__main__":
    main()
