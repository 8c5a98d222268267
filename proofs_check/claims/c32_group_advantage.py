"""C32: any rewards, any zero-sum advantage of a group: √(G − 1) is enough, and sharp."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial

import numpy as np
from flint import arb

from proofs_check.arguments.group_steps import C32_STEPS
from proofs_check.claims.c11_relative_curvature import against
from proofs_check.evidence.argument import Ball, Tally, argue, deferred, refute
from proofs_check.evidence.battery import points
from proofs_check.evidence.reward_battery import ABOVE, reward_battery, tied
from proofs_check.expected import claim
from sailtheory import KLRefPolicy, PreferenceProblem
from sailtheory.claims import Claim, Context, Falsehood
from sailtheory.landscape import Domain
from sailtheory.numeric.numbers import arb_numbers
from sailtheory.objectives.rewards import GroupField, RewardObjective
from sailtheory.problem.reward_problem import reward_problem
from sailtheory.theory.reward_methods import reward_method
from sailtheory.verdict import Evidence

_PROBLEMS = {"quick": 40, "full": 400}
_POINTS = 12


def norm_above(
    field: GroupField, theta: np.ndarray, v: np.ndarray, w: np.ndarray, bound: float, says: str
) -> Evidence:
    """Decide |vᵀDh w| > bound·(vᵀF̄v + wᵀF̄w)/2 in ball arithmetic."""
    problem, xp = field.problem, arb_numbers()

    def excess() -> Ball:
        at, left, right = (xp.asarray(each) for each in (theta, v, w))
        jacobian, fisher = field.jacobian(at), KLRefPolicy(problem).hessian(at)
        size = left @ fisher @ left + right @ fisher @ right
        return abs(left @ jacobian @ right) - arb(bound) * size / 2

    return refute(
        problem, theta, f"Dh is larger relative to F̄ than {says}", float(excess()), excess,
        direction=v.tolist(), other=w.tolist(),
    )  # fmt: skip


def norm(field: GroupField, theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """The norm of Dh relative to F̄ at θ, and directions v, w that attain it."""
    domain = Domain(field.problem)
    jacobian = domain.reduce_matrix(field.jacobian(theta))
    fisher = domain.reduce_matrix(KLRefPolicy(field.problem).hessian(theta))
    values, vectors = np.linalg.eigh(fisher)
    keep = values > 1e-9 * values[-1]
    root = vectors[:, keep] / np.sqrt(values[keep])
    left, size, right = np.linalg.svd(root.T @ jacobian @ root)
    return float(size[0]), domain.lift(root @ left[:, 0]), domain.lift(root @ right[0])


def check(context: Context) -> Generator[Evidence, None, None]:
    """The argument; then real rewards, groups of 2 to 4, both deviations."""
    yield from argue(
        "h = E[(1/G)ΣA_is_i] with ΣA_i = 0 and ‖A‖² ≤ G has |vᵀDh w| ≤ √(G − 1)|v||w|, with the "
        "sample's deviation (G − 1)/√G, whatever the rewards; so for γ above it "
        "−(h − γ∇KL(π_ref‖π_θ)) is strongly monotone on C along S, as in C29", C32_STEPS,
        ("C29 (what strong monotonicity gives)", "C07", "C09", "Cauchy–Schwarz",
         "A depends on the group's samples alone, and is 0 where the group has no variance"),
    )  # fmt: skip
    rng = context.rng("C32")
    tallies = {
        std: Tally(f"‖F̄^−½ Dh F̄^−½‖ ≤ {says}, rewards real or binary, G ≤ 4")
        for std, says in (("population", "√(G − 1)"), ("sample", "(G − 1)/√G"))
    }
    count = _PROBLEMS[context.effort] // 2
    drawn = (p for real in (False, True) for p in reward_battery(rng, count, real=real))
    for number, problem in enumerate(drawn):
        if problem.span.dimension == 0 or max(problem.responses) > 5:
            continue
        group, std = int(rng.integers(2, 5)), ("population", "sample")[number % 2]
        field = GroupField(problem, group, std)
        bound = float(np.sqrt(group - 1) if std == "population" else (group - 1) / np.sqrt(group))
        for theta in points(rng, problem, _POINTS):
            size, v, w = norm(field, theta)
            confirm = partial(norm_above, field, theta, v, w, bound * ABOVE, "the bound")
            tallies[std].add(np.array([size]), np.array([bound * ABOVE]), deferred(confirm))
    for tally in tallies.values():
        yield tally.evidence()


# --- wrong variants ---------------------------------------------------------------------


def _short(field: GroupField, bound: float, says: str, _: Context) -> Iterator[Evidence]:
    theta = np.zeros(field.problem.dimension)
    size, v, w = norm(field, theta)
    assert size > bound
    yield norm_above(field, theta, v, w, bound, says)


def _drawn_again(context: Context) -> Iterator[Evidence]:
    """Groups without variance drawn again: the advantage depends on the chance of the group."""
    objective = RewardObjective(tied("1e-5"), reward_method("dynamic-sampling", 4))
    yield against(objective, lambda t: 3**0.5, "√(G − 1), groups drawn again", context)


def _is_gradient(_: Context) -> Iterator[Evidence]:
    """Rewards 0, 1, 3, one feature a response, G = 3."""
    problem = _levels()
    theta, field = np.array([0.3, -0.2]), GroupField(problem, 3)
    found = field.jacobian(theta)

    def excess() -> Ball:
        exact = field.jacobian(arb_numbers().asarray(theta))
        return abs(exact[0, 1] - exact[1, 0])

    yield refute(problem, theta, "∂₁h₂ ≠ ∂₂h₁", float(abs(found[0, 1] - found[1, 0])), excess)


def _levels() -> PreferenceProblem:
    return reward_problem(
        features=[[[1, 0], [0, 1], [0, 0]]], response_rewards=[[0, 1, 3]], radius=1
    )


def _planted() -> Iterator[Falsehood]:
    rare = tied("1e-5")
    plain, sample = GroupField(rare, 4), GroupField(rare, 4, "sample")
    for name, field, bound, says in (
        ("root-short", plain, 2**0.5, "√(G − 2)"),
        ("sample-for-population", plain, 1.5, "(G − 1)/√G, the sample's, for the population's"),
        ("sample-short", sample, 2**0.5, "√(G − 2) for the sample's"),
        ("scale-free", plain, 1.0, "1, as rewards without deviation have it"),
    ):
        yield Falsehood(
            name, f"Dh is at most {says} relative to F̄", partial(_short, field, bound, says)
        )
    yield Falsehood("drawn-again", "√(G − 1) is enough where groups are drawn again", _drawn_again)
    yield Falsehood("gradient", "h is the gradient of a function", _is_gradient)


CLAIMS: list[Claim] = [
    claim(
        "C32",
        title="GRPO with any rewards: γ above √(G − 1) is enough, (G − 1)/√G by the sample's std",
        statement=r"h = E[\frac{1}{G}\sum_i A_i s_i],\ \sum_i A_i = 0,\ \|A\|^2 \le G:\;"
        r" |v^\top Dh\,w| \le (G-1)^{1/2}\,|v|_{\bar F}\,|w|_{\bar F}",
        source="new; proof in docs/theory.md",
        hypotheses=("A a function of the group's samples alone, 0 without variance",
                    "one softmax over responses, log-linear; not resampled, not renormalised"),
        check=check,
        planted=tuple(_planted()),
    )
]  # fmt: skip
