"""Softmax policies over a finite set of candidate responses.

The prompts of such a policy are the candidates' inputs, (n, m, k): what the network
sees of each of the m responses. A response is its index, (n,).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sailtheory.errors import InputError
from sailtheory.policies.protocol import Policy, finite
from sailtheory.storage.files import write_bytes
from sailtheory.storage.readers import read_npz

__all__ = ["ACTIVATIONS", "CandidatePolicy", "LastLayerPolicy", "MLPPolicy"]

ACTIVATIONS: dict[str, type[torch.nn.Module]] = {
    "tanh": torch.nn.Tanh, "gelu": torch.nn.GELU, "silu": torch.nn.SiLU,
    "softplus": torch.nn.Softplus,
}  # fmt: skip
"""Twice differentiable, so that a Hessian means what it says; ReLU is not among them."""


class CandidatePolicy(torch.nn.Module):
    """π_θ(y|x) ∝ exp(f_θ(x, y)) for any network f_θ: (..., k) to (...) or (..., 1).

    Attributes:
        network: f_θ.
    """

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits of every candidate: (n, m, k) to (n, m)."""
        out: Tensor = self.network(inputs)
        return out[..., 0] if out.ndim == inputs.ndim else out

    def log_policy(self, inputs: Tensor) -> Tensor:
        """log π_θ of every candidate: (n, m)."""
        return finite("log_policy", torch.log_softmax(self(inputs), -1))

    def log_prob(self, prompts: Tensor, responses: Tensor) -> Tensor:
        """log π_θ(y|x) of the candidates with these indices: (n,)."""
        return self.log_policy(prompts).gather(-1, responses[:, None])[:, 0]

    def sample(self, prompts: Tensor, generator: torch.Generator) -> Tensor:
        """Indices drawn from π_θ: (n,)."""
        with torch.no_grad():
            chances = self.log_policy(prompts).exp()
        return torch.multinomial(chances, 1, generator=generator)[:, 0]

    def exact_kl(self, other: Policy, prompts: Tensor) -> Tensor | None:
        """KL(self‖other) over the candidates, by enumeration: (n,)."""
        if not isinstance(other, CandidatePolicy):
            return None
        mine = self.log_policy(prompts)
        return (mine.exp() * (mine - other.log_policy(prompts))).sum(-1)


class LastLayerPolicy(CandidatePolicy):
    """π_θ(y|x) ∝ exp(θᵀφ(x, y)): the log-linear policy of the theory, as a module.

    Only the last layer of a network is trained; its features φ are the inputs.
    """

    def __init__(self, dimension: int, *, dtype: torch.dtype = torch.float64) -> None:
        super().__init__(torch.nn.Linear(dimension, 1, bias=False, dtype=dtype))
        torch.nn.init.zeros_(self.theta)

    @property
    def theta(self) -> torch.nn.Parameter:
        """θ as a row, (1, d)."""
        weight: torch.nn.Parameter = self.network.weight  # type: ignore[assignment]
        return weight


class MLPPolicy(CandidatePolicy):
    """Candidates scored by a multilayer perceptron.

    Args:
        inputs: k, the length of what is known of each candidate.
        hidden: Widths of the hidden layers.
        activation: One of ``ACTIVATIONS``.
        dtype: float64 in theory code.
        generator: Source of the initial weights, N(0, 1/fan-in); biases 0.

    Raises:
        InputError: An unknown activation or a width below 1.
    """

    def __init__(
        self,
        inputs: int,
        hidden: Sequence[int],
        *,
        generator: torch.Generator,
        activation: str = "tanh",
        dtype: torch.dtype = torch.float64,
    ) -> None:
        if activation not in ACTIVATIONS:
            raise InputError("activation", activation, f"one of {', '.join(ACTIVATIONS)}")
        widths = [inputs, *hidden, 1]
        if min(widths) < 1:
            raise InputError("hidden", widths, "widths ≥ 1")
        layers: list[torch.nn.Module] = []
        for before, after in pairwise(widths):
            linear = torch.nn.Linear(before, after, dtype=dtype)
            with torch.no_grad():
                linear.weight.normal_(0, before**-0.5, generator=generator)
                linear.bias.zero_()
            layers += [linear, ACTIVATIONS[activation]()]
        super().__init__(torch.nn.Sequential(*layers[:-1]))
        self.activation = activation

    def save(self, path: str | Path) -> None:
        """Write weights and activation to an NPZ file, atomically.

        Raises:
            InputError: The file cannot be written.
        """
        arrays = {name: p.detach().cpu().numpy() for name, p in self.named_parameters()}
        content = io.BytesIO()
        np.savez(content, activation=np.array(self.activation), **arrays)  # type: ignore[arg-type]
        write_bytes(content.getvalue(), path, "policy")

    @classmethod
    def load(cls, path: str | Path) -> MLPPolicy:
        """Read what :meth:`save` wrote; nothing is unpickled.

        Raises:
            InputError: Not such a file, or its layers do not fit together.
        """
        arrays = read_npz(path, "policy")
        weights = [arrays[name] for name in arrays if name.endswith(".weight")]
        if not weights or any(w.ndim != 2 for w in weights):
            raise InputError("policy", path, "an NPZ file written by MLPPolicy.save")
        widths = [w.shape[1] for w in weights]
        policy = cls(
            widths[0], widths[1:], generator=torch.Generator(),
            activation=str(arrays.pop("activation", np.array("tanh"))),
            dtype=torch.float32 if weights[0].dtype == np.float32 else torch.float64,
        )  # fmt: skip
        try:
            policy.load_state_dict({name: torch.as_tensor(a) for name, a in arrays.items()})
        except RuntimeError as error:
            raise InputError("policy", path, f"layers that fit: {error}") from None
        for name, parameter in policy.named_parameters():
            finite(f"policy.{name}", parameter)
        return policy
