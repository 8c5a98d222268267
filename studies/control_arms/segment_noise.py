"""How large the terms of an actor's loss in ``sail`` are, and how noisy: what its weight goes by.

``python -m studies.control_arms.segment_noise [--steps N] [--out FILE]``

The first 20,000 steps of ``sail`` on cheetah-run, seed 0, of studies.control_arms, with
a weight of J that is next to nothing, so that the run is that of ``pebble``. Every thousand
steps after the reference was taken, the gradients in the actor's parameters of SAC's terms and,
at weight 1, of the DPO and of the score term are drawn 64 times, each as in an update: a
minibatch, and pairs of segments. Of each, the norm of the mean (its square corrected for the
noise left in it) and the noise, the root mean square distance from the mean.

The score's baseline is −log 2. Any constant is right in expectation, so the noise of the one
that has least is beside it, as found on the same draws; and the noise of the score if both
segments of a pair had the states of the first, as two responses to one prompt would.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sailtheory.storage.files import write_text
from sailtheory.training.control.learner import generator_of
from sailtheory.training.control.sac import Batch
from sailtheory.training.control.settings import Settings
from sailtheory.training.control.train import Trainer
from studies.control_arms.__main__ import PLANS, settings
from studies.control_arms.segments import (
    METHODS,
    SegmentAgent,
    SegmentPairs,
    SegmentSettings,
    segment_log_probs,
    weighing,
)

OUT = Path("studies/control_arms/segment_noise.json")
NOTHING, DRAWS, EVERY = 1e-9, 64, 1000
APART = 10**9
"""Added to a draw's number, so that no update has the same segments."""


def gradients(trainer: Trainer, draw: int) -> dict[str, Tensor]:
    """Of one draw, flat: ``sac``, ``dpo``, ``score``, ``same`` (the score in the same states),
    and ``drift``, the mean of both scores.
    """
    agent, learner = trainer.agent, trainer.learners[0]
    assert isinstance(agent, SegmentAgent)
    rng = generator_of(learner.seed, 7, trainer.step, draw)
    rows = np.zeros((1, trainer.settings.sac.batch, sum(agent.widths) + agent.widths[0] + 2))
    rows = rows.astype(np.float32)
    learner.buffer.sample(rng, rows[0])
    segments = agent.segments(trainer.learners, [APART + draw])
    batch = Batch.of_rows(torch.tensor(rows), *agent.widths)._replace(compared=segments)
    noise = rng.standard_normal((1, rows.shape[1], agent.widths[1]), np.float32)
    terms, _ = agent.actor_terms(batch, torch.tensor(noise))
    weight = agent.objective.weight
    same = agent.sail_terms(in_same_states(trainer, segments, rng))["actor/sail_score"]
    wanted = {
        "sac": terms["actor/entropy"] + terms["actor/value"],
        "dpo": terms["actor/sail_dpo"] / weight,
        "score": terms["actor/sail_score"] / weight,
        "same": same / weight,
        "drift": segment_log_probs(agent.actor, segments).sum(-1).mean(-1),
    }
    return {name: flat(trainer, term.sum()) for name, term in wanted.items()}


def in_same_states(
    trainer: Trainer, segments: SegmentPairs, rng: np.random.Generator
) -> SegmentPairs:
    """Pairs whose second segments have the states of the first, with actions drawn in them."""
    states = segments.states[:, :, :1].repeat(1, 1, 2, 1, 1)
    noise = torch.tensor(rng.standard_normal(tuple(segments.unsquashed.shape), np.float32))
    agent = trainer.agent
    assert isinstance(agent, SegmentAgent)
    return agent.answered(trainer.learners, states, noise)


def flat(trainer: Trainer, value: Tensor) -> Tensor:
    """The gradient in the actor's parameters, in float64."""
    parameters = list(trainer.agent.actor_network.layers)
    parts = torch.autograd.grad(value, parameters, retain_graph=True)
    return torch.cat([part.reshape(-1) for part in parts]).double()


def size(draws: Tensor) -> tuple[float, float]:
    """‖mean‖ and noise of draws (n, p); 0 where the noise hides the mean."""
    centre, count = draws.mean(0), len(draws)
    noise = float((draws - centre).square().sum(1).sum() / (count - 1))
    mean = float(centre.square().sum()) - noise / count
    return math.sqrt(max(mean, 0.0)), math.sqrt(noise)


def best_baseline(score: Tensor, drift: Tensor) -> tuple[float, float]:
    """The constant added to −log 2 that leaves least noise, and that noise.

    A baseline larger by c adds c times the drift to the loss's gradient.
    """
    a, b = score - score.mean(0), drift - drift.mean(0)
    shift = -float((a * b).sum() / (b * b).sum())
    return shift, size(score + shift * drift)[1]


def measure(trainer: Trainer) -> dict[str, Any]:
    """Sizes at the step where the run is."""
    found = [gradients(trainer, draw) for draw in range(DRAWS)]
    every = {name: torch.stack([one[name] for one in found]) for name in found[0]}
    row: dict[str, Any] = {"step": trainer.step}
    for name in ("sac", "dpo", "score"):
        mean, noise = size(every[name])
        row |= {f"{name}_mean": rounded(mean), f"{name}_noise": rounded(noise)}
    shift, noise = best_baseline(every["score"], every["drift"])
    row |= {"best_baseline": rounded(shift - math.log(2)), "best_noise": rounded(noise)}
    return row | {"same_noise": rounded(size(every["same"])[1])}


def rounded(value: float) -> float:
    """To three digits."""
    return float(f"{value:.3g}")


def follow(chosen: Settings, steps: int) -> Iterator[dict[str, Any]]:
    """Rows along a run."""
    quiet = weighing(METHODS[chosen.method], SegmentSettings(weight=NOTHING))
    trainer = Trainer(chosen, [chosen.seed], method=quiet)
    while trainer.step < steps:
        trainer.advance()
        if trainer.step > chosen.reference.since and trainer.step % EVERY == 0:
            yield measure(trainer)
    trainer.close()


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--out", default=OUT)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    chosen = settings(PLANS["sail"], "cheetah-run", "sail", 0)
    asked_of_j = SegmentSettings()
    rows = []
    for row in follow(chosen, asked.steps):
        rows.append(row)
        print(json.dumps(row), flush=True)
    result = {
        "task": chosen.task, "seed": chosen.seed, "steps": asked.steps, "draws": DRAWS,
        "pairs": asked_of_j.pairs, "segment": chosen.feedback.segment, "beta": asked_of_j.beta,
        "rows": rows,
    }  # fmt: skip
    write_text(json.dumps(result, indent=1) + "\n", asked.out)


if __name__ == "__main__":
    main()
