"""Properties of losses on drawn batches: right losses have them, and a planted fault is found."""

from __future__ import annotations

import pytest
import torch
from hypothesis import find, given, settings
from hypothesis.errors import NoSuchExample

from sailtheory.auditing import estimators as e
from sailtheory.auditing.strategies import batches, models

FEW = settings(max_examples=25, deadline=None, database=None, derandomize=True)
LOSSES = {
    "k3": e.in_loss(e.k3), "RLOO": e.policy_gradient(e.leave_one_out),
    "PPO": e.clipped(e.leave_one_out, "token"), "token mean": e.token_mean(e.group_mean),
}  # fmt: skip


def moved_outside(loss, batch):
    """The gradient on positions that belong to no response."""
    value = loss(batch)
    (found,) = torch.autograd.grad(value, batch.logits, allow_unused=True, materialize_grads=True)
    return float(found[~batch.mask].abs().sum())


@pytest.mark.parametrize("name", LOSSES)
def test_right_losses_leave_padding_alone(name):
    @FEW
    @given(batches(smallest=2))
    def check(batch):
        assert moved_outside(LOSSES[name], batch) == 0

    check()


def test_a_missing_mask_is_found_and_made_small():
    loss = e.unmasked(lambda rewards: rewards)
    drawn = batches(models(shapes=((2, 2, 1),), largest=0.5), largest=1, padding=1)
    found = find(drawn, lambda b: moved_outside(loss, b) > 0, settings=FEW)
    assert found.tokens.shape == (1, 2)  # one response, one token after its end
    with pytest.raises(NoSuchExample):
        find(drawn, lambda b: moved_outside(LOSSES["k3"], b) > 0, settings=FEW)


@FEW
@given(models(binary=True))
def test_models_are_distributions(model):
    for table in (model.logits, model.ref_logits, model.old_logits):
        assert float(model.log_probs(table).exp().sum()) == pytest.approx(1, abs=1e-12)
    assert set(model.reward.tolist()) <= {0.0, 1.0} and float(model.visits(model.logits)[0]) > 0.999
