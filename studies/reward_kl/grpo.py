"""Four cells of the study with TRL's own ``GRPOTrainer``, on a Llama whose responses can be listed.

Prompts are one token, responses at most two of 16 tokens: 241 of them. The KL is TRL's k3 in the
loss by token (``use_bias_correction_kl=False``); V and both KLs of whole responses are sums.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from studies.reward_kl.arms import GROUP

VOCABULARY, END, PAD, PROMPTS, PASS_RATE = 16, 0, 15, 8, 0.1
UPDATES, EVERY = 30, 5
TOKENS = [chr(ord("a") + k) for k in range(VOCABULARY)]
CELLS: dict[str, dict[str, Any]] = {
    "no std, no KL": {"scale_rewards": "none", "beta": 0.0},
    "no std, γ = K": {"scale_rewards": "none", "beta": 1 - 1 / GROUP},
    "std, no KL": {"scale_rewards": "group", "beta": 0.0},
    "std, γ = K": {"scale_rewards": "group", "beta": (GROUP - 1) / sqrt(GROUP)},
}
"""K is that of f: without std TRL's f' is 1 − 1/G, with it that of the sample's deviation."""


@dataclass(frozen=True)
class World:
    """A reference policy, and the responses of each prompt that are correct: (n, m)."""

    seed: int
    correct: Tensor
    log_ref: Tensor

    def values(self, model: Any) -> dict[str, float]:
        """Mean pass rate and KLs of a model, exactly."""
        log = log_probs(model)
        ratio = log - self.log_ref
        return {
            "pass_rate": float((log.exp() * self.correct).sum(-1).mean()),
            "kl_ref_policy": float(-(self.log_ref.exp() * ratio).sum(-1).mean()),
            "kl_policy_ref": float((log.exp() * ratio).sum(-1).mean()),
        }  # fmt: skip


def responses() -> list[list[int]]:
    """The end alone, and every other token with every token after it."""
    others = [k for k in range(VOCABULARY) if k != END]
    return [[END], *([first, second] for first in others for second in range(VOCABULARY))]


@torch.no_grad()
def log_probs(model: Any) -> Tensor:
    """log π(y|x) of all responses to all prompts: (n, m)."""
    model.eval()
    found = []
    for prompt in range(1, PROMPTS + 1):
        texts = torch.tensor([[prompt, first] for first in range(VOCABULARY)])
        logits = model(input_ids=texts).logits.double().log_softmax(-1)
        start, then = logits[0, 0], logits[:, 1]
        found.append(torch.stack([start[y[0]] + (then[y[0], y[1]] if len(y) > 1 else 0.0)
                                  for y in responses()]))  # fmt: skip
    return torch.stack(found)


def network(seed: int) -> Any:
    """A Llama of one layer whose draws are far from uniform."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=64, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=16,
        eos_token_id=END, pad_token_id=PAD, bos_token_id=END, initializer_range=0.3,
        tie_word_embeddings=False,
    ))  # fmt: skip


def world(seed: int) -> World:
    """Responses are correct in a random order until they have the pass rate."""
    log_ref = log_probs(network(seed))
    generator = torch.Generator().manual_seed(seed)
    correct = torch.zeros_like(log_ref)
    for x, log in enumerate(log_ref):
        passed = 0.0
        for y in torch.randperm(len(log), generator=generator).tolist():
            if passed + float(log[y].exp()) <= PASS_RATE:
                correct[x, y] = 1
                passed += float(log[y].exp())
    return World(seed, correct, log_ref)


def run(cell: str, rate: float, seed: int) -> dict[str, Any]:
    """Train one cell on one world; pass rate and KLs every few updates."""
    began = time.process_time()
    at = world(seed)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer, curve = _trainer(at, cell, rate, Path(folder))
        trainer.train()
    return {
        "cell": cell, "rate": rate, "seed": seed, "curve": curve,
        "final": at.values(trainer.model), "cpu_seconds": round(time.process_time() - began, 2),
    }  # fmt: skip


def _trainer(at: World, cell: str, rate: float, folder: Path) -> tuple[Any, dict[str, float]]:
    from datasets import Dataset
    from transformers import TrainerCallback
    from transformers.utils import logging
    from trl import GRPOConfig, GRPOTrainer

    logging.disable_progress_bar()
    number = {tuple(y): k for k, y in enumerate(responses())}

    def reward(prompts: list[str], completion_ids: list[list[int]], **_: Any) -> list[float]:
        return [
            float(at.correct[TOKENS.index(prompt) - 1, number[tuple(ids)]])
            for prompt, ids in zip(prompts, completion_ids, strict=True)
        ]

    curve = {"0": at.values(network(at.seed))["pass_rate"]}

    class Measured(TrainerCallback):  # type: ignore[misc]
        """Writes the pass rate down."""

        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            if state.global_step % EVERY == 0:
                curve[str(state.global_step)] = at.values(more["model"])["pass_rate"]
                more["model"].train()

    model = network(at.seed)
    model.save_pretrained(folder / "model")
    model.config._name_or_path = str(folder / "model")  # where the reference is loaded from
    args = GRPOConfig(
        str(folder), report_to="none", use_cpu=True, disable_tqdm=True, bf16=False,
        max_steps=UPDATES, num_generations=GROUP, per_device_train_batch_size=GROUP * PROMPTS,
        max_completion_length=2, loss_type="dr_grpo", use_bias_correction_kl=False,
        learning_rate=rate, lr_scheduler_type="constant", logging_strategy="no",
        save_strategy="no", seed=at.seed, temperature=1.0, **CELLS[cell],
    )  # fmt: skip
    rows = [{"prompt": TOKENS[k + 1]} for k in range(PROMPTS)] * 4
    trainer = GRPOTrainer(
        model=model, args=args, processing_class=_tokenizer(), reward_funcs=reward,
        train_dataset=Dataset.from_list(rows), callbacks=[Measured()],
    )  # fmt: skip
    return trainer, curve


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = {token: k for k, token in enumerate(TOKENS)}
    words = Tokenizer(models.WordLevel(letters, unk_token=TOKENS[PAD]))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=words, eos_token=TOKENS[END], pad_token=TOKENS[PAD]
    )
