"""PEBBLE learns: a reward from a teacher's answers, and from that reward what to do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sailtheory.storage.config import assignments
from sailtheory.training.control.settings import settings_of
from sailtheory.training.control.train import Trainer

gymnasium = pytest.importorskip("gymnasium", reason="the extra rl is not installed")

LENGTH, SEGMENT = 50, 10
GOAL = np.array([0.5, -0.5], np.float32)
SETTINGS = assignments(
    "steps=2600 random_steps=200 entropy_steps=100 reset_updates=50 evaluate_every=2600"
    " evaluation_episodes=20 sac.width=32 sac.batch=64 sac.actor_rate=1e-3 sac.critic_rate=3e-3"
    " sac.temperature_rate=3e-3 sac.discount=0.95 reward.width=32 reward.depth=2 reward.rate=3e-3"
    f" reward.epochs=30 feedback.every=150 feedback.segment={SEGMENT} feedback.queries=10"
    " feedback.maximum=80".split()
)


class Point(gymnasium.Env):
    """A point of the square that is rewarded for being near a goal."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return self.place.copy(), {}

    def step(self, action):
        self.place = np.clip(self.place + 0.15 * np.asarray(action, np.float32), -1, 1)
        reward = float(np.exp(-2 * np.linalg.norm(self.place - GOAL)))
        return self.place.copy(), reward, False, False, {}


@pytest.fixture(scope="module")
def trained():
    gymnasium.register("SailtheoryPoint-v0", Point, max_episode_steps=LENGTH)
    settings = settings_of("SailtheoryPoint-v0", "pebble", 0, SETTINGS)
    trainer = Trainer(settings, [0, 1, 2, 3])
    while trainer.step < settings.steps:
        found = trainer.advance()
    yield trainer, found
    trainer.close()
    del gymnasium.registry["SailtheoryPoint-v0"]


def segments(rng, count):
    """Of episodes that no run has seen, one each: pairs (count, SEGMENT, 4), rewards."""
    point, pairs, rewards = Point(), [], []
    for _ in range(count):
        place, _ = point.reset(seed=int(rng.integers(2**31)))
        rows = []
        # Actions that hold a direction for a while, so that the points get about.
        for action in np.repeat(rng.uniform(-1, 1, (2, 2)), SEGMENT // 2, 0).astype(np.float32):
            following, reward, *_ = point.step(action)
            rows.append((np.concatenate([place, action]), reward))
            place = following
        pairs.append([row for row, _ in rows])
        rewards.append(sum(reward for _, reward in rows))
    return np.array(pairs, np.float32), np.array(rewards)


def test_the_reward_orders_what_it_has_not_seen(trained):
    """Held-out pairs, independent of one another and of training; chance is one half."""
    trainer, _ = trained
    rng = np.random.default_rng(99)
    right = []
    for learner in trainer.learners:
        (first, r1), (second, r2) = segments(rng, 200), segments(rng, 200)
        said = learner.model.probabilities(first, second).mean(0) > 0.5
        right.append(int((said == (r2 > r1)).sum()))
        low = stats.binomtest(right[-1], 200).proportion_ci(0.99).low
        assert low > 0.75, right  # halfway from chance to all of them
    assert [learner.asked for learner in trainer.learners] == [80] * 4


def test_the_return_is_far_above_that_of_random_actions(trained):
    _, found = trained
    rng, returns = np.random.default_rng(7), []
    point = Point()
    for _ in range(200):
        point.reset(seed=int(rng.integers(2**31)))
        returns.append(sum(point.step(rng.uniform(-1, 1, 2))[1] for _ in range(LENGTH)))
    random = stats.ttest_1samp(returns, 0).confidence_interval(0.99)
    learned = stats.ttest_1samp([one["eval/return"] for one in found], 0).confidence_interval(0.95)
    assert learned.low > random.high + LENGTH / 10, (learned, random)  # a tenth of the scale
