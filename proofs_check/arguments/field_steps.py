"""The steps of C36 and of C29's bounds: DV relative to the Fisher matrix, both parts of it."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import sympy as sp

from proofs_check.arguments.algebra import SIZES, OnePrompt, law, mean, one_prompt, vanishes, vector
from proofs_check.arguments.relative_steps import STEPS as RELATIVE
from proofs_check.arguments.relative_steps import payoff
from proofs_check.evidence.argument import Step
from sailtheory.numeric.numbers import Array, sympy_numbers
from sailtheory.theory import field_bound, fields, pair_form
from sailtheory.theory.payoff import Payoff

_XP = sympy_numbers()
_MOMENTS, _AVERAGE = RELATIVE[1], RELATIVE[5]


def _batched(at: OnePrompt) -> Payoff:
    return Payoff(*(part[None] for part in at.payoff))


def _two_terms() -> bool:
    """vᵀDVv in pair form against E[βuPM + β²hM²], for any payoff (m ≤ 3)."""
    for m in SIZES:
        at = one_prompt(m)
        eta = fields.field_curvature(at.beta, at.policy[None], _batched(at))
        form = pair_form.laplacian(eta * at.pairs, at.along[None, :, None])[0, 0, 0]
        p, q = at.total, at.spread
        terms = at.beta * at.payoff.first * p * q + at.beta**2 * at.payoff.second * q * q
        if not vanishes(form - (at.pairs * terms).sum()):
            return False
    return True


def _square() -> bool:
    """bP² + β²u²M²/(4b) − βuPM = (√b P − βuM/(2√b))²."""
    root, u, beta, p, q = sp.symbols("r u beta P M")
    slack = root**2 * p**2 + beta**2 * u**2 * q**2 / (4 * root**2) - beta * u * p * q
    return vanishes(slack - (root * p - beta * u * q / (2 * root)) ** 2)


def _sums_up() -> bool:
    """bE P² + β²(sup)E M² = 2bvᵀFv + 2β² sup · vᵀFv, the production bound."""
    beta, b, top, f = sp.symbols("beta b S f")
    bound = field_bound.payoff_field_bound(beta, b, top)
    return vanishes(b * 2 * f + beta**2 * top * 2 * f - bound * f)


def _ends_of_p() -> bool:
    """u²/(4b) + h is convex in p, u and h affine: at p ∈ {0, 1}, which z → −z exchanges."""
    p, b, z = sp.Symbol("p"), sp.Symbol("b", positive=True), sp.Symbol("z")
    first, second = sp.Function("A"), sp.Function("B")  # G' and G''
    u = p * first(z) - (1 - p) * first(-z)
    h = p * second(z) + (1 - p) * second(-z)
    convex = vanishes(sp.diff(u**2 / (4 * b) + h, p, 2) - sp.diff(u, p) ** 2 / (2 * b))
    at = u**2 / (4 * b) + h
    exchanged = at.subs(p, 0).subs(z, -z) - at.subs(p, 1)
    return convex and vanishes(exchanged)


def _logistic() -> bool:
    """At b = βU/2 the inner function is convex in s = σ(−z), and U gives its largest end."""
    s, up, beta = sp.symbols("s U beta", positive=True)
    b = beta * up / 2
    inner = s**2 / (4 * b) - s * (1 - s)
    curved = vanishes(sp.diff(inner, s, 2) - 1 / (beta * up) - 2)
    ends = inner.subs(s, up) - inner.subs(s, 1 - up) - (2 * up - 1) / (2 * beta * up)
    level = field_bound.payoff_field_bound(beta, b, inner.subs(s, up))
    e = sp.Symbol("E", positive=True)
    closed = field_bound.field_bound(_XP, beta, sp.log(e)).subs(e, up / (1 - up))
    return curved and vanishes(ends, level - closed)


def _payoff_of_sail() -> bool:
    """For G = log σ at p = 1: G' = s, G'' = −s(1 − s), s = σ(−z)."""
    e = sp.Symbol("E", positive=True)
    at, s = payoff(sp.Rational(1, 2), e), 1 / (1 + e)
    return vanishes(at.first - s, at.second + s * (1 - s))


def _attained() -> bool:
    """m = 2, p₁₂ = 1, z = −Z: η = K_V − 4βσ(Z)π₁. No smaller constant will do as π₁ → 0."""
    e, beta, first = sp.symbols("E beta p", positive=True)
    found = payoff(sp.Rational(1, 2), 1 / e)  # of the pair (1, 2) at z = −log E
    policy = np.array([first, 1 - first], dtype=object)
    zero, own = sp.Integer(0), np.empty((2, 2), dtype=object)
    u, w = own.copy(), own.copy()
    u[:] = [[zero, found.first], [-found.first, zero]]
    w[:] = [[-sp.Rational(1, 4), found.second], [found.second, -sp.Rational(1, 4)]]
    made = Payoff(u * 0, u, w, u * 0)
    eta = fields.field_curvature(beta, policy, made)[0, 1]
    sharp = field_bound.field_bound(_XP, beta, sp.log(e))
    return vanishes(eta - sharp + 4 * beta * e / (1 + e) * first)


def _grows() -> bool:
    """dK_V/dZ = 2βσ'(Z)(1 + β(2σ(Z) − 1)) > 0, and the limit is 2β."""
    e, beta = sp.symbols("E beta", positive=True)
    bound = field_bound.field_bound(_XP, beta, sp.log(e))
    up, slope = e / (1 + e), e / (1 + e) ** 2
    rate = vanishes(e * sp.diff(bound, e) - 2 * beta * slope * (1 + beta * (2 * up - 1)))
    return rate and vanishes(sp.limit(bound, e, sp.oo) - field_bound.field_limit(beta))


def _own_intervals() -> bool:
    """In t = ½tanh(z/2), σ' = ¼ − t²: (q − t)²/(4b) + t² − ¼ is convex, so largest at an end."""
    q, t, b = sp.symbols("q t b", positive=True)
    e = sp.Symbol("E", positive=True)
    at = payoff(q, e)
    half = (e - 1) / (2 * (e + 1))
    same = vanishes(at.first - q + half, at.second - half**2 + sp.Rational(1, 4))
    inner = (q - t) ** 2 / (4 * b) + t**2 - sp.Rational(1, 4)
    return same and vanishes(sp.diff(inner, t, 2) - 1 / (2 * b) - 2)


C36_STEPS: tuple[Step, ...] = (
    Step("symbolic", "vᵀDVv = E[βuPM + β²hM²] for any payoff, h = G'' (m ≤ 3)", _two_terms),
    Step("symbolic", "E P² = E M² = 2vᵀF_xv (m ≤ 3)", _MOMENTS.check),
    Step("symbolic", "βuPM ≤ bP² + β²u²M²/(4b) for every b > 0", _square),
    Step("symbolic", "so vᵀDVv ≤ [2b + 2β² sup(u²/(4b) + h)]vᵀF_xv", _sums_up),
    Step("symbolic", "the supremum over p is at p ∈ {0, 1}: G'²/(4b) + G'', |z| ≤ Z", _ends_of_p),
    Step("symbolic", "log σ: G' = σ(−z), G'' = −σ'(z)", _payoff_of_sail),
    Step("symbolic", "log σ, b = βσ(Z)/2: K_V = 2βσ(Z) − 2β²σ'(Z)", _logistic),
    Step("symbolic", "m = 2, p₁₂ = 1, z = −Z: η = K_V − 4βσ(Z)π₁, so K_V is sharp", _attained),
    Step("symbolic", "K_V grows with Z, to 2β", _grows),
    Step("symbolic", "with a prompt's own p and intervals the supremum is at their ends",
         _own_intervals),
    Step("symbolic", "E_x K_xF_x ⪯ (max K_x)F̄: averages are included", _AVERAGE.check),
)  # fmt: skip


# --- all of DV (C29) ----------------------------------------------------------------------


def _directions(m: int) -> tuple[OnePrompt, Array, Array, Array]:
    """A generic prompt and two directions: centred scores (m,) each, and DV on them (2, 2)."""
    at, other = one_prompt(m), vector("r", m)
    both = np.stack([at.along, other], axis=-1)[None]
    made, policy = _batched(at), at.policy[None]
    eta = fields.field_curvature(at.beta, policy, made)
    even = pair_form.laplacian(eta * at.pairs, both)[0]
    odd = fields.field_turning(at.beta, policy, both, made, np.array([sp.Integer(1)]))
    scores = [t - mean(at.policy, t) for t in (at.along, other)]
    return at, *scores, even + odd


def _jacobian() -> bool:
    """vᵀDVw = βE[uM_vP_w] + β²E[hM_vM_w] (m ≤ 3)."""
    for m in SIZES:
        at, s, r, found = _directions(m)
        u, h = at.payoff.first, at.payoff.second
        gap = s[:, None] - s[None]
        both, apart = r[:, None] + r[None], r[:, None] - r[None]
        stated = (at.pairs * (at.beta * u * gap * both + at.beta**2 * h * gap * apart)).sum()
        if not vanishes(found[0, 1] - stated):
            return False
    return True


def _whole() -> bool:
    """βU·2|v||w| + (β²/4)·2|v||w| = K_V⁻|v||w|, from Cauchy and Schwarz with |h| ≤ ¼."""
    beta, e, v, w = sp.symbols("beta E v w", positive=True)
    up = e / (1 + e)
    sum_ = beta * up * 2 * v * w + beta**2 / 4 * 2 * v * w
    quarter = vanishes(sp.Rational(1, 4) - e / (1 + e) ** 2 - ((e - 1) / (2 * (e + 1))) ** 2)
    return quarter and vanishes(sum_ - field_bound.field_lower(_XP, beta, sp.log(e)) * v * w)


def _turning() -> bool:
    """vᵀ(DV − DVᵀ)w = 2βE[u(s₁ᵛs₂ʷ − s₂ᵛs₁ʷ)], and it is 0 for m = 2."""
    for m in SIZES:
        at, s, r, found = _directions(m)
        cross = s[:, None] * r[None] - r[:, None] * s[None]
        odd = found[0, 1] - found[1, 0]
        if not vanishes(odd - 2 * at.beta * (at.pairs * at.payoff.first * cross).sum()):
            return False
        if m == 2 and not vanishes(odd):
            return False
    return True


def _sine() -> bool:
    """|sin t| = 2/π − (4/π)Σ_j cos(2jt)/(4j² − 1): its coefficients, j symbolic.

    ½[sin((2j + 1)t) − sin((2j − 1)t)] = sin t cos 2jt, whose integral over [0, π] is
    1/(2j + 1) − 1/(2j − 1) = −2/(4j² − 1); and Σ 2/(4j² − 1) = 1 telescopes.
    """
    t, j = sp.Symbol("t"), sp.Symbol("j", integer=True, positive=True)
    product = sp.sin(t) * sp.cos(2 * j * t)
    ahead, behind = sp.sin((2 * j + 1) * t), sp.sin((2 * j - 1) * t)
    halves = vanishes(sp.expand_trig(sp.expand(product - (ahead - behind) / 2)).rewrite(sp.exp))
    ends = [sp.integrate(part, (t, 0, sp.pi)) for part in (ahead, behind)]
    integral = vanishes((ends[0] - ends[1]) / 2 + 2 / (4 * j**2 - 1))
    return halves and integral and vanishes(1 / (2 * j - 1) - 1 / (2 * j + 1) - 2 / (4 * j**2 - 1))


def _no_more_than_the_mean() -> bool:
    """Σ c_kc_l cos(2j(φ_k − φ_l)) = (Σ c cos 2jφ)² + (Σ c sin 2jφ)² ≥ 0 (three angles)."""
    c, a = vector("c", 3), vector("a", 3)
    double = sum(x * y * sp.cos(p - q) for x, p in zip(c, a, strict=True)
                 for y, q in zip(c, a, strict=True))  # fmt: skip
    squares = sum(c * [sp.cos(p) for p in a]) ** 2 + sum(c * [sp.sin(p) for p in a]) ** 2
    return vanishes(sp.expand((double - squares).rewrite(sp.exp)))


def _polar() -> bool:
    """xy' − yx' = ρρ' sin(φ' − φ), (Eρ)² ≤ Eρ² = |v|² + |w|²; scaled, 2ab ≤ a² + b² at a = b."""
    r, s, p, q = sp.symbols("r s p q")
    area = r * sp.cos(p) * s * sp.sin(q) - r * sp.sin(p) * s * sp.cos(q)
    planar = vanishes(sp.expand_trig(area - r * s * sp.sin(q - p)))
    weights, length = law("p", 3), vector("l", 3)
    variance = mean(weights, length**2) - mean(weights, length) ** 2
    spread = sum(
        weights[i] * weights[j] * (length[i] - length[j]) ** 2 for i, j in combinations(range(3), 2)
    )
    beta, up, v, w = sp.symbols("beta U v w", positive=True)
    e = sp.Symbol("E", positive=True)
    known = field_bound.field_turning_bound(_XP, beta, sp.log(e), sp.pi).subs(e, up / (1 - up))
    one_sided = 2 * beta * up * (2 / sp.pi) * (v**2 + w**2)  # of vᵀ(DV − DVᵀ)w, twice the part
    at_best: Any = one_sided.subs(w, v) / 2 - known * v * v
    return planar and vanishes(variance - spread, at_best)


C29_BOUNDS: tuple[Step, ...] = (
    Step("symbolic", "vᵀDVw = βE[uM_vP_w] + β²E[hM_vM_w] (m ≤ 3)", _jacobian),
    Step("symbolic", "so |vᵀDVw| ≤ K_V⁻|v||w|, K_V⁻ = 2βσ(Z) + β²/2, |v|² = vᵀF_xv", _whole),
    Step("symbolic", "vᵀ(DV − DVᵀ)w = 2βE[u(s₁ᵛs₂ʷ − s₂ᵛs₁ʷ)], 0 for m = 2", _turning),
    Step("symbolic", "|sin t| = 2/π − (4/π)Σ cos(2jt)/(4j² − 1)", _sine),
    Step("symbolic", "so Σ c_kc_l|sin(φ_k − φ_l)| ≤ (2/π)(Σc)², c ≥ 0", _no_more_than_the_mean),
    Step("symbolic", "so |vᵀ(DV − DVᵀ)w|/2 ≤ a|v||w|, a = (4/π)βσ(Z), averages too", _polar),
)
