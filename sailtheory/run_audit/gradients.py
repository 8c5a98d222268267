"""Of what the logged gradients are made: DPO's, the score term's and two KLs', by least squares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sailtheory.objectives.fields import OnlineDPO
from sailtheory.objectives.sail import SAIL, KLPolicyRef, KLRefPolicy
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.run_audit.trace import Point

__all__ = ["Followed", "followed"]

_LEAST = 4  # updates
_NEGLIGIBLE = 1e-10
_SIGMAS = 4.0


@dataclass(frozen=True)
class Followed:
    """−gradient of the loss, over the run, as V + s·score − γ∇KL(π_ref‖π_θ) − γ'∇KL(π_θ‖π_ref).

    Attributes:
        scale: Factor of V in the loss; 1 where the gradients do not show another.
        score: s, with its standard error.
        gamma: γ, with its standard error.
        other: γ', with its standard error.
        misfit: Share of the gradients' size that neither these terms nor noise explain.
        variance: V of the noise: E‖gradient − its mean‖² of one update.
        steps: First and last step used.
    """

    scale: float
    score: tuple[float, float]
    gamma: tuple[float, float]
    other: tuple[float, float]
    misfit: float
    variance: float
    steps: tuple[int, int]


def followed(problem: PreferenceProblem, points: tuple[Point, ...], bend: float) -> Followed | None:
    """What the logged gradients are made of; None where there are too few.

    Args:
        problem: The candidate problem.
        points: Of the run.
        bend: The relative gap of log-linearity: by how much its gradients may differ from the
            problem's.
    """
    used = [p for p in points if p.theta is not None and p.gradient is not None]
    if len(used) < _LEAST:
        return None
    terms = _terms(problem, np.array([p.theta for p in used]))
    target = -np.array([p.gradient for p in used])
    fit = _fit(terms, target)
    if fit is None:
        return None
    noise, bias = _noise(fit.residual)
    size = float(np.square(target).sum(-1).mean())
    covariance = fit.covariance + np.diag(fit.reach**2) * max(bias, bend**2 * size) * len(used)
    score, gamma, other = (_ratio(fit.coefficients, covariance, k) for k in (1, 2, 3))
    scale, error = float(fit.coefficients[0]), float(np.sqrt(covariance[0, 0]))
    return Followed(
        scale=1.0 if abs(scale - 1) <= 2 * error else scale,
        score=score, gamma=gamma, other=other,
        misfit=float(np.sqrt(bias / max(size, 1e-300))),
        variance=0.0 if noise <= bend**2 * size else noise,
        steps=(used[0].step, used[-1].step),
    )  # fmt: skip


def _terms(problem: PreferenceProblem, theta: np.ndarray) -> np.ndarray:
    """V, the score term, −∇KL(π_ref‖π_θ), −∇KL(π_θ‖π_ref) at each θ: (k, d, 4)."""
    dpo = OnlineDPO(problem).gradient(theta)
    score = SAIL(problem).gradient(theta) - dpo
    kls = [-kind(problem).gradient(theta) for kind in (KLRefPolicy, KLPolicyRef)]
    return np.stack([dpo, score, *kls], axis=-1)


@dataclass(frozen=True)
class _Fit:
    """Least squares, (4,) and (4, 4), with errors clustered by step.

    ``reach`` is by how much an error of length one in the gradients can change a coefficient.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    reach: np.ndarray
    residual: np.ndarray


def _fit(terms: np.ndarray, target: np.ndarray) -> _Fit | None:
    """A term that is nowhere has coefficient 0; None where V itself is nowhere."""
    steps, width = target.shape
    flat = terms.reshape(steps * width, 4)
    sizes = np.linalg.norm(flat, axis=0)
    present = sizes > _NEGLIGIBLE * sizes.max()
    if not present[0]:
        return None
    design = flat * np.where(present, 1 / np.where(present, sizes, 1.0), 0.0)
    inverse = np.linalg.pinv(design) / np.where(present, sizes, 1.0)[:, None]
    coefficients = inverse @ target.reshape(-1)
    residual = target - (flat @ coefficients).reshape(target.shape)
    of_step = np.einsum("ctw,tw->tc", inverse.reshape(4, steps, width), residual)
    reach = np.linalg.norm(inverse, axis=1)
    return _Fit(coefficients, of_step.T @ of_step, reach, residual)


def _noise(residual: np.ndarray) -> tuple[float, float]:
    """Mean squares of noise and of bias: noise is what differs between neighbouring steps.

    Bias is counted beyond what von Neumann's ratio varies by where all is noise.
    """
    noise = float(np.square(np.diff(residual, axis=0)).sum(-1).mean()) / 2
    chance = 1 + _SIGMAS / np.sqrt(residual.size)
    return noise, max(float(np.square(residual).sum(-1).mean()) - chance * noise, 0.0)


def _ratio(values: np.ndarray, covariance: np.ndarray, k: int) -> tuple[float, float]:
    """values[k]/values[0] and its standard error."""
    ratio = values[k] / values[0]
    turn = np.zeros(len(values))
    turn[k], turn[0] = 1 / values[0], -ratio / values[0]
    return float(ratio), float(np.sqrt(max(turn @ covariance @ turn, 0.0)))
