"""The claims, and what their checks find under quick effort: each once a process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from proofs_check.claims import all_claims
from sailtheory.claims import Claim, Context, run
from sailtheory.verdict import Evidence, Outcome, Verdict

QUICK = Context("quick", 0)
CLAIMS = {claim.id: claim for claim in all_claims()}


@cache
def verdict_of(claim_id: str) -> Verdict:
    """The verdict of a claim."""
    return run(CLAIMS[claim_id], QUICK).verdict


def details_of(claim_id: str, kind: str) -> list[str]:
    """What the evidence of a kind says."""
    return [e.detail for e in verdict_of(claim_id).evidence if e.kind == kind]


def up_to_a_refutation(claim: Claim) -> Claim:
    """The claim, its check ended by a refutation: it outweighs whatever would follow."""

    def check(context: Context) -> Iterator[Evidence]:
        for evidence in claim.check(context):
            yield evidence
            if evidence.outcome is Outcome.REFUTED:
                return

    return replace(claim, check=check)
