"""The steps of C29: one solution, how far it is, and the rates of projected and mirror steps.

T = γ∇KL(π_ref‖π_θ) − V with mF̄ ⪯ sym DT ⪯ ℒF̄ and |vᵀ(DT − DTᵀ)w|/2 ≤ a|v||w|, m = γ − K_V,
ℒ = γ + K_V⁻; A, with ∇A − ∇KL constant and ∇²A = F̄ (C07, C17).
"""

from __future__ import annotations

import sympy as sp

from proofs_check.arguments.algebra import taylor, vanishes, vector
from proofs_check.evidence.argument import Step
from sailtheory.numeric.numbers import sympy_numbers
from sailtheory.theory import bounds, field_bound

_XP = sympy_numbers()


def _one_solution() -> bool:
    """⟨T(p), q − p⟩ ≥ 0 and ⟨T(q), p − q⟩ ≥ 0 add up to ⟨T(p) − T(q), p − q⟩ ≤ 0."""
    p, q, at_p, at_q = (vector(name, 2) for name in ("p", "q", "s", "t"))
    total = (at_p * (q - p)).sum() + (at_q * (p - q)).sum()
    return vanishes(total + ((at_p - at_q) * (p - q)).sum())


def _modulus() -> bool:
    """(γ − K)e^{−DB}λ is what C12's formula gives for any K with sym DV ⪯ KF̄."""
    g, k, d, radius, low = sp.symbols("gamma K D B l", positive=True)
    mu = bounds.strong_concavity(_XP, g, k, d, radius, low)
    return vanishes(mu - (g - k) * bounds.fisher_floor(_XP, d * radius) * low)


def _gap() -> bool:
    """max over C of ⟨−T(θ), y − θ⟩ ≥ ⟨T(θ), θ − θ*⟩ = ⟨T(θ) − T(θ*), θ − θ*⟩ + ⟨T(θ*), θ − θ*⟩."""
    t, best, at_t, at_best = (vector(name, 2) for name in ("t", "b", "s", "r"))
    left = (at_t * (t - best)).sum()
    right = ((at_t - at_best) * (t - best)).sum() + (at_best * (t - best)).sum()
    return vanishes(left - right)


def _both_divergences() -> bool:
    """⟨∇A(x) − ∇A(y), x − y⟩ = D_A(x, y) + D_A(y, x)."""
    at_x, at_y = sp.symbols("Ax Ay")
    slope_x, slope_y, x, y = (vector(name, 2) for name in ("p", "q", "x", "y"))
    one = at_x - at_y - (slope_y * (x - y)).sum()
    other = at_y - at_x - (slope_x * (y - x)).sum()
    return vanishes(one + other - ((slope_x - slope_y) * (x - y)).sum())


def _cocoercive() -> bool:
    """|Ne| ≤ |Se| + a|e| ≤ (√ℒ + a/√m)√(eᵀSe) for m ⪯ S ⪯ ℒ, and Λ_V is D²/4 of its square."""
    s, root, low, a, d = sp.symbols("s L M a D", positive=True)
    square = vanishes(root**2 * s - s**2 - s * (root**2 - s))  # |Se|² ≤ ℒeᵀSe
    smooth = field_bound.monotone_smoothness(_XP, low**2, root**2, a, d)
    return square and vanishes(smooth - d**2 / 4 * (root + a / low) ** 2)


def _projected_step() -> bool:
    """|d − ηt|² = |d|² − 2η⟨t, d⟩ + η²|t|², at most |d|² − η⟨t, d⟩ where |t|² ≤ ⟨t, d⟩/η."""
    eta, inner, square, length, mu = sp.symbols("eta i t d mu", positive=True)
    after = length - 2 * eta * inner + eta**2 * square
    slack = length - eta * inner - after - eta**2 * (inner / eta - square)
    factor = length - eta * mu * length - bounds.contraction(mu, 1 / eta) * length
    return vanishes(slack, factor)


def _three_points() -> bool:
    """D(x, θ) − D(x, y) − D(y, θ) = ⟨∇A(y) − ∇A(θ), x − y⟩."""
    at_x, at_y, at_t = sp.symbols("Ax Ay At")
    slope_y, slope_t, x, y, t = (vector(name, 2) for name in ("p", "q", "x", "y", "t"))
    left = at_x - at_t - (slope_t * (x - t)).sum()
    left -= at_x - at_y - (slope_y * (x - y)).sum()
    left -= at_y - at_t - (slope_t * (y - t)).sum()
    return vanishes(left - ((slope_y - slope_t) * (x - y)).sum())


def _implicit() -> bool:
    """ℒ(D − D⁺ − D_moved) ≥ ⟨T(θ⁺) − T(θ*), θ⁺ − θ*⟩ ≥ mD⁺ leaves D⁺ ≤ D/(1 + m/ℒ)."""
    big, m, before, moved, slack = sp.symbols("L m D Dm s", positive=True)
    after = sp.Symbol("Dp")
    (most,) = sp.solve(big * (before - after - moved) - m * after - slack, after)
    bound = field_bound.implicit_contraction(m, big) * before
    return vanishes(bound - most - (big * moved + slack) / (big + m))


def _exchange() -> bool:
    """T(θ) + ℒ(p⁺ − p) = γ∇KL(θ⁺) − V(θ) + (ℒ − γ)(p⁺ − p), p = ∇A: ∇KL moves with ∇A."""
    big, gamma, p, p_next, ref, v = sp.symbols("L gamma p q r v")
    left = gamma * (p - ref) - v + big * (p_next - p)
    return vanishes(left - gamma * (p_next - ref) + v - (big - gamma) * (p_next - p))


def _transported() -> bool:
    """∫(1 − s)e^{−sR}ds = ϕ(R), and t ↔ 1 − t: D_A(θ, θ⁺) ≤ e^r D_A(θ⁺, θ)."""
    s, size = sp.symbols("s R", positive=True)
    factor = sp.integrate((1 - s) * sp.exp(-s * size), (s, 0, 1))
    phi = (sp.exp(-size) - 1 + size) / size**2
    return vanishes(sp.simplify(factor - phi)) and taylor()


def _young() -> bool:
    """c e^{r/2}√(D⁺/ϕ)√((1 + e^r)D_moved) ≤ κD_moved + c²e^r(1 + e^r)D⁺/(4κϕ)."""
    root, kappa, after, moved = sp.symbols("x kappa p q", positive=True)  # x² = c²e^r(1+e^r)/ϕ
    slack = kappa * moved**2 + root**2 * after**2 / (4 * kappa) - root * after * moved
    return vanishes(slack - (2 * kappa * moved - root * after) ** 2 / (4 * kappa))


def _explicit() -> bool:
    """With κ = ℒ − γ ≥ c²e^r(1 + e^r)/(2mϕ) at most m/2 is lost: D⁺ ≤ D/(1 + m/(2κ))."""
    m, c, r, phi, kappa, before = sp.symbols("m c r phi kappa D", positive=True)
    least = field_bound.explicit_mirror_constant(_XP, m, c, r, phi)
    lost = c**2 * sp.exp(r) * (1 + sp.exp(r)) / (4 * phi * least)
    bound = field_bound.implicit_contraction(m / 2, kappa) * before
    return vanishes(sp.simplify(lost - m / 2), (kappa + m - m / 2) * bound - kappa * before)


SOLUTION: tuple[Step, ...] = (
    Step("symbolic", "sym DT ⪰ mF̄ ⪰ μ on C and S, μ = (γ − K_V)e^{−DB}λ⁺_min(F̄(c))", _modulus),
    Step("symbolic", "two solutions on C would give ⟨T(p) − T(q), p − q⟩ ≤ 0", _one_solution),
    Step("symbolic", "⟨∇A(x) − ∇A(y), x − y⟩ = D_A(x, y) + D_A(y, x)", _both_divergences),
    Step("symbolic", "gap ≥ ⟨T(θ) − T(θ*), θ − θ*⟩ ≥ m[D_A(θ, θ*) + D_A(θ*, θ)]", _gap),
)

PROJECTED: tuple[Step, ...] = (
    Step("symbolic", "‖T(θ) − T(θ*)‖² ≤ Λ_V⟨T(θ) − T(θ*), θ − θ*⟩, from ∫DT along the segment and "
         "∫F̄ ⪯ D²/4", _cocoercive),
    Step("symbolic", "θ⁺ = Proj_C(θ − T(θ)/Λ_V): ‖θ⁺ − θ*‖² ≤ (1 − μ/Λ_V)‖θ − θ*‖²",
         _projected_step),
)  # fmt: skip

MIRROR: tuple[Step, ...] = (
    Step("symbolic", "D(θ*,θ) − D(θ*,θ⁺) − D(θ⁺,θ) = ⟨∇A(θ⁺) − ∇A(θ), θ*−θ⁺⟩", _three_points),
    Step("symbolic", "implicit steps, T at θ⁺: D_A(θ*,θ⁺) ≤ D_A(θ*,θ)/(1 + m/ℒ)", _implicit),
    Step("symbolic", "explicit steps, T at θ: implicit in KL, with ℒ − γ for ℒ", _exchange),
    Step("symbolic", "F̄ changes by e^{±r} along a step of range r; D_A(θ*,θ⁺) ≥ ϕ(R)|θ⁺−θ*|²",
         _transported),
    Step("symbolic", "⟨V(θ) − V(θ⁺), θ⁺−θ*⟩ costs κD(θ⁺,θ) + c²e^r(1+e^r)D(θ*,θ⁺)/(4κϕ)", _young),
    Step("symbolic", "so D_A(θ*,θ⁺) ≤ D_A(θ*,θ)/(1 + m/(2κ)), κ = ℒ − γ", _explicit),
)  # fmt: skip
