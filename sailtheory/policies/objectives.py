"""J and J_γ of a neural policy: by enumeration over candidates, and by sampling (C18).

Enumeration takes any payoff. Those of J evaluate the pair payoff of
:mod:`sailtheory.theory.formulas` on log-ratios log π_θ/π_ref, for which the
partition functions cancel as in the log-linear case.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor
from torch.func import functional_call

from sailtheory.errors import InputError, require
from sailtheory.numeric.numbers import numbers_of
from sailtheory.policies.data import Batch, CandidateData, Judge
from sailtheory.policies.payoffs import CandidatePayoff, candidate_payoff
from sailtheory.policies.protocol import Policy, finite
from sailtheory.theory import formulas

__all__ = ["CandidateObjective", "Divergence", "sampled_sail"]

Divergence = Literal["kl_ref_policy", "kl_policy_ref"]
Parameters = Mapping[str, Tensor]


class CandidateObjective:
    """c·J(θ) − γ·KL over a finite candidate set, as a function of named parameters.

    Another payoff may stand in J's place.

    It is written as an outer function of the logits (:meth:`of_logits`) after the
    network (:meth:`logits`): the Gauss–Newton split of its Hessian follows that seam.

    Args:
        policy: A module that maps inputs (n, m, ...) to logits or log-probabilities (n, m).
        data: The preference data.
        payoff: J of some β, ``SAILPayoff(beta)``, or a method of rewards.
        gamma: γ ≥ 0.
        divergence: ``kl_ref_policy``, KL(π_ref‖π_θ), as in the theory; or
            ``kl_policy_ref``, KL(π_θ‖π_ref), for which C11 says nothing.
        sail: c, the coefficient of the payoff: 0 leaves −γ KL alone.
        chunk: Prompts evaluated at a time; default all.

    Raises:
        InputError: β or γ outside their domain, an unknown divergence, data without what the
            payoff needs, or neither or both of ``beta`` and ``payoff``.
    """

    def __init__(
        self,
        policy: torch.nn.Module,
        data: CandidateData,
        *,
        beta: float | None = None,
        payoff: CandidatePayoff | None = None,
        gamma: float = 0.0,
        divergence: Divergence = "kl_ref_policy",
        sail: float = 1.0,
        chunk: int | None = None,
    ) -> None:
        if payoff is None:
            payoff = candidate_payoff(beta=beta)
        elif beta is not None:
            raise InputError("beta", beta, "none is expected beside a payoff")
        self.payoff = payoff
        require(">=", gamma=gamma)
        if divergence not in ("kl_ref_policy", "kl_policy_ref"):
            raise InputError("divergence", divergence, "kl_ref_policy or kl_policy_ref")
        self.policy = policy
        self.data = data
        self.beta = beta
        self.payoff.expect(data)
        self.gamma = gamma
        self.divergence = divergence
        self.sail = sail
        self.chunk = chunk

    def fisher_potential(self) -> CandidateObjective:
        """+E_x KL(π_ref‖π_θ) alone, whose Hessian in the logits is the Fisher matrix (C07)."""
        alone = CandidateObjective(self.policy, self.data, payoff=self.payoff, chunk=self.chunk)
        alone.sail, alone.gamma = 0.0, -1.0
        return alone

    def batches(self) -> list[Batch]:
        """The data, a chunk at a time; values of batches add up to the objective."""
        return list(self.data.batches(self.chunk))

    def logits(self, parameters: Parameters, batch: Batch) -> Tensor:
        """What the network says at these parameters: (n, m), checked to be finite."""
        out: Tensor = functional_call(self.policy, dict(parameters), (batch.inputs,))
        if out.shape != batch.log_ref.shape:
            raise InputError("policy", tuple(out.shape), f"logits {tuple(batch.log_ref.shape)}")
        return finite("logits", out)

    def of_logits(self, logits: Tensor, batch: Batch) -> Tensor:
        """The batch's share of the objective as a function of logits (n, m): scalar."""
        xp = numbers_of(logits)
        log_policy = xp.log_softmax(logits)
        policy, log_ratio = xp.exp(log_policy), log_policy - batch.log_ref
        total = torch.zeros_like(logits[:, 0])
        if self.sail:
            total = total + self.sail * self.payoff.value(policy, log_ratio, batch)
        if self.gamma:
            if self.divergence == "kl_ref_policy":
                kl = formulas.kl_ref_policy(xp.exp(batch.log_ref), log_ratio)
            else:
                kl = formulas.kl_policy_ref(policy, log_ratio)
            total = total - self.gamma * kl
        return (total * batch.weights).sum()

    def value(self, parameters: Parameters | None = None) -> Tensor:
        """The objective, a scalar; at the policy's own parameters by default."""
        own = dict(self.policy.named_parameters()) if parameters is None else parameters
        parts = [self.of_logits(self.logits(own, batch), batch) for batch in self.batches()]
        return torch.stack(parts).sum()

    @torch.no_grad()
    def summary(self) -> dict[str, float]:
        """What the payoff averages, both KLs, and what its bounds are made of."""
        own = dict(self.policy.named_parameters())
        sums: dict[str, float] = {}
        ends: dict[str, float] = {}
        for batch in self.batches():
            log_policy = torch.log_softmax(self.logits(own, batch), -1)
            policy, ratio = log_policy.exp(), log_policy - batch.log_ref
            means = self.payoff.worth(policy, ratio, batch) | {
                "kl_ref_policy": formulas.kl_ref_policy(batch.log_ref.exp(), ratio),
                "kl_policy_ref": formulas.kl_policy_ref(policy, ratio),
            }
            for name, values in means.items():
                sums[name] = sums.get(name, 0.0) + float((values * batch.weights).sum())
            for name, value in self.payoff.extremes(policy, ratio, batch).items():
                pick = min if name.startswith("lowest") else max
                ends[name] = pick(ends.get(name, value), value)
        return sums | ends


def sampled_sail(
    policy: Policy,
    ref: Policy,
    prompts: Tensor,
    judge: Judge,
    *,
    beta: float,
    generator: torch.Generator,
    gamma: float = 0.0,
    pairs: int = 1,
) -> Tensor:
    """An unbiased draw of J − γ KL(π_ref‖π_θ), whose derivatives are unbiased too.

    Each pair y₁, y₂ ~ π_θ carries the weight π_θ(y₁)π_θ(y₂)/sg(·) = 1. The gradient is
    then that of C18 with the baseline b = −log 2, (g + log 2)(s₁ + s₂) + βuΔ, and the
    second derivative is unbiased as well. The KL uses y ~ π_ref (C22).

    Args:
        policy: π_θ.
        ref: π_ref.
        prompts: (n, ...), equally weighted.
        judge: P*(y₁ ≻ y₂ | x).
        beta: β > 0.
        generator: Source of the draws.
        gamma: γ ≥ 0.
        pairs: Pairs a prompt, ≥ 1.

    Returns:
        A scalar, to be maximised.

    Raises:
        InputError: A parameter outside its domain; NaN log-probabilities or preferences.
    """
    require(">", beta=beta)
    require(">=", gamma=gamma)
    if pairs < 1:
        raise InputError("pairs", pairs, "a number ≥ 1")
    draws = []
    for _ in range(pairs):
        first, second = policy.sample(prompts, generator), policy.sample(prompts, generator)
        log_first = finite("log_prob", policy.log_prob(prompts, first))
        log_second = finite("log_prob", policy.log_prob(prompts, second))
        xp = numbers_of(log_first)
        with torch.no_grad():
            ratio_ref = ref.log_prob(prompts, first) - ref.log_prob(prompts, second)
            q = finite("judge", judge(prompts, first, second)).to(log_first) - 0.5
        z = beta * (log_first - log_second - ratio_ref)
        both = log_first + log_second
        value = formulas.log_likelihood_payoff(xp, q, z).value
        draws.append((torch.exp(both - both.detach()) * value).mean() - xp.log_2())
        if gamma:
            response = ref.sample(prompts, generator)
            with torch.no_grad():
                log_ref = ref.log_prob(prompts, response)
            draws[-1] = draws[-1] - gamma * (log_ref - policy.log_prob(prompts, response)).mean()
    return torch.stack(draws).mean()
