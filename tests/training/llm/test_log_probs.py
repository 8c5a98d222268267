"""Log-probabilities and draws of an enumerable model: sums to one, and nothing else passes."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("transformers", reason="the extra llm is not installed")

from sailtheory.training.llm.generate import sample
from sailtheory.training.llm.logprobs import forward, sequence_log_probs, token_log_probs
from sailtheory.training.llm.rows import join
from tests.support import llm_enumeration as tiny
from tests.support.llm_shipped import PROMPT, enumerable, shipped_log_probs


@pytest.fixture(scope="module", params=[3, 4])
def case(request):
    return enumerable(request.param)


def test_probabilities_of_all_completions_sum_to_one(case):
    exact, model, _ = case
    assert float(shipped_log_probs(exact, model).exp().sum().detach()) == pytest.approx(
        1, abs=1e-13
    )


@pytest.mark.parametrize("temperature", [1.0, 0.6, 2.5])
@pytest.mark.parametrize("side", ["left", "right"])
def test_log_probs_whatever_the_padding_and_temperature(case, side, temperature):
    exact, model, ref = case
    direct = tiny.Exact(model, ref, PROMPT, model.config.vocab_size, temperature)
    found = shipped_log_probs(exact, model, side, temperature)
    torch.testing.assert_close(found, direct.log, rtol=0, atol=1e-13)


def test_padding_inside_a_batch_of_unequal_prompts():
    model = tiny.tiny()
    prompts, texts = [(1,), (2, 1, 2, 2, 1), (1, 2)], [(1, 2, 0), (0,), (2, 2, 2)]
    alone = torch.stack([tiny.log_prob(model, p, c) for p, c in zip(prompts, texts, strict=True)])
    for side in ("left", "right"):
        for pad in (0, 2):
            found = sequence_log_probs(model, join(prompts, texts, pad=pad, side=side))
            torch.testing.assert_close(found, alone, rtol=0, atol=1e-13)


def test_the_wrong_shift_is_seen(case):
    """Read at the token itself instead of before it, the numbers are no distribution."""
    exact, model, _ = case
    rows = join([PROMPT] * len(exact.all), exact.all)
    log = torch.log_softmax(forward(model, rows), -1).gather(-1, rows.tokens[..., None])[..., 0]
    wrong = (log * rows.completion).sum(-1).exp().sum()
    assert abs(float(wrong.detach()) - 1) > 0.05


@pytest.mark.parametrize("wrong", ["mean", "no end token", "no temperature"])
def test_other_wrong_log_probs_are_seen(case, wrong):
    exact, model, ref = case
    rows = join([PROMPT] * len(exact.all), exact.all)
    if wrong == "mean":
        log = sequence_log_probs(model, rows) / rows.completion.sum(-1)
    elif wrong == "no end token":
        each = token_log_probs(model, rows)
        ends = rows.tokens[:, -each.shape[1] :] == tiny.EOS
        log = (each * ~ends).sum(-1)
    else:
        sampled_at = tiny.Exact(model, ref, PROMPT, model.config.vocab_size, 0.6)
        found = sequence_log_probs(model, rows).detach()
        assert float((found - sampled_at.log.detach()).abs().max()) > 0.1
        return
    assert abs(float(log.exp().sum().detach()) - 1) > 0.05


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_samples_come_from_the_policy(temperature):
    """χ² of 4,000 draws against enumerated chances, below its 1e-6 quantile."""
    from scipy.stats import chi2

    model, count = tiny.tiny(3, 0), 4000
    exact = tiny.Exact(model, model, PROMPT, 3, temperature)
    drawn = sample(
        model, [PROMPT] * count, [(0, i) for i in range(count)],
        max_new_tokens=3, end=[tiny.EOS], temperature=temperature,
    )  # fmt: skip
    place = {c: i for i, c in enumerate(exact.all)}
    seen = torch.zeros(len(place), dtype=torch.float64)
    for text in drawn.tokens:
        seen[place[text]] += 1

    def statistic(chances):
        return float(((seen - count * chances) ** 2 / (count * chances)).sum())

    with torch.no_grad():
        assert statistic(exact.prob()) < chi2.ppf(1 - 1e-6, len(place) - 1)
        wrong = tiny.Exact(model, model, PROMPT, 3, 1.6 - temperature)
        assert statistic(wrong.prob()) > chi2.ppf(1 - 1e-6, len(place) - 1)
        of = exact.log[[place[t] for t in drawn.tokens]]
    torch.testing.assert_close(drawn.log_probs, of, rtol=0, atol=1e-12)


def test_a_row_gets_its_completion_in_any_batch():
    model = tiny.tiny(4, 2)
    prompts, keys = [(1,), (2, 1, 2, 3), (3, 3)] * 4, [("row", i) for i in range(12)]
    options = {"max_new_tokens": 6, "end": [tiny.EOS]}
    together = sample(model, prompts, keys, **options)
    assert len(set(together.tokens)) > 4
    for i, (prompt, key) in enumerate(zip(prompts, keys, strict=True)):
        alone = sample(model, [prompt], [key], **options)
        assert alone.tokens[0] == together.tokens[i]
        torch.testing.assert_close(alone.log_probs[0], together.log_probs[i], rtol=0, atol=1e-12)
    log = sequence_log_probs(model, join(prompts, together.tokens))
    torch.testing.assert_close(log.detach(), together.log_probs, rtol=0, atol=1e-12)
