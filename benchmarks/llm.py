"""One step of sail-dpr with a KL against one of TRL's OnlineDPOTrainer; last block against LoRA.

``python -m benchmarks.llm [--model DIR] [--rounds N] [--out FILE]``: without a model, a Llama of
about a million parameters. Both sides see the same prompts, start from the same weights in
float32, draw the same number of tokens (the end token is one that is never drawn) and make
the same AdamW update; they take turns, and a ratio is the median over the pairs of turns, in
CPU seconds of the process. Draws from π_ref are kept: ``kept`` is a step with prompts that
come back, as in every epoch but the first, ``first_draw`` one that draws for them as well.
Prompts are chat messages, in the model's template, or the bare words: completions share the
work on their prompt here and not there, so short prompts are the harder case.
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

PROMPTS = [
    "How do I keep basil fresh?", "Suggest a name for a grey cat.",
    "Why do leaves turn red?", "How can I sleep better?",
]  # fmt: skip
TOKENS, RATE = 24, 1e-5
SHARED = {
    "per_device_train_batch_size": len(PROMPTS), "max_new_tokens": TOKENS, "beta": 0.1,
    "temperature": 0.9, "learning_rate": RATE, "report_to": "none", "use_cpu": True,
    "activation_checkpointing": False,
}  # fmt: skip


def reward(completions: list[Any], **_: Any) -> list[float]:
    """The length, so that judging costs nothing."""
    return [len(str(completion)) / 10 for completion in completions]


def start(folder: str | None) -> tuple[Any, Any]:
    """Model and tokenizer, whose end token is one that is never drawn."""
    if folder is None:
        from tests.llm_models import new_model, tokenizer

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


def prompts(chat: bool) -> list[Any]:
    return [[{"role": "user", "content": p}] for p in PROMPTS] if chat else list(PROMPTS)


def sail(folder: str | None, output: str, chat: bool = True, **options: Any) -> Any:
    model, words = start(folder)
    return SAILTrainer(
        model, reward_funcs=reward, processing_class=words,
        args=SAILConfig(output, **SHARED, log_kl_steps=0, kl_coef=0.01, **options),
        train_dataset=[{"prompt": prompt} for prompt in prompts(chat)],
    )  # fmt: skip


def trl(folder: str | None, output: str, chat: bool) -> Any:
    from datasets import Dataset
    from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

    model, words = start(folder)
    return OnlineDPOTrainer(
        model=model, ref_model=copy.deepcopy(model), reward_funcs=reward, processing_class=words,
        args=OnlineDPOConfig(output, **SHARED, max_length=512),
        train_dataset=Dataset.from_list([{"prompt": prompt} for prompt in prompts(chat)]),
    )  # fmt: skip


def in_turn(mine: Callable[[], None], peer: Callable[[], None], rounds: int) -> dict[str, Any]:
    """CPU seconds of each, turn about, and the ratio of the pairs."""

    def seconds(work: Callable[[], None]) -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    mine(), peer()
    pairs = [(seconds(mine), seconds(peer)) for _ in range(rounds)]
    ratios = sorted(a / b for a, b in pairs)
    return {
        "seconds": statistics.median(a for a, _ in pairs),
        "peer_seconds": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(ratios), "ratio_range": [ratios[0], ratios[-1]],
        "rounds": rounds,
    }  # fmt: skip


def steps(folder: str | None, rounds: int, output: str, chat: bool) -> dict[str, Any]:
    """A whole step of each, all parameters trained."""
    mine, peer = sail(folder, output, chat), trl(folder, output, chat)
    own, theirs = adamw(mine.model), adamw(peer.model)
    counted = []

    def step(fresh: bool) -> None:
        if fresh:
            mine.reference_draws.restore(None)
        before = mine.tokens_drawn
        step_of(mine, {"items": mine.train_dataset}, own)
        counted.append(mine.tokens_drawn - before)

    def other() -> None:
        step_of(peer, {"prompt": prompts(chat)}, theirs)

    found = {
        name: in_turn(lambda fresh=fresh: step(fresh), other, rounds)
        for name, fresh in (("kept", False), ("first_draw", True))
    }
    kinds = {count // (len(PROMPTS) * TOKENS) for count in counted}
    lengths = [len(item["prompt_ids"]) for item in mine.train_dataset]
    return {
        "peer": "trl.experimental.online_dpo.OnlineDPOTrainer.training_step", "goal": 1.2,
        "completions_a_prompt": {"mine, y from π_ref included": sorted(kinds), "peer": 2},
        "prompt_tokens": lengths, "kl_coef": 0.01, "tune": "full", **found,
    }  # fmt: skip


def updates(folder: str | None, rounds: int, output: str) -> dict[str, Any]:
    """Loss, backward pass and AdamW on a batch that has been drawn: last block against LoRA."""
    works = []
    for tune in ("last-block", "lora"):
        trainer = sail(folder, output, tune=tune)
        optimizer = adamw(trainer.model)
        drawn = trainer.draw(trainer.model, trainer.train_dataset)

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
        "threads": 1, "prompts": len(PROMPTS), "new_tokens": TOKENS, "dtype": "float32",
        "model": "SmolLM2-135M-Instruct" if arguments.model else "Llama, 1M parameters",
        "load_before": os.getloadavg()[0],
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as output:
        given = arguments.model, arguments.rounds, output
        for name, benchmark in (
            ("steps", lambda: steps(*given, chat=True)),
            ("steps_on_bare_words", lambda: steps(*given, chat=False)),
            ("updates", lambda: updates(*given)),
        ):
            results[name] = benchmark()
            print(name, json.dumps(results[name], indent=1), flush=True)
    results["load_after"] = os.getloadavg()[0]
    save(results, arguments.out)


if __name__ == "__main__":
    main()
