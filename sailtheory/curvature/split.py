"""How far from log-linear: the Gauss–Newton and the network part of ∇²J."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sailtheory.curvature.lanczos import random_vector
from sailtheory.curvature.operators import GaussNewtonOperator, HessianOperator
from sailtheory.curvature.parameters import Selection
from sailtheory.errors import InputError
from sailtheory.policies.objectives import CandidateObjective

__all__ = ["Split", "curvature_split", "pointwise_bound"]


@dataclass(frozen=True)
class Split:
    """Frobenius norms of the two parts of ∇²J, estimated with common random vectors.

    Attributes:
        gauss_newton: ‖𝒥ᵀ(∇²_ℓ J)𝒥‖_F.
        network: ‖Σ_k (∂J/∂ℓ_k)∇²ℓ_k‖_F.
        network_share: network / (gauss_newton + network), in [0, 1]: 0 for log-linear
            policies; None where both vanish.
        error: Standard error of ``network_share`` over the vectors (delta method).
        probes: How many vectors.
    """

    gauss_newton: float
    network: float
    network_share: float | None
    error: float | None
    probes: int


def curvature_split(
    objective: CandidateObjective,
    generator: torch.Generator,
    *,
    probes: int = 16,
    select: Selection | None = None,
    check: bool = True,
) -> Split:
    """Estimate the split, at two products a probe: E‖Mv‖² = ‖M‖_F² for v ~ N(0, I).

    Raises:
        InputError: Fewer than 2 probes.
    """
    if probes < 2:
        raise InputError("probes", probes, "a number ≥ 2")
    hessian = HessianOperator(objective, select=select, check=check)
    inner = GaussNewtonOperator(objective, select=select, check=False)
    squares = []
    for _ in range(probes):
        v = random_vector(hessian.subset.flat(), generator)
        linear = inner(v)
        squares.append([linear.square().sum(), (hessian(v) - linear).square().sum()])
    rows = torch.tensor(squares, dtype=torch.float64)
    a, b = (float(mean) ** 0.5 for mean in rows.mean(0))
    if a + b == 0:
        return Split(0.0, 0.0, None, None, probes)
    share = b / (a + b)
    # d share = share (1 − share)(d log b − d log a), with log a = ½ log E‖·‖².
    relative = rows / rows.mean(0).clamp_min(1e-300)
    spread = float((relative[:, 1] - relative[:, 0]).std()) / 2
    return Split(a, b, share, share * (1 - share) * spread / probes**0.5, probes)


def pointwise_bound(objective: CandidateObjective) -> float:
    """max_x K_x at these parameters: the Gauss–Newton part of ∇²J is ⪯ it times F̄ (C11, C31).

    For J from the largest |z| and the least J_x over the prompts, so it is no smaller than any
    K_x. Of J_γ with KL(π_ref‖π_θ), γ is subtracted; for KL(π_θ‖π_ref) there is no bound.

    Raises:
        InputError: An objective with KL(π_θ‖π_ref), or without J.
    """
    if (objective.divergence != "kl_ref_policy" and objective.gamma) or objective.sail != 1:
        raise InputError("divergence", objective.divergence, "J − γ KL(π_ref‖π_θ)")
    return objective.payoff.pointwise(objective.summary()) - objective.gamma
