"""Closed-form Hessians against automatic differentiation, batches against loops, memory.

``python -m benchmarks [--out FILE]``. Every time is the median over
repetitions; a ratio compares two medians of one run, one thread each.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import sailtheory
from benchmarks.ascent import stochastic_runs
from benchmarks.results import save
from sailtheory import SAIL, BradleyTerry, PreferenceProblem

SEED = 0


def problem(n: int, m: int, d: int) -> PreferenceProblem:
    """Bradley–Terry problem with features of norm about 1."""
    rng = np.random.default_rng(SEED)
    return PreferenceProblem(
        features=rng.normal(size=(n, m, d)) / np.sqrt(d),
        preferences=[BradleyTerry(r) for r in rng.normal(size=(n, m))],
        beta=0.1,
        radius=1,
    )


def median_seconds(action: Callable[[], Any], repetitions: int) -> float:
    """Median wall time of one call, after one call that is not counted."""
    action()
    times = []
    for _ in range(repetitions):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def hessian_against_autodiff() -> dict[str, Any]:
    """Closed-form ∇²J against torch.func.hessian of J at n=16, m=64, d=64."""
    import torch

    torch.set_num_threads(1)
    objective = SAIL(problem(16, 64, 64))
    theta = np.random.default_rng(SEED).normal(size=64) / 8
    tensor = torch.tensor(theta)
    peer = torch.func.hessian(objective.value)
    difference = np.abs(peer(tensor).numpy() - objective.hessian(theta)).max()
    ours = median_seconds(lambda: objective.hessian(theta), 20)
    theirs = median_seconds(lambda: peer(tensor), 3)
    return {
        "peer": "torch.func.hessian",
        "seconds": ours,
        "peer_seconds": theirs,
        "ratio": theirs / ours,
        "goal": 200,
        "largest_difference": float(difference),
    }


def batch_against_loop() -> dict[str, Any]:
    """5,000 Hessians at n=1, m=4, d=3 in one call against one call each."""
    objective = SAIL(problem(1, 4, 3))
    theta = np.random.default_rng(SEED).normal(size=(5000, 3))
    ours = median_seconds(lambda: objective.hessian(theta), 10)
    theirs = median_seconds(lambda: [objective.hessian(t) for t in theta], 3)
    return {
        "peer": "the same function in a Python loop",
        "seconds": ours,
        "peer_seconds": theirs,
        "ratio": theirs / ours,
    }


def memory_of_large() -> dict[str, Any]:
    """Peak resident memory of one Hessian at n=64, m=256, d=256, in a fresh process."""
    code = "from benchmarks.__main__ import large_hessian; large_hessian()"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(out.stdout) | {"goal_megabytes": 2048}


def large_hessian() -> None:
    """Evaluate the large Hessian and print peak memory and time as JSON."""
    objective = SAIL(problem(64, 256, 256))
    began = time.perf_counter()
    objective.hessian(np.full(256, 0.01))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"megabytes": peak, "seconds": time.perf_counter() - began}))


def import_time() -> dict[str, Any]:
    """``import sailtheory`` against ``import numpy``, fresh processes."""

    def seconds(module: str) -> float:
        command = [sys.executable, "-c", f"import {module}"]
        return median_seconds(lambda: subprocess.run(command, check=True), 7)

    bare, ours, peer = seconds("sys"), seconds("sailtheory"), seconds("numpy")
    return {
        "peer": "import numpy",
        "seconds": ours - bare,
        "peer_seconds": peer - bare,
        "goal_seconds": 0.3,
    }


def main() -> None:
    """Run every benchmark and print, optionally save, the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", help="JSON file to write")
    arguments = parser.parse_args()
    results: dict[str, Any] = {
        "version": sailtheory.__version__,
        "seed": SEED,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
    }
    for benchmark in (
        hessian_against_autodiff,
        batch_against_loop,
        memory_of_large,
        import_time,
        stochastic_runs,
    ):
        results[benchmark.__name__] = benchmark()
        print(benchmark.__name__, json.dumps(results[benchmark.__name__]), flush=True)
    save(results, arguments.out)


if __name__ == "__main__":
    main()
