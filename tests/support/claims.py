"""The claims, and what their checks find under quick effort: each once a process."""

from __future__ import annotations

from functools import cache

from proofs_check.claims import all_claims
from sailtheory.claims import Context, run
from sailtheory.verdict import Verdict

QUICK = Context("quick", 0)
CLAIMS = {claim.id: claim for claim in all_claims()}


@cache
def verdict_of(claim_id: str) -> Verdict:
    """The verdict of a claim."""
    return run(CLAIMS[claim_id], QUICK).verdict


def details_of(claim_id: str, kind: str) -> list[str]:
    """What the evidence of a kind says."""
    return [e.detail for e in verdict_of(claim_id).evidence if e.kind == kind]
