"""Design B1 on cheetah-run: is `sail` worse than `pebble`?

``python -m studies.cheetah_sail --runs FOLDER [--collect]`` does the runs of design.md, which was
written down before any of them, and gathers those that are done into evidence.json. A run is a
folder with checkpoints: one that was killed goes on, one that is done is kept.
"""

from __future__ import annotations

from pathlib import Path

from sailtheory.storage.config import assignments
from studies.point_mass.runs import Arm, Record, command, kept, train_arm

OUT = "studies/cheetah_sail/evidence.json"
TASK, SEEDS = "cheetah-run", tuple(range(13))
MARGIN, GAMMA = 50.0, 0.3
SHARED = assignments(
    "steps=20000 evaluate_every=2500 evaluation_episodes=3 log_every=250 checkpoint_every=1000"
    " sac.width=64 sac.batch=128 sac.actor_rate=1e-3 sac.critic_rate=1e-3 reward.width=64"
    " feedback.queries=20 feedback.every=1000 feedback.maximum=400 reference.since=3000"
    " reference.every=2000".split()
)


def _arm(name: str, method: str, changed: Record | None = None, weight: float | None = None) -> Arm:
    return Arm(name, method, changed or {}, weight, 200, TASK, SHARED)


ARMS = (
    _arm("pebble", "pebble"),
    _arm("sail", "sail"),
    _arm("sail-score", "sail", {"sail.score": 1.0}),
    _arm("sail-revkl", "sail-revkl", {"kl_coef": GAMMA}),
    _arm("sail-segments", "sail", weight=0.002),
)
"""The last one's objective is that of studies.control_arms."""


def train_all(root: Path) -> None:
    """Every arm, its seeds in one stack; those that are compared first."""
    for arm in ARMS:
        train_arm(arm, SEEDS, root / arm.name)


def gather(root: Path) -> Record:
    """All that is done."""
    return {
        "shared": SHARED,
        "margin": MARGIN,
        "planned": len(SEEDS),
        "arms": {arm.name: kept(root / arm.name, SEEDS) for arm in ARMS},
    }


if __name__ == "__main__":
    command(__doc__, OUT, train_all, gather)
