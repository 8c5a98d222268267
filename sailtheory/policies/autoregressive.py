"""Policies over token sequences, around any causal language model.

A prompt is a row of P token ids, a response a row of T token ids; what follows the
first end token of a response is padding and counts nothing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sailtheory.errors import InputError
from sailtheory.policies.protocol import finite

__all__ = ["TokenPolicy"]


class TokenPolicy(torch.nn.Module):
    """π_θ(y|x) = Π_t π_θ(y_t | x, y_<t).

    Over sequences of two or more tokens this is not log-linear in the last layer, even
    where the rest of the model is frozen: the partition function of the second token
    depends on the first (theory, section 4).

    Args:
        model: Token ids (n, t) to logits (n, t, v), or to an object with ``logits``, as
            the causal models of transformers give. For curvature choose an attention
            that can be differentiated twice (``attn_implementation="eager"``).
        prompt_length: P ≥ 1.
        response_length: T, the longest response.
        end: Id of the end token, if there is one.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        prompt_length: int,
        response_length: int,
        end: int | None = None,
    ) -> None:
        if prompt_length < 1 or response_length < 1:
            raise InputError(
                "prompt_length, response_length", (prompt_length, response_length), "both ≥ 1"
            )
        super().__init__()
        self.model = model
        self.prompt_length = prompt_length
        self.response_length = response_length
        self.end = end

    def forward(self, inputs: Tensor) -> Tensor:
        """log π_θ of every candidate: token ids (n, m, P + T) to (n, m)."""
        n, m, length = inputs.shape
        if length != self.prompt_length + self.response_length:
            raise InputError(
                "inputs", tuple(inputs.shape),
                f"(n, m, {self.prompt_length + self.response_length})",
            )  # fmt: skip
        rows = inputs.reshape(n * m, length)
        prompts, responses = torch.split(rows, [self.prompt_length, self.response_length], -1)
        return self.log_prob(prompts, responses).reshape(n, m)

    def token_log_probs(self, prompts: Tensor, responses: Tensor) -> Tensor:
        """log π_θ(y_t | x, y_<t), 0 after the end: (n, T)."""
        tokens = torch.cat([prompts, responses], -1)
        logits = self._logits(tokens)[:, self.prompt_length - 1 : -1]
        each = torch.log_softmax(logits, -1).gather(-1, responses[..., None])[..., 0]
        if self.end is None:
            return each
        ended = (responses == self.end).cumsum(-1) - (responses == self.end).long()
        return torch.where(ended == 0, each, torch.zeros_like(each))

    def next_token_log_probs(self, tokens: Tensor) -> Tensor:
        """log π_θ of every next token of a response: (n, P + k) to (n, k + 1, v)."""
        return torch.log_softmax(self._logits(tokens)[:, self.prompt_length - 1 :], -1)

    def log_prob(self, prompts: Tensor, responses: Tensor) -> Tensor:
        """log π_θ(y|x): (n, P), (n, T) to (n,)."""
        return finite("log_prob", self.token_log_probs(prompts, responses).sum(-1))

    def sample(self, prompts: Tensor, generator: torch.Generator) -> Tensor:
        """Responses drawn token by token, filled with the end token: (n, T)."""
        tokens = prompts
        done = torch.zeros(len(prompts), dtype=torch.bool, device=prompts.device)
        with torch.no_grad():
            for _ in range(self.response_length):
                chances = torch.softmax(self._logits(tokens)[:, -1], -1)
                drawn = torch.multinomial(chances, 1, generator=generator)[:, 0]
                if self.end is not None:
                    drawn = torch.where(done, self.end, drawn)
                    done = done | (drawn == self.end)
                tokens = torch.cat([tokens, drawn[:, None]], -1)
        return tokens[:, self.prompt_length :]

    def _logits(self, tokens: Tensor) -> Tensor:
        out: Any = self.model(tokens)
        logits: Tensor = out if isinstance(out, Tensor) else out.logits
        return logits
