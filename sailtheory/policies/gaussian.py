"""Gaussian actors over R^a: diagonal, and squashed by tanh into (−1, 1)^a."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sailtheory.errors import InputError
from sailtheory.policies.protocol import Policy, finite

__all__ = ["GaussianPolicy", "TanhGaussianPolicy"]

_LOG_STD = (-10.0, 3.0)
_INSIDE = 1e-12  # an action on the boundary has no finite pre-image


class GaussianPolicy(torch.nn.Module):
    """N(μ_θ(x), diag σ_θ(x)²), with (μ, log σ) the two halves of a network's output.

    Args:
        network: (n, k) to (n, 2a).
        actions: a.
    """

    def __init__(self, network: torch.nn.Module, actions: int) -> None:
        super().__init__()
        self.network = network
        self.actions = actions

    def forward(self, prompts: Tensor) -> tuple[Tensor, Tensor]:
        """μ and log σ, each (n, a); log σ is smoothly kept in [−10, 3].

        Raises:
            InputError: The network's output has another width, or is not finite.
        """
        out: Tensor = self.network(prompts)
        if out.shape[-1] != 2 * self.actions:
            raise InputError("network", f"{out.shape[-1]} outputs", f"{2 * self.actions} (2a)")
        mean, raw = torch.split(finite("gaussian", out), self.actions, -1)
        low, high = _LOG_STD
        middle, half = (low + high) / 2, (high - low) / 2
        return mean, middle + half * torch.tanh((raw - middle) / half)

    def log_prob(self, prompts: Tensor, responses: Tensor) -> Tensor:
        """The log-density at actions (n, a): (n,)."""
        mean, log_std = self(prompts)
        z = (responses - mean) * torch.exp(-log_std)
        each: Tensor = -0.5 * z * z - log_std - 0.5 * math.log(2 * math.pi)
        return each.sum(-1)

    def sample(self, prompts: Tensor, generator: torch.Generator) -> Tensor:
        """Actions, (n, a)."""
        with torch.no_grad():
            mean, log_std = self(prompts)
            noise = torch.empty_like(mean).normal_(generator=generator)
            return _shifted(mean, log_std, noise)

    def exact_kl(self, other: Policy, prompts: Tensor) -> Tensor | None:
        """KL(self‖other) of two policies of the same kind: (n,).

        Squashing is a bijection, so it leaves the divergence as it is.
        """
        if type(other) is not type(self):
            return None
        mean, log_std = self(prompts)
        to, to_log_std = other(prompts)
        gap = log_std - to_log_std
        moved = ((mean - to) * torch.exp(-to_log_std)) ** 2
        # (e^{2g} − 1)/2 − g by expm1: no cancellation where the two are close.
        each: Tensor = 0.5 * torch.expm1(2 * gap) - gap + 0.5 * moved
        return each.sum(-1)


class TanhGaussianPolicy(GaussianPolicy):
    """tanh of a Gaussian: y = tanh(u), u ~ N(μ, σ²), on (−1, 1)^a."""

    def log_prob(self, prompts: Tensor, responses: Tensor) -> Tensor:
        """The log-density at actions in (−1, 1)^a: (n,).

        log(1 − tanh²u) is written 2(log 2 − |u| − log(1 + e^{−2|u|})), stable for all u.
        Actions that rounding has put within 1e-12 of the boundary are moved inside.
        """
        if bool((responses.abs() > 1).any()):
            raise InputError("responses", float(responses.abs().max()), "actions in (−1, 1)")
        edge = 1 - max(_INSIDE, float(torch.finfo(responses.dtype).eps))
        inside = responses.clamp(-edge, edge)
        # atanh, by a function whose bits do not depend on how much lies beside an entry.
        u = (torch.log1p(inside) - torch.log1p(-inside)) / 2
        return self.log_prob_unsquashed(prompts, u) - _log_slope(u).sum(-1)

    def log_prob_unsquashed(self, prompts: Tensor, u: Tensor) -> Tensor:
        """The log-density of u before squashing, any number: (n,).

        Two policies' log-densities at tanh(u) differ by as much as these at u; and these are
        exact where tanh(u) rounds to ±1, from which no u can be taken back.

        Args:
            prompts: (..., n, k).
            u: (..., n, a).
        """
        return super().log_prob(prompts, u)

    def draw_unsquashed(self, prompts: Tensor, noise: Tensor) -> Tensor:
        """u = μ + σ noise before squashing, differentiable in θ: (..., n, a).

        Args:
            prompts: (..., n, k).
            noise: Standard normal, (..., n, a).
        """
        mean, log_std = self(prompts)
        return _shifted(mean, log_std, noise)

    def draw(self, prompts: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Actions tanh(μ + σ noise), differentiable in θ, and their log-densities.

        The density is taken at u = μ + σ noise, so saturated actions lose nothing.

        Args:
            prompts: (..., n, k).
            noise: Standard normal, (..., n, a).

        Returns:
            Actions (..., n, a) and log π (..., n).
        """
        mean, log_std = self(prompts)
        u = _shifted(mean, log_std, noise)
        each: Tensor = -0.5 * (noise * noise + math.log(2 * math.pi)) - log_std - _log_slope(u)
        return torch.tanh(u), each.sum(-1)

    def sample(self, prompts: Tensor, generator: torch.Generator) -> Tensor:
        """Actions, (n, a)."""
        return torch.tanh(super().sample(prompts, generator))


def _shifted(mean: Tensor, log_std: Tensor, noise: Tensor) -> Tensor:
    """μ + σ noise, each entry."""
    return torch.as_tensor(mean + log_std.exp() * noise)


def _log_slope(u: Tensor) -> Tensor:
    """log(1 − tanh²u), each entry."""
    size = u.abs()
    return 2 * (math.log(2) - size - torch.log1p(torch.exp(-2 * size)))
