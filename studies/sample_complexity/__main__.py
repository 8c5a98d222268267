"""N(ε) of SAIL-RevKL and of two methods that treat both levels, and their exponents.

``python -m studies.sample_complexity [--out FILE] [--seconds S]``. Random problems (two
or three prompts, d = 2 or 3, Bradley–Terry, arbitrary or 0/1 preferences), each at
γ = 1.05 K_B, where C16 is proved, and at 1.05 γ* (γ* by search), where it is not.
SAIL-RevKL is run at both, the other methods at the first. A record is written as it ends;
what the file contains is not run again.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

import sailtheory
from benchmarks.problems import arguments
from sailtheory import SAIL, PreferenceProblem, SAILRevKL
from sailtheory.analysis.check import theorem_threshold
from sailtheory.convergence.complexity import METHODS, Design, sample_complexity
from sailtheory.landscape import Domain, Search, largest_relative_curvature_on, maximise
from sailtheory.problem.problem_file import dumps
from sailtheory.storage.files import write_text

SEED, COUNT = 20262, 6
OUT = "studies/sample_complexity/evidence.json"
DIRECT = Design(runs=256, above=1.0, decades=2.0, points=13, growth=2**0.5)
NESTED = Design(runs=32, above=1.0, decades=2.0, points=13, growth=2.0)
# A step of the penalty method costs more, and so many of its settings are tried.
PENALTY = Design(runs=16, above=0.5, decades=1.5, points=10, growth=4.0, penalties=(1, 2, 4, 8, 16))
DESIGNS = dict(zip(METHODS, (DIRECT, NESTED, PENALTY), strict=True))
FACTOR = 1.05
REGIMES = ("theorem", "instance")


def problem(index: int) -> PreferenceProblem:
    """Features of norm about 1, B in [1, 2], start at the centre; β log-uniform in [0.1, 1]."""
    rng = np.random.default_rng([SEED, index])
    made = arguments(rng, 2 + index % 2, 4, (2, 3))
    zero = np.zeros(2 + index % 2)
    made |= {"ref_params": zero, "center": zero, "radius": round(float(rng.uniform(1, 2)), 3)}
    return PreferenceProblem(**made)


def task(index: int, regime: str, method: str) -> dict[str, Any]:
    """One record."""
    given = problem(index)
    search = Search(Domain(given), "quick", 0)
    star = largest_relative_curvature_on(SAIL(given), search).value
    assert star is not None
    gamma = FACTOR * (theorem_threshold(given) if regime == "theorem" else max(star, 1e-3))
    best = maximise(SAILRevKL(given, gamma), search)
    began = time.process_time()
    (found,) = sample_complexity(
        given, gamma, design=DESIGNS[method], methods=[method], seed=index,
        progress=lambda stage: print(f"  {stage}", flush=True),
    )  # fmt: skip
    return {
        "problem": index, "regime": regime, "gamma": gamma, "toml": dumps(given),
        "on_boundary": best.on_boundary, "cpu_seconds": round(time.process_time() - began, 1),
        **found.as_dict(),
    }  # fmt: skip


def main() -> None:
    """Run what the file lacks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default=OUT)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    asked = parser.parse_args()
    out, stop = Path(asked.out), time.monotonic() + asked.seconds
    records = json.loads(out.read_text(encoding="utf-8"))["records"] if out.exists() else []
    done = {(r["problem"], r["regime"], r["method"]) for r in records}
    plan = [
        (index, regime, method)
        for method in METHODS
        for index in range(COUNT)
        for regime in (REGIMES if method == METHODS[0] else REGIMES[:1])
    ]
    for each in plan:
        if each in done or time.monotonic() > stop:
            continue
        records.append(task(*each))
        head = {"seed": SEED, "version": sailtheory.__version__, "factor": FACTOR}
        head |= {"efforts": {name: vars(design) for name, design in DESIGNS.items()}}
        write_text(json.dumps(head | {"records": records}, ensure_ascii=False, indent=1) + "\n",
                   out, "out")  # fmt: skip
        last = records[-1]
        print(*each, last["cpu_seconds"], last["slopes"], last["fit"]["model"], flush=True)


if __name__ == "__main__":
    main()
