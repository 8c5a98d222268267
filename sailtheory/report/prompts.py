"""Certificates by prompt in words."""

from __future__ import annotations

from sailtheory.certificates.prompts.certificate import PromptCertificate

__all__ = ["bound", "claim", "summary"]

_SHOWN = 5


def claim(made: PromptCertificate) -> str:
    """The verdict and the statement that it is about, one line."""
    if not made.moving:
        return f"{made.verdict}: γ* is null."
    if made.gamma is None:
        return f"{made.verdict}: ? ≤ ḡ ≤ ?."
    below = "?" if made.lower is None else f"{bound(made.lower, -1)}"
    above = bound(made.gamma, 1)
    return f"{made.verdict}: {below} ≤ ḡ ≤ {above}, so γ* ≤ {above} (C23)."


def summary(made: PromptCertificate) -> str:
    """What was shown, in a few lines."""
    lines = [claim(made)]
    rest = "" if made.moving == made.prompts else f" ({made.prompts - made.moving} cannot move)"
    lines.append(f"By prompt: {made.prompts} prompts{rest}, each bounded on its own ball.")
    for level in made.levels[1:]:
        lines.append(
            f"Without the worst {len(level.dropped)} prompts every one is below "
            f"{bound(level.gamma, 1)}."
        )
    if made.worst:
        shown = ", ".join(
            f"{x} ({value:.4g} to {upper:.4g})" for x, value, upper in made.worst[:_SHOWN]
        )
        lines.append(f"Prompts that set ḡ: {shown}.")
    if made.note:
        lines.append(made.note[0].upper() + made.note[1:] + ".")
    lines.append(f"{made.seconds:.1f} s.")
    return "\n".join(lines)


def bound(value: float, direction: int, digits: int = 9) -> str:
    """Decimals of a bound, rounded so that they stay one."""
    from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

    context = Context(prec=digits, rounding=ROUND_CEILING if direction > 0 else ROUND_FLOOR)
    return f"{float(context.create_decimal(Decimal(value))):.{digits}g}"
