"""Draws y ~ π_ref: new ones each pass, drawn ahead, and what training on old ones would do."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("accelerate", reason="the extra llm is not installed")
from sailtheory.training.llm.generate import Completions, sample
from sailtheory.training.llm.logprobs import sequence_log_probs
from sailtheory.training.llm.reference_draws import ReferenceDraws
from sailtheory.training.llm.rows import join
from tests.support.llm_models import new_model, train

ITEMS = [{"index": i, "prompt_ids": [i, 7]} for i in range(6)]


class Draw:
    """Draws that say what they were drawn for, and how many at a time."""

    def __init__(self):
        self.calls = []

    def __call__(self, items, keys):
        self.calls.append(len(items))
        texts = tuple(
            (hash(key) % 1000, item["index"]) for item, key in zip(items, keys, strict=True)
        )
        prompts = tuple(tuple(item["prompt_ids"]) for item in items)
        return Completions(prompts, texts, torch.arange(float(len(items))), 1.0, 0)


def test_a_pass_has_its_own_draws():
    draws, draw = ReferenceDraws(1.0), Draw()
    first = draws.of(ITEMS, 2, 0, draw)
    assert draws.of(ITEMS, 2, 0, draw).tokens == first.tokens and draw.calls == [12]
    second = draws.of(ITEMS, 2, 1, draw)
    assert draw.calls == [12, 12] and not set(first.tokens) & set(second.tokens)
    assert [text[1] for text in second.tokens] == [i for i in range(6) for _ in range(2)]


def test_draws_ahead_are_those_that_would_be_drawn():
    ahead, alone = (ReferenceDraws(1.0) for _ in range(2))
    many, few = Draw(), Draw()
    for k in range(0, 6, 2):
        found = ahead.of(ITEMS[k : k + 2], 1, 3, many, ahead=ITEMS, most=2)
        assert found.tokens == alone.of(ITEMS[k : k + 2], 1, 3, few).tokens
    assert many.calls == [4, 2] and few.calls == [2, 2, 2]


def test_a_prompt_that_was_changed_is_drawn_for_again():
    draws, draw = ReferenceDraws(1.0), Draw()
    draws.of(ITEMS[:1], 1, 0, draw, ahead=ITEMS, most=5)
    changed = ITEMS[3] | {"prompt_ids": [9, 9, 9]}
    found = draws.of([ITEMS[2], changed], 1, 0, draw)
    assert draw.calls == [6, 1] and found.prompts == ((2, 7), (9, 9, 9))


def test_state_comes_back():
    draws, draw = ReferenceDraws(1.0), Draw()
    wanted = draws.of(ITEMS[:2], 2, 4, draw, ahead=ITEMS, most=2)
    other = ReferenceDraws(1.0)
    other.restore(draws.state())
    found = other.of(ITEMS[:2], 2, 4, draw)
    assert (found.tokens, found.prompts) == (wanted.tokens, wanted.prompts)
    assert torch.equal(found.log_probs, wanted.log_probs)
    other.of(ITEMS[2:4], 2, 4, draw)
    assert len(draw.calls) == 1
    other.restore(None)
    assert other.of(ITEMS[:2], 2, 0, draw).tokens != wanted.tokens


def kl_by_fresh_draws(trainer, count):
    """KL(π_ref‖π_θ) over the training prompts, by draws that nothing was trained on: each (n,)."""
    items = trainer.train_dataset * count
    prompts = [item["prompt_ids"] for item in items]
    drawn = sample(
        trainer.ref_model, prompts, [("fresh", i) for i in range(len(items))],
        max_new_tokens=8, end=trainer.end_ids,
    )  # fmt: skip
    with torch.no_grad():
        return drawn.log_probs - sequence_log_probs(trainer.model, join(prompts, drawn.tokens))


def test_the_logged_kl_is_that_of_draws_not_trained_on(tmp_path):
    """After ten passes; draws that came back each pass would have it at −10 nats."""
    trainer, _ = train(
        tmp_path, model=new_model(2), max_steps=-1, num_train_epochs=10, kl_coef=0.1,
        log_kl_steps=1, lr_scheduler_type="constant",
    )  # fmt: skip
    fresh = kl_by_fresh_draws(trainer, 40)
    logs = [row["kl_ref_policy"] for row in trainer.state.log_history if "kl_ref_policy" in row]
    assert len(logs) == 20
    error = float(fresh.std()) * (1 / 32 + 1 / len(fresh)) ** 0.5  # the last 8 logs: 32 draws
    found = sum(logs[-8:]) / 8
    assert abs(found - float(fresh.mean())) < 5 * error + 0.1  # π_θ moves within the 8 updates
    assert 0 < float(fresh.mean())


@pytest.mark.parametrize("ahead, calls", [(1, 4), (2, 2), (8, 2)])
def test_training_with_draws_ahead(tmp_path, monkeypatch, ahead, calls):
    """Two passes of two batches: the same numbers, in fewer calls."""
    counted, real = [], sample

    def counting(model, prompts, keys, **options):
        counted.append(keys[0][1])
        return real(model, prompts, keys, **options)

    monkeypatch.setattr("sailtheory.training.llm.trainer.sample", counting)

    def trained(ahead):
        counted.clear()
        trainer, _ = train(
            tmp_path / str(len(list(tmp_path.iterdir()))), model=new_model(2).double(),
            max_steps=4, kl_coef=0.1, ref_ahead=ahead, log_kl_steps=0,
        )  # fmt: skip
        parameters = [p.detach().reshape(-1) for p in trainer.model.parameters()]
        return torch.cat(parameters), counted.count("ref"), trainer.tokens_drawn

    found, seen, tokens = trained(ahead)
    plain, _, spent = trained(1)
    assert seen == calls and tokens == spent
    start = torch.cat([p.detach().reshape(-1) for p in new_model(2).double().parameters()])
    assert (found - plain).norm() < 1e-4 * (plain - start).norm()
