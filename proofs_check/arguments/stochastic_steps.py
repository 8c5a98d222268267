"""C16's argument: one noisy step, the noise of a batch, and the recursion they give."""

from __future__ import annotations

from typing import Any

import sympy as sp

from proofs_check.arguments.algebra import exponential, taylor, vanishes
from proofs_check.evidence.argument import Step
from sailtheory.numeric.numbers import sympy_numbers
from sailtheory.theory import bounds


def _plane(name: str) -> Any:
    """A vector of R²: the steps hold in any dimension, with inner products alone."""
    return sp.Matrix(sp.symbols(f"{name}:2"))


def _one_step() -> bool:
    """What smoothness, concavity and optimality leave over is what the recursion leaves.

    With h = y − θ, d = θ* − θ and g = ∇J_γ(θ), the three facts are: J_γ(y) − J_γ(θ) ≥
    ⟨g, h⟩ − (Λ/2)‖h‖²; J* − J_γ(θ) ≤ ⟨g, d⟩ − (μ/2)‖d‖²; ⟨g + ξ − Λh, θ* − y⟩ ≤ 0.
    """
    mu, smooth, rise, lead = sp.symbols("mu Lambda rise lead", positive=True)
    g, xi, h, d = (_plane(name) for name in "gxhd")
    rest = d - h  # θ* − y
    smoothness = rise - g.dot(h) + smooth / 2 * h.dot(h)
    concavity = g.dot(d) - mu / 2 * d.dot(d) - lead
    optimality = -(g + xi - smooth * h).dot(rest)
    left = lead - rise + smooth / 2 * rest.dot(rest)
    right = bounds.contraction(mu, smooth) * smooth / 2 * d.dot(d) - xi.dot(rest)
    return vanishes(right - left - smoothness - concavity - optimality)


def _nonexpansive() -> bool:
    """⟨a−Pa, Pb−Pa⟩ ≤ 0 and ⟨b−Pb, Pa−Pb⟩ ≤ 0 add up to ‖Pa−Pb‖² − ⟨a−b, Pa−Pb⟩ ≤ 0."""
    a, b, pa, pb = (_plane(name) for name in ("a", "b", "p", "q"))
    both = (a - pa).dot(pb - pa) + (b - pb).dot(pa - pb)
    return vanishes(both - (pa - pb).dot(pa - pb) + (a - b).dot(pa - pb))


def _noise() -> bool:
    """‖ξ‖²/Λ − ⟨ξ, h⟩ = Λ‖ξ/Λ − h‖² + (⟨ξ, h⟩ − Λ‖h‖²), h = y − ȳ: both terms are ≥ 0."""
    smooth = sp.Symbol("Lambda", positive=True)
    xi, h = _plane("x"), _plane("h")
    away = xi / smooth - h
    rest = smooth * away.dot(away) + xi.dot(h) - smooth * h.dot(h)
    return vanishes(xi.dot(xi) / smooth - xi.dot(h) - rest)


def _batch() -> bool:
    """E‖(ξ₁ + … + ξ_N)/N‖² = σ²/N, as E⟨ξ_i, ξ_j⟩ = 0 for i ≠ j (N ≤ 4)."""
    variance = sp.Symbol("V", positive=True)
    for n in range(1, 5):
        xi = sp.symbols(f"x:{n}")
        square = sp.Poly(sp.expand((sum(xi) / n) ** 2), *xi)
        mean = sum(c * variance for powers, c in square.terms() if max(powers) == 2)
        if not vanishes(mean - variance / n):
            return False
    return True


def _recursion() -> bool:
    """The production bound is q times itself plus V/Λ; at T = 0 it is a_0 + V/μ."""
    mu, smooth, initial, v, n, t = sp.symbols("mu Lambda initial V N t", positive=True)
    now, after = (bounds.stochastic_gap(mu, smooth, k, initial, v, n) for k in (t, t + 1))
    step = bounds.contraction(mu, smooth) * now + v / (smooth * n) - after
    first = now.subs(t, 0) - initial / 2 - v / (mu * n)
    return vanishes(sp.powsimp(sp.expand(step)), first)


def _schedule() -> bool:
    """e^{−(μ/Λ)T}Λd₀²/2 = ε/2 at T of ``linear_steps``; N leaves ε/2; samples are NT."""
    mu, smooth, initial, v, eps, t = sp.symbols("mu Lambda initial V epsilon t", positive=True)
    xp = sympy_numbers()
    steps = bounds.linear_steps(xp, mu, smooth, initial, eps)
    batch = bounds.stochastic_batch(mu, v, eps)
    decay = bounds.contraction(mu, smooth) ** t * initial / 2
    noise = bounds.stochastic_gap(mu, smooth, t, initial, v, batch) - decay
    samples = bounds.stochastic_samples(xp, mu, smooth, initial, v, eps)
    reached = sp.simplify(sp.exp(-mu / smooth * steps) * initial - eps)
    return vanishes(reached, sp.simplify(noise - eps / 2), sp.simplify(samples - steps * batch))


def as_stated(
    modulus: Any, smooth: Any, steps: Any, initial: Any, variance: Any, batch: Any
) -> Any:
    """½(1 − μ/Λ)^T Λd₀² + 2σ²/(μN): C16 as it is told."""
    return bounds.stochastic_gap(modulus, smooth, steps, initial, 2 * variance, batch)


def _weaker() -> bool:
    """The bound as stated less the production bound is σ²/(μN) > 0."""
    arguments = sp.symbols("mu Lambda T initial V N", positive=True)
    rest = as_stated(*arguments) - bounds.stochastic_gap(*arguments)
    return bool(sp.simplify(rest).is_positive)


STEPS = (
    Step("symbolic", "−∇²J_γ between μ and Λ on C bounds J_γ by quadratics, μ/2 and Λ/2", taylor),
    Step("symbolic", "y = Proj_C(θ + (∇+ξ)/Λ): gap⁺ + (Λ/2)d⁺² ≤ (1−μ/Λ)(Λ/2)d² + ⟨ξ, y−θ*⟩",
         _one_step),
    Step("symbolic", "a projection has ‖Pa − Pb‖² ≤ ⟨a − b, Pa − Pb⟩", _nonexpansive),
    Step("symbolic", "with ȳ = Proj_C(θ + ∇/Λ): E⟨ξ, y−θ*⟩ = E⟨ξ, y−ȳ⟩ ≤ E‖ξ‖²/Λ", _noise),
    Step("symbolic", "E‖ξ‖² ≤ V = σ²/N for a batch of N", _batch),
    Step("symbolic", "so E gap_T ≤ (1−μ/Λ)E a_{T−1} + V/Λ, a = (Λ/2)d², T ≥ 1: induction",
         _recursion),
    Step("symbolic", "1 − x ≤ e^{−x}", exponential),
    Step("symbolic", "T = (Λ/μ)log(Λd₀²/ε) and N = 2σ²/(με) bring E gap_T to ε", _schedule),
)  # fmt: skip
WEAKER = Step("symbolic", "σ²/(μN) ≤ 2σ²/(μN)", _weaker)
TAKEN = (
    "C12 (μ, Λ)", "C18 (E ξ = 0)", "⟨z − Pz, w − Pz⟩ ≤ 0 for a projection onto a convex set",
    "tower rule: ȳ is a function of θ_t, so E⟨ξ, ȳ − θ*⟩ = 0",
)  # fmt: skip
