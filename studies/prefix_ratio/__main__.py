"""The prefix ratio of C30 along training, on sequences that can be listed.

``python -m studies.prefix_ratio --runs FOLDER [--out FILE]`` does the runs of design.md, which was
written down before them. A run that is done stays as it is; one that was killed begins anew.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from sailtheory.runs.machine import libraries
from sailtheory.storage.files import write_text
from studies.evidence import rounded, save
from studies.render import read
from studies.sequence_arms.__main__ import commit
from studies.sequence_arms.arms import BATCH, UPDATES, run
from studies.sequence_arms.tuned import KL, PLAIN, SAIL, Record
from studies.sequence_arms.world import World, responses, table

OUT = "studies/prefix_ratio/evidence.json"
ARMS = (PLAIN, KL, f"{PLAIN}, kl 0.01", f"{PLAIN}, policy kl 0.01", SAIL)
SEEDS, EVERY = tuple(range(5)), 25


class Watched(World):
    """A world that tells the prefix ratio beside what a policy is worth."""

    def measured(self, model: object, drawn: bool = False) -> dict[str, float]:
        log_policy = table(model)
        ratio = responses().log_prefix_ratio(log_policy, self.log_ref)
        found = {"log_ratio": float(ratio.max()), "log_ratio_median": float(ratio.median())}
        return self.exact.summary(log_policy) | found

    def reward_range(self) -> float:
        """Of the responses to one prompt; the largest over prompts."""
        return float((self.reward.amax(-1) - self.reward.amin(-1)).max())


def one(world: Watched, arm: str, rate: float, folder: Path) -> Record:
    """A run, with the ratio every 25 updates."""
    steps = tuple(range(EVERY, UPDATES + 1, EVERY))
    found = run(world, arm, rate, folder / "work", steps)
    return {key: found[key] for key in ("arm", "rate", "seed", "stopped", "curve")} | {
        "range": world.reward_range(), "commit": commit(),
    }  # fmt: skip


def main() -> None:
    """Run what is missing, then gather."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", required=True, help="folder of the runs")
    parser.add_argument("--out", default=OUT)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    folder, rates = Path(asked.runs), read("sequence_arms/evidence.json")["tuned"]
    folder.mkdir(parents=True, exist_ok=True)
    runs = []
    for seed in SEEDS:
        paths = {arm: folder / f"{seed}-{arm.replace(', ', '-').replace(' ', '-')}.json"
                 for arm in ARMS}  # fmt: skip
        world = None
        for arm, path in paths.items():
            if not path.exists():
                world = world or Watched(seed)
                write_text(json.dumps(one(world, arm, rates[arm], folder)), path)
            runs.append(json.loads(path.read_text(encoding="utf-8")))
            print(seed, arm, f"log ρ {runs[-1]['curve'][-1][1]['log_ratio']:.2f}", flush=True)
    head = {"updates": UPDATES, "batch": BATCH, "arms": ARMS, "seeds": SEEDS, "every": EVERY,
            "versions": libraries()}  # fmt: skip
    save(head, map(rounded, runs), asked.out)


if __name__ == "__main__":
    main()
