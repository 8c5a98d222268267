"""The steps of C32: any zero-sum advantage of a group, relative to the Fisher matrix."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import sympy as sp

from proofs_check.arguments.algebra import law, mean, vanishes, vector
from proofs_check.arguments.reward_steps import AVERAGE, by_logits
from proofs_check.evidence.argument import Step
from sailtheory.numeric.numbers import Array, sympy_numbers
from sailtheory.theory import pass_rate
from sailtheory.theory.reward_methods import reward_method

_XP = sympy_numbers()
_SIZES = ((2, 2), (3, 2), (2, 3))
"""Group sizes and numbers of responses."""


def _groups(group: int, m: int, policy: Array) -> pass_rate.Groups:
    """All groups with free advantages that sum to 0 in each; the chance by the multinomial law."""
    counts = pass_rate.group_counts(group, m)
    ways = [sp.multinomial_coefficients(m, group)[tuple(int(k) for k in row)] for row in counts]
    chance = [
        way * sp.Mul(*(p ** int(k) for p, k in zip(policy, row, strict=True)))
        for way, row in zip(ways, counts, strict=True)
    ]
    advantages = np.empty(counts.shape, dtype=object)
    for i, row in enumerate(counts):
        free = sp.symbols(f"a{i}_0:{m}")
        present = [k for k in range(m) if row[k]]
        advantages[i] = free
        rest = sum(int(row[k]) * free[k] for k in present[:-1])
        advantages[i, present[-1]] = -rest / int(row[present[-1]])
    lifted = counts.astype(object)
    return pass_rate.Groups(np.array(chance, dtype=object), lifted, advantages, group)


def _samples(groups: pass_rate.Groups, policy: Array) -> Iterator[tuple[Any, list[int], list[Any]]]:
    """Every ordered group: its chance, its responses, their advantages."""
    rows = {tuple(int(k) for k in row): i for i, row in enumerate(groups.counts)}
    for chosen in product(range(len(policy)), repeat=groups.size):
        counts = tuple(chosen.count(k) for k in range(len(policy)))
        chance = sp.Mul(*(policy[k] for k in chosen))
        at = groups.advantages[rows[counts]]
        yield chance, list(chosen), [at[k] for k in chosen]


def _field() -> bool:
    """h as it runs is E[(1/G)ΣA_is_i] over all m^G groups."""
    for group, m in _SIZES:
        policy, along = law("p", m), vector("t", m)
        groups, score = _groups(group, m, policy), along - mean(policy, along)
        found = mean(pass_rate.group_gradient(groups), along)
        stated = sum(
            chance * sum(a * score[k] for a, k in zip(advantages, chosen, strict=True)) / group
            for chance, chosen, advantages in _samples(groups, policy)
        )
        if not vanishes(found - stated):
            return False
    return True


def _chances() -> bool:
    """The chance of a group's counts, as it runs, is the sum over the orders of its samples."""
    for group, m in _SIZES:
        free = np.array(sp.symbols(f"q0:{m}", positive=True), dtype=object)
        counts = pass_rate.group_counts(group, m)
        ways = pass_rate.group_ways(counts)
        found = pass_rate.group_weights(_XP, _XP.log(free), counts.astype(object), ways)
        for row, chance in zip(counts, found, strict=True):
            orders = sum(
                sp.Mul(*(free[k] for k in chosen))
                for chosen in product(range(m), repeat=group)
                if all(chosen.count(k) == row[k] for k in range(m))
            )
            if sp.simplify(sp.expand(chance, power_exp=True) - orders) != 0:
                return False
        if len({tuple(row) for row in counts}) != sp.binomial(group + m - 1, group):
            return False
    return True


def _jacobian() -> bool:
    """vᵀDhv as it runs is E[(A·t)(1·t)]/G, t the scores along v."""
    for group, m in _SIZES:
        policy, along = law("p", m), vector("t", m)
        groups, score = _groups(group, m, policy), along - mean(policy, along)
        matrix = pass_rate.group_jacobian(groups, policy)
        stated = sum(
            chance * sum(a * score[k] for a, k in zip(advantages, chosen, strict=True))
            * sum(score[k] for k in chosen) / group
            for chance, chosen, advantages in _samples(groups, policy)
        )  # fmt: skip
        if not vanishes(along @ matrix @ along - stated):
            return False
    return True


def _derivative() -> bool:
    """Dh is the derivative of h by the logits: ∂π_k/∂ℓ_l = π_k(δ_kl − π_l), and so is vᵀDhv's."""
    for group, m in ((2, 2), (3, 2)):
        free = np.array(sp.symbols(f"q0:{m}", positive=True), dtype=object)
        policy, along = law("p", m), vector("t", m)
        groups = _groups(group, m, free)
        now = _groups(group, m, policy)
        field, matrix = pass_rate.group_gradient(groups), pass_rate.group_jacobian(now, policy)
        rows = [by_logits(entry, free, policy) for entry in field]
        form = along @ pass_rate.group_jacobian(groups, free) @ along
        bend = pass_rate.group_curvature_gradient(now, policy, along)
        gaps = [*(np.stack(rows) - matrix).ravel(), *(by_logits(form, free, policy) - bend)]
        if not vanishes(*gaps):
            return False
    return True


def _moments() -> bool:
    """E(1·t)² = G vᵀFv and E‖t − t̄1‖² = (G − 1)vᵀFv."""
    for group, m in _SIZES:
        policy, along = law("p", m), vector("t", m)
        score = along - mean(policy, along)
        variance, total, spread = mean(policy, score**2), sp.Integer(0), sp.Integer(0)
        for chosen in product(range(m), repeat=group):
            chance = sp.Mul(*(policy[k] for k in chosen))
            values = [score[k] for k in chosen]
            total += chance * sum(values) ** 2
            spread += chance * (sum(v**2 for v in values) - sum(values) ** 2 / group)
        if not vanishes(total - group * variance, spread - (group - 1) * variance):
            return False
    return True


def _centred_product() -> bool:
    """A·t = A·(t − t̄1) for ΣA = 0, and (A·e)² ≤ ‖A‖²‖e‖² (three samples, Lagrange)."""
    a, t = vector("a", 3), vector("t", 3)
    shift = sum(t) / 3
    moved = sum(a * t) - sum(a * (t - shift)) - shift * sum(a)
    squares = sum((a[i] * t[j] - a[j] * t[i]) ** 2 for i in range(3) for j in range(i))
    return vanishes(moved, sum(a**2) * sum(t**2) - sum(a * t) ** 2 - squares)


def _sizes_of_advantages() -> bool:
    """‖A‖² = G by the population's deviation, G − 1 by the sample's, less with ε (G ≤ 3)."""
    xp, epsilon = _XP, sp.Symbol("e", positive=True)
    for group in (2, 3):
        counts = pass_rate.group_counts(group, 3)
        rewards = np.array([sp.Integer(0), sp.Integer(1), sp.Integer(3)], dtype=object)
        mixed = np.array([int((row > 0).sum() > 1) for row in counts], dtype=object)
        for std, size in (("population", group), ("sample", group - 1)):
            args = (xp, counts.astype(object), rewards, mixed, std)
            plain = pass_rate.group_advantages(*args, sp.Integer(0))
            norms = (counts * plain**2).sum(-1) - size * mixed
            sums = (counts * plain).sum(-1)
            less = pass_rate.group_advantages(*args, epsilon)
            pairs = zip(less.ravel(), plain.ravel(), strict=True)
            ratio = [sp.simplify(a / b) for a, b in pairs if b != 0]
            if any(sp.simplify(x) != 0 for x in (*norms, *sums)):
                return False
            if not all(bool((1 - sp.simplify(r)).is_positive) for r in ratio):
                return False
    return True


def _reached() -> bool:
    """√(G·G(G − 1))/G = √(G − 1), √((G − 1)/G)·√(G − 1) = (G − 1)/√G; C31's K at V → 0."""
    g = sp.Symbol("G", positive=True)
    whole = sp.sqrt(g * g * (g - 1)) / g - sp.sqrt(g - 1)
    sample = sp.sqrt((g - 1) / g) * sp.sqrt(g - 1) - (g - 1) / sp.sqrt(g)
    if not vanishes(sp.simplify(whole), sp.simplify(sample)):
        return False
    return all(
        sp.radsimp(reward_method("grpo", size).threshold(_XP) - sp.sqrt(size - 1)) == 0
        for size in (2, 3, 4, 8)
    )


C32_STEPS: tuple[Step, ...] = (
    Step("symbolic", "the chance of a group's counts that runs is multinomial (G ≤ 3)", _chances),
    Step("symbolic", "h as it runs is E[(1/G)ΣA_is_i] over all groups (G ≤ 3)", _field),
    Step("symbolic", "vᵀDh v = E[(A·t)(1·t)]/G, t = vᵀs, as ΣA_i = 0 removes ∂s (G ≤ 3)",
         _jacobian),
    Step("symbolic", "Dh as it runs is the derivative of h, and the gradient of vᵀDhv its own",
         _derivative),
    Step("symbolic", "E(1·t)² = G vᵀFv, E‖t − t̄1‖² = (G − 1)vᵀFv (G ≤ 3)", _moments),
    Step("symbolic", "A ⟂ 1: (A·t)² ≤ ‖A‖²‖t − t̄1‖²", _centred_product),
    Step("symbolic", "‖A‖² = G, G − 1 with the sample's deviation, less with ε",
         _sizes_of_advantages),
    Step("symbolic", "so |vᵀDh w| ≤ √(G − 1)|v||w|, (G − 1)/√G; reached by binary rewards as V → 0",
         _reached),
    Step("symbolic", "E_x K_xF_x ⪯ (max K_x)F̄: averages are included", AVERAGE.check),
)  # fmt: skip
