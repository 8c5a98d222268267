"""Certificates in words."""

from __future__ import annotations

from fractions import Fraction

from sailtheory.certify.certificate import Certificate, Spot, Stop


def summary(made: Certificate) -> str:
    """What was shown, in a few lines."""
    lines = [f"{made.verdict}: {_statement(made)}"]
    if made.cover is not None and made.complete:
        lines.append(f"{made.pieces} pieces cover C, each shown in ball arithmetic.")
    if made.verdict == "refuted" and isinstance(made.witness, Stop):
        lines.append(
            f"It stops at x = {made.witness.x.tolist()}, below x = {made.witness.better.tolist()}."
        )
    elif made.verdict == "refuted" and isinstance(made.witness, Spot):
        lines.append(
            f"At x = {made.witness.x.tolist()} along {made.witness.direction.tolist()} "
            "ball arithmetic shows the opposite sign."
        )
    if made.note:
        lines.append(made.note[0].upper() + made.note[1:] + ".")
    lines.append(f"{made.seconds:.1f} s.")
    return "\n".join(lines)


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
        return (
            f"{at.strip()}, J_γ is {float(made.modulus):.6g}-strongly concave on C; so plain "
            "PL and prox-PL hold on C with that constant (C13)."
        )
    return f"prox-PL on C{at}."


def _end(value: Fraction | None) -> str:
    return "?" if value is None else f"{float(value):.9g}"


def _where(made: Certificate) -> str:
    return ", at c, the one point of C (B = 0)" if made.region.is_point else ""
