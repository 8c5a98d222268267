"""Rules, sentiment and classifiers as rewards; labels drawn from them."""

from __future__ import annotations

import copy

import pytest

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("accelerate", reason="the extra llm is not installed")
import torch

from sailtheory import InputError
from sailtheory.training.llm import preferences as rewards
from tests.support.llm_models import new_model, tokenizer


def test_rules():
    texts = ["one two three", "A Cat, a tree", "42"]
    assert rewards.length(3)(completions=texts) == [0.0, -0.1, -0.2]
    assert rewards.keywords(["cat", "tre"])(completions=texts) == [0.0, 0.5, 0.0]
    assert rewards.matches(r"\d+")(completions=texts) == [0.0, 0.0, 1.0]
    with pytest.raises(InputError, match="regular expression"):
        rewards.matches("(")


def test_vader():
    pytest.importorskip("vaderSentiment")
    good, bad = rewards.vader()(completions=["I love this.", "I hate this."])
    assert good > 0 > bad


def test_classifier():
    from transformers import LlamaForSequenceClassification

    torch.manual_seed(0)
    model = LlamaForSequenceClassification(copy.copy(new_model().config))
    with pytest.raises(InputError, match="2 labels"):
        rewards.as_reward(model, tokenizer())
    settings = new_model().config
    settings.num_labels = 1
    judge = rewards.as_reward(LlamaForSequenceClassification(settings), tokenizer())
    texts = ["a b c", "the old house by the sea"]
    together = judge(prompts=["Say: "] * 2, completions=texts)
    alone = [judge(prompts=["Say: "], completions=[t])[0] for t in texts]
    assert together == pytest.approx(alone, abs=1e-5) and together[0] != together[1]


def test_sampled_labels_have_the_right_mean():
    q = torch.tensor([0.2, -0.5, 0.5, 0.0], dtype=torch.float64)
    grid = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    means = torch.stack([rewards.sampled(q, u.expand(4)) for u in grid]).mean(0)
    torch.testing.assert_close(means, q, rtol=0, atol=1e-3)
