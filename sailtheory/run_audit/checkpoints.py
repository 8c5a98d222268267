"""A folder as TRL and transformers write it: ``trainer_state.json`` and checkpoints.

Of the weights only safetensors are read: full ones, or an adapter's. ``training_args.bin`` is a
pickle and stays closed, so most of what the run was told is not known.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.run_audit.standing import Found, unknown
from sailtheory.run_audit.trace import Facts, Point, Series, Trace, faults_of
from sailtheory.storage.readers import read_json
from sailtheory.storage.safetensors import Safetensors

__all__ = ["STATE", "of_folder", "state_of"]

STATE = "trainer_state.json"
_CHECKPOINT = re.compile(r"checkpoint-(\d+)")
_KEEPS = ("epoch", "step")
_ADD = "trainer.add_callback(AuditCallback(trainer)) measures it (docs/audit-a-run.md)"


def _checkpoints(folder: Path) -> list[tuple[int, Path]]:
    found = ((_CHECKPOINT.fullmatch(path.name), path) for path in folder.iterdir())
    return sorted((int(match[1]), path) for match, path in found if match)


def state_of(folder: Path) -> Path | None:
    """The latest state of the trainer in a folder, or in its checkpoints."""
    if not folder.is_dir():
        return None
    places = [folder / STATE, *(path / STATE for _, path in reversed(_checkpoints(folder)))]
    return next((path for path in places if path.exists()), None)


def of_folder(folder: str | Path, weights: bool = True) -> Trace:
    """What the folder shows; ``weights`` of checkpoints too.

    Raises:
        InputError: No state of a trainer, or files that are damaged.
    """
    folder = Path(folder)
    state = state_of(folder)
    if state is None:
        raise InputError("run", folder, f"a folder with {STATE} or checkpoints is expected")
    content = read_json(state, "run", finite=False)  # a loss that is NaN is a finding
    history = content.get("log_history") if isinstance(content, dict) else None
    if not isinstance(history, list) or not all(isinstance(row, dict) for row in history):
        raise InputError("run", state, "a log_history of rows is expected")
    series, faults = _series(history)
    points, changed, notes = _distances(_checkpoints(folder) if weights else [])
    beta = series.get("beta")
    spent = {"updates": float(content.get("global_step", 0))}
    batch = content.get("train_batch_size")
    if isinstance(batch, int):
        spent["prompts a device in a batch"] = float(batch)
    return Trace(
        "a folder of TRL or transformers", Facts(beta[-1][1] if beta else None), points,
        stated={"linear": _linear(changed)} | _measurable(), series=series, faults=faults,
        spent=spent, notes=(*notes, "training_args.bin is a pickle and was not opened"),
    )  # fmt: skip


def _series(history: list[dict[str, Any]]) -> tuple[dict[str, Series], Any]:
    series: dict[str, Series] = {}
    faults = []
    for row in history:
        step = row.get("step", 0)
        for name, value in row.items():
            if name in _KEEPS or isinstance(value, bool) or not isinstance(value, int | float):
                continue
            if math.isfinite(value):
                series.setdefault(name, []).append((int(step), float(value)))
            else:
                faults.append((name, f"{value:g}", int(step)))
    return series, faults_of(faults, {int(row.get("step", 0)) for row in history})


def _weights(folder: Path) -> list[Safetensors]:
    return [Safetensors(path) for path in sorted(folder.glob("*.safetensors"))]


def _distances(
    checkpoints: list[tuple[int, Path]],
) -> tuple[tuple[Point, ...], list[str], tuple[str, ...]]:
    """‖θ − θ of the first checkpoint‖, the tensors that changed, and what was left out."""
    read = [(step, weights) for step, path in checkpoints if (weights := _weights(path))]
    notes = []
    if len(read) < len(checkpoints):
        notes.append("checkpoints without safetensors are left out: others would be unpickled")
    if len(read) < 2:
        return (), [], tuple(notes)
    first, points, changed = _named(read[0][1]), [], set()
    for step, weights in read[1:]:
        square = 0.0
        for name, file in _named(weights).items():
            if name not in first:
                continue
            apart = file.read(name).astype(float) - first[name].read(name)
            moved = float(np.square(apart).sum())
            square += moved
            changed |= {name} if moved else set()
        points.append(Point(step, distance=math.sqrt(square)))
    notes.append(f"distances are from checkpoint-{read[0][0]}, the first one that was saved")
    return tuple(points), sorted(changed), tuple(notes)


def _named(weights: list[Safetensors]) -> dict[str, Safetensors]:
    return {name: file for file in weights for name in file.names}


def _linear(changed: list[str]) -> Found:
    if not changed:
        return unknown(f"which weights were trained is not known; {_ADD}")
    shown = f"{len(changed)} tensors were trained, such as {changed[0]}"
    return unknown(f"{shown}: how far from linear that is, {_ADD}")


def _measurable() -> dict[str, Found]:
    lines = ("reference", "preferences", "divergence", "score", "threshold", "step", "noise", "pl")
    weights = unknown(f"two checkpoints with safetensors are needed: set save_steps; or {_ADD}")
    return {"ball": weights} | {key: unknown(_ADD) for key in lines}
