"""How tight is K_B? The largest γ* found over preferences, references and features.

``python -m studies.tightness [--shapes N] [--out FILE]`` draws feature sets in the
unit ball (L = 1, diameter 2), lets ``worst_preferences`` choose preferences in
{0, ½, 1} and π_ref with every probability at least 1e-3, and keeps the largest γ* for
each (β, B). It is a lower bound of sup γ*, to set beside K_B and β(1.5Z/β + 4).
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np

import sailtheory
from sailtheory import PreferenceProblem
from sailtheory.landscape.worst_preferences import WorstCase, worst_preferences
from sailtheory.problem.problem_file import dumps
from sailtheory.theory.bounds import closed_form_threshold, relative_bound

SEED = 0
MIN_REFERENCE = 1e-3
CASES = [(beta, radius) for beta in (0.1, 1.0, 3.0) for radius in (0.01, 0.1, 1.0, 4.0)]


def features(rng: np.random.Generator) -> np.ndarray:
    """m = 2 to 5 responses in the unit ball of R^1 or R^2; the first two are opposite."""
    d = int(rng.integers(1, 3))
    phi = rng.normal(size=(int(rng.integers(2, 6)), d))
    phi /= np.linalg.norm(phi, axis=1, keepdims=True)
    phi[2:] *= rng.random((len(phi) - 2, 1))
    phi[1] = -phi[0]
    return np.round(phi, 4)


def worst(beta: float, radius: float, shapes: int) -> WorstCase:
    """The largest γ* found for one (β, B)."""
    rng = np.random.default_rng(SEED)
    found = []
    for phi in [np.array([[1.0], [-1.0]]), *(features(rng) for _ in range(shapes))]:
        m = len(phi)
        problem = PreferenceProblem(
            features=[phi], preferences=[np.full((m, m), 0.5)], beta=beta, radius=radius
        )
        found.append(worst_preferences(problem, min_reference=MIN_REFERENCE, restarts=4))
    return max(found, key=lambda case: case.value)


def main() -> None:
    """Print a Markdown table; optionally save it with the worst problems."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shapes", type=int, default=40)
    parser.add_argument("--out", help="JSON file to write")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    print("| β | B | largest γ* found | K_B | β(1.5Z/β + 4) | K_B ÷ found |")
    print("|---|---|---|---|---|---|")
    for beta, radius in CASES:
        case = worst(beta, radius, arguments.shapes)
        k_b = relative_bound(beta, beta * 2 * radius)
        closed = float(closed_form_threshold(beta, 2.0, radius, 0.0))
        rows.append(
            {"beta": beta, "radius": radius, "found": case.value, "relative": k_b,
             "closed_form": closed, "theta": case.theta.tolist(),
             "problem": dumps(case.problem)}
        )  # fmt: skip
        print(
            f"| {beta} | {radius} | {case.value:.4f} | {k_b:.4f} | {closed:.4f} "
            f"| {k_b / case.value:.2f} |",
            flush=True,
        )
    if arguments.out:
        meta = {"version": sailtheory.__version__, "seed": SEED, "shapes": arguments.shapes,
                "min_reference": MIN_REFERENCE, "rows": rows}  # fmt: skip
        with open(arguments.out, "w", encoding="utf-8") as file:
            json.dump(meta, file, indent=2, ensure_ascii=False)
            file.write("\n")


if __name__ == "__main__":
    main()
