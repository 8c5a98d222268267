"""Rows that share a prompt: every model that may, to rounding; and what wrong masks would do."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("transformers", reason="the extra llm is not installed")
import transformers

from sailtheory.training.llm import generate, rows
from sailtheory.training.llm.logprobs import sequence_log_probs
from sailtheory.training.llm.rows import join, share, width_of
from tests.support.llm_models import new_model, train

PROMPTS = [(3, 4, 5, 6, 7, 8), (9, 8), (3, 4, 5, 6, 7, 8), (9, 8), (3, 4, 5, 6, 7, 8), (5, 5, 5)]
TEXTS = [(1, 2), (2, 1, 6, 5), (4,), (7, 7, 0), (1, 2, 3), (6, 0)]


def small(kind, **options):
    """A model of one kind, far enough from uniform for a wrong mask to show."""
    torch.manual_seed(1)
    options |= {} if kind == "falcon" else {"head_dim": 16}
    config = transformers.AutoConfig.for_model(
        kind, vocab_size=12, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=64,
        bos_token_id=1, eos_token_id=0, pad_token_id=0, initializer_range=0.4, **options,
    )  # fmt: skip
    if kind == "mistral":
        config.sliding_window = None
    return transformers.AutoModelForCausalLM.from_config(config).double().eval()


def together():
    return share(PROMPTS, TEXTS, 10_000)


@pytest.mark.parametrize("kind", rows.SHARES)
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_log_probs_and_gradients_as_in_rows_of_their_own(kind, temperature):
    model = small(kind)
    assert width_of(model) == 32
    found = []
    for given in (join(PROMPTS, TEXTS), together()):
        log = sequence_log_probs(model, given, temperature)
        weights = torch.arange(1.0, 7.0, dtype=torch.float64)
        gradients = torch.autograd.grad((weights * log).sum(), list(model.parameters()))
        found.append((log.detach(), torch.cat([g.reshape(-1) for g in gradients])))
    (alone, wanted), (log, gradient) = found
    assert (alone - log).abs().max() < 1e-5 < 0.1 < alone.std()  # norms are in float32
    assert (gradient - wanted).norm() < 1e-5 * wanted.norm()


@pytest.mark.parametrize("wrong", ["mask", "positions", "previous"])
def test_wrong_rows_are_seen(wrong, monkeypatch):
    """Completions that see one another, or stand further on, or follow one another."""
    model, given = small("llama"), together()
    column = torch.arange(given.tokens.shape[1]).expand(given.tokens.shape)
    if wrong == "mask":
        causal = torch.ones(column.shape[1], column.shape[1]).tril().bool()
        monkeypatch.setattr(
            rows.Rows, "mask", property(lambda own: causal & own.attention[:, None, None, :])
        )
    elif wrong == "positions":
        first = given.attention.int().argmax(-1, keepdim=True)
        object.__setattr__(given, "positions", (column - first).clamp(min=0))
    else:
        object.__setattr__(given, "previous", (column - 1).clamp(min=0))
    log = sequence_log_probs(model, given)
    monkeypatch.undo()
    assert (log - sequence_log_probs(model, join(PROMPTS, TEXTS))).abs().max() > 0.01


def test_rows_as_written_by_hand():
    given = share([(7, 8), (7, 8)], [(1,), (2, 3)], 10_000)
    assert given.tokens.tolist() == [[7, 8, 1, 2, 3]]
    assert given.text.tolist() == [[0, 0, 1, 2, 2]]
    assert given.positions.tolist() == [[0, 1, 2, 2, 3]]
    assert given.previous.tolist()[0][2:] == [1, 1, 3]
    assert given.place.tolist() == [[0, 1], [0, 2]]
    assert given.mask[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 0, 1, 0], [1, 1, 0, 1, 1],
    ]  # fmt: skip


def test_rows_are_shared_where_that_is_less_work():
    long = list(range(1, 300))
    assert len(share([(1,) * 40] * 3, [(1, 2)] * 3, 64).tokens) == 1
    assert len(share([(1,)] * 3, [long] * 3, 64).tokens) == 3  # attention would cost more
    assert len(share([(1,) * 40] * 3, [(1, 2)] * 3, None).tokens) == 3


def test_other_models_have_rows_of_their_own():
    assert width_of(small("llama", attn_implementation="eager")) is None
    windowed = small("mistral")
    windowed.config.sliding_window = 4
    assert width_of(windowed) is None
    mixed = small("qwen3")
    mixed.config.layer_types = ["full_attention", "sliding_attention"]
    assert width_of(mixed) is None


def test_a_subclass_may_do_anything_and_has_rows_of_its_own():
    class Scaled(transformers.LlamaForCausalLM):
        """Its logits are not those of its parent."""

    assert width_of(Scaled(small("llama").config)) is None


@pytest.mark.parametrize("kind", rows.SHARES)
def test_a_prompt_is_read_once_for_all_its_draws(kind, monkeypatch):
    model, keys = small(kind), [(0, i) for i in range(6)]
    given = {"max_new_tokens": 6, "end": [0], "temperature": 0.9}
    read = []
    model.register_forward_pre_hook(
        lambda _, args, kwargs: read.append(kwargs["input_ids"].shape[0]), with_kwargs=True
    )
    once = generate.sample(model, PROMPTS, keys, **given)
    monkeypatch.setattr(generate, "width_of", lambda model: None)
    each = generate.sample(model, PROMPTS, keys, **given)
    assert once.tokens == each.tokens and len(set(once.tokens)) > 3
    assert (once.log_probs - each.log_probs).abs().max() < 1e-5
    assert read[0] == 3 and set(read[1:]) == {6}


@pytest.mark.parametrize("tune", ["last-block", "full"])
def test_training_is_the_same_without_sharing(tmp_path, monkeypatch, tune):
    """Two updates in float64; the sharing trainer runs fewer rows, and one block of π_ref."""

    def trained(folder):
        trainer, _ = train(
            folder, model=new_model(2).double(), max_steps=2, tune=tune, kl_coef=0.1,
            log_kl_steps=1,
        )  # fmt: skip
        parameters = [p.detach().reshape(-1) for p in trainer.model.parameters()]
        return trainer, torch.cat(parameters)

    trainer, shared = trained(tmp_path / "shared")
    assert trainer.width == 128
    assert (trainer._trunk is not None) == (tune == "last-block")
    for module, name, value in (
        ("trainer", "width_of", lambda model: None), ("generate", "width_of", lambda model: None),
        ("trainer", "can_share", lambda policy, reference: False),
    ):  # fmt: skip
        monkeypatch.setattr(f"sailtheory.training.llm.{module}.{name}", value)
    trainer, plain = trained(tmp_path / "plain")
    assert trainer.width is None and trainer._trunk is None
    start = torch.cat([p.detach().reshape(-1) for p in new_model(2).double().parameters()])
    assert (shared - plain).norm() < 1e-4 * (plain - start).norm()
