"""Adapters of every kind that the trainer accepts, on a small model."""

from __future__ import annotations

import peft
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from sailtheory.training.llm import SAILTrainer
from sailtheory.training.llm.batch import log_probs_of, rows_of
from tests.support.llm_models import PAIRS, config, few_letters, tokenizer

LINEAR = ["k_proj", "v_proj", "down_proj"]


def model(**options):
    """Two blocks whose projections have biases, far enough from 0 to matter."""
    torch.manual_seed(0)
    found = Qwen2ForCausalLM(Qwen2Config(
        vocab_size=400, hidden_size=64, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=128,
        eos_token_id=0, pad_token_id=1, bos_token_id=0, initializer_range=0.1,
        tie_word_embeddings=False, **options,
    ))  # fmt: skip
    with torch.no_grad():
        for name, parameter in found.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.1)
    return found


def lora(**options):
    options = {"r": 4, "target_modules": LINEAR, "task_type": "CAUSAL_LM"} | options
    return peft.LoraConfig(**options)


def of_kind(kind):
    """A configuration of an adapter of this kind."""
    settings = {"task_type": "CAUSAL_LM", "target_modules": LINEAR}
    if kind == "IA3":
        settings["feedforward_modules"] = ["down_proj"]
    if kind == "LN_TUNING":
        settings["target_modules"] = ["input_layernorm"]
    if kind == "TRAINABLE_TOKENS":
        settings = {"task_type": "CAUSAL_LM", "token_indices": list(range(4, 60))}
    return peft.PEFT_TYPE_TO_CONFIG_MAPPING[peft.PeftType(kind)](**settings)


def moved(adapted, by=0.05):
    """The same with its trained weights elsewhere, as after training."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(by * torch.randn(parameter.shape, generator=generator))
    return adapted


def trainer(folder, model, **given):
    given = {"reward_funcs": few_letters, "train_dataset": PAIRS} | given
    options = {"kl_coef": 0.1, "log_kl_steps": 1, "max_steps": 2} | given.pop("options", {})
    args = given.pop("args", None) or config(folder, **options)
    return SAILTrainer(model, args=args, processing_class=tokenizer(), **given)


def log_ratios(trainer):
    """log π_θ/π_ref of two draws from π_θ and one from π_ref for each of four prompts: (12,)."""
    model = trainer.model
    names, sizes, rows = rows_of(trainer.draw(model, trainer.train_dataset[:4]), [], trainer.width)
    with torch.no_grad():
        mine = log_probs_of(model, names, sizes, rows, 1.0)
        with trainer._reference(model) as reference:
            theirs = log_probs_of(reference, names, sizes, rows, 1.0)
    return torch.cat([getattr(mine, name) - getattr(theirs, name) for name in names])
