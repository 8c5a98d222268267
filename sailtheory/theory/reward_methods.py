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

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from sailtheory.errors import InputError, require, whole_number
from sailtheory.numeric.numbers import FLOAT64, Array, NumberSystem
from sailtheory.theory.reward_slopes import Polynomial, RewardMethod, exact_numbers
from sailtheory.theory.unbounded_methods import Arcsine, DynamicSampling, Logarithm

__all__ = [
    "METHODS",
    "STDS",
    "group_deviation",
    "group_field_bound",
    "reward_method",
]

METHODS = (
    "reward", "dr-grpo", "grpo", "dynamic-sampling", "arcsine", "log", "pass-at-k", "maxrl",
)  # fmt: skip
"""Names of :func:`reward_method`."""

STDS = ("population", "sample")
"""Standard deviations of a group: divided by G, or by G − 1 as TRL has it."""

_LARGEST_GROUP = 512


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
    variance = exact_numbers(xp, [Fraction(correct * (group - correct), over)])[0]
    return xp.exp(xp.log(variance) / 2) + exact_numbers(xp, [epsilon])[0]


def group_field_bound(
    xp: NumberSystem, group: int, spans: Array, std: str = "population", epsilon: Any = 0
) -> Array:
    """K of the field of GRPO with any rewards (C32), by prompt: K·s/(s + ε), (n,).

    K = √(G − 1), (G − 1)/√G with the sample's deviation: that of binary rewards, which attain it.
    s is the largest deviation of G rewards with that range, half of them at each end.

    Args:
        xp: Number system.
        group: G ≥ 2.
        spans: The range of each prompt's rewards, > 0, (n,).
        std: ``population`` or ``sample``.
        epsilon: ε ≥ 0.
    """
    whole = exact_numbers(xp, [1 - Fraction(1, group)])[0] / group_deviation(xp, group, 1, std)
    most = spans * group_deviation(xp, group, group // 2, std)
    return whole * most / (most + exact_numbers(xp, [epsilon])[0])


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


def _constant(value: Fraction) -> Callable[[NumberSystem], list[Any]]:
    return lambda xp: exact_numbers(xp, [value])


def _divided(group: int, std: str, epsilon: Any) -> Callable[[NumberSystem], list[Any]]:
    """(1 − 1/G)/d_k, k = 1, …, G − 1."""

    def made(xp: NumberSystem) -> list[Any]:
        share = exact_numbers(xp, [1 - Fraction(1, group)])[0]
        return [share / group_deviation(xp, group, k, std, epsilon) for k in range(1, group)]

    in_float64 = made(FLOAT64)  # searches ask for nothing else, many times
    return lambda xp: in_float64 if xp is FLOAT64 else made(xp)


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
        "pass-at-k", f"pass@{k}", k, lambda xp: exact_numbers(xp, [k] + [0] * (k - 1)), least
    )


def _maxrl(group: int, std: str, epsilon: Any) -> RewardMethod:
    shares = [Fraction(group, j) for j in range(1, group + 1)]
    return Polynomial("maxrl", f"MaxRL, T = {group}", group, lambda xp: exact_numbers(xp, shares))


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
