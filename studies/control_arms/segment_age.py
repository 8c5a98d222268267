"""How far an actor goes while it walks the segments that ``sail`` could compare.

``python -m studies.control_arms.segment_age [--steps N] [--out FILE]``

The first 8,000 steps of ``pebble`` on cheetah-run, seed 0, of the study. Each
step has an update, so each action of the last 200 steps was drawn by another actor. Every ten
steps log π_now − log π_then, π_then being the actor of each step, is summed over all segments
of 50 steps among them, on the actions before squashing. Nothing random is drawn for it, so the
run is the one it would be without.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sailtheory.storage.files import write_text
from sailtheory.training.control.settings import Settings
from sailtheory.training.control.train import Trainer
from studies.control_arms.__main__ import PLANS, settings

OUT = Path("studies/control_arms/segment_age.json")
RECENT, EVERY, BIN = 200, 10, 1000


class Followed(Trainer):
    """One run that remembers its last actions and how likely they were."""

    def __init__(self, settings: Settings, seed: int) -> None:
        super().__init__(settings, [seed])
        self._last: deque[tuple[torch.Tensor, torch.Tensor, float]] = deque(maxlen=RECENT)

    def _actions(self, states: np.ndarray) -> np.ndarray:
        if self.step < self.settings.random_steps:
            return super()._actions(states)
        x, actor = torch.tensor(states[:, None]), self.agent.actor
        with torch.no_grad():
            u = actor.draw_unsquashed(x, self.agent.noise(1))
            density = float(actor.log_prob_unsquashed(x, u))
        self._last.append((x[0], u[0], density))
        return torch.tanh(u)[:, 0].numpy()

    @torch.no_grad()
    def apart(self) -> np.ndarray:
        """log π_now − log π_then of each segment among the last steps."""
        states, u, then = zip(*self._last, strict=True)
        now = self.agent.actor.log_prob_unsquashed(torch.cat(states)[None], torch.cat(u)[None])[0]
        sums = np.cumsum([0.0, *(now.double().numpy() - then)])
        length = self.settings.feedback.segment
        found: np.ndarray = sums[length:] - sums[:-length]
        return found


def measure(chosen: Settings, steps: int) -> list[dict[str, Any]]:
    """Quantiles of |log π_now − log π_then| of segments, in nats, by steps of the run."""
    trainer = Followed(chosen, chosen.seed)
    found: list[tuple[int, np.ndarray]] = []
    first = chosen.random_steps + max(RECENT, chosen.entropy_steps)
    while trainer.step < steps:
        trainer.advance()
        if trainer.step > first and trainer.step % EVERY == 0:
            found.append((trainer.step, np.abs(trainer.apart())))
    trainer.close()
    rows = []
    for place, group in itertools.groupby(found, lambda one: (one[0] - 1) // BIN):
        apart = np.concatenate([values for _, values in group])
        low, middle, high = (float(f"{q:.3g}") for q in np.quantile(apart, [0.1, 0.5, 0.9]))
        rows.append({
            "steps": [place * BIN + 1, (place + 1) * BIN], "segments": len(apart),
            "tenth": low, "median": middle, "ninetieth": high,
        })  # fmt: skip
    return rows


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--out", default=OUT)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    chosen = settings(PLANS["published"], "cheetah-run", "pebble", 0)
    result = {
        "task": chosen.task, "method": chosen.method, "seed": chosen.seed, "steps": asked.steps,
        "segment": chosen.feedback.segment, "recent": RECENT, "rows": measure(chosen, asked.steps),
    }  # fmt: skip
    write_text(json.dumps(result, indent=1) + "\n", asked.out)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
