"""The four kinds of certificates: which one proves a property, and which one a file holds."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sailtheory.certificates.averaged.certificate import SCHEMA as AVERAGED
from sailtheory.certificates.averaged.certificate import AveragedCertificate
from sailtheory.certificates.averaged.certificate import parse as parse_averaged
from sailtheory.certificates.averaged.replay import replay_averaged
from sailtheory.certificates.bounded.certificate import SCHEMA as BY_BOUND
from sailtheory.certificates.bounded.certificate import BoundCertificate
from sailtheory.certificates.bounded.certificate import parse as parse_bound
from sailtheory.certificates.bounded.replay import replay_bound
from sailtheory.certificates.certificate import Certificate
from sailtheory.certificates.certificate import parse as parse_whole
from sailtheory.certificates.prompts.certificate import SCHEMA as BY_PROMPT
from sailtheory.certificates.prompts.certificate import PromptCertificate
from sailtheory.certificates.prompts.certificate import parse as parse_prompts
from sailtheory.certificates.prompts.parallel import Workers
from sailtheory.certificates.prompts.replay import replay_prompts
from sailtheory.certificates.replay import Replay
from sailtheory.certificates.replay import replay as replay_whole
from sailtheory.errors import InputError
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.problem.reduced import PromptSource
from sailtheory.storage.readers import read_json

__all__ = ["AnyCertificate", "by_prompt", "read", "replay", "require_closed_form"]

AnyCertificate = Certificate | PromptCertificate | AveragedCertificate | BoundCertificate

MOST_PIECES = 10**6
"""Prompts times 10 to the dimension of S, above which γ* itself is not tried by default."""


def by_prompt(problem: PreferenceProblem, method: str) -> bool:
    """Whether ḡ is to be certified: as asked, or because γ* itself would never be."""
    if method != "auto":
        return method != "whole"
    pieces = 10 ** min(problem.span.dimension, 20)
    return bool(problem.prompts * pieces > MOST_PIECES)


_UNUSED = {"tol": None, "method": "auto", "jobs": 1, "time_limit": math.inf, "formal": None}


def require_closed_form(objective: str, property_: str, **given: Any) -> None:
    """Refuse what bounds in closed form do not take.

    Args:
        objective: Another one than SAIL.
        property_: What is to be proved.
        given: Options of ``certify``, which have to be as they are by default.

    Raises:
        InputError: One of them in one line, with what to use.
    """
    if property_ == "pl":
        accepted = f"gamma or concave, for {objective}: check searches μ"
        raise InputError("property", property_, accepted)
    for name, value in given.items():
        if value != _UNUSED[name]:
            accepted = f"none is expected: bounds of {objective} are in closed form, by prompt"
            raise InputError(name.replace("_", "-"), value, accepted)


def read(path: str | Path) -> AnyCertificate:
    """A certificate from its file.

    Raises:
        InputError: The file cannot be read, or holds none.
    """
    data = read_json(path, "certificate")
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema == AVERAGED:
        return parse_averaged(data)
    if schema == BY_BOUND:
        return parse_bound(data)
    return parse_prompts(data) if schema == BY_PROMPT else parse_whole(data)


def replay(
    made: AnyCertificate,
    source: Callable[[str], PromptSource],
    problem: Callable[[str, str], PreferenceProblem],
    workers: Workers | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Replay:
    """Show again what a certificate claims.

    Args:
        made: The certificate.
        source: The prompts, given the place that the certificate names; one of all of C holds its
            problem itself.
        problem: The problem, given the objective and the place that a certificate by bounds names.
        workers: Who does the work, prompt by prompt.
        progress: Receives a line.
    """
    if isinstance(made, Certificate):
        return replay_whole(made, progress)
    if isinstance(made, BoundCertificate):
        return replay_bound(made, problem(made.objective, made.problem))
    if isinstance(made, AveragedCertificate):
        return replay_averaged(made, source(made.problem), progress)
    return replay_prompts(made, source(made.problem), workers, progress)
