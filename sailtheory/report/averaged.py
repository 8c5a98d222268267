"""Averaged certificates in words."""

from __future__ import annotations

from sailtheory.certificates.averaged.certificate import AveragedCertificate
from sailtheory.report.prompts import bound

__all__ = ["claim", "summary"]


def claim(made: AveragedCertificate) -> str:
    """The verdict and the statement that it is about, one line."""
    if not made.moving:
        return f"{made.verdict}: γ* is null."
    if made.threshold is None:
        return f"{made.verdict}: γ* ≤ ?."
    by = "C26" if made.gamma == made.threshold else "C23"
    return f"{made.verdict}: γ* ≤ {bound(made.threshold, 1)} ({by})."


def summary(made: AveragedCertificate) -> str:
    """What was shown, in a few lines."""
    lines = [claim(made)]
    rest = "" if made.moving == made.prompts else f" ({made.prompts - made.moving} cannot move)"
    if made.gamma is not None:
        how = "no T₃ nor T₄" if not (made.bend or made.share) else (
            f"κ = {made.bend:.4g}, ℓ {made.share:g} of the tangent, "
            f"T₃ ≤ {made.third:.4g}, T₄ ≤ {made.fourth:.4g}"
        )  # fmt: skip
        lines.append(
            f"On average: γ = {bound(made.gamma, 1)} over {made.prompts} prompts{rest}; {how}."
        )
    if made.by_prompt is not None:
        lines.append(f"By prompt: ḡ ≤ {bound(made.by_prompt, 1)}; the smaller counts.")
    if made.note:
        lines.append(made.note[0].upper() + made.note[1:] + ".")
    lines.append(f"{made.seconds:.1f} s for the average.")
    return "\n".join(lines)
