"""The steps of C30 and C31: rewards relative to the Fisher matrix, method by method."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp

from proofs_check.arguments.algebra import SIZES, exponential, law, mean, vanishes, vector
from proofs_check.arguments.relative_steps import STEPS as RELATIVE
from proofs_check.evidence.argument import Step
from sailtheory.numeric.numbers import Array, sympy_numbers
from sailtheory.theory import bernstein, fields, formulas, pair_form, pass_rate
from sailtheory.theory.reward_methods import STDS, group_deviation, reward_method
from sailtheory.theory.reward_slopes import Slopes

_XP = sympy_numbers()
AVERAGE = RELATIVE[5]
V, W = sp.symbols("V W", positive=True)  # a pass rate and 1 − V where the step says so


def _form(eta: Array, policy: Array, along: Array) -> Any:
    """½Σ π_kπ_l η_kl(t_k − t_l)², as it runs."""
    weights = eta * formulas.pair_probability(policy)
    return pair_form.laplacian(weights, along[None, :, None])[0, 0, 0]


def _parts(m: int) -> tuple[Array, Array, Array, Any, Array]:
    """π, r, t, V and the centred score along t, all free."""
    policy, rewards, along = law("p", m), vector("r", m), vector("t", m)
    return policy, rewards, along, mean(policy, rewards), along - mean(policy, along)


def _curvature() -> bool:
    for m in SIZES:
        policy, rewards, along, value, score = _parts(m)
        eta = fields.score_mean_curvature(policy[None], rewards[None])
        stated = mean(policy, (rewards - value) * score**2)
        if not vanishes(_form(eta, policy, along) - stated):
            return False
    return True


def _both_sides() -> bool:
    """(top − V)F − ∇²V = E[(top − r)s²], ∇²V + (V − low)F = E[(r − low)s²]."""
    top, low = sp.symbols("T L")
    for m in SIZES:
        policy, rewards, along, value, score = _parts(m)
        eta = fields.score_mean_curvature(policy[None], rewards[None])
        form, fisher = _form(eta, policy, along), mean(policy, score**2)
        above = (top - value) * fisher - form - mean(policy, (top - rewards) * score**2)
        below = form + (value - low) * fisher - mean(policy, (rewards - low) * score**2)
        if not vanishes(above, below):
            return False
    return True


def _approached() -> bool:
    """φ = 1, −1, 0, rewards 1, 1, 0, π = q/2, q/2, 1 − q: ∇²V = (1 − q)F, and q → 0."""
    q = sp.Symbol("q", positive=True)
    policy = np.array([q / 2, q / 2, 1 - q], dtype=object)
    rewards, along = (np.array([sp.Integer(x) for x in row]) for row in ((1, 1, 0), (1, -1, 0)))
    eta = fields.score_mean_curvature(policy[None], rewards[None])
    return vanishes(_form(eta, policy, along) - (1 - q) * mean(policy, along**2))


def _tilted() -> bool:
    """(log(top − V) + KL(π_ref‖π))″ = F − V″/(top − V) − (V′/(top − V))² = Var_π̃ t ≥ 0."""
    top = sp.Symbol("T")
    for m in SIZES:
        policy, rewards, along, value, score = _parts(m)
        left = top - value
        eta = fields.score_mean_curvature(policy[None], rewards[None])
        slope = mean(fields.score_mean_gradient(policy[None], rewards[None])[0], along)
        bend = mean(policy, score**2) - _form(eta, policy, along) / left - (slope / left) ** 2
        tilted = policy * (top - rewards) / left
        spread = mean(tilted, along**2) - mean(tilted, along) ** 2
        if not vanishes(bend - spread):
            return False
    return True


def _inside() -> bool:
    """V − p ≥ γ KL with γ ≥ top − p: log((top − V)/(top − p)) ≤ −(V − p)/(top − p) ≤ −KL."""
    value, p, top, kl, extra = sp.symbols("V p T K e", positive=True)
    gamma = top - p + extra
    slack = (value - p) / (top - p) - kl  # with V − p = γ KL + more
    at = slack.subs(value, p + gamma * kl)
    return exponential() and vanishes(at - extra * kl / (top - p))


def _two_tokens() -> bool:
    """∇²V = E[(top − r)(ΣF_s − SSᵀ)] and ∇²KL(π_ref‖π_θ) = F_1 + E_ref F_2, along one θ."""
    t, a, b0, b1, top = sp.symbols("t a b0 b1 T")
    reward = sp.symbols("r0:4")
    first = 1 / (1 + sp.exp(-a * t))
    second = [1 / (1 + sp.exp(-b * t)) for b in (b0, b1)]
    firsts, slopes = (1 - first, first), (b0, b1)
    value, wanted = sp.Integer(0), sp.Integer(0)
    for i in (0, 1):
        for j in (0, 1):
            chance = firsts[i] * (second[i] if j else 1 - second[i])
            value += chance * reward[2 * i + j]
            score = a * (i - first) + slopes[i] * (j - second[i])
            fisher = a**2 * first * (1 - first) + slopes[i] ** 2 * second[i] * (1 - second[i])
            wanted += chance * (top - reward[2 * i + j]) * (fisher - score**2)
    found = sp.diff(value, t, 2) - wanted
    return bool(sp.simplify(sp.together(found.rewrite(sp.exp))) == 0)


def _prefix_ratio() -> bool:
    """ρΣ d_ref(s)F_s − Σ d_θ(s)F_s = Σ (ρd_ref(s) − d_θ(s))F_s, each term ≥ 0."""
    rho = sp.Symbol("rho")
    now, ref, fisher = (vector(name, 3) for name in "dqF")
    gap = rho * mean(ref, fisher) - mean(now, fisher)
    return vanishes(gap - mean(rho * ref - now, fisher))


C30_STEPS: tuple[Step, ...] = (
    Step("symbolic", "∇²V_x = E[(r − V_x)ssᵀ] (m ≤ 3)", _curvature),
    Step("symbolic", "(r_max − V)F − ∇²V = E[(r_max − r)ssᵀ] ⪰ 0, ∇²V + (V − r_min)F ⪰ 0",
         _both_sides),
    Step("symbolic", "E_x K_xF_x ⪯ (max K_x)F̄: averages are included", AVERAGE.check),
    Step("symbolic", "two tied best responses, opposite features: ∇²V = (1 − V)F, V → 0",
         _approached),
    Step("symbolic", "log(r_max − V) + KL(π_ref‖π_θ) has Hessian Cov of π(r_max − r)/(r_max − V)",
         _tilted),
    Step("symbolic", "γ ≥ r_max − p: {J_γ ≥ J_γ(θ_ref)} lies in the convex set where that is at "
         "most log(r_max − p), on which V ≥ p and J_γ is concave", _inside),
    Step("symbolic", "two tokens: ∇²V = E[(r_max − r)(ΣF_s − SSᵀ)], so |∇²V| ⪯ range·F_seq",
         _two_tokens),
    Step("symbolic", "F_seq = Σ d_θ(s)F_s ⪯ ρΣ d_ref(s)F_s = ρ∇²KL(π_ref‖π_θ)", _prefix_ratio),
)  # fmt: skip


# --- f of the pass rate (C31) -------------------------------------------------------------


def _chain() -> bool:
    """η of f(V) as it runs: f'E[(r − V)s²] + f''(E[(r − V)s])² (m ≤ 3)."""
    first, second = sp.symbols("f1 f2")
    slope, bend = (np.array([x], dtype=object) for x in (first, second))
    for m in SIZES:
        policy, rewards, along, value, score = _parts(m)
        eta = pass_rate.pass_rate_curvature(slope, bend, policy[None], rewards[None])[0]
        lead = mean(policy, (rewards - value) * score)
        stated = first * mean(policy, (rewards - value) * score**2) + second * lead**2
        gradient = pass_rate.pass_rate_gradient(slope, policy[None], rewards[None])[0]
        if not vanishes(_form(eta, policy, along) - stated, mean(gradient, along) - first * lead):
            return False
    return True


def by_logits(value: Any, free: Array, policy: Array) -> Array:
    """The derivative by each logit of a function of free chances: ∂π_k/∂ℓ_l = π_k(δ_kl − π_l)."""
    at = dict(zip(free, policy, strict=True))
    parts = np.array([sp.diff(value, q).subs(at) for q in free], dtype=object)
    return np.asarray(policy * (parts - mean(policy, parts)))


def _third() -> bool:
    """The gradient of vᵀ∇²f(V)v, as it runs, is its derivative (m ≤ 3).

    For f = V, V²/2 and V³/6, which give every triple of derivatives, and vᵀφ up to a shift.
    """
    value = sp.Symbol("V")
    for m, power in itertools.product(SIZES, (1, 2, 3)):
        f = value**power / sp.factorial(power)
        parts = [sp.diff(f, value, k) for k in (1, 2, 3)]

        def slopes(at: Any, parts: list[Any] = parts) -> Slopes:
            return Slopes(*(np.array([p.subs(value, at)], dtype=object) for p in parts))

        hits = np.array([1] + [0] * (m - 1), dtype=object)
        free = np.array(sp.symbols(f"q0:{m}", positive=True), dtype=object)
        policy, along = law("p", m), np.array([*sp.symbols(f"t1:{m}"), sp.Integer(0)])
        first, second, _ = slopes(mean(free, hits))
        eta = pass_rate.pass_rate_curvature(first, second, free[None], hits[None])[0]
        found = pass_rate.pass_rate_curvature_gradient(
            slopes(mean(policy, hits)), policy[None], hits[None], along[None]
        )[0]
        if not vanishes(*(found - by_logits(_form(eta, free, along), free, policy))):
            return False
    return True


def _decomposed() -> bool:
    """∇²f(V) = w(Cov_c − Cov_w) + V(1 − V)w'ΔΔᵀ, F = V Cov_c + (1 − V)Cov_w + V(1 − V)ΔΔᵀ.

    Two correct and two wrong responses, of shares a and b within each.
    """
    a, b, first, second = sp.symbols("a b f1 f2")
    policy = np.array([V * a, V * (1 - a), (1 - V) * b, (1 - V) * (1 - b)], dtype=object)
    hits, along = np.array([1, 1, 0, 0], dtype=object), vector("t", 4)
    slope, bend = (np.array([x], dtype=object) for x in (first, second))
    eta = pass_rate.pass_rate_curvature(slope, bend, policy[None], hits[None])[0]
    gap = a * along[0] + (1 - a) * along[1] - b * along[2] - (1 - b) * along[3]
    right, wrong = (c * (1 - c) * (x - y) ** 2
                    for c, x, y in ((a, *along[:2]), (b, *along[2:])))  # fmt: skip
    weight = V * (1 - V)
    turn = (1 - 2 * V) * first + weight * second
    stated = weight * first * (right - wrong) + weight * turn * gap**2
    fisher = V * right + (1 - V) * wrong + weight * gap**2
    known = mean(policy, along**2) - mean(policy, along) ** 2
    return vanishes(_form(eta, policy, along) - stated, known - fisher)


def _of_groups() -> bool:
    """f' of GRPO is E[(k/G)(1 − k/G)/(σ_k + ε)]/(V(1 − V)), σ_k as stated (G ≤ 6)."""
    for group, std, epsilon in itertools.product(range(2, 7), STDS, (0, Fraction(3, 10))):
        found = reward_method("grpo", group, std, epsilon).slope(_XP, V, W)
        total = sp.Integer(0)
        for k in range(1, group):
            over = group**2 if std == "population" else group * (group - 1)
            sigma = sp.sqrt(sp.Rational(k * (group - k), over)) + sp.Rational(epsilon)
            gain = sp.Rational(k * (group - k), group**2) / sigma
            total += sp.binomial(group, k) * V ** (k - 1) * W ** (group - k - 1) * gain
        gaps = sp.Poly(sp.expand(found - total), V, W).coeffs()
        if not all(sp.radsimp(gap) == 0 for gap in gaps):
            return False
    return True


def _update_of_a_group() -> bool:
    """k correct of G, A = (r − k/G)/d: E[(1/G)ΣA_is_i] = (k/G)(1 − k/G)Δ/d, ∇V = V(1 − V)Δ."""
    k, g, d, right, wrong = sp.symbols("k G d c w", positive=True)
    share = k / g
    update = (k * (1 - share) / d * right - (g - k) * share / d * wrong) / g
    score = right * V + wrong * (1 - V)  # E s = 0 in both
    lead = V * (1 - V) * right + (1 - V) * (0 - V) * wrong
    return vanishes(
        update - share * (1 - share) * (right - wrong) / d,
        lead - V * (1 - V) * (right - wrong), sp.diff(score, right) - V,
    )  # fmt: skip


def _falls() -> bool:
    """(1 − V)f' falls: its Bernstein coefficients do. For G ≤ 64 they are compared exactly.

    GRPO's are (1 − 1/G)/(G − 1) over (σ_k + ε)/(G − k), a sum of two that rise: the square of the
    first is k/(G − k) up to a factor. MaxRL's are (T − j)/(j + 1).
    """
    for size in range(2, 65):
        grpo = [Fraction(k, size - k) for k in range(1, size)]
        maxrl = [Fraction(size - j, j + 1) for j in range(size)]
        rises = all(a < b for a, b in itertools.pairwise(grpo))
        if not (rises and all(a > b for a, b in itertools.pairwise(maxrl))):
            return False
    coefficients = vector("b", 4)
    polynomial = (1 - V) * bernstein.evaluate(list(coefficients), V, 1 - V)
    lifted = [b * sp.Rational(4 - i, 4) for i, b in enumerate(coefficients)] + [sp.Integer(0)]
    slope = bernstein.evaluate(bernstein.derivative(lifted), V, 1 - V)
    same = polynomial - bernstein.evaluate(lifted, V, 1 - V)
    flat = bernstein.derivative([coefficients[0]])[0]
    return vanishes(same, sp.diff(polynomial, V) - slope, flat)


def _below_its_path() -> bool:
    """w = V a, a = (1 − V)f': w' = a + V a' ≤ a; w = (1 − V)b, b = Vf': −w' = b − (1 − V)b' ≤ b."""
    f = sp.Function("f")
    slope = sp.diff(f(V), V)
    path, back = (1 - V) * slope, V * slope
    turn = (1 - 2 * V) * slope + V * (1 - V) * sp.diff(slope, V)
    return vanishes(turn - path - V * sp.diff(path, V), -turn - back + (1 - V) * sp.diff(back, V))


def _constants() -> bool:
    """K = f'(0): √(G − 1), (G − 1)/√G, (G − 1)/(√(G − 1) + Gε); the same at the other end."""
    epsilon = Fraction(3, 10)
    e = sp.Rational(epsilon)
    for g in (2, 3, 5, 8, 16):
        stated = {
            ("population", 0): sp.sqrt(g - 1),
            ("sample", 0): (g - 1) / sp.sqrt(g),
            ("population", epsilon): (g - 1) / (sp.sqrt(g - 1) + g * e),
            ("sample", epsilon): (g - 1) / (sp.sqrt(g) + g * e),
        }
        for (std, extra), k in stated.items():
            method = reward_method("grpo", g, std, extra)
            found = (method.threshold(_XP) - k, method.lower(_XP) - k)
            if not all(sp.radsimp(gap) == 0 for gap in found):
                return False
    others = {"reward": (1, 1), "dr-grpo": (sp.Rational(7, 8),) * 2, "maxrl": (8, 1)}
    return all(
        vanishes(method.threshold(_XP) - k, method.lower(_XP) - low)
        for name, (k, low) in others.items()
        for method in [reward_method(name, 8)]
    )


def _pass_at() -> bool:
    """pass@k: −w' = k(1 − V)^{k−1}((k + 1)V − 1) is largest at V = 2/(k + 1); MaxRL by its sum."""
    for k in range(2, 9):
        method = reward_method("pass-at-k", k)
        turn = method.turn(_XP, V, 1 - V)
        if not vanishes(turn + k * (1 - V) ** (k - 1) * ((k + 1) * V - 1)):
            return False
        slope = sp.factor(sp.diff(-turn, V))
        if not vanishes(slope - k * (1 - V) ** (k - 2) * (2 * k - k * (k + 1) * V)):
            return False
        if not vanishes((-turn).subs(V, sp.Rational(2, k + 1)) - method.lower(_XP)):
            return False
        sums = reward_method("maxrl", k).slope(_XP, V, 1 - V)
        if not vanishes(sums - sum((1 - V) ** j for j in range(k))):
            return False
    return True


def _drawn_again() -> bool:
    """Dynamic sampling: (1 − V)f' = E*[σ_k/k]·(1 − V^{G−1})/q, both factors falling.

    E* weighs k by k times its chance; N = ΣV^i, i < G − 1: q/(1 − V^{G−1}) =
    1 + (V^{G−1} − (1 − V)^{G−1})/N.
    """
    for group in range(2, 7):
        whole = sum(V**i for i in range(group - 1))
        q = 1 - V**group - (1 - V) ** group
        ratio = q / (1 - V ** (group - 1))
        if not vanishes(ratio - 1 - (V ** (group - 1) - (1 - V) ** (group - 1)) / whole):
            return False
        method = reward_method("dynamic-sampling", group)
        sized = sum(
            math.comb(group, k) * V**k * (1 - V) ** (group - k)
            * group_deviation(_XP, group, k) for k in range(1, group)
        )  # fmt: skip
        if not vanishes(method.path(_XP, V, 1 - V) * V * q - sized):
            return False
    return True


def _fixed_point() -> bool:
    """The correct responses' share of f'π(r − V) = γ(π − π_ref): V(1 − V)f' = γ(V − p).

    With γ = f' = 1 that is V² = p.
    """
    slope, gamma, p = sp.symbols("s g p", positive=True)
    policy = law("q", 3)
    hits = np.array([1, 1, 0], dtype=object)
    value = mean(policy, hits)
    pushed = pass_rate.pass_rate_gradient(
        np.array([slope], dtype=object), policy[None], hits[None]
    )[0]
    root = V * (1 - V) - (V - p)
    share = mean(pushed, hits) - slope * value * (1 - value)
    rising = sp.diff(gamma * (1 - p / V), V) - gamma * p / V**2
    return vanishes(share, root - (p - V**2), rising)


def _along_the_path() -> bool:
    """f(V) − f(p) = ∫_p^V a/(1 − v) ≤ a(p)log((1 − p)/(1 − V)); ≥ γKL with γ > a(p) as in C30."""
    v, top = sp.symbols("v a", positive=True)
    integral = -top * sp.log(1 - v)
    return vanishes(sp.diff(integral, v) - top / (1 - v))


C31_STEPS: tuple[Step, ...] = (
    Step("symbolic", "∇²f(V) = f'E[(r − V)ssᵀ] + f''∇V∇Vᵀ, as it runs (m ≤ 3)", _chain),
    Step("symbolic", "the gradient of vᵀ∇²f(V)v that runs is its derivative (m ≤ 3)", _third),
    Step("symbolic", "= w(Cov_c − Cov_w) + V(1 − V)w'ΔΔᵀ, F = V Cov_c + (1 − V)Cov_w + "
         "V(1 − V)ΔΔᵀ: eigenvalues (1 − V)f', −Vf', w' on tabular features", _decomposed),
    Step("symbolic", "a group with k correct moves by (k/G)(1 − k/G)Δ/d_k, ∇V = V(1 − V)Δ",
         _update_of_a_group),
    Step("symbolic", "f'_G = E[(k/G)(1 − k/G)/(σ_k + ε)]/(V(1 − V)), both deviations (G ≤ 6)",
         _of_groups),
    Step("exact", "(1 − V)f' falls: Bernstein coefficients (1 − 1/G)(G − k)/((G − 1)(σ_k + ε))",
         _falls),
    Step("symbolic", "so w' ≤ (1 − V)f'; where Vf' rises, −w' ≤ Vf'", _below_its_path),
    Step("exact", "K = f'(0) = √(G − 1), (G − 1)/√G, (G − 1)/(√(G − 1) + Gε), 1 − 1/G, T",
         _constants),
    Step("symbolic", "pass@k: K⁻ = k((k − 1)/(k + 1))^{k−1}; MaxRL: f' = Σ_{j<T}(1 − V)^j",
         _pass_at),
    Step("symbolic", "dynamic sampling: (1 − V)f' is a product of two that fall (G ≤ 6)",
         _drawn_again),
    Step("symbolic", "tabular maximiser: V − p = V(1 − V)f'/γ; one root, as (1 − V)f' falls and "
         "γ(1 − p/V) rises; √p for f = V, γ = 1", _fixed_point),
    Step("symbolic", "f(V) − f(p) ≤ (1 − p)f'(p)log((1 − p)/(1 − V)): C30's path version holds for "
         "γ > (1 − p)f'(p)", _along_the_path),
    Step("symbolic", "E_x K_xF_x ⪯ (max K_x)F̄: averages are included", AVERAGE.check),
)  # fmt: skip
