"""Generalised curvature λ_max(∇²J, F̄) of a network, on range(F̄) and damped.

For log-linear policies ∇²J vanishes wherever F̄ does, and γ* is its largest
generalised eigenvalue (C11). A network's ∇²J leaves range(F̄): there vᵀ∇²Jv > 0 with
vᵀF̄v = 0 is possible, and no multiple of F̄ bounds it. So two things are reported: the
value restricted to range(F̄), and λ_max(∇²J, F̄ + εI) over decades of ε, which grows
like 1/ε exactly where the curvature off range(F̄) is positive.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sailtheory.curvature.lanczos import Extremal, extremal, random_vector
from sailtheory.curvature.operators import CurvatureOperator, derivative
from sailtheory.curvature.parameters import Selection, Subset, flatten
from sailtheory.errors import InputError
from sailtheory.policies.objectives import CandidateObjective

__all__ = ["FisherRange", "RelativeCurvature", "relative_curvature"]

_LARGEST = 1 << 28  # entries of the weighted score matrix: 2 GB in float64
_DAMPINGS = (1e-4, 1e-3, 1e-2, 1e-1)


class FisherRange:
    """F̄ = QΛQᵀ on its range, from all scores of a candidate set.

    With the rows √(w_x π(y|x)) s(x, y) stacked to A (N×d), F̄ = AᵀA; the singular values
    of A are taken, not the eigenvalues of F̄, so no accuracy is lost by squaring.

    Args:
        objective: Gives policy, prompts and weights; N = prompts × candidates.
        select: Which parameters, by name; default all.
        cut: Singular values below ``cut`` ‖A‖_F count as 0; default eps √(N + d), the
            rounding of sums of that length.

    Attributes:
        basis: Q as rows, (r, d).
        eigenvalues: Λ, descending, (r,).

    Raises:
        InputError: N·d entries too many (choose fewer prompts), F̄ = 0.
    """

    def __init__(
        self,
        objective: CandidateObjective,
        *,
        select: Selection | None = None,
        cut: float | None = None,
    ) -> None:
        subset = Subset(objective.policy, select)
        rows_needed = objective.data.all.log_ref.numel()
        if rows_needed * subset.size > _LARGEST:
            raise InputError(
                "prompts × candidates × parameters", rows_needed * subset.size,
                f"at most {_LARGEST}: use fewer prompts, such as data.minibatch",
            )  # fmt: skip
        a = _weighted_scores(objective, subset)
        cut = torch.finfo(a.dtype).eps * sum(a.shape) ** 0.5 if cut is None else cut
        q, r = torch.linalg.qr(a.mT)  # far cheaper for N ≪ d than the SVD of A itself
        _, singular, right = torch.linalg.svd(r.mT, full_matrices=False)
        right = right @ q.mT
        keep = singular > cut * a.norm()
        if not bool(keep.any()):
            raise InputError("fisher", 0.0, "a policy that its parameters can change")
        self.subset = subset
        self.basis = right[keep]
        self.eigenvalues = singular[keep] ** 2

    @property
    def rank(self) -> int:
        """r, the numerical rank of F̄."""
        return len(self.eigenvalues)

    def share(self, vector: Tensor) -> float:
        """The part of ‖v‖² that lies in range(F̄), in [0, 1]."""
        return float((self.basis @ vector).square().sum() / vector.square().sum())

    def whitened(self, operator: CurvatureOperator, coordinates: Tensor) -> Tensor:
        """Λ^{−1/2}Q ∇²J QᵀΛ^{−1/2} y: (r,) to (r,)."""
        root = self.eigenvalues.rsqrt()
        image: Tensor = self.basis @ operator(self.basis.mT @ (root * coordinates))
        scaled: Tensor = root * image
        return scaled

    def damped(self, operator: CurvatureOperator, vector: Tensor, damping: float) -> Tensor:
        """(F̄ + ε)^{−1/2} ∇²J (F̄ + ε)^{−1/2} v: (d,) to (d,)."""
        return self._smooth(operator(self._smooth(vector, damping)), damping)

    def _smooth(self, vector: Tensor, damping: float) -> Tensor:
        """(F̄ + ε)^{−1/2} v."""
        inside = self.basis @ vector
        off = vector - self.basis.mT @ inside
        smooth: Tensor = off * damping**-0.5 + self.basis.mT @ (
            inside * (self.eigenvalues + damping).rsqrt()
        )
        return smooth


@dataclass(frozen=True)
class RelativeCurvature:
    """Generalised eigenvalues of (∇²J, F̄).

    Attributes:
        top: Largest on range(F̄); its ``vector`` is the direction v, with vᵀF̄v = 1.
        bottom: Smallest on range(F̄), likewise.
        damped: ε/λ_max(F̄) to λ_max(∇²J, F̄ + εI).
        rank: Numerical rank of F̄.
        size: d.
    """

    top: Extremal
    bottom: Extremal
    damped: dict[float, float]
    rank: int
    size: int


def relative_curvature(
    operator: CurvatureOperator,
    fisher: FisherRange,
    generator: torch.Generator,
    *,
    dampings: tuple[float, ...] = _DAMPINGS,
    tolerance: float = 1e-6,
    products: int = 200,
) -> RelativeCurvature:
    """Largest and smallest generalised eigenvalue of (∇²J, F̄).

    Args:
        operator: ∇²J, or another symmetric operator in the same parameters.
        fisher: F̄ on its range.
        generator: Source of the Lanczos starts.
        dampings: ε in units of λ_max(F̄): three decades by default.
        tolerance: Relative, of the Lanczos runs.
        products: At most so many products a run.

    Raises:
        InputError: Operators on different numbers of parameters, a damping ≤ 0.
    """
    if operator.subset.size != fisher.subset.size:
        raise InputError("fisher", fisher.subset.size, f"{operator.subset.size} parameters")
    if not all(level > 0 for level in dampings):
        raise InputError("dampings", dampings, "numbers > 0")
    scale = float(fisher.eigenvalues[0])
    root = fisher.eigenvalues.rsqrt()
    ends = extremal(
        lambda y: fisher.whitened(operator, y),
        random_vector(fisher.eigenvalues, generator), tolerance=tolerance, products=products,
    )  # fmt: skip
    lifted = [
        Extremal(e.value, fisher.basis.mT @ (root * e.vector), e.residual, e.products, e.converged)
        for e in ends
    ]
    damped = {}
    for level in dampings:
        # Starting inside range(F̄) as well as off it lets Lanczos see both.
        _, top = extremal(
            lambda v, eps=level * scale: fisher.damped(operator, v, eps),  # type: ignore[misc]
            random_vector(fisher.basis[0], generator), tolerance=tolerance, products=products,
        )  # fmt: skip
        damped[level] = top.value
    return RelativeCurvature(lifted[1], lifted[0], damped, fisher.rank, fisher.subset.size)


def _weighted_scores(objective: CandidateObjective, subset: Subset) -> Tensor:
    """Rows √(w_x π(y|x)) ∇log π(y|x): (N, d), one backward pass each."""
    rows = []
    for batch in objective.data.batches(1):
        log_policy = torch.log_softmax(objective.logits(subset.all, batch), -1)
        root = (batch.weights[:, None] * log_policy.detach().exp()).sqrt()
        for y in range(log_policy.shape[1]):
            rows.append(
                flatten(derivative(log_policy[0, y], subset.leaves, keep=True)) * root[0, y]
            )
    return torch.stack(rows)
