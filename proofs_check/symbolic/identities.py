"""Identities: tried at points in ball arithmetic, then decided in the differential field.

Both sides of an :class:`Identity` are written once, over a setting. Trying comes
first: at a point where the two balls are disjoint the identity is false, and the
point is the witness. What survives is then decided exactly for the stated sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

import numpy as np
from flint import arb, ctx

from proofs_check.evidence.argument import refute
from proofs_check.evidence.cases import BITS, certain_excess
from proofs_check.evidence.instances import random_points, random_problem
from proofs_check.symbolic.differential_field import all_zero
from proofs_check.symbolic.rational import UnknownFunctionError
from proofs_check.symbolic.settings import Balls, Setting, Symbolic
from sailtheory.claims import Context, Falsehood
from sailtheory.numeric.numbers import Array
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.verdict import Evidence, Outcome, Strength

Sides = Callable[[Setting], tuple[Array, Array]]

QUICK = ((2, 3, 2),)
FULL = ((2, 3, 2), (1, 3, 3), (1, 4, 1))
"""Sizes (n, m, d) at which identities are decided."""

_TRIALS = {"quick": 4, "full": 60}


@dataclass(frozen=True)
class Identity:
    """An equality of arrays, for every parameter.

    Attributes:
        says: The equality in one line.
        sides: Both sides, from a setting.
        at_reference: It is stated at θ = θ_ref.
        quick: Sizes (n, m, d) at which it is decided under quick effort.
        full: Those under full effort.
        trial: Number of responses it is tried with; None if any will do.
    """

    says: str
    sides: Sides
    at_reference: bool = False
    quick: tuple[tuple[int, int, int], ...] = QUICK
    full: tuple[tuple[int, int, int], ...] = field(default=FULL)
    trial: int | None = None


def difference(left: Array, right: Array) -> Array:
    """left − right, with the shapes equal.

    Raises:
        ValueError: The shapes differ.
    """
    a, b = np.asarray(left, dtype=object), np.asarray(right, dtype=object)
    if a.shape != b.shape:
        raise ValueError(f"the sides have shapes {a.shape} and {b.shape}")
    return np.asarray(a - b, dtype=object)


def largest_gap(identity: Identity, problem: PreferenceProblem, point: Array, seed: int) -> arb:
    """A ball around the largest |left − right|, from the entries that are surely not 0.

    Returns:
        Its excess over 0: positive only if some entry certainly differs. Otherwise the
        union of all entries' distances, which shows how closely they agree.
    """
    setting = Balls(problem, None if identity.at_reference else point, seed)
    return certain_excess(abs(difference(*identity.sides(setting))))


def trial_problem(rng: np.random.Generator, responses: int | None = None) -> PreferenceProblem:
    """A small random problem, not extreme: identities are analytic, any point tells."""
    return random_problem(
        rng,
        prompts=int(rng.integers(1, 3)),
        responses=int(rng.integers(2, 4)) if responses is None else responses,
        dimension=int(rng.integers(1, 3)),
        beta=float(10 ** rng.uniform(-1, 0.5)),
        radius=float(10 ** rng.uniform(-0.5, 0.5)),
    )


def attempt(
    identities: Sequence[Identity], context: Context, name: str
) -> Generator[Evidence, None, bool]:
    """Try identities at random points; True when none fails."""
    rng = context.rng(name)
    trials, widest, alive = _TRIALS[context.effort], 0.0, True
    for trial in range(trials):
        problems = {m: trial_problem(rng, m) for m in dict.fromkeys(i.trial for i in identities)}
        points = {m: random_points(rng, problem, 1)[0] for m, problem in problems.items()}
        for identity in identities:
            problem, point = problems[identity.trial], points[identity.trial]
            with ctx.workprec(BITS):
                gap = largest_gap(identity, problem, point, trial)
            if gap > 0:
                where = problem.ref_params if identity.at_reference else point
                yield _refutation(identity, problem, where, trial, gap)
                return False
            alive &= gap.is_finite()
            widest = max(widest, float(gap.upper()))
    detail = f"{len(identities)} identities at {trials} random points agree to {widest:.0e}"
    yield Evidence("sampled", detail, Outcome.UNDECIDED, Strength.SUPPORTED)
    return alive


def _refutation(
    identity: Identity, problem: PreferenceProblem, point: Array, seed: int, gap: arb
) -> Evidence:
    return refute(
        problem, point, f"not equal: {identity.says}", float(gap.mid()),
        lambda: largest_gap(identity, problem, point, seed),
    )  # fmt: skip


Settings = dict[tuple[tuple[int, int, int], bool], Symbolic]
"""Symbolic settings by size and by whether θ = θ_ref, shared by the steps of one claim."""


def decide(
    identity: Identity, settings: Settings, context: Context
) -> Generator[Evidence, None, bool]:
    """Decide one identity in the field; True when it is proved for all the sizes."""
    wanted = identity.full if context.full else identity.quick
    for size in wanted:
        place = (size, identity.at_reference)
        if place not in settings:
            settings[place] = Symbolic(*size, at_reference=identity.at_reference)
        n, m, d = size
        trouble = ""
        try:
            shown = all_zero(difference(*identity.sides(settings[place])))
        except UnknownFunctionError as error:  # the field does not hold it
            shown, trouble = False, f" ({error})"
        if not shown:
            detail = f"not proved for n={n}, m={m}, d={d}: {identity.says}{trouble}"
            yield Evidence("symbolic", detail, Outcome.UNDECIDED, Strength.SUPPORTED)
            return False
    proved = ", ".join(f"(n={n}, m={m}, d={d})" for n, m, d in wanted)
    detail = f"{identity.says}: identically, for {proved}"
    yield Evidence("symbolic", detail, Outcome.UNDECIDED, Strength.PROVED)
    return True


def establish(
    identities: Sequence[Identity], context: Context, name: str
) -> Generator[Evidence, None, bool]:
    """Try identities, then decide each; True when all are proved."""
    if not (yield from attempt(identities, context, name)):
        return False
    proved, settings = True, Settings()
    for identity in identities:
        proved &= yield from decide(identity, settings, context)
    return proved


def conclude_by(detail: str, strength: Strength = Strength.PROVED) -> Evidence:
    """The piece that establishes a whole statement from steps already shown."""
    return Evidence("argument", detail, Outcome.HOLDS, strength)


def false_identity(name: str, says: str, sides: Sides, *, at_reference: bool = False) -> Falsehood:
    """A falsehood that is a wrong identity, for the same machinery."""
    identity = Identity(says, sides, at_reference)

    def check(context: Context) -> Generator[Evidence, None, bool]:
        return (yield from establish([identity], context, name))

    return Falsehood(name, says, check)
