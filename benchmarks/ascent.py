"""1,000 stochastic runs in one batch against one plain NumPy loop a run."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from sailtheory import SAIL, BradleyTerry, PreferenceProblem
from sailtheory.ascent import FixedBatch, spawn, stochastic_ascent

RUNS, STEPS, BATCH, M, D = 1000, 1000, 16, 8, 4


def plain_run(phi, p, beta, radius, step, steps, rng):
    """One run, vectorised over its batch; θ_ref = c = 0, uniform prompts."""
    n, theta = len(phi), np.zeros(phi.shape[-1])
    for _ in range(steps):
        a = phi @ theta
        pi = np.exp(a - a.max(1, keepdims=True))
        pi /= pi.sum(1, keepdims=True)
        x = rng.integers(n, size=BATCH)
        cdf = np.cumsum(pi, axis=1)[x]
        y = (rng.random((2, BATCH, 1)) >= cdf[:, :-1]).sum(-1)
        one, two = phi[x, y[0]], phi[x, y[1]]
        z = beta * (a[x, y[0]] - a[x, y[1]])
        chance = p[x, y[0], y[1]]
        g = chance * z - np.logaddexp(0, z)
        u = chance - 1 / (1 + np.exp(-z))
        mean = (pi[:, None] @ phi)[x, 0]
        score = (g + np.log(2))[:, None] * (one + two - 2 * mean)
        theta = theta + step * (score + beta * u[:, None] * (one - two)).mean(0)
        norm = np.sqrt(theta @ theta)
        if norm > radius:
            theta *= radius / norm
    return theta


def stochastic_runs(prompts: int = 3, plain_runs: int = 8) -> dict[str, Any]:
    """Seconds a run, measured in this process; the loop on fewer runs, scaled."""
    rng = np.random.default_rng(0)
    phi, rewards = rng.normal(size=(prompts, M, D)) / 2, rng.normal(size=(prompts, M))
    problem = PreferenceProblem(
        features=phi, preferences=[BradleyTerry(r) for r in rewards], beta=0.1, radius=2
    )
    p = 1 / (1 + np.exp(rewards[:, None] - rewards[:, :, None]))
    plan, start = FixedBatch(0.5, BATCH, STEPS), np.zeros(D)
    began = time.perf_counter()
    stochastic_ascent(SAIL(problem), start, plan, spawn(0, RUNS), record=STEPS)
    ours = (time.perf_counter() - began) / RUNS
    began = time.perf_counter()
    for seed in range(plain_runs):
        plain_run(phi, p, 0.1, 2.0, 0.5, STEPS, np.random.default_rng(seed))
    theirs = (time.perf_counter() - began) / plain_runs
    return {
        "peer": "one NumPy loop a run", "prompts": prompts, "runs": RUNS, "peer_runs": plain_runs,
        "seconds": ours, "peer_seconds": theirs, "ratio": theirs / ours, "goal": 20,
    }  # fmt: skip


if __name__ == "__main__":
    for prompts in (1, 2, 4):
        print(stochastic_runs(prompts), flush=True)
