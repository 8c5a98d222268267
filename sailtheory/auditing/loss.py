"""Which objective a loss follows: its exact expected gradient against a library of objectives."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from sailtheory.auditing.batches import MOST_BATCHES, Gradients, Loss, Sampling, gradients
from sailtheory.auditing.decompose import EXACT, Finding, decompose
from sailtheory.auditing.library import Objective, library
from sailtheory.auditing.models import SmallModel, small_models
from sailtheory.errors import InputError

__all__ = [
    "Claim", "Comparison", "LossAudit", "LossWitness", "assert_gradient_of", "audit_loss",
    "loss_changes",
]  # fmt: skip

Claim = str | Mapping[str, float]
"""An objective's name, or coefficients by name: the gradient that a loss is said to have."""


@dataclass(frozen=True)
class LossWitness:
    """A small model on which a loss's expected gradient is not the claimed one.

    Attributes:
        model: The model.
        sampling: How batches are drawn.
        claim: Coefficients of the claimed gradient.
        expected: The loss's expected gradient in the logits, (S + 1, v).
        claimed: The claimed one.
        error: ‖expected − claimed‖ ÷ the longer of the two.
    """

    model: SmallModel
    sampling: Sampling
    claim: Mapping[str, float]
    expected: Tensor
    claimed: Tensor
    error: float

    def replay(self, loss: Loss, objectives: Sequence[Objective] | None = None) -> bool:
        """Compute both gradients anew; whether they still differ."""
        against = _Claimed.of(self.claim, objectives or library())
        found = gradients(loss, self.model, self.sampling)
        claimed = against.gradient(self.model, self.sampling)
        return _error(found.mean, claimed, found.size) > EXACT

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "model": self.model.as_dict(), "sampling": vars(self.sampling),
            "claim": dict(self.claim), "expected": self.expected.tolist(),
            "claimed": self.claimed.tolist(), "error": self.error,
        }  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """A loss as an estimator of a claimed gradient, over all models.

    Attributes:
        bias: ‖mean − claimed‖ ÷ ‖claimed‖.
        variance: Trace of the covariance of one batch's gradient ÷ ‖claimed‖².
        witness: The smallest model on which the gradients differ, if there is one.
    """

    bias: float
    variance: float
    witness: LossWitness | None


@dataclass(frozen=True)
class LossAudit:
    """What a loss's expected gradient is.

    Attributes:
        name: What the loss is called in sentences.
        finding: The verdict.
        sampling: How batches were drawn.
        models: The models tried.
        gradients: On each of them.
        objectives: The library.
    """

    name: str
    finding: Finding
    sampling: Sampling
    models: tuple[SmallModel, ...]
    gradients: tuple[Gradients, ...]
    objectives: tuple[Objective, ...]

    @property
    def text(self) -> str:
        """The verdict in a sentence."""
        return self.finding.describe(self.name)

    def against(self, claim: Claim) -> Comparison:
        """Bias and variance with respect to a claimed gradient.

        Args:
            claim: An objective's name, or coefficients by name. A loss is minimised, so one
                that maximises the reward claims ``{"reward": -1}``.

        Raises:
            InputError: An objective that the library does not have; a claim of 0.
        """
        against = _Claimed.of(claim, self.objectives)
        apart, length, variance, witness = 0.0, 0.0, 0.0, None
        for model, found in zip(self.models, self.gradients, strict=True):
            claimed = against.gradient(model, self.sampling)
            apart += float((found.mean - claimed).square().sum())
            length += float(claimed.square().sum())
            variance += found.variance
            error = _error(found.mean, claimed, found.size)
            if witness is None and error > EXACT:
                witness = LossWitness(
                    model, self.sampling, against.coefficients, found.mean, claimed, error
                )
        if length == 0:
            raise InputError("claim", str(claim), "an objective whose gradient is not 0")
        return Comparison((apart / length) ** 0.5, variance / length, witness)

    def by_length(self, claim: Claim) -> dict[int, float]:
        """What multiple of a claimed gradient the expected one is, by the longest response.

        It is ⟨mean, claimed⟩ ÷ ‖claimed‖² over the models of that length: the same for all
        where lengths do not matter.

        Args:
            claim: As for :meth:`against`.

        Raises:
            InputError: An objective that the library does not have.
        """
        against = _Claimed.of(claim, self.objectives)
        along: dict[int, float] = defaultdict(float)
        square: dict[int, float] = defaultdict(float)
        for model, found in zip(self.models, self.gradients, strict=True):
            claimed = against.gradient(model, self.sampling)
            along[model.longest] += float((found.mean * claimed).sum())
            square[model.longest] += float(claimed.square().sum())
        return {length: along[length] / square[length] for length in sorted(along)}


def audit_loss(
    loss: Loss,
    *,
    sampling: Sampling | None = None,
    models: Sequence[SmallModel] | None = None,
    objectives: Sequence[Objective] | None = None,
    name: str = "the loss",
) -> LossAudit:
    """Find out which objectives' gradients a loss follows, by enumeration.

    Args:
        loss: A function of a ``LossBatch``, to be minimised.
        sampling: How batches are drawn; two responses of the policy by default.
        models: Default :func:`small_models`, those that are small enough.
        objectives: Default :func:`library`, with β = ½.
        name: What the loss is called in sentences.

    Raises:
        InputError: A loss that is not one finite number or not repeatable; too few models.
    """
    sampling = sampling or Sampling()
    tried = tuple(models) if models is not None else _small_enough(small_models(), sampling)
    known = tuple(objectives) if objectives is not None else library()
    found = tuple(gradients(loss, model, sampling) for model in tried)
    return LossAudit(name, decompose(found, tried, sampling, known), sampling, tried, found, known)


def assert_gradient_of(
    loss: Loss,
    claim: Claim,
    *,
    sampling: Sampling | None = None,
    models: Sequence[SmallModel] | None = None,
    objectives: Sequence[Objective] | None = None,
) -> None:
    """Assert that a loss's expected gradient is the claimed one, on all models.

    Args:
        loss: As for :func:`audit_loss`.
        claim: An objective's name, or coefficients by name; ``{}`` claims that the expected
            gradient is 0. A loss that maximises the reward claims ``{"reward": -1}``.
        sampling: As for :func:`audit_loss`.
        models: As for :func:`audit_loss`.
        objectives: As for :func:`audit_loss`.

    Raises:
        AssertionError: With the smallest model on which the gradients differ, and with what
            the expected gradient is instead.
        InputError: As for :func:`audit_loss`; an objective that the library does not have.
    """
    sampling = sampling or Sampling()
    tried = tuple(models) if models is not None else _small_enough(small_models(), sampling)
    known = tuple(objectives) if objectives is not None else library()
    against = _Claimed.of(claim, known)
    found = tuple(gradients(loss, model, sampling) for model in tried)
    for model, each in zip(tried, found, strict=True):
        claimed = against.gradient(model, sampling)
        error = _error(each.mean, claimed, each.size)
        if error > EXACT:
            witness = LossWitness(model, sampling, against.coefficients, each.mean, claimed, error)
            instead = _instead(found, tried, sampling, known)
            raise AssertionError(f"{instead}, not {against.coefficients}; {witness.as_dict()}")


def loss_changes(loss: Loss, sampling: Sampling | None = None) -> dict[str, float]:
    """By how much the expected gradient changes, relatively, when one thing about batches does.

    ``off-policy``: responses of an older policy, which ``old_log_probs`` are then of;
    ``temperature .7``: of sampling; ``batch × 2``; ``accumulation × 2``: the same batch in two
    micro-batches; ``padding + 2``: two more positions that hold no response. What lengths do
    is told by :meth:`LossAudit.by_length`.

    Args:
        loss: As for :func:`audit_loss`.
        sampling: What is changed; two responses of the policy by default.

    Raises:
        InputError: As for :func:`audit_loss`.
    """
    base = sampling or Sampling()
    changes: dict[str, Callable[[Sampling], Sampling]] = {
        "off-policy": lambda s: replace(s, source="old"),
        "temperature .7": lambda s: replace(s, temperature=0.7 * s.temperature),
        "batch × 2": lambda s: replace(s, size=2 * s.size),
        "accumulation × 2": lambda s: replace(s, size=2 * s.size, accumulation=2 * s.accumulation),
        "padding + 2": lambda s: replace(s, padding=s.padding + 2),
    }
    found = {}
    for name, change in changes.items():
        other = change(base)
        # Two micro-batches of a batch twice as large are compared with that batch.
        one = replace(base, size=other.size) if name.startswith("accumulation") else base
        every = small_models(draws=1)
        models = [m for m in every if len(m.tokens) ** other.size <= 100] or every[:1]
        found[name] = max(
            _error(gradients(loss, m, other).mean, g.mean, g.size)
            for m in models
            for g in [gradients(loss, m, one)]
        )
    return found


@dataclass(frozen=True)
class _Claimed:
    """A combination of objectives."""

    coefficients: dict[str, float]
    objectives: dict[str, Objective]

    @classmethod
    def of(cls, claim: Claim, objectives: Sequence[Objective]) -> _Claimed:
        known = {o.name: o for o in objectives}
        coefficients = {claim: 1.0} if isinstance(claim, str) else dict(claim)
        for name in coefficients:
            if name not in known:
                raise InputError("claim", name, f"one of {', '.join(known)}")
        return cls(coefficients, known)

    def gradient(self, model: SmallModel, sampling: Sampling) -> Tensor:
        total = torch.zeros_like(model.logits)
        for name, coefficient in self.coefficients.items():
            total = total + coefficient * self.objectives[name].gradient(model, sampling)
        return total


def _error(found: Tensor, claimed: Tensor, size: float) -> float:
    """‖found − claimed‖ ÷ the longer of the two, or 1e-6 of a batch's gradient if both are less."""
    length = max(float(claimed.norm()), float(found.norm()), 1e-6 * size)
    return float((found - claimed).norm()) / length if length else 0.0


def _small_enough(models: Sequence[SmallModel], sampling: Sampling) -> tuple[SmallModel, ...]:
    """Those whose batches can be listed in a moment; more draws where large ones are left out."""
    limit = min(MOST_BATCHES, 1000)
    kept = [m for m in models if len(m.tokens) ** sampling.size <= limit]
    if len(kept) < len(models):
        more = small_models(1, draws=6, largest=max((len(m.tokens) for m in kept), default=0))
        kept += more
    return tuple(sorted(kept, key=lambda model: len(model.tokens)))


def _instead(
    found: Sequence[Gradients],
    models: Sequence[SmallModel],
    sampling: Sampling,
    objectives: Sequence[Objective],
) -> str:
    try:
        return decompose(found, models, sampling, objectives).describe()
    except InputError:
        return "the expected gradient is another one"
