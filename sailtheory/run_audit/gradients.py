"""Of what the logged gradients are made: DPO's, the score term's, two KLs', a reward's.

Least squares finds coefficients for any gradients, and with few equations a small misfit as well.
So a misfit is taken for noise only where it can be told from the misfit of another loss, and a term
is named only where its coefficient is identified beside those of all other terms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sailtheory.objectives.fields import ExpectedReward, OnlineDPO, has_rewards
from sailtheory.objectives.sail import SAIL, KLPolicyRef, KLRefPolicy
from sailtheory.problem.preferences import BradleyTerry, probabilities
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.run_audit.trace import Point, span

__all__ = [
    "CLEAR",
    "COARSE",
    "SMALL",
    "SURE",
    "Followed",
    "allowed",
    "followed",
    "interval",
    "updates_needed",
]

CLEAR = 0.125
"""Standard error above which a share of the gradients, or a weight of 0 or 1, is not shown."""
SMALL = 0.02
"""Of a coefficient: below, it is none."""
SURE = 2.0
"""Standard errors."""
COARSE = 1e-8
"""Of the gradients: what float64 does not hide."""

_LEAST = 4  # updates
_NEGLIGIBLE = 1e-10
_SIGMAS = 4.0
_BENT = 5.0  # ∇log π changes by four times the relative gap of log-linearity, to first order
_MOST_CONDITION = 1e8  # above, less than half the digits of float64 tell these terms from others
_LIBRARY = "DPO, the score term, both KLs and E[r]"
_LESS_NOISE = "larger batches, or more prompts and responses, can help"
_V, *_RATIOS, _REWARD = range(5)


@dataclass(frozen=True)
class Followed:
    """−gradient of the loss as scale·(V + s·score − γ∇KL(π_ref‖π_θ) − γ'∇KL(π_θ‖π_ref)).

    Where ``rewarded``, ∇E[r] stands for V.

    Attributes:
        scale: Factor of V in the loss; 1 where the gradients do not show another.
        score: s, with its standard error, which is infinite where V is not told from ∇E[r].
        gamma: γ, likewise.
        other: γ', likewise.
        rewarded: Whether the gradients hold ∇E[r] and no V.
        doubt: Why the gradients are, or may be, no such sum; empty where they are one.
        foreign: Whether they were seen to be something else.
        updates: Used.
        measured: Dimensions, and the condition number of the terms' gradients, each of length one
            over the run.
        noise: V, E‖gradient − its mean‖² of one update.
        steps: First and last step used.
        blind: Share of the gradients below which rounding, or the gap of log-linearity, hides
            another loss.
    """

    scale: float
    score: tuple[float, float]
    gamma: tuple[float, float]
    other: tuple[float, float]
    rewarded: bool
    doubt: str
    foreign: bool
    updates: int
    measured: tuple[int, float]
    noise: float
    steps: tuple[int, int]
    blind: float

    @property
    def span(self) -> str:
        """Which updates were used, in words."""
        return span(self.steps, self.updates)

    @property
    def unclear(self) -> str:
        """That the gradients do not show of which terms they are, in words; empty if they do."""
        if np.isfinite(self.score[1]):
            return ""
        dimensions, condition = self.measured
        advice = "log more prompts or responses"
        if self.noise and condition <= _MOST_CONDITION:
            advice = f"their noise is too large to tell the two apart: {_LESS_NOISE}"
        elif self.blind > COARSE:
            advice += ", in float64"
        return (
            f"the gradients do not show whether they hold DPO's term or a reward's: {self.updates} "
            f"updates in {dimensions} dimension{'s' * (dimensions > 1)} (condition number "
            f"{condition:.1g}); {advice}"
        )

    @property
    def identified(self) -> bool:
        """Whether the gradients are shown to be such a sum, and of which terms."""
        return not (self.doubt or self.unclear)

    @property
    def penalised(self) -> bool:
        """Whether the penalty's factors are identified."""
        (gamma, error), (other, blur) = self.gamma, self.other
        return SURE * max(error, blur) <= max(0.2 * max(abs(gamma), abs(other)), 0.02)

    @property
    def reverse(self) -> bool:
        """Whether the gradients hold KL(π_θ‖π_ref), of which no threshold is known."""
        (gamma, _), (other, blur) = self.gamma, self.other
        return abs(other) - SURE * blur > SMALL * max(abs(gamma), abs(other), 1e-3)

    @property
    def weight(self) -> float | None:
        """s, and 0 or 1 where its interval holds that; None where the interval is too wide."""
        value, error = self.score
        near = [w for w in (0.0, 1.0) if abs(value - w) <= SURE * error + SMALL]
        return (near[0] if near else value) if error <= CLEAR or not near else None


def interval(found: tuple[float, float]) -> str:
    """A value with its standard error, in words."""
    return f"{found[0]:.2g} ± {SURE * found[1]:.1g}"


def followed(
    problem: PreferenceProblem, points: tuple[Point, ...], bend: float, rounding: float
) -> Followed | None:
    """What the logged gradients are made of; None where there are too few.

    Args:
        problem: The candidate problem.
        points: Of the run.
        bend: The relative gap of log-linearity beyond rounding.
        rounding: What rounding can make of a log-probability, and so of a gradient relative to
            the largest of its terms.
    """
    used = _usable(points)
    if len(used) < _LEAST:
        return None
    terms = _terms(problem, np.array([p.theta for p in used]))
    target = _targets(used)
    fit = _fit(terms, target)
    if fit is None:
        return None
    size, errors = _mean_square(target), fit.covariance
    known = _known(terms, fit, size, bend, rounding)
    misfit, noise, doubt, foreign = _mean_square(fit.residual), 0.0, "", False
    error_size = misfit * target.size / max(target.size - terms.shape[-1], 1)
    if misfit <= known:  # no noise: what is left may be off in any direction
        unseen = max(error_size, (_BENT * bend) ** 2 * size)
        errors = errors + np.diag(fit.reach**2) * unseen * len(used)
    else:
        noise = error_size
        doubt, foreign = _not_noise(fit.residual, terms.shape[-1], (misfit / size) ** 0.5)
    lead, both = _leading(fit, errors, size * len(used))
    first = _V if lead is None else lead
    scale, error = float(fit.coefficients[first]), float(np.sqrt(errors[first, first]))
    if doubt and not foreign and lead is None:
        doubt = f"{doubt}; they do not tell DPO's term from a reward's either: {_LESS_NOISE}"
    if not doubt and both:
        doubt, foreign = _mixed(scale, float(fit.coefficients[_REWARD])), True
    score, gamma, other = (
        _ratio(fit.coefficients, errors, k, first, lead is not None) for k in _RATIOS
    )
    if not noise:
        score, gamma, other = map(_rounded, (score, gamma, other))
    return Followed(
        _unit(scale, error), score, gamma, other,
        rewarded=lead == _REWARD, doubt=doubt, foreign=foreign,
        updates=len(used), measured=(target.shape[1], fit.condition), noise=noise,
        steps=(used[0].step, used[-1].step), blind=(known / size) ** 0.5 if size else 0.0,
    )  # fmt: skip


def allowed(
    problem: PreferenceProblem, points: tuple[Point, ...], bend: float, rounding: float,
    gamma: float | None, score: bool,
) -> float | None:  # fmt: skip
    """The factor of a loss with these γ and score term, if the gradients allow it; else None.

    They do if, with that score term, what DPO's term and KL(π_ref‖π_θ) leave is rounding or passes
    for noise, and the interval of γ holds this one and not 0; None for γ asks nothing of it. That
    tells the loss from one with another γ, not from all others. Arguments are those of
    :func:`followed`.
    """
    used = _usable(points)
    terms, target = _terms(problem, np.array([p.theta for p in used])), _targets(used)
    pair = np.stack([terms[..., _V] + score * terms[..., 1], terms[..., 2]], axis=-1)
    fit = _fit(pair, target)
    if fit is None:
        return None
    known = _known(pair, fit, _mean_square(target), bend, rounding)
    if _mean_square(fit.residual) > known and _not_noise(fit.residual, 2, 1.0)[0]:
        return None
    factor, error = float(fit.coefficients[0]), float(np.sqrt(fit.covariance[0, 0]))
    value, blur = _ratio(fit.coefficients, fit.covariance, 1, 0, True)
    if abs(factor) <= SURE * error:
        return None
    if gamma is not None and not abs(value - gamma) <= SURE * blur < abs(value):
        return None
    return _unit(factor, 2 * error)  # only what is clearly another is not taken for 1


def _known(terms: np.ndarray, fit: _Fit, size: float, bend: float, rounding: float) -> float:
    """The misfit that rounding and the gap of log-linearity explain, squared."""
    return float(max(_BENT * bend * size**0.5, rounding * _largest(terms, fit.coefficients)) ** 2)


def _unit(scale: float, error: float) -> float:
    """±1 where the interval of a factor holds it."""
    return float(np.sign(scale)) if abs(abs(scale) - 1) <= SURE * error else scale


def _usable(points: tuple[Point, ...]) -> list[Point]:
    return [p for p in points if p.theta is not None and p.gradient is not None]


def _targets(points: list[Point]) -> np.ndarray:
    """−gradient of the loss, (k, d)."""
    return -np.array([p.gradient for p in points])


def _terms(problem: PreferenceProblem, theta: np.ndarray) -> np.ndarray:
    """V, score term, −∇KL(π_ref‖π_θ), −∇KL(π_θ‖π_ref), ∇E[r] at each θ: (k, d, 5)."""
    dpo = OnlineDPO(problem).gradient(theta)
    score = SAIL(problem).gradient(theta) - dpo
    kls = [-kind(problem).gradient(theta) for kind in (KLRefPolicy, KLPolicyRef)]
    judged = _with_rewards(problem)
    reward = np.zeros_like(dpo) if judged is None else ExpectedReward(judged).gradient(theta)
    return np.stack([dpo, score, *kls, reward], axis=-1)


def _with_rewards(problem: PreferenceProblem) -> PreferenceProblem | None:
    """The problem with its rewards, or with each response's mean log-odds; None without both."""
    if has_rewards(problem):
        return problem
    matrices = [np.asarray(probabilities(p)) for p in problem.preferences]
    if any((p <= 0).any() or (p >= 1).any() for p in matrices):
        return None
    odds = [(np.log(p) - np.log(p.T)).mean(-1) for p in matrices]
    return problem.replace(preferences=[BradleyTerry(r) for r in odds])


def _mean_square(rows: np.ndarray) -> float:
    return float(np.square(rows).sum(-1).mean())


def _largest(terms: np.ndarray, coefficients: np.ndarray) -> float:
    """The largest sum of the terms' lengths at one step."""
    return float((np.linalg.norm(terms, axis=1) @ np.abs(coefficients)).max())


@dataclass(frozen=True)
class _Fit:
    """Least squares, (5,) and (5, 5), with errors clustered by step.

    ``reach`` is by how much an error of length one in the gradients can change a coefficient,
    ``sizes`` are the terms' lengths over the run.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    reach: np.ndarray
    sizes: np.ndarray
    residual: np.ndarray
    condition: float


def _fit(terms: np.ndarray, target: np.ndarray) -> _Fit | None:
    """A term that is nowhere has coefficient 0; None where V itself is nowhere."""
    steps, width, count = terms.shape
    flat = terms.reshape(steps * width, count)
    sizes = np.linalg.norm(flat, axis=0)
    present = sizes > _NEGLIGIBLE * sizes.max()
    if not present[_V]:
        return None
    design = flat[:, present] / sizes[present]
    left, spread, right = np.linalg.svd(design, full_matrices=False)
    rank = spread > np.finfo(float).eps * len(design) * spread[0]
    left, right = left[:, rank], right[rank].T / spread[rank] / sizes[present, None]
    inverse, coefficients = np.zeros((count, steps * width)), np.zeros(count)
    inverse[present] = right @ left.T
    coefficients[present] = right @ (left.T @ target.reshape(-1))  # by inverse it loses digits
    residual = target - (flat @ coefficients).reshape(target.shape)
    of_step = np.einsum("ctw,tw->tc", inverse.reshape(count, steps, width), residual)
    whole = bool(rank.all()) and len(spread) == present.sum()
    condition = float(spread[0] / spread[-1]) if whole else np.inf
    reach = np.linalg.norm(inverse, axis=1)
    return _Fit(coefficients, of_step.T @ of_step, reach, sizes, residual, condition)


def updates_needed(count: int = _REWARD + 1) -> int:
    """Updates of which sign changes of a fit of so many terms leave enough to see noise."""
    needed = _LEAST
    while needed - 1 - 2 * count <= _SIGMAS * (needed - 1) ** 0.5:
        needed += 1
    return needed


def _not_noise(residual: np.ndarray, count: int, share: float) -> tuple[str, bool]:
    """Why a residual cannot pass for noise, and whether it was seen to be none; empty if it can.

    Noise of one step says nothing of the next, whereas the misfit of another loss is a function of
    θ: residuals of neighbouring steps, or of every other step where θ goes to and fro, point the
    same way. Only directions count, so that steps with long residuals do not decide alone. Between
    sign changes of a fit of so many terms, enough steps must be left to see it.
    """
    steps, needed = len(residual), updates_needed(count)
    if steps < needed:
        return (
            f"{100 * share:.2g} % of the gradients is not explained by {_LIBRARY}, and {steps} "
            f"measured updates do not tell noise from another loss: {needed} or more do "
            "(share=1 measures each)"
        ), False
    lengths = np.linalg.norm(residual, axis=1, keepdims=True)
    along = residual / np.where(lengths > 0, lengths, 1.0)
    for lag in (1, 2):
        cosines = (along[lag:] * along[:-lag]).sum(-1)
        if cosines.sum() > _SIGMAS * np.linalg.norm(cosines):
            return (
                f"the logged gradients are no combination of those of {_LIBRARY}: "
                f"{100 * share:.2g} % of them is something else and not noise; `audit_loss` says "
                "of a loss what it follows"
            ), True
    return "", False


def _mixed(dpo: float, reward: float) -> str:
    return (
        f"the gradients hold {dpo:.3g} times DPO's term and {reward:.3g}·∇E[r]: the theory has "
        "no such sum; `audit_loss` says of a loss what it follows"
    )


def _leading(fit: _Fit, covariance: np.ndarray, total: float) -> tuple[int | None, bool]:
    """Which of V and ∇E[r] the gradients hold; None where that is not shown. And if both."""
    if fit.condition > _MOST_CONDITION:
        return None, False
    scale = fit.sizes / max(total, 1e-300) ** 0.5
    share, error = np.abs(fit.coefficients) * scale, np.sqrt(np.diag(covariance)) * scale
    rivals = [_V, _REWARD]
    if error[rivals].max() > CLEAR:
        return None, False
    held = [k for k in rivals if share[k] > SMALL + SURE * error[k]]
    return held[0] if len(held) == 1 else None, len(held) == 2


def _ratio(
    values: np.ndarray, covariance: np.ndarray, k: int, at: int, shown: bool
) -> tuple[float, float]:
    """values[k]/values[at] and its standard error, infinite where values[at] is not shown."""
    if not shown:
        return 0.0, np.inf
    ratio = values[k] / values[at]
    turn = np.zeros(len(values))
    turn[k], turn[at] = 1 / values[at], -ratio / values[at]
    return float(ratio), float(np.sqrt(max(turn @ covariance @ turn, 0.0)))


def _rounded(found: tuple[float, float]) -> tuple[float, float]:
    """0 for a ratio that rounding alone may have made."""
    value, error = found
    return (0.0 if abs(value) <= SURE * error + _NEGLIGIBLE else value), error
