"""The averaged certificate (C26): how near it comes to a search, in which time, and its check.

``python -m benchmarks.averaged [--case NAME] [--out FILE]``. Features of length 1, rewards linear
in them with noise, β = .1; CPU seconds of one thread, one process a case.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np

from benchmarks.results import save

CASES = {
    "4000x2x64 B=0.5": {"shape": (4000, 64), "radius": 0.5, "within": 2, "searched": True},
    "4000x2x64 B=1": {"shape": (4000, 64), "radius": 1.0, "within": 2, "searched": True},
    "4000x2x64 B=2": {"shape": (4000, 64), "radius": 2.0, "within": 2, "searched": True},
    "4000x2x64 B=4": {"shape": (4000, 64), "radius": 4.0, "within": 2, "searched": True},
    "10000x2x384 B=1": {"shape": (10_000, 384), "radius": 1.0},
}  # fmt: skip


def problem(n: int, d: int, radius: float) -> Any:
    """Unit features; differences of rewards of 1 on average, and noise."""
    from sailtheory import BradleyTerry, PreferenceProblem

    rng = np.random.default_rng(0)
    phi = rng.normal(size=(n, 2, d))
    phi /= np.linalg.norm(phi, axis=-1, keepdims=True)
    rewards = phi @ rng.normal(size=d)
    rewards /= np.abs(rewards[:, 0] - rewards[:, 1]).mean()
    rewards += 0.3 * rng.normal(size=(n, 2))
    return PreferenceProblem(
        features=phi, preferences=[BradleyTerry(r) for r in rewards], beta=0.1, radius=radius
    )


def measure(name: str) -> dict[str, Any]:
    """One case."""
    from sailtheory import SAIL
    from sailtheory.certificates.averaged import certify_averaged, replay_averaged
    from sailtheory.certificates.prompts import certify_prompts
    from sailtheory.landscape import Domain, Search, largest_relative_curvature_on
    from sailtheory.problem.reduced import ProblemPrompts
    from sailtheory.theory.bounds import relative_bound

    case = CASES[name]
    made = problem(*case["shape"], case["radius"])
    source = ProblemPrompts(made)
    began = time.process_time()
    found = certify_averaged(source)
    certified = time.process_time()
    again = replay_averaged(found, source)
    replayed = time.process_time()
    by_prompt = certify_prompts(source)
    out: dict[str, Any] = {
        "verdict": found.verdict,
        "gamma": found.gamma,
        "bend": found.bend,
        "share": found.share,
        "by_prompt": by_prompt.gamma,
        "k_b": relative_bound(float(made.beta), made.z_max_above),
        "seconds": certified - began,
        "replay_seconds": replayed - certified,
        "replay_valid": again.valid,
        "by_prompt_seconds": time.process_time() - replayed,
    }
    if case.get("searched"):
        searched = largest_relative_curvature_on(SAIL(made), Search(Domain(made), "quick", 0))
        out |= {"searched": searched.value, "ratio": found.gamma / searched.value}
        out |= {"goal_ratio": case["within"], "reached": out["ratio"] <= case["within"]}
    out["gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return out


def main() -> None:
    """Run the cases, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=CASES, help="this one, in this process")
    parser.add_argument("--out", help="JSON file to write")
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(measure(arguments.case)))
        return
    results = {}
    for name in CASES:
        command = [sys.executable, "-m", "benchmarks.averaged", "--case", name]
        threads = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=threads)
        results[name] = json.loads(done.stdout)
        print(name, done.stdout.strip(), flush=True)
    save(results, arguments.out)


if __name__ == "__main__":
    main()
