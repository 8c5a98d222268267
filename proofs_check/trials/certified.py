"""γ* of concrete problems, enclosed by a certificate, beside the constants that bound it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from proofs_check.evidence.argument import curvature_ball, refute
from sailtheory import SAIL, PreferenceProblem, examples
from sailtheory.certificates import certify_gamma, replay
from sailtheory.certificates.certificate import WitnessPoint
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.objectives.sail import KLRefPolicy
from sailtheory.verdict import Evidence, Outcome, Strength

NAMES = ("bradley-terry", "c14-spurious-stop", "c04-one-winner", "c08-kl-policy-ref")


def enclosures(bound: Callable[[PreferenceProblem], float], says: str) -> Iterator[Evidence]:
    """Compare a bound of γ* with its certified enclosure on built-in problems.

    Args:
        bound: The bound, claimed to be at least γ*.
        says: Its name.

    Yields:
        Certified evidence on each problem, refuting where γ* certainly exceeds the bound.

    Raises:
        ArithmeticError: γ* of a problem is not certified, or its certificate does not
            replay: a defect of the checker.
    """
    for name in NAMES:
        problem = examples.load(name)
        made = certify_gamma(problem, 0.01)
        shown = replay(made)
        if not shown.valid or made.lower is None or made.gamma is None:
            raise ArithmeticError(f"{name}: γ* is not certified: {made.note or shown.reason}")
        lower, upper, level = float(made.lower), float(made.gamma), bound(problem)
        if lower > level and isinstance(made.witness, WitnessPoint):
            theta = made.region.embed(FLOAT64, made.witness.x)
            direction = made.region.basis.astype(float) @ made.witness.direction
            yield _exceeds(problem, theta, direction, level, says)
            continue
        ratio = f", {level / upper:.3g} times that" if upper > 0 else ""
        detail = (
            f"{name}: γ* in [{lower:.6g}, {upper:.6g}] by a certificate of {made.pieces} pieces; "
            f"{says} = {level:.6g}{ratio}"
        )
        detail += "" if upper <= level else "; the enclosure does not tell which is larger"
        yield Evidence("certified", detail, Outcome.UNDECIDED, Strength.CERTIFIED)


def _exceeds(
    problem: PreferenceProblem, theta: np.ndarray, direction: np.ndarray, level: float, says: str
) -> Evidence:
    """The witness of a certificate, as a refutation of a bound."""
    objective = SAIL(problem) - level * KLRefPolicy(problem)
    value = float(direction @ objective.hessian(theta) @ direction)
    return refute(
        problem, theta, f"γ* above {says} = {level:.6g}", value,
        lambda: curvature_ball(objective, theta, direction), direction=direction.tolist(),
    )  # fmt: skip
