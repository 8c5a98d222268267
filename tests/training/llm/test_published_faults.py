"""Faults of published code, rebuilt: the audit and the enumeration see each of them."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("transformers", reason="the extra llm is not installed")

from sailtheory import InputError
from sailtheory.auditing import Term, audit_terms
from sailtheory.training.llm import losses
from sailtheory.training.llm.generate import sample
from tests.support import llm_enumeration as tiny
from tests.support.llm_enumeration import BETA, gradient, relative_error
from tests.support.llm_shipped import (
    PROMPT,
    again,
    all_pairs,
    enumerable,
    expected_loss,
    hooked_loss,
    kl_term,
    token_proxy,
)


@pytest.fixture(scope="module", params=[3, 4])
def case(request):
    return enumerable(request.param)


def test_the_published_hook_is_seen(case):
    """A hook that subtracts log σ/log π from the gradient of a loss at log π."""
    exact, model, ref = case

    def published():
        return hooked_loss(exact, model, ref)

    found, wanted = gradient(published(), model), gradient(-again(case).j(), model)
    weights = losses.Weights(beta=BETA, g=1.0, score_weight=0.0)
    without = gradient(expected_loss(exact, model, ref, weights), model)
    hook, none = relative_error(found, wanted), relative_error(without, wanted)
    print(f"\npublished hook {hook:.3f}, no score term {none:.3f}")
    assert hook > 0.3
    score, hooked = wanted - without, found - without
    cosine = float(score @ hooked / score.norm() / hooked.norm())
    print(f"its score term: cosine {cosine:.3f}, length {hooked.norm() / score.norm():.3f}")
    [fault] = audit_terms([Term("score", published, ("policy",))], {"policy": model}).faults
    assert fault.startswith("score: autograd says")


def test_the_published_token_proxy_is_seen(case):
    exact, model, ref = case
    each = torch.stack([token_proxy(exact, model, ref, [c])[0] for c in exact.all])
    direct = again(case).kl_ref_policy()
    wanted = gradient(direct, model)
    for source, chance in (("π_ref", exact.ref.exp()), ("π_θ", exact.prob().detach())):
        bias = relative_error(gradient((each * chance).sum(), model), wanted)
        print(f"\ntoken proxy, y ~ {source}: relative bias {bias:.3f}")
        assert bias > 0.3
    assert float(each.min()) < 0  # "KL" values below zero
    # At π_θ = π_ref every honest estimator of the KL has value and mean gradient zero.
    same = tiny.Exact(model, model, PROMPT, model.config.vocab_size)
    each = torch.stack([token_proxy(same, model, model, [c])[0] for c in same.all])
    term, chance = kl_term(same, model, model)
    assert float(gradient((term * chance).sum(), model).norm()) < 1e-12
    assert float(gradient((each * same.prob().detach()).sum(), model).norm()) > 1e-2


def test_the_prompt_shuffle_is_seen():
    """Completions generated for other prompts: refused by identity, and biased if let through."""
    model, ref = tiny.tiny(3, 0, spread=2.5), tiny.tiny(3, 1)
    prompts = [(1, 2, 1), (2, 2, 1)]
    mine, other = (tiny.Exact(model, ref, p) for p in prompts)
    pairs, q, _ = all_pairs(mine, model, ref)
    n = len(mine.all)
    i, j = torch.arange(n).repeat_interleave(n), torch.arange(n).repeat(n)
    chance = (other.prob()[i] * other.prob()[j]).detach()
    terms = losses.mixture(losses.Weights(beta=BETA, g=1.0), on_policy=pairs, preference=q)
    found = gradient(sum((term * chance).sum() for term in terms.values()), model)
    bias = relative_error(found, gradient(-tiny.Exact(model, ref, prompts[0]).j(), model))
    print(f"\nshuffled prompts: relative bias {bias:.3f}")
    assert bias > 0.05
    drawn = sample(model, prompts, [(0,), (1,)], max_new_tokens=3, end=[0])
    drawn.require(prompts, 1.0)
    with pytest.raises(InputError, match=r"completions\[0\] = of another prompt"):
        drawn.require(prompts[::-1], 1.0)
    with pytest.raises(InputError, match="as in the loss"):
        drawn.require(prompts, 0.7)
