"""Checking a certificate again, without anything of the search that made it.

What is trusted: the formulas and number systems, the exact reading of the problem, and
in this package ``region.valid``, ``cover``, ``pencil``, ``expansion``, ``remainder`` and
``positive``, ``stationary.kind``. See docs/trust.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

from flint import ctx

from sailtheory.certificates.certificate import Certificate, Stop, WitnessPoint
from sailtheory.certificates.cover import CHUNK, LEAF, Checker, TreeError, leaves, root
from sailtheory.certificates.pencil import ball_pencil
from sailtheory.certificates.region import Region, ball, valid
from sailtheory.certificates.stationary import REFUTED
from sailtheory.certificates.stationary import kind as stop_kind
from sailtheory.numeric.numbers import arb_numbers

__all__ = ["Replay", "negative", "replay"]

_FEWEST = 64


@dataclass(frozen=True)
class Replay:
    """What a second check found.

    Attributes:
        valid: Whether everything that the certificate claims was shown again.
        reason: Why not, or what was shown, one line.
        pieces: Pieces checked.
        seconds: Time taken.
    """

    valid: bool
    reason: str
    pieces: int
    seconds: float


def negative(region: Region, point: WitnessPoint, gamma: Fraction, modulus: Fraction) -> bool:
    """Whether c + Wx lies in C and wᵀ(γF̄ − ∇²J − μWᵀW)w < 0 there, for certain.

    For γ below it, that says: the generalised eigenvalue exceeds γ.
    """
    if not region.contains(point.x) or not point.direction.any():
        return False
    xp = arb_numbers()
    w = xp.asarray(point.direction)
    matrix = ball_pencil(region).matrix(xp.asarray(point.x), ball(gamma), ball(modulus))
    return bool((w @ matrix) @ w < 0)


def replay(certificate: Certificate, progress: Callable[[str], None] = lambda line: None) -> Replay:
    """Show again what a certificate claims."""
    began = time.monotonic()
    reason, pieces = _objection(certificate, progress)
    said = f"{certificate.kind} {certificate.verdict}: {_shown(certificate, pieces)}"
    return Replay(not reason, reason or said, pieces, time.monotonic() - began)


def _shown(certificate: Certificate, pieces: int) -> str:
    """What an acceptance rests on."""
    if _vacuous(certificate):
        return "there is nothing that can move"
    if pieces:
        return f"{pieces} pieces hold in ball arithmetic"
    if isinstance(certificate.witness, Stop):
        return f"{certificate.note}, in ball arithmetic"
    return "the witness holds in ball arithmetic" if certificate.witness else "nothing to show"


def _objection(certificate: Certificate, progress: Callable[[str], None]) -> tuple[str, int]:
    """The first thing that is wrong, or "", and how many pieces were checked."""
    region = certificate.region
    if not valid(region):
        return "basis and radius do not describe the domain C of the problem", 0
    missing = _missing(certificate)
    if missing or _vacuous(certificate):
        return missing, 0
    with ctx.workprec(max(certificate.bits, _FEWEST)):
        if certificate.witness is not None and not _witness_shows(certificate):
            return "the witness does not show what is claimed", 0
        if certificate.cover is None:
            return "", 0
        return _cover_objection(certificate, certificate.cover, progress)


def _vacuous(certificate: Certificate) -> bool:
    """Whether the property holds because nothing moves: no policy, or for PL no θ."""
    region = certificate.region
    return region.is_point if certificate.kind == "pl" else region.dimension == 0


def _witness_shows(certificate: Certificate) -> bool:
    witness, gamma, region = certificate.witness, certificate.gamma, certificate.region
    if isinstance(witness, Stop):
        if certificate.kind != "pl" or gamma is None:
            return False
        where = stop_kind(region, gamma, witness)
        return where is not None and certificate.note == REFUTED[where]
    level = certificate.lower if certificate.kind == "gamma" else gamma
    if witness is None or level is None or certificate.kind == "pl":
        return False
    return negative(region, witness, level, Fraction(0))


def _missing(certificate: Certificate) -> str:
    """What a claim needs and the certificate does not contain, or contains without a claim."""
    kind, verdict, gamma = certificate.kind, certificate.verdict, certificate.gamma
    lower, witness = certificate.lower, certificate.witness
    if certificate.modulus < 0 or (kind != "pl" and certificate.modulus != 0):
        return "a modulus is positive and belongs to the property pl"
    if _vacuous(certificate):
        empty = witness is None and certificate.cover is None and lower is None
        levelled = (gamma is None) == (kind == "gamma")
        claims = not empty or certificate.modulus != 0 or not levelled
        return "" if verdict == "certified" and not claims else "there is nothing to claim"
    if certificate.complete and gamma is None:
        return "a cover needs its γ"
    if verdict == "certified" and not certificate.complete:
        return "a certified verdict needs γ and a complete cover"
    if kind == "gamma":
        return _enclosure_missing(certificate)
    if gamma is None or lower is not None:
        return "γ, and no lower bound, belongs to a statement at one γ"
    if (verdict == "refuted") != (witness is not None):
        return "a refutation, and nothing else, needs a witness"
    if kind == "pl" and verdict == "certified" and certificate.modulus == 0:
        return "a PL constant is positive"
    return ""


def _enclosure_missing(certificate: Certificate) -> str:
    lower, upper = certificate.lower, certificate.gamma
    if certificate.verdict == "refuted":
        return "an enclosure of γ* cannot be refuted"
    if (lower is None) != (certificate.witness is None):
        return "a lower bound of γ* needs a witness, and a witness its bound"
    if upper is not None and not certificate.complete:
        return "an upper bound of γ* needs a complete cover"
    if certificate.verdict == "certified" and lower is None:
        return "an enclosure of γ* needs a lower bound with its witness"
    if lower is not None and upper is not None and lower > upper:
        return "the lower bound of γ* exceeds the upper one"
    return ""


def _cover_objection(
    certificate: Certificate, cover: str, progress: Callable[[str], None]
) -> tuple[str, int]:
    """Open pieces claim nothing, nor does a cover that came to no γ."""
    gamma = certificate.gamma
    checker = Checker(certificate.region, ball(gamma or Fraction(0)), ball(certificate.modulus))
    pieces = 0
    try:
        found = leaves(cover, root(certificate.region.dimension))
        while chunk := list(islice(found, CHUNK)):
            settled = [each for each in chunk if cover[each[0]] == LEAF and gamma is not None]
            holds = checker.each_holds([box for _, box in settled])
            for (place, _), shown in zip(settled, holds, strict=True):
                if not shown:
                    return f"the inequality is not shown on the piece at {place}", pieces
                pieces += 1
            progress(f"{pieces} of {certificate.pieces} pieces")
    except TreeError as error:
        return str(error), pieces
    return "", pieces
