"""Which assumptions of the theory a run of ``SAILTrainer`` satisfies, by its record.

One line an assumption. What the record does not show is not measurable, with what to log; it
is never taken for granted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.runs.read import Record

__all__ = ["Assumption", "Standing", "assumptions"]


class Standing(StrEnum):
    """How an assumption stands in a run."""

    HOLDS = "holds"
    VIOLATED = "violated"
    UNKNOWN = "not measurable"


@dataclass(frozen=True)
class Assumption:
    """One line of the audit.

    Attributes:
        name: What is assumed.
        standing: How it stands.
        why: The value that decides, its step where it has one, or what to log.
        source: The claim that needs it.
    """

    name: str
    standing: Standing
    why: str
    source: str

    def as_dict(self) -> dict[str, str]:
        """JSON form."""
        return {
            "name": self.name, "standing": self.standing.value, "why": self.why,
            "source": self.source,
        }  # fmt: skip


_Config = Mapping[str, Any]
_Found = tuple[Standing, str]
_HOLDS, _VIOLATED, _UNKNOWN = Standing
_NEEDED = (
    "method", "beta", "kl_coef", "kl_estimator", "policy_kl_coef", "score_weight", "preference",
    "tune", "max_new_tokens", "ref_model", "r", "p", "g",
)  # fmt: skip


def assumptions(record: Record) -> tuple[Assumption, ...]:
    """All lines for one run.

    Raises:
        InputError: A record that is not one of ``SAILTrainer``.
    """
    missing = [key for key in _NEEDED if key not in record.config]
    if missing:
        accepted = "the record of a run of SAILTrainer (sailtheory train llm)"
        raise InputError(str(record.folder), f"no {', '.join(missing)}", accepted)
    lines = (
        ("π_ref is fixed", "section 1", _reference),
        ("log π_θ/π_ref is linear in what is trained", "section 1", _log_linear),
        ("preferences are antisymmetric and Bradley–Terry", "section 1", _preferences),
        ("the penalty is γ·KL(π_ref‖π_θ), estimated without bias", "C12, C22", _divergence),
        ("the score term is that of J, or absent", "C18, C28", _score),
        ("γ is above the threshold", "C12, C29", _threshold),
    )
    found = [Assumption(name, *of(record.config), source) for name, source, of in lines]
    found += [Assumption("every logged number is finite", *_finite(record), "section 1")]
    found += [Assumption(name, _UNKNOWN, f"log {what}", source) for name, source, what in _UNLOGGED]
    return tuple(found)


_UNLOGGED = (
    ("θ stays in the ball C", "section 1", "‖θ − c‖, and choose a B"),
    ("K_data and ḡ of the run's own candidates", "C23, C25",
     "candidates and their rewards, and give them to `sailtheory problem` and `check`"),
    ("the step is at most 1/Λ", "C15", "the largest eigenvalue of the Hessian along the run"),
    ("the batch is large against σ²", "C16", "the variance of the gradient of one prompt"),
    ("the PL ratio is the predicted one", "C13", "‖∇J_γ‖² and the gap to the maximum"),
    ("budgets are equal between arms", "arms", "nothing more: `sailtheory train diff RUN RUN`"),
)  # fmt: skip


def _reference(config: _Config) -> _Found:
    return _HOLDS, f"{config['ref_model']}, which SAILTrainer never changes"


def _log_linear(config: _Config) -> _Found:
    return _VIOLATED, (
        f"tune = {config['tune']}: the logits are no linear function of what is trained; "
        f"nor are log-probabilities of up to {config['max_new_tokens']} tokens (section 4)"
    )


def _preferences(config: _Config) -> _Found:
    own, data = _shares(config)
    if data:
        return _UNKNOWN, f"a share {data:g} of the pairs has the data's labels: log who gave them"
    if config["p"]:
        return _VIOLATED, f"p = {config['p']:g}: the policy's own preference moves with θ (C06)"
    return _HOLDS, f"σ(r₁ − r₂), {config['preference']}, on a share {own:g} of the pairs"


def _divergence(config: _Config) -> _Found:
    gamma, other = config["kl_coef"], config["policy_kl_coef"]
    if other:
        return _VIOLATED, f"policy_kl_coef = {other:g}: KL(π_θ‖π_ref) has no such threshold (C33)"
    if not gamma:
        return _VIOLATED, "kl_coef = 0: there is no penalty"
    if config["kl_estimator"] == "token-proxy":
        return _VIOLATED, "kl_estimator = token-proxy: the gradient of no divergence"
    return _HOLDS, f"kl_coef = {gamma:g}, kl_estimator = {config['kl_estimator']}"


def _score(config: _Config) -> _Found:
    own, _ = _shares(config)
    weight = config["score_weight"]
    if not own or not weight:
        return _HOLDS, "absent: the field is not J's gradient (C29)" if own else "no pairs need one"
    if weight != 1:
        return _VIOLATED, f"score_weight = {weight:g}: the gradient of no objective"
    return _HOLDS, "score_weight = 1: the gradient is J's, and J is not the reward (C28)"


def _threshold(config: _Config) -> _Found:
    gamma, beta = config["kl_coef"], _number(config["beta"])
    if config["g"] != 1 or config["score_weight"]:
        return _UNKNOWN, "K_B needs a B: log ‖θ − c‖, or bound the run's candidate problem"
    relation = ">" if gamma > 2 * beta else "≤"
    why = (
        f"kl_coef = {gamma:g} {relation} 2β = {2 * beta:g}; of more than one step nothing is proved"
    )
    return (_HOLDS if gamma > 2 * beta else _VIOLATED), why


def _finite(record: Record) -> _Found:
    for step, name, text in record.rows:
        try:
            good = bool(np.isfinite(float(text)))
        except ValueError:
            good = False
        if not good:
            return _VIOLATED, f"{name} = {text} at step {step}"
    if not record.rows:
        return _UNKNOWN, "the metrics of at least one update"
    return _HOLDS, f"{len(record.rows)} numbers up to step {record.rows[-1][0]}"


def _shares(config: _Config) -> tuple[float, float]:
    """Shares of the policy's own pairs, and of pairs with the data's labels."""
    own = float(config["p"] or 0) + float(config["g"] or 0)
    return own, max(1 - own - float(config["r"] or 0), 0.0)


def _number(beta: Any) -> float:
    return float(beta[0] if isinstance(beta, list) else beta)
