"""The steps of C33 and C34: KL(π_θ‖π_ref) with rewards, and the k3 term of libraries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp
from flint import arb

from proofs_check.arguments.algebra import SIZES, law, mean, vanishes, vector
from proofs_check.evidence.argument import Ball, Step, certain_sign
from sailtheory.numeric.numbers import Array, sympy_numbers
from sailtheory.theory import fields, formulas, reward_bounds

_XP = sympy_numbers()


def _linear_gradient() -> bool:
    """r = wᵀφ + c: ∇V − γFδ = −γF(θ − θ*), θ* = θ_ref + w/γ, as both run (m ≤ 3)."""
    gamma, c = sp.symbols("gamma c", positive=True)
    for m in SIZES:
        policy, best, drift, along = law("p", m), vector("b", m), vector("d", m), vector("t", m)
        rewards = gamma * best + c  # wᵀφ with w = γ(θ* − θ_ref); ``drift`` is δᵀφ
        reward = fields.score_mean_gradient(policy[None], rewards[None])[0]
        advance = formulas.centred(policy[None], drift[None])
        pull = formulas.kl_policy_ref_gradient(policy[None], advance)[0]
        left = drift - best  # (θ − θ*)ᵀφ
        covariance = mean(policy, left * along) - mean(policy, left) * mean(policy, along)
        if not vanishes(mean(reward - gamma * pull, along) + gamma * covariance):
            return False
    return True


def _gap() -> bool:
    """V − γKL(π‖π_ref) = γlog Z − γKL(π‖π*) + c, π* ∝ π_ref e^{r/γ}: J* − J = γKL(π‖π*)."""
    gamma = sp.Symbol("gamma", positive=True)
    for m in SIZES:
        policy = law("p", m)
        log_ref, tilt, level = vector("l", m), vector("b", m), sp.Symbol("Z")
        log_best = log_ref + tilt - level  # r/γ = tilt
        log_now = vector("n", m)
        here = mean(policy, gamma * tilt) - gamma * mean(policy, log_now - log_ref)
        if not vanishes(here - gamma * level + gamma * mean(policy, log_now - log_best)):
            return False
    return True


def _kappa() -> bool:
    """(e^x − 1 − x)/x² rises: its derivative's numerator n has n(0) = n'(0) = 0, n'' = xe^x."""
    x = sp.Symbol("x", real=True)
    kappa = reward_bounds.inverse_path_factor(_XP, x)
    top = sp.simplify(sp.diff(kappa, x) * x**3)
    flat = top.subs(x, 0) == 0 == sp.diff(top, x).subs(x, 0)
    return bool(flat) and vanishes(sp.diff(top, x, 2) - x * sp.exp(x))


def _cumulant() -> bool:
    """E X = 0: log E e^X ≤ E e^X − 1 = E(e^X − 1 − X) ≤ κ(R)E X², X ≤ R; log y ≤ y − 1."""
    policy, x = law("p", 3), vector("x", 3)
    centred = x - mean(policy, x)
    extra = mean(policy, np.array([sp.exp(c) for c in centred])) - 1
    shifted = mean(policy, np.array([sp.exp(c) - 1 - c for c in centred]))
    y = sp.Symbol("y", positive=True)
    tangent = y - 1 - sp.log(y)
    convex = vanishes(sp.diff(tangent, y, 2) - 1 / y**2)
    flat = tangent.subs(y, 1) == 0 == sp.diff(tangent, y).subs(y, 1)
    return bool(sp.simplify(sp.expand(extra - shifted)) == 0 and convex and flat)


def _pl() -> bool:
    """‖γFe‖² ≥ γ²λ eᵀFe ≥ 2μ·gap with gap ≤ γκ eᵀFe and μ = γλ/(2κ)."""
    gamma, lam, kappa, form = sp.symbols("gamma lam kappa f", positive=True)
    modulus = reward_bounds.realisable_modulus(gamma, lam, kappa)
    return vanishes(gamma**2 * lam * form - 2 * modulus * gamma * kappa * form)


def _sharp() -> bool:
    """X = R(1 − q), −Rq with chances q, 1 − q: log E e^X/Var X → κ(R) as q → 0."""
    q, r = sp.symbols("q R", positive=True)
    top = sp.log(q * sp.exp(r * (1 - q)) + (1 - q) * sp.exp(-r * q))
    # To first order in q: log E e^X = q(e^R − 1 − R) + O(q²), Var X = R²q(1 − q).
    slope = sp.diff(top, q).subs(q, 0)
    spread = sp.diff(r**2 * q * (1 - q), q).subs(q, 0)
    kappa = reward_bounds.inverse_path_factor(_XP, r)
    return bool(sp.simplify(top.subs(q, 0)) == 0 and sp.simplify(slope / spread - kappa) == 0)


def _natural() -> bool:
    """θ − ηF⁻¹γF(θ − θ*) − θ* = (1 − ηγ)(θ − θ*)."""
    eta, gamma, e = sp.symbols("eta gamma e")
    return vanishes(e - eta * gamma * e - (1 - eta * gamma) * e)


def _slope(policy: Array, hits: Array, phi: Array) -> tuple[Any, Any]:
    """V′ and Var φ along one feature, as they run; KL(π‖π_ref)′ = θ Var φ for θ_ref = 0."""
    rise = mean(fields.score_mean_gradient(policy[None], hits[None])[0], phi)
    advance = formulas.centred(policy[None], phi[None])
    return rise, mean(formulas.kl_policy_ref_gradient(policy[None], advance)[0], phi)


def _no_threshold() -> bool:
    """φ = 0, ε, 1, 1 + ε, reward 1 on the last, uniform π_ref: two maxima for every γ > ½.

    As ε → 0 the slope is σ′(1)(½ ± γ) at θ = ∓1. At θ = c/(γε), with u = e^{−θ}, it is
    εσ′(c/γ)(1 − c) up to terms of order u/ε, and u/ε³ → 0: positive for c < 1, negative beyond.
    """
    eps, gamma, c, u = sp.symbols("e gamma c u", positive=True)
    hits = np.array([0, 0, 0, 1], dtype=object)
    for theta in (1, -1):
        flat = np.array([sp.Integer(x) for x in (0, 0, 1, 1)])
        mass = np.array([sp.exp(theta * x) for x in flat])
        rise, spread = _slope(mass / mass.sum(), hits, flat)
        bell = sp.E / (1 + sp.E) ** 2
        if sp.simplify(rise - gamma * theta * spread - bell * (sp.Rational(1, 2) - theta * gamma)):
            return False
    y = sp.Symbol("y", positive=True)  # e^{c/γ}
    mass = np.array([u, u * y, sp.Integer(1), y], dtype=object)
    phi = np.array([sp.Integer(0), eps, sp.Integer(1), 1 + eps], dtype=object)
    rise, spread = (part.subs(u, 0) for part in _slope(mass / mass.sum(), hits, phi))
    bell = y / (1 + y) ** 2
    theta = c / (gamma * eps)
    gone = sp.limit(sp.exp(-1 / eps) / eps**3, eps, 0, "+") == 0
    return vanishes(rise - gamma * theta * spread - eps * bell * (1 - c)) and bool(gone)


C33_STEPS: tuple[Step, ...] = (
    Step("symbolic", "r = wᵀφ + c: the gradient is −γF̄(θ − θ*), θ* = θ_ref + w/γ (m ≤ 3)",
         _linear_gradient),
    Step("symbolic", "J(θ*) − J(θ) = γE KL(π_θ‖π_θ*) (m ≤ 3)", _gap),
    Step("symbolic", "κ(x) = (e^x − 1 − x)/x² rises", _kappa),
    Step("symbolic", "so KL(π_θ‖π_θ*) = log E_π e^{−X} ≤ κ(R)Var X, X = (θ − θ*)ᵀφ centred",
         _cumulant),
    Step("symbolic", "so ‖∇J‖² ≥ 2μ(J* − J), μ = γλ⁺_min(F̄)/(2κ(R))", _pl),
    Step("symbolic", "κ is sharp: a rare response reaches it", _sharp),
    Step("symbolic", "natural steps contract θ − θ* by exactly 1 − ηγ", _natural),
    Step("symbolic", "not linear: φ = 0, ε, 1, 1 + ε, r = 0, 0, 0, 1 has two maxima for every "
         "γ > ½, ε small enough", _no_threshold),
)  # fmt: skip


# --- k3 (C34) -----------------------------------------------------------------------------


def _token(policy: Array, ref: Array, along: Array) -> tuple[Any, Any]:
    """The slope of k3's mean along v at a state, samples held fixed, and ∇KL(π_ref‖π)."""
    score = along - mean(policy, along)
    odds = ref / policy
    # d/dv (u − log u − 1) = (1 − u)s, as d log π = s and u = π_ref/π.
    return mean(policy, (1 - odds) * score), mean(policy, along) - mean(ref, along)


def _k3() -> bool:
    """E_π[∇k3] = E_π φ − E_ref φ = ∇KL(π_ref‖π) (m ≤ 3)."""
    u = sp.Symbol("u", positive=True)
    slope = vanishes(-u * sp.diff(u - sp.log(u) - 1, u) - (1 - u))
    pairs = (_token(law("p", m), law("q", m), vector("t", m)) for m in SIZES)
    return slope and all(vanishes(a - b) for a, b in pairs)


def _two_states() -> bool:
    """Two tokens: the mean over samples is Σ_s d_θ(s)∇KL(π_ref(·|s)‖π_θ(·|s)), d_θ held fixed."""
    first, first_ref, along = law("p", 2), law("q", 2), vector("t", 2)
    seconds = [(law(a, 2), law(b, 2), vector(c, 2)) for a, b, c in ("abc", "def")]
    drawn, stated = sp.Integer(0), _token(first, first_ref, along)[1]
    score = along - mean(first, along)
    for k, (policy, ref, move) in enumerate(seconds):
        inner = move - mean(policy, move)
        for j in range(2):
            terms = (1 - first_ref[k] / first[k]) * score[k] + (1 - ref[j] / policy[j]) * inner[j]
            drawn += first[k] * policy[j] * terms
        stated += first[k] * _token(policy, ref, move)[1]
    return vanishes(drawn - stated)


def _corrected() -> bool:
    """E[k3·s + (1 − u)s] = −E[log u · s] = ∇KL(π‖π_ref) at a state, as it runs (m ≤ 3)."""
    for m in SIZES:
        policy, odds, log_odds, along = law("p", m), vector("u", m), vector("l", m), vector("t", m)
        score = along - mean(policy, along)
        k3 = odds - log_odds - 1
        drawn = mean(policy, (k3 + 1 - odds) * score)
        advance = formulas.centred(policy[None], -log_odds[None])
        wanted = mean(formulas.kl_policy_ref_gradient(policy[None], advance)[0], along)
        if not vanishes(drawn - wanted):
            return False
    return True


def _repair() -> bool:
    """vᵀC v ≤ √χ²·√(a b) ≤ ½√χ²(a + b): the Jacobian is F_1 + E F_2 + C, C = E[g s₁ᵀ].

    g = E_π φ − E_ref φ at the second token: (v·g)² ≤ χ²(π_ref‖π)vᵀF_2v (m ≤ 3).
    """
    for m in SIZES:
        policy, ref, along = law("p", m), law("q", m), vector("t", m)
        score = along - mean(policy, along)
        chi = mean(policy, (ref / policy - 1) ** 2)
        gap = mean(policy, along) - mean(ref, along)
        lagrange = sum(
            policy[i] * policy[j]
            * ((ref[i] / policy[i] - 1) * score[j] - (ref[j] / policy[j] - 1) * score[i]) ** 2
            for i in range(m) for j in range(i)
        )  # fmt: skip
        if not vanishes(chi * mean(policy, score**2) - gap**2 - lagrange):
            return False
    a, b = sp.symbols("a b", positive=True)
    return vanishes((a**2 + b**2) / 2 - a * b - (a - b) ** 2 / 2)


def _trap_limit() -> bool:
    """C34's trap at θ = τ/γ, γ → ∞: the field has a limit whose sign alternates at four τ."""
    x, tau, far, up, q = sp.symbols("x tau E S q", positive=True)  # x = 1/γ
    rare = q * x**2 / 80
    phi = (sp.Integer(0), sp.Integer(1), -20 / x)
    start = (1 - q - rare, q, rare)
    mass = (start[0], q * sp.exp(tau * x), rare * far)  # far = e^{−20τ}, up = σ(400τ)
    chance = [m / sum(mass) for m in mass]
    now, ref = (sum(a * b for a, b in zip(p, phi, strict=True)) for p in (chance, start))
    pull = (now - ref + chance[2] * (400 / x) * (up - sp.Rational(1, 2))) / x
    field = sp.limit(sp.expand(chance[1] * (1 - now) - pull), x, 0)
    stated = q * (1 - q) * (1 - tau) + q * (far - 1) / 4 - 5 * q * far * (up - sp.Rational(1, 2))
    if sp.simplify(field - stated) != 0:
        return False

    def limit(at: str) -> Callable[[], Ball]:
        def ball() -> Ball:
            t = arb(at)
            gone, high = (-20 * t).exp(), 1 / (1 + (-400 * t).exp())
            return arb("0.99") * (1 - t) + (gone - 1) / 4 - 5 * gone * (high - arb("0.5"))

        return ball

    signs = [certain_sign(limit(at)) for at in ("-0.1", "0.0096", "0.19", "6")]
    return signs == [1, -1, 1, -1]


C34_STEPS: tuple[Step, ...] = (
    Step("symbolic", "one token: E_π[∇k3], samples held fixed, is ∇KL(π_ref‖π_θ) (m ≤ 3)", _k3),
    Step("symbolic", "two tokens: Σ_s d_θ(s)∇KL(π_ref(·|s)‖π_θ(·|s)), d_θ held fixed", _two_states),
    Step("symbolic", "with the importance ratio it is ∇KL(π_θ(·|s)‖π_ref(·|s)) (m ≤ 3)",
         _corrected),
    Step("symbolic", "two tokens: sym of its Jacobian ⪰ (1 − ½√χ²)F_seq, as |v·g| ≤ √(χ² vᵀF_2v)",
         _repair),
    Step("certified", "a field with rewards in [0, 1] that has two stable zeros for every γ large "
         "enough", _trap_limit),
)  # fmt: skip
