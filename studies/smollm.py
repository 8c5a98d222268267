"""SmolLM2-135M-Instruct as the studies use it: weights that pip can install, no system message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from sailtheory.training.llm.fetch import resolve

NAME = "smollm2-135m"
TEMPLATE = (  # the model's own without its system message, which would be half of all tokens
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def tokenizer() -> Any:
    """The tokenizer with that template."""
    found = AutoTokenizer.from_pretrained(resolve(NAME))
    found.chat_template = TEMPLATE
    return found


def model(device: str = "cpu") -> Any:
    """A copy of the model in float32; its 4-bit weights are expanded."""
    return AutoModelForCausalLM.from_pretrained(resolve(NAME), dtype=torch.float32).to(device)


def prompt_ids(tokens: Any, conversation: Sequence[dict[str, str]]) -> list[int]:
    """A conversation up to where the assistant speaks."""
    rendered = tokens.apply_chat_template(
        list(conversation), add_generation_prompt=True, return_dict=True
    )
    return list(rendered["input_ids"])
