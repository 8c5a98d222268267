"""Does KL(π_ref‖π_θ) in PEBBLE's actor loss change what is learned? Paired runs, equal budgets.

``python -m studies.control_arms --runs FOLDER [--plan NAME] [--seeds S …] [--until HH:MM]``
trains the arms and plans of design.md, which was written down before any run. `sail` and
`sail-revkl` are those of segments.py, which the library no longer has.

Resumable: a finished run is kept, others go on from their checkpoint, and what is committed is
not trained again. Runs of one arm train together, ``--together`` seeds in a stack, which changes
no number; processes with seeds of their own may run side by side. The committed result is
studies/control_arms/evidence.json (of each run its settings, what it spent, its curve);
``python -m studies.pages`` writes the page and ``python -m figures.control_arms`` draws it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from sailtheory.errors import InputError
from sailtheory.runs.read import read_record
from sailtheory.storage.files import write_text
from sailtheory.training.control.settings import Settings, settings_of
from sailtheory.training.control.train import train
from studies.control_arms.evidence import check, merge, summary
from studies.control_arms.segments import METHODS, SegmentSettings, weighing

EVIDENCE = Path("studies/control_arms/evidence.json")
ARMS = ("pebble", "pebble-revkl", "sail", "sail-revkl")
SMALLER = {"sac.width": 256, "sac.batch": 64, "reward.width": 128}


@dataclass(frozen=True)
class Plan:
    """Arms on tasks; each pair of arm and seed is one run."""

    tasks: tuple[str, ...]
    arms: tuple[str, ...]
    steps: int
    seeds: int
    changed: Mapping[str, Any] = field(default_factory=dict)


PLANS = {
    "published": Plan(("cheetah-run",), ARMS[:2], 60_000, 13),
    "sail": Plan(("cheetah-run",), ARMS[2:], 60_000, 13),
    "heavy": Plan(("cheetah-run",), ARMS[2:], 60_000, 5, {"sail.weight": 0.1}),
    "stand": Plan(("walker-stand",), ARMS, 60_000, 3),
    "short": Plan(
        ("walker-walk", "door-open"),
        (ARMS[0], ARMS[3]),
        3_000,
        1,
        {"reference.since": 2000, "evaluation_episodes": 2},
    ),
}


TOGETHER = (("published", "sail"), ("published", "heavy"), ("stand",), ("short",))
"""Plans whose runs on one task stand in one table."""


class OutOfTime(Exception):
    """The hour is up; what is done so far has its checkpoints."""


def hour(text: str) -> float:
    """The next moment at which the clock shows HH:MM, in seconds since the epoch."""
    today = time.strftime("%Y-%m-%d ")
    moment = time.mktime(time.strptime(today + text, "%Y-%m-%d %H:%M"))
    return moment if moment > time.time() else moment + 24 * 3600


def natural(text: str) -> int:
    """An integer ≥ 0."""
    if int(text) < 0:
        raise ValueError
    return int(text)


def positive(text: str) -> int:
    """An integer ≥ 1."""
    if int(text) < 1:
        raise ValueError
    return int(text)


def stop_at(limit: float | None) -> Callable[..., None]:
    """A callback that ends the training at a moment."""

    def progress(step: int, found: Mapping[int, Mapping[str, float]]) -> None:
        if any("eval/return" in metrics for metrics in found.values()):
            print(time.strftime("%H:%M"), step, {s: m["eval/return"] for s, m in found.items()},
                  flush=True)  # fmt: skip
        if limit is not None and time.time() > limit:
            raise OutOfTime

    return progress


def settings(plan: Plan, task: str, arm: str, seed: int) -> Settings:
    """Those of one run of a plan."""
    changed = SMALLER | {
        "steps": plan.steps,
        "evaluate_every": plan.steps // 6,
        "checkpoint_every": plan.steps // 60,
        "reference.every": 50_000,
        "sail.weight": SegmentSettings().weight,
    }
    return settings_of(task, arm, seed, changed, plan.changed)


def run(name: str, plan: Plan, seeds: list[int], folder: Path, until: float | None) -> None:
    """Train what is missing of these seeds, arm after arm, so that pairs end together."""
    done = committed()
    for task in plan.tasks:
        for arm in plan.arms:
            held = {run["seed"] for run in done.get(name, {}).get(task, {}).get(arm, [])}
            missing = [seed for seed in seeds if seed not in held]
            if not missing:
                continue
            print(time.strftime("%H:%M"), name, task, arm, missing, flush=True)
            out = folder / name / task / arm
            chosen = settings(plan, task, arm, missing[0])
            own = METHODS.get(arm)
            if own is not None:
                own = weighing(own, SegmentSettings(weight=chosen.sail.weight))
            train(chosen, missing, out, resume=True, progress=stop_at(until), method=own)


def work(
    names: list[str], seeds: list[int] | None, together: int, folder: Path, until: float | None
) -> None:
    """Train what is missing of these plans, so many seeds in a stack, until the hour is up."""
    try:
        for name in names:
            chosen = list(dict.fromkeys(seeds or range(PLANS[name].seeds)))
            for first in range(0, len(chosen), together):
                run(name, PLANS[name], chosen[first : first + together], folder, until)
    except OutOfTime:
        print("the hour is up", flush=True)


def collect(folder: Path) -> dict[str, Any]:
    """All finished runs by plan, task and arm."""
    found: dict[str, Any] = {}
    for name, plan in PLANS.items():
        for task in plan.tasks:
            for arm in plan.arms:
                folders = sorted((folder / name / task / arm).glob("seed-*"))
                records = [r for r in map(read_record, folders) if r.finished]
                if records:
                    arms = found.setdefault(name, {}).setdefault(task, {})
                    arms[arm] = [summary(record) for record in records]
    return found


def committed() -> dict[str, Any]:
    """The runs that are in the evidence, by plan, task and arm."""
    return json.loads(EVIDENCE.read_text(encoding="utf-8")) if EVIDENCE.exists() else {}


def save(folder: Path) -> None:
    """Add the finished runs to the committed ones.

    A run that is there already stays as it is, so runs may come from several machines; runs
    that cannot be compared with the others are refused, and nothing is written.
    """
    data = committed()
    merge(data, collect(folder))
    check(data, TOGETHER)
    write_text(json.dumps(data, indent=1) + "\n", EVIDENCE)


def main() -> None:
    """Train what is missing and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", required=True, type=Path, help="folder of the runs")
    parser.add_argument("--plan", nargs="+", choices=list(PLANS), default=list(PLANS))
    parser.add_argument("--seeds", type=natural, nargs="+", help="these alone, not all of the plan")
    parser.add_argument("--together", type=positive, default=1, help="seeds in one stack")
    parser.add_argument("--until", type=hour, help="hour at which to stop, HH:MM")
    parser.add_argument("--collect", action="store_true", help="train nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    try:
        if not asked.collect:
            work(asked.plan, asked.seeds, asked.together, asked.runs, asked.until)
        save(asked.runs)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
