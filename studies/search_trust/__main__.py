"""How far the search for γ* can be trusted: quick against a search ten times as long.

``python -m studies.search_trust [--count N] [--out FILE]``

Problems on which γ* is hard to find: 8 to 20 prompts, 4 responses, preferences 0 or 1,
dimension 6 to 12, radius 8 to 16. The longer search climbs from points of its own, drawn in the
same ways, until it has evaluated ten times as many, by formulas of its own
(``pair_curvature``), which have to give the same value where the quick search ended. What
was done is saved after each problem, and a run that was cut off goes on from there; ``--part
I/N`` does every N-th problem only, and ``--join`` puts such parts together.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from sailtheory import PreferenceProblem
from sailtheory.landscape import Domain, gamma_star
from sailtheory.landscape.bfgs import ascend
from sailtheory.landscape.concavity import Remembered
from sailtheory.landscape.single_prompts import SinglePrompts
from sailtheory.storage.files import write_text
from studies.search_trust.pair_curvature import PairCurvature

OUT = Path("studies/search_trust/evidence.json")
LONGER, CLOSE = 10, 0.01
SEED, POOL, CLIMBS = 1000, 800, 160


def problem(index: int) -> PreferenceProblem:
    """One of the problems."""
    rng = np.random.default_rng(5000 + index)
    n, d, radius = int(rng.integers(8, 21)), int(rng.choice([6, 7, 8, 10, 12])), rng.uniform(8, 16)
    features = rng.standard_normal((n, 4, d)) * 0.9 / np.sqrt(d)
    wins = [np.triu(rng.integers(0, 2, (4, 4)), 1).astype(float) for _ in range(n)]
    preferences = [w + np.tril(1 - w.T, -1) + np.eye(4) / 2 for w in wins]
    ref = rng.standard_normal(d)
    ref *= rng.uniform(0, 0.9) * radius / np.linalg.norm(ref)
    return PreferenceProblem(
        features=features, preferences=preferences, beta=0.1, radius=float(radius), ref_params=ref
    )


def longer_search(given: PreferenceProblem, evaluations: int) -> tuple[float, int]:
    """The best of many ascents until so many points were evaluated, and how many were."""
    domain, curvature, rng = Domain(given), PairCurvature(given), np.random.default_rng(SEED)
    measure = Remembered(curvature)
    best, spent = -np.inf, 0
    alone = SinglePrompts(domain)

    def value(x: np.ndarray) -> np.ndarray:
        nonlocal best, spent
        found = measure(domain.embed(x))[0]
        found = np.where(np.isnan(found), -np.inf, found)
        best, spent = max(best, float(found.max())), spent + len(x)
        return found

    def gradient(x: np.ndarray) -> np.ndarray:
        theta = domain.embed(x)
        return domain.reduce(curvature.slope(theta, *measure(theta)))

    while spent < evaluations:
        proposed = alone(POOL, rng)
        x = np.concatenate([domain.starts(POOL, rng), domain.coordinates(proposed)])
        found = value(x)
        best_first = np.argsort(-found)
        chosen = np.concatenate(
            [best_first[:CLIMBS], rng.permutation(best_first[CLIMBS:])[:CLIMBS]]
        )
        x, found = ascend(value, gradient, x[chosen], found[chosen], domain.radius, 60, 1e-7)
        top = np.argsort(-found)[: CLIMBS // 8]
        ascend(value, gradient, x[top], found[top], domain.radius, 100, 1e-13)
    return best, spent


def compare(index: int) -> dict[str, Any]:
    """γ* of one problem by both searches."""
    given = problem(index)
    start = time.process_time()
    quick = gamma_star(given)
    seconds = time.process_time() - start
    assert quick.search is not None and quick.value is not None
    again = float(PairCurvature(given)(quick.theta[None])[0][0])
    assert np.isnan(again) or abs(again - quick.value) <= 1e-6 * abs(again), (again, quick.value)
    longer, evaluations = longer_search(given, LONGER * quick.search.evaluations)
    return {
        "index": index,
        "prompts": given.prompts,
        "dimension": given.dimension,
        "radius": round(float(given.radius), 3),
        "quick": quick.value,
        "longer": longer,
        "trusted": quick.search.trusted,
        "rounds": quick.search.rounds,
        "agreeing": quick.search.agreeing,
        "evaluations": quick.search.evaluations,
        "longer_evaluations": evaluations,
        "cpu_seconds": round(seconds, 2),
    }


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts over problems: within 1 %, trusted, and both."""
    close = [row["quick"] >= (1 - CLOSE) * row["longer"] for row in rows]
    trusted = [row["trusted"] for row in rows]
    return {
        "problems": len(rows),
        "within_1_percent": sum(close),
        "undecided": len(rows) - sum(trusted),
        "trusted_and_off": sum(t and not c for t, c in zip(trusted, close, strict=True)),
        "worst": min(row["quick"] / row["longer"] for row in rows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--part", default="0/1", help="I/N: problems I, I + N, I + 2N …")
    parser.add_argument("--join", type=Path, nargs="+", default=[], help="files of the parts")
    given = parser.parse_args()
    rows = joined(path for path in [given.out, *given.join] if path.exists())
    first, step = map(int, given.part.split("/"))
    done = {row["index"] for row in rows}
    for index in range(first, given.count, step):
        if index not in done and not given.join:
            rows.append(compare(index))
            print(json.dumps(rows[-1]), flush=True)
            save(rows, given.out)
    save(rows, given.out)
    print(json.dumps(summary(rows)))


def joined(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """The rows of files, each problem once; files that disagree on one are refused."""
    rows: dict[int, dict[str, Any]] = {}
    for path in paths:
        for row in json.loads(path.read_text(encoding="utf-8"))["rows"]:
            known = rows.setdefault(row["index"], row)
            if known | {"cpu_seconds": 0} != row | {"cpu_seconds": 0}:
                raise SystemExit(f"{path}: problem {row['index']} has another row elsewhere")
    return [rows[index] for index in sorted(rows)]


def save(rows: list[dict[str, Any]], path: Path) -> None:
    """Write rows and their summary."""
    write_text(json.dumps({"summary": summary(rows), "rows": rows}, indent=1) + "\n", path)


if __name__ == "__main__":
    main()
