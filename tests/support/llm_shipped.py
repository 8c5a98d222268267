"""The shipped loss over every completion of an enumerable model, and its exact counterpart.

The exact side shares no code with the library; see ``llm_enumeration``.
"""

from __future__ import annotations

import torch

from sailtheory.training.llm import divergence, losses
from sailtheory.training.llm.logprobs import forward, sequence_log_probs
from sailtheory.training.llm.rows import join
from sailtheory.training.pairs import Pairs, pair_loss
from tests.support import llm_enumeration as tiny
from tests.support.llm_enumeration import BETA, gradient, relative_error

EXACT = 1e-11  # a few thousand float64 operations of condition ~10 each
PROMPT = (1, 2, 1)


def enumerable(vocabulary):
    """All completions of the prompt, the model, and the reference."""
    model, ref = tiny.tiny(vocabulary, 0), tiny.tiny(vocabulary, 1)
    return tiny.Exact(model, ref, PROMPT, vocabulary), model, ref


def again(case):
    """The same completions with a graph that has not been used."""
    _, model, ref = case
    return tiny.Exact(model, ref, PROMPT, model.config.vocab_size)


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
    return Pairs(log[i], log[j], log_ref[i], log_ref[j]), q, weight


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
    offline = Pairs(*(getattr(pairs, f)[5:6] for f in vars(pairs) if f != "importance"))
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
    # Without a score term pairs are weighed as they are drawn: no objective's gradient (C29).
    j = exact.j() if weights.score_weight == 1 else exact.j_of_drawn()
    total = total + weights.p * exact.j_self() + weights.g * j
    kls = weights.kl_coef * exact.kl_ref_policy() + weights.policy_kl_coef * exact.kl_policy_ref()
    return -total + kls


MIXTURES = {
    "J": losses.Weights(beta=BETA, g=1.0),
    "J - 0.3 KL": losses.Weights(beta=BETA, g=1.0, kl_coef=0.3),
    "J_self": losses.Weights(beta=BETA, p=1.0),
    "ddp": losses.Weights(beta=BETA, r=1.0),
    "dpo": losses.Weights(beta=BETA),
    "dpo - 2 KL": losses.Weights(beta=BETA, kl_coef=2.0),
    "recipe, unit weights": losses.Weights(beta=BETA, g=0.3, kl_coef=1e-3),
    "all": losses.Weights(beta=BETA, r=0.1, p=0.25, g=0.4, kl_coef=0.5, policy_kl_coef=0.2),
    "online-dpo": losses.Weights(beta=BETA, g=1.0, score_weight=0.0),
    "online-dpo - KLs": losses.Weights(
        beta=BETA, g=1.0, score_weight=0.0, kl_coef=0.3, policy_kl_coef=0.4
    ),
    "J - 0.3 KL(policy)": losses.Weights(beta=BETA, g=1.0, policy_kl_coef=0.3),
    "dpo - KL(policy)": losses.Weights(beta=BETA, policy_kl_coef=1.0),
}

BIASED = {
    "no score term": losses.Weights(beta=BETA, g=1.0, score_weight=0.0),
    "SAIL recipe, score .3": losses.Weights(beta=BETA, g=1.0, score_weight=0.3),
    "dpp, stop-gradient preference": losses.Weights(beta=BETA, p=1.0, pi=0.0),
    "dpp, SAIL recipe": losses.Weights(beta=BETA, p=1.0, pi=0.2, score_weight=0.2),
    "ddp, stop-gradient preference": losses.Weights(beta=BETA, r=1.0, rho=0.0),
    "ddp, SAIL recipe": losses.Weights(beta=BETA, r=1.0, rho=0.2),
}


def bias(case, weights):
    """Relative error of a variant's expected gradient against that of its whole objective."""
    exact, model, ref = case
    found = gradient(expected_loss(exact, model, ref, weights), model)
    whole = losses.Weights(beta=BETA, r=weights.r, p=weights.p, g=weights.g)
    return relative_error(found, gradient(exact_loss(again(case), whole), model))


def hooked_loss(exact, model, ref):
    """The published hook: it subtracts log σ/log π from the gradient of a loss at log π."""
    pairs, q, chance = all_pairs(exact, model, ref)
    g = -pair_loss(pairs, q, BETA).detach()

    def hooked(log):
        copy, value = log * 1.0, log.detach()
        copy.register_hook(lambda grad: grad - chance * g / value)
        return copy

    both = (hooked(pairs.first), hooked(pairs.second))
    wrong = Pairs(*both, pairs.ref_first, pairs.ref_second)
    return (pair_loss(wrong, q, BETA) * chance).sum()


def token_proxy(exact, model, ref, texts):
    rows = join([exact.prompt] * len(texts), texts, side="right")
    with torch.no_grad():
        ref_logits = forward(ref, rows)
    return divergence.kl_token_proxy(forward(model, rows), ref_logits, rows.tokens, rows.attention)


def biases(vocabulary):
    """Relative biases of all named variants, of the published hook and of the token proxy."""
    case = enumerable(vocabulary)
    _, model, ref = case
    found = {name: bias(case, weights) for name, weights in BIASED.items()}
    wanted = gradient(-again(case).j(), model)
    fresh = again(case)
    found["published hook"] = relative_error(
        gradient(hooked_loss(fresh, model, ref), model), wanted
    )
    wanted = gradient(again(case).kl_ref_policy(), model)
    for source in ("π_ref", "π_θ"):
        fresh = again(case)
        each = torch.stack([token_proxy(fresh, model, ref, [c])[0] for c in fresh.all])
        chance = fresh.ref.exp() if source == "π_ref" else fresh.prob().detach()
        mine = gradient((each * chance).sum(), model)
        found[f"token-proxy KL, y ~ {source}"] = relative_error(mine, wanted)
    return found
