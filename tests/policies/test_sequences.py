"""Policies over listed sequences, against enumeration token by token and sums written out."""

from __future__ import annotations

import itertools
import math

import pytest

pytest.importorskip("torch", reason="the extra torch is not installed")
import torch

from sailtheory import InputError
from sailtheory.policies import LogLinearSequences, SequenceObjectives, Sequences, TokenPolicy
from sailtheory.policies import sequences as module

BETA, END = 0.4, 1


class Counting(torch.nn.Module):
    """A causal model: logits from the last token and a decaying sum of those before."""

    def __init__(self, vocabulary=3, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        normal = torch.randn(2, vocabulary, vocabulary, generator=generator, dtype=torch.float64)
        self.last, self.before = (torch.nn.Parameter(w) for w in normal)

    def forward(self, tokens):
        seen = torch.nn.functional.one_hot(tokens, self.last.shape[0]).double()
        decay = 0.5 ** torch.arange(tokens.shape[1], dtype=torch.float64)
        mask = (decay[:, None] / decay[None, :]).tril(-1)
        return seen @ self.last + mask @ seen @ self.before


def by_hand(model, prompt, longest, end):
    """Every response that ends or is cut, and its log-probability, one token at a time."""
    vocabulary = model.last.shape[0]
    letters = [k for k in range(vocabulary) if k != end]
    texts = []
    if end is not None:
        for length in range(longest):
            texts += [(*head, end) for head in itertools.product(letters, repeat=length)]
    texts += list(itertools.product(letters, repeat=longest))
    logs = []
    for text in texts:
        total = torch.zeros((), dtype=torch.float64)
        for t, token in enumerate(text):
            logits = model(torch.tensor([[*prompt, *text[:t]]]))[0, -1]
            total = total + logits[token] - logits.exp().sum().log()
        logs.append(total)
    return texts, torch.stack(logs)


@pytest.mark.parametrize(("longest", "end"), [(1, 1), (3, 1), (4, 0), (3, None)])
def test_all_sequences_and_their_chances(longest, end):
    model, prompts = Counting(), torch.tensor([[0, 2], [2, 2]])
    space = Sequences(3, longest, end)
    found = space.log_probs(TokenPolicy(model, 2, longest, end), prompts)
    for prompt, row in zip(prompts.tolist(), found, strict=True):
        texts, logs = by_hand(model, prompt, longest, end)
        assert len(space) == len(texts)
        assert [tuple(t[: len(text)]) for t, text in
                zip(space.tokens.tolist(), texts, strict=True)] == texts  # fmt: skip
        assert torch.allclose(row, logs, atol=1e-13)
    assert torch.allclose(found.exp().sum(-1), torch.ones(2, dtype=torch.float64), atol=1e-13)
    assert torch.equal(space.places(space.tokens), torch.arange(len(space)))
    policy = TokenPolicy(model, 2, longest, end)
    assert torch.equal(found, space.log_probs(policy, prompts, chunk=100))
    assert torch.allclose(found, space.log_probs(policy, prompts, chunk=3), atol=1e-13)


@pytest.mark.parametrize(("longest", "end"), [(1, 1), (3, 1), (4, 0), (3, None)])
def test_the_largest_prefix_ratio_is_that_of_prefixes_counted_one_by_one(longest, end):
    space, prompt = Sequences(3, longest, end), [0, 2]
    logs = [by_hand(Counting(seed=seed), prompt, longest, end) for seed in (0, 1)]
    texts, chances = logs[0][0], [log.exp().tolist() for _, log in logs]
    ratios = []
    for prefix in {text[:t] for text in texts for t in range(longest)}:
        if end in prefix:
            continue
        theirs, mine = (
            sum(chance for text, chance in zip(texts, own, strict=True)
                if text[: len(prefix)] == prefix and len(text) > len(prefix))
            for own in chances
        )  # fmt: skip
        ratios.append(mine / theirs)
    found = space.log_prefix_ratio(logs[1][1][None], logs[0][1][None])
    assert float(found[0]) == pytest.approx(math.log(max(ratios)), abs=1e-12)
    assert longest == 1 or float(found[0]) > 0.1
    with pytest.raises(InputError, match="log_ref"):
        space.log_prefix_ratio(logs[1][1][None], logs[0][1][None, :-1])


def test_what_follows_the_end_has_no_place():
    space = Sequences(3, 4, 1)
    assert space.places(torch.tensor([[2, 1, 0, 2]])) == space.places(torch.tensor([[2, 1, 1, 1]]))


def objective(seed=3, n=2, m=15):
    generator = torch.Generator().manual_seed(seed)
    log, log_ref, reward = torch.randn(3, n, m, generator=generator, dtype=torch.float64) * 1.5
    return (
        SequenceObjectives(reward, log_ref.log_softmax(-1), BETA),
        log.log_softmax(-1).requires_grad_(),
    )


def written_out(exact, log):
    """Sums over responses and pairs, one at a time."""
    n, m = log.shape
    found = dict.fromkeys(("reward", "best", "base", "forward", "back", "entropy", "j", "win"), 0.0)
    for x in range(n):
        p = [math.exp(v) for v in log[x].tolist()]
        q = [math.exp(v) for v in exact.log_ref[x].tolist()]
        r = exact.rewards[x].tolist()
        found["best"] += max(r) / n
        for k in range(m):
            found["reward"] += p[k] * r[k] / n
            found["base"] += q[k] * r[k] / n
            found["forward"] += q[k] * math.log(q[k] / p[k]) / n
            found["back"] += p[k] * math.log(p[k] / q[k]) / n
            found["entropy"] -= p[k] * math.log(p[k]) / n
            for j in range(m):
                better = 1 / (1 + math.exp(r[j] - r[k]))
                z = BETA * (math.log(p[k] / q[k]) - math.log(p[j] / q[j]))
                s = 1 / (1 + math.exp(-z))
                g = better * math.log(s) + (1 - better) * math.log(1 - s)
                found["j"] += p[k] * p[j] * g / n
                found["win"] += p[k] * q[j] * better / n
    return found


def test_values():
    exact, log = objective()
    with torch.no_grad():
        hand, found = written_out(exact, log), exact.summary(log)
        gain = (hand["reward"] - hand["base"]) / (hand["best"] - hand["base"])
        for name, value in (
            ("reward", hand["reward"]), ("gain", gain), ("kl_ref_policy", hand["forward"]),
            ("kl_policy_ref", hand["back"]), ("entropy", hand["entropy"]),
        ):  # fmt: skip
            assert found[name] == pytest.approx(value, abs=1e-12), name
        for block in (1, 4, 512):
            assert float(exact.sail(log, block=block)) == pytest.approx(hand["j"], abs=1e-12)
            assert float(exact.win_rate(log, block)) == pytest.approx(hand["win"], abs=1e-12)
        drawn = exact.drawn(log, 40_000, torch.Generator().manual_seed(0))
        for name, value in (("sail", hand["j"]), ("win_rate", hand["win"])):
            error = drawn[f"{name}_error"]
            assert 1e-4 < error < 1e-2 and abs(drawn[name] - value) < 4 * error
    same = exact.summary(exact.log_ref)
    assert same["gain"] == 0 and same["kl_policy_ref"] == same["kl_ref_policy"] == 0


def test_gradients_are_those_of_the_sums():
    """By finite differences; J's with blocks, whose graph is built anew on the way back."""
    exact, log = objective(n=1, m=6)
    for value in (
        exact.reward, exact.gain, exact.kl_ref_policy, exact.kl_policy_ref, exact.entropy,
        lambda v: exact.sail(v, block=4), exact.win_rate,
    ):  # fmt: skip
        assert torch.autograd.gradcheck(
            lambda v, f=value: f(v.log_softmax(-1)), (log,), fast_mode=True
        )


def test_log_linear_over_sequences():
    """Gradients in θ are covariances of the features of whole sequences."""
    space = Sequences(3, 3, END)
    counts = torch.stack([(space.tokens == k).double().sum(-1) for k in space.letters], -1)
    features = counts[None].repeat(2, 1, 1) * torch.tensor([1.0, -0.5]).double()[:, None, None]
    log_ref = space.log_probs(TokenPolicy(Counting(), 1, 3, END), torch.tensor([[0], [2]])).detach()
    policy = LogLinearSequences(features, log_ref)
    assert torch.allclose(policy(), log_ref, atol=1e-14)
    reward = torch.randn(log_ref.shape, generator=torch.Generator().manual_seed(1)).double()
    exact = SequenceObjectives(reward, log_ref, BETA)
    with torch.no_grad():
        policy.theta += torch.tensor([0.7, -1.1])
    log = policy()
    p, ref = log.exp(), log_ref.exp()

    def mean(weights, values):
        return (weights[..., None] * values).sum(1)

    def covariance(values):
        inner = (p * values).sum(-1, keepdim=True)
        return mean(p * (values - inner), features).mean(0)

    z = BETA * ((log - log_ref)[:, :, None] - (log - log_ref)[:, None, :])
    better = torch.sigmoid(reward[:, :, None] - reward[:, None, :])
    g = better * z.sigmoid().log() + (1 - better) * (-z).sigmoid().log()
    u, pair = better - z.sigmoid(), p[:, :, None] * p[:, None, :]
    apart = features[:, :, None] - features[:, None, :]
    dpo = BETA * ((pair * u)[..., None] * apart).sum((1, 2)).mean(0)
    wanted = {
        "reward": (exact.reward, covariance(reward)),
        "KL(ref, policy)": (exact.kl_ref_policy, (mean(p, features) - mean(ref, features)).mean(0)),
        "KL(policy, ref)": (exact.kl_policy_ref, covariance(log - log_ref)),
        "online DPO": (lambda v: exact.sail(v, frozen=True), dpo),
        "J": (exact.sail, dpo + 2 * covariance((g * p[:, None, :]).sum(-1))),
    }
    for name, (value, gradient) in wanted.items():
        [found] = torch.autograd.grad(value(policy()), [policy.theta])
        assert gradient.norm() > 1e-3 and torch.allclose(found, gradient, atol=1e-12), name


def test_refused(monkeypatch):
    for vocabulary, longest, end in ((1, 3, 0), (3, 0, 0), (3, 2, 3)):
        with pytest.raises(InputError):
            Sequences(vocabulary, longest, end)
    space = Sequences(3, 3, 1)
    with pytest.raises(InputError, match="policy"):
        space.log_probs(TokenPolicy(Counting(), 1, 3, 0), torch.tensor([[0]]))
    with pytest.raises(InputError, match="responses"):
        space.places(torch.tensor([[0, 3, 0]]))
    with pytest.raises(InputError, match="responses"):
        space.places(torch.tensor([[0, 2]]))
    exact, log = objective()
    with pytest.raises(InputError, match="beta"):
        SequenceObjectives(exact.rewards, exact.log_ref, 0.0)
    with pytest.raises(InputError, match="reward"):
        SequenceObjectives(exact.rewards[:, :3], exact.log_ref, BETA)
    with pytest.raises(InputError, match="log_ref"):
        LogLinearSequences(torch.ones(2, 3, 1), exact.log_ref)
    monkeypatch.setattr(module, "MOST_PAIRS", 10)
    with pytest.raises(InputError, match="pairs = 450"):
        exact.sail(log)
