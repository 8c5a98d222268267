"""Every small slip in a production formula changes the verdict of a claim.

A slip is a flipped sign, a + for a −, a coefficient changed by one, a product or sum with
its second part dropped: one at a time, at every place of every public formula.
"""

from __future__ import annotations

import ast
import inspect
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from proofs_check.claims import all_claims
from sailtheory.claims import Context, attempt
from sailtheory.theory import fields, formulas, pair_form
from tests.support.claims import up_to_a_refutation
from tests.support.mutants import Mutant, mutants

MODULES = (formulas, pair_form, fields)
KINDS = {"sign", "sum", "coefficient", "dropped"}

COVERED_BY = {
    "logits": "C01",
    "log_policy": "C01",
    "pairwise": "C01",
    "margins": "C01",
    "expectation": "C01",
    "log_likelihood_value": "C01",
    "log_likelihood_payoff": "C02",
    "log_likelihood_fourth": "C02",
    "self_preference_payoff": "C06",
    "squared_payoff": "C01 C02",
    "pair_mean": "C01",
    "response_effect": "C01",
    "centred": "C01",
    "on_policy_gradient": "C01",
    "off_policy_gradient": "C01",
    "combine_all": "C01",
    "pair_sum": "C02",
    "pair_probability": "C02",
    "score_curvature": "C02",
    "cross_curvature": "C02",
    "dpo_curvature": "C02",
    "relative_pair_curvature": "C02",
    "laplacian_all": "C02",
    "laplacian": "C07 C12",
    "fisher": "C07",
    "curvature_gradient": "C02",
    "preference_gradient": "C02",
    "kl_ref_policy": "C07",
    "kl_policy_ref": "C08",
    "kl_ref_policy_gradient": "C07",
    "kl_policy_ref_gradient": "C08",
    "kl_policy_ref_curvature": "C08",
    "fisher_gradient": "C07",
    "off_policy_curvature_gradient": "C02",
    "kl_policy_ref_curvature_gradient": "C08",
    "stop_gradient_jacobian": "C06",
    "field_curvature": "C29",
    "field_turning": "C29",
    "field_curvature_gradient": "C29",
    "score_mean_gradient": "C28",
    "score_mean_curvature": "C28",
    "score_mean_curvature_gradient": "C28",
}
"""The claims that notice a slip in a formula; a new formula must be entered here."""

BY_TESTS = {"combine", "squared_gaps", "laplacian_product", "laplacian_form"}
"""Those that no claim needs; tests/landscape/test_pencil.py and tests/certificates notice."""


def public_formulas() -> dict[str, object]:
    return {
        name: function
        for module in MODULES
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }


def home(name: str) -> ModuleType:
    """The module that a formula is defined in."""
    return next(m for m in MODULES if public_formulas()[name].__module__ == m.__name__)


@cache
def slips(name: str) -> list[Mutant]:
    source = Path(home(name).__file__)
    return [m for m in mutants(source) if m.function == name and m.kind in KINDS]


def with_slip(mutant: Mutant) -> object:
    """The formula with a slip, among the others without one."""
    module = home(mutant.function)
    source = Path(module.__file__)
    tree = ast.parse(mutant.applied(source.read_text(encoding="utf-8")))
    tree.body = [node for node in tree.body if getattr(node, "name", "") == mutant.function]
    space: dict[str, object] = {}
    exec(compile(tree, str(source), "exec", dont_inherit=True), vars(module), space)
    return space[mutant.function]


@pytest.fixture(scope="module")
def ledger():
    return {claim.id: up_to_a_refutation(claim) for claim in all_claims()}


def test_every_formula_is_covered():
    assert set(public_formulas()) == {*COVERED_BY, *BY_TESTS}


def test_slips_are_many_and_of_every_kind():
    made = [mutant for name in public_formulas() for mutant in slips(name)]
    assert len(made) > 250 and {mutant.kind for mutant in made} == KINDS


@pytest.mark.parametrize("name", sorted(COVERED_BY))
def test_every_slip_changes_a_verdict(name, ledger, monkeypatch):
    watching = [ledger[claim_id] for claim_id in COVERED_BY[name].split()]
    unnoticed = []
    for mutant in slips(name):
        with monkeypatch.context() as patch:
            slipped = with_slip(mutant)
            for module in MODULES:
                if hasattr(module, name):
                    patch.setattr(module, name, slipped)
            if all(attempt(claim, Context()).as_expected for claim in watching):
                unnoticed.append(f"{mutant.before}  →  {mutant.after}")
    assert not unnoticed
