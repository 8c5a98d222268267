"""The steps of C19: the ceiling K(R) on KL(π_ref‖π_θ), and what the bias costs."""

from __future__ import annotations

import numpy as np
import sympy as sp
from flint import arb

from proofs_check.arguments.algebra import vanishes
from proofs_check.evidence.argument import Step
from sailtheory.numeric.enclose import on_balls, supremum
from sailtheory.numeric.numbers import arb_numbers, sympy_numbers
from sailtheory.theory import bounds, formulas

_XP = sympy_numbers()


def _optimality() -> bool:
    """J(θ*) − J(θ*_γ) = γ(KL* − KL_γ) − [J_γ(θ*_γ) − J_γ(θ*)] ≤ γKL*."""
    best, ours, high, low, gamma = sp.symbols("J J_g k k_g gamma")
    slack = (ours - gamma * low) - (best - gamma * high)
    return vanishes(best - ours - (gamma * (high - low) - slack))


def _bregman() -> bool:
    """KL(π_ref‖π_θ) = log E_ref e^a − E_ref a, a = δᵀφ, by the production formula."""
    a = np.array(sp.symbols("a:3", positive=True))
    w = np.array(sp.symbols("w:3", positive=True))
    phi = _XP.log(a)[None, :, None]
    zero, one = np.array([0], dtype=object), np.array([1], dtype=object)
    before = formulas.log_policy(_XP, zero, phi, _XP.log(w)[None])
    after = formulas.log_policy(_XP, one, phi, _XP.log(w)[None])
    ref = w / w.sum()
    value = formulas.kl_ref_policy(ref[None], after - before)[0]
    form = sp.log((ref * a).sum()) - (ref * _XP.log(a)).sum()
    rest = sp.expand_log(sp.expand(value - form), force=True)
    logs = {
        x: sp.expand_log(sp.log(sp.together(x.args[0])), force=True) for x in rest.atoms(sp.log)
    }
    return vanishes(sp.simplify(rest.subs(logs)))


def _two_points() -> bool:
    """The chord of e^a over [0, R], and the maximum over the mean m: K(R), where it is flat."""
    r, m = sp.symbols("R m", positive=True)
    level = sp.log(1 + m / r * (sp.exp(r) - 1)) - m
    peak = 1 - r / (sp.exp(r) - 1)
    flat = sp.simplify(sp.diff(level, m).subs(m, peak)) == 0
    concave = sp.simplify(sp.diff(level, m, 2) + (1 + sp.diff(level, m)) ** 2) == 0
    written = sp.log((sp.exp(r) - 1) / r) - 1 + r / (sp.exp(r) - 1)
    gap = sp.simplify(sp.exp(level.subs(m, peak) - written))
    production = sp.exp(2 * (bounds.bias_range_bound(_XP, r) - written))
    return bool(flat and concave and gap == 1 and sp.simplify(sp.expand_log(production)) == 1)


def _hoeffding() -> bool:
    """f(R) = log(1−p+pe^R) − pR has f(0) = f'(0) = 0, f'' = s(1−s) ≤ ¼: so K ≤ R²/8."""
    r, p, s = sp.symbols("R p s", positive=True)
    f = sp.log(1 - p + p * sp.exp(r)) - p * r
    share = p * sp.exp(r) / (1 - p + p * sp.exp(r))
    start = sp.simplify(f.subs(r, 0)) == 0 and sp.simplify(sp.diff(f, r).subs(r, 0)) == 0
    second = sp.simplify(sp.diff(f, r, 2) - share * (1 - share)) == 0
    return bool(
        start
        and second
        and vanishes(s * (1 - s) - sp.Rational(1, 4) + (s - sp.Rational(1, 2)) ** 2)
    )


def _enclosed() -> bool:
    """K − R²/8 < 0 on [¼, 8] and K − R < 0 on [¼, 64], by branch and bound."""

    def oracle(subtract: str, x: arb) -> tuple[arb, arb]:
        e = x.expm1()
        value = (e / x).log() - 1 + x / e
        slope = 1 + 2 / e - 1 / x - x * (e + 1) / e**2
        if subtract == "square":
            return value - x**2 / 8, slope - x / 4
        return value - x, slope - 1

    square = supremum(on_balls(lambda x: oracle("square", x)), 0.25, 8.0, relative=1e-2)
    line = supremum(on_balls(lambda x: oracle("line", x)), 0.25, 64.0, relative=1e-2)
    at_two = bounds.bias_range_bound(arb_numbers(), arb(2))
    return (
        square.upper < 0
        and line.upper < 0
        and bool((oracle("line", arb(2))[0] + 2).overlaps(at_two))
    )


def _second_order() -> bool:
    """θ_γ = θ* + γH⁻¹k + O(γ²): J(θ*) − J(θ_γ) = ½γ²kᵀ(−H)⁻¹k + o(γ²), d = 2."""
    a, b, c, x, y, gamma = sp.symbols("a b c x y gamma")
    h, k = sp.Matrix([[a, b], [b, c]]), sp.Matrix([x, y])
    move = gamma * h.inv() * k
    stationary = h * move - gamma * k  # ∇J(θ*) + H·move − γ∇KL to first order
    lost = -(move.T * h * move)[0] / 2
    return vanishes(*stationary, lost - gamma**2 * (k.T * (-h).inv() * k)[0] / 2)


STEPS = (
    Step(
        "symbolic",
        "0 ≤ J(θ*) − J(θ*_γ) ≤ γ(KL* − KL_γ) ≤ γKL*, as both are maximisers",
        _optimality,
    ),
    Step(
        "symbolic",
        "KL(π_ref‖π_θ) = log E_ref e^a − E_ref a, a = δᵀφ (m = 3)",
        _bregman,
    ),
    Step(
        "symbolic",
        "at given range the two-point law is worst, and its best mean gives K(R)",
        _two_points,
    ),
    Step(
        "symbolic",
        "K ≤ R²/8 for all R ≥ 0 (Hoeffding), K ≤ R as (e^R−1)/R ≤ e^R",
        _hoeffding,
    ),
    Step(
        "certified",
        "K < R²/8 on [¼, 8] and K < R on [¼, 64]; beyond 8, R ≤ R²/8",
        _enclosed,
    ),
    Step(
        "symbolic",
        "interior θ*: bias = ½γ²∇KLᵀ(−H)⁻¹∇KL + o(γ²) (d = 2)",
        _second_order,
    ),
)
