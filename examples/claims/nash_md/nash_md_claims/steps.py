"""The arguments of NASHMD01 to NASHMD03."""

from __future__ import annotations

from typing import Any

import sympy as sp

from proofs_check.arguments.algebra import SIZES, exponential, law, leads, mean, vanishes, vector
from proofs_check.arguments.gibbs import GIBBS_STEPS
from proofs_check.evidence.argument import Step
from sailtheory.theory import formulas

_ETA, _TAU = sp.symbols("eta tau", positive=True)
_HALF = sp.Rational(1, 2)


def _kl(policy: Any, log_own: Any, log_other: Any) -> Any:
    return formulas.kl_policy_ref(policy, log_own - log_other)


def _zero(expression: Any) -> bool:
    return bool(sp.simplify(sp.expand(expression.rewrite(sp.exp))) == 0)


def _advantage() -> bool:
    """P_τ(π ≻ π*) = ½ − τKL(π‖π*), if log π*/μ = P(· ≻ π*)/τ − c; antisymmetric (m ≤ 3)."""
    for m in SIZES:
        policy, star, q = law("p", m), law("s", m), leads(m)
        own, ref, c = vector("a", m), vector("u", m), sp.Symbol("c")
        best = ref + q @ star / _TAU - c
        wins = mean(policy, q @ star)
        ours, theirs = _kl(policy, own, ref), _kl(star, best, ref)
        there = wins - _TAU * ours + _TAU * theirs
        back = mean(star, q @ policy) - _TAU * theirs + _TAU * ours
        if not vanishes(there + _TAU * _kl(policy, own, best), there + back):
            return False
    return True


def _one_step() -> bool:
    """KL(π*‖π⁺) by its parts, for any normalisers (m ≤ 3)."""
    share = _ETA * _TAU
    for m in SIZES:
        star, mix, q = law("s", m), law("o", m), leads(m)
        own, ref, c = vector("a", m), vector("u", m), sp.symbols("c:3")
        log_star = ref + q @ star / _TAU - c[0]
        log_mix = (1 - share) * own + share * ref - c[1]
        log_next = log_mix + _ETA * (q @ mix) - c[2]
        parts = (
            (1 - share) * (_kl(star, log_star, own) - _kl(mix, log_mix, own))
            - share * _kl(mix, log_mix, log_star) + c[2]
        )  # fmt: skip
        if not vanishes(_kl(star, log_star, log_next) - parts):
            return False
    return True


def _extreme() -> bool:
    """S = E_q e^{ηl} is convex in each p_kl, with slope ηq_kq_l(e^{ηl_k} − e^{ηl_l}) (m ≤ 4).

    So S is largest at 0/1 preferences, where S(1) ≥ S(0) and strict convexity make the slope at
    the winner's end positive: who wins has the larger l, so they are in order.
    """
    for m in (2, 3, 4):
        mix, q = law("o", m), leads(m)
        powers = [sp.exp(_ETA * each) for each in q @ mix]
        total = sum(w * e for w, e in zip(mix, powers, strict=True))
        slope = _ETA * mix[0] * mix[1] * (powers[0] - powers[1])
        bend = _ETA**2 * mix[0] * mix[1] * (mix[1] * powers[0] + mix[0] * powers[1])
        p = q[0, 1]
        if sp.expand(sp.diff(total, p) - slope) != 0 or sp.expand(sp.diff(total, p, 2) - bend) != 0:
            return False
    return True


def _midpoints() -> bool:
    """In order, l_k is the middle of the k-th piece, of length q_k, of [−½, ½] (m ≤ 4)."""
    for m in (2, 3, 4):
        mix, top = law("o", m), _HALF
        for k in range(m):
            level = (sum(mix[k + 1 :], sp.Integer(0)) - sum(mix[:k], sp.Integer(0))) / 2
            if not vanishes(level - (top - mix[k] / 2)):
                return False
            top = top - mix[k]
        if not vanishes(top + _HALF):
            return False
    return True


def _middle_is_least() -> bool:
    """∫ e^{ηx} over a piece = q e^{ηl}·sinh(y)/y ≥ q e^{ηl}, y = ηq/2: sinh y − y rises from 0."""
    x, level = sp.symbols("x l", real=True)
    y, length = sp.symbols("y q", positive=True)
    whole = sp.integrate(sp.exp(_ETA * x), (x, level - length / 2, level + length / 2))
    stated = sp.exp(_ETA * level) * 2 * sp.sinh(_ETA * length / 2) / _ETA
    grows = sp.sinh(y) - y
    rising = _zero(sp.diff(grows, y) - 2 * sp.sinh(y / 2) ** 2)
    return _zero(whole - stated) and rising and grows.subs(y, 0) == 0


def _twenty_fourth() -> bool:
    """log(sinh x/x) ≤ x²/6: x sinh x times the slope of the difference has a series ≥ 0."""
    x, n = sp.Symbol("x", positive=True), sp.Symbol("n", positive=True, integer=True)
    gap = x**2 / 6 - sp.log(sp.sinh(x) / x)
    series = (x**2 / 3 + 1) * sp.sinh(x) - x * sp.cosh(x)
    slope = sp.simplify(sp.expand(sp.diff(gap, x) * x * sp.sinh(x)) - sp.expand(series))
    f = sp.factorial
    term = 1 / (3 * f(2 * n - 1)) + 1 / f(2 * n + 1) - 1 / f(2 * n)
    stated = 2 * n * (2 * n - 2) / (3 * f(2 * n + 1))
    start = sp.limit(gap, x, 0)
    return bool(slope == 0 and start == 0 and sp.gammasimp(sp.combsimp(term / stated)) == 1)


def _sharp() -> bool:
    """m equal rungs: E e^{ηl} = sinh(η/2)/(m sinh(η/2m)), and m sinh(η/2m) → η/2 (m = 2, 3, 4)."""
    for m in (2, 3, 4):
        levels = [sp.Rational(m - 1 - 2 * k, 2 * m) for k in range(m)]
        rungs = sum(sp.exp(_ETA * each) for each in levels) / m
        t = sp.Symbol("t", positive=True)  # e^{η/2m}
        product = (rungs * m * sp.sinh(_ETA / (2 * m)) - sp.sinh(_ETA / 2)).rewrite(sp.exp)
        if sp.simplify(product.subs(_ETA, 2 * m * sp.log(t))) != 0:
            return False
    m = sp.Symbol("m", positive=True)
    finest = sp.limit(m * sp.sinh(_ETA / (2 * m)), m, sp.oo) - _ETA / 2
    x = sp.Symbol("x", positive=True)
    leading = sp.series(sp.log(sp.sinh(x) / x), x, 0, 3).removeO() - x**2 / 6
    return bool(finest == 0 and leading == 0)


def _summed() -> bool:
    """x_{t+1} = ax_t + b from x_0: a^t x_0 + (1 − a^t)b/(1 − a); b/(1 − a) = η/(24τ)."""
    start, power, b = sp.symbols("x P b", positive=True)  # P = a^t
    a = 1 - _ETA * _TAU
    at = power * start + (1 - power) * b / (1 - a)
    after = a * power * start + (1 - a * power) * b / (1 - a)
    return vanishes(after - a * at - b, (_ETA**2 / 24) / (1 - a) - _ETA / (24 * _TAU))


NASHMD01_STEPS = (
    *GIBBS_STEPS,
    Step("symbolic", "P_τ(π ≻ π*) = ½ − τKL(π‖π*) for π* ∝ μ exp(P(· ≻ π*)/τ), and "
         "P_τ(π ≻ π') + P_τ(π' ≻ π) = 1 (m ≤ 3)", _advantage),
)  # fmt: skip

NASHMD02_STEPS = (
    Step("symbolic", "KL(π*‖π⁺) = (1 − ητ)[KL(π*‖π) − KL(q‖π)] − ητKL(q‖π*) + log E_q e^{ηl}, "
         "l = P(· ≻ q) − ½ (m ≤ 3)", _one_step),
    Step("symbolic", "E_q e^{ηl} is convex in each p_kl, so it is largest for responses in order "
         "(m ≤ 4)", _extreme),
    Step("symbolic", "then l_k is the middle of the k-th piece of [−½, ½], of length q_k (m ≤ 4)",
         _midpoints),
    Step("symbolic", "so E_q e^{ηl} ≤ ∫ e^{ηx} dx over [−½, ½] = sinh(η/2)/(η/2)",
         _middle_is_least),
    Step("symbolic", "log(sinh x/x) ≤ x²/6, x = η/2: at most η²/24", _twenty_fourth),
    Step("symbolic", "that supremum is reached: m equal rungs, m → ∞; η²/24 is its first term",
         _sharp),
)  # fmt: skip

NASHMD03_STEPS = (
    Step("symbolic", "x_{t+1} ≤ (1 − ητ)x_t + η²/24 sums to (1 − ητ)^T x_0 + η/(24τ)", _summed),
    Step("symbolic", "1 − x ≤ e^{−x}: η = log T/(τT) leaves x_0/T + log T/(24τ²T)", exponential),
)  # fmt: skip
