"""Steps of sail-dpr with a KL against steps of TRL's OnlineDPOTrainer; last block against LoRA.

``python -m benchmarks.llm [--model DIR] [--rounds N] [--out FILE]``: without a model, a Llama of
about a million parameters. Both sides see the same prompts, start from the same weights in
float32, draw the same number of tokens from the policy (the end token is one that is never
drawn) and make the same AdamW updates; they take turns, and a ratio is the median over the
pairs of turns, in CPU seconds of the process. A turn is a pass through 8 batches of 4 prompts,
with its own draws from π_ref, made ahead for all 8 at once as the trainer does. Prompts are
chat messages, in the model's template, or the bare words: completions share the work on their
prompt here and not there, so short prompts are the harder case.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import sailtheory
from benchmarks.results import save
from sailtheory.training.llm import SAILConfig, SAILTrainer
from sailtheory.training.llm.prompts import prompts

BATCH, BATCHES = 4, 8
PROMPTS = prompts("train")[: BATCH * BATCHES]
TOKENS, RATE = 24, 1e-5
SHARED = {
    "per_device_train_batch_size": BATCH, "max_new_tokens": TOKENS, "beta": 0.1,
    "temperature": 0.9, "learning_rate": RATE, "report_to": "none", "use_cpu": True,
    "activation_checkpointing": False,
}  # fmt: skip


def reward(completions: list[Any], **_: Any) -> list[float]:
    """The length, so that judging costs nothing."""
    return [len(str(completion)) / 10 for completion in completions]


def start(folder: str | None) -> tuple[Any, Any]:
    """Model and tokenizer, whose end token is one that is never drawn."""
    if folder is None:
        from tests.support.llm_models import new_model, tokenizer

        model, words, never = new_model(), copy.deepcopy(tokenizer()), "<|user|>"
        with torch.no_grad():  # its logit is then the least of all
            model.lm_head.weight[words.convert_tokens_to_ids(never)] = 0.0
    else:
        words, never = AutoTokenizer.from_pretrained(folder), "<jupyter_output>"
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    words.eos_token = never
    model.generation_config.eos_token_id = model.config.eos_token_id = words.eos_token_id
    return model, words


def step_of(trainer: Any, batch: Any, optimizer: torch.optim.Optimizer) -> None:
    trainer.training_step(trainer.model, batch)
    optimizer.step()
    optimizer.zero_grad()
    trainer.state.global_step += 1


def adamw(model: Any) -> torch.optim.Optimizer:
    return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=RATE)


def given(chat: bool) -> list[Any]:
    return [[{"role": "user", "content": p}] for p in PROMPTS] if chat else list(PROMPTS)


def sail(folder: str | None, output: str, chat: bool = True, **options: Any) -> Any:
    model, words = start(folder)
    return SAILTrainer(
        model, reward_funcs=reward, processing_class=words,
        args=SAILConfig(
            output, method="sail-dpr", log_kl_steps=0, kl_coef=0.01, **(SHARED | options)
        ),
        train_dataset=[{"prompt": prompt} for prompt in given(chat)],
    )  # fmt: skip


def trl(folder: str | None, output: str, chat: bool, **options: Any) -> Any:
    from datasets import Dataset
    from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

    model, words = start(folder)
    return OnlineDPOTrainer(
        model=model, ref_model=copy.deepcopy(model), reward_funcs=reward, processing_class=words,
        args=OnlineDPOConfig(output, max_length=512, **(SHARED | options)),
        train_dataset=Dataset.from_list([{"prompt": prompt} for prompt in given(chat)]),
    )  # fmt: skip


def in_turn(
    mine: Callable[[], None],
    peer: Callable[[], None],
    rounds: int,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, Any]:
    """CPU seconds of each, or by another clock, turn about, and the ratio of the pairs."""

    def seconds(work: Callable[[], None]) -> float:
        began = clock()
        work()
        return clock() - began

    mine(), peer()
    pairs = [(seconds(mine), seconds(peer)) for _ in range(rounds)]
    ratios = sorted(a / b for a, b in pairs)
    return {
        "seconds": statistics.median(a for a, _ in pairs),
        "peer_seconds": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(ratios), "ratio_range": [ratios[0], ratios[-1]],
        "rounds": rounds,
    }  # fmt: skip


def steps(
    folder: str | None,
    rounds: int,
    output: str,
    chat: bool,
    device: str = "cpu",
    clock: Callable[[], float] = time.process_time,
) -> dict[str, Any]:
    """Passes of each, all parameters trained."""
    where = {"use_cpu": device == "cpu"}
    mine, peer = sail(folder, output, chat, **where), trl(folder, output, chat, **where)
    own, theirs = adamw(mine.model), adamw(peer.model)
    rows, texts = mine.train_dataset, given(chat)
    counted = []

    def a_pass() -> None:
        before = mine.tokens_drawn
        for k in range(0, len(rows), BATCH):
            step_of(mine, {"items": rows[k : k + BATCH]}, own)
        counted.append(mine.tokens_drawn - before)
        mine.state.epoch = (mine.state.epoch or 0) + 1

    def other() -> None:
        for k in range(0, len(rows), BATCH):
            step_of(peer, {"prompt": texts[k : k + BATCH]}, theirs)

    found = in_turn(a_pass, other, rounds, clock)
    kinds = {count // (len(rows) * TOKENS) for count in counted}
    lengths = sorted(len(item["prompt_ids"]) for item in rows)
    return {
        "peer": "trl.experimental.online_dpo.OnlineDPOTrainer.training_step", "goal": 1.2,
        "completions_a_prompt": {"mine, y from π_ref included": sorted(kinds), "peer": 2},
        "steps_a_turn": BATCHES, "prompt_tokens": [lengths[0], lengths[-1]],
        "kl_coef": 0.01, "tune": "full", **found,
    }  # fmt: skip


def updates(folder: str | None, rounds: int, output: str) -> dict[str, Any]:
    """Loss, backward pass and AdamW on a batch that has been drawn: last block against LoRA."""
    works = []
    for tune in ("last-block", "lora"):
        trainer = sail(folder, output, tune=tune)
        optimizer = adamw(trainer.model)
        drawn = trainer.draw(trainer.model, trainer.train_dataset[:BATCH])

        def work(trainer: Any = trainer, optimizer: Any = optimizer, drawn: Any = drawn) -> None:
            terms = trainer.loss_terms(trainer.model, drawn)
            torch.stack([term.mean() for term in terms.values()]).sum().backward()
            optimizer.step()
            optimizer.zero_grad()

        works.append(work)
    return {"peer": "LoRA, rank 64, all linear layers", "goal": 0.8} | in_turn(*works, rounds)


def main() -> None:
    """Run both and print, optionally save, the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="folder of a causal language model")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of turns")
    parser.add_argument("--out", help="JSON file to write")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    warnings.simplefilter("ignore")
    versions = {name: __import__(name).__version__ for name in ("torch", "transformers", "trl")}
    results: dict[str, Any] = {
        "version": sailtheory.__version__, **versions, "machine": platform.machine(),
        "threads": 1, "prompts": BATCH, "new_tokens": TOKENS, "dtype": "float32",
        "model": "SmolLM2-135M-Instruct" if arguments.model else "Llama, 1M parameters",
        "load_before": os.getloadavg()[0],
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as output:
        common = arguments.model, arguments.rounds, output
        for name, benchmark in (
            ("steps", lambda: steps(*common, chat=True)),
            ("steps_on_bare_words", lambda: steps(*common, chat=False)),
            ("updates", lambda: updates(*common)),
        ):
            results[name] = benchmark()
            print(name, json.dumps(results[name], indent=1), flush=True)
    results["load_after"] = os.getloadavg()[0]
    save(results, arguments.out)


if __name__ == "__main__":
    main()
