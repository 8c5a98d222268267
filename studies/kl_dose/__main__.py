"""The dose of KL(π_ref‖π_θ) in PEBBLE's actor loss, on the point mass.

``python -m studies.kl_dose --runs FOLDER [--collect]`` does the runs of design.md, which was
written down before them, and gathers those that are done into evidence.json. A run is a folder
with checkpoints: one that was killed goes on, one that is done is kept.
"""

from __future__ import annotations

from pathlib import Path

from studies.point_mass.runs import SHARED, Arm, Record, command, kept, train_arm

OUT = "studies/kl_dose/evidence.json"
DOSES = (0.0, 1.0, 1e-4, 1e-2, 1e-1)
SEEDS, FEWER = tuple(range(200, 224)), tuple(range(200, 212))
TESTED = (0.0, 1.0)
TOGETHER = 12


def arm_of(dose: float) -> Arm:
    """`pebble`, or with the penalty."""
    if not dose:
        return Arm("0", "pebble")
    return Arm(f"{dose:g}", "pebble-revkl", {"kl_coef": dose})


def seeds_of(dose: float) -> tuple[int, ...]:
    """Seeds of a dose."""
    return SEEDS if dose in TESTED else FEWER


def train_all(root: Path) -> None:
    """The doses that are tested first."""
    for dose in DOSES:
        arm, seeds = arm_of(dose), seeds_of(dose)
        for first in range(0, len(seeds), TOGETHER):
            train_arm(arm, seeds[first : first + TOGETHER], root / "dose" / arm.name)


def gather(root: Path) -> Record:
    """All that is done."""
    return {
        "shared": SHARED, "planned": {arm_of(d).name: len(seeds_of(d)) for d in DOSES},
        "arms": {
            arm_of(d).name: kept(root / "dose" / arm_of(d).name, seeds_of(d)) for d in DOSES
        },
    }  # fmt: skip


if __name__ == "__main__":
    command(__doc__, OUT, train_all, gather)
