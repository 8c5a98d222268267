"""Checking such a certificate again: the bounds are made anew, the witness is looked at."""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np

from sailtheory.certificates.bounded.certificate import BoundCertificate, data_digest
from sailtheory.certificates.bounded.certify import convex_at, never_concave
from sailtheory.certificates.replay import Replay
from sailtheory.landscape.domain import Domain
from sailtheory.objectives.registry import target
from sailtheory.objectives.target import Target
from sailtheory.problem.problem import PreferenceProblem

__all__ = ["replay_bound"]


def replay_bound(certificate: BoundCertificate, problem: PreferenceProblem) -> Replay:
    """Show again what a certificate claims.

    Args:
        certificate: The claim.
        problem: The problem that it is about.

    Raises:
        InputError: An objective or option that the registry does not have.
    """
    began = time.monotonic()
    of = target(problem, certificate.objective, **certificate.options)
    reason = _objection(certificate, of)
    count = 0 if certificate.prompts is None else len(certificate.prompts)
    said = f"{certificate.kind} {certificate.verdict}: {_shown(certificate, count)}"
    return Replay(not reason, reason or said, count, time.monotonic() - began)


def _shown(certificate: BoundCertificate, count: int) -> str:
    parts = [f"the bounds of {count} prompts hold in ball arithmetic"] if count else []
    if certificate.witness is not None:
        parts.append("the witness holds in ball arithmetic")
    return ", ".join(parts) or "nothing to show"


def _objection(certificate: BoundCertificate, of: Target) -> str:
    """The first thing that is wrong, or ""."""
    if certificate.data != data_digest(of.problem):
        return "the data are others than those of the certificate"
    known, level, lower = of.bounds(), certificate.gamma, certificate.lower
    stated = certificate.prompts
    if known is None:
        return "" if certificate.witness is None else "no policy depends on θ: there is no witness"
    if (stated is None) != (known.prompts is None):
        return "the bounds of the prompts are missing, or there are none"
    if stated is not None and known.prompts is not None:
        if stated.shape != known.prompts.shape:
            return "the data have another number of prompts"
        low = np.flatnonzero(stated < known.prompts)
        if len(low):
            return f"the bound {stated[low[0]]:.9g} is not shown for prompt {low[0]}"
    if certificate.verdict == "certified" and (
        level is None or known.least is None or level < Fraction(known.least)
    ):
        return "the bound of γ* is not shown"
    if certificate.kind == "gamma" and certificate.verdict == "refuted":
        return "" if _seen(of, None, certificate.witness) else "the witness does not show it"
    if (lower is None) != (certificate.witness is None):
        return "a lower bound of γ* needs a witness, and a witness its bound"
    if certificate.verdict == "refuted" and (lower is None or lower != level):
        return "a refutation needs a witness at its γ"
    if lower is not None and not _seen(of, lower, certificate.witness):
        return "the witness does not show the lower bound of γ*"
    return ""


def _seen(
    of: Target, lower: Fraction | None, witness: tuple[np.ndarray, np.ndarray] | None
) -> bool:
    """The witness in C: convex at γ = ``lower``, or at every γ without one."""
    if witness is None:
        return False
    theta, direction = witness
    size = (of.problem.dimension,)
    if theta.shape != size or direction.shape != size or not direction.any():
        return False
    inside = Domain(of.problem).inside(theta)
    return (
        inside is not None
        and bool((inside == theta).all())
        and (
            never_concave(of, theta, direction)
            if lower is None
            else convex_at(of, lower, theta, direction)
        )
    )
