"""The audit accepts honest terms, and catches terms that move nothing."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sailtheory import InputError
from sailtheory.auditing import Term, audit_terms


def net(inputs, outputs=1, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(inputs, 16), nn.LeakyReLU(), nn.Linear(16, outputs))


@pytest.fixture
def pebble():
    """A reward network, a critic and an actor, with one batch for each loss."""
    generator = torch.Generator().manual_seed(1)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    class Agent:
        reward, critic, actor = net(5), net(5, seed=1), net(3, 2, seed=2)
        reference = copy.deepcopy(actor)
        state, action = normal(32, 3), normal(32, 2)
        first, second = normal(32, 10, 5), normal(32, 10, 5)
        label = (normal(32) > 0).float()

        def preference(self):
            margin = self.reward(self.first).sum((1, 2)) - self.reward(self.second).sum((1, 2))
            return F.binary_cross_entropy_with_logits(margin, self.label)

        def q(self):
            return self.critic(torch.cat([self.state, self.action], -1)).mean()

        def groups(self):
            return {"reward": self.reward, "critic": self.critic, "actor": self.actor}

    return Agent()


def test_the_honest_term_is_accepted(pebble):
    found = audit_terms([Term("preference", pebble.preference, ("reward",))], pebble.groups())
    assert found.faults == () and found.unclaimed == ()
    found.require()
    effect = found.effects[0]
    assert effect.change == pytest.approx(effect.gradient, rel=0.1)
    assert effect.still == ("2.bias",)  # a shift of all rewards cancels in the difference
    assert [e.gradient for e in found.effects[1:]] == [0, 0]


def test_the_published_term_is_caught(pebble):
    """λ₁·Q₁(s, a) in the reward network's loss, as published: no reward parameter in it."""
    terms = [
        Term("preference", pebble.preference, ("reward",)),
        Term("sail", lambda: 0.1 * pebble.q(), ("reward",)),
    ]
    found = audit_terms(terms, pebble.groups())
    fault = "sail claims to move reward, and its gradient there is zero"
    assert found.faults == (fault,)
    assert found.unclaimed == ("sail also moves critic",)
    with pytest.raises(InputError, match=fault):
        found.require()
    # given as a tensor the term is caught as well, by autograd alone
    assert audit_terms([Term("sail", pebble.q(), ("reward",))], pebble.groups()).faults == (fault,)
    # hidden in the sum, it is not: the preference term moves the network for both
    whole = Term("loss", lambda: pebble.preference() + 0.1 * pebble.q(), ("reward",))
    assert audit_terms([whole], pebble.groups()).faults == ()


def test_an_honest_sail_term(pebble):
    def sail():
        predicted = pebble.reward(torch.cat([pebble.state, pebble.actor(pebble.state)], -1))
        return -0.1 * predicted.mean()

    found = audit_terms([Term("sail", sail, ("actor",))], pebble.groups())
    assert found.faults == () and found.unclaimed == ("sail also moves reward",)
    assert audit_terms([Term("sail", sail, ("actor", "reward"))], pebble.groups()).unclaimed == ()


def test_a_cut_gradient_is_told_from_no_dependence(pebble):
    def cut():
        detached = {k: v.detach() for k, v in pebble.reward.named_parameters()}
        return torch.func.functional_call(pebble.reward, detached, (pebble.first,)).mean()

    [fault] = audit_terms([Term("sail", cut, ("reward",))], {"reward": pebble.reward}).faults
    assert fault == "sail depends on reward, but its gradient there is cut off"


@pytest.mark.parametrize("scale", [-1.0, 0.5, 1.5])
def test_a_hook_that_falsifies_the_gradient(pebble, scale):
    """As in the published language model code, whose hook had the wrong sign and scale."""

    def hooked():
        predicted = pebble.reward(pebble.first)
        predicted.register_hook(lambda gradient: scale * gradient)
        return predicted.square().mean()

    [fault] = audit_terms([Term("score", hooked, ("reward",))], {"reward": pebble.reward}).faults
    assert fault.startswith("score: autograd says")


def test_a_stationary_point_is_told_from_no_dependence(pebble):
    def kl():
        reference = pebble.reference(pebble.state).detach()
        return (pebble.actor(pebble.state) - reference).square().mean()

    terms = [Term("kl", kl, ("actor",))]
    [fault] = audit_terms(terms, {"actor": pebble.actor}).faults
    assert fault.endswith("it is stationary there: audit at another point")
    with torch.no_grad():
        pebble.actor[0].weight.add_(0.01)
    assert audit_terms(terms, {"actor": pebble.actor}).faults == ()


def test_a_gradient_made_of_rounding():
    x = torch.linspace(-1, 1, 7, requires_grad=True)  # Σ softmax = 1 whatever x is
    found = audit_terms([Term("sum", lambda: torch.softmax(x, 0).sum(), ("x",))], {"x": {"x": x}})
    assert len(found.faults) == 1
    assert "rounding" in found.faults[0] or "is zero" in found.faults[0]


def test_still_parameters_are_named():
    a, b = (torch.ones(3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    found = audit_terms([Term("a", lambda: (a**3).sum(), ("g",))], {"g": {"a": a, "b": b}})
    assert found.faults == () and found.effects[0].still == ("b",)
    assert found.effects[0].gradient == pytest.approx(27**0.5)
    assert found.effects[0].change == pytest.approx(27**0.5, rel=1e-8)


def test_parameters_and_their_gradients_are_left_alone(pebble):
    pebble.preference().backward()
    before = [(p.clone(), p.grad.clone()) for p in pebble.reward.parameters()]
    audit_terms([Term("preference", pebble.preference, ("reward",))], pebble.groups())
    for (value, gradient), parameter in zip(before, pebble.reward.parameters(), strict=True):
        assert torch.equal(value, parameter) and torch.equal(gradient, parameter.grad)


def test_bad_input(pebble):
    groups, dropout = pebble.groups(), nn.Dropout(0.5)
    with pytest.raises(InputError, match="one of reward, critic, actor"):
        audit_terms([Term("a", pebble.q, ("crtic",))], groups)
    with pytest.raises(InputError, match="a repeatable term"):
        audit_terms(
            [Term("a", lambda: dropout(pebble.reward(pebble.first)).mean(), ("reward",))], groups
        )
    with pytest.raises(InputError, match="one finite number"):
        audit_terms([Term("a", lambda: pebble.reward(pebble.first), ("reward",))], groups)
    with pytest.raises(InputError, match="one finite number"):
        audit_terms([Term("a", lambda: pebble.q() * float("nan"), ("critic",))], groups)
    with pytest.raises(InputError, match="no parameters"):
        audit_terms([Term("a", pebble.q, ("x",))], {"x": {}})
    for seed in (-1, 0.5, "x"):
        with pytest.raises(InputError, match=r"seed = .*: an integer ≥ 0"):
            audit_terms([Term("a", pebble.q, ("critic",))], groups, seed=seed)
