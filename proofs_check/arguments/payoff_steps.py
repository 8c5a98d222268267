"""The steps of C35: the curvature of any pair payoff relative to the Fisher matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from proofs_check.arguments.algebra import law, mean, vanishes, vector
from proofs_check.arguments.relative_steps import STEPS as RELATIVE
from proofs_check.evidence.argument import Step
from sailtheory.numeric.numbers import sympy_numbers
from sailtheory.theory import formulas, payoff_bound
from sailtheory.theory.bounds import relative_bound
from sailtheory.theory.payoff import Payoff
from sailtheory.theory.payoffs import PairPayoff, named_payoff, pair_payoff

_XP = sympy_numbers()
_TERMS, _MOMENTS, _SQUARE, _AVERAGE = RELATIVE[0], RELATIVE[1], RELATIVE[2], RELATIVE[5]


def _ends_of_p() -> bool:
    """u²/(b − g) + h is convex in p as g, u, h are affine; z → −z exchanges p = 0 and p = 1."""
    p, b, z = sp.symbols("p b z")
    value, first, second = (sp.Function(name) for name in "GAB")
    g = p * value(z) + (1 - p) * value(-z)
    u = p * first(z) - (1 - p) * first(-z)
    h = p * second(z) + (1 - p) * second(-z)
    at, w = u**2 / (b - g) + h, b - g
    curved = sp.diff(at, p, 2) - 2 * (sp.diff(u, p) * w - u * sp.diff(w, p)) ** 2 / w**3
    return vanishes(sp.simplify(curved), at.subs(p, 0).subs(z, -z) - at.subs(p, 1))


def _as_it_runs() -> bool:
    """p₁₂G(z) + p₂₁G(−z) − G(0) and its derivatives in z, of the production code, G = z⁵ + z²."""
    q, z = sp.symbols("q z")
    payoff = PairPayoff("test", "z⁵ + z²", lambda at, b: at**5 + at**2)
    found = pair_payoff(payoff, _XP, q, z, sp.Symbol("beta"))
    half = sp.Rational(1, 2)
    value = (half + q) * (z**5 + z**2) + (half - q) * (-(z**5) + z**2)
    return vanishes(*(part - sp.diff(value, z, k) for k, part in enumerate(found)))


def _gini() -> bool:
    """E|h₁ − h₂| = 2∫F(1 − F) ≤ Z/2 on [0, Z]: ¼ − F(1 − F) = (F − ½)²; three points by hand."""
    f = sp.Symbol("F")
    quarter = vanishes(sp.Rational(1, 4) - f * (1 - f) - (f - sp.Rational(1, 2)) ** 2)
    p, gaps = law("p", 3), sp.symbols("g1 g2", positive=True)
    heights = np.array([0, gaps[0], gaps[0] + gaps[1]], dtype=object)
    pairs = 2 * sum(
        p[i] * p[j] * (heights[j] - heights[i]) for i in range(3) for j in range(i + 1, 3)
    )
    below = (p[0], p[0] + p[1])
    integral = 2 * sum(g * c * (1 - c) for g, c in zip(gaps, below, strict=True))
    return quarter and vanishes(pairs - integral)


def _chord() -> bool:
    """ψ ≤ its chord for convex ψ, so sup(ψ − ct) = ψ(0) at c = (ψ(Z) − ψ(0))/Z: N = their mean."""
    low, high, z = sp.symbols("psi0 psiZ Z", positive=True)
    c = (high - low) / z
    return vanishes(low + c * z / 2 - (low + high) / 2, high - c * z - low)


def _negative() -> bool:
    """J_{−G} = −J_G: pair weights are linear in the payoff, so −G's K bounds −∇²J."""
    m = 3
    policy, beta = law("p", m), sp.Symbol("beta")
    parts = [np.array(sp.symbols(f"{n}:9"), dtype=object).reshape(3, 3) for n in "gusd"]
    plus, minus = (
        formulas.relative_pair_curvature(
            beta, policy[None], Payoff(*(sign * part[None] for part in parts))
        )
        for sign in (1, -1)
    )
    return vanishes(*(plus + minus).flat)


def _descent() -> bool:
    """G' L-Lipschitz on ℝ: G(z + u/L) ≥ G + u²/(2L), so G'² ≤ 2L(sup G − G) and S ≤ 3L."""
    u, steep = sp.symbols("u L", positive=True)
    step = u / steep
    return vanishes(u * step - steep * step**2 / 2 - u**2 / (2 * steep))


def _third_alone(payoff: PairPayoff, beta: Any, z: Any, third: Any, lead: int) -> Any:
    """The curvature ratio of a response of chance e → 0 beside two of ½, margins 0, z, third.

    The first beats the second, the third beats it and (``lead`` = 1) the second too.
    """
    e = sp.Symbol("e")
    policy = np.array([(1 - e) / 2, (1 - e) / 2, e], dtype=object)
    heights = np.array([sp.Integer(0), z, third], dtype=object)
    half = sp.Rational(1, 2)
    q = np.array([[0, half, -half], [-half, 0, -lead * half], [half, lead * half, 0]], dtype=object)
    gaps = heights[:, None] - heights[None]
    made = pair_payoff(payoff, _XP, q, gaps, beta)
    batched = Payoff(*(part[None] for part in made))
    eta = formulas.relative_pair_curvature(beta, policy[None], batched)[0]
    along = np.array([0, 0, 1], dtype=object)
    chance = policy[:, None] * policy[None]
    form = sum(
        chance[k, j] * eta[k, j] * (along[k] - along[j]) ** 2 for k in range(3) for j in range(3)
    )
    spread = 2 * (mean(policy, along**2) - mean(policy, along) ** 2)
    return sp.limit(sp.simplify(form / spread), e, 0)


def _reached_by_squares() -> bool:
    """IPO at Z = 1, β ≤ ¼: the ratio is 2N + 4, N = ½(ψ(0) + ψ(1)), and K → it as b → max G."""
    beta = sp.Symbol("beta", positive=True)
    third = sp.Rational(1, 2) - 2 * beta
    ratio = _third_alone(named_payoff("ipo"), beta, sp.Integer(1), third, -1)
    x, b = sp.symbols("x b", positive=True)
    inner = (2 * x / beta**2) ** 2 / (b + x**2 / beta**2) - 2 / beta**2
    gap = vanishes(inner - 2 / beta**2 + 4 * b / (beta**2 * b + x**2))  # S(b) ≤ 2/β² for every b
    floor = (sp.Rational(1, 4) + sp.Rational(9, 4)) / (2 * beta**2)
    return gap and vanishes(ratio - 2 * floor - 2 * beta**2 * 2 / beta**2)


def _reached_by_exponential() -> bool:
    """−e^{−z} at β = 1: S(0) = 0, K = 1 + e^Z, and the ratio is that for every third margin."""
    grow, third = sp.symbols("E T", positive=True)  # e^Z and e^{third}
    ratio = _third_alone(named_payoff("exponential"), sp.Integer(1), sp.log(grow), sp.log(third), 1)
    s = sp.Symbol("s", positive=True)  # e^{−z}
    inner = vanishes(s**2 / s - s)
    return inner and vanishes(sp.simplify(ratio - 1 - grow))


def _agrees() -> bool:
    """For log σ, enclosed here by another route: K_B to 1e-6 where (i) of C11 does not bind."""
    found = [payoff_bound.payoff_curvature(named_payoff("logistic"), b, z) / relative_bound(b, z)
             for b, z in ((0.1, 2.0), (0.3, 1.0), (0.1, 8.0))]  # fmt: skip
    return all(1 - 1e-9 <= ratio <= 1 + 1e-6 for ratio in found)


def _largest() -> bool:
    """Σ w K_x ≤ max: averages over prompts."""
    w, top, k, f = law("w", 3), sp.Symbol("K"), vector("k", 3), vector("f", 3)
    return _AVERAGE.check() and vanishes(top * mean(w, f) - mean(w, k * f) - mean(w, (top - k) * f))


C35_STEPS: tuple[Step, ...] = (
    Step("symbolic", "vᵀ∇²J_x v = E[(g−b)P² + 2βuPM + β²hM²] + 2(b−J_x)vᵀF_xv, any g, u, h "
         "(m ≤ 3)", _TERMS.check),
    Step("symbolic", "E P² = E M² = 2vᵀF_xv (m ≤ 3)", _MOMENTS.check),
    Step("symbolic", "β²u²M²/(b−g) completes the square, b > max G ≥ g", _SQUARE.check),
    Step("symbolic", "u²/(b−g) + h is convex in p: p ∈ {0, 1}, G'²/(b−G) + G'', |z| ≤ Z",
         _ends_of_p),
    Step("symbolic", "p₁₂G(z) + p₂₁G(−z) and its derivatives, as they run", _as_it_runs),
    Step("symbolic", "E|z| ≤ Z/2, so −J_x ≤ Eψ(|z|) ≤ sup(ψ − ct) + cZ/2 for c ≥ 0", _gini),
    Step("symbolic", "ψ convex: the best c gives N = ½(ψ(0) + ψ(Z))", _chord),
    Step("symbolic", "E_x K_xF_x ⪯ (max K_x)F̄: averages are included", _largest),
    Step("symbolic", "−G's K is K⁻: pair weights are linear in G (m = 3)", _negative),
    Step("symbolic", "G' L-Lipschitz on ℝ, G bounded: K ≤ 2 osc G + 6β²L, free of B", _descent),
    Step("certified", "for log σ it is K_B of C11", _agrees),
    Step("symbolic", "reached by IPO at Z = 1, β ≤ ¼: y₃ rare beside two of ½",
         _reached_by_squares),
    Step("symbolic", "reached by −e^{−z} at β = 1, every Z: K = 1 + e^Z", _reached_by_exponential),
)  # fmt: skip
