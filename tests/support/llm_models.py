"""A language model of a million parameters, made on the spot, and short runs on it."""

from __future__ import annotations

import copy
from functools import cache

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from sailtheory.training.llm import SAILConfig, SAILTrainer

PAIRS = [
    {"prompt": f"Say something about the {thing}.", "chosen": f" The {thing} is good and kind.",
     "rejected": f" I do not like a {thing}."}
    for thing in ("river", "garden", "old house", "sea", "winter", "road to town", "cat", "tree")
]  # fmt: skip
CHAT = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@cache
def tokenizer():
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<|end|>", "<|pad|>", "<|user|>", "<|assistant|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    bpe.train_from_iterator((" ".join(map(str, row.values())) for row in PAIRS), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token="<|end|>", pad_token="<|pad|>", chat_template=CHAT
    )


def framing_tokenizer(frame="<|begin|> $A"):
    """One that writes special tokens around a text, as its chat template writes the first."""
    words = copy.deepcopy(tokenizer())
    words.add_special_tokens({"bos_token": "<|begin|>"})
    special = [(token, words.convert_tokens_to_ids(token)) for token in ("<|begin|>", "<|end|>")]
    words.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=frame, special_tokens=special
    )
    words.chat_template = "{{ bos_token }}" + CHAT
    return words


def new_model(layers=4, dropout=0.0, **options):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=400, hidden_size=128, intermediate_size=352, num_hidden_layers=layers,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=128,
        eos_token_id=0, pad_token_id=1, bos_token_id=0, attention_dropout=dropout, **options,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def few_letters(completions, **_):
    """A smooth reward with few ties."""
    return [-len(text) / 10 for text in completions]


def config(folder, method="sail-dpr", **options):
    options = {
        "max_steps": 3, "per_device_train_batch_size": 4, "max_new_tokens": 8,
        "learning_rate": 1e-3, "logging_steps": 1, "save_strategy": "no", "use_cpu": True,
        "log_kl_steps": 2, "disable_tqdm": True,
    } | options  # fmt: skip
    return SAILConfig(str(folder), method=method, **options)


def train(folder, method="sail-dpr", model=None, data=PAIRS, words=None, **options):
    """A trained trainer, and the names of the parameters that moved."""
    trainer = SAILTrainer(
        model=new_model() if model is None else model,
        reward_funcs=few_letters if method in ("sail-dpr", "online-dpo") else None,
        args=config(folder, method, **options),
        train_dataset=data,
        processing_class=words or tokenizer(),
    )
    before = {n: p.detach().clone() for n, p in trainer.model.named_parameters()}
    trainer.train()
    moved = {n for n, p in trainer.model.named_parameters() if not torch.equal(before[n], p)}
    return trainer, moved
