"""The claims that rest on the formulas, for ``mutate``; tests/claims checks them all."""

from __future__ import annotations

import pytest

from sailtheory.claims import Context, attempt
from tests.support.claims import CLAIMS, up_to_a_refutation

ORDER = (
    "C03", "C07", "C01", "C08", "C02", "C06", "C21", "C04", "C28", "C29", "C12", "C09", "C13",
    "C11",
)  # fmt: skip
"""Cheap ones first."""


@pytest.mark.parametrize("claim_id", ORDER)
def test_it_ends_as_expected(claim_id):
    assert attempt(up_to_a_refutation(CLAIMS[claim_id]), Context()).as_expected
