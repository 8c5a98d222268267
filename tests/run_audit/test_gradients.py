"""What logged gradients are made of: what is there is named, and no term that is not there.

The loops are autograd's, on the losses as they are defined; ``followed`` sees θ and gradients.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra torch is not installed")

import torch

from sailtheory.problem.preferences import BradleyTerry, PreferenceMatrix
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.run_audit.gradients import followed
from sailtheory.run_audit.trace import Point
from tests.support.plain_loop import loss_of

PROMPTS, RESPONSES, BETA = 4, 3, 0.1


def reward_less_kl(log, ref, p, r, gamma=0.25, other=0.0):
    """−E[r] + γKL(π_ref‖π_θ) + γ'KL(π_θ‖π_ref)."""
    kl, back = (ref.exp() * (ref - log)).sum(-1).mean(), (log.exp() * (log - ref)).sum(-1).mean()
    return -(log.exp() * r).sum(-1).mean() + gamma * kl + other * back


def ipo(log, ref, p, r):
    """(h − 1/2β)² on the policy's own pairs."""
    h = (log - ref)[:, :, None] - (log - ref)[:, None, :]
    pairs = (log.exp()[:, :, None] * log.exp()[:, None, :]).detach()
    return BETA * (pairs * p * (h - 1 / (2 * BETA)) ** 2).sum((1, 2)).mean()


def another_reward(log, ref, p, r):
    return reward_less_kl(log, ref, p, r.flip(-1) ** 2)


def chi_squared(log, ref, p, r):
    return reward_less_kl(log, ref, p, r, 0.0) + 0.25 * ((2 * log - ref).exp()).sum(-1).mean()


def family(score=0.0, gamma=0.25, other=0.0):
    return lambda log, ref, p, r: loss_of(log, ref, p, BETA, gamma, score, other)


def descended(
    loss, d, *, steps=60, noise=0.0, bend=0.0, dtype=torch.float64, rewards=True, seed=0
):  # fmt: skip
    """What is found in steps of gradient descent, each with noise of its own.

    ``bend`` is by how much of their size gradients are off, and known to be.
    """
    draw = torch.Generator().manual_seed(seed)
    phi = torch.randn(PROMPTS, RESPONSES, d, generator=draw, dtype=dtype)
    r = torch.randn(PROMPTS, RESPONSES, generator=draw, dtype=dtype)
    p = torch.sigmoid(r[:, :, None] - r[:, None, :])
    theta, points = torch.zeros(d, dtype=dtype, requires_grad=True), []
    ref = torch.log_softmax(phi @ theta, -1).detach()
    for step in range(steps):
        log = torch.log_softmax(phi @ theta, -1)
        (slope,) = torch.autograd.grad(loss(log, ref, p, r), theta)
        slope = slope + noise * torch.randn(d, generator=draw, dtype=dtype)
        slope = slope + bend * slope.norm() * torch.cos(torch.arange(d, dtype=dtype) + step / 9)
        at, steep = (v.detach().double().numpy().copy() for v in (theta, slope))
        points.append(Point(step, theta=at, gradient=steep))
        theta = (theta - 0.5 * slope).detach().requires_grad_()
    judged = [BradleyTerry(row) for row in r.double().numpy()] if rewards else [
        PreferenceMatrix(m) for m in p.double().numpy()
    ]  # fmt: skip
    problem = PreferenceProblem(
        features=list(phi.double().numpy()), preferences=judged, beta=BETA, radius=1.0
    )
    eps = torch.finfo(dtype).eps
    return followed(problem, tuple(points), bend, 64 * eps * (1 + np.log(RESPONSES)))


NAMED = {
    "reward less KL": (reward_less_kl, True, 0.0, 0.25, 0.0),
    "reward less the other KL": (
        lambda *a: reward_less_kl(*a, gamma=0.0, other=0.25), True, 0.0, 0.0, 0.25),
    "online DPO": (family(), False, 0.0, 0.25, 0.0),
    "SAIL": (family(1.0, 1.0), False, 1.0, 1.0, 0.0),
    "a fifth of the score term": (family(0.2), False, 0.2, 0.25, 0.0),
    "online DPO with the other KL": (family(0.0, 0.0, 0.25), False, 0.0, 0.0, 0.25),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("d", [2, 3, 6])
@pytest.mark.parametrize("name", NAMED)
def test_exact_gradients_are_named(name, d, dtype):
    """With two features a reward less a KL is neither DPO's term nor with a score term."""
    loss, rewarded, *expected = NAMED[name]
    found = descended(loss, d, dtype=dtype)
    assert (found.doubt, found.unclear, found.rewarded) == ("", "", rewarded)
    assert found.noise == 0 or dtype == torch.float32
    for (value, error), true in zip((found.score, found.gamma, found.other), expected, strict=True):
        assert abs(value - true) <= 4 * error + 1e-9 and error < 0.05


@pytest.mark.parametrize("loss", [reward_less_kl, family()])
@pytest.mark.parametrize("seed", range(3))
def test_what_gradients_are_known_to_be_off_by_is_in_the_intervals(seed, loss):
    found = descended(loss, 6, bend=1e-4, seed=seed)
    assert not found.doubt and found.noise == 0
    for (value, error), true in zip((found.score, found.gamma), (0.0, 0.25), strict=True):
        assert abs(value - true) <= 2 * error


@pytest.mark.parametrize("rewards", [True, False])
@pytest.mark.parametrize("d", [1, 2, 3, 6])
@pytest.mark.parametrize("loss", [ipo, another_reward, chi_squared])
def test_no_term_is_named_in_another_loss(loss, d, rewards):
    found = descended(loss, d, rewards=rewards)
    assert found.doubt or found.unclear
    assert found.foreign or d == 1


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("rewards", [True, False])
@pytest.mark.parametrize("d", [1, 2, 6])
@pytest.mark.parametrize("noise", [1e-3, 1e-5])
def test_noise_does_not_turn_a_reward_into_preferences(noise, d, rewards, seed):
    """Of p alone, the reward is that of its log-odds."""
    found = descended(reward_less_kl, d, noise=noise, rewards=rewards, steps=100, seed=seed)
    assert found.doubt or found.unclear or found.rewarded
    if d == 6:
        assert found.rewarded and abs(found.gamma[0] - 0.25) < 4 * found.gamma[1] < 0.02
        assert found.noise == pytest.approx(d * noise**2, rel=0.3)


def test_in_one_dimension_the_terms_are_not_told_apart():
    found = descended(family(), 1)
    assert "1 dimension (condition number" in found.unclear and not found.penalised
    assert found.unclear.endswith("; log more prompts or responses")
    coarse = descended(family(), 1, dtype=torch.float32)
    assert coarse.unclear.endswith("; log more prompts or responses, in float64")


def test_few_noisy_updates_do_not_tell_noise_from_another_loss():
    found = descended(family(), 3, steps=12, noise=1e-3)
    assert "another loss: 34 or more do" in found.doubt and not found.foreign


def test_noise_alone_is_seldom_taken_for_another_loss():
    found = [descended(family(), 2, noise=1e-3, steps=40, seed=k).doubt for k in range(20)]
    assert not any(found)
