"""C37: self-play with a general preference: γ > 1 for two players, γ > ½ for the field."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from proofs_check.arguments.self_play_steps import C37_STEPS
from proofs_check.claims.c11_relative_curvature import compare, exceeds, spectrum
from proofs_check.evidence.argument import Ball, Tally, argue, curvature_ball, refute
from proofs_check.evidence.battery import points
from proofs_check.evidence.payoff_battery import payoff_problems
from proofs_check.expected import claim
from sailtheory import KLPolicyRef, Objective, PreferenceProblem
from sailtheory.claims import Claim, Context, Falsehood
from sailtheory.numeric.numbers import arb_numbers
from sailtheory.objectives.self_play import SelfPlay, WinsAgainst
from sailtheory.verdict import Evidence

_PROBLEMS = {"quick": 30, "full": 300}
_ABOVE = 1 + 1e-12


def check(context: Context) -> Iterator[Evidence]:
    """The argument; then both thresholds at random points and opponents."""
    yield from argue(
        "with γKL(π_ref‖·) for both, the game's field is (γ − 1)-strongly monotone relative to "
        "A ⊕ A for γ > 1, 1 sharp for m ≥ 3 and ½ for m = 2; self-play's own field for γ > ½, "
        "sharp", C37_STEPS, ("C30 (a mean reward)", "limits of instances, e → 0"),
    )  # fmt: skip
    rng = context.rng("C37")
    game, pair = Tally("∇₁²P ⪯ F̄, any opponent"), Tally("∇₁²P ⪯ ½F̄, two responses")
    other, field = (
        Tally("∇₁²P ⪰ −F̄, as the other player needs"),
        Tally("sym DV ⪯ ½F̄, self-play's field"),
    )
    for _ in range(_PROBLEMS[context.effort]):
        problem = next(payoff_problems(rng, 1.0, 6.0, 1))
        if problem.span.dimension == 0:
            continue
        theta = points(rng, problem, 32)
        against = WinsAgainst(problem, theta[-1])
        small = max(problem.responses) == 2
        compare(pair if small else game, spectrum(against, theta), (0.5 if small else 1.0) * _ABOVE)
        compare(other, spectrum(-1.0 * against, theta), _ABOVE)
        compare(field, spectrum(SelfPlay(problem), theta), 0.5 * _ABOVE)
    for tally in (game, pair, other, field):
        yield tally.evidence()


# --- wrong variants ---------------------------------------------------------------------


def _three(chance: str = "1e-6") -> PreferenceProblem:
    """y₁ ≻ y₃ ≻ y₂, y₁ ≻ y₂; the first feature moves y₁, the second the opponent to y₃."""
    return PreferenceProblem(
        features=[[[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]], beta=1.0, radius=60,
        preferences=[[[0.5, 1, 1], [0, 0.5, 0], [0, 1, 0.5]]],
        base=[[chance, 1.0, chance]],
    )  # fmt: skip


def _two(wins: float = 1.0) -> PreferenceProblem:
    return PreferenceProblem(
        features=[[[1.0], [0.0]]], beta=1.0, radius=10,
        preferences=[[[0.5, wins], [1 - wins, 0.5]]], base=[["1e-6", 1.0]],
    )  # fmt: skip


def _cycle() -> PreferenceProblem:
    return PreferenceProblem(
        features=[[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]],
        beta=1.0,
        radius=4,
        preferences=[[[0.5, 1, 0], [0, 0.5, 1], [1, 0, 0.5]]],
    )


def _wrong(name: str, says: str, made: Callable[[], Objective], bound: float) -> Falsehood:
    """At θ_ref along the first feature."""

    def check(_: Context) -> Iterator[Evidence]:
        objective = made()
        d = objective.problem.dimension
        yield exceeds(objective, np.zeros(d), np.eye(d)[0], bound, f"{name}: {says}")

    return Falsehood(name, says, check)


def _gradient(_: Context) -> Iterator[Evidence]:
    problem, theta = _cycle(), np.zeros(2)

    def excess() -> Ball:
        jacobian = SelfPlay(problem).jacobian(arb_numbers().asarray(theta))
        return abs(jacobian[0, 1] - jacobian[1, 0])

    yield refute(problem, theta, "∂₁V₂ ≠ ∂₂V₁", float(excess()), excess)


def _flat(_: Context) -> Iterator[Evidence]:
    """P(π, π) = ½ is constant, but the field that self-play follows is not 0."""
    problem, theta = _two(), np.zeros(1)

    def excess() -> Ball:
        return abs(SelfPlay(problem).gradient(arb_numbers().asarray(theta))[0])

    says = "V ≠ 0 although P(π ≻ π) = ½"
    yield refute(problem, theta, says, float(excess()), excess)


def _other_kl(_: Context) -> Iterator[Evidence]:
    problem, theta = _two().replace(base=[[1.0, 1.0]]), np.array([6.0])
    whole = SelfPlay(problem) - 10.0 * KLPolicyRef(problem)

    def excess() -> Ball:
        return curvature_ball(whole, theta, np.ones(1))

    yield refute(problem, theta, "D(V − 10∇KL(π_θ‖π_ref)) > 0", float(excess()), excess)


def _planted() -> Iterator[Falsehood]:
    far = np.array([0.0, 50.0])  # the opponent plays y₃
    yield _wrong("half-for-the-game", "γ > ½ is enough for two players, three responses",
                 lambda: WinsAgainst(_three(), far), 0.5)  # fmt: skip
    yield _wrong("game-third-digit", "γ > .999 is enough for two players",
                 lambda: WinsAgainst(_three(), far), 0.999)  # fmt: skip
    yield _wrong("quarter-for-two", "γ > ¼ is enough for two players, two responses",
                 lambda: WinsAgainst(_two(), np.zeros(1)), 0.25)  # fmt: skip
    yield _wrong("field-third-digit", "γ > .499 is enough for self-play's field",
                 lambda: SelfPlay(_two()), 0.499)  # fmt: skip
    yield Falsehood("gradient", "self-play's field is the gradient of a function", _gradient)
    yield Falsehood("constant", "P(π ≻ π) = ½, so self-play moves nothing", _flat)
    yield Falsehood("other-kl", "γ = 10 is enough with KL(π_θ‖π_ref)", _other_kl)


CLAIMS: list[Claim] = [
    claim(
        "C37",
        title="self-play: strongly monotone for γ > 1 (two players), for γ > ½ (its own field)",
        statement=r"\nabla_1^2 P \preceq F_1,\; -\nabla_2^2 P \preceq F_2,\;"
        r" \mathrm{sym}\,DV = \mathbb{E}[(r-\tfrac12)ss^\top] \preceq \tfrac12\bar F",
        source="new; proof in docs/theory.md",
        hypotheses=("P₁₂ + P₂₁ = 1", "KL(π_ref‖·) for both players", "one step, not sequences"),
        check=check,
        planted=tuple(_planted()),
    )
]
