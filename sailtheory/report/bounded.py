"""Certificates by an objective's own bounds, in words."""

from __future__ import annotations

import numpy as np

from sailtheory.certificates.bounded import BoundCertificate
from sailtheory.report.prompts import bound

__all__ = ["claim", "summary"]

_SHOWN = 5


def claim(made: BoundCertificate) -> str:
    """The verdict and the statement that it is about, one line."""
    of = f"{made.title} less {'γD' if 'divergence' in made.options else 'γKL(π_ref‖π_θ)'}"
    if made.kind == "concave":
        open_ = "whether " if made.verdict == "undecided" else ""
        return f"{made.verdict}: {open_}{of} is concave on C at γ = {made.gamma}."
    if made.verdict == "refuted":
        return f"refuted: no γ makes {of} concave on C."
    below = "?" if made.lower is None else bound(float(made.lower), -1)
    above = "?" if made.gamma is None else bound(float(made.gamma), 1)
    return f"{made.verdict}: {below} ≤ γ* ≤ {above}, for {of}."


def summary(made: BoundCertificate) -> str:
    """What was shown, in a few lines."""
    lines = [claim(made)]
    if made.prompts is not None:
        worst = np.argsort(-made.prompts)[:_SHOWN]
        shown = ", ".join(f"{x} ({bound(float(made.prompts[x]), 1, 4)})" for x in worst)
        lines.append(
            f"By prompt: {len(made.prompts)} prompts, each bounded on C, whatever the others do. "
            f"The largest: {shown}."
        )
    if made.witness is not None and made.verdict == "refuted":
        lines.append(
            f"At θ = {made.witness[0].tolist()} along {made.witness[1].tolist()} ball arithmetic "
            "shows that it is convex."
        )
    if made.note:
        lines.append(made.note[0].upper() + made.note[1:] + ".")
    lines.append(f"{made.seconds:.1f} s.")
    return "\n".join(lines)
