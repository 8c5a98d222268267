"""What every policy offers, and the two divergences between any two of them.

A policy is a ``torch.nn.Module``. Prompts have a leading axis n, responses (n, ...).
Divergences are named by their arguments: ``kl(p, q)`` is KL(p‖q) = E_p log p/q, so
KL(π_ref‖π_θ) is ``kl(ref, policy)`` and KL(π_θ‖π_ref) is ``kl(policy, ref)``.
"""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from sailtheory.errors import InputError

__all__ = ["ClosedFormKL", "Policy", "finite", "kl", "score"]


@runtime_checkable
class Policy(Protocol):
    """A conditional distribution π(y|x) with parameters."""

    def log_prob(self, prompts: Tensor, responses: Tensor) -> Tensor:
        """log π(y|x): prompts (n, ...), responses (n, ...) to (n,)."""

    def sample(self, prompts: Tensor, generator: torch.Generator) -> Tensor:
        """One response a prompt, without gradient: (n, ...)."""

    def parameters(self) -> object:
        """The parameters, as ``torch.nn.Module`` gives them."""


@runtime_checkable
class ClosedFormKL(Protocol):
    """A policy whose KL to another of its family is known."""

    def exact_kl(self, other: Policy, prompts: Tensor) -> Tensor | None:
        """KL(self‖other) of each prompt, (n,); None where no closed form is known."""


def score(policy: torch.nn.Module, prompts: Tensor, responses: Tensor) -> Tensor:
    """∇_θ log π_θ(y|x) of each pair: (n, d), one backward pass a pair.

    Args:
        policy: A policy; parameters in the order of ``policy.parameters()`` that
            require gradients.
        prompts: (n, ...).
        responses: (n, ...).
    """
    wanted = [p for p in policy.parameters() if p.requires_grad]
    if not wanted:
        raise InputError("policy", "no parameter requires a gradient", "at least one is expected")
    rows = []
    for value in policy.log_prob(prompts, responses):  # type: ignore[operator]
        parts = torch.autograd.grad(
            value, wanted, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        rows.append(torch.cat([part.reshape(-1) for part in parts]))
    return torch.stack(rows)


def kl(
    p: Policy,
    q: Policy,
    prompts: Tensor,
    *,
    samples: int = 0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """KL(p‖q) of each prompt, (n,): exact where a closed form exists, else unbiased.

    Args:
        p: The policy that the expectation is taken over.
        q: The other one.
        prompts: (n, ...).
        samples: Draws y ~ p a prompt, used where there is no closed form; the mean of
            log p(y) − log q(y) over them is unbiased for the value. Its gradient by
            autograd is unbiased too: each draw carries the weight p/sg(p) = 1.
        generator: Source of the draws.

    Raises:
        InputError: No closed form and no draws asked for.
    """
    exact = p.exact_kl(q, prompts) if isinstance(p, ClosedFormKL) else None
    if exact is not None:
        return exact
    if samples < 1 or generator is None:
        raise InputError("samples", samples, "no closed form: draws ≥ 1 and a generator")
    total = torch.zeros((), dtype=torch.float64)
    for _ in range(samples):
        responses = p.sample(prompts, generator)
        log_p = p.log_prob(prompts, responses)
        ratio = log_p - q.log_prob(prompts, responses)
        # (1 + log p − sg log p) has value 1 and gradient s: the score term of ∇E_p.
        total = total + ratio.detach() * (log_p - log_p.detach()) + ratio
    return total / samples


def finite(name: str, values: Tensor) -> Tensor:
    """The same tensor, refused where an entry is NaN or infinite.

    Raises:
        InputError: Naming the first such entry.
    """
    # A finite sum has finite terms, and is quicker to come by than a look at each of them.
    if not math.isfinite(values.detach().sum()):
        bad = (~torch.isfinite(values.detach())).nonzero()
        if len(bad):  # else the sum alone overflowed
            place = tuple(int(i) for i in bad[0])
            raise InputError(
                f"{name}{list(place)}", float(values.detach()[place]), "a finite number"
            )
    return values
