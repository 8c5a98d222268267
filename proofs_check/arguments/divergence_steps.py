"""The steps of C38: how convex f-divergences are relative to the Fisher matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from proofs_check.arguments.algebra import SIZES, law, mean, vanishes, vector
from proofs_check.evidence.argument import Step
from sailtheory.numeric.numbers import sympy_numbers
from sailtheory.theory import divergences, pair_form
from sailtheory.theory.divergences import (
    DIVERGENCES,
    alpha_divergence,
    divergence_smoothness,
    divergence_threshold,
)

_XP = sympy_numbers()
_L = sp.Symbol("l", real=True)  # log w
_R, _A = sp.symbols("R a", positive=True)


def _exact(expression: Any) -> Any:
    """With the floats that α was given as written as the rationals that they are."""
    return sp.nsimplify(expression, rational=True)


def _hessian() -> bool:
    """d²/dτ² Σ (π/w) f(w), w' = ws, w'' = w(s² − V), is the pair form that runs (m ≤ 3)."""
    for m in SIZES:
        policy, along = law("p", m), vector("t", m)
        w, first, second = (vector(name, m) for name in "wfg")
        score = along - mean(policy, along)
        spread = mean(policy, score**2)
        stated = mean(policy, second * w * score**2 + first * (score**2 - spread))
        eta = divergences.divergence_curvature(
            policy[None], first[None], (first + w * second)[None]
        )
        pairs = policy[:, None] * policy[None, :]
        form = pair_form.laplacian(eta * pairs, along[None, :, None])[0, 0, 0]
        if not vanishes(form - stated):
            return False
    return True


def _slopes() -> bool:
    """f', k = (w f')' and w k' of every divergence, from f: derivatives by log w."""
    made = [each for each in DIVERGENCES.values()] + [alpha_divergence(a) for a in (-2, 0.5, 3)]
    for each in made:
        f, first, bend, third = (_exact(part) for part in each.parts(_XP, _L))
        w = sp.exp(_L)
        steps = (sp.diff(f, _L) / w - first, sp.diff(w * first, _L) / w - bend,
                 sp.diff(bend, _L) - third)  # fmt: skip
        if any(sp.simplify(sp.diff(s, _L)) != 0 or sp.simplify(s.subs(_L, 0)) != 0
               for s in steps):  # fmt: skip
            return False
    return True


def _by_reference() -> bool:
    """E_θ[1/w] = 1: KL has k = 0, −E f' = 1; χ² has E w⁻² ≥ 1 (a variance), w⁻² ≥ e^{−2R}."""
    policy, y = law("p", 3), vector("y", 3)  # y = 1/w
    variance = mean(policy, y**2) - mean(policy, y) ** 2
    square = vanishes(variance - mean(policy, (y - mean(policy, y)) ** 2))
    inverse = sp.Symbol("y", positive=True)
    _, slope, bend, _ = DIVERGENCES["kl-ref"].parts(_XP, -sp.log(inverse))
    flat = vanishes(bend, slope + inverse)
    _, slope, bend, _ = DIVERGENCES["chi2-ref"].parts(_XP, -sp.log(inverse))
    even = vanishes(bend - inverse**2, slope + inverse**2)
    c = DIVERGENCES["chi2-ref"].convexity(_XP, _R)
    return square and flat and even and vanishes(c - 1 - sp.exp(-2 * _R))


def _negative_alpha() -> bool:
    """α ≤ 0: E y^{1−α} ≥ 1 (Jensen), y ≥ e^{−R}: (1 + |α|e^{−(1−α)R})/(1 − α), α = −n."""
    y, n = sp.symbols("y n", positive=True)
    grows = vanishes(sp.simplify(sp.diff(y ** (1 + n), y, 2) / y ** (n - 1)) - n * (n + 1))
    level = (1 + n * sp.exp(-(1 + n) * _R)) / (1 + n)
    made = [_exact(alpha_divergence(-k).convexity(_XP, _R)) - level.subs(n, k) for k in (1, 2, 5)]
    return grows and all(sp.simplify(gap) == 0 for gap in made)


def _kl_policy() -> bool:
    """k − E f' = 1 + log w − E log w ≥ 1 − R."""
    _, slope, bend, _ = DIVERGENCES["kl-policy"].parts(_XP, _L)
    return vanishes(bend - slope - 1, DIVERGENCES["kl-policy"].convexity(_XP, _R) - 1 + _R)


def _chi_squared() -> bool:
    """E 1/w = 1 on [a, ae^R]: E w ≤ a + a(1 − a)e^R, so 4a − 2E w ≥ 2a(1 − (1 − a)e^R).

    Least on [e^{−R}, 1]: at e^{−R} while e^R ≤ 3, else at ½(1 − e^{−R}).
    """
    e = sp.Symbol("E", positive=True)  # e^R
    y = sp.Symbol("y")
    ends = (1 / _A, 1 / (_A * e))  # of y = 1/w
    chord = _A + (y - ends[0]) * (_A * e - _A) / (ends[1] - ends[0])
    largest = vanishes(sp.simplify(chord.subs(y, 1) - _A - _A * (1 - _A) * e))
    floor = 2 * _A * (1 - (1 - _A) * e)
    inner = (1 - 1 / e) / 2
    parabola = vanishes(sp.diff(floor, _A).subs(_A, inner)) and sp.diff(floor, _A, 2) == 4 * e
    near, far = floor.subs(_A, 1 / e), floor.subs(_A, inner)
    values = vanishes(near - 4 / e + 2, far - 1 + (e + 1 / e) / 2)
    # The vertex is above e^{−R} exactly when e^R > 3.
    order = vanishes(inner - 1 / e - (e - 3) / (2 * e))
    shown = [DIVERGENCES["chi2"].convexity(_XP, sp.log(k)) for k in (2, 5)]
    return (
        largest
        and parabola
        and values
        and order
        and vanishes(shown[0] - near.subs(e, 2), shown[1] - far.subs(e, 5))
    )


def _small_alpha() -> bool:
    """0 < α < 1, p = 1 − α: b^{p−1}κ + b^p(e^{−pR} − α − κe^{−R}) falls in b = max 1/w.

    The bracket is (x^p − x)/(1 − x) − α ≤ 0, x = e^{−R}, as x^p ≤ 1 + p(x − 1). At b = e^R it
    is 1 − αe^{pR}.
    """
    x, p, b = sp.symbols("x p b", positive=True)
    kappa = (1 - x**p) / (1 - x)
    bracket = x**p - (1 - p) - kappa * x
    written = vanishes(sp.simplify(bracket - (x**p - x) / (1 - x) + 1 - p))
    weight = (1 / b - x) / (1 - x)
    chord = b**p * (weight + (1 - weight) * x**p)
    same = sp.simplify(chord - (1 - p) * b**p - b ** (p - 1) * kappa - b**p * bracket)
    end = (chord - (1 - p) * b**p).subs(b, 1 / x) - 1 + (1 - p) * x**-p
    half = _exact(alpha_divergence(0.5).convexity(_XP, _R)) - 2 * (1 - sp.exp(_R / 2) / 2)
    return written and vanishes(sp.simplify(same), sp.simplify(sp.powsimp(end)), half)


def _large_alpha() -> bool:
    """α > 1, p = α − 1: b^{−p}(α − q − (1 − q)e^{pR}), q falling in b; ≥ 0 while e^{pR} ≤ α.

    Both factors fall in b, so it is least at b = e^R, q = 0: αe^{−pR} − 1.
    """
    q, grown, alpha = sp.symbols("q G alpha", positive=True)  # G = e^{pR}
    bracket = alpha - q - (1 - q) * grown
    falls = vanishes(sp.diff(bracket, q) - (grown - 1), bracket.subs(q, 0) - alpha + grown)
    three = _exact(alpha_divergence(3).convexity(_XP, _R)) - (3 * sp.exp(-2 * _R) - 1) / 2
    return falls and vanishes(three)


def _sums() -> bool:
    """c adds up; for χ² and KL under the policy one law is the worst of both, up to log 3.

    A response of vanishing chance at w = e^{−R}, all others at w = 1, leaves k(e^{−R}) − f'(1),
    which is 4e^{−R} − 2 and 1 − R. χPO's is half of one and the other.
    """
    worst, parts = [], {name: DIVERGENCES[name].parts(_XP, _L) for name in ("chi2", "kl-policy")}
    for name, near in (("chi2", 4 * sp.exp(-_R) - 2), ("kl-policy", 1 - _R)):
        _, slope, bend, _ = parts[name]
        worst.append(bend.subs(_L, -_R) - slope.subs(_L, 0) - near)
    mixed = zip(DIVERGENCES["chipo"].parts(_XP, _L), *parts.values(), strict=True)
    made = [_exact(whole - half / 2 - kl) for whole, half, kl in mixed]
    c = [DIVERGENCES[name].convexity(_XP, sp.log(2)) for name in ("chipo", "chi2", "kl-policy")]
    return vanishes(*worst, *map(sp.expand, made), sp.simplify(c[0] - c[1] / 2 - c[2]))


def _from_above() -> bool:
    """k has one slope: rising, t f' is convex and E_ref[w f'] ≥ f'(1); falling, f' ≥ f'(e^{−R})."""
    made = [*DIVERGENCES.values(), *(alpha_divergence(a) for a in (-2, 0.5, 3))]
    for each in made:
        _, slope, bend, third = (_exact(part) for part in each.parts(_XP, _L))
        rises = sp.simplify(third).is_nonnegative
        if not (rises or sp.simplify(third).is_nonpositive):
            return False
        at, against = (_R, 0) if rises else (-_R, -_R)
        stated = bend.subs(_L, at) - slope.subs(_L, against)
        if not vanishes(sp.simplify(_exact(divergence_smoothness(each, _XP, _R)) - stated)):
            return False
    return True


def _threshold() -> bool:
    """∇²J − γ∇²D ⪯ (K − γc)F̄ ≺ 0 for γ > K/c."""
    k, c, extra = sp.symbols("K c e", positive=True)
    beyond = vanishes(k - (k / c + extra) * c + extra * c)
    return beyond and divergence_threshold(3.0, 1.5) == 2.0 and divergence_threshold(1, 0) == np.inf


C38_STEPS: tuple[Step, ...] = (
    Step("symbolic", "∇²D_f = E_θ[(k(w) − E_θ f')ssᵀ], k = (w f')', as it runs (m ≤ 3)", _hessian),
    Step("symbolic", "f', k and w k' of each divergence follow from f", _slopes),
    Step("symbolic", "E_θ[1/w] = 1: KL(π_ref‖π_θ) has c = 1, χ²(π_ref‖π_θ) c = 1 + e^{−2R}",
         _by_reference),
    Step("symbolic", "α ≤ 0: c = (1 + |α|e^{−(1−α)R})/(1 − α)", _negative_alpha),
    Step("symbolic", "KL(π_θ‖π_ref): c = 1 − R; −entropy likewise in log π_θ", _kl_policy),
    Step("symbolic", "χ²(π_θ‖π_ref): c = 4e^{−R} − 2 up to log 3, then 1 − cosh R", _chi_squared),
    Step("symbolic", "0 < α < 1: c = (1 − αe^{(1−α)R})/(1 − α)", _small_alpha),
    Step("symbolic", "α > 1: the same up to R = log α/(α − 1)", _large_alpha),
    Step("symbolic", "sums: c ≥ Σ w_i c_i, and for aχ² + bKL under the policy it is that", _sums),
    Step("symbolic", "∇²D_f ⪯ C(R)F̄, C = k(e^R) − f'(1), or k(e^{−R}) − f'(e^{−R}) where k falls",
         _from_above),
    Step("symbolic", "γ > K/c(R) makes J − γD concave", _threshold),
)  # fmt: skip
