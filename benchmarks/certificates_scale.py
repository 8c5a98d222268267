"""ḡ for many prompts: seconds, CPU seconds and peak memory, each in a fresh process.

``python -m benchmarks.certificates_scale [--jobs 2] [--only NAME ...] [--out FILE]``. Features are
random unit vectors, drawn chunk by chunk, rewards linear in them with noise, as in
docs/theory.md's tables; CPU seconds are those of all processes together.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

import sailtheory
from benchmarks.results import save
from sailtheory.problem.reduced import Chunk

CASES: dict[str, dict[str, Any]] = {
    "two_responses": {"n": 60_000, "m": 2, "d": 384, "radius": 2.0, "tolerance": 1e-3, "goal": 30},
    "three_responses": {
        "n": 10_000,
        "m": 3,
        "d": 384,
        "radius": 0.5,
        "tolerance": 0.05,
        "goal": 30,
    },
    "four_responses": {"n": 10_000, "m": 4, "d": 384, "radius": 0.5, "tolerance": 0.2, "goal": 60},
    "four_responses_wide": {
        "n": 10_000,
        "m": 4,
        "d": 384,
        "radius": 1.0,
        "tolerance": 1.0,
        "goal": 60,
    },
    "eight_responses": {
        "n": 10_000,
        "m": 8,
        "d": 384,
        "radius": 1.0,
        "tolerance": None,
        "goal": None,
    },
    "streamed": {"n": 100_000, "m": 4, "d": 4096, "radius": 1.0, "tolerance": 1.0, "goal": None},
}
GOAL_MEGABYTES = 2048
_BLOCK = 64


class Random:
    """A data set that is drawn as it is read: it never lies in memory."""

    beta = 0.1

    def __init__(self, n: int, m: int, d: int, radius: float) -> None:
        self.shape, self.radius = (n, m, d), radius
        self.center = self.ref_params = np.zeros(d)
        self._reward = np.random.default_rng(0).standard_normal(d)

    def chunks(self, budget_bytes: int) -> Iterator[Chunk]:
        n, m, d = self.shape
        blocks = max(1, int(budget_bytes // (4 * m * d * _BLOCK)))
        for start in range(0, n, blocks * _BLOCK):
            stop = min(n, start + blocks * _BLOCK)
            drawn = [self._block(i // _BLOCK) for i in range(start, stop, _BLOCK)]
            phi = np.concatenate([each[0] for each in drawn])[: stop - start]
            r = np.concatenate([each[1] for each in drawn])[: stop - start]
            q = np.tanh((r[:, :, None] - r[:, None]) / 2) / 2
            weights = np.full(stop - start, 1 / n)
            yield Chunk(np.arange(start, stop), phi, q, np.zeros((stop - start, m)), weights)

    def _block(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        _, m, d = self.shape
        rng = np.random.default_rng([1, number])
        phi = rng.standard_normal((_BLOCK, m, d), dtype=np.float32)
        phi /= np.linalg.norm(phi, axis=-1, keepdims=True)
        return phi, 0.9 * (phi @ self._reward) + 0.3 * rng.standard_normal((_BLOCK, m))


def one(name: str, jobs: int) -> None:
    """Certify and replay one case and print what it took as JSON."""
    from sailtheory.certificates.prompts import Plan, Workers, certify_prompts, replay_prompts

    case = CASES[name]
    source = Random(case["n"], case["m"], case["d"], case["radius"])
    began, cpu = time.perf_counter(), _cpu()
    for _ in source.chunks(1 << 25):
        pass
    drawing = time.perf_counter() - began, _cpu() - cpu
    began, cpu = time.perf_counter(), _cpu()
    made = certify_prompts(source, Plan(case["tolerance"], workers=Workers(jobs)))
    out = {
        **case,
        "verdict": made.verdict,
        "lower": made.lower,
        "upper": [level.gamma for level in made.levels],
        "dropped": [len(level.dropped) for level in made.levels],
        "seconds": time.perf_counter() - began,
        "cpu_seconds": _cpu() - cpu,
        "drawing_seconds": drawing[0],
        "drawing_cpu_seconds": drawing[1],
        "megabytes": _megabytes(),
    }
    if name != "streamed":
        began, cpu = time.perf_counter(), _cpu()
        found = replay_prompts(made, source, Workers(jobs))
        out |= {
            "replay": found.valid,
            "replay_seconds": time.perf_counter() - began,
            "replay_cpu_seconds": _cpu() - cpu,
        }
    print(json.dumps(out))


def _cpu() -> float:
    """CPU seconds of this process and of its children, the living ones too."""
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True)
    own, others = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime


def _megabytes() -> float:
    """Peak resident memory of the largest of these processes."""
    both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(who).ru_maxrss for who in both) / 1024


def main() -> None:
    """Run the cases, print and save what they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--out", help="JSON file to write")
    arguments = parser.parse_args()
    results: dict[str, Any] = {
        "version": sailtheory.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "jobs": arguments.jobs,
        "goal_megabytes": GOAL_MEGABYTES,
    }
    for name in arguments.only:
        code = f"from benchmarks.certificates_scale import one; one({name!r}, {arguments.jobs})"
        out = subprocess.run(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True
        )
        results[name] = json.loads(out.stdout)
        print(name, json.dumps(results[name]), flush=True)
        save(results, arguments.out)


if __name__ == "__main__":
    main()
