"""``sailtheory curvature CONFIG``: curvature of a saved policy on saved preference data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sailtheory.curvature.density import spectral_density, trace
from sailtheory.curvature.lanczos import extremal, random_vector
from sailtheory.curvature.operators import HessianOperator
from sailtheory.curvature.relative import FisherRange, relative_curvature
from sailtheory.curvature.split import curvature_split, pointwise_bound
from sailtheory.curvature.witness import witness
from sailtheory.errors import InputError
from sailtheory.policies.data import CandidateData
from sailtheory.policies.objectives import CandidateObjective, Divergence
from sailtheory.policies.payoffs import candidate_payoff
from sailtheory.policies.softmax import MLPPolicy
from sailtheory.storage.config import resolve, setting
from sailtheory.storage.readers import read_npz, read_toml

__all__ = ["Config", "report", "run"]


@dataclass(frozen=True)
class Config:
    """What the file of ``sailtheory curvature`` holds.

    Attributes:
        policy: An NPZ of ``MLPPolicy.save``; relative to the file, as ``data`` is.
        data: An NPZ with ``inputs`` (n, m, k), ``log_ref`` (n, m), one of ``preferences``
            (n, m, m) and ``rewards`` (n, m), and ``weights`` (n,) if unequal; with another
            objective than sail, ``response_rewards`` (n, m).
        beta: β, for sail.
        objective: ``sail``, or a method of rewards.
        group: G of that method, as ``std`` and ``epsilon`` are its own; None where not given.
        gamma: γ.
        divergence: Which KL.
        chunk: Prompts at a time; None for all at once.
        products: Most Hessian products of each eigenvalue search.
        seed: Of the random vectors.
    """

    policy: str
    data: str
    beta: float | None = None
    objective: str = "sail"
    group: int | None = None
    std: str | None = None
    epsilon: float | None = None
    gamma: float = 0.0
    divergence: Divergence = "kl_ref_policy"
    chunk: int | None = setting(None, at_least=1)
    products: int = setting(200, at_least=1)
    seed: int = setting(0, at_least=0)


def run(config_path: str | Path) -> dict[str, Any]:
    """Measure the curvature of one policy.

    Args:
        config_path: A TOML file of :class:`Config`.

    Returns:
        Everything measured, ready for JSON.

    Raises:
        InputError: A file or a field that cannot be used.
    """
    path = Path(config_path)
    config = resolve(Config, read_toml(path))
    payoff = candidate_payoff(
        config.objective, config.beta, group=config.group, std=config.std, epsilon=config.epsilon
    )
    policy = MLPPolicy.load(path.parent / config.policy)
    dtype = next(policy.parameters()).dtype
    arrays = read_npz(path.parent / config.data, "data")
    unknown = (
        set(arrays)
        - {"inputs", "log_ref", "preferences", "rewards", "weights"}
        - {"response_rewards"}
    )
    if unknown or not {"inputs", "log_ref"} <= set(arrays):
        accepted = "inputs, log_ref, preferences or rewards, response_rewards, weights"
        raise InputError("data", sorted(arrays), accepted)
    try:
        tensors = {name: torch.as_tensor(a).to(dtype) for name, a in arrays.items()}
    except TypeError as error:
        raise InputError("data", config.data, f"arrays of numbers ({error})") from None
    inputs, log_ref = tensors.pop("inputs"), tensors.pop("log_ref")
    width = next(policy.parameters()).shape[1]
    if inputs.ndim != 3 or inputs.shape[-1] != width:
        raise InputError("data.inputs", tuple(inputs.shape), f"(n, m, {width}), as the policy")
    objective = CandidateObjective(
        policy,
        CandidateData(
            inputs, log_ref, preferences=tensors.get("preferences"),
            rewards=tensors.get("rewards"), weights=tensors.get("weights"),
            response_rewards=tensors.get("response_rewards"),
        ),
        payoff=payoff, gamma=config.gamma, divergence=config.divergence, chunk=config.chunk,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(config.seed)
    found = report(objective, products=config.products, generator=generator)
    return found | {"seed": config.seed}


def report(
    objective: CandidateObjective, *, generator: torch.Generator, products: int = 200
) -> dict[str, Any]:
    """Every measure of :mod:`sailtheory.curvature` at the policy's parameters."""
    hessian = HessianOperator(objective)
    like = hessian.subset.flat()
    low, high = extremal(hessian, random_vector(like, generator), products=products)
    fisher = FisherRange(objective)
    relative = relative_curvature(hessian, fisher, generator, products=products)
    split = curvature_split(objective, generator)
    density = spectral_density(hessian, like, generator)
    total = trace(hessian, like, generator)
    at = objective.summary()
    covered = objective.divergence == "kl_ref_policy" or not objective.gamma
    return {
        "schema": "sailtheory.curvature/1",
        "parameters": hessian.subset.size,
        "objective": objective.payoff.name,
        "beta": getattr(objective.payoff, "beta", None),
        "gamma": objective.gamma,
        "divergence": objective.divergence,
        "at": at,
        "gradient_norm": float(hessian.gradient().norm()),
        "eigenvalues": {
            name: {
                "value": end.value, "residual": end.residual, "products": end.products,
                "converged": end.converged, "share_in_fisher_range": fisher.share(end.vector),
                "second_difference": witness(hessian, end).replay(),
            }
            for name, end in (("lowest", low), ("highest", high))
        },
        "relative": {
            "highest": relative.top.value, "lowest": relative.bottom.value,
            "residual": relative.top.residual, "rank": relative.rank,
            "damped": {str(level): value for level, value in relative.damped.items()},
            "bound_of_gauss_newton_part": pointwise_bound(objective) if covered else None,
            objective.payoff.bound_name: objective.payoff.bound(at),
        },
        "split": {
            "gauss_newton": split.gauss_newton, "network": split.network,
            "network_share": split.network_share, "error": split.error, "probes": split.probes,
        },
        "trace": {"value": total.value, "error": total.error},
        "density": {"nodes": density.nodes.tolist(), "weights": density.weights.tolist()},
    }  # fmt: skip
