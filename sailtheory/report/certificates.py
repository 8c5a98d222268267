"""Certificates in words."""

from __future__ import annotations

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
    level = None if made.gamma is None else float(made.gamma)
    if made.kind == "concave":
        return f"J_γ is strictly concave on C at γ = {level:g}."
    if made.kind == "pl" and made.modulus > 0:
        return (
            f"at γ = {level:g}, J_γ is {float(made.modulus):.6g}-strongly concave on C; so plain "
            "PL and prox-PL hold on C with that constant (C13)."
        )
    if made.kind == "pl":
        return f"prox-PL on C at γ = {level:g}."
    lower = "?" if made.lower is None else f"{float(made.lower):.9g}"
    upper = "?" if level is None else f"{level:.9g}"
    return f"{lower} ≤ γ* ≤ {upper}."
