"""Every small slip in the formulas of pass rates and groups breaks a step of C31 or C32."""

from __future__ import annotations

import ast
import inspect
from functools import cache
from pathlib import Path

import pytest

from proofs_check.arguments import group_steps, other_kl_steps, reward_steps
from sailtheory.theory import bernstein, pass_rate, reward_bounds
from tests.support.mutants import mutants

MODULES = (bernstein, pass_rate, reward_bounds)
STEPS = (reward_steps, group_steps, other_kl_steps)
KINDS = {"sign", "sum", "coefficient", "dropped"}
SEEN_BY = {
    "evaluate": [reward_steps._falls, reward_steps._pass_at],
    "derivative": [reward_steps._falls, reward_steps._pass_at],
    "pass_rate_gradient": [reward_steps._chain],
    "pass_rate_curvature": [reward_steps._chain],
    "pass_rate_curvature_gradient": [reward_steps._third],
    "group_counts": [group_steps._chances],
    "group_ways": [group_steps._chances],
    "group_weights": [group_steps._chances],
    "group_advantages": [group_steps._sizes_of_advantages],
    "group_gradient": [group_steps._field],
    "group_jacobian": [group_steps._jacobian],
    "group_curvature_gradient": [group_steps._derivative],
    "inverse_path_factor": [other_kl_steps._sharp],
    "realisable_modulus": [other_kl_steps._pl],
}
"""The steps that notice a slip in a formula; a new formula must be entered here."""

BY_TESTS = {"antiderivative"}
"""test_reward_methods.py notices: values are no part of the claims."""


SHAPES = ("hit * 0", "(b) for b", "coefficients[0] * 0", "mixed")
"""Parts of slips that change no exact value: shapes and rounding, which other tests see."""


def public():
    return {
        name: module
        for module in MODULES
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }


@cache
def slips(name):
    source = Path(public()[name].__file__)
    return [m for m in mutants(source) if m.function == name and m.kind in KINDS]


def with_slip(mutant):
    module = public()[mutant.function]
    source = Path(module.__file__)
    tree = ast.parse(mutant.applied(source.read_text(encoding="utf-8")))
    tree.body = [node for node in tree.body if getattr(node, "name", "") == mutant.function]
    space = {}
    exec(compile(tree, str(source), "exec", dont_inherit=True), vars(module), space)
    return space[mutant.function]


def test_every_formula_is_covered():
    assert set(public()) == {*SEEN_BY, *BY_TESTS}


def shown(step):
    try:
        return step()
    except Exception:  # a slip may leave nothing that can be evaluated
        return False


@pytest.mark.parametrize("name", sorted(SEEN_BY))
def test_every_slip_breaks_a_step(name, monkeypatch):
    unnoticed = []
    for mutant in slips(name):
        if any(part in mutant.after for part in SHAPES):
            continue
        with monkeypatch.context() as patch:
            patch.setattr(public()[name], name, with_slip(mutant))
            if all(shown(step) for step in SEEN_BY[name]):
                unnoticed.append(f"{mutant.before}  →  {mutant.after}")
    assert not unnoticed
