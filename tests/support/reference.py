"""An independent reference: every definition as a plain double sum, in mpmath.

Written from docs/theory.md in the *score form* (C01, C02), with Python loops
over responses and no array code, so that it shares neither formulas nor code
with the package, which evaluates the *pair form*.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mpmath import mp, mpf

Vector = list[Any]
Matrix = list[Vector]


class Prompt(NamedTuple):
    """One prompt as plain lists of numbers."""

    weight: Any
    features: Matrix
    preference: Matrix
    base: Vector


class Pair(NamedTuple):
    """A pair payoff G(z) with its first two derivatives."""

    value: Any
    first: Any
    second: Any


@dataclass
class Reference:
    """The objectives of one problem at ``digits`` decimal digits.

    Args:
        prompts: Their weights need not sum to 1.
        ref_params: θ_ref, (d,).
        beta: β.
        digits: Decimal digits of every computation.
    """

    prompts: list[Prompt]
    ref_params: Vector
    beta: Any
    digits: int = 50
    _known: dict[Any, Any] = field(default_factory=dict, repr=False)

    # --- per-prompt quantities ------------------------------------------------

    def _policy(self, prompt: Prompt, theta: Vector) -> Vector:
        key = (id(prompt), tuple(theta))
        if key not in self._known:
            self._known[key] = self._policy_from(prompt, theta)
        return self._known[key]

    def _policy_from(self, prompt: Prompt, theta: Vector) -> Vector:
        mass = [
            nu * mp.exp(dot(theta, phi))
            for nu, phi in zip(prompt.base, prompt.features, strict=True)
        ]
        total = sum(mass)
        return [w / total for w in mass]

    def _log_ratio(self, prompt: Prompt, theta: Vector) -> Vector:
        new, old = self._policy(prompt, theta), self._policy(prompt, self.ref_params)
        return [mp.log(a / b) for a, b in zip(new, old, strict=True)]

    def _scores(self, prompt: Prompt, theta: Vector) -> Matrix:
        policy = self._policy(prompt, theta)
        mean = total_of(policy, prompt.features)
        return [minus(phi, mean) for phi in prompt.features]

    def _pair(self, kind: str, p: Any, h: Any) -> Pair:
        """G at log-ratio difference h; derivatives are with respect to z = βh."""
        z = self.beta * h
        if kind == "ipo":
            target = 1 / (2 * self.beta)
            return Pair(
                -p * (h - target) ** 2 - (1 - p) * (-h - target) ** 2,
                (-2 * p * (h - target) + 2 * (1 - p) * (-h - target)) / self.beta,
                -2 / self.beta**2,
            )
        sigma = 1 / (1 + mp.exp(-z))
        other = 1 / (1 + mp.exp(z))
        slope = sigma * other
        if kind == "sail":
            return Pair(p * mp.log(sigma) + (1 - p) * mp.log(other), p - sigma, -slope)
        value = sigma * mp.log(sigma) + other * mp.log(other)
        return Pair(value, slope * z, slope + slope * (other - sigma) * z)

    def _expect(self, each: Any) -> Any:
        """E_x of a number, vector or matrix."""
        with mp.workdps(self.digits):
            weights = [mpf_of(p.weight) for p in self.prompts]
            return total_of([w / sum(weights) for w in weights], [each(p) for p in self.prompts])

    def _pairs(self, kind: str, prompt: Prompt, theta: Vector, on_policy: bool = True) -> Any:
        """(π_kπ_l, k, l, G_kl) over all pairs, π being π_θ or π_ref."""
        key = (id(prompt), tuple(theta), kind, on_policy)
        if key not in self._known:
            self._known[key] = list(self._pairs_from(kind, prompt, theta, on_policy))
        return self._known[key]

    def _pairs_from(self, kind: str, prompt: Prompt, theta: Vector, on_policy: bool) -> Any:
        policy = self._policy(prompt, theta if on_policy else self.ref_params)
        ratio = self._log_ratio(prompt, theta)
        for k, pk in enumerate(policy):
            for j, pj in enumerate(policy):
                yield pk * pj, k, j, self._pair(kind, prompt.preference[k][j], ratio[k] - ratio[j])

    # --- on-policy objectives: "sail" and "self" --------------------------------

    def value(self, kind: str, theta: Vector) -> Any:
        """E_x E_{π_θ⊗π_θ} G."""
        return self._expect(
            lambda x: sum(w * g.value for w, _, _, g in self._pairs(kind, x, theta))
        )

    def gradient(self, kind: str, theta: Vector) -> Vector:
        """E[G(s₁+s₂)] + βE[G'Δ] (C01)."""
        return plus(*self.gradient_terms(kind, theta))

    def gradient_terms(self, kind: str, theta: Vector) -> tuple[Vector, Vector]:
        """Its two terms."""

        def shift(x: Prompt) -> Vector:
            s = self._scores(x, theta)
            pairs = self._pairs(kind, x, theta)
            return total_of([w * g.value for w, _, _, g in pairs],
                            [plus(s[k], s[j]) for _, k, j, _ in pairs])  # fmt: skip

        def pull(x: Prompt) -> Vector:
            phi = x.features
            pairs = self._pairs(kind, x, theta)
            return total_of([self.beta * w * g.first for w, _, _, g in pairs],
                            [minus(phi[k], phi[j]) for _, k, j, _ in pairs])  # fmt: skip

        return self._expect(shift), self._expect(pull)

    def hessian(self, kind: str, theta: Vector) -> Matrix:
        """A + C + D (C02)."""
        score, cross, dpo = self.hessian_terms(kind, theta)
        return plus(plus(score, cross), dpo)

    def hessian_terms(self, kind: str, theta: Vector) -> tuple[Matrix, Matrix, Matrix]:
        """A = E[G((s₁+s₂)(s₁+s₂)ᵀ − 2F)], C = 2βE[G'(s₁s₁ᵀ − s₂s₂ᵀ)], D = β²E[G''ΔΔᵀ]."""

        def terms(x: Prompt) -> list[Matrix]:
            s, fisher = self._scores(x, theta), self._fisher(x, theta)
            pairs = self._pairs(kind, x, theta)
            score, cross, dpo = [], [], []
            for _, k, j, _ in pairs:
                both = plus(s[k], s[j])
                score.append(minus(outer(both, both), scaled(2, fisher)))
                cross.append(minus(outer(s[k], s[k]), outer(s[j], s[j])))
                delta = minus(x.features[k], x.features[j])
                dpo.append(outer(delta, delta))
            return [
                total_of([w * g.value for w, _, _, g in pairs], score),
                total_of([2 * self.beta * w * g.first for w, _, _, g in pairs], cross),
                total_of([self.beta**2 * w * g.second for w, _, _, g in pairs], dpo),
            ]

        return tuple(self._expect(terms))  # type: ignore[return-value]

    # --- self-preference with the gradient stopped (C06) -------------------------

    def stop_gradient(self, theta: Vector) -> Vector:
        """E[g(s₁+s₂)] with p₁₂ = σ(z)."""
        return self.gradient_terms("self", theta)[0]

    def stop_gradient_jacobian(self, theta: Vector) -> Matrix:
        """∂_j of E[g(s₁+s₂)_i]: A + βE[g'(s₁+s₂)Δᵀ]."""

        def moved(x: Prompt) -> Matrix:
            s, phi = self._scores(x, theta), x.features
            pairs = self._pairs("self", x, theta)
            return total_of(
                [self.beta * w * g.first for w, _, _, g in pairs],
                [outer(plus(s[k], s[j]), minus(phi[k], phi[j])) for _, k, j, _ in pairs],
            )

        return plus(self.hessian_terms("self", theta)[0], self._expect(moved))

    # --- off-policy objectives: "sail" (DPO) and "ipo" at π_ref --------------------

    def off_value(self, kind: str, theta: Vector) -> Any:
        """E_x E_{π_ref⊗π_ref} G."""
        return self._expect(
            lambda x: sum(w * g.value for w, _, _, g in self._pairs(kind, x, theta, False))
        )

    def off_gradient(self, kind: str, theta: Vector) -> Vector:
        """βE[G'Δ]."""

        def each(x: Prompt) -> Vector:
            pairs = self._pairs(kind, x, theta, False)
            return total_of(
                [self.beta * w * g.first for w, _, _, g in pairs],
                [minus(x.features[k], x.features[j]) for _, k, j, _ in pairs],
            )

        return self._expect(each)

    def off_hessian(self, kind: str, theta: Vector) -> Matrix:
        """β²E[G''ΔΔᵀ]."""

        def each(x: Prompt) -> Matrix:
            pairs = self._pairs(kind, x, theta, False)
            deltas = [minus(x.features[k], x.features[j]) for _, k, j, _ in pairs]
            return total_of(
                [self.beta**2 * w * g.second for w, _, _, g in pairs],
                [outer(delta, delta) for delta in deltas],
            )

        return self._expect(each)

    # --- divergences ----------------------------------------------------------------

    def _fisher(self, x: Prompt, theta: Vector) -> Matrix:
        scores = self._scores(x, theta)
        return total_of(self._policy(x, theta), [outer(s, s) for s in scores])

    def kl_ref_policy(self, theta: Vector) -> tuple[Any, Vector, Matrix]:
        """KL(π_ref‖π_θ) with gradient −E_ref s and Hessian E_θ ssᵀ (C07)."""

        def value(x: Prompt) -> Any:
            return -dot(self._policy(x, self.ref_params), self._log_ratio(x, theta))

        def gradient(x: Prompt) -> Vector:
            return scaled(-1, total_of(self._policy(x, self.ref_params), self._scores(x, theta)))

        return (self._expect(value), self._expect(gradient),
                self._expect(lambda x: self._fisher(x, theta)))  # fmt: skip

    def kl_policy_ref(self, theta: Vector) -> tuple[Any, Vector, Matrix]:
        """KL(π_θ‖π_ref) = E ℓ with gradient E ℓs and Hessian E[(1 + ℓ − E ℓ)ssᵀ] (C08)."""

        def value(x: Prompt) -> Any:
            return dot(self._policy(x, theta), self._log_ratio(x, theta))

        def gradient(x: Prompt) -> Vector:
            policy, ratio = self._policy(x, theta), self._log_ratio(x, theta)
            weights = [p * (r - dot(policy, ratio)) for p, r in zip(policy, ratio, strict=True)]
            return total_of(weights, self._scores(x, theta))

        def hessian(x: Prompt) -> Matrix:
            policy, ratio = self._policy(x, theta), self._log_ratio(x, theta)
            weights = [p * (1 + r - dot(policy, ratio)) for p, r in zip(policy, ratio, strict=True)]
            return total_of(weights, [outer(s, s) for s in self._scores(x, theta)])

        return self._expect(value), self._expect(gradient), self._expect(hessian)


# --- lists as vectors and matrices ---------------------------------------------------


def mpf_of(x: Any) -> Any:
    """A float or ``Fraction``, exactly (to the working precision)."""
    return mpf(x.numerator) / x.denominator if hasattr(x, "numerator") else mpf(x)


def dot(a: Vector, b: Vector) -> Any:
    return sum((x * y for x, y in zip(a, b, strict=True)), mpf(0))


def plus(a: Any, b: Any) -> Any:
    return [plus(x, y) for x, y in zip(a, b, strict=True)] if isinstance(a, list) else a + b


def scaled(c: Any, a: Any) -> Any:
    return [scaled(c, x) for x in a] if isinstance(a, list) else c * a


def minus(a: Any, b: Any) -> Any:
    return plus(a, scaled(-1, b))


def outer(a: Vector, b: Vector) -> Matrix:
    return [[x * y for y in b] for x in a]


def total_of(weights: Vector, items: list[Any]) -> Any:
    """Σ weight · item, the items numbers, vectors or matrices."""
    total = scaled(weights[0], items[0])
    for w, item in zip(weights[1:], items[1:], strict=True):
        total = plus(total, scaled(w, item))
    return total


def norm(a: Any) -> Any:
    """The Euclidean (Frobenius) norm of a number, vector or matrix."""
    return mp.sqrt(_squares(a))


def _squares(a: Any) -> Any:
    return sum((_squares(x) for x in a), mpf(0)) if isinstance(a, list) else mpf(a) ** 2


def lists(a: Any) -> Any:
    """A NumPy array of floats, ``Fraction`` or mpf as nested lists of mpf."""
    return [lists(x) for x in a] if getattr(a, "ndim", 0) else mpf_of(a if hasattr(a, "numerator")
                                                                     else float(a))  # fmt: skip
