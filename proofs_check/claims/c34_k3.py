"""C34: k3 in the loss, token by token, is the gradient of no sequence KL and has no threshold."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from functools import partial

import numpy as np
from flint import arb

from proofs_check.arguments.other_kl_steps import C34_STEPS
from proofs_check.evidence.argument import Ball, Tally, argue, refute
from proofs_check.evidence.reward_battery import alternating
from proofs_check.evidence.two_tokens import TwoTokens
from proofs_check.expected import claim
from sailtheory import PreferenceProblem
from sailtheory.claims import Claim, Context, Falsehood
from sailtheory.numeric.numbers import FLOAT64, Array, NumberSystem, arb_numbers
from sailtheory.problem.reward_problem import reward_problem
from sailtheory.verdict import Evidence

_POLICIES = {"quick": 600, "full": 20_000}


def random_tokens(rng: np.random.Generator) -> tuple[TwoTokens, np.ndarray]:
    """Two or three options each, one to four dimensions, mild or steep; and θ."""
    a, b, d = int(rng.integers(2, 4)), int(rng.integers(2, 4)), int(rng.integers(1, 5))
    tokens = TwoTokens(
        rng.normal(size=(a, d)), 3 * rng.normal(size=a), rng.normal(size=(a, b, d)),
        2 * rng.normal(size=(a, b)),
    )  # fmt: skip
    return tokens, rng.normal(size=d) * float(rng.choice([0.1, 1, 2]))


def check(context: Context) -> Generator[Evidence, None, None]:
    """The argument; then the local bound at random policies over two tokens."""
    yield from argue(
        "k3's mean gradient is Σ_s d_θ(s)∇KL(π_ref(·|s)‖π_θ(·|s)) with d_θ held fixed, with the "
        "importance ratio that of KL(π_θ(·|s)‖π_ref(·|s)); for two tokens the symmetric part of "
        "its Jacobian is at least (1 − ½√χ²)F_seq. It has no threshold free of the features: for "
        "every γ large enough, rewards in [0, 1] leave two stable zeros",
        C34_STEPS, ("C07 at each state", "Cauchy–Schwarz", "on-policy samples, exact means"),
    )  # fmt: skip
    rng = context.rng("C34")
    tally = Tally("two tokens: λ_min of the Jacobian relative to F_seq ≥ 1 − ½√χ²")
    for _ in range(_POLICIES[context.effort]):
        tokens, theta = random_tokens(rng)
        at = tokens.at(FLOAT64, theta)
        jacobian, fisher = at.jacobian()
        values, vectors = np.linalg.eigh(fisher)
        keep = values > 1e-9 * values[-1]
        root = vectors[:, keep] / np.sqrt(values[keep])
        least = np.linalg.eigvalsh(root.T @ jacobian @ root)[:1]
        bound = 1 - np.sqrt(at.chi_square()) / 2
        tally.add(np.array([bound]), least + 1e-8 * (1 + abs(least)), _unexpected)
    yield tally.evidence()


def _unexpected(_: int) -> Evidence:
    raise ArithmeticError("k3's Jacobian is below its bound: look at the formulas or rounding")


# --- wrong variants ---------------------------------------------------------------------


def trap(gamma: int) -> tuple[TwoTokens, PreferenceProblem]:
    """Token 1: φ = 0, 1 (reward 1), −20γ; after the last, token 2 with features 0 and 400γ."""
    rare = 0.01 / (80 * gamma**2)
    chances = np.array([1 - 0.01 - rare, 0.01, rare])
    tokens = TwoTokens(
        np.array([[0.0], [1.0], [-20.0 * gamma]]), np.log(chances),
        np.array([[[0.0], [0.0]], [[0.0], [0.0]], [[0.0], [400.0 * gamma]]]), np.zeros((3, 2)),
    )  # fmt: skip
    problem = reward_problem(
        features=[tokens.first], response_rewards=[[0, 1, 0]], base=[chances], radius=3
    )
    return tokens, problem


def trapped(tokens: TwoTokens, gamma: int, xp: NumberSystem, theta: Array) -> Array:
    """∇V less γ times k3's mean gradient, one dimension."""
    at = tokens.at(xp, theta)
    lead = at.first[1, 0] - (at.chance @ at.first)[0]
    return at.chance[1] * lead - gamma * at.k3[0]


def _two_zeros(gamma: int, points: tuple[float, ...], _: Context) -> Iterator[Evidence]:
    tokens, problem = trap(gamma)
    xp = arb_numbers()

    def excess() -> Ball:
        return alternating(trapped(tokens, gamma, xp, xp.asarray([t])) for t in points)

    says = f"k3: the field is > 0, < 0, > 0, < 0 at four points: two stable zeros at γ = {gamma}"
    found = float(trapped(tokens, gamma, FLOAT64, np.array([points[2]])))
    yield refute(
        problem, np.array([points[2]]), says, found, excess,
        at=points, second_features=tokens.second.tolist(),
    )  # fmt: skip


def _mild() -> tuple[TwoTokens, PreferenceProblem]:
    """Two options each: the second token's policy moves after the first option only."""
    tokens = TwoTokens(
        np.array([[1.0], [0.0]]), np.zeros(2), np.array([[[1.0], [0.0]], [[0.0], [0.0]]]),
        np.zeros((2, 2)),
    )  # fmt: skip
    return tokens, reward_problem(features=[tokens.first], response_rewards=[[1, 0]], radius=3)


def _differs(
    pick: Callable[[TwoTokens, NumberSystem, Array], tuple[Array, Array]], says: str, _: Context
) -> Iterator[Evidence]:
    """Two fields that are said to be one differ by more than .02 at θ = 2."""
    tokens, problem = _mild()
    theta, xp = np.array([2.0]), arb_numbers()

    def excess() -> Ball:
        left, right = pick(tokens, xp, xp.asarray(theta))
        return abs(left[0] - right[0]) - arb("0.02")

    left, right = pick(tokens, FLOAT64, theta)
    yield refute(problem, theta, says, float(abs(left[0] - right[0])), excess)


def _quarter(_: Context) -> Iterator[Evidence]:
    """At θ_ref's own first token, second tokens at ½ with π_ref .9 and .1: 1 − ½√χ² is attained."""
    odds = np.log([0.1, 0.9])
    tokens = TwoTokens(
        np.array([[1.0], [-1.0]]), np.zeros(2),
        np.array([[[0.0], [2.0]], [[0.0], [2.0]]]), np.array([odds, odds[::-1]]),
    )  # fmt: skip
    problem = reward_problem(features=[tokens.first], response_rewards=[[1, 0]], radius=3)
    theta, xp = np.zeros(1), arb_numbers()

    def level(numbers: NumberSystem) -> tuple[Array, Array]:
        # The policy's second tokens are even; π_ref's are what ``odds`` says.
        at = tokens.at(numbers, numbers.asarray(theta))
        even = at.then * 0 + numbers.asarray([0.5])[0]
        moved = type(at)(at.first, at.second, at.chance, at.chance_ref, even, at.then_ref,
                         at.ratio, at.ratio_first)  # fmt: skip
        jacobian, fisher = moved.jacobian()
        return jacobian[0, 0], fisher[0, 0]

    def excess() -> Ball:
        jacobian, fisher = level(xp)
        return fisher * arb("0.8") - jacobian  # √χ² = .8, 1 − ¼·.8 = .8

    jacobian, fisher = level(FLOAT64)
    says = "k3's Jacobian < (1 − ¼√χ²)F_seq"
    yield refute(problem, theta, says, float(jacobian / fisher), excess, second_odds=[0.1, 0.9])


def _planted() -> Iterator[Falsehood]:
    for gamma, points in (
        (2, (-0.05, 0.00477, 0.1095, 2.9)), (10, (-0.05, 0.000956, 0.0195, 2.9)),
        (50, (-0.05, 0.000191, 0.00383, 2.9)),
    ):  # fmt: skip
        says = f"k3 token by token has C30's threshold: γ = {gamma}, reward in [0, 1]"
        yield Falsehood(f"threshold-{gamma}", says, partial(_two_zeros, gamma, points))
    yield Falsehood(
        "sequence-kl", "k3's mean gradient is ∇KL(π_ref‖π_θ) of the sequence",
        partial(_differs, lambda t, xp, at: (t.at(xp, at).k3, t.at(xp, at).sequence_kl),
                "k3's mean gradient is not the sequence KL's"),
    )  # fmt: skip
    yield Falsehood(
        "corrected", "with the importance ratio it is ∇KL(π_θ‖π_ref) of the sequence",
        partial(_differs, lambda t, xp, at: t.at(xp, at).other_kls(),
                "the corrected k3's mean gradient is not the sequence KL's"),
    )  # fmt: skip
    yield Falsehood("quarter", "its Jacobian is at least (1 − ¼√χ²)F_seq", _quarter)


CLAIMS: list[Claim] = [
    claim(
        "C34",
        title="k3 in the loss, token by token, is no sequence KL's gradient and has no threshold",
        statement=r"E[\nabla\sum_t k_3] = \sum_s d_\theta(s)\,\nabla"
        r" KL(\pi_{ref}(\cdot|s)\|\pi_\theta(\cdot|s)),\ d_\theta\ \text{held fixed};\;"
        r" \mathrm{sym}\,D \succeq (1-c/2)F_{seq}\ \text{(two tokens)}",
        source="new; proof in docs/theory.md",
        hypotheses=("on-policy samples; log-linear tokens",
                    "two tokens for the bound; c² the largest of χ²(π_ref‖π_θ) at the second"),
        check=check,
        planted=tuple(_planted()),
    )
]  # fmt: skip
