"""Curvature matrices that are never formed: Hessian, Gauss–Newton, Fisher.

With J(θ) = Σ_b J_b(ℓ_b(θ)) over batches b, ℓ the logits and 𝒥 = ∂ℓ/∂θ,

    ∇²J = 𝒥ᵀ(∇²_ℓ J)𝒥 + Σ_k (∂J/∂ℓ_k) ∇²_θ ℓ_k.

The first term is the Gauss–Newton part. In the logits the policy is log-linear
(features one-hot), so C11 applies prompt by prompt and pulls back to
𝒥ᵀ(∇²_ℓ J)𝒥 ⪯ max_x K_x F̄; to the second term, the network's own, it does not.
F̄ = 𝒥ᵀ E_x(diag π − ππᵀ)𝒥 is the Gauss–Newton part of KL(π_ref‖π_θ) (C07).

A product differentiates a gradient again: three times a gradient's time and, since that
gradient's graph is in memory meanwhile, a multiple of its memory. If the data is one chunk
the graph is kept, so that further products cost two gradients' time. Smaller chunks bound
the memory.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator
from torch import Tensor

from sailtheory.curvature.parameters import Selection, Subset, flatten
from sailtheory.errors import InputError
from sailtheory.policies.data import Batch
from sailtheory.policies.objectives import CandidateObjective

__all__ = [
    "CurvatureOperator",
    "EmpiricalFisherOperator",
    "FisherOperator",
    "GaussNewtonOperator",
    "HessianOperator",
    "OutputOperator",
    "derivative",
]

_DETERMINISM = 10.0  # in units of √eps: threads may reorder sums, dropout moves far more
_AGREEMENT = 0.05  # of a product with a central difference; a missing term is of order 1


def derivative(
    outputs: Tensor | Sequence[Tensor],
    leaves: Sequence[Tensor],
    weights: Tensor | Sequence[Tensor] | None = None,
    *,
    again: bool = False,
    keep: bool = False,
) -> tuple[Tensor, ...]:
    """``torch.autograd.grad`` with zeros for what is unused and one named error.

    Args:
        outputs: What to differentiate.
        leaves: In what.
        weights: The cotangents.
        again: Whether the result is to be differentiated again.
        keep: Whether the graph is needed once more; else its memory is given back.

    Raises:
        InputError: Some operation of the model has no (second) derivative.
    """
    several = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    given: Sequence[Tensor | None]
    if weights is None:
        given = [None] * len(several)
    else:
        given = [weights] if isinstance(weights, Tensor) else weights
    live = [(o, w) for o, w in zip(several, given, strict=True) if o.requires_grad]
    if not live:
        return tuple(torch.zeros_like(leaf) for leaf in leaves)
    try:
        return torch.autograd.grad(
            [o for o, _ in live],
            leaves,
            [w for _, w in live],
            create_graph=again,
            retain_graph=again or keep,
            allow_unused=True,
            materialize_grads=True,
        )
    except (RuntimeError, NotImplementedError) as error:
        raise InputError(
            "double backward", str(error).split("\n")[0],
            "a model whose every operation can be differentiated twice "
            '(for transformers, attn_implementation="eager")',
        ) from None  # fmt: skip


class CurvatureOperator(LinearOperator):  # type: ignore[misc]
    """A symmetric matrix of curvature, known by its products.

    Call it on a torch vector, or use it as a SciPy ``LinearOperator``; both evaluate
    the same sum over chunks of data. What all products have in common is kept from the
    first one on if there is one chunk, and made anew each time if there are several.

    Args:
        objective: What is curved.
        select: Which parameters, by name; default all.
        check: Whether to test at construction that two evaluations agree.

    Attributes:
        objective: As given.
        subset: The parameters at which the operator stands, copied at construction.
        products: How many products were taken so far.

    Raises:
        InputError: A model that is not deterministic (dropout in training mode), logits
            that are not finite, a missing second derivative.
    """

    def __init__(
        self,
        objective: CandidateObjective,
        *,
        select: Selection | None = None,
        check: bool = True,
    ) -> None:
        self.objective = objective
        self.subset = Subset(objective.policy, select)
        self.products = 0
        self._batches = objective.batches()
        self._kept: tuple[Tensor, ...] | None = None
        size = self.subset.size
        kind = str(self.subset.leaves[0].dtype).removeprefix("torch.")
        super().__init__(np.dtype("float32" if kind == "float32" else "float64"), (size, size))
        if check:
            self._check()

    @abstractmethod
    def _graph(self, batch: Batch) -> tuple[Tensor, ...]:
        """What every product with the batch's share of the matrix differentiates again."""

    @abstractmethod
    def _batch_product(
        self, index: int, graph: tuple[Tensor, ...], vector: list[Tensor]
    ) -> tuple[Tensor, ...]:
        """The index-th batch's share of the product, in the shapes of the parameters."""

    @property
    def _keep(self) -> bool:
        return len(self._batches) == 1

    def _share(self, index: int, vector: list[Tensor]) -> Tensor:
        graph = self._kept or self._graph(self._batches[index])
        self._kept = graph if self._keep else None
        return flatten(self._batch_product(index, graph, vector))

    def __call__(self, vector: Tensor) -> Tensor:
        """The product with a torch vector (d,).

        Raises:
            InputError: A vector of another length; a product that is not finite.
        """
        if vector.shape != (self.subset.size,):
            raise InputError("vector", tuple(vector.shape), f"({self.subset.size},)")
        self.products += 1
        parts = self.subset.split(vector.detach().to(self.subset.leaves[0]))
        total = self._share(0, parts)
        for index in range(1, len(self._batches)):
            total += self._share(index, parts)
        if not math.isfinite(torch.linalg.vector_norm(total, torch.inf)):
            raise InputError("product", "NaN or infinite", "finite curvature at these parameters")
        return total

    def _matvec(self, vector: np.ndarray) -> np.ndarray:
        return np.asarray(self(self.subset.tensor(vector.reshape(-1))).cpu().numpy())

    def _rmatvec(self, vector: np.ndarray) -> np.ndarray:
        return self._matvec(vector)

    def _check(self) -> None:
        """Two evaluations of the logits and of one product must agree."""
        batch = self._batches[0]
        with torch.no_grad():
            twice = [self.objective.logits(self.subset.all, batch) for _ in range(2)]
        tolerance = _DETERMINISM * torch.finfo(twice[0].dtype).eps ** 0.5
        gap = float((twice[0] - twice[1]).abs().max())
        if gap > tolerance * (1 + float(twice[0].abs().max())):
            raise InputError(
                "policy", f"logits that differ by {gap:.3g} between two calls",
                "a deterministic model: call policy.eval() (dropout, noise)",
            )  # fmt: skip
        first = self(self._probe())
        self._kept = None  # the first derivative too is taken twice
        second = self(self._probe())
        self.products = 0
        if float((first - second).norm()) > tolerance * (float(first.norm()) + tolerance):
            raise InputError("product", "two that differ", "a deterministic backward pass")

    def gradient(self, step: Tensor | None = None) -> Tensor:
        """∇J of the objective at the same parameters, or a step (d,) away: (d,)."""
        if step is None:
            free, everything = self.subset.leaves, self.subset.all
        else:
            everything = self.subset.moved(step)
            free = [everything[name].requires_grad_(True) for name in self.subset.free]
        total = torch.zeros_like(self.subset.flat())
        for batch in self._batches:
            value = self.objective.of_logits(self.objective.logits(everything, batch), batch)
            total += flatten(derivative(value, free))
        return total

    def _probe(self) -> Tensor:
        """A fixed unit vector that meets no direction of symmetry by accident."""
        leaf = self.subset.leaves[0]
        wave = torch.cos(torch.arange(self.subset.size, dtype=torch.float64) * 1.7).to(leaf)
        unit: Tensor = wave / wave.norm()
        return unit


class HessianOperator(CurvatureOperator):
    """∇²J, by differentiating the gradient again."""

    def _graph(self, batch: Batch) -> tuple[Tensor, ...]:
        value = self.objective.of_logits(self.objective.logits(self.subset.all, batch), batch)
        return derivative(value, self.subset.leaves, again=True)

    def _batch_product(
        self, index: int, graph: tuple[Tensor, ...], vector: list[Tensor]
    ) -> tuple[Tensor, ...]:
        return derivative(graph, self.subset.leaves, vector, keep=self._keep)

    def _check(self) -> None:
        """Besides, a product must agree with a difference of gradients.

        A backward pass that leaves the graph (a custom function with detached tensors)
        raises nothing when differentiated again: it gives a wrong Hessian in silence.
        """
        super()._check()
        probe, eps = self._probe(), torch.finfo(self.subset.leaves[0].dtype).eps
        step = eps ** (1 / 3) * (1 + float(self.subset.flat().norm()))
        ahead, behind = self.gradient(step * probe), self.gradient(-step * probe)
        found, difference = self(probe), (ahead - behind) / (2 * step)
        self.products = 0
        noise = _DETERMINISM * eps / step * (1 + float(ahead.norm()))
        if float((found - difference).norm()) > _AGREEMENT * float(difference.norm()) + noise:
            raise InputError(
                "double backward", "a product that differs from a difference of gradients",
                "a model whose every operation can be differentiated twice",
            )  # fmt: skip


class OutputOperator(CurvatureOperator):
    """𝒥ᵀM𝒥 for a matrix M in the logits, known by its products."""

    @abstractmethod
    def _logit_product(self, index: int, batch: Batch, logits: Tensor, moved: Tensor) -> Tensor:
        """M·moved at detached logits, both (n, m)."""

    def _graph(self, batch: Batch) -> tuple[Tensor, ...]:
        """The logits ℓ, a u, and 𝒥ᵀu: 𝒥v is then the derivative of u ↦ vᵀ𝒥ᵀu."""
        logits = self.objective.logits(self.subset.all, batch)
        dual = torch.zeros_like(logits, requires_grad=True)
        return logits, dual, *derivative(logits, self.subset.leaves, dual, again=True)

    def _batch_product(
        self, index: int, graph: tuple[Tensor, ...], vector: list[Tensor]
    ) -> tuple[Tensor, ...]:
        logits, dual, *pulled = graph
        (moved,) = derivative(pulled, [dual], vector, keep=True)
        bent = self._logit_product(index, self._batches[index], logits.detach(), moved)
        return derivative(logits, self.subset.leaves, bent, keep=self._keep)


class GaussNewtonOperator(OutputOperator):
    """𝒥ᵀ(∇²_ℓ J)𝒥: the part of ∇²J to which C11's argument applies.

    Not semi-definite: J is not concave in the logits.
    """

    def _logit_product(self, index: int, batch: Batch, logits: Tensor, moved: Tensor) -> Tensor:
        logits = logits.requires_grad_(True)
        (slope,) = derivative(self.objective.of_logits(logits, batch), [logits], again=True)
        return derivative(slope, [logits], moved)[0]


class FisherOperator(GaussNewtonOperator):
    """F̄ = E_x 𝒥ᵀ(diag π − ππᵀ)𝒥, the Fisher matrix of the policy over its candidates."""

    def __init__(
        self,
        objective: CandidateObjective,
        *,
        select: Selection | None = None,
        check: bool = True,
    ) -> None:
        super().__init__(objective.fisher_potential(), select=select, check=check)


class EmpiricalFisherOperator(OutputOperator):
    """E_x ssᵀ with s = ∇log π_θ(y|x) at one given response y a prompt.

    For y ~ π_θ its expectation is F̄; for responses of a data set it is not.

    Args:
        objective: Gives policy, prompts and weights.
        responses: Candidate indices, (n,).
        select: Which parameters, by name; default all.
        check: Whether to test at construction that two evaluations agree.

    Raises:
        InputError: Not one index a prompt, or an index out of range.
    """

    def __init__(
        self,
        objective: CandidateObjective,
        responses: Tensor,
        *,
        select: Selection | None = None,
        check: bool = True,
    ) -> None:
        n, m = objective.data.all.log_ref.shape
        if responses.shape != (n,) or not bool(((responses >= 0) & (responses < m)).all()):
            raise InputError("responses", responses.tolist(), f"{n} indices from 0 to {m - 1}")
        self._responses = torch.split(responses, objective.chunk or n)
        super().__init__(objective, select=select, check=check)

    def _logit_product(self, index: int, batch: Batch, logits: Tensor, moved: Tensor) -> Tensor:
        chosen = self._responses[index]
        score = torch.nn.functional.one_hot(chosen, logits.shape[-1]) - torch.softmax(logits, -1)
        return batch.weights[:, None] * score * (score * moved).sum(-1, keepdim=True)
