"""The estimator of C18, by the definitions on a setting and by the production formulas."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from proofs_check.symbolic.identities import Sides
from proofs_check.symbolic.settings import Prompt, Setting
from sailtheory.numeric.numbers import Array
from sailtheory.objectives.expectation import Point
from sailtheory.objectives.sail import SAIL
from sailtheory.theory import formulas, pair_form

# --- by the definitions ----------------------------------------------------------------------


def baselines(at: Setting) -> list[tuple[Prompt, Any]]:
    """Every prompt with an arbitrary number b(x)."""
    return [(x, h[0] + at.constant) for x, h in zip(at.prompts, at.other, strict=True)]


def estimator(x: Prompt, b: Any, k: int, j: int) -> Array:
    """ĝ = (g − b)(s₁ + s₂) + βuΔ at the responses k, j."""
    return (x.scores[k] + x.scores[j]) * (x.g(k, j) - b) + x.gap(k, j) * (x.u(k, j) * x.beta)


def expectation_of(each: Callable[[Prompt, Any, int, int], Array]) -> Sides:
    """The production ∇J against the exact expectation of an estimator with b(x)."""

    def sides(at: Setting) -> tuple[Array, Array]:
        terms = [x.pairs(partial(each, x, b)) * x.weight for x, b in baselines(at)]
        return at.objective(SAIL).gradient(at.theta), sum(terms[1:], terms[0])

    return sides


def squared(a: Array) -> Any:
    """‖a‖²."""
    return (a * a).sum()


def moment(x: Prompt, b: Any) -> Any:
    """E‖ĝ‖² of one prompt."""
    return x.pairs(lambda k, j: squared(estimator(x, b, k, j)))


def spread(at: Setting) -> tuple[Array, Array]:
    """E‖s₁ + s₂‖² and E‖Δ‖² against 2 tr F."""
    left = [part for x in at.prompts for part in spreads(x)]
    right = [np.trace(x.fisher) * 2 for x in at.prompts for _ in range(2)]
    return np.array(left), np.array(right)


def spreads(x: Prompt) -> tuple[Any, Any]:
    """E‖s₁ + s₂‖² and E‖Δ‖² of one prompt."""
    s = x.scores
    return (
        x.pairs(lambda k, j: squared(s[k] + s[j])),
        x.pairs(lambda k, j: squared(x.gap(k, j))),
    )


def numerator(x: Prompt) -> Any:
    """E[g‖s₁ + s₂‖²] + βE[u(‖s₁‖² − ‖s₂‖²)]."""
    s = x.scores

    def each(k: int, j: int) -> Any:
        dpo = (squared(s[k]) - squared(s[j])) * x.u(k, j) * x.beta
        return squared(s[k] + s[j]) * x.g(k, j) + dpo

    return x.pairs(each)


def parabola(top: Callable[[Prompt], Any]) -> Sides:
    """E‖ĝ‖² against E‖ĝ‖² at b = 0, − 2b·top + 2 tr F b²: least at top/(2 tr F)."""

    def sides(at: Setting) -> tuple[Array, Array]:
        left = [moment(x, b) for x, b in baselines(at)]
        right = [
            moment(x, b * 0) - top(x) * b * 2 + np.trace(x.fisher) * b * b * 2
            for x, b in baselines(at)
        ]
        return np.array(left), np.array(right)

    return sides


def computed(at: Setting) -> tuple[Array, Array]:
    """The second moment that instances use against its definition."""
    found = [second_moment(point, at.constant).ravel() for point in at.points()]
    return np.concatenate(found), np.array([moment(x, at.constant) for x in at.prompts])


# --- by the production formulas --------------------------------------------------------------


def estimates(point: Point, baseline: Any) -> Array:
    """ĝ at every pair of every prompt of a block: (..., n, d, m, m)."""
    block = point.block
    payoff = formulas.log_likelihood_payoff(point.xp, block.preference, point.z)
    rows = block.features.mT
    score = formulas.centred(point.policy[..., None, :], rows)
    excess = (payoff.value - point.xp.log_2() - baseline)[..., None, :, :]
    dpo = (payoff.first * block.beta)[..., None, :, :]
    return np.asarray(excess * formulas.pair_sum(score) + dpo * pair_form.pairwise(rows))


def second_moment(point: Point, baseline: Any) -> Array:
    """E‖ĝ‖² of every prompt of a block: (..., n)."""
    each = estimates(point, baseline)
    return formulas.pair_mean(point.policy, (each * each).sum(-3))
