"""Mutating any one production formula changes at least one verdict of the ledger."""

from __future__ import annotations

import inspect

import pytest

from proofs_check import claims
from sailtheory import formulas
from sailtheory.claims import Context, attempt

FORMULAS = [
    name
    for name, function in inspect.getmembers(formulas, inspect.isfunction)
    if function.__module__ == formulas.__name__ and not name.startswith("_")
]
MUTANTS = [name for name in FORMULAS if not name.endswith("_payoff")] + [
    f"{name}.{part}"
    for name in FORMULAS
    if name.endswith("_payoff")
    for part in formulas.Payoff._fields
]
ORDER = ("C03", "C07", "C01", "C08", "C02", "C06", "C21", "C04", "C12", "C09", "C13", "C11")
"""Cheap claims first: the first whose verdict changes is enough."""
SLOW = {"preference_gradient": ("C11",)}
"""Formulas that only one claim uses."""


def mutated(name: str):
    """The formula with its result, or one part of its payoff, doubled.

    A third derivative may be 0 (IPO), so the first is added to it as well.
    """
    function, _, part = name.partition(".")
    right = getattr(formulas, function)

    def wrong(*arguments, **named):
        out = right(*arguments, **named)
        if part:
            return out._replace(**{part: getattr(out, part) * 2 + (part == "third") * out.first})
        return out * 2

    return function, wrong


@pytest.fixture(scope="module")
def ledger():
    return {claim.id: claim for claim in claims()}


def test_formulas_are_found():
    assert {"log_policy", "margins", "laplacian", "fisher", "curvature_gradient"} <= set(FORMULAS)


@pytest.mark.parametrize("claim_id", ORDER)
def test_the_ledger_is_as_expected_without_a_mutation(claim_id, ledger):
    assert attempt(ledger[claim_id], Context()).as_expected


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutated_formula_changes_a_verdict(name, ledger, monkeypatch):
    function, wrong = mutated(name)
    monkeypatch.setattr(formulas, function, wrong)
    for claim_id in SLOW.get(name, ORDER):
        if not attempt(ledger[claim_id], Context()).as_expected:
            return
    pytest.fail(f"every verdict survives {name} doubled")
