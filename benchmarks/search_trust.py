"""How far the search for γ* can be trusted: quick against a search ten times as long.

``python -m benchmarks.search_trust [--count N] [--out FILE]``

Problems on which γ* is hard to find: 8 to 20 prompts, 4 responses, preferences 0 or 1,
dimension 6 to 12, radius 8 to 16. The longer search is the best of quick searches with seeds
of their own, repeated until they have evaluated ten times as many points. What was done is
saved after each problem, and a run that was cut off goes on from there.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from sailtheory import PreferenceProblem
from sailtheory.files import write_text
from sailtheory.landscape import gamma_star

OUT = Path("docs/evidence/search_trust.json")
LONGER, CLOSE = 10, 0.01
OTHER_SEEDS = 1000


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


def compare(index: int) -> dict[str, Any]:
    """γ* of one problem by both searches."""
    given = problem(index)
    start = time.process_time()
    quick = gamma_star(given)
    seconds = time.process_time() - start
    assert quick.search is not None and quick.value is not None
    longer, evaluations, seed = -np.inf, 0, OTHER_SEEDS
    while evaluations < LONGER * quick.search.evaluations:
        again = gamma_star(given, seed=seed)
        assert again.search is not None and again.value is not None
        longer = max(longer, again.value)
        evaluations += again.search.evaluations
        seed += 1
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
    given = parser.parse_args()
    rows = json.loads(given.out.read_text())["rows"] if given.out.exists() else []
    for index in range(len(rows), given.count):
        rows.append(compare(index))
        counted = summary(rows)
        write_text(json.dumps({"summary": counted, "rows": rows}, indent=1) + "\n", given.out)
        print(json.dumps(rows[-1]), flush=True)
    print(json.dumps(summary(rows)))


if __name__ == "__main__":
    main()
