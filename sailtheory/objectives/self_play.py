"""Self-play with a general preference: the game of two policies, and its diagonal (C37)."""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from sailtheory.errors import InputError
from sailtheory.numeric.enclose import float_above
from sailtheory.numeric.numbers import Array, arb_numbers
from sailtheory.objectives.expectation import Point
from sailtheory.objectives.fields import OnlineDPO, ScoreMean
from sailtheory.objectives.target import CurvatureBounds, nothing_moves
from sailtheory.problem.fields import no_preferences
from sailtheory.problem.preferences import centred_all
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory import fields, formulas
from sailtheory.theory.payoff import Payoff

__all__ = ["SELF_PLAY_BOUND", "SelfPlay", "WinsAgainst", "no_objective", "self_play_bounds"]

SELF_PLAY_BOUND = 0.5
"""K and K⁻ of self-play's field: −½F̄ ⪯ sym DV ⪯ ½F̄, sharp above (C37)."""


class SelfPlay(OnlineDPO):
    """V = E_{y₁,y₂~π_θ}[P(y₁ ≻ y₂)s₁], what self-play follows against a copy of itself.

    The field of the payoff G(z) = z without its score term, over 4β. ``gradient`` is V,
    ``jacobian`` DV, the Hessian that of DV's symmetric part, E[(r − ½)ssᵀ], r = P(· ≻ π_θ).
    """

    def _lead(self, at: Point) -> Array:
        """A_k = P(y_k ≻ π_θ) − ½: (..., n, m)."""
        return formulas.expectation(at.policy[..., None, :], at.block.preference)

    def _payoff(self, at: Point) -> Payoff:
        """G(z) = z/4β: u = 2q/4β."""
        q = at.block.preference + 0 * at.z
        flat = 0 * q
        return Payoff(flat, q / (2 * at.block.beta), flat, flat)

    def _value(self, at: Point) -> NoReturn:
        raise InputError("objective", type(self).__name__, "an objective with a value is expected")

    def _gradient(self, at: Point) -> Array:
        return at.policy * self._lead(at)

    def _eta(self, at: Point) -> Array:
        return formulas.pair_sum(self._lead(at))

    def _curvature_gradient(self, at: Point, along: Array) -> Array:
        return fields.field_curvature_gradient(at.block.beta, at.policy, self._payoff(at), along)

    def jacobian(self, theta: Array) -> Array:
        """∂V_i/∂θ_j: (..., d, d)."""

        def turning(at: Point) -> Array:
            block = at.block
            return fields.field_turning(
                block.beta, at.policy, block.features, self._payoff(at), block.weights
            )

        return self.hessian(theta) + self._total(turning, theta, width=self.problem.dimension)


class WinsAgainst(ScoreMean):
    """P(π_θ ≻ π_θ') for a fixed opponent θ': what one player of the game ascends.

    Args:
        problem: With preferences.
        opponent: θ', (d,).

    Raises:
        InputError: The problem states no preferences.
    """

    def __init__(self, problem: PreferenceProblem, opponent: np.ndarray) -> None:
        super().__init__(problem)
        if not getattr(problem, "states_preferences", True):
            raise no_preferences(repr(problem))
        self.opponent = np.asarray(opponent, dtype=float)

    def on(self, problem: PreferenceProblem) -> WinsAgainst:
        """The same opponent on another problem."""
        return WinsAgainst(problem, self.opponent)

    def _scores(self, at: Point) -> Array:
        other = formulas.log_policy(
            at.xp, at.xp.asarray(self.opponent), at.block.features, at.block.log_base
        )
        half = at.xp.asarray(0.5)
        return formulas.expectation(at.xp.exp(other)[..., None, :], at.block.preference) + half


def self_play_bounds(problem: PreferenceProblem) -> CurvatureBounds | None:
    """sym DV = E[(r − ½)ssᵀ] ⪯ (max p − ½)F̄ ⪯ ½F̄, prompt by prompt (C37).

    Returns:
        None where S = {0}.
    """
    if nothing_moves(problem):
        return None
    leads = []
    for x in range(problem.prompts):
        q = centred_all([problem.preferences[x]], arb_numbers())
        leads.append(max(float_above(each) for each in q.ravel()))
    prompts = np.clip(leads, 0.0, SELF_PLAY_BOUND)
    return CurvatureBounds(
        SELF_PLAY_BOUND, float(prompts.max()), prompts, SELF_PLAY_BOUND, claims="C37",
        scope="whatever the preferences, the problem and B",
        data_claims="the largest preference of each prompt (C37)",
    )  # fmt: skip


def no_objective(problem: PreferenceProblem) -> NoReturn:
    """Refuse self-play where an objective with a value is needed.

    Raises:
        InputError: Always.
    """
    accepted = "one that has a value: self-play follows a field, of which check (with KL) tells"
    raise InputError("objective", "self-play", accepted)
