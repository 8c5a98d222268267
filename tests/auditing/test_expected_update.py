"""The two parts of a trainer's expected update, against sums that are typed here."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sailtheory import InputError
from sailtheory.auditing import Kind, Sampling
from sailtheory.auditing import estimators as e
from sailtheory.auditing.batches import gradients
from sailtheory.auditing.expected_update import (
    KLS,
    kl_term,
    of_different_lengths,
    of_one_length,
    parts,
)
from sailtheory.auditing.group_reward import group_objectives
from sailtheory.theory.reward_methods import reward_method

BETA = 0.3
MODELS = of_different_lengths()
GROUP = Sampling(size=4, unordered=True)
SLOPES = {
    "std": reward_method("grpo", 4, "sample", 1e-4), "mean": reward_method("dr-grpo", 4)
}  # fmt: skip


def deviation(rewards):
    """(r − mean) ÷ (the sample's deviation + 1e-4)."""
    return (rewards - rewards.mean()) / (rewards.std() + 1e-4)


def with_kl(advantage, kl):
    return lambda b: e.policy_gradient(advantage)(b) + BETA * e.in_loss(kl)(b)


@pytest.mark.parametrize(
    ("loss", "scale", "kl", "gamma"),
    [
        (with_kl(deviation, e.k3), "std", "token_kl_ref_policy", BETA),
        (with_kl(e.group_mean, e.times_ratio(e.k3)), "mean", "token_kl_policy_ref", BETA),
    ],
)
def test_both_parts_of_a_loss(loss, scale, kl, gamma):
    for models in (of_one_length(), MODELS):
        found = parts(loss, models, GROUP, group_objectives(SLOPES[scale]))
        assert found.reward.coefficients == pytest.approx({"shaped_reward": -1.0}, rel=1e-9)
        assert found.kl.coefficients == pytest.approx({kl: BETA}, rel=1e-9)
        assert found.gamma == pytest.approx(gamma, rel=1e-9)
        others = {name: each.distance for name, each in found.apart.items()}
        assert others.pop(kl) < 1e-12 and min(others.values()) > 0.1


def test_another_epsilon_is_found_out():
    """The part of the reward is not f's where f has ε ten times as large."""
    found = parts(
        with_kl(deviation, e.k3),
        MODELS,
        GROUP,
        group_objectives(reward_method("grpo", 4, "sample", 1e-3)),
    )
    assert found.reward.kind is not Kind.COMBINATION and found.gamma is None


def test_the_populations_deviation_is_told_from_the_samples():
    f = group_objectives(reward_method("grpo", 4, "population", 1e-4))
    found = parts(with_kl(deviation, e.k3), MODELS, GROUP, f)
    assert found.reward.coefficients["shaped_reward"] == pytest.approx(-((3 / 4) ** 0.5), rel=1e-4)


def test_a_division_by_length_is_found():
    found = parts(e.of_length(deviation), MODELS, GROUP, group_objectives(SLOPES["std"]))
    assert found.reward.coefficients == pytest.approx({"shaped_reward_per_length": -1.0}, rel=1e-9)
    assert found.kl.kind is Kind.STILL and not found.apart


def test_a_kl_inside_a_logistic_loss_is_found():
    """Online DPO near π_ref: −log σ(βΔ) is β∇V − (β²/2)∇KL(π_θ‖π_ref) up to β³."""
    small = 1e-4

    def loss(batch):
        return e.pair(lambda d: -torch.nn.functional.logsigmoid(small * d))(ordered(batch))

    found = parts(loss, MODELS, Sampling(), group_objectives(reward_method("reward")))
    apart = found.apart["kl_policy_ref"]
    assert found.reward.coefficients == pytest.approx({"shaped_reward": -small}, rel=1e-9)
    assert apart.distance < 1e-6
    assert apart.multiple == pytest.approx(small**2 / 2, rel=1e-6)


def ordered(batch):
    """The response of the larger reward first."""
    if batch.rewards[0] >= batch.rewards[1]:
        return batch
    swapped = {k: v.flip(0) for k, v in vars(batch).items() if isinstance(v, torch.Tensor)}
    return replace(batch, **swapped)


def test_the_sequence_is_told_from_its_tokens():
    """k1 in the reward is KL(π_θ‖π_ref) of whole responses, and by token only with one token."""
    found = [gradients(e.in_reward(e.k1), m, Sampling()) for m in MODELS]
    finding, apart = kl_term(found, MODELS, Sampling())
    assert finding.coefficients == pytest.approx({"kl_policy_ref": 1.0}, rel=1e-9)
    assert apart["token_kl_policy_ref"].distance > 0.1
    assert set(apart) == set(KLS)


def test_batches_up_to_order():
    """Every multiset once gives what every batch gives; what depends on the order is refused."""
    loss, model = with_kl(deviation, e.k3), MODELS[0]
    one = gradients(loss, model, Sampling(size=4))
    other = gradients(loss, model, GROUP)
    assert len(other.chance) < len(one.chance) / 4
    assert float(other.chance.sum()) == pytest.approx(1, rel=1e-12)
    torch.testing.assert_close(other.mean, one.mean, rtol=1e-10, atol=1e-12)
    assert other.variance == pytest.approx(one.variance, rel=1e-9)
    many = gradients(e.in_loss(e.k3), model, Sampling(size=40, unordered=True))
    once = gradients(e.in_loss(e.k3), model, Sampling(size=1))
    torch.testing.assert_close(many.mean, once.mean, rtol=1e-9, atol=1e-12)
    with pytest.raises(InputError, match="does not depend on the order"):
        gradients(e.pair(lambda d: d.square() + d), model, Sampling(size=2, unordered=True))
    with pytest.raises(InputError, match="neither labels"):
        Sampling(size=2, labelled=True, unordered=True)
