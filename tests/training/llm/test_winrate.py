"""Win rates: ties, orders, lengths, intervals; and the oracle that has few ties."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from sailtheory import InputError
from sailtheory.compare.statistics import wilson
from sailtheory.training.llm.winrate import at_equal_length, by_judge, by_reward, win_rate


class Scripted:
    """Prefers by a rule of both texts, or always the first place."""

    def __init__(self, rule):
        self.rule = rule

    def judge(self, prompts, completions):
        assert len(prompts) == len(completions)
        return [self.rule(*pair) for pair in completions]


def test_ties_count_half():
    found = win_rate(by_reward([2, 1, 0, 5], [1, 1, 3, 5]))
    assert (found.value, found.wins, found.ties, found.n) == (0.5, 1, 2, 4)


@pytest.mark.parametrize(("hits", "of"), [(0, 9), (5, 9), (9, 9), (30.5, 61)])
def test_wilson_ends_are_where_the_score_test_turns(hits, of):
    """|p̂ − p| = z √(p(1 − p)/n) at both ends: the definition, not the closed form."""
    for end in wilson(hits, of):
        deviation = abs(hits / of - end)
        assert deviation == pytest.approx(1.959964 * math.sqrt(end * (1 - end) / of), abs=1e-6)


def test_wilson_covers():
    rng, p, n = np.random.default_rng(0), 0.3, 60
    drawn = rng.binomial(n, p, 4000)
    ends = {k: wilson(k, n) for k in set(drawn.tolist())}
    covered = np.mean([ends[k][0] <= p <= ends[k][1] for k in drawn.tolist()])
    assert 0.93 <= covered <= 0.97


def test_a_judge_of_places_alone_decides_nothing():
    outcomes, disagree = by_judge(Scripted(lambda a, b: 0), ["p"] * 5, "abcde", "fghij")
    assert outcomes.tolist() == [0.5] * 5 and disagree == 1


def test_an_honest_judge_is_followed():
    judge = Scripted(lambda a, b: -1 if a == b else int(a < b))
    outcomes, disagree = by_judge(judge, ["p"] * 3, ["b", "a", "a"], ["a", "b", "a"])
    assert outcomes.tolist() == [1, 0, 0.5] and disagree == 0


def test_every_outcome_is_won_tied_or_lost():
    """A judge that decides when the first place is better, and else ties."""
    judge = Scripted(lambda a, b: 0 if a > b else -1)
    outcomes, disagree = by_judge(judge, ["p"] * 4, "bacd", "aacz")
    assert outcomes.tolist() == [0.75, 0.5, 0.5, 0.25] and disagree == 0.5
    found = win_rate(outcomes)
    assert (found.value, found.wins, found.ties, found.n) == (0.5, 1, 2, 4)


def test_a_win_that_is_due_to_length_is_not_one_at_equal_length():
    rng, n = np.random.default_rng(1), 4000
    first, second = rng.normal(3, 2, n), rng.normal(0, 2, n)
    longer = (first > second).astype(float)
    flipped = np.where(rng.random(n) < 0.2, 1 - longer, longer)
    assert win_rate(flipped).value > 0.65
    assert at_equal_length(flipped, first, second).value == pytest.approx(0.5, abs=0.05)


def test_equal_length_recovers_the_law_it_fits():
    rng, n = np.random.default_rng(2), 6000
    delta = rng.normal(1, 3, n)
    chance = 1 / (1 + np.exp(-(0.4 + 1.2 * np.tanh(delta / np.sqrt((delta**2).mean())))))
    outcomes = (rng.random(n) < chance).astype(float)
    found = at_equal_length(outcomes, delta, np.zeros(n))
    truth = 1 / (1 + math.exp(-0.4))
    assert found.low < truth < found.high and found.high - found.low < 0.05
    assert win_rate(outcomes).low > truth  # the raw rate is another


def test_equal_length_exists_when_one_side_wins_all():
    found = at_equal_length(np.ones(20), np.zeros(20), np.zeros(20))
    assert 0.8 < found.value < 1 and found.high <= 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: by_reward([1.0], [1.0, 2.0]), "rewards"),
        (lambda: by_reward([math.nan], [1.0]), "finite"),
        (lambda: win_rate(np.array([])), "one comparison"),
        (lambda: win_rate(np.array([1.5])), "0 to 1"),
        (lambda: at_equal_length(np.ones(3), [1, 2], [1, 2]), "lengths"),
        (lambda: at_equal_length(np.ones(3), [1, 2, 3], [1]), "lengths"),
        (lambda: at_equal_length(np.ones(2), [1, math.nan], [1, 2]), r"first\[1\] = nan"),
        (lambda: at_equal_length(np.ones(2), [1, 2], [1, math.inf]), r"second\[1\] = inf"),
        (lambda: at_equal_length(np.ones(2), ["a", "b"], [1, 2]), "first"),
        (lambda: by_judge(Scripted(lambda a, b: 2), ["p"], "a", "b"), r"judge\[0\] = 2"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_the_oracle_is_its_formula_and_has_few_ties():
    pytest.importorskip("vaderSentiment", reason="the extra llm is not installed")
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    from sailtheory.training.llm.oracles import kind_and_brief
    from sailtheory.training.llm.preferences import vader
    from sailtheory.training.llm.prompts import prompts

    text = "What a lovely, calm day it is!"
    tone = SentimentIntensityAnalyzer().polarity_scores(text)["compound"]
    expected = 2 * tone - 3 / 6 + 1 - abs(22 / 7 - 4) / 2
    assert kind_and_brief()(completions=[text]) == pytest.approx([expected])
    texts = prompts("train")  # many are neutral, and they are of few lengths

    def tied(values):
        return np.mean([a == b for a, b in itertools.combinations(values, 2)])

    assert tied(kind_and_brief()(completions=texts)) < tied(vader()(completions=texts)) / 10
