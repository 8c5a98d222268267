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
"""

from __future__ import annotations

from typing import NamedTuple

from sailtheory.numeric.numbers import Array, NumberSystem, without_diagonal

__all__ = [
    "Payoff",
    "centred",
    "combine",
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
    "laplacian",
    "log_likelihood_fourth",
    "log_likelihood_payoff",
    "log_likelihood_value",
    "log_policy",
    "logits",
    "margins",
    "off_policy_curvature_gradient",
    "off_policy_gradient",
    "on_policy_gradient",
    "pair_mean",
    "pair_probability",
    "pair_sum",
    "pairwise",
    "preference_gradient",
    "relative_pair_curvature",
    "response_effect",
    "score_curvature",
    "self_preference_payoff",
    "squared_payoff",
    "stop_gradient_jacobian",
]


class Payoff(NamedTuple):
    """A pair payoff and its derivatives in z, each (..., m, m).

    ``value`` may be shifted by a constant (SAIL's by log 2, so that it vanishes
    at z = 0); ``first`` is antisymmetric in the two responses, ``value``,
    ``second`` are symmetric, ``third`` antisymmetric.
    """

    value: Array
    first: Array
    second: Array
    third: Array


# --- policy ------------------------------------------------------------------


def logits(theta: Array, features: Array) -> Array:
    """θᵀφ(x, y): θ (..., d), features (n, m, d) to (..., n, m)."""
    n, m, d = features.shape
    return (theta @ features.reshape(n * m, d).T).reshape(*theta.shape[:-1], n, m)


def log_policy(xp: NumberSystem, theta: Array, features: Array, log_base: Array) -> Array:
    """log π_θ(y|x), with π_θ ∝ ν exp(θᵀφ): (..., n, m). Theory, section 1."""
    return xp.log_softmax(logits(theta, features) + log_base)


def pairwise(a: Array) -> Array:
    """a_k − a_l: (..., m) to (..., m, m)."""
    return a[..., :, None] - a[..., None, :]


def margins(beta: Array, delta: Array, features: Array) -> Array:
    """z_kl = β δᵀ(φ_k − φ_l), δ = θ − θ_ref: (..., n, m, m). Theory, section 1."""
    return pairwise(logits(delta, features) * beta)


def expectation(weights: Array, values: Array) -> Array:
    """Σ_k weights_k values_k along the last axis."""
    return (weights * values).sum(-1)


# --- pair payoffs --------------------------------------------------------------


def log_likelihood_payoff(xp: NumberSystem, preference: Array, z: Array) -> Payoff:
    """g + log 2 = q z − log cosh(z/2), with q = p₁₂ − ½ (SAIL, DPO; section 1).

    Its first derivative is u = p₁₂ − σ(z), its second −σ'(z).
    """
    half_tanh = xp.tanh(z / 2) / 2
    slope = xp.sigmoid(z) * xp.sigmoid(-z)
    return Payoff(
        value=log_likelihood_value(xp, preference, z),
        first=preference - half_tanh,
        second=-slope,
        third=2 * slope * half_tanh,
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


def on_policy_gradient(beta: Array, policy: Array, features: Array, payoff: Payoff) -> Array:
    """∇E_{π⊗π} G = 2 Cov_π(f, φ) (C01): (..., n, d)."""
    effect = centred(policy, response_effect(beta, policy, payoff))
    return combine(2 * policy * effect, features)


def off_policy_gradient(beta: Array, policy: Array, features: Array, payoff: Payoff) -> Array:
    """∇E_{μ⊗μ} G = 2β E_μ[φ_k E_l G'_kl] for fixed μ: (..., n, d)."""
    return combine(2 * policy * expectation(policy[..., None, :], payoff.first) * beta, features)


def combine(coefficients: Array, features: Array) -> Array:
    """Σ_k coefficients_k φ_k: (..., n, m), (n, m, d) to (..., n, d)."""
    return (coefficients[..., None, :] @ features)[..., 0, :]


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


def laplacian(weights: Array, features: Array) -> Array:
    """½ Σ_kl w_kl Δ_klΔ_klᵀ for symmetric w: (..., n, m, m), (n, m, d) to (..., n, d, d).

    The diagonal w_kk multiplies 0, and would drown the rest where π_k is almost 1.
    """
    between = without_diagonal(weights)
    spread = between.sum(-1)[..., None] * features - between @ features
    return features.mT @ spread


def fisher(policy: Array, features: Array) -> Array:
    """F_x = Cov_π(φ) (C07): (..., n, d, d)."""
    return laplacian(pair_probability(policy), features)


def curvature_gradient(
    beta: Array, policy: Array, features: Array, payoff: Payoff, direction: Array
) -> Array:
    """∇_θ vᵀ(∇²E_{π⊗π} G)v for fixed v: the derivative of a simple eigenvalue.

    Args:
        beta: Scalar.
        policy: π, (..., n, m).
        features: φ, (n, m, d).
        payoff: G and its derivatives, each (..., n, m, m).
        direction: v, (..., d).

    Returns:
        (..., n, d).
    """
    chance = pair_probability(policy)
    mass = chance * pairwise(logits(direction, features)) ** 2
    eta = relative_pair_curvature(beta, policy, payoff)
    effect = response_effect(beta, policy, payoff)
    touched = mass.sum(-1)
    total = touched.sum(-1)[..., None]
    slope = payoff.first * beta + payoff.second * (beta * beta)
    both = payoff.value + payoff.first * beta
    reach = touched[..., :, None] * policy[..., None, :]
    on_scores = (mass * eta).sum(-1) + 4 * (reach * both).sum(-2) - 6 * total * policy * effect
    pull = 4 * reach * slope
    push = 2 * mass * (payoff.third * beta**3 - payoff.first * beta)
    on_features = pull.sum(-1) - pull.sum(-2) + push.sum(-1)
    return combine(on_features + on_scores - policy * on_scores.sum(-1)[..., None], features)


def preference_gradient(
    beta: Array, policy: Array, features: Array, z: Array, direction: Array
) -> Array:
    """∂/∂q_kl of vᵀ∇²J_x v, which is affine in q: (..., n, m, m), antisymmetric (C11).

    Entry kl is the derivative along q_kl = −q_lk, so the maximising preferences are
    p_kl = 1 where it is positive and 0 where it is negative.
    """
    chance = pair_probability(policy)
    mass = chance * pairwise(logits(direction, features)) ** 2
    touched = mass.sum(-1)
    total = touched.sum(-1)[..., None, None]
    reach = touched[..., :, None] * policy[..., None, :] * (z + beta)
    return 4 * (reach - reach.mT) - 6 * total * chance * z - 2 * mass * z


# --- divergences between the policy and its reference --------------------------------


def kl_ref_policy(policy_ref: Array, log_ratio: Array) -> Array:
    """KL(π_ref‖π_θ) = −E_ref log(π_θ/π_ref): (..., n)."""
    return -expectation(policy_ref, log_ratio)


def kl_policy_ref(policy: Array, log_ratio: Array) -> Array:
    """KL(π_θ‖π_ref) = E_θ log(π_θ/π_ref): (..., n)."""
    return expectation(policy, log_ratio)


def kl_ref_policy_gradient(
    xp: NumberSystem, policy: Array, policy_ref: Array, drift: Array, features: Array
) -> Array:
    """E_θ φ − E_ref φ (C07): (..., n, d), with drift = δᵀφ.

    π_k − ρ_k = Σ_l (π_kρ_l + ρ_kπ_l) tanh(δᵀΔ_kl / 2), which does not cancel when the
    two policies are close or both almost deterministic.
    """
    cross = policy[..., :, None] * policy_ref[..., None, :]
    moved = (cross + cross.mT) * xp.tanh(pairwise(drift) / 2)
    return combine(moved.sum(-1), features)


def kl_policy_ref_gradient(policy: Array, advance: Array, features: Array) -> Array:
    """Fδ = E[δᵀs φ] (C08), with advance = δᵀs: (..., n, d)."""
    return combine(policy * advance, features)


def kl_policy_ref_curvature(advance: Array) -> Array:
    """Pair form of E[(1 + δᵀs) ssᵀ] (C08): 1 + δᵀs_k + δᵀs_l."""
    return 1 + pair_sum(advance)


# --- third derivatives along a direction ---------------------------------------------


def fisher_gradient(policy: Array, features: Array, direction: Array) -> Array:
    """∇_θ vᵀF v = E[(vᵀs)² s], the third cumulant along v: (..., n, d)."""
    along = centred(policy, logits(direction, features))
    return combine(policy * centred(policy, along * along), features)


def off_policy_curvature_gradient(
    beta: Array, policy: Array, features: Array, payoff: Payoff, direction: Array
) -> Array:
    """∇_θ vᵀ(∇²E_{μ⊗μ} G)v = β³ E_{μ⊗μ}[G''' (vᵀΔ)² Δ] for fixed μ: (..., n, d)."""
    mass = pair_probability(policy) * pairwise(logits(direction, features)) ** 2
    return combine(2 * (mass * payoff.third).sum(-1) * beta**3, features)


def kl_policy_ref_curvature_gradient(
    policy: Array, advance: Array, features: Array, direction: Array
) -> Array:
    """∇_θ vᵀE[(1 + δᵀs) ssᵀ]v for fixed v: (..., n, d), with advance = δᵀs."""
    along = centred(policy, logits(direction, features))
    square = along * along
    weighted = (1 + advance) * square
    variance = expectation(policy, square)[..., None]
    drift = expectation(policy, advance * along)[..., None]
    on_scores = centred(policy, weighted) + square - variance - advance * variance
    on_scores = on_scores - 2 * along * drift
    return combine(policy * on_scores, features)


# --- self-preference with the gradient stopped (C06) -----------------------------------


def stop_gradient_jacobian(beta: Array, policy: Array, features: Array, payoff: Payoff) -> Array:
    """Jacobian of 2 Cov_π(g, φ) with g_k = E_l G_kl: (..., n, d, d).

    The score part is the symmetric score curvature; the rest, E_kl[φ_k βG'_kl Δ_klᵀ]
    doubled, is not symmetric.
    """
    chance = pair_probability(policy)
    score = laplacian(score_curvature(policy, payoff) * chance, features)
    tilt = 2 * chance * payoff.first * beta
    moved = tilt.sum(-1)[..., None] * features - tilt @ features
    mean = combine(policy, features)[..., None, :]
    return score + (features - mean).mT @ moved
