"""Certificates on random and hostile problems: how fast, how complete, how sound.

``python -m studies.certificates [--lists L ...] [--count N] [--seconds S] [--out FILE]``.
Every problem follows from the seed, the name of its list and its place in it. The JSON file is
written after each problem and what it contains is not run again, except what failed or had less
time left than the list allows.

* ``enclosure-dD``: γ* to the tolerance of the list, replayed; ratios of the thresholds.
* ``completeness``: two or more prompts, certify_concave at 1.01 times the lower end of γ*.
* ``soundness``: γ a relative 1e-6 under the value of a witness found by a light search and
  shown again in ball arithmetic. No certificate may be issued; and no box on the path of
  bisections towards the witness may be accepted by the checker of a replay. ``control``:
  the smallest of these boxes is accepted at 1.01 γ, so that the check is able to fail.
* ``cell-β-B``: as enclosures, Bradley–Terry, ‖φ‖ ≤ 1, θ_ref = c = 0: looseness in the cells
  of theory.md's table.
* ``curve-dD``: as enclosures, to 5 % in two minutes: where time runs out.
* ``hostile-…``: as enclosures, with a short limit.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

import flint
import numpy as np
from flint import ctx

import sailtheory
from benchmarks.problems import arguments, preferences
from sailtheory import SAIL, BradleyTerry, PreferenceProblem
from sailtheory.analysis.check import theorem_threshold
from sailtheory.certificates import Budget, Certificate, certify_concave, certify_gamma, replay
from sailtheory.certificates.branch import Statement
from sailtheory.certificates.certificate import WitnessPoint
from sailtheory.certificates.certify import BITS, FLOOR
from sailtheory.certificates.cover import Box, root
from sailtheory.certificates.region import region
from sailtheory.certificates.replay import negative
from sailtheory.landscape import Domain, Search, largest_curvature_on, largest_relative_curvature_on
from sailtheory.landscape.fisher import least_fisher
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.problem.problem_file import dumps
from sailtheory.storage.files import write_text
from sailtheory.theory import bounds

SEED = 20261
OUT = "studies/certificates/evidence.json"
UNDER, OVER = 1e-6, Fraction(101, 100)
_TRIES = 200
_HALVINGS = 30  # along each coordinate, towards the witness

Generator = np.random.Generator
Record = dict[str, Any]


@dataclass(frozen=True)
class List:
    """One list of problems.

    Attributes:
        name: Its key in the JSON file.
        dimensions: d, smallest and largest.
        responses: Largest m.
        count: Problems.
        tolerance: Asked of γ*.
        limit: Seconds for one problem.
        goal: Seconds in which one problem should be done, or None.
        cell: β and B in place of random ones: a cell of theory.md's table of looseness.
    """

    name: str
    dimensions: tuple[int, int]
    responses: int
    count: int
    tolerance: float
    limit: float
    goal: float | None = None
    cell: tuple[float, float] | None = None


CELLS = ((0.1, 1.0), (0.1, 4.0), (1.0, 1.0), (1.0, 4.0))
LISTS = (
    List("soundness", (1, 2), 4, 500, 1.0, 5.0),
    List("enclosure-d1", (1, 1), 4, 30, 1e-6, 60.0, 2.0),
    List("enclosure-d2", (2, 2), 4, 30, 1e-6, 60.0, 2.0),
    List("completeness", (1, 2), 4, 120, 1e-3, 30.0),
    List("enclosure-d3", (3, 3), 5, 30, 1e-6, 120.0, 15.0),
    List("hostile-large", (1, 1), 4, 4, 1e-6, 20.0),
    List("hostile-singular", (2, 2), 4, 4, 1e-6, 20.0),
    List("hostile-duplicate", (2, 2), 4, 4, 1e-6, 20.0),
    List("hostile-flat", (3, 3), 4, 4, 1e-6, 20.0),
    *(List(f"cell-{b:g}-{r:g}", (1, 3), 6, 30, 1e-2, 60.0, None, (b, r)) for b, r in CELLS),
    *(List(f"curve-d{d}", (d, d), 4, 3, 5e-2, 120.0) for d in range(2, 9)),
    List("enclosure-d4", (4, 4), 6, 30, 1e-2, 600.0, 120.0),
    List("enclosure-d5", (5, 5), 6, 2, 5e-2, 1200.0, 600.0),
)


# --- problems ---------------------------------------------------------------------------


def problem(kind: List, index: int, attempt: int = 0) -> PreferenceProblem:
    """The problem at one place of a list."""
    rng = np.random.default_rng([SEED, *kind.name.encode(), index, attempt])
    d = int(rng.integers(kind.dimensions[0], kind.dimensions[1] + 1))
    made = arguments(rng, d, kind.responses, (2 if kind.name == "completeness" else 1, 3))
    features = made["features"]
    if kind.cell:
        zero = np.zeros(d)
        made |= {"beta": kind.cell[0], "radius": kind.cell[1], "ref_params": zero, "center": zero}
        made["base"] = None
        made["features"] = [
            np.round(phi / np.maximum(np.linalg.norm(phi, axis=1, keepdims=True), 1), 3)
            for phi in features
        ]
        made["preferences"] = [BradleyTerry(np.round(rng.normal(size=len(f)), 3)) for f in features]
    match kind.name:
        case "hostile-large":
            made["features"] = [np.round(10 * phi, 3) for phi in features]
            made["radius"] = 10.0
        case "hostile-singular":
            made["features"] = [
                np.round(np.stack([phi[:, 0], phi[:, 0] + 1e-4 * phi[:, 1]], 1), 7)
                for phi in features
            ]
        case "hostile-duplicate":
            made["features"] = [np.concatenate([phi, phi[:1]]) for phi in features]
            made["preferences"] = [preferences(rng, len(phi) + 1) for phi in features]
            made["base"] = None
        case "hostile-flat":
            made["features"] = [
                np.round(np.stack([phi[:, 0], phi[:, 1], phi[:, 0] - 2 * phi[:, 1]], 1), 3)
                for phi in features
            ]
    return PreferenceProblem(**made)


# --- one problem ------------------------------------------------------------------------


def enclosure(kind: List, index: int, limit: float, stop: float) -> Record:
    """γ* to the tolerance, its replay, and what the thresholds are relative to it."""
    given = problem(kind, index)
    began = time.process_time()
    made = certify_gamma(given, kind.tolerance, Budget(time.monotonic() + limit))
    text = json.dumps(made.as_dict(), ensure_ascii=False)
    return {
        "problem": fingerprint(given),
        "n": given.prompts,
        "m": max(given.responses),
        "d": given.dimension,
        "r": made.region.dimension,
        "beta": float(given.beta),
        "radius": float(given.radius),
        "verdict": made.verdict,
        "note": made.note,
        "lower": number(made.lower),
        "upper": number(made.gamma),
        "seconds": round(made.seconds, 3),
        "cpu_seconds": round(time.process_time() - began, 3),
        "pieces": made.pieces,
        "bytes": len(text.encode()),
        **replayed(made, stop),
        **ratios(given, made),
    }


def replayed(made: Certificate, stop: float) -> Record:
    """Validity of a certificate and the seconds it took; null when time ran out."""

    def tick(_: str) -> None:
        if time.monotonic() > stop:
            raise TimeoutError

    try:
        found = replay(made, tick)
    except TimeoutError:
        return {"replay": None, "replay_seconds": None}
    return {"replay": found.valid, "replay_seconds": round(found.seconds, 3)}


def ratios(given: PreferenceProblem, made: Certificate) -> Record:
    """K_B, the closed form and γ_abs, divided by the certified upper end of γ* > 0."""
    if made.verdict != "certified" or made.lower is None or made.gamma is None or made.lower <= 0:
        return {}
    domain = Domain(given)
    beta, diameter, radius = float(given.beta), given.feature_diameter, float(given.radius)
    offset = float(np.linalg.norm(given.ref_params - given.center.astype(float)))
    steepest = largest_curvature_on(SAIL(given), Search(domain, "quick", 0)).value or 0.0
    absolute = bounds.absolute_threshold(
        FLOAT64, max(steepest, 0.0), diameter, radius, least_fisher(domain)
    )
    thresholds = {
        "relative": theorem_threshold(given),
        "closed_form": bounds.closed_form_threshold(beta, diameter, radius, offset),
        "absolute": absolute,
    }
    return {"over": {name: float(v) / float(made.gamma) for name, v in thresholds.items()}}


def completeness(kind: List, index: int, limit: float, stop: float) -> Record:
    """Whether γ = 1.01 γ* is certified; γ* by the lower end of its enclosure."""
    given = problem(kind, index)
    lower = certify_gamma(given, kind.tolerance, Budget(time.monotonic() + limit)).lower
    out = {"problem": fingerprint(given), "n": given.prompts, "d": given.dimension}
    if lower is None or lower <= 0:
        return out | {"verdict": "skipped", "lower": number(lower)}
    made = certify_concave(given, OVER * lower, Budget(time.monotonic() + limit))
    return out | {
        "verdict": made.verdict,
        "lower": number(lower),
        "seconds": round(made.seconds, 3),
        "pieces": made.pieces,
        **replayed(made, stop),
    }


def soundness(kind: List, index: int, limit: float, stop: float) -> Record:
    """What is issued, and which boxes are accepted, just under the value of a witness."""
    for attempt in range(_TRIES):
        given = problem(kind, index, attempt)
        where, search = region(given), Search(Domain(given), "light", index)
        found = largest_relative_curvature_on(SAIL(given), search)
        if where.dimension < given.dimension or not found.value or found.value <= 0:
            continue
        # A hair towards the centre, so that a point on the sphere is exactly inside.
        x = (found.theta - given.center.astype(float)) * (1 - 1e-12)
        gamma = Fraction(found.value * (1 - UNDER))
        with ctx.workprec(BITS):
            if not negative(where, WitnessPoint(x, found.direction), gamma, Fraction(0)):
                continue
            checker = Statement(where, gamma, bits=BITS).checker()
            boxes = list(path(x / where.radius))
            accepted = sum(checker.holds(box) for box in boxes)
            control = Statement(where, gamma * OVER, bits=BITS).checker().holds(boxes[-1])
        made = certify_concave(given, gamma, Budget(time.monotonic() + limit))
        return {
            "problem": fingerprint(given),
            "attempt": attempt,
            "gamma": float(gamma),
            "verdict": made.verdict,
            "accepted": accepted,
            "control": control,
        }
    raise RuntimeError("no problem with a positive witness was drawn")


def path(y: np.ndarray) -> Iterator[Box]:
    """Boxes around a point of [−1, 1]^r, each the half of the one before."""
    box = root(len(y))
    for step in range(_HALVINGS * len(y)):
        yield box
        axis = step % len(y)
        below, above = box.halves(axis)
        box = below if y[axis] <= below.upper[axis] else above


def fingerprint(given: PreferenceProblem) -> str:
    """Tells whether a problem drawn again is the same."""
    return sha256(dumps(given).encode()).hexdigest()[:16]


def number(value: Fraction | None) -> float | None:
    """For reading; the certificate itself is exact."""
    return None if value is None else float(value)


# --- running ----------------------------------------------------------------------------


def task(kind: List, index: int, limit: float, stop: float) -> Record:
    """The record of one problem."""
    action = {"soundness": soundness, "completeness": completeness}.get(kind.name, enclosure)
    out: Record = {"index": index, "limit": round(limit, 1)}
    try:
        return out | action(kind, index, limit, stop)
    except (ValueError, ArithmeticError) as error:
        return out | {"verdict": "failed", "note": f"{type(error).__name__}: {error}"}


def header() -> dict[str, Any]:
    """What the results depend on."""
    return {
        "seed": SEED,
        "bits": BITS,
        "floor": FLOOR,
        "processes": 1,
        "version": sailtheory.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "python_flint": flint.__version__,
        "lists": {kind.name: asdict(kind) for kind in LISTS},
    }


def load(path: Path) -> dict[str, list[Record]]:
    """Records of an earlier run with the same seed."""
    if not path.exists():
        return {}
    data = json.loads(path.read_text(encoding="utf-8"))
    return data["records"] if data["seed"] == SEED else {}


def save(records: dict[str, list[Record]], path: Path) -> None:
    """One line a record, so that differences between runs can be read."""

    def line(data: Any) -> str:
        return json.dumps(data, ensure_ascii=False, allow_nan=False)

    head = "".join(f"{json.dumps(key)}: {line(value)},\n" for key, value in header().items())
    lists = ",\n".join(
        f"{json.dumps(name)}: [\n" + ",\n".join(map(line, rows)) + "\n]"
        for name, rows in records.items()
    )
    write_text("{\n" + head + '"records": {\n' + lists + "\n}\n}\n", path, "out")


def finished(row: Record, kind: List) -> bool:
    """Whether a record would not gain from another run."""
    if row["verdict"] == "failed" or row.get("replay", True) is None:
        return False
    return bool(row["verdict"] != "undecided" or row["limit"] >= kind.limit)


def run(kind: List, count: int, records: dict[str, list[Record]], out: Path, stop: float) -> None:
    """Every problem of a list that is not done."""
    rows = records.get(kind.name, [])
    done = {row["index"] for row in rows if finished(row, kind)}
    for index in range(count):
        left = stop - time.monotonic()
        if left <= 0:
            return
        if index in done:
            continue
        row = task(kind, index, min(kind.limit, left), stop)
        rows = sorted([r for r in rows if r["index"] != index] + [row], key=lambda r: r["index"])
        records[kind.name] = rows
        save(records, out)
        print(kind.name, json.dumps(row, ensure_ascii=False), flush=True)


def main() -> None:
    """Run what is asked for and not done."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [kind.name for kind in LISTS]
    parser.add_argument("--lists", nargs="+", choices=names, default=names)
    parser.add_argument("--count", type=int, help="problems in each list, not its own number")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--out", default=OUT)
    given = parser.parse_args()
    stop, out = time.monotonic() + given.seconds, Path(given.out)
    records = load(out)
    for kind in LISTS:
        if kind.name in given.lists:
            run(kind, given.count or kind.count, records, out, stop)


if __name__ == "__main__":
    main()
