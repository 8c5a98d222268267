"""Small runs written to a folder, as a training would have left them."""

from __future__ import annotations

import numpy as np

from sailtheory.runs.read import read_record
from sailtheory.runs.write import Run
from sailtheory.training.control.tasks import SCALES

BASE = {
    "method": "pebble",
    "task": "walker-walk",
    "seed": 0,
    "steps": 400,
    "max_feedback": 250,
    "kl_coef": 0.0,
    "kl_limit": None,
    "sac": {"rate": 5e-4},
}


def write_run(
    folder,
    change=None,
    *,
    declared=("kl_coef",),
    level=100.0,
    noise=10.0,
    spent=250,
    read=("steps", "max_feedback", "kl_coef", "sac.rate", "seed", "task", "method"),
    evaluations=(100, 200, 300, 400),
    finish=True,
):
    """A finished run whose final return is about ``level``; returns its record."""
    config = BASE | (change or {})
    run = Run.create(
        folder, config, declared=declared, read=None if read is None else set(read),
        scale=SCALES.get(config["task"]),
    )  # fmt: skip
    rng = np.random.default_rng([config["seed"], round(level)])
    shift = noise * rng.normal()
    for step in evaluations:
        value = (level + shift) * step / evaluations[-1] + noise / 10 * rng.normal()
        run.log(step, {"eval/return": value, "spent/feedback": spent * step // evaluations[-1]})
        if config["task"] == "door-open":
            run.log(step, {"eval/success": config["seed"] / 8})
    run.save(evaluations[-1], {})
    if finish:
        run.finish()
    return read_record(folder)
