"""What training with verifiable rewards ascends: E_x f(V_x), V the pass rate, by method (C31).

With binary rewards the expected update of one group of G samples is f'(V)∇V, and f' says what the
method does to the KL coefficient that suffices. Dividing centred rewards by a number d_k that
depends on how many of the group are correct, k, gives

    f'(V) = (1 − 1/G) E[1/d_{1+B}],  B binomial with G − 2 trials and chance V,

a polynomial in Bernstein form. Every method has these constants, F the Fisher matrix:

    −K⁻ F ⪯ ∇²f(V) ⪯ K F,  K = sup (1 − V)f',  K⁻ = sup max(Vf', −w'),  w = V(1 − V)f',

for one softmax over responses. As (1 − V)f' falls in all of them, γ > (1 − p)f'(p) is enough for
one prompt along a path from p = V(θ_ref) (C30), and K over V ≥ v is (1 − v)f'(v).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from sailtheory.errors import InputError, require, whole_number
from sailtheory.numeric.exact import lift
from sailtheory.numeric.numbers import Array, NumberSystem, total
from sailtheory.theory import bernstein

__all__ = [
    "METHODS",
    "STDS",
    "Arcsine",
    "DynamicSampling",
    "Logarithm",
    "Polynomial",
    "RewardMethod",
    "Slopes",
    "group_deviation",
    "reward_method",
]

METHODS = (
    "reward", "dr-grpo", "grpo", "dynamic-sampling", "arcsine", "log", "pass-at-k", "maxrl",
)  # fmt: skip
"""Names of :func:`reward_method`."""

STDS = ("population", "sample")
"""Standard deviations of a group: divided by G, or by G − 1 as TRL has it."""

_LARGEST_GROUP = 512
_PANELS, (_NODES, _MASS) = 16, np.polynomial.legendre.leggauss(16)
_PLACES = ((np.arange(_PANELS)[:, None] + (1 + _NODES) / 2) / _PANELS).ravel()
_WEIGHTS = np.tile(_MASS / 2 / _PANELS, _PANELS)


class Slopes(NamedTuple):
    """f', f'' and f''' at V."""

    first: Array
    second: Array
    third: Array


@dataclass(frozen=True)
class RewardMethod(ABC):
    """An increasing f of the pass rate V, by its derivatives; (1 − V)f' falls.

    Attributes:
        name: One of :data:`METHODS`.
        title: What it is, for tables.
        group: G, k or T; None where the method has none.
    """

    name: str
    title: str
    group: int | None

    @abstractmethod
    def slopes(self, xp: NumberSystem, hit: Array, miss: Array) -> Slopes:
        """f', f'', f''' at V = ``hit``, 1 − V = ``miss``: each (...)."""

    @abstractmethod
    def value(self, xp: NumberSystem, hit: Array, miss: Array) -> Array:
        """f(V), up to a constant: (...)."""

    @abstractmethod
    def threshold(self, xp: NumberSystem) -> Array | None:
        """K, None where it is infinite (then there is one for V ≥ v, :meth:`path`)."""

    @abstractmethod
    def lower(self, xp: NumberSystem) -> Array | None:
        """K⁻, None where it is infinite."""

    @property
    def linear(self) -> bool:
        """Whether f is linear: then rewards need not be binary."""
        return False

    @property
    def finite_at_zero(self) -> bool:
        """Whether f' is finite at V = 0."""
        return True

    @property
    def finite_at_one(self) -> bool:
        """Whether f' is finite at V = 1."""
        return True

    def slope(self, xp: NumberSystem, hit: Array, miss: Array) -> Array:
        """f'."""
        return self.slopes(xp, hit, miss).first

    def path(self, xp: NumberSystem, hit: Array, miss: Array) -> Array:
        """(1 − p)f'(p) at p = ``hit``: K over V ≥ p, and the threshold along a path (C31)."""
        return miss * self.slope(xp, hit, miss)

    def lower_up_to(self, xp: NumberSystem, hit: Array, miss: Array) -> Array:
        """A bound of K⁻ over pass rates ≤ V = ``hit``: Vf', which rises where it is sharp."""
        return hit * self.slope(xp, hit, miss)

    def turn(self, xp: NumberSystem, hit: Array, miss: Array) -> Array:
        """w' = (1 − 2V)f' + V(1 − V)f'', the eigenvalue along the two groups' difference."""
        at = self.slopes(xp, hit, miss)
        return (miss - hit) * at.first + hit * miss * at.second

    def spectrum(
        self, xp: NumberSystem, hit: Array, miss: Array, correct: int, wrong: int
    ) -> list[Array]:
        """The eigenvalues of ∇²f relative to F on tabular features (C31).

        Args:
            xp: Number system.
            hit: V.
            miss: 1 − V.
            correct: How many responses are correct, ≥ 1.
            wrong: How many are wrong, ≥ 1.

        Returns:
            correct + wrong − 1 of them: (1 − V)f', −Vf', and w' once.
        """
        slope = self.slope(xp, hit, miss)
        among = [miss * slope] * (correct - 1) + [-hit * slope] * (wrong - 1)
        return [*among, self.turn(xp, hit, miss)]


@dataclass(frozen=True)
class Polynomial(RewardMethod):
    """f' in Bernstein form, with falling (1 − V)f'.

    Attributes:
        coefficients: b_0, …, b_n in a number system; K = b_0.
        least: K⁻ where Vf' does not rise; where it does, it is b_n.
    """

    coefficients: Callable[[NumberSystem], list[Any]]
    least: Fraction | None = None

    def slopes(self, xp: NumberSystem, hit: Array, miss: Array) -> Slopes:
        """By the differences of the coefficients."""
        first = self.coefficients(xp)
        second = bernstein.derivative(first)
        third = bernstein.derivative(second)
        return Slopes(*(bernstein.evaluate(b, hit, miss) for b in (first, second, third)))

    def slope(self, xp: NumberSystem, hit: Array, miss: Array) -> Array:
        """f' alone."""
        return bernstein.evaluate(self.coefficients(xp), hit, miss)

    def value(self, xp: NumberSystem, hit: Array, miss: Array) -> Array:
        """f with f(0) = 0."""
        return bernstein.evaluate(bernstein.antiderivative(self.coefficients(xp)), hit, miss)

    def turn(self, xp: NumberSystem, hit: Array, miss: Array) -> Array:
        """w' from the coefficients of w, of degree n + 2: without a difference of large numbers."""
        inner = self.coefficients(xp)
        n = len(inner) - 1
        share = [Fraction((j + 1) * (n + 1 - j), (n + 1) * (n + 2)) for j in range(n + 1)]
        zero = inner[0] * 0
        whole = [b * c for b, c in zip(inner, _exact(xp, share), strict=True)]
        return bernstein.evaluate(bernstein.derivative([zero, *whole, zero]), hit, miss)

    def threshold(self, xp: NumberSystem) -> Array:
        """K = f'(0)."""
        return self.coefficients(xp)[0]

    def lower(self, xp: NumberSystem) -> Array:
        """K⁻."""
        return self.coefficients(xp)[-1] if self.least is None else _exact(xp, [self.least])[0]

    def lower_up_to(self, xp: NumberSystem, hit: Array, miss: Array) -> Array:
        """Vf' where it rises, else K⁻."""
        return super().lower_up_to(xp, hit, miss) if self.least is None else self.lower(xp)

    @property
    def linear(self) -> bool:
        """Whether f' is constant."""
        return self.name in ("reward", "dr-grpo")


class _ByLogarithm(RewardMethod):
    """f' by its logarithm's derivatives; f' is infinite where V or 1 − V is 0."""

    @abstractmethod
    def _logarithm(self, xp: NumberSystem, hit: Array, miss: Array) -> Slopes:
        """f', (log f')', (log f')''."""

    def slopes(self, xp: NumberSystem, hit: Array, miss: Array) -> Slopes:
        """f'' = f'·L', f''' = f'·(L'² + L'')."""
        first, turn, bend = self._logarithm(xp, hit, miss)
        return Slopes(first, first * turn, first * (turn * turn + bend))

    def value(self, xp: NumberSystem, hit: Array, miss: Array) -> Array:
        """∫ from ½ to V, by Gauss and Legendre in log V/(1 − V), where V(1 − V)f' is bounded.

        Raises:
            InputError: A system other than float64 and torch: there is no enclosure.
        """
        if xp.name not in ("float64", "torch"):
            raise InputError("method", self.name, f"one whose f has a closed form, in {xp.name}")
        reach = xp.log(hit) - xp.log(miss)
        at = reach[..., None] * xp.asarray(_PLACES)
        up, down = xp.sigmoid(at), xp.sigmoid(-at)
        return reach * total(up * down * self.slope(xp, up, down) * xp.asarray(_WEIGHTS))

    def threshold(self, xp: NumberSystem) -> None:
        """Infinite: (1 − V)f' grows without bound as V falls."""

    def lower(self, xp: NumberSystem) -> None:
        """Infinite, as V rises."""

    @property
    def finite_at_zero(self) -> bool:
        """No."""
        return False

    @property
    def finite_at_one(self) -> bool:
        """No."""
        return False


@dataclass(frozen=True)
class DynamicSampling(_ByLogarithm):
    """GRPO whose groups are drawn again until they differ: f'_G/(1 − V^G − (1 − V)^G).

    Attributes:
        coefficients: Those of f'_G.
    """

    coefficients: Callable[[NumberSystem], list[Any]]

    def _logarithm(self, xp: NumberSystem, hit: Array, miss: Array) -> Slopes:
        assert self.group is not None
        g = self.group
        shares = [Fraction(g * (g - 1), k * (g - k)) for k in range(1, g)]
        over, over_turn, over_bend = _log_slopes(self.coefficients(xp), hit, miss)
        under, under_turn, under_bend = _log_slopes(_exact(xp, shares), hit, miss)
        high, low = 1 / hit, 1 / miss
        return Slopes(
            over / under * high * low,
            over_turn - under_turn - high + low,
            over_bend - under_bend + high * high + low * low,
        )


def _log_slopes(coefficients: list[Any], hit: Array, miss: Array) -> Slopes:
    """P, (log P)' and (log P)'' of a polynomial in Bernstein form."""
    slope = bernstein.derivative(coefficients)
    parts = (coefficients, slope, bernstein.derivative(slope))
    value, first, second = (bernstein.evaluate(b, hit, miss) for b in parts)
    turn = first / value
    return Slopes(value, turn, second / value - turn * turn)


class Arcsine(_ByLogarithm):
    """2 arcsin √V, the limit of GRPO as G → ∞: f' = 1/√(V(1 − V))."""

    def _logarithm(self, xp: NumberSystem, hit: Array, miss: Array) -> Slopes:
        high, low = 1 / hit, 1 / miss
        first = xp.exp(-(xp.log(hit) + xp.log(miss)) / 2)
        return Slopes(first, (low - high) / 2, (high * high + low * low) / 2)

    def turn(self, xp: NumberSystem, hit: Array, miss: Array) -> Array:
        """w' of w = √(V(1 − V))."""
        return (miss - hit) * self.slope(xp, hit, miss) / 2


class Logarithm(RewardMethod):
    """log V: training on the samples that are correct."""

    def slopes(self, xp: NumberSystem, hit: Array, miss: Array) -> Slopes:
        """1/V, −1/V², 2/V³."""
        first = 1 / hit
        return Slopes(first, -first * first, 2 * first * first * first)

    def turn(self, xp: NumberSystem, hit: Array, miss: Array) -> Array:
        """w' of w = 1 − V."""
        return hit * 0 - 1

    def value(self, xp: NumberSystem, hit: Array, miss: Array) -> Array:
        """log V."""
        return xp.log(hit)

    def threshold(self, xp: NumberSystem) -> None:
        """Infinite, as V falls."""

    def lower(self, xp: NumberSystem) -> Array:
        """Vf' = 1."""
        return _exact(xp, [1])[0]

    @property
    def finite_at_zero(self) -> bool:
        """No."""
        return False


def group_deviation(
    xp: NumberSystem, group: int, correct: int, std: str = "population", epsilon: Any = 0
) -> Array:
    """Standard deviation of a group's rewards, ``correct`` of them 1 and the rest 0, plus ε.

    Args:
        xp: Number system.
        group: G ≥ 2.
        correct: k, 1 to G − 1.
        std: ``population`` or ``sample``.
        epsilon: ε ≥ 0.
    """
    over = group * group if std == "population" else group * (group - 1)
    variance = _exact(xp, [Fraction(correct * (group - correct), over)])[0]
    return xp.exp(xp.log(variance) / 2) + _exact(xp, [epsilon])[0]


def reward_method(
    name: str, group: int = 8, std: str = "population", epsilon: Any = 0
) -> RewardMethod:
    """A method by name.

    Args:
        name: One of :data:`METHODS`: ``reward`` (RLOO too), ``dr-grpo`` (centred, not divided),
            ``grpo``, ``dynamic-sampling`` (GRPO whose groups without variance are drawn again),
            ``arcsine`` (GRPO as G → ∞), ``log`` (training on correct samples), ``pass-at-k``
            (k = ``group``), ``maxrl`` (T = ``group``; dividing centred rewards by the group's mean
            is T = G − 1).
        group: Samples a prompt, G ≥ 2; from 1 for ``pass-at-k`` and ``maxrl``.
        std: For ``grpo`` and ``dynamic-sampling``: one of :data:`STDS`.
        epsilon: What is added to it, ≥ 0.

    Raises:
        InputError: An unknown name or std, a group that is too small or too large, ε < 0.
    """
    if name not in METHODS:
        raise InputError("method", name, f"one of {', '.join(METHODS)} is expected")
    if std not in STDS:
        raise InputError("std", std, f"one of {', '.join(STDS)} is expected")
    require(">=", epsilon=epsilon)
    size = whole_number("group", group, 1 if name in ("pass-at-k", "maxrl") else 2)
    if size > _LARGEST_GROUP:
        raise InputError("group", size, f"at most {_LARGEST_GROUP} is expected")
    return _MAKERS[name](size, std, epsilon)


def _exact(xp: NumberSystem, values: list[Any]) -> list[Any]:
    """Rational numbers in a number system."""
    lifted = lift(xp, np.array(values, dtype=object))
    return [lifted[j] for j in range(len(values))]


def _constant(value: Fraction) -> Callable[[NumberSystem], list[Any]]:
    return lambda xp: _exact(xp, [value])


def _divided(group: int, std: str, epsilon: Any) -> Callable[[NumberSystem], list[Any]]:
    """(1 − 1/G)/d_k, k = 1, …, G − 1."""

    def coefficients(xp: NumberSystem) -> list[Any]:
        share = _exact(xp, [1 - Fraction(1, group)])[0]
        return [share / group_deviation(xp, group, k, std, epsilon) for k in range(1, group)]

    return coefficients


def _grpo_title(group: int, std: str, epsilon: Any) -> str:
    return f"GRPO, {std} std{f' + {float(epsilon):g}' if epsilon else ''}, G = {group}"


def _reward(group: int, std: str, epsilon: Any) -> RewardMethod:
    return Polynomial("reward", "reward, RLOO", None, _constant(Fraction(1)))


def _dr_grpo(group: int, std: str, epsilon: Any) -> RewardMethod:
    share = 1 - Fraction(1, group)
    return Polynomial("dr-grpo", f"Dr. GRPO, G = {group}", group, _constant(share))


def _grpo(group: int, std: str, epsilon: Any) -> RewardMethod:
    title = _grpo_title(group, std, epsilon)
    return Polynomial("grpo", title, group, _divided(group, std, epsilon))


def _dynamic(group: int, std: str, epsilon: Any) -> RewardMethod:
    title = f"dynamic sampling, {_grpo_title(group, std, epsilon)}"
    return DynamicSampling("dynamic-sampling", title, group, _divided(group, std, epsilon))


def _pass_at(group: int, std: str, epsilon: Any) -> RewardMethod:
    k = group
    least = None if k == 1 else k * Fraction(k - 1, k + 1) ** (k - 1)
    return Polynomial(
        "pass-at-k", f"pass@{k}", k, lambda xp: _exact(xp, [k] + [0] * (k - 1)), least
    )


def _maxrl(group: int, std: str, epsilon: Any) -> RewardMethod:
    shares = [Fraction(group, j) for j in range(1, group + 1)]
    return Polynomial("maxrl", f"MaxRL, T = {group}", group, lambda xp: _exact(xp, shares))


_MAKERS: dict[str, Callable[[int, str, Any], RewardMethod]] = {
    "reward": _reward,
    "dr-grpo": _dr_grpo,
    "grpo": _grpo,
    "dynamic-sampling": _dynamic,
    "arcsine": lambda *_: Arcsine("arcsine", "2 arcsin √V (GRPO, G → ∞)", None),
    "log": lambda *_: Logarithm("log", "log V (correct samples only)", None),
    "pass-at-k": _pass_at,
    "maxrl": _maxrl,
}
