"""Small models and the library's gradients against lists of responses written out by hand."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from sailtheory import InputError
from sailtheory.auditing import Sampling, SmallModel, library, small_models

BETA = 0.5
MODELS = [m for m in small_models() if len(m.tokens) in (3, 4, 7)]


def texts(model):
    """Every response as a tuple of tokens, the end token with it, in no particular order."""
    found = []
    for length in range(1, model.longest + 1):
        for word in itertools.product(range(model.vocabulary), repeat=length):
            ends = [t for t, token in enumerate(word) if token == model.end]
            if ends == [length - 1] or (not ends and length == model.longest):
                found.append(word)
    return found


class Plain:
    """The same model as nested dictionaries."""

    def __init__(self, model, logits, old=None):
        self.model = model
        rows = {}
        for k, (tokens, mask) in enumerate(
            zip(model.tokens.tolist(), model.mask.tolist(), strict=True)
        ):
            word = tuple(t for t, inside in zip(tokens, mask, strict=True) if inside)
            for t in range(len(word)):
                rows[word[:t]] = int(model.states[k, t])
        self.rows = rows
        self.policy, self.ref = (
            {s: soft(table[r]) for s, r in rows.items()} for table in (logits, model.ref_logits)
        )
        self.drawn = self.policy if old is None else {s: soft(old[r]) for s, r in rows.items()}
        self.reward = {
            tuple(t for t, i in zip(tok, mask, strict=True) if i): r
            for tok, mask, r in zip(
                model.tokens.tolist(), model.mask.tolist(), model.reward.tolist(), strict=True
            )
        }

    def chance(self, table, word):
        return math.prod(table[word[:t]][word[t]] for t in range(len(word)))

    def all(self):
        """Probability, probability under π_ref, and reward of every response."""
        return [
            (self.chance(self.policy, w), self.chance(self.ref, w), self.reward[w], len(w))
            for w in texts(self.model)
        ]

    def by_token(self, of, visits):
        return sum(visits[s] * of(self.policy[s], self.ref[s]) for s in self.rows)

    def visits(self):
        """d(s) by the prefixes' own probabilities."""
        return {s: self.chance(self.drawn, s) for s in self.rows}


def soft(row):
    weights = [math.exp(x) for x in row.tolist()]
    return [w / sum(weights) for w in weights]


def sigma(x):
    return 1 / (1 + math.exp(-x))


def payoff(a, b):
    """p₁₂ log σ(z) + p₂₁ log σ(−z) of two rows of ``all``."""
    p = sigma(a[2] - b[2])
    z = BETA * (math.log(a[0] / a[1]) - math.log(b[0] / b[1]))
    return p * math.log(sigma(z)) + (1 - p) * math.log(sigma(-z))


def squared(a, b):
    p, d = sigma(a[2] - b[2]), math.log(a[0] / a[1]) - math.log(b[0] / b[1])
    return -p * (d - 1 / (2 * BETA)) ** 2 - (1 - p) * (d + 1 / (2 * BETA)) ** 2


def pairs(rows, of, weight):
    return sum(weight(a) * weight(b) * of(a, b) for a in rows for b in rows)


def kl(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def chi2(p, q):
    return sum(a * a / b for a, b in zip(p, q, strict=True)) - 1


WHOLE = {
    "reward": lambda rows, at: sum(p * r for p, _, r, _ in rows),
    "kl_policy_ref": lambda rows, at: sum(p * math.log(p / q) for p, q, *_ in rows),
    "kl_ref_policy": lambda rows, at: sum(q * math.log(q / p) for p, q, *_ in rows),
    "entropy": lambda rows, at: -sum(p * math.log(p) for p, *_ in rows),
    "chi2_policy_ref": lambda rows, at: sum(p * p / q for p, q, *_ in rows),
    "chi2_ref_policy": lambda rows, at: sum(q * q / p for p, q, *_ in rows),
    "sail": lambda rows, at: pairs(rows, payoff, lambda a: a[0]),
    "dpo": lambda rows, at: pairs(rows, payoff, lambda a: a[1]),
    "ipo": lambda rows, at: pairs(rows, squared, lambda a: a[1]),
    "log_ratio_squared": lambda rows, at: sum(p * math.log(p / q) ** 2 / 2 for p, q, *_ in rows),
    # What is held fixed is taken at the point, ``at``, and not where the value is asked for.
    "sail_frozen": lambda rows, at: sum(
        at[i][0] * at[j][0] * payoff(a, b) for i, a in enumerate(rows) for j, b in enumerate(rows)
    ),
    "reward_per_length": lambda rows, at: sum(
        p * (r - sum(x[0] * x[2] for x in at)) / n for p, _, r, n in rows
    ),
}
TOKENS = {
    "token_kl_policy_ref": kl,
    "token_kl_ref_policy": lambda p, q: kl(q, p),
    "token_entropy": lambda p, q: -sum(a * math.log(a) for a in p),
    "token_chi2_policy_ref": chi2,
    "token_chi2_ref_policy": lambda p, q: chi2(q, p),
    "token_total_variation": lambda p, q: sum(abs(a - b) for a, b in zip(p, q, strict=True)) / 2,
    "token_log_ratio_squared": lambda p, q: sum(
        a * math.log(a / b) ** 2 / 2 for a, b in zip(p, q, strict=True)
    ),
}


def value(name, model, logits, sampling):
    at = Plain(model, model.logits, model.old_logits if sampling.source == "old" else None)
    here = Plain(model, logits)
    if name in TOKENS:
        return here.by_token(TOKENS[name], at.visits())
    return WHOLE[name](here.all(), at.all())


def slope(name, model, sampling):
    """Central differences in every logit."""
    step, found = 1e-5, torch.zeros_like(model.logits)
    for i in range(model.prefixes):
        for j in range(model.vocabulary):
            ends = []
            for sign in (1, -1):
                moved = model.logits.clone()
                moved[i, j] += sign * step
                ends.append(value(name, model, moved, sampling))
            found[i, j] = (ends[0] - ends[1]) / (2 * step)
    return found


def test_the_library_has_a_reference_for_every_objective():
    assert {o.name for o in library()} == {*WHOLE, *TOKENS}


@pytest.mark.parametrize("source", ["policy", "old"])
@pytest.mark.parametrize("name", [*WHOLE, *TOKENS])
def test_gradients_are_those_of_written_out_sums(name, source):
    """Differences at 1e-5 are right to 1e-8 where third derivatives are of order 10²."""
    model, sampling = MODELS[-1 if name in TOKENS else 0], Sampling(source=source)
    (objective,) = [o for o in library(BETA) if o.name == name]
    torch.testing.assert_close(
        objective.gradient(model, sampling), slope(name, model, sampling), rtol=1e-6, atol=1e-7
    )


@pytest.mark.parametrize("model", MODELS[::2])
def test_responses_chances_and_visits(model):
    plain = Plain(model, model.logits)
    words = {
        tuple(t for t, inside in zip(tokens, mask, strict=True) if inside)
        for tokens, mask in zip(model.tokens.tolist(), model.mask.tolist(), strict=True)
    }
    assert words == set(texts(model)) and len(plain.rows) == model.prefixes
    chance = model.log_probs(model.logits).exp()
    assert float(chance.sum()) == pytest.approx(1, abs=1e-14)
    assert sorted(chance.tolist()) == pytest.approx(sorted(row[0] for row in plain.all()))
    visits = model.visits(model.logits)
    for prefix, at in plain.visits().items():
        assert float(visits[plain.rows[prefix]]) == pytest.approx(at, rel=1e-12)


def test_models_are_typed_and_read_back():
    for model in small_models()[::5]:
        again = SmallModel.from_dict(model.as_dict())
        assert again.as_dict() == model.as_dict()
        assert torch.equal(model.logits, (10 * model.logits).round() / 10)  # short to print
    data = small_models()[0].as_dict()
    with pytest.raises(InputError, match="the fields vocabulary"):
        SmallModel.from_dict({k: v for k, v in data.items() if k != "reward"})
    with pytest.raises(InputError, match="reward"):
        SmallModel.from_dict(data | {"reward": [1.0]})
    with pytest.raises(InputError, match="finite"):
        SmallModel.from_dict(data | {"reward": [1.0, float("nan")]})
    with pytest.raises(InputError, match="logits"):
        SmallModel.from_dict(data | {"logits": [[0.0, 1.0]]})
