"""The expected gradient of the shipped loss is the exact one; biased variants are seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers", reason="the extra llm is not installed")

from sailtheory import InputError
from sailtheory.training.audit import Term, audit
from sailtheory.training.llm import divergence, losses
from sailtheory.training.llm.generate import Completions
from sailtheory.training.llm.rows import join
from sailtheory.training.pairs import Pairs
from tests.support import llm_enumeration as tiny
from tests.support.llm_enumeration import BETA, gradient, relative_error
from tests.support.llm_shipped import (
    BIASED,
    EXACT,
    MIXTURES,
    PROMPT,
    again,
    all_pairs,
    bias,
    biases,
    enumerable,
    exact_loss,
    expected_loss,
    kl_term,
)


@pytest.fixture(scope="module", params=[3, 4])
def case(request):
    return enumerable(request.param)


@pytest.mark.parametrize("name", MIXTURES)
def test_expected_gradient_is_exact(case, name):
    exact, model, ref = case
    found = gradient(expected_loss(exact, model, ref, MIXTURES[name]), model)
    fresh = again(case)
    wanted = gradient(exact_loss(fresh, MIXTURES[name]), model)
    assert wanted.norm() > 1e-3
    assert relative_error(found, wanted) < EXACT


@pytest.mark.parametrize("name", ["J - 0.3 KL", "all", "online-dpo - KLs"])
def test_value_of_the_loss_is_exact(case, name):
    exact, model, ref = case
    found = expected_loss(exact, model, ref, MIXTURES[name])
    assert float(found) == pytest.approx(float(exact_loss(exact, MIXTURES[name])), abs=1e-12)


def test_vocabulary_of_five():
    model, ref = tiny.tiny(5, 2), tiny.tiny(5, 3)
    exact = tiny.Exact(model, ref, PROMPT, 5)
    assert len(exact.all) == 85
    weights = losses.Weights(beta=BETA, g=1.0, kl_coef=0.2)
    found = gradient(expected_loss(exact, model, ref, weights), model)
    wanted = gradient(exact_loss(tiny.Exact(model, ref, PROMPT, 5), weights), model)
    assert relative_error(found, wanted) < EXACT


def test_sampled_labels_are_unbiased(case):
    exact, model, ref = case
    pairs, q, chance = all_pairs(exact, model, ref)
    found = torch.zeros((), dtype=torch.float64)
    for label in (0.5, -0.5):
        fixed = torch.full_like(q, label)
        weight = chance * (0.5 + q * (1 if label > 0 else -1))
        terms = losses.mixture(losses.Weights(beta=BETA, g=1.0), on_policy=pairs, preference=fixed)
        found = found + sum((term * weight).sum() for term in terms.values())
    assert relative_error(gradient(found, model), gradient(-again(case).j(), model)) < EXACT


@pytest.mark.parametrize("estimator", ["ref-samples", "importance"])
def test_kl_estimators(case, estimator):
    exact, model, ref = case
    term, chance = kl_term(exact, model, ref, estimator)
    found = (term * chance).sum()
    direct = again(case).kl_ref_policy()
    assert float(found) == pytest.approx(float(direct), abs=1e-12)
    assert relative_error(gradient(found, model), gradient(direct, model)) < EXACT


def test_kl_of_the_policy_by_its_own_pairs(case):
    """Value and gradient are exact in the mean, and both vanish at π_ref pair by pair."""
    exact, model, ref = case
    pairs, _, chance = all_pairs(exact, model, ref)
    found = (divergence.kl_policy_pairs(pairs) * chance).sum()
    direct = again(case).kl_policy_ref()
    assert float(found) == pytest.approx(float(direct), abs=1e-12)
    wanted = gradient(direct, model)
    assert relative_error(gradient(found, model), wanted) < EXACT
    # Differentiated as it stands, without a score, the estimate has no gradient in the mean.
    plain = ((pairs.first - pairs.ref_first) * chance).sum()
    assert relative_error(gradient(plain, model), wanted) > 0.5
    same = all_pairs(tiny.Exact(ref, ref, PROMPT, ref.config.vocab_size), ref, ref)[0]
    each = divergence.kl_policy_pairs(same)
    assert float(each.abs().max()) < 1e-13
    assert float(gradient((each * torch.linspace(-1, 1, len(each))).sum(), ref).norm()) < 1e-12


def test_logged_kl_policy_ref(case):
    exact, _, _ = case
    each = divergence.kl_policy_samples(exact.log, exact.ref)
    found = float((each * exact.prob()).sum())
    assert found == pytest.approx(float(exact.kl_policy_ref()), abs=1e-12)


def test_stale_samples_are_weighted(case):
    """Pairs from an older policy q, weighted by π_θ/q, give the exact gradient as well."""
    exact, model, ref = case
    old = tiny.Exact(tiny.tiny(model.config.vocab_size, 7), ref, PROMPT, model.config.vocab_size)
    pairs, q, _ = all_pairs(exact, model, ref)
    n = len(exact.all)
    i, j = torch.arange(n).repeat_interleave(n), torch.arange(n).repeat(n)
    drawn = Completions(
        (PROMPT,) * n, tuple(exact.all), old.log.detach(), temperature=1.0, version=3
    )
    weight = drawn.importance(exact.log, 4, "weight")
    pairs = Pairs(
        pairs.first, pairs.second, pairs.ref_first, pairs.ref_second, weight[i] * weight[j]
    )
    chance = (old.prob()[i] * old.prob()[j]).detach()
    with_kl = losses.Weights(beta=BETA, g=1.0, policy_kl_coef=0.6)
    terms = losses.mixture(with_kl, on_policy=pairs, preference=q)
    found = sum((term * chance).sum() for term in terms.values())
    fresh = again(case)
    wanted = gradient(-fresh.j() + 0.6 * fresh.kl_policy_ref(), model)
    assert relative_error(gradient(found, model), wanted) < EXACT
    wanted = gradient(-again(case).j(), model)
    unweighted = Pairs(pairs.first, pairs.second, pairs.ref_first, pairs.ref_second)
    terms = losses.mixture(losses.Weights(beta=BETA, g=1.0), on_policy=unweighted, preference=q)
    found = sum((term * chance).sum() for term in terms.values())
    assert relative_error(gradient(found, model), wanted) > 0.1
    with pytest.raises(InputError, match="from update 3"):
        drawn.importance(exact.log, 4, "refuse")


# --- named biased variants, with their measured bias ---------------------------------


@pytest.mark.parametrize("name", BIASED)
def test_biased_variants_are_seen(case, name):
    assert bias(case, BIASED[name]) > 0.05


def test_the_listed_biases_are_those_of_the_enumeration():
    """studies/llm_arms/page.md lists them, from studies/llm_arms/bias.json."""
    listed = json.loads(Path("studies/llm_arms/bias.json").read_text(encoding="utf-8"))
    assert listed.keys() == {"3", "4"}
    for vocabulary, found in listed.items():
        assert biases(int(vocabulary)) == pytest.approx(found, abs=1e-6)
        assert found.keys() > BIASED.keys() and min(found.values()) > 0.05


def test_ddp_without_its_preference_gradient_is_nothing(case):
    """u = σ(z) − σ(z) = 0: with rho = 0 the term moves no parameter, and the audit says so."""
    exact, model, ref = case

    def ddp(rho):
        pairs, _, _ = all_pairs(exact, model, ref)
        return losses.mixture(losses.Weights(beta=BETA, r=1.0, rho=rho), offline=pairs)["ddp"]

    for rho, faults in ((0.0, 1), (1.0, 0)):
        term = Term("ddp", lambda rho=rho: ddp(rho).mean(), ("policy",))
        found = audit([term], {"policy": model})
        assert len(found.faults) == faults
        assert (found.effects[0].gradient < 1e-15) == (rho == 0)


def test_weights_refused():
    for options, field in (
        ({"kl_coef": -1.0}, "kl_coef"), ({"beta": 0.0}, "beta"), ({"rho": float("nan")}, "rho"),
        ({"r": 0.5, "g": 0.6}, r"r \+ p \+ g"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=field):
            losses.Weights(**options)
    assert losses.Weights(r=0.4, p=0.3, g=0.3).offline == 0
    with pytest.raises(InputError, match="on-policy pairs = missing"):
        losses.mixture(losses.Weights(g=1.0))
    with pytest.raises(InputError, match=r"completions\[1\] = empty"):
        join([(1,), (1,)], [(2,), ()])
