"""The folder of a run: what it holds, and under which names.

A folder::

    run.json               configuration, version, libraries, hardware; written once
    metrics.csv            step,name,value; one row a value, in the order logged
    checkpoint-STEP.npz    the last two states (layout: sailtheory.runs.checkpoint)
    data.bin               what a state holds that only grows, such as transitions; optional
    completions.jsonl      what a language model said along training; optional
    lock                   held by the process that trains the run
    finished.json          present when the run is done
    tensorboard/           the same numbers for TensorBoard, when asked for
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "DATA",
    "FINISHED",
    "HEADER",
    "METRICS",
    "RECORD",
    "RUN",
    "SCHEMA",
    "Scale",
    "checkpoint",
    "steps",
]

SCHEMA = "sailtheory.run/1"
HEADER = b"step,name,value\n"
RUN, METRICS, DATA, FINISHED = "run.json", "metrics.csv", "data.bin", "finished.json"
RECORD = "record"
"""The record's folder in that of a run which also holds a model."""

_CHECKPOINT = re.compile(r"checkpoint-(\d+)\.npz")


class Scale(NamedTuple):
    """By what the scores of a task are divided before they are pooled with those of others.

    Attributes:
        metric: The score that a comparison asks for, such as ``eval/return``.
        counted: The metric that counts in its place; often the same.
        largest: Its largest value; the least is 0.
    """

    metric: str
    counted: str
    largest: float


def checkpoint(folder: Path, step: int) -> Path:
    """The file of the state at a step."""
    return folder / f"checkpoint-{int(step):012d}.npz"


def steps(folder: Path) -> list[int]:
    """Steps of the checkpoints at hand, ascending; none for a run that never saved."""
    found = (_CHECKPOINT.fullmatch(path.name) for path in folder.glob("checkpoint-*.npz"))
    return sorted(int(match[1]) for match in found if match)
