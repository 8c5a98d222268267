"""Every small slip in a production formula changes the verdict of a claim.

A slip is a flipped sign, a + for a −, a coefficient raised by one, a product or quotient
with a factor dropped: one at a time, at every place of every public formula.
"""

from __future__ import annotations

import ast
import copy
import inspect
import textwrap
from collections.abc import Iterator

import pytest

from proofs_check import claims
from sailtheory import formulas
from sailtheory.claims import Context, attempt

COVERED_BY = {
    "logits": "C01",
    "log_policy": "C01",
    "pairwise": "C01",
    "margins": "C01",
    "expectation": "C01",
    "log_likelihood_payoff": "C02",
    "log_likelihood_fourth": "C02",
    "self_preference_payoff": "C06",
    "squared_payoff": "C01 C02",
    "pair_mean": "C01",
    "response_effect": "C01",
    "centred": "C01",
    "on_policy_gradient": "C01",
    "off_policy_gradient": "C01",
    "combine": "C01",
    "pair_sum": "C02",
    "pair_probability": "C02",
    "score_curvature": "C02",
    "cross_curvature": "C02",
    "dpo_curvature": "C02",
    "relative_pair_curvature": "C02",
    "laplacian": "C02",
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
}
"""The claims that notice a slip in a formula; a new formula must be entered here."""


def public_formulas() -> dict[str, object]:
    return {
        name: function
        for name, function in inspect.getmembers(formulas, inspect.isfunction)
        if function.__module__ == formulas.__name__ and not name.startswith("_")
    }


class Slip(ast.NodeTransformer):
    """Makes the ``number``-th slip of a function; ``made`` says which."""

    def __init__(self, number: int) -> None:
        self.number, self.seen, self.made = number, 0, ""

    def _chosen(self, what: str, node: ast.AST) -> bool:
        self.seen += 1
        if self.seen - 1 != self.number:
            return False
        self.made = f"{what}: {ast.unparse(node)}"
        return True

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        node.value = self.visit(node.value)  # an index is not a coefficient
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        if isinstance(node.op, ast.USub):
            if isinstance(node.operand, ast.Constant):
                return node  # an axis
            if self._chosen("sign", node):
                return node.operand
        return self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        swap = {ast.Add: ast.Sub, ast.Sub: ast.Add}.get(type(node.op))
        if swap and self._chosen("sum", node):
            return ast.BinOp(node.left, swap(), node.right)
        if swap and self._chosen("dropped term", node):
            return node.left
        if isinstance(node.op, (ast.Mult, ast.Div)) and not trivial(node.right):
            if self._chosen("dropped factor", node):
                return node.left
        for side in ("left", "right"):
            part = getattr(node, side)
            if isinstance(part, ast.Constant) and isinstance(part.value, int):
                if self._chosen("coefficient", node):
                    changed = copy.copy(node)
                    setattr(changed, side, ast.Constant(part.value + 1))
                    return changed
        return self.generic_visit(node)


def trivial(node: ast.AST) -> bool:
    """A constant on the right, which the slip in a coefficient changes."""
    return isinstance(node, ast.Constant)


def slips(function: object) -> Iterator[tuple[str, object]]:
    source = textwrap.dedent(inspect.getsource(function))
    number = 0
    while True:
        tree = ast.parse(source)
        slip = Slip(number)
        body = tree.body[0]
        body.body = [slip.visit(statement) for statement in body.body]
        if not slip.made:
            return
        space: dict[str, object] = {}
        code = compile(
            ast.fix_missing_locations(tree), formulas.__file__, "exec", dont_inherit=True
        )
        exec(code, vars(formulas), space)
        yield slip.made, space[function.__name__]
        number += 1


@pytest.fixture(scope="module")
def ledger():
    return {claim.id: claim for claim in claims()}


def test_every_formula_is_covered():
    assert set(public_formulas()) == set(COVERED_BY)


def test_slips_are_many_and_real():
    made = [what for function in public_formulas().values() for what, _ in slips(function)]
    assert len(made) > 150
    assert {what.split(":")[0] for what in made} == {
        "sign", "sum", "dropped term", "dropped factor", "coefficient",
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(COVERED_BY))
def test_every_slip_changes_a_verdict(name, ledger, monkeypatch):
    watching = [ledger[claim_id] for claim_id in COVERED_BY[name].split()]
    unnoticed = []
    for made, wrong in slips(public_formulas()[name]):
        with monkeypatch.context() as patch:
            patch.setattr(formulas, name, wrong)
            if all(attempt(claim, Context()).as_expected for claim in watching):
                unnoticed.append(made)
    assert not unnoticed
