"""``sailtheory curvature CONFIG``: curvature of a saved policy on saved preference data."""

from __future__ import annotations

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
from sailtheory.policies.objectives import CandidateObjective
from sailtheory.policies.softmax import MLPPolicy
from sailtheory.storage.readers import read_npz, read_toml
from sailtheory.theory.bounds import relative_bound

__all__ = ["report", "run"]

_KNOWN = {"policy", "data", "beta", "gamma", "divergence", "chunk", "products", "seed"}


def run(config_path: str | Path) -> dict[str, Any]:
    """Measure the curvature of one policy.

    The TOML file names ``policy`` (an NPZ of ``MLPPolicy.save``), ``data`` (an NPZ with
    ``inputs`` (n, m, k), ``log_ref`` (n, m), one of ``preferences`` (n, m, m) and
    ``rewards`` (n, m), and ``weights`` (n,) if unequal) and ``beta``; and, if wanted,
    ``gamma``, ``divergence``, ``chunk``, ``products`` and ``seed``. Paths are relative
    to the file.

    Returns:
        Everything measured, ready for JSON.

    Raises:
        InputError: A file or a field that cannot be used.
    """
    path = Path(config_path)
    config = _read(path)
    policy = MLPPolicy.load(path.parent / str(config["policy"]))
    dtype = next(policy.parameters()).dtype
    arrays = read_npz(path.parent / str(config["data"]), "data")
    unknown = set(arrays) - {"inputs", "log_ref", "preferences", "rewards", "weights"}
    if unknown or not {"inputs", "log_ref"} <= set(arrays):
        raise InputError("data", sorted(arrays), "inputs, log_ref, preferences or rewards, weights")
    try:
        tensors = {name: torch.as_tensor(a).to(dtype) for name, a in arrays.items()}
    except TypeError as error:
        raise InputError("data", config["data"], f"arrays of numbers ({error})") from None
    inputs, log_ref = tensors.pop("inputs"), tensors.pop("log_ref")
    width = next(policy.parameters()).shape[1]
    if inputs.ndim != 3 or inputs.shape[-1] != width:
        raise InputError("data.inputs", tuple(inputs.shape), f"(n, m, {width}), as the policy")
    objective = CandidateObjective(
        policy,
        CandidateData(
            inputs, log_ref, preferences=tensors.get("preferences"),
            rewards=tensors.get("rewards"), weights=tensors.get("weights"),
        ),
        beta=_number(config, "beta", None), gamma=_number(config, "gamma", 0.0),
        divergence=config.get("divergence", "kl_ref_policy"), chunk=_count(config, "chunk", None),
    )  # fmt: skip
    seed = _count(config, "seed", 0)
    return report(
        objective, products=_count(config, "products", 200) or 200,
        generator=torch.Generator().manual_seed(seed or 0),
    ) | {"seed": seed}  # fmt: skip


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
        "beta": objective.beta,
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
            "bound_K_B_at_this_range": relative_bound(objective.beta, at["z_range"]),
        },
        "split": {
            "gauss_newton": split.gauss_newton, "network": split.network,
            "network_share": split.network_share, "error": split.error, "probes": split.probes,
        },
        "trace": {"value": total.value, "error": total.error},
        "density": {"nodes": density.nodes.tolist(), "weights": density.weights.tolist()},
    }  # fmt: skip


def _read(path: Path) -> dict[str, Any]:
    config = read_toml(path)
    for name in set(config) - _KNOWN:
        raise InputError(name, config[name], f"one of {', '.join(sorted(_KNOWN))}")
    for name in ("policy", "data", "beta"):
        if name not in config:
            raise InputError(name, "missing", "it is required in the configuration")
    return config


def _number(config: dict[str, Any], name: str, default: float | None) -> float:
    value = config.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(name, value, "a number")
    return float(value)


def _count(config: dict[str, Any], name: str, default: int | None) -> int | None:
    value = config.get(name, default)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise InputError(name, value, "an integer ≥ 0")
    return value
