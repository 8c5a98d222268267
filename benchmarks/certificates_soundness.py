"""Can a certificate by prompt be wrong? ``python -m benchmarks.certificates_soundness``.

500 random data sets, γ a relative 1e-6 below a value that a search found: how many are certified
(none may be), and whether those of two and three responses are certified at 1.2 times the largest
value. Then K_data of 10,000 prompts against 50-digit arithmetic at the worst points that the
search finds.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
from mpmath import mpf

from benchmarks.results import save
from sailtheory.certificates.prompts import PromptCertificate, Workers, replay_prompts
from sailtheory.certificates.prompts.branch import PROVED, decide
from sailtheory.certificates.prompts.certificate import Level
from sailtheory.certificates.prompts.points import eta, policy_at, search, top
from sailtheory.certificates.prompts.survey import survey
from sailtheory.problem.reduced import Reduced, ranges
from sailtheory.theory.data_bound import data_bound
from tests.support.prompt_data import Data, data_set

KINDS = ("bt", "ties", "hard", "any")
BELOW, ABOVE = 1e-6, 0.2
_BOXES = 4000


def drawn(seed: int, n: int, most: int = 4) -> tuple[Data, np.random.Generator]:
    """A random data set: m, β, B, centre and preferences vary with the seed."""
    rng = np.random.default_rng(seed)
    m, beta = int(rng.integers(2, most + 1)), float(10 ** rng.uniform(-2, 0))
    radius = float(10 ** rng.uniform(-1, 0.5))
    data = data_set(
        rng, n, m, int(rng.integers(m - 1, 9)), beta=beta, radius=radius, kind=KINDS[seed % 4],
        single=bool(rng.integers(2)),
    )  # fmt: skip
    return data, rng


def soundness(sets: int) -> dict[str, Any]:
    """γ just below a witness, and a fifth above the largest value."""
    wrong = replayed = below = 0
    proved = above = 0
    for seed in range(sets):
        data, rng = drawn(seed, 4)
        made = survey(data)
        (group,) = made.groups
        value, _ = search(group.data, made.beta, rng)
        gamma = float(value.max() - BELOW * abs(value.max()))
        below += 1
        wrong += bool((decide(group.data, made.beta, gamma, _BOXES).verdict == PROVED).all())
        if group.data.responses < 4:  # replay has no budget to end a hopeless search
            claim = PromptCertificate("certified", 4, made.moving, made.digest, (Level(gamma),))
            replayed += group.data.responses == 2 and replay_prompts(claim, data, Workers()).valid
            level = float(value.max() + ABOVE * max(abs(value.max()), 1e-3 * made.beta))
            above += 1
            proved += bool((decide(group.data, made.beta, level, 10**6).verdict == PROVED).all())
    return {
        "data_sets": below,
        "certified_below_a_witness": wrong,
        "replayed_below_a_witness": replayed,
        "of_two_and_three_responses": above,
        "certified_a_fifth_above": proved,
    }


def fifty_digits(prompts: int) -> dict[str, Any]:
    """K_data against the curvature at adversarial θ, in 50 digits."""
    violated, tightest, seen = 0, 0.0, 0
    for seed in range(prompts // 20):
        data, rng = drawn(10_000 + seed, 20, 5)
        (group,) = survey(data).groups
        values = _bound(group.data, data.beta)
        value, point = search(group.data, data.beta, rng)
        for x in range(len(value)):
            theta, v = _witness(data, group.data, x, point[x])
            found = data.curvature(x, theta, v)
            violated += bool(found > mpf(float(values[x])))
            if values[x] > 0:
                tightest = max(tightest, float(found / values[x]))
            seen += 1
    return {"prompts": seen, "violated": violated, "tightest": tightest}


def _bound(data: Reduced, beta: float) -> np.ndarray:
    k, l = np.triu_indices(data.responses, 1)  # noqa: E741
    low, high = ranges(data, beta)
    return data_bound(beta, data.preference[:, k, l], low[:, k, l], high[:, k, l], data.responses)


def _witness(data: Data, made: Reduced, x: int, point: np.ndarray) -> tuple[np.ndarray, ...]:
    """θ inside C and v in R^d next to a point of the unit ball."""
    gaps = (data.features[x, 1:] - data.features[x, :1]).astype(float)
    inverse = np.linalg.pinv(gaps)
    moved = made.reach[x] @ point
    one = made.take(np.array([x]))
    policy = policy_at(one, one.offset + moved)
    _, h = top(policy, eta(one, data.beta, one.offset + moved, policy))
    return data.center + inverse @ moved[1:] * (1 - 1e-9), inverse @ (h[0, 1:] - h[0, 0])


def main() -> None:
    """Run both, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=500)
    parser.add_argument("--prompts", type=int, default=10_000)
    parser.add_argument("--out", help="JSON file to write")
    arguments = parser.parse_args()
    results: dict[str, Any] = {}
    for name, run in (
        ("soundness", lambda: soundness(arguments.sets)),
        ("fifty_digits", lambda: fifty_digits(arguments.prompts)),
    ):
        began = time.process_time()
        results[name] = run() | {"cpu_seconds": time.process_time() - began}
        print(name, json.dumps(results[name]), flush=True)
        save(results, arguments.out)


if __name__ == "__main__":
    main()
