"""Runs on a task: arms as settings, trained in stacks, and what is kept of them."""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from sailtheory.runs.machine import hardware, libraries
from sailtheory.runs.read import read_record
from sailtheory.storage.config import assignments
from sailtheory.storage.files import write_text
from sailtheory.training.control.methods import METHODS, Method
from sailtheory.training.control.settings import Settings, settings_of
from sailtheory.training.control.train import train
from studies.control_arms import segments
from studies.point_mass.world import TASK

Record = dict[str, Any]
SHARED = assignments(
    "steps=1400 random_steps=200 entropy_steps=100 reset_updates=50 log_every=100"
    " evaluate_every=350 evaluation_episodes=10 checkpoint_every=700 sac.width=32 sac.batch=64"
    " sac.actor_rate=1e-3 sac.critic_rate=3e-3 sac.temperature_rate=3e-3 sac.discount=0.95"
    " reward.width=32 reward.depth=2 reward.rate=3e-3 reward.epochs=30 feedback.every=150"
    " feedback.segment=10 feedback.queries=10 feedback.maximum=80 reference.since=600"
    " reference.every=400".split()
)
"""Of every arm, where its own setting says nothing else."""
LATE = 2
"""A run's score is its mean return over so many last evaluations."""
KEPT = (
    "eval/return", "reward/accuracy", "sail/margin", "sail/largest_margin", "c29/gamma",
    "c29/threshold", "c29/threshold_at_margin", "reference/distance", "loss/actor/kl_ref_policy",
)  # fmt: skip
LARGEST = {"sail/largest_margin", "c29/threshold_at_margin", "loss/actor/kl_ref_policy"}
"""Of these the largest value along the run is committed: they are 0 where π_ref is taken anew."""


@dataclass(frozen=True)
class Arm:
    """A method with what it changes; ``weight`` is that of J over segments, where they are it.

    ``recent`` is from how many last steps such segments come; ``task`` and ``shared`` are those of
    every arm of a study.
    """

    name: str
    method: str
    changed: Record = field(default_factory=dict)
    weight: float | None = None
    recent: int = 100
    task: str = TASK
    shared: Record = field(default_factory=lambda: SHARED)

    def how(self) -> Method:
        """The method that trains it."""
        if self.weight is None:
            return METHODS[self.method]
        objective = segments.SegmentSettings(weight=self.weight, recent=self.recent)
        return segments.weighing(segments.METHODS[self.method], objective)

    def settings(self, seed: int) -> Settings:
        """Those of one run."""
        return settings_of(self.task, self.method, seed, self.shared, self.changed)


def train_arm(arm: Arm, seeds: Sequence[int], folder: Path) -> None:
    """Train what is missing of these seeds, in one stack; a killed run goes on."""
    missing = [seed for seed in seeds if not finished(folder / f"seed-{seed}")]
    if missing:
        print(time.strftime("%H:%M:%S"), folder.name, missing, flush=True)
        train(arm.settings(missing[0]), missing, folder, resume=True, method=arm.how())


def finished(folder: Path) -> bool:
    """Whether a run is done."""
    return (folder / "run.json").exists() and read_record(folder).finished


def kept(folder: Path, seeds: Sequence[int]) -> list[Record]:
    """Of the finished runs of these seeds what is committed."""
    found = []
    for seed in seeds:
        place = folder / f"seed-{seed}"
        if finished(place):
            record = read_record(place)
            curves = {}
            for name in KEPT:
                if name in record.names():
                    steps, values = record.series(name)
                    rounded = [float(f"{float(v):.6g}") for v in values]
                    if name != "eval/return":
                        rounded = [max(rounded)] if name in LARGEST else rounded[-1:]
                    curves[name] = [int(steps[-1]), rounded]
            found.append({"seed": seed, "score": score(curves), "last": curves})
    return found


def score(curves: Record) -> float:
    """Mean return over the last evaluations."""
    returns = curves["eval/return"][1][-LATE:]
    return float(f"{sum(returns) / len(returns):.6g}")


def commit() -> str:
    """Of the code that runs; ``+`` where it differs from it."""

    def git(*words: str) -> str:
        asked = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
        return asked.stdout.strip()

    changed = git("status", "--porcelain", "--", "sailtheory/training", "studies/point_mass/*.py")
    return (git("rev-parse", "--short=12", "HEAD") or "unknown") + ("+" if changed else "")


def command(
    doc: str, out: str, train_all: Callable[[Path], None], gather: Callable[[Path], Record]
) -> None:
    """A study without tuning: do what is missing of its runs, gather what is done."""
    parser = argparse.ArgumentParser(description=doc.split("\n")[0])
    parser.add_argument("--runs", required=True, type=Path, help="folder of the runs")
    parser.add_argument("--out", default=out)
    parser.add_argument("--collect", action="store_true", help="train nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if not asked.collect:
        train_all(asked.runs)
    found = {
        "commit": commit(), "versions": libraries(), "hardware": hardware(), "late": LATE,
        **gather(asked.runs),
    }  # fmt: skip
    write_text(json.dumps(found, indent=1) + "\n", asked.out, "out")
