"""Certificates in words."""

from __future__ import annotations

from fractions import Fraction

from sailtheory.certify.certificate import Certificate, Spot, Stop
from sailtheory.numbers import FLOAT64


def summary(made: Certificate) -> str:
    """What was shown, in a few lines."""
    lines = [claim(made)]
    if made.cover is not None and made.complete:
        lines.append(f"{made.pieces} pieces cover C, each shown in ball arithmetic.")
    if made.verdict == "refuted" and isinstance(made.witness, Stop):
        lines.append(
            f"It stops at x = {made.witness.x.tolist()}, below x = {made.witness.better.tolist()}."
        )
    elif made.verdict == "refuted" and isinstance(made.witness, Spot):
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
    at = "" if made.gamma is None else f" at γ = {float(made.gamma):g}"
    if made.region.dimension == 0:
        return "γ* is null." if made.kind == "gamma" else f"J_γ is constant on C{at}."
    if made.kind == "gamma":
        return f"{_end(made.lower)} ≤ γ* ≤ {_end(made.gamma)}{_where(made)}."
    if made.kind == "concave" and made.region.is_point:
        return f"γF̄ − ∇²J ≻ 0{at}{_where(made)}."
    if made.kind == "concave":
        return f"J_γ is strictly concave on C{at}."
    if made.region.is_point:
        return f"plain PL and prox-PL hold on C with every μ{at}."
    if made.modulus > 0:
        strong = f"J_γ is {float(made.modulus):.6g}-strongly concave on C{at}"
        if made.verdict != "certified":
            return f"{strong}."
        return f"{strong}; so plain PL and prox-PL hold on C with that constant (C13)."
    return f"prox-PL on C{at}."


def _end(value: Fraction | None) -> str:
    return "?" if value is None else f"{float(value):.9g}"


def _where(made: Certificate) -> str:
    return ", at c, the one point of C (B = 0)" if made.region.is_point else ""
