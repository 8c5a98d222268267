"""Candidates for a language model: completions drawn from π_ref, and their log-probabilities."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.extras import require_extra

require_extra("torch", "torch")

import torch
from torch import Tensor

from sailtheory.run_audit.measure import Weights, untouched

__all__ = ["Drawn", "draw"]


@dataclass(frozen=True)
class Drawn:
    """m completions of each of n prompts.

    Attributes:
        trainer: Whose model, reference and rewards are used.
        weights: What is trained.
        rows: Of the data set.
        prompts: Token ids, a list each.
        tokens: Token ids of the completions, the end included, (n, m) lists.
    """

    trainer: Any
    weights: Weights
    rows: list[dict[str, Any]]
    prompts: list[list[int]]
    tokens: list[list[list[int]]]

    def log_probs(self) -> Tensor:
        """log π_θ, (n, m)."""
        return torch.stack([
            _log_probs(self.trainer.model, prompt, words)
            for prompt, words in zip(self.prompts, self.tokens, strict=True)
        ])  # fmt: skip

    @property
    def has_reference(self) -> bool:
        """Whether the trainer has a π_ref that can be asked: a model, or one without adapter."""
        model = self.trainer.model
        return self._reference_model is not None or hasattr(model, "disable_adapter")

    @property
    def _reference_model(self) -> Any:
        return getattr(self.trainer, "ref_model", None)

    @torch.no_grad()
    def reference(self) -> Tensor:
        """log π_ref, (n, m)."""
        own = self.trainer.model
        model = own if self._reference_model is None else self._reference_model
        bare: AbstractContextManager[Any] = nullcontext()
        if model is own:
            bare = own.disable_adapter()
        with bare, untouched([model]):
            return torch.stack([
                _log_probs(model, prompt, words)
                for prompt, words in zip(self.prompts, self.tokens, strict=True)
            ])  # fmt: skip

    def gradients(self) -> Iterator[Tensor]:
        """∇_θ log π_θ of each completion, one at a time, (P,) each."""
        with torch.enable_grad():
            for prompt, words in zip(self.prompts, self.tokens, strict=True):
                for word in words:
                    value = _log_probs(self.trainer.model, prompt, [word])[0]
                    found = torch.autograd.grad(value, self.weights.live, allow_unused=True)
                    pairs = zip(found, self.weights.live, strict=True)
                    yield torch.cat([
                        (torch.zeros_like(p) if g is None else g).reshape(-1).float()
                        for g, p in pairs
                    ])  # fmt: skip

    def rewards(self) -> np.ndarray | None:
        """The weighted sum of the trainer's rewards, (n, m); None where it has none."""
        trainer = self.trainer
        functions = getattr(trainer, "reward_funcs", None) or getattr(trainer, "rewards", None)
        if not functions:
            return None
        if any(isinstance(function, torch.nn.Module) for function in functions):
            raise InputError("rewards", "a reward model", "a function of texts is expected")
        m = len(self.tokens[0])
        words = [word for of_prompt in self.tokens for word in of_prompt]
        texts = trainer.processing_class.batch_decode(words, skip_special_tokens=True)
        rows = [row for row in self.rows for _ in range(m)]
        prompts = [row.get("text", row["prompt"]) if "prompt" in row else row["text"]
                   for row in rows]  # fmt: skip
        completions = [
            [{"role": "assistant", "content": text}] if isinstance(prompt, list) else text
            for prompt, text in zip(prompts, texts, strict=True)
        ]
        columns = {key: [row[key] for row in rows] for key in self.rows[0] if key != "prompt"}
        weights = getattr(trainer, "reward_weights", None)
        scales = [1.0] * len(functions) if weights is None else [float(w) for w in weights]
        total = np.zeros(len(words))
        for function, scale in zip(functions, scales, strict=True):
            given = columns | {"completion_ids": words, "trainer_state": trainer.state}
            found = function(prompts=prompts, completions=completions, **_taken(function, given))
            total += scale * np.array([np.nan if r is None else r for r in found], float)
        return total.reshape(-1, m)


def _taken(function: Any, given: dict[str, Any]) -> dict[str, Any]:
    """What a reward function takes: everything, or what it names."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return given
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
        return given
    return {p.name: given[p.name] for p in parameters if p.name in given}


def draw(trainer: Any, weights: Weights, prompts: int, candidates: int, seed: int) -> Drawn:
    """Completions of the first prompts of the training data, by the policy at θ_start.

    Raises:
        InputError: Data without prompts that can be read.
    """
    rows = [dict(trainer.train_dataset[k]) for k in range(min(prompts, len(trainer.train_dataset)))]
    ids = [_prompt_ids(row, trainer.processing_class) for row in rows]
    with torch.no_grad(), untouched([trainer.model], seed), weights.at(0.0):
        tokens = [_sampled(trainer, prompt, candidates) for prompt in ids]
    return Drawn(trainer, weights, rows, ids, tokens)


def _prompt_ids(row: dict[str, Any], words: Any) -> list[int]:
    for name in ("prompt_ids", "prompt_input_ids"):
        if name in row:
            return [int(token) for token in row[name]]
    prompt = row.get("prompt")
    if isinstance(prompt, list):
        found = words.apply_chat_template(prompt, add_generation_prompt=True, return_dict=True)
        return list(found["input_ids"])
    if isinstance(prompt, str):
        return list(words(prompt, add_special_tokens=False)["input_ids"])
    raise InputError("train_dataset", ", ".join(row), "rows with a prompt are expected")


def _sampled(trainer: Any, prompt: list[int], candidates: int) -> list[list[int]]:
    model, words = trainer.model, trainer.processing_class
    device = next(model.parameters()).device
    ends = model.generation_config.eos_token_id
    ends = [words.eos_token_id] if ends is None else ends if isinstance(ends, list) else [ends]
    inputs = torch.tensor([prompt], device=device)
    found = model.generate(
        input_ids=inputs, attention_mask=torch.ones_like(inputs), do_sample=True, top_k=0,
        top_p=1.0, temperature=1.0, max_new_tokens=_longest(trainer.args),
        num_return_sequences=candidates, eos_token_id=ends,
        pad_token_id=ends[0] if words.pad_token_id is None else words.pad_token_id,
    )  # fmt: skip
    return [_ended(row, ends) for row in found[:, len(prompt) :].tolist()]


def _longest(args: Any) -> int:
    for name in ("max_new_tokens", "max_completion_length"):
        value = getattr(args, name, None)
        if isinstance(value, int):
            return value
    return 32


def _ended(tokens: list[int], ends: Iterable[int]) -> list[int]:
    """Up to and with the first end."""
    stops = [k for k, token in enumerate(tokens) if token in set(ends)]
    return tokens[: stops[0] + 1] if stops else tokens


def _log_probs(model: Any, prompt: list[int], completions: list[list[int]]) -> Tensor:
    """Σ log π over the tokens of each completion, (m,)."""
    device = next(model.parameters()).device
    width = max(map(len, completions))
    rows = [prompt + words + [0] * (width - len(words)) for words in completions]
    lengths = torch.tensor([len(words) for words in completions], device=device)
    ids = torch.tensor(rows, device=device)
    there = torch.arange(width, device=device) < lengths[:, None]
    mask = torch.cat([torch.ones_like(ids[:, : len(prompt)]), there.long()], 1)
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    kept = torch.log_softmax(logits[:, len(prompt) - 1 : -1].float(), -1)
    each = kept.gather(-1, ids[:, len(prompt) :, None]).squeeze(-1)
    total: Tensor = (each * there).sum(-1)
    return total
