"""The expected gradient of the shipped loss is the exact one, and wrong versions are seen.

All completions of a tiny model are enumerated; the reference in ``llm_enumeration`` shares
no code with the library.
"""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("transformers")

from llm_enumeration import BETA, gradient, relative_error

from sailtheory import InputError
from sailtheory.training.llm import divergence, losses
from sailtheory.training.llm.generate import Completions, sample
from sailtheory.training.llm.logprobs import forward, join, sequence_log_probs, token_log_probs
from tests import llm_enumeration as tiny

EXACT = 1e-11  # a few thousand float64 operations of condition ~10 each
PROMPT = (1, 2, 1)


@pytest.fixture(scope="module", params=[3, 4])
def case(request):
    vocabulary = request.param
    model, ref = tiny.tiny(vocabulary, 0), tiny.tiny(vocabulary, 1)
    return tiny.Exact(model, ref, PROMPT, vocabulary), model, ref


def shipped_log_probs(exact, model, side="left", temperature=1.0):
    rows = join([exact.prompt] * len(exact.all), exact.all, side=side)
    return sequence_log_probs(model, rows, temperature)


def all_pairs(exact, model, ref):
    """Every pair of completions through the shipped log-probabilities, and its probability."""
    log = shipped_log_probs(exact, model)
    with torch.no_grad():
        log_ref = shipped_log_probs(exact, ref)
    n = len(log)
    i, j = (k.reshape(-1) for k in torch.meshgrid(*[torch.arange(n)] * 2, indexing="ij"))
    weight = (exact.prob()[i] * exact.prob()[j]).detach()
    q = torch.sigmoid(exact.reward[i] - exact.reward[j]) - 0.5
    return losses.Pairs(log[i], log[j], log_ref[i], log_ref[j]), q, weight


def kl_term(exact, model, ref, estimator="ref-samples"):
    """The shipped KL term of every completion, and the chance of drawing it."""
    log = shipped_log_probs(exact, model)
    with torch.no_grad():
        log_ref = shipped_log_probs(exact, ref)
    if estimator == "importance":
        return divergence.kl_importance(log, log_ref), exact.prob().detach()
    return divergence.kl_ref_samples(log, log_ref), exact.ref.exp()


def expected_loss(exact, model, ref, weights, estimator="ref-samples"):
    """The mean of the shipped loss over all draws, whose gradient is the mean gradient."""
    pairs, q, chance = all_pairs(exact, model, ref)
    kl, kl_chance = kl_term(exact, model, ref, estimator)
    offline = losses.Pairs(*(getattr(pairs, f)[5:6] for f in vars(pairs) if f != "importance"))
    terms = losses.mixture(weights, offline=offline, on_policy=pairs, preference=q, kl=kl)
    found = torch.zeros((), dtype=torch.float64)
    for name, term in terms.items():
        if name in ("dpo", "ddp"):
            found = found + term.sum()
        else:
            found = found + (term * (kl_chance if name == "kl" else chance)).sum()
    return found


def exact_loss(exact, weights):
    """−[(1−r−p−g) log σ(z) + r·DDP + p·DPP + g·J − γ KL], the dataset pair being number 5."""
    z = exact.z()[0, 5]
    s = torch.sigmoid(z)
    ddp = s * torch.log(s) + (1 - s) * torch.log(1 - s)
    total = weights.offline * torch.log(s) + weights.r * ddp
    total = total + weights.p * exact.j_self() + weights.g * exact.j()
    return -total + weights.kl_coef * exact.kl_ref_policy()


# --- log-probabilities ----------------------------------------------------------------


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


# --- the gradient ---------------------------------------------------------------------

MIXTURES = {
    "J": losses.Weights(beta=BETA, g=1.0),
    "J - 0.3 KL": losses.Weights(beta=BETA, g=1.0, kl_coef=0.3),
    "J_self": losses.Weights(beta=BETA, p=1.0),
    "ddp": losses.Weights(beta=BETA, r=1.0),
    "dpo": losses.Weights(beta=BETA),
    "dpo - 2 KL": losses.Weights(beta=BETA, kl_coef=2.0),
    "recipe, unit weights": losses.Weights(beta=BETA, g=0.3, kl_coef=1e-3),
    "all": losses.Weights(beta=BETA, r=0.1, p=0.25, g=0.4, kl_coef=0.5),
}


@pytest.mark.parametrize("name", MIXTURES)
def test_expected_gradient_is_exact(case, name):
    exact, model, ref = case
    found = gradient(expected_loss(exact, model, ref, MIXTURES[name]), model)
    fresh = tiny.Exact(model, ref, PROMPT, model.config.vocab_size)
    wanted = gradient(exact_loss(fresh, MIXTURES[name]), model)
    assert wanted.norm() > 1e-3
    assert relative_error(found, wanted) < EXACT


@pytest.mark.parametrize("name", ["J - 0.3 KL", "all"])
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
    assert relative_error(gradient(found, model), gradient(-exact_j(case), model)) < EXACT


def exact_j(case):
    _, model, ref = case
    return tiny.Exact(model, ref, PROMPT, model.config.vocab_size).j()


@pytest.mark.parametrize("estimator", ["ref-samples", "importance"])
def test_kl_estimators(case, estimator):
    exact, model, ref = case
    term, chance = kl_term(exact, model, ref, estimator)
    found = (term * chance).sum()
    direct = tiny.Exact(model, ref, PROMPT, model.config.vocab_size).kl_ref_policy()
    assert float(found) == pytest.approx(float(direct), abs=1e-12)
    assert relative_error(gradient(found, model), gradient(direct, model)) < EXACT


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
    pairs = losses.Pairs(
        pairs.first, pairs.second, pairs.ref_first, pairs.ref_second, weight[i] * weight[j]
    )
    chance = (old.prob()[i] * old.prob()[j]).detach()
    terms = losses.mixture(losses.Weights(beta=BETA, g=1.0), on_policy=pairs, preference=q)
    found = sum((term * chance).sum() for term in terms.values())
    wanted = gradient(-exact_j(case), model)
    assert relative_error(gradient(found, model), wanted) < EXACT
    unweighted = losses.Pairs(pairs.first, pairs.second, pairs.ref_first, pairs.ref_second)
    terms = losses.mixture(losses.Weights(beta=BETA, g=1.0), on_policy=unweighted, preference=q)
    found = sum((term * chance).sum() for term in terms.values())
    assert relative_error(gradient(found, model), wanted) > 0.1
    with pytest.raises(InputError, match="from update 3"):
        drawn.importance(exact.log, 4, "refuse")


# --- named biased variants, with their measured bias ---------------------------------

BIASED = {
    "no score term": losses.Weights(beta=BETA, g=1.0, score_weight=0.0),
    "SAIL recipe, score .3": losses.Weights(beta=BETA, g=1.0, score_weight=0.3),
    "dpp, stop-gradient preference": losses.Weights(beta=BETA, p=1.0, pi=0.0),
    "dpp, SAIL recipe": losses.Weights(beta=BETA, p=1.0, pi=0.2, score_weight=0.2),
    "ddp, stop-gradient preference": losses.Weights(beta=BETA, r=1.0, rho=0.0),
    "ddp, SAIL recipe": losses.Weights(beta=BETA, r=1.0, rho=0.2),
}


@pytest.mark.parametrize("name", BIASED)
def test_biased_variants_are_seen(case, name, record_property):
    exact, model, ref = case
    weights = BIASED[name]
    found = gradient(expected_loss(exact, model, ref, weights), model)
    whole = losses.Weights(beta=BETA, r=weights.r, p=weights.p, g=weights.g)
    fresh = tiny.Exact(model, ref, PROMPT, model.config.vocab_size)
    bias = relative_error(found, gradient(exact_loss(fresh, whole), model))
    record_property("bias", bias)
    print(f"\n{name}, vocabulary {model.config.vocab_size}: relative bias {bias:.3f}")
    assert bias > 0.05


def test_ddp_without_its_preference_gradient_is_nothing(case):
    """u = σ(z) − σ(z) = 0: with rho = 0 the term moves no parameter, and the audit says so."""
    from sailtheory.training.audit import Term, audit

    exact, model, ref = case

    def ddp(rho):
        pairs, _, _ = all_pairs(exact, model, ref)
        return losses.mixture(losses.Weights(beta=BETA, r=1.0, rho=rho), offline=pairs)["ddp"]

    for rho, faults in ((0.0, 1), (1.0, 0)):
        term = Term("ddp", lambda rho=rho: ddp(rho).mean(), ("policy",))
        found = audit([term], {"policy": model})
        assert len(found.faults) == faults
        assert (found.effects[0].gradient < 1e-15) == (rho == 0)


# --- faults of published code, rebuilt ------------------------------------------------


def test_the_published_hook_is_seen(case):
    """A hook that subtracts log σ/log π from the gradient of a loss at log π."""
    from sailtheory.training.audit import Term, audit

    exact, model, ref = case

    def published():
        pairs, q, chance = all_pairs(exact, model, ref)
        g = -losses.pair_loss(pairs, q, BETA).detach()

        def hooked(log):
            copy, value = log * 1.0, log.detach()
            copy.register_hook(lambda grad: grad - chance * g / value)
            return copy

        both = (hooked(pairs.first), hooked(pairs.second))
        wrong = losses.Pairs(*both, pairs.ref_first, pairs.ref_second)
        return (losses.pair_loss(wrong, q, BETA) * chance).sum()

    found, wanted = gradient(published(), model), gradient(-exact_j(case), model)
    weights = losses.Weights(beta=BETA, g=1.0, score_weight=0.0)
    without = gradient(expected_loss(exact, model, ref, weights), model)
    hook, none = relative_error(found, wanted), relative_error(without, wanted)
    print(f"\npublished hook {hook:.3f}, no score term {none:.3f}")
    assert hook > 0.3
    score, hooked = wanted - without, found - without
    cosine = float(score @ hooked / score.norm() / hooked.norm())
    print(f"its score term: cosine {cosine:.3f}, length {hooked.norm() / score.norm():.3f}")
    [fault] = audit([Term("score", published, ("policy",))], {"policy": model}).faults
    assert fault.startswith("score: autograd says")


def token_proxy(exact, model, ref, texts):
    rows = join([exact.prompt] * len(texts), texts, side="right")
    with torch.no_grad():
        ref_logits = forward(ref, rows)
    return divergence.kl_token_proxy(forward(model, rows), ref_logits, rows.tokens, rows.attention)


def test_the_published_token_proxy_is_seen(case):
    exact, model, ref = case
    each = torch.stack([token_proxy(exact, model, ref, [c])[0] for c in exact.all])
    direct = tiny.Exact(model, ref, PROMPT, model.config.vocab_size).kl_ref_policy()
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


# --- sampling -------------------------------------------------------------------------


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
