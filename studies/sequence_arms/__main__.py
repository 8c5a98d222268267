"""Design A1: which objective learns a reward, on sequences that can be listed.

``python -m studies.sequence_arms --runs FOLDER [--seconds S] [--out FILE]`` does the runs of
design.md, which was written down before them, one after another, and gathers those that are
done into evidence.json. A run is one JSON file, written whole; a run that was killed begins anew,
and one that is done is kept.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from pathlib import Path

import torch

from sailtheory.runs.machine import hardware, libraries
from sailtheory.storage.files import write_text
from studies.evidence import rounded, save
from studies.sequence_arms import world as worlds
from studies.sequence_arms.arms import ARMS, BATCH, HOOKED, UPDATES, run
from studies.sequence_arms.tuned import KL, PLAIN, Record, tuned

OUT = "studies/sequence_arms/evidence.json"
RATES = (3e-4, 1e-3, 3e-3, 1e-2)
TUNING, FRESH = (1000, 1001, 1002), tuple(range(10))
CURVE = (UPDATES // 4, UPDATES // 2, UPDATES)
FACTOR = 10
STAGES = ("tuning", "fresh", "tenfold")


def tuning() -> list[Record]:
    """Every arm at every rate, whole seeds first."""
    return [
        {"stage": "tuning", "arm": arm, "rate": rate, "seed": seed}
        for seed in TUNING for arm in ARMS for rate in RATES
    ]  # fmt: skip


def fresh(rates: dict[str, float]) -> list[Record]:
    """Every arm at its tuned rate, and the two of the second contrast at ten times that rate."""
    high = FACTOR * rates[PLAIN]
    return [
        {"stage": stage, "arm": arm, "rate": rate, "seed": seed}
        for seed in FRESH
        for stage, own in (("fresh", rates), ("tenfold", dict.fromkeys((PLAIN, KL), high)))
        for arm, rate in own.items()
    ]  # fmt: skip


def path_of(task: Record, folder: Path) -> Path:
    name = task["arm"].replace(" ", "-").replace(",", "")
    return folder / f"{task['stage']}-{task['seed']}-{name}-{task['rate']:g}.json"


def done(tasks: list[Record], folder: Path) -> list[Record]:
    """The records that are there, in the order of the plan."""
    paths = [path_of(task, folder) for task in tasks]
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]


class Runner:
    """Does what is missing, and remembers one world at a time."""

    def __init__(self, folder: Path, stop: float) -> None:
        self.folder, self.stop, self.code = folder, stop, commit()
        self.world: worlds.World | None = None

    def do(self, tasks: list[Record]) -> list[Record]:
        for task in tasks:
            path = path_of(task, self.folder)
            if path.exists() or time.monotonic() > self.stop:
                continue
            if self.world is None or self.world.seed != task["seed"]:
                self.world = worlds.World(task["seed"])
            steps = CURVE if task["stage"] == "fresh" else ()
            found = run(
                self.world, task["arm"], task["rate"], self.folder / "work", steps,
                drawn=task["stage"] != "tuning",
            )  # fmt: skip
            write_text(json.dumps({"stage": task["stage"], **found, "commit": self.code}), path)
            print(*task.values(), f"gain {found['final']['gain']:.3f}", found["cpu_seconds"],
                  time.strftime("%H:%M:%S"), flush=True)  # fmt: skip
        return done(tasks, self.folder)


def commit() -> str:
    """Of the code that runs; ``+`` where it differs from it."""

    def git(*words: str) -> str:
        asked = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
        return asked.stdout.strip()

    changed = git("status", "--porcelain", "--", "sailtheory", "studies/sequence_arms/*.py")
    return (git("rev-parse", "--short=12", "HEAD") or "unknown") + ("+" if changed else "")


def settings() -> Record:
    """What the page tells of the design."""
    return {
        "updates": UPDATES, "batch": BATCH, "rates": RATES, "tuning_seeds": TUNING,
        "fresh_seeds": FRESH, "factor": FACTOR, "beta": worlds.BETA, "hook": HOOKED,
        "letters": len(worlds.LETTERS), "longest": worlds.LONGEST,
        "responses": len(worlds.responses()), "deviation": worlds.DEVIATION,
        "fitted": [worlds.FITTED, worlds.FITTED_BATCH, worlds.FITTED_RATE],
        "pairs": worlds.PAIRS, "parameters": sum(p.numel() for p in worlds.network(0).parameters()),
        "arms": ARMS, "versions": libraries(), "machine": hardware(),
    }  # fmt: skip


def main() -> None:
    """Tune, then run at the tuned rates; what is there is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", required=True, help="folder of the runs")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin none after")
    parser.add_argument("--out", default=OUT)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    folder = Path(asked.runs)
    folder.mkdir(parents=True, exist_ok=True)
    runner = Runner(folder, time.monotonic() + asked.seconds)
    runs = runner.do(tuning())
    rates = tuned(runs)
    save(settings() | {"tuned": rates}, map(rounded, runs), asked.out)
    if len(runs) < len(tuning()):
        return  # no rate is tuned before all arms have had all of their runs
    runs = runs + runner.do(fresh(rates))
    save(settings() | {"tuned": rates}, map(rounded, runs), asked.out)


if __name__ == "__main__":
    main()
