"""Certificates in words."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction

from sailtheory.certificates.certificate import Certificate, Stop, WitnessPoint
from sailtheory.numeric.exact import to_fraction
from sailtheory.numeric.numbers import FLOAT64

__all__ = ["claim", "summary"]


def summary(made: Certificate) -> str:
    """What was shown, in a few lines."""
    lines = [claim(made)]
    if made.cover is not None and made.complete:
        lines.append(f"{made.pieces} pieces cover C, each shown in ball arithmetic.")
    if made.verdict == "refuted" and isinstance(made.witness, Stop):
        lines.append(
            f"It stops at x = {made.witness.x.tolist()}, below x = {made.witness.better.tolist()}."
        )
    elif made.verdict == "refuted" and isinstance(made.witness, WitnessPoint):
        x, w = made.witness.x, made.witness.direction
        lines.append(
            f"At x = {x.tolist()} along {w.tolist()} ball arithmetic shows the opposite sign; "
            f"θ = c + Wx = {made.region.embed(FLOAT64, x).tolist()}."
        )
    if made.note:
        lines.append(made.note[0].upper() + made.note[1:] + ".")
    lines.append(f"{made.seconds:.1f} s.")
    return "\n".join(lines)


def claim(made: Certificate) -> str:
    """The verdict and the statement that it is about, one line."""
    open_ = made.verdict == "undecided" and made.kind != "gamma"
    return f"{made.verdict}: {'whether ' if open_ else ''}{_statement(made)}"


def _statement(made: Certificate) -> str:
    at = "" if made.gamma is None else f" at γ = {_exactly(made.gamma)}"
    if made.region.dimension == 0:
        return "γ* is null." if made.kind == "gamma" else f"J_γ is constant on C{at}."
    if made.kind == "gamma":
        below, above = _end(made.lower, ROUND_FLOOR), _end(made.gamma, ROUND_CEILING)
        return f"{below} ≤ γ* ≤ {above}{_where(made)}."
    if made.kind == "concave" and made.region.is_point:
        return f"γF̄ − ∇²J ≻ 0{at}{_where(made)}."
    if made.kind == "concave":
        return f"J_γ is strictly concave on C{at}."
    if made.region.is_point:
        return f"plain PL and prox-PL hold on C with every μ{at}."
    if made.modulus > 0:
        strong = f"J_γ is {_end(made.modulus, ROUND_FLOOR, 6)}-strongly concave on C{at}"
        if made.verdict != "certified":
            return f"{strong}."
        return f"{strong}; so plain PL and prox-PL hold on C with that constant (C13)."
    return f"prox-PL on C{at}."


def _end(value: Fraction | None, rounding: str, digits: int = 9) -> str:
    """A bound in decimals, rounded so that it stays one."""
    if value is None:
        return "?"
    context = Context(prec=digits, rounding=rounding)
    rounded = context.divide(Decimal(value.numerator), Decimal(value.denominator))
    return f"{float(rounded):.{digits}g}"


def _exactly(value: Fraction) -> str:
    """A number of which something is claimed: as a decimal or float64, or else a fraction."""
    nearest = float(value)
    for text in (f"{nearest:g}", repr(nearest)):
        if to_fraction(float(text), "gamma") == value:
            return text
    return str(value)


def _where(made: Certificate) -> str:
    return ", at c, the one point of C (B = 0)" if made.region.is_point else ""
