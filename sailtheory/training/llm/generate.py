"""Completions drawn from π_θ itself: every token from the whole softmax at one temperature.

Model folders often ship top-p, top-k or repetition penalties for ``generate()``; a draw that
obeys them is not from π_θ, and C18 does not hold for it. So the loop is here. Each row has
its own source of randomness, keyed by what the row is: the same row gets the same completion
in any batch, on any process, and after a restart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sailtheory.errors import InputError, require
from sailtheory.training.llm.logprobs import as_policy, options
from sailtheory.training.llm.models import evaluating
from sailtheory.training.llm.rows import Ids, distinct, width_of

__all__ = ["Completions", "Key", "sample", "uniform"]

Key = tuple[int | str, ...]


@dataclass(frozen=True)
class Completions:
    """What a sampler returns.

    Attributes:
        prompts: Token ids of the prompts, as the sampler saw them.
        tokens: Token ids of the completions; the end token included where one was drawn.
        log_probs: log q(y|x) under the sampler, at its temperature: (n,).
        temperature: That temperature.
        version: Number of updates of the policy that sampled.
    """

    prompts: tuple[tuple[int, ...], ...]
    tokens: tuple[tuple[int, ...], ...]
    log_probs: Tensor
    temperature: float
    version: int

    def require(self, prompts: Sequence[Ids], temperature: float) -> None:
        """Refuse completions of other prompts, or at another temperature.

        Raises:
            InputError: Naming the first prompt that is not the batch's own; published code
                shuffled prompts before generation and not after.
        """
        if len(prompts) != len(self.tokens) or len(prompts) != len(self.prompts):
            raise InputError("completions", len(self.tokens), f"{len(prompts)}, one a prompt")
        for place, (mine, theirs) in enumerate(zip(prompts, self.prompts, strict=True)):
            if tuple(mine) != theirs:
                raise InputError(
                    f"completions[{place}]", "of another prompt", "a completion of the batch's own"
                )
        if self.temperature != temperature:
            raise InputError("temperature", self.temperature, f"{temperature}, as in the loss")
        for place, text in enumerate(self.tokens):
            if not text:
                raise InputError(f"completions[{place}]", "empty", "one token or more is expected")

    def importance(self, log_policy: Tensor, version: int, stale: str) -> Tensor | None:
        """π_θ(y)/q(y) of samples from an older policy: (n,); None for fresh ones.

        Args:
            log_policy: log π_θ(y|x) now: (n,).
            version: Number of updates of π_θ now.
            stale: ``refuse`` or ``weight``.

        Raises:
            InputError: Stale samples where they are refused.
        """
        if self.version == version:
            return None
        if stale != "weight":
            raise InputError(
                "completions", f"from update {self.version}", f"update {version}, or stale=weight"
            )
        return torch.exp(log_policy.detach() - self.log_probs.to(log_policy))


@torch.no_grad()
def sample(
    model: Any,
    prompts: Sequence[Ids],
    keys: Sequence[Key],
    *,
    max_new_tokens: int,
    end: Sequence[int],
    temperature: float = 1.0,
    pad: int = 0,
    version: int = 0,
    everywhere: Callable[[bool], bool] | None = None,
) -> Completions:
    """One completion of each prompt.

    Args:
        model: A causal model of transformers.
        prompts: n token lists.
        keys: What each row's randomness is derived from.
        max_new_tokens: Longest completion, ≥ 1; one that is cut there has no end token.
        end: Ids that end a completion.
        temperature: > 0.
        pad: Any token id; it is masked.
        version: Recorded with the result.
        everywhere: Called each token with whether all rows here have ended; whether they have
            on all processes. Where parameters are sharded every process must take part in
            every forward pass.

    Raises:
        InputError: A parameter outside its domain; an empty prompt; logits that are NaN.
    """
    require(">", temperature=temperature)
    if max_new_tokens < 1:
        raise InputError("max_new_tokens", max_new_tokens, "an integer ≥ 1 is expected")
    if len(keys) != len(prompts):
        raise InputError("keys", len(keys), f"{len(prompts)}, one a prompt")
    for place, prompt in enumerate(prompts):
        if not len(prompt):
            raise InputError(f"prompts[{place}]", "empty", "one token or more is expected")
    device = next(model.parameters()).device
    read, source = distinct(prompts)
    if len(read) == len(prompts) or width_of(model) is None:
        read, source = list(prompts), []
    width = max(map(len, read))
    tokens = torch.tensor([[pad] * (width - len(p)) + list(p) for p in read], device=device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in read], device=device)
    uniforms = torch.stack([uniform(key, max_new_tokens) for key in keys]).to(device)
    ends = torch.tensor(list(end), device=device)
    done = torch.zeros(len(prompts), dtype=torch.bool, device=device)
    asked = options(model, 1)
    drawn: list[Tensor] = []
    log_probs = torch.zeros(len(prompts), dtype=torch.float64, device=device)
    with evaluating(model):  # gradient checkpointing would disable its cache
        cache, fed = None, tokens
        for step in range(max_new_tokens):
            out = model(
                input_ids=fed,
                attention_mask=mask,
                position_ids=(mask.cumsum(-1) - 1).clamp(min=0)[:, -fed.shape[1] :],
                past_key_values=cache,
                use_cache=True,
                **asked,
            )
            cache, logits = getattr(out, "past_key_values", None), out.logits[:, -1]
            if cache is None:
                accepted = "a model that keeps past_key_values, to draw one token after another"
                raise InputError("model", type(model).__name__, accepted)
            if step == 0 and source:
                order = torch.tensor(source, device=device)
                cache.reorder_cache(order)
                logits, mask = logits[order], mask[order]
            log_p = torch.log_softmax(as_policy(logits, temperature).double(), -1)
            if bool(log_p[~done].isnan().any()):
                raise InputError("logits", "nan", "finite logits are expected when sampling")
            token = _draw(log_p, uniforms[:, step])
            log_p = log_p.gather(-1, token[:, None])[:, 0]
            log_probs += torch.where(done, torch.zeros_like(log_p), log_p)
            drawn.append(torch.where(done, -1, token))
            alive = ~done
            done = done | torch.isin(token, ends)
            ended = bool(done.all())
            if ended if everywhere is None else everywhere(ended):
                break
            fed = torch.where(alive, token, pad)[:, None]
            mask = torch.cat([mask, alive[:, None].long()], -1)
    rows = torch.stack(drawn, -1).tolist()
    return Completions(
        tuple(tuple(p) for p in prompts),
        tuple(tuple(t for t in row if t >= 0) for row in rows),
        log_probs,
        temperature,
        version,
    )


def uniform(key: Key, count: int) -> Tensor:
    """Numbers in [0, 1) that belong to a key: (count,)."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    return torch.rand(count, generator=generator, dtype=torch.float64)


def _draw(log_p: Tensor, u: Tensor) -> Tensor:
    """The token at which the distribution function passes u: (n,)."""
    cumulative = log_p.exp().cumsum(-1)
    target = (u * cumulative[:, -1])[:, None]  # below the last entry, so a token is found
    return torch.searchsorted(cumulative, target, right=True)[:, 0].clamp(max=log_p.shape[-1] - 1)
