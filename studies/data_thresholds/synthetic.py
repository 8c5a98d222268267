"""Synthetic preferences: responses of SmolLM2-135M-Instruct, scored by a formula."""

from __future__ import annotations

import json
from pathlib import Path

SEED, RESPONSES, TOKENS, TEMPERATURE = 0, 4, 24, 0.7
BATCH = 32  # prompts, so 128 responses
FORMS = (
    "Describe {} in one sentence.", "What do people like about {}?", "Tell a friend about {}.",
    "Why is {} worth talking about?", "Give one tip about {}.", "What is hard about {}?",
    "Ask me a question about {}.", "How would you explain {} to a child?",
    "Write a cheerful line about {}.", "What should a beginner know about {}?",
    "Say something surprising about {}.", "Recommend {} to a colleague.",
    "What does {} remind you of?", "Is {} a good subject for a short film?",
    "How has {} changed over the years?", "Write a short note of thanks that mentions {}.",
)  # fmt: skip
TOPICS = (
    "a night train", "fresh bread", "chess", "a lighthouse", "the city library", "wild geese",
    "an old bicycle", "a vegetable market", "choir practice", "a mountain hut", "rain on a tent",
    "a wooden boat", "mathematics", "a birthday letter", "the first day at work", "a rose garden",
    "jazz music", "a crowded bus", "learning to swim", "the full moon",
)  # fmt: skip


def prompts() -> list[str]:
    """The project's own prompts, and every topic in every form."""
    from sailtheory.training.llm.prompts import prompts as own

    return own("train") + own("held-out") + [f.format(t) for f in FORMS for t in TOPICS]


def sample(out: Path) -> None:
    """Append what is missing to a JSONL file of prompts, responses and scores.

    A response is a function of seed, prompt and number, so it does not matter where a run stops.
    """
    import torch

    from sailtheory.training.llm import generate, models
    from sailtheory.training.llm.oracles import kind_and_brief
    from studies import smollm

    torch.set_num_threads(1)
    oracle, tokenizer = kind_and_brief(), smollm.tokenizer()
    model = smollm.model().requires_grad_(False).eval()
    end = models.end_ids(model, tokenizer)
    asked = prompts()
    for first in range(count(out), len(asked), BATCH):
        batch = asked[first : first + BATCH]
        ids = [smollm.prompt_ids(tokenizer, [{"role": "user", "content": text}]) for text in batch]
        keys: list[generate.Key] = [
            (SEED, "responses", text, k) for text in batch for k in range(RESPONSES)
        ]
        drawn = generate.sample(
            model, [row for row in ids for _ in range(RESPONSES)], keys, max_new_tokens=TOKENS,
            end=end, temperature=TEMPERATURE, pad=end[0],
        )  # fmt: skip
        texts = [tokenizer.decode(list(t), skip_special_tokens=True) for t in drawn.tokens]
        lines = []
        for i, prompt in enumerate(batch):
            said = texts[i * RESPONSES : (i + 1) * RESPONSES]
            row = {"prompt": prompt, "responses": said, "scores": list(oracle(completions=said))}
            lines.append(json.dumps(row, ensure_ascii=False) + "\n")
        with open(out, "a", encoding="utf-8") as file:
            file.writelines(lines)
        print(f"{first + len(batch)} of {len(asked)} prompts", flush=True)


def count(path: Path) -> int:
    """How many whole rows a file holds; a last line that was cut off is removed."""
    if not path.exists():
        return 0
    whole = path.read_bytes().rpartition(b"\n")
    if whole[2]:
        path.write_bytes(whole[0] + whole[1])
    return whole[0].count(b"\n") + bool(whole[0])
