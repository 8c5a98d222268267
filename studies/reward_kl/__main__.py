"""How large must the KL of a reward be: the runs of design.md, which was written before them.

``python -m studies.reward_kl --runs FOLDER [--out FILE]`` does what is missing, one record after
another, and gathers the records that are done. A record is one JSON file, written whole: a run
that was killed begins that record anew, with the same numbers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
import torch

from sailtheory.runs.machine import hardware, libraries
from sailtheory.storage.files import write_text
from studies.evidence import rounded, save
from studies.reward_kl import grpo, world
from studies.reward_kl.arms import GROUP, PROVED, RATIOS, SCALES, Fields, arms, thresholds
from studies.reward_kl.ascent import CURVE, learn, settle
from studies.reward_kl.tuned import RATES, TRL_RATES, Record, cell_of, rates_of, trl_rates

OUT = "studies/reward_kl/evidence.json"
TUNING, FRESH, TRL_TUNING = (1000, 1001, 1002), tuple(range(10)), (1000, 1001)
DEPTHS, PASS_RATES = (1, 2), (0.01, 0.1, 0.5)
STARTS = 10


def kinds(seeds: tuple[int, ...]) -> Iterator[Record]:
    """Whole seeds first."""
    for seed, depth, pass_rate, scale in product(seeds, DEPTHS, PASS_RATES, SCALES):
        yield {"seed": seed, "depth": depth, "pass_rate": pass_rate, "scale": scale}


def tuning(kind: Record) -> Record:
    """Mean pass rate at the end and mean length of the last update, by arm and rate."""
    fields, _ = _fields(kind)
    tried, rates = arms(kind["depth"]), np.array(RATES)
    wide = fields.repeated(len(rates))
    every = np.tile(rates, len(tried))
    theta = learn(wide, every)[CURVE[-1]]
    last = world.projected(theta + every[:, None] * wide.at(theta)[0]) - theta
    lengths = np.linalg.norm(last, axis=-1).mean(0).reshape(len(tried), -1)
    passed = wide.values(theta)["pass_rate"].mean(0).reshape(len(tried), -1)
    found = zip(tried, passed, lengths, strict=True)
    return {"arms": {cell_of(a): [p.tolist(), n.tolist()] for a, p, n in found}}


def fresh(kind: Record, rates: dict[str, float]) -> Record:
    """Learning at the tuned rates, and the ends of many starts."""
    fields, threshold = _fields(kind)
    tried = arms(kind["depth"])
    curve = learn(fields, np.array([rates[cell_of(a)] for a in tried]))
    values = fields.values(curve[CURVE[-1]])
    passed = {k: fields.values(theta)["pass_rate"].mean(0) for k, theta in curve.items()}
    ends = _ends(kind, fields, len(tried))
    told = {
        cell_of(arm): {
            "rate": rates[cell_of(arm)],
            "curve": {str(k): float(v[i]) for k, v in passed.items()},
            **{name: float(v.mean(0)[i]) for name, v in values.items()},
            **{name: float(v[i]) for name, v in ends.items()},
        }
        for i, arm in enumerate(tried)
    }
    return {"threshold": threshold.tolist(), "arms": told}


def _fields(kind: Record) -> tuple[Fields, world.Array]:
    at = world.problems(kind["seed"], kind["depth"], kind["pass_rate"])
    threshold = thresholds(at, kind["scale"], kind["seed"])
    return Fields.of(at, kind["scale"], arms(kind["depth"]), threshold), threshold


def _ends(kind: Record, fields: Fields, count: int) -> dict[str, world.Array]:
    """Shares of bad ends by arm, mean over the problems."""
    wide = fields.repeated(STARTS)
    start = np.tile(world.starts(kind["seed"], kind["depth"], STARTS), (1, count, 1))
    theta, left = settle(wide, start)
    values, begun = wide.values(theta), wide.values(np.zeros_like(theta))

    def by_start(found: world.Array) -> world.Array:
        return found.reshape(world.PROBLEMS, count, STARTS)

    gain = by_start(values["objective"] - begun["objective"])
    best = gain.max(-1, keepdims=True)
    passed = by_start(values["pass_rate"])
    by_objective = (best - gain) / np.maximum(1e-3, np.abs(best)) > 1e-3
    by_rate = passed.max(-1, keepdims=True) - passed > 0.01
    return {
        "bad_objective": by_objective[..., 1:].mean((0, 2)),
        "bad_pass_rate": by_rate[..., 1:].mean((0, 2)),
        "from_ref_bad": by_objective[..., 0].mean(0),
        "restless": (by_start(left) > 1e-4).mean((0, 2)),
    }  # fmt: skip


class Runner:
    """Does what is missing."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.code = folder, commit()

    def do(self, name: str, task: Record, of: Callable[[], Record]) -> Record:
        """The record of a task, from its file if that is there."""
        told = "-".join(str(v).replace(" ", "-").replace(",", "") for v in task.values())
        path = self.folder / f"{name}-{told}.json"
        if not path.exists():
            began = time.process_time()
            found = of()
            seconds = round(time.process_time() - began, 2)
            record = {"stage": name, **task, **found, "cpu_seconds": seconds, "commit": self.code}
            write_text(json.dumps(rounded(record), ensure_ascii=False), path)
            print(path.name, seconds, time.strftime("%H:%M:%S"), flush=True)
        read: Record = json.loads(path.read_text(encoding="utf-8"))
        return read


def commit() -> str:
    """Of the code that runs; ``+`` where it differs from it."""

    def git(*words: str) -> str:
        asked = subprocess.run(["git", *words], capture_output=True, text=True, check=False)
        return asked.stdout.strip()

    changed = git("status", "--porcelain", "--", "studies/reward_kl/*.py")
    return (git("rev-parse", "--short=12", "HEAD") or "unknown") + ("+" if changed else "")


def settings() -> Record:
    """What the page tells of the design."""
    return {
        **world.told(), "group": GROUP, "ratios": RATIOS, "proved": PROVED, "rates": RATES,
        "trl_rates": TRL_RATES, "tuning_seeds": TUNING, "trl_tuning_seeds": TRL_TUNING,
        "fresh_seeds": FRESH, "depths": DEPTHS, "pass_rates": PASS_RATES, "starts": STARTS,
        "curve": CURVE, "trl_updates": grpo.UPDATES, "cells": grpo.CELLS, "versions": libraries(),
        "machine": hardware(),
    }  # fmt: skip


def main() -> None:
    """Tune, then the fresh worlds, then TRL's cells; what is there is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", required=True, help="folder of the records")
    parser.add_argument("--out", default=OUT)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    folder = Path(asked.runs)
    folder.mkdir(parents=True, exist_ok=True)
    runner = Runner(folder)
    runs = [runner.do("tuning", kind, lambda kind=kind: tuning(kind)) for kind in kinds(TUNING)]
    for kind in kinds(FRESH):
        rates = rates_of(runs, kind)
        runs.append(runner.do("fresh", kind, lambda kind=kind, rates=rates: fresh(kind, rates)))
    save(rounded(settings()), runs, asked.out)
    tried = [
        runner.do("trl-tuning", {"cell": c, "rate": r, "seed": s},
                  lambda c=c, r=r, s=s: grpo.run(c, r, s))
        for s, c, r in product(TRL_TUNING, grpo.CELLS, TRL_RATES)
    ]  # fmt: skip
    taken = trl_rates(tried)
    tested = [
        runner.do("trl", {"cell": c, "rate": taken[c], "seed": s},
                  lambda c=c, s=s: grpo.run(c, taken[c], s))
        for s, c in product(FRESH, grpo.CELLS)
    ]  # fmt: skip
    save(rounded(settings()), [*runs, *tried, *tested], asked.out)


if __name__ == "__main__":
    main()
