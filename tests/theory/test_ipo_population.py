"""IPO's population form (C35 vi), typed afresh: labels are differences of two win rates."""

from __future__ import annotations

import numpy as np
import pytest


def bound(beta, z):
    return (1 + z) ** 2 / beta**2 + 4


def ratio(beta, height, policy, wins, along):
    """J″ over the variance of the direction, by differences of fourth order."""

    def at(e):
        odds = policy * np.exp(along * e)
        pi, moved = odds / odds.sum(), height + beta * along * e
        label = wins[:, None] - wins
        loss = ((moved[:, None] - moved - label) / beta) ** 2
        return -pi @ loss @ pi

    h = 1e-3
    f = [at(s * h) for s in (-2, -1, 0, 1, 2)]
    variance = policy @ along**2 - (policy @ along) ** 2
    return (-f[0] + 16 * f[1] - 30 * f[2] + 16 * f[3] - f[4]) / (12 * h * h) / variance


@pytest.mark.parametrize(("beta", "z"), [(0.1, 1.0), (0.25, 2.0), (1.0, 1.0)])
def test_no_policy_needs_more_and_half_is_needed(beta, z):
    rng, found = np.random.default_rng(0), []
    for _ in range(400):
        m = int(rng.integers(2, 5))
        height, wins = rng.uniform(0, z, m), rng.random(m)
        found.append(ratio(beta, height, rng.dirichlet(np.ones(m) / 3) + 1e-9, wins,
                           rng.normal(size=m)))  # fmt: skip
    for third in np.linspace(0, z, 21):
        height, policy = np.array([0, z, third]), np.array([0.5, 0.5, 1e-6])
        for last in (0.0, 0.5, 1.0):
            wins = np.array([1.0, 0.0, last])
            found.append(ratio(beta, height, policy / policy.sum(), wins, np.eye(3)[2]))
    assert 0.45 * bound(beta, z) < max(found) < bound(beta, z)
