"""Reader of expected.toml, the verdicts written down before the checks."""

from __future__ import annotations

from proofs_check.formal import with_formal
from sailtheory.claims import Check, Claim, Falsehood, expectations

_EXPECTED = expectations(__package__)


def claim(
    id: str,
    *,
    title: str,
    statement: str,
    source: str,
    hypotheses: tuple[str, ...] = (),
    check: Check,
    planted: tuple[Falsehood, ...] = (),
) -> Claim:
    """A claim whose expected verdict is the one in expected.toml, machine-checked parts named."""
    return Claim(
        id=id,
        title=title,
        statement=statement,
        source=source,
        hypotheses=hypotheses,
        check=with_formal(id, check),
        planted=planted,
        **_EXPECTED[id],
    )
