"""Two ways along a field: updates of a constant rate from θ_ref, and from many starts to an end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from studies.reward_kl.arms import Fields
from studies.reward_kl.world import DIMENSION, Array, projected

CURVE = (0, 5, 10, 20, 50, 100, 200)
LONGEST_STEP = 0.5
STILL = 1e-6
ROUNDS = 600


def learn(fields: Fields, rates: Array) -> dict[int, Array]:
    """θ after each number of updates of ``CURVE``, from θ_ref: rates (K,) to (P, K, d) each."""
    theta = np.zeros((*fields.own.shape[1:], DIMENSION))
    found = {0: theta}
    for update in range(1, CURVE[-1] + 1):
        theta = projected(theta + rates[:, None] * fields.at(theta)[0])
        if update in CURVE:
            found[update] = theta
    return found


def settle(fields: Fields, theta: Array) -> tuple[Array, Array]:
    """Where projected steps come to rest, and what is left of the field there.

    A step is taken if the field at its end still points forward along it, and is then made
    longer; otherwise it is halved. No objective is asked for, so that all fields are treated alike.
    A problem is left when all its trajectories rest.
    """
    end = theta.copy()
    rate = np.full(theta.shape[:-1], 0.5)
    field = fields.at(theta)[0]
    left = _left(theta, field)
    active = np.arange(len(theta))
    now, part = theta.copy(), fields
    for _ in range(ROUNDS):
        step = rate[..., None] * field
        length = np.linalg.norm(step, axis=-1, keepdims=True)
        tried = projected(now + step * np.minimum(1, LONGEST_STEP / np.maximum(length, 1e-300)))
        there = part.at(tried)[0]
        good = ((there * (tried - now)).sum(-1) >= 0)[..., None]
        now, field = np.where(good, tried, now), np.where(good, there, field)
        rate = np.clip(np.where(good[..., 0], 1.5 * rate, rate / 2), 1e-9, 1e5)
        rest = _left(now, field)
        end[active], left[active] = now, rest
        on = rest.max(1) > STILL
        if not on.any():
            break
        if not on.all():
            active, now, field, rate = active[on], now[on], field[on], rate[on]
            part = replace(fields).only(active)
    return end, left


def _left(theta: Array, field: Array) -> Array:
    """‖P(θ + g) − θ‖: 0 at a solution on C."""
    found: Array = np.linalg.norm(projected(theta + field) - theta, axis=-1)
    return found
