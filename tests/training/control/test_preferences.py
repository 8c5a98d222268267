"""Replay buffer, teachers, queries and the learned reward, each against its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import binom

from sailtheory import InputError
from sailtheory.training.control.buffer import ReplayBuffer
from sailtheory.training.control.exploration import StateEntropy
from sailtheory.training.control.queries import choose
from sailtheory.training.control.reward import RewardModel
from sailtheory.training.control.settings import RewardSettings, TeacherSettings
from sailtheory.training.control.teachers import (
    EQUAL,
    FIRST,
    SECOND,
    SKIP,
    answers,
    label_probabilities,
    targets,
)

S, A, L = 3, 2, 4


def filled(capacity=50, steps=37, episode=10, seed=0):
    """A buffer whose states say when they happened: state[0] is the step, action[0] the half."""
    buffer = ReplayBuffer(S, A, capacity)
    rng = np.random.default_rng(seed)
    for t in range(steps):
        last = t % episode == episode - 1
        state, following = np.full(S, t), np.full(S, t + 1)
        buffer.add(state, np.full(A, t / 2), following, -1.0, rng.normal(), False, last)
    return buffer


def transitions(buffer, content=None):
    """Rows of all transitions ever added, those no longer held as zeros."""
    kind = [("row", "f4", 2 * S + A + 2), ("true", "f8"), ("ends", "?")]
    return np.frombuffer(buffer.added(0) if content is None else content, kind)["row"]


@pytest.mark.parametrize(("capacity", "steps"), [(50, 37), (23, 37), (10, 40)])
def test_relabelling_recomputes_every_reward_and_nothing_else(capacity, steps):
    buffer = filled(capacity, steps)
    before = transitions(buffer)
    buffer.relabel(lambda pairs: pairs[:, 0] + 10 * pairs[:, S], chunk=4)
    learned, true = buffer.rewards()
    held = np.arange(max(0, steps - capacity), steps)
    assert np.array_equal(learned, held + 10 * held / 2)
    after = transitions(buffer)
    assert np.array_equal(np.delete(before, -2, 1), np.delete(after, -2, 1))
    rng = np.random.default_rng(0)
    assert np.array_equal(true, [rng.normal() for _ in range(steps)][-len(held) :])
    rows = np.zeros((64, 2 * S + A + 2), np.float32)
    buffer.sample(np.random.default_rng(1), rows)
    assert np.array_equal(rows[:, -2], 6 * rows[:, 0])  # a minibatch sees the new rewards
    assert np.array_equal(rows[:, S + A], rows[:, 0] + 1)
    assert set(rows[:, 0]) <= set(held) and len(set(rows[:, 0])) > 0.5 * len(held)


def test_relabelling_by_a_model_that_is_not_finite_is_refused():
    with pytest.raises(InputError, match="reward"):
        filled().relabel(lambda pairs: np.full(len(pairs), np.nan))
    with pytest.raises(InputError, match="reward"):
        filled().add(np.zeros(S), np.zeros(A), np.zeros(S), float("nan"), 0.0, False, False)


@pytest.mark.parametrize(
    ("capacity", "steps", "recent"), [(50, 37, 50), (23, 37, 50), (50, 37, 12)]
)
def test_segments_lie_in_one_episode_and_reach_every_place(capacity, steps, recent):
    buffer = filled(capacity, steps)
    found = buffer.segments(np.random.default_rng(0), 500, L, recent)
    starts = found.pairs[:, 0, 0].astype(int)
    times = found.pairs[..., 0]
    assert np.array_equal(times, starts[:, None] + np.arange(L))
    first = max(0, steps - min(capacity, recent))
    wanted = {t for t in range(first, steps - L + 1) if t // 10 == (t + L - 1) // 10}
    assert set(starts) == wanted
    true = dict(zip(range(steps), [*filled(100, steps).rewards()[1]], strict=True))
    assert np.array_equal(found.rewards, np.vectorize(true.get)(times.astype(int)))
    with pytest.raises(InputError, match="segment"):
        buffer.segments(np.random.default_rng(0), 1, 11, recent)


@pytest.mark.parametrize("capacity", [23, 100])
@pytest.mark.parametrize("every", [1, 7, 30])
def test_a_buffer_is_restored_from_a_file_that_grows(capacity, every):
    """Saved every so often, also more seldom than it is filled anew; relabelled in between."""
    one, other, file = ReplayBuffer(S, A, capacity), ReplayBuffer(S, A, capacity), b""
    whole = filled(100, 74)
    for t, row in enumerate(transitions(whole)):
        one.add(row[:S], row[S : S + A], row[S + A : -2], t, whole.rewards()[1][t], t % 5 == 3,
                t % 10 == 9)  # fmt: skip
        if t == 40:
            one.relabel(lambda pairs: -pairs[:, 0])
        if t % every == every - 1:
            added = one.added(len(file))
            file += added
            assert len(added) == every * (4 * (2 * S + A + 2) + 8 + 1)  # never the whole again
            tree = one.state()
    file += one.added(len(file))
    tree = one.state()
    assert one.added(len(file)) == b""
    other.restore(tree, file)
    learned, true = one.rewards()
    held = np.arange(max(0, 74 - capacity), 74)
    assert np.array_equal(learned, np.where(held > 40, held, -held))
    assert np.array_equal(true, whole.rewards()[1][held])
    for buffer in (one, other):
        buffer.add(np.ones(S), np.ones(A), np.ones(S), 1.0, 2.0, True, False)
    assert np.array_equal(transitions(one), transitions(other))
    assert all(np.array_equal(x, y) for x, y in zip(one.rewards(), other.rewards(), strict=True))
    drawn = [b.segments(np.random.default_rng(3), 50, L, 99) for b in (one, other)]
    assert all(np.array_equal(x, y) for x, y in zip(*drawn, strict=True))
    with pytest.raises(InputError, match="73 transitions"):
        other.restore(tree, file[: 73 * len(file) // 74])


TEACHERS = {
    "oracle": TeacherSettings(),
    "rational": TeacherSettings(rationality=0.7),
    "coin": TeacherSettings(rationality=0.0),
    "myopic": TeacherSettings(rationality=1.5, myopia=0.5),
    "myopic oracle": TeacherSettings(myopia=0.3),
    "skip": TeacherSettings(rationality=1.0, skip=1.1),
    "equal": TeacherSettings(equal=0.5),
    "mistake": TeacherSettings(mistake=0.2),
    "all": TeacherSettings(rationality=2.0, myopia=0.8, skip=1.0, equal=0.3, mistake=0.1),
}


def by_definition(r1, r2, teacher, average):
    """One pair, in the words of B-Pref."""
    if teacher.skip and max(sum(r1), sum(r2)) < teacher.skip * average:
        return {SKIP: 1.0}
    if abs(sum(r1) - sum(r2)) < teacher.equal * average:
        return {EQUAL: 1.0}
    length = len(r1)
    one, two = (
        sum(r[t] * teacher.myopia ** (length - 1 - t) for t in range(length)) for r in (r1, r2)
    )
    if teacher.rationality is None:
        if one == two:
            return {EQUAL: 1.0}
        p = float(two > one)
    else:
        b = teacher.rationality
        p = math.exp(b * two) / (math.exp(b * one) + math.exp(b * two))
    return {
        SECOND: (1 - teacher.mistake) * p + teacher.mistake * (1 - p),
        FIRST: (1 - teacher.mistake) * (1 - p) + teacher.mistake * p,
    }


@pytest.mark.parametrize("name", TEACHERS)
def test_teachers_answer_with_their_probabilities(name):
    teacher, rng = TEACHERS[name], np.random.default_rng(len(name))
    first, second = rng.uniform(0, 1, (2, 30, L))
    second[0] = first[0]  # a tie
    average = 2.0
    exact = label_probabilities(first, second, teacher, average)
    for row, r1, r2 in zip(exact, first, second, strict=True):
        wanted = by_definition(r1, r2, teacher, average)
        assert np.allclose(row, [wanted.get(answer, 0.0) for answer in range(4)], atol=1e-15)
    draws = 4000
    said = np.stack([answers(exact, rng) for _ in range(draws)])
    level = 1e-6 / exact.size  # all intervals together hold with probability 1 − 1e-6
    for answer in range(4):
        counts = (said == answer).sum(0)
        low, high = binom.interval(1 - level, draws, np.clip(exact[:, answer], 0, 1))
        certain = (exact[:, answer] == 0) | (exact[:, answer] == 1)
        assert np.array_equal(counts[certain], draws * exact[certain, answer])
        assert ((low <= counts) & (counts <= high))[~certain].all(), answer
    seen = {answer for answer in range(4) if (exact[:, answer] > 0).any()}
    expected = {"skip": {FIRST, SECOND, SKIP}, "all": {FIRST, SECOND, EQUAL, SKIP}}
    # The tie is equal for oracles; a rational teacher tosses a coin.
    both = {FIRST, SECOND} if teacher.rationality is not None else {FIRST, SECOND, EQUAL}
    assert seen == expected.get(name, both)


def test_no_pair_is_skipped_without_a_threshold():
    """Rewards below 0: what earns less than nothing is compared all the same."""
    rewards = np.random.default_rng(0).uniform(-2, -1, (2, 30, L))
    exact = label_probabilities(*rewards, TeacherSettings(), average=-6.0)
    better = rewards[1].sum(1) > rewards[0].sum(1)
    assert np.array_equal(exact[:, SECOND], better) and np.array_equal(exact[:, FIRST], ~better)
    for field in ("skip", "equal"):
        with pytest.raises(InputError) as caught:
            label_probabilities(*rewards, TeacherSettings(**{field: 0.1}), average=-6.0)
        assert (caught.value.field, caught.value.value) == (f"teacher.{field}", 0.1)


def test_the_share_of_the_second_that_is_learned():
    assert targets(np.array([FIRST, SECOND, EQUAL])).tolist() == [0.0, 1.0, 0.5]


def test_queries_are_the_most_informative():
    p = np.array([[0.9, 0.5, 0.1, 0.7, 0.5], [0.9, 0.5, 0.9, 0.2, 0.6]])
    assert choose("uniform", p, 2).tolist() == [0, 1]
    assert choose("disagreement", p, 2).tolist() == [2, 3]  # spreads 0.4, 0.25
    assert sorted(choose("entropy", p, 2)) == [1, 2]  # means exactly ½
    assert choose("entropy", p, 9).tolist()[-1] == 0


def model_of(seed=0, **settings):
    chosen = RewardSettings(**{"width": 16, "depth": 2} | settings)
    rng = np.random.default_rng(seed)
    return RewardModel(S + A, chosen, torch.Generator().manual_seed(seed), rng)


def test_reward_loss_by_hand():
    model, rng = model_of(), np.random.default_rng(3)
    both = rng.normal(size=(3, 6, 2, L, S + A)).astype(np.float32)
    share = np.array([0, 1, 0.5, 0, 1, 1])
    found = model.loss(torch.tensor(both), torch.tensor(share))
    layers = [p.detach().double().numpy() for p in model.network.layers]
    for member in range(3):
        x = both[member].astype(np.float64)
        for i in range(0, len(layers), 2):
            x = x @ layers[i][member] + layers[i + 1][member]
            x = np.where(x > 0, x, 0.01 * x) if i + 2 < len(layers) else np.tanh(x)
        sums = x[..., 0].sum(-1)
        p = 1 / (1 + np.exp(sums[:, 0] - sums[:, 1]))  # of the second
        wanted = -(share * np.log(p) + (1 - share) * np.log(1 - p)).mean()
        assert abs(found[member].item() - wanted) < 1e-5
    one = both[0]
    assert np.allclose(
        model.probabilities(one[:, 0], one[:, 1]),
        torch.sigmoid(model.logits(torch.tensor(one).expand(3, -1, -1, -1, -1))).detach(),
    )


def test_a_planted_reward_is_learned_and_fitting_ends_early():
    rng = np.random.default_rng(0)
    segments = rng.normal(size=(2, 300, L, S + A)).astype(np.float32)
    weights = np.array([1.0, -2.0, 0.5, 0.0, 1.0])
    sums = (segments @ weights).sum(-1)
    share = (sums[1] > sums[0]).astype(float)
    model = model_of(epochs=200, rate=3e-3)
    model.learn(segments[0][:200], segments[1][:200], share[:200])
    first = model_of(epochs=1, rate=3e-3)
    first.learn(segments[0][:200], segments[1][:200], share[:200])
    assert first.fit()[1] < 0.9
    loss, accuracy = model.fit()
    assert accuracy > 0.97 and loss < math.log(2)
    assert model.adam.state(0)["steps"] < 200 * 2  # it ended before the last epoch
    fresh = model.probabilities(segments[0][200:], segments[1][200:]).mean(0)
    assert ((fresh > 0.5) == (share[200:] > 0.5)).mean() > 0.8
    pairs = segments[0, 0]
    with torch.no_grad():
        each = model.network(torch.tensor(pairs).expand(3, -1, -1))[..., 0]
    assert np.allclose(model.rewards(pairs), each.mean(0)) and each.std(0).max() > 0


def test_labels_without_a_preference_have_no_accuracy():
    segments = np.random.default_rng(0).normal(size=(2, 20, L, S + A)).astype(np.float32)
    model = model_of(epochs=3)
    model.learn(*segments, np.full(20, 0.5))
    loss, accuracy = model.fit()
    assert loss > 0 and accuracy is None
    model.learn(*segments, np.ones(20))
    assert 0 <= model.fit()[1] <= 1


def test_a_reward_model_is_restored_and_needs_labels():
    segments = np.random.default_rng(0).normal(size=(2, 20, L, S + A)).astype(np.float32)
    one, other = model_of(epochs=3), model_of(epochs=3, seed=5)
    with pytest.raises(InputError, match="feedback"):
        one.fit()
    one.learn(segments[0], segments[1], np.ones(20))
    one.fit()
    other.restore(one.state())
    other.rng.bit_generator.state = one.rng.bit_generator.state
    assert one.fit() == other.fit() and torch.equal(one.network.flat, other.network.flat)


def test_a_reward_of_nan_inputs_is_refused():
    model = model_of()
    model.learn(*np.full((2, 2, L, S + A), np.nan, np.float32), np.ones(2))
    with pytest.raises(InputError, match="reward"):
        model.fit()


def test_state_entropy_is_the_distance_to_the_kth_neighbour():
    rng = np.random.default_rng(0)
    visited = rng.normal(size=(40, S)).astype(np.float32)
    bonus, values = StateEntropy(3), []
    for batch in (visited[:7], visited[5:25]):
        distances = np.linalg.norm(batch[:, None].astype(np.float64) - visited, axis=-1)
        values.append(np.log1p(np.sort(distances, axis=1)[:, 3]))  # the state itself comes first
        scale = np.concatenate(values).std()
        # torch.cdist takes |x|² + |y|² − 2xy in float32: an error of √eps · |x| at worst.
        assert np.abs(bonus.rewards(batch, visited) - values[-1] / scale).max() < 2e-3
    other = StateEntropy(3)
    other.restore(bonus.state())
    assert np.array_equal(bonus.rewards(visited, visited), other.rewards(visited, visited))
    with pytest.raises(InputError, match="entropy_neighbours"):
        bonus.rewards(visited[:3], visited[:3])
