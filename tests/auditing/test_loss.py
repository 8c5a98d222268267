"""Verdicts on losses: what is zero and where, what fits, what does not, what nobody can tell."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from sailtheory import InputError
from sailtheory.auditing import (
    Kind,
    Sampling,
    SmallModel,
    assert_gradient_of,
    audit_loss,
    library,
    loss_changes,
    small_models,
)
from sailtheory.auditing import estimators as e


def score(batch):
    return (batch.log_probs * batch.mask).sum(-1)


def kl_term(batch):
    return e.in_loss(e.k1)(batch)


def test_zero_in_expectation_is_told_from_zero_in_every_batch():
    found = audit_loss(kl_term, name="the KL term")
    assert found.finding.kind is Kind.ZERO and "regularises nothing" in found.text
    for nothing in (lambda b: 0 * score(b).sum(), lambda b: score(b).sum().detach()):
        found = audit_loss(nothing)
        assert found.finding.kind is Kind.STILL and "does nothing" in found.text
        assert found.against("kl_policy_ref").variance == 0


def test_a_combination_is_found_with_its_coefficients():
    """k3 in the loss, and 0.31 E[log π_θ S] = −0.31 ∇entropy."""

    def loss(batch):
        return e.in_loss(e.k3)(batch) + 0.31 * (score(batch).detach() * score(batch)).mean()

    found = audit_loss(loss)
    assert found.finding.kind is Kind.COMBINATION
    assert found.finding.coefficients == pytest.approx({"entropy": -0.31, "token_kl_ref_policy": 1})
    assert "−0.31·∇the entropy + ∇KL(π_ref‖π_θ) by token" in found.text
    assert_gradient_of(loss, {"entropy": -0.31, "token_kl_ref_policy": 1})


def test_what_fits_one_model_has_to_fit_all():
    """A factor that depends on lengths is no coefficient; a wrong length is no objective."""
    found = audit_loss(e.per_padded_length(e.leave_one_out))
    assert found.finding.kind is Kind.SCALED
    assert found.finding.factors == pytest.approx((-1, -1 / 3))  # ÷ T, T from 1 to 3
    found = audit_loss(e.token_mean(e.leave_one_out))
    assert found.finding.kind is Kind.NONE and 0.01 < found.finding.residual < 1
    assert "no combination of the library: residual " in found.text and found.text.endswith(" %")


def test_large_terms_that_cancel_give_no_verdict():
    """Beside π_ref both divergences have nearly one gradient: any mixture of them would fit."""
    near = [
        replace(m, ref_logits=m.logits + 1e-2 * (m.ref_logits - m.logits)) for m in small_models()
    ]
    found = audit_loss(e.in_loss(e.k3), models=near)
    assert found.finding.kind is Kind.UNDECIDED and found.finding.condition > 1e4
    assert found.finding.residual < 1e-9 and found.finding.cancellation < 2
    assert found.text.startswith("undecided") and "condition" in found.text
    two = [o for o in library() if o.name in ("kl_policy_ref", "kl_ref_policy")]

    def apart(batch):
        """The difference of both, times 10⁴."""
        return 1e4 * (e.whole(lambda k: k.square() / 2)(batch) - e.weighted_ref(batch))

    found = audit_loss(apart, models=near, objectives=two)
    assert found.finding.residual < 1e-9 and found.finding.cancellation > 100
    assert found.finding.condition < 1e4
    assert found.finding.kind is Kind.UNDECIDED


def test_too_few_models_are_refused():
    with pytest.raises(InputError, match="equations"):
        audit_loss(e.in_loss(e.k3), models=small_models()[:4])


def test_objectives_that_coincide_are_named_together():
    """On one token there is no difference between a sequence and its token."""
    single = small_models(draws=12, shapes=((3, 1, None), (4, 1, None)))
    found = audit_loss(e.in_loss(e.k3), models=single, objectives=library())
    assert found.finding.coefficients == pytest.approx({"kl_ref_policy": 1})
    assert found.finding.same["kl_ref_policy"] == ("token_kl_ref_policy",)
    assert "(or KL(π_ref‖π_θ) by token)" in found.text


def test_a_witness_is_the_smallest_model_and_replays():
    loss = e.in_loss(e.k3)
    found = audit_loss(loss).against("token_kl_policy_ref")
    witness = found.witness
    assert 0.1 < found.bias < 1 and len(witness.model.tokens) == 2
    assert witness.replay(loss) and not witness.replay(e.in_loss(e.k2))
    data = json.loads(json.dumps(witness.as_dict()))
    again = SmallModel.from_dict(data["model"])
    # By hand: two tokens, p and q = π_ref; ∇KL(π_ref‖π_θ) = p − q in the first row.
    p, q = (torch.softmax(t[0], -1) for t in (again.logits, again.ref_logits))
    torch.testing.assert_close(torch.tensor(data["expected"]).double()[0], p - q)
    kl = (p * (p / q).log()).sum()
    torch.testing.assert_close(torch.tensor(data["claimed"]).double()[0], p * ((p / q).log() - kl))
    assert audit_loss(e.in_loss(e.k2)).against("token_kl_policy_ref").witness is None


def test_assert_gradient_of_says_what_the_gradient_is_instead():
    assert_gradient_of(e.in_loss(e.k3), "token_kl_ref_policy")
    assert_gradient_of(kl_term, {})
    assert_gradient_of(e.policy_gradient(lambda r: r), {"reward": -1})
    with pytest.raises(AssertionError, match=r"∇KL\(π_ref‖π_θ\) by token.*'logits': \[\["):
        assert_gradient_of(e.in_loss(e.k3), "kl_policy_ref")
    with pytest.raises(AssertionError, match="regularises nothing"):
        assert_gradient_of(kl_term, "kl_policy_ref")
    for wrong in ({"reward": 1}, {"reward": -0.999}, {}):
        with pytest.raises(AssertionError):
            assert_gradient_of(e.policy_gradient(lambda r: r), wrong)
    with pytest.raises(InputError, match="one of reward"):
        assert_gradient_of(kl_term, "kl")


def test_what_changes_with_the_batch():
    """A token mean depends on who shares its batch; a missing mask on the padding."""
    right = loss_changes(e.policy_gradient(e.leave_one_out))
    assert max(right[k] for k in ("batch × 2", "accumulation × 2", "padding + 2")) < 1e-12
    assert right["off-policy"] > 0.1 and right["temperature .7"] > 0.1
    assert loss_changes(e.clipped(e.leave_one_out, "sequence", None))["off-policy"] < 1e-12
    shared = loss_changes(e.token_mean(e.leave_one_out))
    assert shared["accumulation × 2"] > 0.01 and shared["padding + 2"] == 0
    assert loss_changes(e.in_loss(e.k3), Sampling(size=4))["batch × 2"] < 1e-12
    assert loss_changes(e.unmasked(lambda rewards: rewards))["padding + 2"] > 0.1


def test_what_lengths_do():
    """On responses of one length T a mean over tokens is 1/T of the sum."""
    fixed = [m for m in small_models() if m.end is None]
    few = [o for o in library() if o.name in ("reward", "kl_policy_ref", "entropy")]

    def multiples(loss):
        found = audit_loss(loss, models=fixed, objectives=few)
        return found.by_length({"reward": -1})

    assert multiples(e.policy_gradient(e.leave_one_out)) == pytest.approx({1: 1, 2: 1, 3: 1})
    own = multiples(e.of_length(e.leave_one_out))
    assert own == pytest.approx({1: 1, 2: 1 / 2, 3: 1 / 3})


def test_gradients_after_the_end_count():
    """A missing mask moves the model where responses are over, and nowhere else."""
    found = audit_loss(e.unmasked(e.leave_one_out))
    for model, each in zip(found.models, found.gradients, strict=True):
        moved = float(each.mean[-1].norm()) > 1e-6
        assert moved == (not bool(model.mask.all()))


def test_samples_of_the_reference():
    """On draws from π_ref the token sum of KL(π_ref‖π_θ) is the sequence's own: chain rule."""
    found = audit_loss(lambda b: -score(b).mean(), sampling=Sampling(source="ref"))
    assert found.finding.coefficients == pytest.approx({"kl_ref_policy": 1})
    assert "token_kl_ref_policy" in found.finding.same["kl_ref_policy"]
