"""One module a claim: statement, hypotheses, evidence that runs, planted falsehoods."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace

from sailtheory.claims import Claim


def all_claims() -> list[Claim]:
    """Every claim of this package: the entry point of the group ``sailtheory.claims``."""
    from proofs_check.trials.hidden import falsehoods

    found: list[Claim] = []
    for module in pkgutil.iter_modules(__path__):
        found += importlib.import_module(f"{__name__}.{module.name}").CLAIMS
    return [replace(claim, planted=claim.planted + falsehoods(claim.id)) for claim in found]
