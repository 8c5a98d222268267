"""Every closed form of the theory, once.

Plain array code over a number system ``xp`` (:mod:`sailtheory.numeric.numbers`). Shapes
use m responses, d parameters, n prompts of equal m, and ``...`` for leading
axes (points θ first, then prompts). Claim ids are those of docs/theory.md.

Every objective here is an expectation of a *pair payoff* G(z) over two
responses, with z_kl = β δᵀ(φ_k − φ_l). Its Hessian is a weighted Laplacian,

    ∇² = ½ Σ_kl w_kl Δ_kl Δ_klᵀ = Φᵀ (diag(w 1) − w) Φ,

with symmetric pair weights w (C02, pair form); the Fisher matrix is the case
w_kl = π_k π_l. The form costs O(m²d + md²), never an (m, m, d) array, and keeps
relative accuracy when the policy is nearly deterministic, where forms in the
scores s = φ − E φ cancel.

Objectives see θ only through the logits θᵀφ(x, y). So gradients are those with respect to
the logits, (..., n, m), and curvature is told by the pair weights, (..., n, m, m); features
enter at the end, once for all prompts (:mod:`sailtheory.theory.pair_form`).
"""

from __future__ import annotations

from functools import cache

from sailtheory.numeric.numbers import Array, NumberSystem, total
from sailtheory.theory import pair_form
from sailtheory.theory.pair_form import logits, pairwise, squared_gaps
from sailtheory.theory.payoff import Payoff

__all__ = [
    "centred",
    "cross_curvature",
    "curvature_gradient",
    "dpo_curvature",
    "expectation",
    "fisher",
    "fisher_gradient",
    "kl_policy_ref",
    "kl_policy_ref_curvature",
    "kl_policy_ref_curvature_gradient",
    "kl_policy_ref_gradient",
    "kl_ref_policy",
    "kl_ref_policy_gradient",
    "log_likelihood_fourth",
    "log_likelihood_payoff",
    "log_likelihood_value",
    "log_policy",
    "margins",
    "off_policy_curvature_gradient",
    "off_policy_gradient",
    "on_policy_gradient",
    "pair_mean",
    "pair_probability",
    "pair_sum",
    "preference_gradient",
    "relative_pair_curvature",
    "response_effect",
    "score_curvature",
    "self_preference_payoff",
    "squared_payoff",
    "stop_gradient_jacobian",
]


# --- policy ------------------------------------------------------------------


def log_policy(xp: NumberSystem, theta: Array, features: Array, log_base: Array) -> Array:
    """log π_θ(y|x), with π_θ ∝ ν exp(θᵀφ): (..., n, m). Theory, section 1."""
    return xp.log_softmax(logits(theta, features) + log_base)


def margins(beta: Array, delta: Array, features: Array) -> Array:
    """z_kl = β δᵀ(φ_k − φ_l), δ = θ − θ_ref: (..., n, m, m). Theory, section 1."""
    return pairwise(logits(delta, features) * beta)


def expectation(weights: Array, values: Array) -> Array:
    """Σ_k weights_k values_k along the last axis."""
    return total(weights * values)


# --- pair payoffs --------------------------------------------------------------


def log_likelihood_payoff(xp: NumberSystem, preference: Array, z: Array) -> Payoff:
    """g + log 2 = q z − log cosh(z/2), with q = p₁₂ − ½ (SAIL, DPO; section 1).

    Its first derivative is u = p₁₂ − σ(z), its second −σ'(z).
    """

    @cache
    def half_tanh() -> Array:
        return xp.tanh(z / 2) / 2

    @cache
    def slope() -> Array:
        return xp.sigmoid(z) * xp.sigmoid(-z)

    return Payoff.lazily(
        lambda: log_likelihood_value(xp, preference, z),
        lambda: preference - half_tanh(),
        lambda: -slope(),
        lambda: 2 * slope() * half_tanh(),
    )


def log_likelihood_value(xp: NumberSystem, preference: Array, z: Array) -> Array:
    """The value alone of :func:`log_likelihood_payoff`, g̃ = g + log 2."""
    return preference * z - xp.log_cosh_half(z)


def log_likelihood_fourth(preference: Array, payoff: Payoff) -> Array:
    """The fourth derivative of :func:`log_likelihood_payoff`: σ'(2σ' − tanh²(z/2))."""
    half_tanh = preference - payoff.first
    slope = -payoff.second
    return 2 * slope * (slope - 2 * half_tanh * half_tanh)


def self_preference_payoff(xp: NumberSystem, z: Array) -> Payoff:
    """−H_b(σ(z)) + log 2: p₁₂ = σ(z) with gradient through it (C06)."""
    half_tanh = xp.tanh(z / 2) / 2
    slope = xp.sigmoid(z) * xp.sigmoid(-z)
    return Payoff(
        value=half_tanh * z - xp.log_cosh_half(z),
        first=slope * z,
        second=slope * (1 - 2 * half_tanh * z),
        third=slope * (z * (12 * half_tanh * half_tanh - 1) / 2 - 4 * half_tanh),
    )


def squared_payoff(preference: Array, z: Array, beta: Array) -> Payoff:
    """−E[(z − ½)²]/β² over the label, up to a constant: (2 q z − z²)/β² − 1/(4β²) (IPO)."""
    scale = 1 / (beta * beta)
    flat = z * 0
    return Payoff(
        value=(2 * preference * z - z * z) * scale,
        first=2 * (preference - z) * scale,
        second=flat - 2 * scale,
        third=flat,
    )


# --- expectations of payoffs -----------------------------------------------------


def pair_mean(policy: Array, payoff: Array) -> Array:
    """E_{k,l~π iid} payoff_kl: (..., m), (..., m, m) to (...)."""
    return expectation(policy, expectation(policy[..., None, :], payoff))


def response_effect(beta: Array, policy: Array, payoff: Payoff) -> Array:
    """f_k = E_l[G_kl + β G'_kl]: how J rises with response k's logit, halved (C02)."""
    return expectation(policy[..., None, :], payoff.value + payoff.first * beta)


def centred(policy: Array, values: Array) -> Array:
    """values_k − E_π values, by pairwise differences: accurate as π degenerates."""
    return expectation(policy[..., None, :], pairwise(values))


def on_policy_gradient(beta: Array, policy: Array, payoff: Payoff) -> Array:
    """∂E_{π⊗π} G by the logits, so that ∇_θ = 2 Cov_π(f, φ) (C01): (..., n, m)."""
    return 2 * policy * centred(policy, response_effect(beta, policy, payoff))


def off_policy_gradient(beta: Array, policy: Array, payoff: Payoff) -> Array:
    """∂E_{μ⊗μ} G by the logits for fixed μ, ∇_θ = 2β E_μ[φ_k E_l G'_kl]: (..., n, m)."""
    return 2 * policy * expectation(policy[..., None, :], payoff.first) * beta


# --- Hessians in pair form (C02) ---------------------------------------------------


def pair_sum(a: Array) -> Array:
    """a_k + a_l: (..., m) to (..., m, m)."""
    return a[..., :, None] + a[..., None, :]


def pair_probability(policy: Array) -> Array:
    """π_k π_l: the pair weights of the Fisher matrix (C07)."""
    return policy[..., :, None] * policy[..., None, :]


def score_curvature(policy: Array, payoff: Payoff) -> Array:
    """Pair form of the score term A (C02): 4(g_k + g_l) − 6ḡ − 2g_kl."""
    effect = expectation(policy[..., None, :], payoff.value)
    mean = expectation(policy, effect)
    return 4 * pair_sum(effect) - 6 * mean[..., None, None] - 2 * payoff.value


def cross_curvature(beta: Array, policy: Array, payoff: Payoff) -> Array:
    """Pair form of the cross term C (C02): 4β(a_k + a_l), a = E_l G'_kl."""
    return pair_sum(expectation(policy[..., None, :], payoff.first)) * (4 * beta)


def dpo_curvature(beta: Array, payoff: Payoff) -> Array:
    """Pair form of the DPO term D (C02): 2β² G''."""
    return payoff.second * (2 * beta * beta)


def relative_pair_curvature(beta: Array, policy: Array, payoff: Payoff) -> Array:
    """η_kl, with ∇²J_x = ½ Σ π_kπ_l η_kl Δ_klΔ_klᵀ (C02)."""
    return (
        score_curvature(policy, payoff)
        + cross_curvature(beta, policy, payoff)
        + dpo_curvature(beta, payoff)
    )


def fisher(policy: Array, features: Array) -> Array:
    """F_x = Cov_π(φ) (C07): (..., n, d, d)."""
    return pair_form.laplacian(pair_probability(policy), features)


def curvature_gradient(beta: Array, policy: Array, payoff: Payoff, along: Array) -> Array:
    """vᵀ(∇²E_{π⊗π} G)v by the logits, for fixed v: the derivative of a simple eigenvalue.

    Args:
        beta: Scalar.
        policy: π, (..., n, m).
        payoff: G and its derivatives, each (..., n, m, m).
        along: vᵀφ, (..., n, m).

    Returns:
        (..., n, m).
    """
    chance = pair_probability(policy)
    mass = chance * squared_gaps(along)
    eta = relative_pair_curvature(beta, policy, payoff)
    effect = response_effect(beta, policy, payoff)
    touched = total(mass)
    whole = total(touched)[..., None]
    slope = payoff.first * beta + payoff.second * (beta * beta)
    both = payoff.value + payoff.first * beta
    reach = touched[..., :, None] * policy[..., None, :]
    on_scores = total(mass * eta) + 4 * (reach * both).sum(-2) - 6 * whole * policy * effect
    pull = 4 * reach * slope
    push = 2 * mass * (payoff.third * beta**3 - payoff.first * beta)
    on_features = total(pull) - pull.sum(-2) + total(push)
    return on_features + on_scores - policy * total(on_scores)[..., None]


def preference_gradient(beta: Array, policy: Array, z: Array, along: Array) -> Array:
    """∂/∂q_kl of vᵀ∇²J_x v, affine in q, along = vᵀφ: (..., n, m, m), antisymmetric (C11).

    Entry kl is the derivative along q_kl = −q_lk, so the maximising preferences are
    p_kl = 1 where it is positive and 0 where it is negative.
    """
    chance = pair_probability(policy)
    mass = chance * squared_gaps(along)
    touched = total(mass)
    whole = total(touched)[..., None, None]
    reach = touched[..., :, None] * policy[..., None, :] * (z + beta)
    return 4 * (reach - reach.mT) - 6 * whole * chance * z - 2 * mass * z


# --- divergences between the policy and its reference --------------------------------


def kl_ref_policy(policy_ref: Array, log_ratio: Array) -> Array:
    """KL(π_ref‖π_θ) = −E_ref log(π_θ/π_ref): (..., n)."""
    return -expectation(policy_ref, log_ratio)


def kl_policy_ref(policy: Array, log_ratio: Array) -> Array:
    """KL(π_θ‖π_ref) = E_θ log(π_θ/π_ref): (..., n)."""
    return expectation(policy, log_ratio)


def kl_ref_policy_gradient(
    xp: NumberSystem, policy: Array, policy_ref: Array, drift: Array
) -> Array:
    """π_θ − π_ref, so that ∇_θ = E_θ φ − E_ref φ (C07): (..., n, m), with drift = δᵀφ.

    π_k − ρ_k = Σ_l (π_kρ_l + ρ_kπ_l) tanh(δᵀΔ_kl / 2), which does not cancel when the
    two policies are close or both almost deterministic.
    """
    cross = policy[..., :, None] * policy_ref[..., None, :]
    moved = (cross + cross.mT) * xp.tanh(pairwise(drift) / 2)
    return total(moved)


def kl_policy_ref_gradient(policy: Array, advance: Array) -> Array:
    """π δᵀs, so that ∇_θ = Fδ = E[δᵀs φ] (C08), with advance = δᵀs: (..., n, m)."""
    return policy * advance


def kl_policy_ref_curvature(advance: Array) -> Array:
    """Pair form of E[(1 + δᵀs) ssᵀ] (C08): 1 + δᵀs_k + δᵀs_l."""
    return 1 + pair_sum(advance)


# --- third derivatives along a direction ---------------------------------------------


def fisher_gradient(policy: Array, along: Array) -> Array:
    """vᵀF v by the logits, ∇_θ = E[(vᵀs)² s], the third cumulant along v: (..., n, m)."""
    score = centred(policy, along)
    return policy * centred(policy, score * score)


def off_policy_curvature_gradient(
    beta: Array, policy: Array, payoff: Payoff, along: Array
) -> Array:
    """vᵀ(∇²E_{μ⊗μ} G)v by the logits, ∇_θ = β³ E[G''' (vᵀΔ)² Δ], for fixed μ: (..., n, m)."""
    mass = pair_probability(policy) * squared_gaps(along)
    return 2 * total(mass * payoff.third) * beta**3


def kl_policy_ref_curvature_gradient(policy: Array, advance: Array, along: Array) -> Array:
    """vᵀE[(1 + δᵀs) ssᵀ]v by the logits, for fixed v: (..., n, m), with advance = δᵀs."""
    score = centred(policy, along)
    square = score * score
    weighted = (1 + advance) * square
    variance = expectation(policy, square)[..., None]
    drift = expectation(policy, advance * score)[..., None]
    on_scores = centred(policy, weighted) + square - variance - advance * variance
    on_scores = on_scores - 2 * score * drift
    return policy * on_scores


# --- self-preference with the gradient stopped (C06) -----------------------------------


def stop_gradient_jacobian(beta: Array, policy: Array, features: Array, payoff: Payoff) -> Array:
    """Jacobian of 2 Cov_π(g, φ) with g_k = E_l G_kl: (..., n, d, d).

    The score part is the symmetric score curvature; the rest, E_kl[φ_k βG'_kl Δ_klᵀ]
    doubled, is not symmetric.
    """
    chance = pair_probability(policy)
    score = pair_form.laplacian(score_curvature(policy, payoff) * chance, features)
    tilt = 2 * chance * payoff.first * beta
    moved = total(tilt)[..., None] * features - tilt @ features
    mean = pair_form.combine(policy, features)[..., None, :]
    return score + (features - mean).mT @ moved
