"""The steps of C37: thresholds of self-play with a general preference."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from proofs_check.arguments.algebra import SIZES, law, leads, mean, vanishes, vector
from proofs_check.evidence.argument import Step
from sailtheory.numeric.numbers import Array
from sailtheory.theory import field_bound, fields, formulas, pair_form
from sailtheory.theory.payoff import Payoff


def _form(policy: Array, eta: Array, along: Array) -> Any:
    pairs = policy[:, None] * policy[None, :]
    return pair_form.laplacian(eta * pairs, along[None, :, None])[0, 0, 0]


def _game() -> bool:
    """The game's Jacobian [[−P₁₁, −P₁₂], [P₂₁, P₂₂]]: the cross terms cancel in its form (m ≤ 3).

    P(π + ε) to second order along (v, w), log-linear policies; P₁₂ = P₂₁ᵀ is a mean of s₁s₂ᵀ.
    """
    for m in SIZES:
        first, other, v, w = law("p", m), law("o", m), vector("t", m), vector("r", m)
        q = leads(m)
        s, r = v - mean(first, v), w - mean(other, w)
        mixed = sum(first[k] * other[j] * q[k, j] * s[k] * r[j] for k in range(m) for j in range(m))
        own = mean(first, (q @ other) * (s**2 - mean(first, s**2)))
        theirs = mean(other, (first @ q) * (r**2 - mean(other, r**2)))
        whole = -own - mixed + mixed + theirs
        eta = fields.score_mean_curvature(first[None], (q @ other)[None])
        eta_other = fields.score_mean_curvature(other[None], (first @ q)[None])
        if not vanishes(whole + _form(first, eta, v) - _form(other, eta_other, w)):
            return False
    return True


def _range_one() -> bool:
    """r − E r ≤ max r − min r ≤ 1 for r = P(· ≻ π') in [0, 1]; the other player's −(r − E r)."""
    policy, r = law("p", 3), vector("r", 3)
    lead = r[0] - mean(policy, r)
    return vanishes(lead - sum(policy[k] * (r[0] - r[k]) for k in range(3)))


def _two_responses() -> bool:
    """m = 2: r₁ − r₂ = q₁₂, whatever the opponent is: the range is at most ½."""
    other, q = law("o", 2), leads(2)
    r = q @ other
    return vanishes(r[0] - r[1] - q[0, 1])


def _game_is_sharp() -> bool:
    """m ≥ 3: opponent on y₃, y₁ ≻ y₃ ≻ y₂, own chances e, 1 − e, 0: the ratio is 1 − 2e."""
    e = sp.Symbol("e", positive=True)
    policy, r = np.array([e, 1 - e], dtype=object), np.array([sp.Integer(1), sp.Integer(0)])
    along = np.array([sp.Integer(1), sp.Integer(0)])
    eta = fields.score_mean_curvature(policy[None], r[None])
    ratio = _form(policy, eta, along) / formulas.fisher(policy[None], along[None, :, None])[0, 0, 0]
    return vanishes(sp.simplify(ratio) - 1 + 2 * e)


def _field() -> bool:
    """Against itself: sym DV = E[(r − ½)ssᵀ], E[q s₁s₂ᵀ] antisymmetric, |r − ½| ≤ ½ (m ≤ 3)."""
    for m in SIZES:
        policy, v, q = law("p", m), vector("t", m), leads(m)
        s = v - mean(policy, v)
        lead = q @ policy
        level = mean(policy, lead)  # V − ½
        cross = sum(
            policy[k] * policy[j] * q[k, j] * s[k] * s[j] for k in range(m) for j in range(m)
        )
        # d/dτ Σ π_k a_k s_k along v, π' = πs, a' = q(πs), s' = −E s²
        derivative = mean(policy, s * lead * s) + cross - mean(policy, lead) * mean(policy, s**2)
        eta = formulas.pair_sum(lead[None])
        if not vanishes(level, cross, derivative - _form(policy, eta, v)):
            return False
    return True


def _linear_payoff() -> bool:
    """V is the field of G(z) = z over 4β, so C36 gives 2β/4β = ½."""
    beta = sp.Symbol("beta", positive=True)
    policy, q = law("p", 3), leads(3)
    zero = 0 * q
    made = Payoff(zero[None], (2 * q)[None], zero[None], zero[None])
    other = formulas.off_policy_gradient(beta, policy[None], made)[0] / (4 * beta)
    bound = field_bound.payoff_field_bound(beta, beta / 2, 1 / (4 * beta / 2)) / (4 * beta)
    return vanishes(*(other - policy * (q @ policy)), bound - sp.Rational(1, 2))


def _field_is_sharp() -> bool:
    """m = 2, y₁ ≻ y₂, chance e: the ratio is ½ − e."""
    e = sp.Symbol("e", positive=True)
    policy = np.array([e, 1 - e], dtype=object)
    q = np.array([[0, sp.Rational(1, 2)], [-sp.Rational(1, 2), 0]], dtype=object)
    along = np.array([sp.Integer(1), sp.Integer(0)])
    eta = formulas.pair_sum((q @ policy)[None])
    ratio = _form(policy, eta, along) / formulas.fisher(policy[None], along[None, :, None])[0, 0, 0]
    return vanishes(sp.simplify(ratio) - sp.Rational(1, 2) + e)


C37_STEPS: tuple[Step, ...] = (
    Step("symbolic", "two players: the form of the game's Jacobian is that of −∇₁²P and ∇₂²P; what "
         "couples them cancels (m ≤ 3)", _game),
    Step("symbolic", "each is a mean reward: −∇₁²P ⪰ −(range of P(· ≻ π'))F₁ ⪰ −F₁ (C30)",
         _range_one),
    Step("symbolic", "m = 2: the range is |q₁₂| ≤ ½", _two_responses),
    Step("symbolic", "m ≥ 3: the ratio is 1 − 2e at chances e, 1 − e: 1 is sharp", _game_is_sharp),
    Step("symbolic", "against itself: sym DV = E[(r − ½)ssᵀ] ⪯ ½F (m ≤ 3)", _field),
    Step("symbolic", "V is the field of G(z) = z over 4β: C36 gives the ½", _linear_payoff),
    Step("symbolic", "m = 2: the ratio is ½ − e: ½ is sharp", _field_is_sharp),
)  # fmt: skip
