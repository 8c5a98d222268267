"""Does KL(π_ref‖π_θ) in PEBBLE's actor loss change what is learned? Paired runs, equal budgets.

``python -m studies.control_arms --runs FOLDER [--plan NAME] [--seeds S …] [--until HH:MM]``

Written down before any run:

- Arms: ``pebble`` and ``pebble-revkl``, which is what the published SAIL-RevKL code does:
  kl_coef = 1e-4, reference taken at step 5,000 and anew every 50,000 steps (the paper's).
  The published "SAIL" arm is ``pebble`` bit for bit (tests/training/control/test_arms.py).
- Task cheetah-run, returns in [0, 1000]. 60,000 steps; 1,000 random and 900 exploring ones;
  250 queries to the oracle, 10 every 2,000 steps, segments of 50 steps. One update a step.
- Smaller than the paper's for the sake of seeds on a CPU: 2×256 units (paper 2×1024),
  minibatches of 64 (512), reward networks 3×128 (3×256), 60,000 steps (400,000).
- Seeds 0, 1, 2, …, the same for both arms; a seed fixes the initial networks, the episodes'
  starts and the noise, and both arms are bitwise one run until the reference is taken. So
  runs are compared by pairs.
- Quantity: a run's mean return over its evaluations in the second half of training
  (steps 40,000, 50,000 and 60,000; 10 deterministic episodes each).
- Test: paired t test of pebble-revkl − pebble, two-sided, level 0.05; Cohen's d of the
  differences with its exact 95 % interval; IQM of each arm with bootstrap intervals. An
  effect is claimed only when the interval of d leaves out 0. d = 0.872, the paper's
  largest, is excluded when it lies above the interval.
- Power: to see d = 0.872 with probability 0.8 takes 13 pairs (22 runs an arm without
  pairs). Pairs are taken in the order of their seeds, all that are finished; the number is
  set by the time at hand and not by what is seen. Added when two pairs were known, whose
  interval happened to leave out 0: nothing is claimed before the 13th pair, since a table
  that is read again as it grows finds effects by chance.

The other plans use the same settings: ``sail`` (sail and sail-revkl on cheetah-run); ``heavy``
(the same with fifty times the weight of J, five seeds) and ``stand`` (all four arms on
walker-stand), whose few seeds describe and do not test; and ``short`` (pebble and sail-revkl on
walker-walk and door-open, 3,000 steps, reference at 2,000, 2 episodes an evaluation), to see
that they run.

What changed after runs were seen:

- The arms ``sail`` and ``sail-revkl`` were mended three times, and all their runs of before
  discarded. They took segments as recorded, with actions of earlier actors, and diverged
  (``sail.recent`` = 200 for 1,000 is of then); weighed by min(π_now/π_then, 1) the pairs all but
  vanished, and one run of five diverged all the same; a pair's segments shared steps, so that
  their actions were not independent; and densities were taken back through tanh, which in
  float32 cannot be done where it rounds to ±1. Now actions are drawn anew.
- ``sail`` was to be five seeds that describe. It was made thirteen, with two tests, when six
  of the runs since discarded were known (sail − pebble +37.5 at seeds 0, 1, 2, sail-revkl − sail
  −42.2): sail − pebble and sail-revkl − sail, paired t at level 0.025 each, so 0.05 for the two;
  nothing is claimed before the 13th pair. When the arms were mended last, seeds 0 to 4 of their
  version of before were known (−48.0 and +71.4).
- The weight of J was 0.1, chosen without measurement. The runs of ``heavy`` have it, and at
  their 40,000th step it was seen that they had not learned. segment_noise.py then
  showed the score's noise to drown SAC's gradient, and set the weight by that, before any run
  of ``sail`` and ``stand`` in the table. Beside each test stands what the eight pairs of seeds
  that had not been seen in any version say.

Resumable: a finished run is kept, others go on from their checkpoint, and what is committed is
not trained again. Runs of one arm train together, ``--together`` seeds in a stack, which changes
no number; processes with seeds of their own may run side by side. The committed result is
studies/control_arms/evidence.json (of each run its settings, what it spent, its curve) and
studies/control_arms/page.md; ``python -m figures.control_arms`` draws it.
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
from studies.control_arms.page import page

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
            train(chosen, missing, out, resume=True, progress=stop_at(until))


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
    """Add the finished runs to the committed ones, and write the page.

    A run that is there already stays as it is, so runs may come from several machines; runs
    that cannot be compared with the others are refused, and nothing is written.
    """
    data = committed()
    merge(data, collect(folder))
    check(data, TOGETHER)
    text = page(data)
    write_text(json.dumps(data, indent=1) + "\n", EVIDENCE)
    write_text(text, "studies/control_arms/page.md")


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
