"""Expected gradients against losses of a model with parameters, batch by batch."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch

from sailtheory import InputError
from sailtheory.auditing import LossBatch, Sampling, small_models
from sailtheory.auditing.batches import gradients

MODEL = next(m for m in small_models() if len(m.tokens) == 4 and m.end is not None)


def loss(batch):
    """Something that looks at everything, past the end too, and is no mean over responses."""
    ratio = batch.log_probs - batch.ref_log_probs
    weight = (batch.log_probs - batch.old_log_probs).exp()
    each = (weight * ratio.square() * batch.mask).sum(-1) * (batch.rewards - batch.rewards.mean())
    entropy = torch.softmax(batch.logits, -1).square() * torch.softmax(batch.ref_logits, -1)
    each = each * torch.arange(1, len(each) + 1)  # the first response is told from the second
    past = batch.log_probs.square().sum() / 10
    return each.sum() / batch.mask.sum() + (entropy.sum(-1) * batch.mask).mean() + past


def direct(loss, model, sampling):
    """Σ P(batch) loss(batch) over batches, with probabilities as numbers, differentiated."""
    table = model.logits.clone().requires_grad_()
    old = {"policy": model.logits, "old": model.old_logits, "ref": model.ref_logits}
    drawn = torch.log_softmax(old[sampling.source] / sampling.temperature, -1)
    recorded = model.old_logits if sampling.source == "old" else model.logits
    m, total, mass = len(model.tokens), 0.0, 0.0
    for rows in itertools.product(range(m), repeat=sampling.size):
        chance = 1.0
        for k in rows:
            for t in range(int(model.mask[k].sum())):
                chance *= float(drawn[model.states[k, t], model.tokens[k, t]].exp())
        if sampling.labelled:
            for a, b in zip(rows[::2], rows[1::2], strict=True):
                chance *= 2 / (1 + float((model.reward[b] - model.reward[a]).exp()))
        rows, extra = list(rows), sampling.padding
        end = model.end or 0
        tokens = torch.nn.functional.pad(model.tokens[rows], (0, extra), value=end)
        states = torch.nn.functional.pad(model.states[rows], (0, extra), value=model.prefixes)
        mask = torch.nn.functional.pad(model.mask[rows], (0, extra), value=False)
        logs = [
            torch.log_softmax(t, -1)[states].gather(-1, tokens[..., None])[..., 0]
            for t in (table, model.ref_logits, recorded)
        ]
        batch = LossBatch(
            tokens, mask, *logs, model.reward[rows], table[states], model.ref_logits[states]
        )
        step = sampling.size // sampling.accumulation
        parts = [batch.rows(k, k + step) for k in range(0, sampling.size, step)]
        total = total + chance * sum(loss(part) for part in parts) / len(parts)
        mass += chance
    assert mass == pytest.approx(1, abs=1e-12)
    (found,) = torch.autograd.grad(total, table)
    return found


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"source": "old"},
        {"source": "ref"},
        {"labelled": True},
        {"temperature": 0.7},
        {"padding": 2},
        {"size": 4, "accumulation": 2},
        {"size": 1},
    ],
)
def test_the_mean_gradient_is_that_of_the_sum_over_batches(change):
    model = MODEL if change.get("size", 2) < 4 else small_models()[2]
    sampling = replace(Sampling(), **change)
    found = gradients(loss, model, sampling)
    assert float(found.chance.sum()) == pytest.approx(1, abs=1e-12)
    torch.testing.assert_close(found.mean, direct(loss, model, sampling), rtol=1e-11, atol=1e-13)


def test_a_loss_that_branches_on_numbers_has_the_same_gradients():
    """It cannot be evaluated on all batches at once."""

    def branching(batch):
        return loss(batch) if float(batch.rewards[0]) >= 0 else 0 * loss(batch)

    one, other = (gradients(f, MODEL, Sampling()) for f in (loss, branching))
    torch.testing.assert_close(one.each, other.each, rtol=1e-12, atol=1e-14)
    assert one.variance == pytest.approx(other.variance)


def test_variance_is_that_of_batches():
    """Two batches of probability ½ and gradients ±1, of a policy that draws one of two tokens."""
    model = replace(small_models()[0], logits=torch.zeros(2, 2, dtype=torch.float64))
    found = gradients(lambda b: b.log_probs.sum(), model, Sampling(size=1))
    assert found.each[:, 0].tolist() == [[0.5, -0.5], [-0.5, 0.5]]
    assert found.variance == pytest.approx(0.5) and found.size == pytest.approx(0.5**0.5)
    assert float(found.mean.norm()) == 0


def test_bad_losses_and_settings_are_refused():
    model = small_models()[-1]
    for bad, what in (
        (lambda b: b.log_probs, "one number"),
        (lambda b: 1.0, "one number"),
        (lambda b: b.log_probs.sum() * float("nan"), "finite"),
        (lambda b: b.log_probs.sum() + torch.rand(()), "same value"),
    ):
        with pytest.raises(InputError, match=what):
            gradients(bad, MODEL, Sampling())
    with pytest.raises(InputError, match="at most 16384"):
        gradients(loss, model, Sampling(size=5))
    for settings in (
        {"size": 0},
        {"source": "other"},
        {"size": 3, "labelled": True},
        {"temperature": 0.0},
        {"size": 3, "accumulation": 2},
        {"padding": -1},
    ):
        with pytest.raises(InputError):
            Sampling(**settings)
