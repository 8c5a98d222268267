"""Objectives of which a loss's expected gradient may be a combination, with exact gradients.

Objectives of whole sequences are sums over all responses. Those "by token" are
Σ_s d(s) D(π_θ(·|s), π_ref(·|s)) over the prefixes s that are met, d their chance under the
policy that draws, held fixed: the gradient of no objective of sequences (C34).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache

import torch
from torch import Tensor

from sailtheory.auditing.batches import Sampling
from sailtheory.auditing.models import SmallModel
from sailtheory.errors import require
from sailtheory.numeric.numbers import numbers_of
from sailtheory.policies.sequences import SequenceObjectives
from sailtheory.theory import formulas, pair_form

__all__ = ["Objective", "library"]


@dataclass(frozen=True)
class Objective:
    """A scalar of a policy.

    Attributes:
        name: As losses and tests call it.
        text: As a reader is told it.
        value: Its value on a model whose ``logits`` may carry a gradient.
    """

    name: str
    text: str
    value: Callable[[SmallModel, Tensor, Sampling], Tensor]

    def gradient(self, model: SmallModel, sampling: Sampling) -> Tensor:
        """In the logits of all prefixes; the row after the end is 0: (S + 1, v)."""
        return _gradient(
            self, model, Sampling(source=sampling.source, temperature=sampling.temperature)
        )


@lru_cache(maxsize=10_000)
def _gradient(objective: Objective, model: SmallModel, sampling: Sampling) -> Tensor:
    leaf = model.logits.clone().requires_grad_()
    (found,) = torch.autograd.grad(objective.value(model, leaf, sampling), leaf)
    return found


@cache
def library(beta: float = 0.5) -> tuple[Objective, ...]:
    """All objectives that are tried by default.

    Args:
        beta: β > 0 of J, DPO and IPO.

    Raises:
        InputError: β outside its domain.
    """
    require(">", beta=beta)
    return (*_sequences(beta), *_tokens())


def _sequences(beta: float) -> list[Objective]:
    def on_table(name: str, text: str, of: Callable[[SequenceObjectives, Tensor], Tensor]) -> None:
        def value(model: SmallModel, logits: Tensor, _: Sampling) -> Tensor:
            log_ref = model.log_probs(model.ref_logits)[None]
            table = SequenceObjectives(model.reward[None], log_ref, beta)
            return of(table, model.log_probs(logits)[None])

        found.append(Objective(name, text, value))

    found: list[Objective] = []
    on_table("reward", "the reward", SequenceObjectives.reward)
    on_table("kl_policy_ref", "KL(π_θ‖π_ref)", SequenceObjectives.kl_policy_ref)
    on_table("kl_ref_policy", "KL(π_ref‖π_θ)", SequenceObjectives.kl_ref_policy)
    on_table("entropy", "the entropy", SequenceObjectives.entropy)
    on_table("chi2_policy_ref", "χ²(π_θ‖π_ref)", lambda t, log: _chi2(log, t.log_ref).sum())
    on_table("chi2_ref_policy", "χ²(π_ref‖π_θ)", lambda t, log: _chi2(t.log_ref, log).sum())
    on_table("sail", "J", lambda t, log: _sail(t, log, log))
    on_table("sail_frozen", "J without its score term", lambda t, log: _sail(t, log, log.detach()))
    on_table("dpo", "DPO on pairs of π_ref", lambda t, log: _sail(t, log, t.log_ref))
    on_table("ipo", "IPO on pairs of π_ref", _ipo)
    on_table(
        "log_ratio_squared", "E_θ ½log²(π_θ/π_ref)",
        lambda t, log: formulas.expectation(log.exp(), (log - t.log_ref).square() / 2).sum(),
    )  # fmt: skip
    text = "E_θ (r − V)/|y|, V = E_θ r held fixed"
    return [*found, Objective("reward_per_length", text, _reward_per_length)]


def _tokens() -> list[Objective]:
    def by_token(name: str, text: str, of: Callable[[Tensor, Tensor], Tensor]) -> None:
        def value(model: SmallModel, logits: Tensor, sampling: Sampling) -> Tensor:
            visits = model.visits(sampling.logits(model), sampling.temperature)
            log, ref = (torch.log_softmax(t, -1)[:-1] for t in (logits, model.ref_logits))
            return (visits * of(log, ref)).sum()

        found.append(Objective(f"token_{name}", f"{text} by token", value))

    found: list[Objective] = []
    by_token(
        "kl_policy_ref", "KL(π_θ‖π_ref)",
        lambda log, ref: formulas.kl_policy_ref(log.exp(), log - ref),
    )  # fmt: skip
    by_token(
        "kl_ref_policy", "KL(π_ref‖π_θ)",
        lambda log, ref: formulas.kl_ref_policy(ref.exp(), log - ref),
    )  # fmt: skip
    by_token("entropy", "the entropy", lambda log, ref: -formulas.expectation(log.exp(), log))
    by_token("chi2_policy_ref", "χ²(π_θ‖π_ref)", _chi2)
    by_token("chi2_ref_policy", "χ²(π_ref‖π_θ)", lambda log, ref: _chi2(ref, log))
    by_token(
        "total_variation", "the total variation",
        lambda log, ref: (log.exp() - ref.exp()).abs().sum(-1) / 2,
    )  # fmt: skip
    by_token(
        "log_ratio_squared", "E_θ ½log²(π_θ/π_ref)",
        lambda log, ref: formulas.expectation(log.exp(), (log - ref).square() / 2),
    )  # fmt: skip
    return found


def _chi2(log_p: Tensor, log_q: Tensor) -> Tensor:
    """χ²(p‖q) = Σ p²/q − 1: (..., v) to (...)."""
    found: Tensor = formulas.expectation(log_p.exp(), (log_p - log_q).exp()) - 1
    return found


def _pairs(table: SequenceObjectives, log: Tensor) -> tuple[Tensor, Tensor]:
    """q of all pairs of responses, and the differences of their log-ratios: both (1, m, m)."""
    apart = pair_form.pairwise(table.rewards)
    return torch.tanh(apart / 2) / 2, pair_form.pairwise(log - table.log_ref)


def _sail(table: SequenceObjectives, log: Tensor, drawn: Tensor) -> Tensor:
    """E[p₁₂ log σ(z) + p₂₁ log σ(−z)] + log 2 over pairs drawn with these log-probabilities."""
    q, ratios = _pairs(table, log)
    values = formulas.log_likelihood_value(numbers_of(log), q, table.beta * ratios)
    found: Tensor = formulas.pair_mean(drawn.exp(), values).sum()
    return found


def _ipo(table: SequenceObjectives, log: Tensor) -> Tensor:
    """−E[(Δ − 1/(2β))²] up to a constant, Δ the difference of log-ratios."""
    q, ratios = _pairs(table, log)
    payoff = formulas.squared_payoff(q, table.beta * ratios, table.beta)
    found: Tensor = formulas.pair_mean(table.log_ref.exp(), payoff.value).sum()
    return found


def _reward_per_length(model: SmallModel, logits: Tensor, _: Sampling) -> Tensor:
    chance = model.log_probs(logits).exp()
    advantage = model.reward - (chance * model.reward).sum().detach()
    found: Tensor = formulas.expectation(chance, advantage / model.mask.sum(-1))
    return found
