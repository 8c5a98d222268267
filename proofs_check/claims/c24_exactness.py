"""C24: where the spans of prompts meet in 0 only, the reduction to single prompts loses nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from proofs_check.arguments.averaged_steps import C24_ASSUMES, C24_STEPS
from proofs_check.claims.c11_relative_curvature import spectrum
from proofs_check.evidence.argument import Ball, Tally, argue, curvature_ball, refute
from proofs_check.evidence.battery import single
from proofs_check.evidence.instances import random_problem
from proofs_check.expected import claim
from sailtheory import SAIL, PreferenceProblem
from sailtheory.certificates import certify_gamma
from sailtheory.certificates.exactness import spans_apart
from sailtheory.certificates.prompts import Plan, PromptCertificate, certify_prompts
from sailtheory.claims import Claim, Context, Falsehood
from sailtheory.landscape import Domain, largest_relative_curvature
from sailtheory.objectives.sail import KLRefPolicy
from sailtheory.problem.reduced import ProblemPrompts
from sailtheory.verdict import Evidence

_SIZES = {"quick": 12, "full": 60}
_ROOM = 1 + 1e-9  # eigenvalues in float64 lie on either side


def _certificate(problem: PreferenceProblem) -> PromptCertificate:
    return certify_prompts(ProblemPrompts(problem), Plan(tolerance=0.05))


def _worst(problem: PreferenceProblem, made: PromptCertificate) -> np.ndarray:
    """θ = c + Dᵀx at which the certificate's prompt is at its worst."""
    assert made.witness is not None
    phi = np.asarray(problem.features[made.witness.prompt], dtype=float)
    return np.asarray(problem.center.astype(float) + (phi[1:] - phi[:1]).T @ made.witness.point)


def _disagrees(_: int) -> Evidence:
    raise ArithmeticError("the average does not reach ḡ at the lifted worst point")


def check(context: Context) -> Iterator[Evidence]:
    """The argument; then the curvature of averages at the lifted worst points."""
    yield from argue("γ* ≥ γ*_x, so γ* = ḡ where x sets ḡ", C24_STEPS, C24_ASSUMES)
    rng = context.rng("C24")
    tally = Tally("the average reaches the certified lower end of ḡ at the lifted point")
    for _ in range(_SIZES[context.effort]):
        n, m = int(rng.integers(2, 5)), int(rng.integers(2, 4))
        problem = random_problem(
            rng, prompts=n, responses=m, dimension=n * (m - 1) + int(rng.integers(2)),
            radius=float(rng.uniform(0.3, 3)), beta=float(10 ** rng.uniform(-1.5, 0)),
        )  # fmt: skip
        made = _certificate(problem)
        if made.witness is None or made.lower is None:
            continue
        if not spans_apart(ProblemPrompts(problem), made.witness.prompt):
            continue
        values = spectrum(SAIL(problem), _worst(problem, made)[None])[2]
        tally.add(np.array([made.lower]), values + abs(values) * (_ROOM - 1) + 1e-12, _disagrees)
    yield tally.evidence()


# --- wrong variants ---------------------------------------------------------------------


def _exceeded(problem: PreferenceProblem, x: int, says: str) -> Evidence:
    """∇²J ⪯ gF̄ on C, certified, and yet vᵀ(∇²J_x − gF_x)v > 0 somewhere for prompt x alone."""
    made = certify_gamma(problem, 0.01)
    assert made.gamma is not None
    alone = single(problem, x)
    theta = _worst(alone, _certificate(alone))
    difference = SAIL(alone) - float(made.gamma) * KLRefPolicy(alone)
    v = largest_relative_curvature(SAIL(alone), Domain(alone), theta)[1]

    def excess() -> Ball:
        return curvature_ball(difference, theta, v)

    return refute(
        alone, theta, f"{says}: γ* ≤ {float(made.gamma):.6g}, certified, and the prompt exceeds it",
        float(v @ difference.hessian(theta) @ v), excess, direction=v.tolist(),
        bound=float(made.gamma),
    )  # fmt: skip


def _planted(name: str, says: str, problem: PreferenceProblem, x: int) -> Falsehood:
    def wrong(context: Context) -> Iterator[Evidence]:
        yield _exceeded(problem, x, says)

    return Falsehood(name, says, wrong)


def _opposed() -> PreferenceProblem:
    """One difference, two prompts with opposite preferences and reference policies."""
    return PreferenceProblem(
        features=[[["0.5"], ["-0.5"]], [["0.5"], ["-0.5"]]],
        preferences=[[[0.5, 1], [0, 0.5]], [[0.5, 0], [1, 0.5]]],
        beta="0.1", radius=1, base=[[1, 20], [1, 20]],
    )  # fmt: skip


def _third() -> PreferenceProblem:
    """Three differences in the plane: each pair is independent, the three are not."""
    return PreferenceProblem(
        features=[[[1, 0], [0, 0]], [[0, 1], [0, 0]], [[1, 1], [0, 0]]],
        preferences=[[[0.5, 0], [1, 0.5]], [[0.5, 0], [1, 0.5]], [[0.5, 1], [0, 0.5]]],
        beta="0.1", radius="0.5", base=[[1, 1], [1, 1], [1, 20]],
    )  # fmt: skip


PLANTED = (
    _planted("span-dropped", "span-dropped: γ* = ḡ whatever the spans", _opposed(), 0),
    _planted("pairwise", "pairwise: that S_x meets every S_y in 0 only is enough", _third(), 2),
    _planted(
        "own-weight", "own-weight: enough that x has the larger weight",
        _opposed().replace(weights=["0.6", "0.4"]), 0,
    ),
)  # fmt: skip

CLAIMS: list[Claim] = [
    claim(
        "C24",
        title="exactness: γ* = ḡ where the span of the worst prompt meets the others in 0",
        statement=r"S_x \cap \sum_{y \neq x} S_y = \{0\} \Rightarrow \gamma^* \ge \gamma^*_x",
        source="new; proof in docs/theory.md",
        hypotheses=("S_x the span of prompt x's differences", "C the ball around c in c + S"),
        check=check,
        planted=PLANTED,
    )
]
