"""The values of the page of :mod:`studies.rates_validation`, from its JSON file alone."""

from __future__ import annotations

from typing import Any

from studies.rates_validation.__main__ import CATEGORIES, VALIDATION_SEED
from studies.render import render


def page(data: dict[str, Any]) -> str:
    """The page as Markdown."""
    total = [data["rates"]["all"]]
    total += [found for name, found in data["exponents"].items() if not name.startswith("all")]
    new = [name for name in CATEGORIES if name not in data["rates"]]
    return render(
        "rates_validation", **data, total=sum(found["series"] for found in total),
        designed_seed=VALIDATION_SEED, new=new,
    )  # fmt: skip
