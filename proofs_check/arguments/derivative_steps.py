"""Steps that several claims share: production derivatives against an independent route."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from proofs_check.symbolic.identities import Sides
from proofs_check.symbolic.settings import Prompt, Setting, outer
from sailtheory.numeric.numbers import Array
from sailtheory.objectives.expectation import BlockObjective, Point
from sailtheory.objectives.sail import SAIL
from sailtheory.theory import formulas
from sailtheory.theory.pair_form import logits


def gradient(kind: type[BlockObjective]) -> Sides:
    """The production gradient against first derivatives of the production value."""
    return lambda at: (at.objective(kind).gradient(at.theta), at.value_gradient(kind))


def hessian(kind: type[BlockObjective]) -> Sides:
    """The production Hessian against second derivatives of the production value."""
    return lambda at: (at.objective(kind).hessian(at.theta), at.value_hessian(kind))


def pair_form(x: Prompt, weight: Callable[[int, int], Any]) -> Array:
    """½ Σ_kl π_kπ_l weight_kl Δ_klΔ_klᵀ."""
    return x.pairs(lambda k, j: outer(x.gap(k, j), x.gap(k, j)) * weight(k, j)) / 2


def fisher_pairs(at: Setting) -> tuple[Array, Array]:
    """F = E ssᵀ = ½ Σ π_kπ_l Δ_klΔ_klᵀ, and the formula that runs."""
    produced = sum(
        (formulas.fisher(p.policy, p.block.features) * p.block.weights[:, None, None]).sum(0)
        for p in at.points()
    )
    stated = at.expect(lambda x: x.fisher), at.expect(lambda x: pair_form(x, lambda k, j: 1))
    return np.stack([produced, produced]), np.stack(stated)


def curvature_slope(kind: type[BlockObjective]) -> Sides:
    """∇(vᵀ∇²v), which searches follow, against the derivative of the production Hessian."""

    def sides(at: Setting) -> tuple[Array, Array]:
        v, moving = at.direction, at.objective_in_motion(kind)
        along = at.gradient(lambda theta: v @ moving.hessian(theta) @ v)
        return at.objective(kind).curvature_gradient(at.theta, v), along

    return sides


def preference_slope(at: Setting) -> tuple[Array, Array]:
    """vᵀ∇²J v is affine in q: its change for q_kl + 1, q_lk − 1 against the slope formula."""
    sail: Any = at.objective(SAIL)
    v, left, right = at.direction, [], []
    for point in at.points():
        block = point.block
        along = logits(v, block.features)
        slope = formulas.preference_gradient(block.beta, point.policy, point.z, along)
        before = v @ sail._hessian(point) @ v
        m = slope.shape[-1]
        for k, j in combinations(range(m), 2):
            step = np.zeros((m, m), dtype=int)
            step[k, j], step[j, k] = 1, -1
            moved = replace(point, block=block._replace(preference=block.preference + step))
            left += [*(v @ sail._hessian(moved) @ v - before), *(slope[:, j, k] + slope[:, k, j])]
            right += [*slope[:, k, j], *(before * 0)]
    return np.array(left, dtype=object), np.array(right, dtype=object)


def payoff_chain(kind: type[BlockObjective]) -> Sides:
    """G', G'', G''' are the derivatives of G, G', G'' in z: ∂_θ = βΔ d/dz."""

    def sides(at: Setting) -> tuple[Array, Array]:
        moved = at.gradient(lambda theta: _parts(at, kind, theta, ("value", "first", "second")))
        chain = np.concatenate([_lift(p) for p in at.points() for _ in range(3)])
        above = static(at, kind, ("first", "second", "third"))
        return moved, chain * above[:, None]

    return sides


def fourth_derivative(at: Setting) -> tuple[Array, Array]:
    """The fourth derivative of SAIL's payoff, which certificates use, against that of the third."""
    moved = at.gradient(lambda theta: _parts(at, SAIL, theta, ("third",)))
    sail: Any = at.objective(SAIL)
    fourth = np.concatenate(
        [
            formulas.log_likelihood_fourth(p.block.preference, sail._payoff(p)).ravel()
            for p in at.points()
        ]
    )
    return moved, np.concatenate([_lift(p) for p in at.points()]) * fourth[:, None]


def _parts(at: Setting, kind: type[BlockObjective], theta: Array, names: tuple[str, ...]) -> Array:
    """Parts of a payoff at θ in motion, block after block."""
    objective: Any = at.objective_in_motion(kind)
    found = [
        getattr(objective._payoff(point), name).ravel()
        for point in objective.points(theta)
        for name in names
    ]
    return np.concatenate(found)


def _lift(point: Point) -> Array:
    """∂z/∂θ = βΔ for every pair of a block."""
    gaps = point.block.features[:, :, None, :] - point.block.features[:, None, :, :]
    return (gaps * point.block.beta).reshape(-1, gaps.shape[-1])


def static(at: Setting, kind: type[Any], names: tuple[str, ...]) -> Array:
    """Parts of a payoff at θ, block after block."""
    objective: Any = at.objective(kind)
    return np.concatenate(
        [getattr(objective._payoff(p), n).ravel() for p in at.points() for n in names]
    )
