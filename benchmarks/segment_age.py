"""How far the actor has gone since it drew the segments that ``sail`` and ``sail-revkl`` use.

``python -m benchmarks.segment_age [--steps N] [--out FILE]``

The first 8,000 steps of the run of ``sail-revkl`` on cheetah-run, seed 0, of
benchmarks/control_arms.py, reference taken at step 5,000 as there; and the same without the
weights min(π_now/π_then, 1) of its pairs. Each action of a segment was
drawn by the actor of its step; log π_then is the sum of the log-densities under those actors, and
log π_now the one under the actor whose gradient the segment enters. Their difference is measured
for every segment of every update; nothing random is drawn for it, so the run is the one it would
be without.
"""

from __future__ import annotations

import argparse
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.control_arms import PLANS, settings
from sailtheory.files import write_text
from sailtheory.training.control.sac import SegmentPairs
from sailtheory.training.control.sail import segment_log_probs
from sailtheory.training.control.settings import Settings
from sailtheory.training.control.train import Trainer

OUT = Path("docs/evidence/segment_age.json")
AGES = (0, 50, 100, 151)
"""Bounds of groups of segments, by steps since their last action; of the first updates only."""
UPDATES = (0, 25, 50, 75, 100, 200, 500, 1000, 3000)
"""Bounds of groups of updates, counted from the one after the reference was taken."""


class Observed(Trainer):
    """One run that remembers with which density each action was drawn.

    Attributes:
        found: By segment used: step of the update, age of its last action in steps,
            log π_now − log π_then.
        sizes: By update: step, mean |z| and mean |g + log 2|, the score's coefficient.
    """

    def __init__(self, settings: Settings, seed: int) -> None:
        super().__init__(settings, [seed])
        self.found: list[tuple[int, int, float]] = []
        self.sizes: list[tuple[int, float, float]] = []
        self._drawn: dict[bytes, tuple[int, float]] = {}

    def _actions(self, states: np.ndarray) -> np.ndarray:
        actions = super()._actions(states)
        with torch.no_grad():
            pair = (torch.tensor(x[:, None]) for x in (states, actions))
            density = float(self.agent.actor.log_prob(*pair)[0, 0])
        step = self.step + 1  # the one that begins
        self._drawn[states[0].tobytes() + actions[0].tobytes()] = (step, density)
        return actions

    def _segments(self) -> SegmentPairs:
        segments = super()._segments()
        with torch.no_grad():
            now = segment_log_probs(self.agent.actor, segments).reshape(-1)
        rows = torch.cat([segments.states, segments.actions], -1).numpy()
        rows = rows.reshape(len(now), -1, rows.shape[-1])
        for segment, value in zip(rows, now.tolist(), strict=True):
            steps, densities = zip(*(self._drawn[row.tobytes()] for row in segment), strict=True)
            self.found.append((self.step, self.step - steps[-1], value - sum(densities)))
        return segments

    def _update(self, *, entropy: bool = False) -> None:
        super()._update(entropy=entropy)
        if self.agent.wants_segments:
            seen = self.agent.observed()
            sizes = (float(seen[f"sail/{name}"][0]) for name in ("margin", "score_coefficient"))
            self.sizes.append((self.step, *sizes))  # type: ignore[arg-type]


def spread(differences: np.ndarray) -> dict[str, Any]:
    """Of |log π_now − log π_then|, in nats."""
    apart = np.abs(differences)
    low, middle, high = np.quantile(apart, [0.1, 0.5, 0.9])
    return {
        "segments": len(apart), "tenth": rounded(low), "median": rounded(middle),
        "ninetieth": rounded(high), "largest": rounded(apart.max()),
    }  # fmt: skip


def rounded(value: float) -> float:
    """To four digits."""
    return float(f"{value:.4g}")


def groups(trainer: Observed, since: int) -> dict[str, Any]:
    """What was found, by updates since the reference and by age in the first group of them."""
    steps, ages, differences = np.array(trainer.found).T
    when, margins, coefficients = np.array(trainer.sizes).T
    by_update = []
    for low, high in itertools.pairwise(UPDATES):
        here, then = (within(x - since, low, high) for x in (steps, when))
        if here.any():
            sizes = {"margin": margins, "score_coefficient": coefficients}
            sizes = {name: rounded(np.median(x[then])) for name, x in sizes.items()}
            by_update.append({"updates": [low, high]} | spread(differences[here]) | sizes)
    first = within(steps - since, *UPDATES[:2])
    by_age = []
    for low, high in itertools.pairwise(AGES):
        here = first & within(ages, low, high)
        if here.any():
            by_age.append({"age": [low, high]} | spread(differences[here]))
    return {"by_update": by_update, "by_age": by_age}


def within(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Which values are at least ``low`` and below ``high``."""
    inside: np.ndarray = (low <= values) & (values < high)
    return inside


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--out", default=OUT)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    chosen = settings(PLANS["sail"], "cheetah-run", "sail-revkl", 0)
    result: dict[str, Any] = {
        "task": "cheetah-run", "method": "sail-revkl", "seed": 0, "steps": asked.steps,
        "since": chosen.reference.since, "segment": chosen.feedback.segment,
        "recent": chosen.sail.recent, "limit": chosen.sail.importance,
    }  # fmt: skip
    for name, limit in (("weighed", chosen.sail.importance), ("unweighed", None)):
        sail = replace(chosen.sail, importance=limit)
        result[name] = followed(replace(chosen, sail=sail), asked.steps)
    write_text(json.dumps(result, indent=1) + "\n", asked.out)
    print(json.dumps(result))


def followed(chosen: Settings, steps: int) -> dict[str, Any]:
    """One run, and what was found along it."""
    trainer = Observed(chosen, 0)
    trainer.examine = lambda: [{}]  # type: ignore[method-assign]  # it changes nothing but time
    while trainer.step < steps:
        trainer.advance()
    trainer.close()
    return groups(trainer, chosen.reference.since)


if __name__ == "__main__":
    main()
