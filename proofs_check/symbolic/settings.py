"""Where an identity is evaluated: in the differential field, or in balls at a point.

Both settings offer the production objectives, derivatives taken by an independent
route (the field's derivation; power series), and :class:`Prompt`, the definitions of
docs/theory.md section 1 written out response by response, which shares no code with
:mod:`sailtheory.theory.formulas`. The statement of a claim is written on these, once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np

from proofs_check.symbolic import differential_field, jets
from sailtheory.numeric.numbers import Array, NumberSystem, arb_numbers
from sailtheory.objectives.expectation import BlockObjective, Point
from sailtheory.problem.blocks import Block
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory import formulas


def outer(a: Array, b: Array) -> Array:
    """A bᵀ of two vectors."""
    return a[:, None] * b[None, :]


class Prompt:
    """One prompt at θ, by the definitions.

    Attributes:
        xp: Number system.
        weight: w_x. beta: β. phi: φ, (m, d). delta: θ − θ_ref, (d,).
        policy: π_θ, (m,). ref: π_ref, (m,). log_policy, log_ref: their logarithms.
        log_total: log Σ_k ν_k exp(θᵀφ_k); log_total_ref: the same at θ_ref.
        scores: s = φ − E_θ φ, (m, d).
    """

    def __init__(self, xp: NumberSystem, block: Block, i: int, theta: Array) -> None:
        self.xp, self.weight, self.beta = xp, block.weights[i], block.beta
        self.phi, self.delta = block.features[i], theta - block.ref_params
        self._centred_preference = block.preference[i]
        self.policy, self.log_policy, self.log_total = self._softmax(theta, block.log_base[i])
        self.ref, self.log_ref, self.log_total_ref = self._softmax(
            block.ref_params, block.log_base[i]
        )
        self.scores = self.phi - self.policy @ self.phi

    def _softmax(self, theta: Array, log_base: Array) -> tuple[Array, Array, Any]:
        level = self.phi @ theta + log_base
        mass = self.xp.exp(level)
        log_total = self.xp.log(mass.sum())
        return mass / mass.sum(), level - log_total, log_total

    @property
    def responses(self) -> range:
        """0 … m − 1."""
        return range(len(self.phi))

    def p(self, k: int, j: int) -> Any:
        """P*(y_k ≻ y_j)."""
        centred = self._centred_preference[k, j] if k != j else self.beta * 0
        return (2 * centred + 1) / 2

    def z(self, k: int, j: int) -> Any:
        """β(log π_θ/π_ref(y_k) − log π_θ/π_ref(y_j))."""
        ratio = self.log_policy - self.log_ref
        return (ratio[k] - ratio[j]) * self.beta

    @cached_property
    def _pairs(self) -> Any:
        table = SimpleNamespace(g={}, u={}, slope={}, sigma={})
        for k in self.responses:
            for j in self.responses:
                up, down = self.xp.sigmoid(self.z(k, j)), self.xp.sigmoid(self.z(j, k))
                table.g[k, j] = self.p(k, j) * self.xp.log_sigmoid(self.z(k, j)) + self.p(
                    j, k
                ) * self.xp.log_sigmoid(self.z(j, k))
                table.sigma[k, j], table.u[k, j] = up, self.p(k, j) - up
                table.slope[k, j] = up * down
        return table

    def g(self, k: int, j: int) -> Any:
        """p₁₂ log σ(z) + p₂₁ log σ(−z)."""
        return self._pairs.g[k, j]

    def u(self, k: int, j: int) -> Any:
        """p₁₂ − σ(z)."""
        return self._pairs.u[k, j]

    def sigma(self, k: int, j: int) -> Any:
        """σ(z)."""
        return self._pairs.sigma[k, j]

    def slope(self, k: int, j: int) -> Any:
        """σ'(z)."""
        return self._pairs.slope[k, j]

    def minus_entropy(self, k: int, j: int) -> Any:
        """−H_b(σ(z)) = σ log σ + (1 − σ) log(1 − σ)."""
        up, down = self.z(k, j), self.z(j, k)
        log, share = self.xp.log_sigmoid, self.xp.sigmoid
        return share(up) * log(up) + share(down) * log(down)

    def gap(self, k: int, j: int) -> Array:
        """Δ = φ_k − φ_j, (d,)."""
        return self.phi[k] - self.phi[j]

    def mean(self, f: Callable[[int], Any]) -> Any:
        """E_{y~π_θ} f(y)."""
        return sum((f(k) * self.policy[k] for k in self.responses[1:]), f(0) * self.policy[0])

    def mean_ref(self, f: Callable[[int], Any]) -> Any:
        """E_{y~π_ref} f(y)."""
        return sum((f(k) * self.ref[k] for k in self.responses[1:]), f(0) * self.ref[0])

    def pairs(self, f: Callable[[int, int], Any]) -> Any:
        """E_{y₁,y₂~π_θ} f(y₁, y₂)."""
        return self.mean(lambda k: self.mean(lambda j: f(k, j)))

    @property
    def fisher(self) -> Array:
        """F = E ssᵀ."""
        s = self.scores
        return self.mean(lambda k: outer(s[k], s[k]))


class Setting(ABC):
    """A number system, data, a point θ, and derivatives at it.

    Attributes:
        xp: Number system. blocks: Data. theta: θ, (d,). problem: What objectives are of.
        direction: v, (d,), an arbitrary direction. constant: b, an arbitrary number.
        other: Unnormalised weights of an arbitrary further policy, one (m,) a prompt.
    """

    xp: NumberSystem
    blocks: list[Block]
    theta: Array
    problem: Any
    direction: Array
    constant: Any
    other: list[Array]

    @abstractmethod
    def objective(self, kind: type[BlockObjective]) -> BlockObjective:
        """A production objective that takes θ of this setting."""

    @abstractmethod
    def gradient(self, function: Callable[[Array], Array]) -> Array:
        """∂f/∂θ at θ along a new last axis, by the independent route."""

    @abstractmethod
    def value_hessian(self, kind: type[BlockObjective]) -> Array:
        """Second derivatives of a production ``value``, by the independent route."""

    def value_gradient(self, kind: type[BlockObjective]) -> Array:
        """First derivatives of a production ``value``, by the independent route."""
        return self.gradient(self.objective_in_motion(kind).value)

    def objective_in_motion(self, kind: type[BlockObjective]) -> BlockObjective:
        """The objective whose methods :meth:`gradient` can differentiate."""
        return self.objective(kind)

    def points(self, theta: Array | None = None) -> list[Point]:
        """The production view of the blocks, as objectives see them."""
        where = self.theta if theta is None else theta
        return jets.points_in(self.xp, self.blocks, where)

    @cached_property
    def prompts(self) -> list[Prompt]:
        """Every prompt by the definitions, block after block."""
        return [
            Prompt(self.xp, block, i, self.theta)
            for block in self.blocks
            for i in range(len(block.weights))
        ]

    def expect(self, f: Callable[[Prompt], Any]) -> Any:
        """E_x f."""
        first, *rest = self.prompts
        return sum((f(x) * x.weight for x in rest), f(first) * first.weight)


class Symbolic(Setting):
    """Every parameter a free symbol.

    Args:
        prompts: n.
        responses: m.
        dimension: d ≤ 3.
        at_reference: Put θ = θ_ref; derivatives are then not available.
    """

    def __init__(
        self, prompts: int, responses: int, dimension: int, at_reference: bool = False
    ) -> None:
        field = self.field = differential_field.Field(prompts, responses, dimension)
        self.xp = field.numbers
        log_ref = formulas.log_policy(self.xp, field.ref, field.features, field.log_base)
        block = Block(
            np.arange(prompts), field.features, field.log_base, field.preference,
            field.weights, field.ref, field.beta, log_ref,
        )  # fmt: skip
        self.blocks = [block]
        self.theta = field.ref if at_reference else field.theta
        self.problem = SimpleNamespace(dimension=dimension, responses=(responses,) * prompts)
        self.direction, self.constant = field.free[:dimension], field.free[3]
        self.other = list(field.other)
        self._at_reference = at_reference

    def objective(self, kind: type[BlockObjective]) -> BlockObjective:
        """A production objective on symbols."""
        return jets.carried_over(kind, self.problem, self.xp, self.blocks)

    def gradient(self, function: Callable[[Array], Array]) -> Array:
        """The field's derivation."""
        if self._at_reference:
            raise ValueError("derivatives are taken at a generic θ")
        return differential_field.gradient(self.field, function(self.theta))

    def value_hessian(self, kind: type[BlockObjective]) -> Array:
        """The derivation, twice."""
        return differential_field.gradient(self.field, self.value_gradient(kind))


class Balls(Setting):
    """One problem at one point, in ball arithmetic at the precision in force.

    Args:
        problem: The problem.
        theta: (d,) float64, taken exactly; None for θ_ref.
        seed: Of the arbitrary direction, constant and policy.
    """

    def __init__(self, problem: PreferenceProblem, theta: np.ndarray | None, seed: int) -> None:
        self.xp = arb_numbers()
        self.problem = problem
        self.blocks = problem.blocks(self.xp)
        self.theta = self.blocks[0].ref_params if theta is None else self.xp.asarray(theta)
        rng = np.random.default_rng(seed)
        self.direction = self.xp.asarray(rng.integers(-9, 10, problem.dimension) / 4 + 1 / 8)
        self.constant = self.xp.asarray(rng.normal())[()]
        sizes = [len(phi) for block in self.blocks for phi in block.features]
        self.other = [self.xp.asarray(rng.integers(1, 9, m)) for m in sizes]

    def objective(self, kind: type[BlockObjective]) -> BlockObjective:
        """The production objective of the problem."""
        return kind(self.problem)

    def objective_in_motion(self, kind: type[BlockObjective]) -> BlockObjective:
        """The same on power series."""
        return jets.carried_over(kind, self.problem, jets.jet_numbers(), self.blocks)

    def gradient(self, function: Callable[[Array], Array]) -> Array:
        """First coefficients of power series."""
        return jets.gradient(function, self.theta)

    def value_hessian(self, kind: type[BlockObjective]) -> Array:
        """Second coefficients of power series of the value."""
        return jets.hessian(self.objective_in_motion(kind).value, self.theta)
