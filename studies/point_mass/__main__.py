"""Design B1 on a point mass: is `sail` worse than `pebble`?

``python -m studies.point_mass --runs FOLDER [--tested | --collect]`` does the runs of design.md,
which was written down before them, and gathers those that are done into evidence.json. A run is a
folder with checkpoints: one that was killed goes on, one that is done is kept.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import mean

import torch

from sailtheory.runs.machine import hardware, libraries
from sailtheory.storage.files import write_text
from studies.point_mass.runs import LATE, SHARED, Arm, Record, commit, kept, train_arm

OUT = "studies/point_mass/evidence.json"
TUNING = (100, 101, 102)
SEEDS, FEWER = tuple(range(40)), tuple(range(12))
TOGETHER = 10
MARGIN = 5.0
GAMMA = 0.3


def _sail(name: str, **more: float) -> list[Arm]:
    changed = {key.replace("__", "."): value for key, value in more.items()}
    return [Arm(name, "sail", {"sail.weight": w, **changed}) for w in (0.3, 1.0, 3.0)]


ARMS: dict[str, list[Arm]] = {
    "pebble": [Arm("pebble", "pebble", {"sac.actor_rate": r}) for r in (5e-4, 1e-3, 2e-3)],
    "sail": _sail("sail"),
    "sail-revkl": [
        Arm("sail-revkl", "sail-revkl", {"sail.weight": w, "kl_coef": GAMMA * w})
        for w in (0.3, 1.0, 3.0)
    ],
    "sail-score": _sail("sail-score", sail__score=1.0),
    "sail-segments": [Arm("sail-segments", "sail", weight=w) for w in (0.002, 0.02, 0.1)],
}
"""Three settings an arm; the last one's objective is that of studies.control_arms."""
TESTED = ("pebble", "sail")


def seeds_of(arm: str) -> tuple[int, ...]:
    """Fresh seeds of an arm."""
    return SEEDS if arm in TESTED else FEWER


def folder_of(root: Path, stage: str, arm: str, setting: int) -> Path:
    """Where the runs of an arm at a setting are."""
    return root / stage / f"{arm}-{setting}"


def best_of(tuned: list[list[Record]]) -> int | None:
    """The setting with the largest mean score on the tuning seeds, the first of equals.

    None as long as a tuning run is missing.
    """
    if any(len(runs) < len(TUNING) for runs in tuned):
        return None
    means = [mean(run["score"] for run in runs) for runs in tuned]
    return means.index(max(means))


def tuning(root: Path, arm: str) -> list[list[Record]]:
    """The finished tuning runs of an arm, by setting."""
    return [kept(folder_of(root, "tuning", arm, k), TUNING) for k in range(len(ARMS[arm]))]


def train_all(root: Path, arms: tuple[str, ...]) -> None:
    """The tuning of these arms, then their fresh seeds, block by block."""
    for arm in arms:
        for k, setting in enumerate(ARMS[arm]):
            train_arm(setting, TUNING, folder_of(root, "tuning", arm, k))
    best = {arm: best_of(tuning(root, arm)) for arm in arms}
    print("chosen", best, flush=True)
    seeds = seeds_of(arms[0])
    for first in range(0, len(seeds), TOGETHER):
        for arm in arms:
            k = best[arm]
            assert k is not None
            block = seeds[first : first + TOGETHER]
            train_arm(ARMS[arm][k], block, folder_of(root, "fresh", arm, k))


def gathered(root: Path, arm: str) -> Record:
    """All that is done of an arm."""
    tuned = tuning(root, arm)
    best = best_of(tuned)
    place = None if best is None else folder_of(root, "fresh", arm, best)
    return {
        "settings": [x.changed or {"segments.weight": x.weight} for x in ARMS[arm]],
        "tuning": [[run["score"] for run in runs] for runs in tuned],
        "chosen": best, "planned": len(seeds_of(arm)),
        "runs": [] if place is None else kept(place, seeds_of(arm)),
    }  # fmt: skip


def gather(root: Path) -> Record:
    """All that is done."""
    return {
        "commit": commit(), "versions": libraries(), "hardware": hardware(), "late": LATE,
        "shared": SHARED, "margin": MARGIN, "tuning_seeds": TUNING,
        "arms": {arm: gathered(root, arm) for arm in ARMS},
    }  # fmt: skip


def main() -> None:
    """Run what is missing, then gather."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", required=True, type=Path, help="folder of the runs")
    parser.add_argument("--out", default=OUT)
    parser.add_argument("--tested", action="store_true", help="only the arms that are tested")
    parser.add_argument("--collect", action="store_true", help="train nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if not asked.collect:
        train_all(asked.runs, TESTED)
        for arm in () if asked.tested else tuple(arm for arm in ARMS if arm not in TESTED):
            train_all(asked.runs, (arm,))
    write_text(json.dumps(gather(asked.runs), indent=1) + "\n", asked.out, "out")


if __name__ == "__main__":
    main()
