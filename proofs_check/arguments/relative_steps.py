"""The steps of C11's proof and of its corollaries, each checked on the production formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp
from flint import arb, ctx

from proofs_check.arguments.algebra import (
    SIZES,
    law,
    mean,
    one_prompt,
    split_logs,
    vanishes,
    vector,
)
from proofs_check.evidence.argument import Ball, Step
from sailtheory.numeric.enclose import on_balls, supremum
from sailtheory.numeric.numbers import sympy_numbers
from sailtheory.theory import bounds, formulas, pair_form
from sailtheory.theory.inner_supremum import c_zero
from sailtheory.theory.payoff import Payoff

_XP = sympy_numbers()


def _three_terms() -> bool:
    """vᵀ∇²J_x v in pair form against the expectation that the proof starts from."""
    b = sp.Symbol("b")
    for m in SIZES:
        at = one_prompt(m)
        g, u, slope = at.payoff.value, at.payoff.first, at.payoff.second
        batched = Payoff(*(part[None] for part in at.payoff))
        eta = formulas.relative_pair_curvature(at.beta, at.policy[None], batched)
        form = pair_form.laplacian(eta * at.pairs, at.along[None, :, None])[0, 0, 0]
        p, q = at.total, at.spread
        terms = (g - b) * p * p + 2 * at.beta * u * p * q + at.beta**2 * slope * q * q
        if not vanishes(form - (at.pairs * terms).sum() - 2 * (b - at.value) * at.variance):
            return False
    return True


def _moments() -> bool:
    prompts = [one_prompt(m) for m in SIZES]
    return all(
        vanishes((at.pairs * part * part).sum() - 2 * at.variance)
        for at in prompts
        for part in (at.total, at.spread)
    )


def _square() -> bool:
    b, g, u, beta, p, q = sp.symbols("b g u beta P M")
    slack = beta**2 * u**2 * q**2 / (b - g) - (g - b) * p**2 - 2 * beta * u * p * q
    return vanishes(slack - (b - g) * (p - beta * u * q / (b - g)) ** 2)


def payoff(preference: Any, growth: Any) -> Payoff:
    """The production payoff at q = p₁₂ − ½ and e^z = ``growth``."""
    return formulas.log_likelihood_payoff(_XP, preference, sp.log(growth))


def _convex() -> bool:
    """(u²/w)'' = 2(u'w − uw')²/w³ for u, w affine in p; g and u are affine."""
    p = sp.Symbol("p")
    at = payoff(p, sp.Symbol("E", positive=True))
    affine = vanishes(sp.diff(at.value, p, 2), sp.diff(at.first, p, 2), sp.diff(at.second, p))
    a, b, c, d = sp.symbols("a b c d")
    u, w = a + b * p, c + d * p
    return affine and vanishes(sp.diff(u**2 / w, p, 2) - 2 * (b * w - u * d) ** 2 / w**3)


def _exchange() -> bool:
    """p = 0 at z is p = 1 at −z; there u²/(b − g) − σ' is the summand of S."""
    e = sp.Symbol("E", positive=True)
    half = sp.Rational(1, 2)
    one, nought = payoff(half, e), payoff(-half, 1 / e)
    same = vanishes(one.first + nought.first, one.second - nought.second)
    u, slope = 1 / (1 + e), e / (1 + e) ** 2
    shown = vanishes(one.first - u, one.second + slope)
    level = one.value - sp.log(e / (1 + e)) - sp.log(2)
    return same and shown and vanishes(split_logs(one.value - nought.value), split_logs(level))


def _average() -> bool:
    """vᵀ(K F̄ − Σ w K_x F_x)v = Σ w (K − K_x) vᵀF_x v ≥ 0 for K = max K_x."""
    w, top, k, f = law("w", 3), sp.Symbol("K"), vector("k", 3), vector("f", 3)
    return vanishes(top * mean(w, f) - mean(w, k * f) - mean(w, (top - k) * f))


def _closed_form() -> bool:
    """2b + log 2 + log(1 + e^Z) + 2β²S = ``sharp_curvature`` at b = log σ(Z) + βσ(Z)."""
    e, beta = sp.symbols("E beta", positive=True)
    z, up = sp.log(e), e / (1 + e)
    ceiling = up / beta - up * (1 - up)
    level = 2 * (sp.log(up) + beta * up) + sp.log(2) + sp.log(1 + e) + 2 * beta**2 * ceiling
    rest = level - bounds.sharp_curvature(_XP, beta, z)
    logs = 3 * z / 2 - _XP.log_cosh_half(z) - z - sp.log(2 * up)
    linear = bounds.linear_curvature(beta, z) - 3 * z / 2 - 4 * beta
    return vanishes(split_logs(rest), split_logs(logs), linear)


def _threshold() -> bool:
    beta, d, radius, offset = sp.symbols("beta D B r", positive=True)
    z = beta * d * (radius + offset)
    form = bounds.closed_form_threshold(beta, d, radius, offset)
    return vanishes(form - bounds.linear_curvature(beta, z))


def _floor() -> bool:
    """½(log 2 + log(1 + e^Z)): 2q(1 − q) ≤ ½ times log(1 + e^Z) − log 2 above log 2."""
    q = sp.Symbol("q")
    e = sp.Symbol("E", positive=True)
    z = sp.log(e)
    gini = vanishes(sp.Rational(1, 2) - 2 * q * (1 - q) - 2 * (q - sp.Rational(1, 2)) ** 2)
    kink = sp.diff(sp.log(1 + e), e) * e  # d/dh of log(1 + e^h), rising
    rising = vanishes(sp.diff(kink, e) * e - e / (1 + e) ** 2) and kink.subs(e, 1) == sp.Rational(
        1, 2
    )
    written = bounds.value_floor(_XP, z) - (sp.log(2) + sp.log(1 + e)) / 2
    return gini and rising and vanishes(split_logs(written))


def _c_zero() -> bool:
    """c₀ enclosed to 10 digits, and attained: the summand exceeds the lower end somewhere."""
    low, high = c_zero()
    with ctx.workprec(128):
        best = max(
            (_summand(arb(t)) for t in np.linspace(0.5, 2.5, 401)), key=lambda ball: float(ball)
        )
        return 0.26201 < low <= high < 0.26202 and high - low < 1e-12 and bool(best < high)


def _summand(t: arb) -> Ball:
    """(1 − s)²/(−ln s) − s(1 − s) at s = e^{−t}."""
    s = (-t).exp()
    return (1 - s) ** 2 / t - s * (1 - s)


def _free_of_radius() -> bool:
    """sup r log(1/r) = 1/e on (0, 1], and K_∞ is the sum that the proof ends with."""
    r, beta, level = sp.symbols("r beta M", positive=True)
    h = -r * sp.log(r)
    peak = vanishes(sp.diff(h, r, 2) + 1 / r, sp.diff(h, r).subs(r, sp.exp(-1)))
    peak = peak and vanishes(h.subs(r, sp.exp(-1)) - sp.exp(-1))
    form = bounds.limit_curvature(_XP, beta, level) - bounds.pointwise_curvature(beta, sp.log(2))
    return peak and vanishes(form - beta * 2 * (level / 2 + 2 * sp.exp(-1)))


def _path() -> bool:
    beta, value = sp.symbols("beta v", positive=True)
    gap = bounds.path_threshold(_XP, beta) - bounds.pointwise_curvature(beta, value)
    return vanishes(gap - 2 * (sp.log(2) - value))


def _lower() -> bool:
    """2β|u||PM| ≤ β|u|(P² + M²), σ' ≤ ¼, and K⁻ is the sum of the three parts."""
    p, m, e, beta = sp.symbols("P M E beta", positive=True)
    young = vanishes(p**2 + m**2 - 2 * p * m - (p - m) ** 2)
    slope = e**2 / (1 + e**2) ** 2  # σ' at z = 2 log E
    quarter = vanishes(sp.Rational(1, 4) - slope - ((1 - e**2) / (2 * (1 + e**2))) ** 2)
    up = e**2 / (1 + e**2)
    parts = 2 * (sp.log(e / (1 + e)) + sp.log(1 + e**2)) + 4 * beta * up + beta**2 / 2
    rest = bounds.lower_curvature(_XP, beta, 2 * sp.log(e)) - parts
    return young and quarter and vanishes(split_logs(rest))


def _summand_at(beta: float, z_range: float) -> Callable[[arb], tuple[arb, arb]]:
    """S's summand and its slope as functions of z, at b = log σ(Z) + βσ(Z)."""
    up = 1 / (1 + (-arb(z_range)).exp())

    def oracle(z: arb) -> tuple[arb, arb]:
        down = 1 / (1 + z.exp())
        slope = down * (1 - down)
        w = up.log() + arb(beta) * up + (1 + (-z).exp()).log()
        rate = -2 * down * slope / w + down**3 / w**2 - slope * (2 * down - 1)
        return down**2 / w - slope, rate

    return oracle


def _below_closed_form() -> bool:
    """In ball arithmetic: S(b) ≤ σ(Z)/β − σ'(Z), an independent look at (i)."""
    beta = 0.1
    for z_range in (0.1, 1.0, 5.0):
        found = supremum(on_balls(_summand_at(beta, z_range)), -z_range, z_range, relative=1e-6)
        up = float(1 / (1 + np.exp(-z_range)))
        if not found.upper <= up / beta - up * (1 - up):
            return False
    return True


STEPS: tuple[Step, ...] = (
    Step(
        "symbolic",
        "vᵀ∇²J_x v = E[(g−b)P² + 2βuPM − β²σ'M²] + 2(b−J_x)vᵀF_x v for every b (m ≤ 3)",
        _three_terms,
    ),
    Step("symbolic", "E P² = E M² = 2vᵀF_x v (m ≤ 3)", _moments),
    Step(
        "symbolic",
        "β²u²M²/(b−g) − (g−b)P² − 2βuPM = (b−g)(P − βuM/(b−g))², and b > log σ(Z) ≥ g",
        _square,
    ),
    Step("symbolic", "u²/(b−g) is convex in p: (u²/w)'' = 2(u'w−uw')²/w³", _convex),
    Step("symbolic", "p = 0 at z is p = 1 at −z, where u²/(b−g) − σ' is S's summand", _exchange),
    Step("symbolic", "E_x K_x F_x ⪯ (max K_x)F̄, as F_x ⪰ 0: prompts to average", _average),
    Step("symbolic", "−J_x ≤ ½(log 2 + log(1+e^Z)): two-point laws, 2q(1−q) ≤ ½", _floor),
    Step(
        "symbolic",
        "(i) b = log σ(Z)+βσ(Z): S ≤ σ(Z)²/(βσ(Z)) − σ'(Z), as σ(−z) ≤ σ(Z), σ'(z) ≥ σ'(Z)",
        _closed_form,
    ),
    Step("certified", "(i) the same S, enclosed for β = .1, Z = .1, 1, 5", _below_closed_form),
    Step("symbolic", "(i) Z ≤ βD(B+‖θ_ref−c‖) gives β(1.5D(B+‖θ_ref−c‖)+4)", _threshold),
    Step("certified", "(ii) b = 0: c₀ = 0.2620… enclosed to 1e-12 by branch and bound", _c_zero),
    Step(
        "symbolic",
        "(iii) −g ≤ log 2 + |z|, E|z| ≤ β(M/2 + 2/e), M = log(1/π_ref,min), r log(1/r) ≤ 1/e",
        _free_of_radius,
    ),
    Step(
        "symbolic",
        "(iv) J_γ ≥ −log 2 implies −J ≤ log 2, so (ii) is below γ; a closed connected set that "
        "is locally convex is convex",
        _path,
    ),
    Step(
        "symbolic",
        "K⁻: b = −log(1+e^Z), J ≤ log σ(E|z|) ≤ log σ(Z/2), |u| ≤ σ(Z), σ' ≤ ¼",
        _lower,
    ),
)

ASSUMES = (
    "C02 (the three terms)",
    "Tietze–Nakajima for (iv)",
    "Jensen for the concave log σ(|z|)",
)
