"""A guide to β and B: how far a policy that fits the data lies from θ_ref, and what that costs.

The policy class says p = σ(wᵀ(φ_k − φ_l)) with w = β(θ − θ_ref). A ridge fit of w by DPO's loss
therefore asks for B ≥ ‖w‖/β around θ_ref, and the theorem's range is Z_max = βBD = ‖w‖D whatever
β is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.preference_data.measure import BUDGET, measure
from sailtheory.problem.folder import ProblemFolder
from sailtheory.theory import bounds

__all__ = ["BETAS", "Fit", "read_vector", "suggest"]

BETAS = (0.01, 0.03, 0.1, 0.3, 1.0)
_RIDGES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_MOST_BYTES = 1 << 28
_HELD_OUT = 0.2


@dataclass(frozen=True)
class Fit:
    """A ridge fit by DPO's loss.

    Attributes:
        ridge: λ of mean loss + λ‖w‖²/2, w in units of 1/D.
        norm: ‖w‖.
        loss: Mean log-loss of held-out pairs; log 2 is chance.
        accuracy: Share of held-out pairs that are not ties on whose better response it agrees.
    """

    ridge: float
    norm: float
    loss: float
    accuracy: float | None


def suggest(
    folder: ProblemFolder, seed: int = 0, policy: np.ndarray | None = None, given: bool = True
) -> dict[str, Any]:
    """What β and B fit a folder's data, as JSON.

    Args:
        folder: The problem; its β and B play no part in the fits.
        seed: Of the prompts that are held out.
        policy: Parameters of a trained log-linear policy, (d,).
        given: Whether somebody chose its β and B.

    Returns:
        ``fits``, one a ridge; ``best``, the one of the least held-out loss; ``pairs`` fitted on
        and ``prompts`` of ``of_prompts``; ``radii``, for each β the B = ‖w‖/β that the best fit
        asks for, with Z_max and K_B; ``policy``, the same for the policy's distance; ``given``,
        the same for the folder's own β and B; None where it is only made for this.
    """
    data = folder.report.get("data") or measure(folder)
    diameter = float(data["feature_diameter"])
    differences, p, held, used = _pairs(folder, np.random.default_rng(seed))
    fits = [_fit(differences, p, held, ridge, diameter) for ridge in _RIDGES]
    best = min(fits, key=lambda fit: fit.loss)
    found: dict[str, Any] = {
        "schema": "sailtheory.suggestion/1",
        "feature_diameter": diameter,
        "prompts": used, "of_prompts": folder.prompts, "pairs": len(p),
        "fits": [vars(fit) for fit in fits], "best": vars(best),
        "radii": [_cost(beta, best.norm / beta, diameter) for beta in BETAS],
        "given": _cost(folder.beta, folder.radius, diameter) if given else None, "policy": None,
    }  # fmt: skip
    if policy is not None:
        if policy.shape != (folder.dimension,):
            accepted = f"({folder.dimension},), as the features, is expected"
            raise InputError("policy", f"shape {policy.shape}", accepted)
        distance = float(np.linalg.norm(policy - folder.ref_params))
        found["policy"] = [_cost(beta, distance, diameter) for beta in BETAS]
    return found


def read_vector(path: str | Path, field: str) -> np.ndarray:
    """A vector of parameters from an NPY file.

    Raises:
        InputError: No plain vector of finite real numbers.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except OSError as error:
        raise InputError(field, path, error.strerror or str(error)) from None
    except Exception as error:  # NumPy raises many kinds on damaged files
        raise InputError(field, path, f"not an NPY of plain numbers: {error}") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu" or array.ndim != 1:
        found = f"shape {getattr(array, 'shape', '')} of {getattr(array, 'dtype', 'no array')}"
        raise InputError(field, found, "one axis of real numbers is expected")
    if not np.isfinite(array).all():
        raise InputError(field, path, "finite numbers are expected")
    return array.astype(np.float64)


def _cost(beta: float, radius: float, diameter: float) -> dict[str, float]:
    """Z_max = βBD with c = θ_ref, and K_B."""
    z_max = beta * radius * diameter
    bound = float(bounds.relative_bound(beta, z_max))
    return {"beta": beta, "radius": radius, "z_max": z_max, "k_b": bound}


def _pairs(
    folder: ProblemFolder, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Differences of features, p, and which pairs are held out, of as many prompts as fit."""
    sizes = folder.responses * (folder.responses - 1) // 2
    order = rng.permutation(folder.prompts)
    within = np.cumsum(sizes[order]) * folder.dimension * 8 <= _MOST_BYTES
    taken = np.zeros(folder.prompts, dtype=bool)
    taken[order[: max(2, int(within.sum()))]] = True
    out = rng.random(folder.prompts) < _HELD_OUT
    rows, p, held = [], [], []
    for chunk in folder.chunks(BUDGET):
        some = taken[chunk.prompts]
        if not some.any():
            continue
        phi = np.asarray(chunk.features[some], dtype=np.float64)
        k, j = np.triu_indices(phi.shape[1], 1)
        rows.append((phi[:, k] - phi[:, j]).reshape(-1, folder.dimension))
        p.append((chunk.preference[some][:, k, j] + 0.5).ravel())
        held.append(np.repeat(out[chunk.prompts[some]], len(k)))
    if not rows or not np.concatenate(held).any() or np.concatenate(held).all():
        raise InputError("suggest", f"{folder.prompts} prompts", "more, to hold some out")
    return np.concatenate(rows), np.concatenate(p), np.concatenate(held), int(taken.sum())


def _fit(
    differences: np.ndarray, p: np.ndarray, held: np.ndarray, ridge: float, diameter: float
) -> Fit:
    from scipy.optimize import minimize  # slow to import

    scale = 1 / diameter if diameter > 0 else 1.0
    rows, targets = differences[~held] * scale, p[~held]

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        z = rows @ w
        share = (1 + np.tanh(z / 2)) / 2
        value = float(np.mean(np.logaddexp(0, z) - targets * z)) + ridge * float(w @ w) / 2
        return value, rows.T @ (share - targets) / len(z) + ridge * w

    found = minimize(loss, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B")
    w = found.x * scale
    z, truth = differences[held] @ w, p[held]
    told = truth != 0.5
    right = (np.sign(z[told]) == np.sign(truth[told] - 0.5)).mean() if told.any() else None
    return Fit(
        ridge, float(np.linalg.norm(w)), float(np.mean(np.logaddexp(0, z) - truth * z)),
        None if right is None else float(right),
    )  # fmt: skip
