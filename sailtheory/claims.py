"""Claims and the ledger: who states what, what was expected, what was found.

Packages register claims through the entry-point group ``sailtheory.claims``;
each entry is a callable that returns a list of :class:`Claim`. Nothing here
imports the packages that state claims.
"""

from __future__ import annotations

import re
import time
import tomllib
import traceback
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import entry_points
from importlib.resources import files
from typing import Any

import numpy as np

from sailtheory.errors import InputError, one_line
from sailtheory.verdict import Evidence, Outcome, Strength, Verdict, conclude

__all__ = [
    "EFFORTS",
    "Check",
    "Claim",
    "ClaimsError",
    "Context",
    "Failure",
    "Falsehood",
    "Result",
    "attempt",
    "expectations",
    "registered",
    "run",
    "run_all",
    "select",
]

GROUP = "sailtheory.claims"
EFFORTS = ("quick", "full")


@dataclass(frozen=True)
class Context:
    """How a check is to be run.

    Attributes:
        effort: ``quick`` (the whole ledger in half a minute) or ``full``.
        seed: Seed of everything random.
    """

    effort: str = "quick"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse an unknown effort or a negative seed."""
        if self.effort not in EFFORTS:
            raise InputError("effort", self.effort, "quick or full is expected")
        if self.seed < 0:
            raise InputError("seed", self.seed, "an integer ≥ 0 is expected")

    @property
    def full(self) -> bool:
        """Whether the effort is ``full``."""
        return self.effort == "full"

    def rng(self, name: str) -> np.random.Generator:
        """A generator of its own for each name, so that checks do not depend on their order."""
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])


Check = Callable[[Context], Iterable[Evidence]]


@dataclass(frozen=True)
class Falsehood:
    """A deliberately wrong variant of a claim, which its check must refute.

    Attributes:
        name: Short identifier, unique within the claim.
        statement: The wrong statement, one line.
        check: Gathers evidence about it, as a claim's check does.
    """

    name: str
    statement: str
    check: Check


@dataclass(frozen=True)
class Claim:
    """One statement of a theory, with the means to check it.

    Attributes:
        id: For example ``C11``.
        title: The statement in one line of plain text.
        statement: The statement in LaTeX.
        source: Where it comes from.
        hypotheses: What it assumes, one line each.
        expected: The verdict that an honest check must end with.
        reachable: The highest strength that evidence can have.
        check: Gathers the evidence.
        planted: Wrong variants that the check must refute.
    """

    id: str
    title: str
    statement: str
    source: str
    hypotheses: tuple[str, ...]
    expected: Outcome
    reachable: Strength
    check: Check
    planted: tuple[Falsehood, ...] = ()


@dataclass(frozen=True)
class Failure:
    """What a check raised: a defect of the check, the program or a library, never a verdict.

    Attributes:
        says: The exception, one line.
        traceback: Where it was raised.
    """

    says: str
    traceback: str


@dataclass(frozen=True)
class Result:
    """What the check of one claim ended with.

    Attributes:
        claim: The claim.
        verdict: What was found; None when the check failed.
        seconds: How long it took.
        failure: What the check raised; None when it ended with a verdict.
    """

    claim: Claim
    verdict: Verdict | None
    seconds: float
    failure: Failure | None = None

    @property
    def as_expected(self) -> bool:
        """Whether there is a verdict, and it is the one written down beforehand."""
        return self.verdict is not None and self.verdict.outcome is self.claim.expected

    def as_dict(self) -> dict[str, Any]:
        """JSON form; a failed check has ``error`` and a null verdict."""
        verdict = self.verdict
        strength = None if verdict is None else verdict.strength
        out: dict[str, Any] = {
            "id": self.claim.id,
            "title": self.claim.title,
            "verdict": None if verdict is None else verdict.outcome.value,
            "strength": strength.value if strength else None,
            "expected": self.claim.expected.value,
            "evidence": [] if verdict is None else [e.as_dict() for e in verdict.evidence],
            "seconds": self.seconds,
        }
        return out if self.failure is None else out | {"error": self.failure.says}


def expectations(package: str) -> dict[str, dict[str, Any]]:
    """What ``expected.toml`` of a package says of each claim, for the fields of :class:`Claim`.

    Args:
        package: The package, as ``__package__`` names it.

    Returns:
        ``expected`` and ``reachable`` by id.

    Raises:
        ValueError: A verdict or a strength that there is not.
    """
    text = (files(package) / "expected.toml").read_text(encoding="utf-8")
    return {
        name: {"expected": Outcome(entry["verdict"]), "reachable": Strength(entry["strength"])}
        for name, entry in tomllib.loads(text).items()
    }


class ClaimsError(Exception):
    """The claims that a package registers cannot be loaded."""


def registered() -> list[Claim]:
    """Every claim of every installed package, in order of id.

    Raises:
        InputError: Two packages state a claim of one id.
        ClaimsError: A package's claims cannot be loaded.
    """
    claims: dict[str, Claim] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name):
        try:
            stated = entry.load()()
        except Exception as error:
            raise ClaimsError(f"the claims of {entry.value}: {one_line(error)}") from error
        for claim in stated:
            if claim.id in claims:
                raise InputError("claim", claim.id, "each id may be registered once")
            claims[claim.id] = claim
    return [claims[key] for key in sorted(claims)]


def select(claims: Iterable[Claim], ids: Iterable[str] | None) -> list[Claim]:
    """The claims named; an id such as ``C05`` also names ``C05b``.

    Raises:
        InputError: An id that names no claim.
    """
    claims = list(claims)
    if ids is None:
        return claims
    wanted = [name.strip() for name in ids]
    for name in wanted:
        if not any(_names(name, claim.id) for claim in claims):
            known = ", ".join(claim.id for claim in claims)
            raise InputError("claims", name, f"one of {known} is expected")
    return [claim for claim in claims if any(_names(name, claim.id) for name in wanted)]


def _names(name: str, claim_id: str) -> bool:
    return claim_id == name or re.fullmatch(re.escape(name) + "[a-z]", claim_id) is not None


def run(claim: Claim, context: Context) -> Result:
    """Check one claim.

    Raises:
        Exception: Whatever the check raises.
    """
    began = time.perf_counter()
    verdict = conclude(claim.check(context))
    return Result(claim, verdict, time.perf_counter() - began)


def attempt(claim: Claim, context: Context) -> Result:
    """Check one claim; an exception becomes the result's failure, so that others are checked."""
    began = time.perf_counter()
    try:
        return run(claim, context)
    except Exception as error:
        failure = Failure(one_line(error), "".join(traceback.format_exception(error)))
        return Result(claim, None, time.perf_counter() - began, failure)


def run_all(claims: Iterable[Claim], context: Context, jobs: int = 1) -> Iterator[Result]:
    """Check claims, yielding each result in order; the number of processes changes no result.

    Args:
        claims: What to check.
        context: How.
        jobs: Processes.
    """
    claims = list(claims)
    if jobs == 1 or len(claims) < 2:
        yield from (attempt(claim, context) for claim in claims)
        return
    from joblib import Parallel, delayed

    found = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(_run_apart)(claim, context) for claim in claims
    )
    for claim, result in zip(claims, found, strict=True):
        yield Result(claim, *result)


def _run_apart(claim: Claim, context: Context) -> tuple[Verdict | None, float, Failure | None]:
    """What of a result travels between processes: a witness replays by finding it again."""
    result = attempt(claim, context)
    verdict = result.verdict
    if verdict is not None:
        evidence = tuple(
            piece
            if piece.witness is None
            else replace(
                piece, witness=replace(piece.witness, replay=partial(_replay, claim, context, i))
            )
            for i, piece in enumerate(verdict.evidence)
        )
        verdict = replace(verdict, evidence=evidence)
    return verdict, result.seconds, result.failure


def _replay(claim: Claim, context: Context, place: int) -> bool:
    witness = conclude(claim.check(context)).evidence[place].witness
    return witness is not None and witness.replay()
