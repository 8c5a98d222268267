"""What each run has for itself: environment, replay buffer, reward model, generators."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from sailtheory.training.control.buffer import ReplayBuffer
from sailtheory.training.control.exploration import StateEntropy
from sailtheory.training.control.queries import choose
from sailtheory.training.control.reward import RewardModel
from sailtheory.training.control.settings import Settings
from sailtheory.training.control.tasks import Episodes, make_task
from sailtheory.training.control.teachers import SKIP, answers, label_probabilities, targets

__all__ = ["Learner", "generator_of"]

Tree = dict[str, Any]

_PAIRS = 100  # fresh pairs on which the accuracy of the reward is measured
_RECENT = 10  # episodes whose mean return is the scale of the teacher's thresholds


def generator_of(seed: int, use: int, *more: int) -> np.random.Generator:
    """A generator of its own for each use that a run makes of its seed."""
    return np.random.default_rng([seed, use, *more])


class Learner:
    """One run, but for its actor and critic, which lie in a stack with the others'.

    Args:
        settings: Of the run, but for its seed.
        seed: Of everything random in it.
        learns_reward: Whether it asks a teacher.
        device: Where its reward networks live.

    Attributes:
        rng: Of its random actions, minibatches, queries and labels.
        torch_generator: Of its networks and their noise; the agent keeps its state.
    """

    def __init__(self, settings: Settings, seed: int, learns_reward: bool, device: str) -> None:
        self.settings, self.seed = settings, seed
        self.episodes = Episodes(make_task(settings.task), generator_of(seed, 0))
        self.rng = generator_of(seed, 1)
        draws = np.random.SeedSequence([seed, 2]).generate_state(1, np.uint64)
        self.torch_generator = torch.Generator(device).manual_seed(int(draws[0] >> np.uint64(1)))
        observations, actions = self.episodes.sizes
        capacity = settings.capacity or settings.steps
        self.buffer = ReplayBuffer(observations, actions, min(capacity, settings.steps))
        self.model: RewardModel | None = None
        self.entropy: StateEntropy | None = None
        if learns_reward:
            self.entropy = StateEntropy(settings.entropy_neighbours)
            self.model = RewardModel(
                self.buffer.pairs, settings.reward, self.torch_generator, self.rng, device
            )
        self.asked = 0
        self._return, self._success = 0.0, math.nan  # nan is no success or failure reported
        self._length = 0
        self._recent: list[list[float]] = []  # return and length of the last episodes

    def take_in(
        self, state: np.ndarray, action: np.ndarray, following: np.ndarray,
        reward: float, terminated: bool, truncated: bool, success: float,
    ) -> dict[str, float]:  # fmt: skip
        """Store a transition; where it ends an episode, what that one achieved."""
        learned = reward
        if self.model is not None:
            learned = float(self.model.rewards(np.concatenate([state, action])[None])[0])
        self.buffer.add(state, action, following, learned, reward, terminated, truncated)
        self._return += reward
        self._success = float(np.fmax(self._success, success))
        self._length += 1
        if not (terminated or truncated):
            return {}
        found = {"train/return": self._return}
        if not math.isnan(self._success):
            found["train/success"] = self._success
        self._recent = [*self._recent, [self._return, float(self._length)]][-_RECENT:]
        self._return, self._success = 0.0, math.nan
        self._length = 0
        return found

    def ask(self) -> dict[str, float]:
        """Hold a session with the teacher, fit the reward to all labels, relabel.

        Returns:
            What the session led to, for the log.
        """
        assert self.model is not None
        asked = self.settings.feedback
        count = min(asked.queries, asked.maximum - self.asked)
        # Before the first labels the members know nothing to disagree about.
        sampling = asked.sampling if self.asked else "uniform"
        factor = 1 if sampling == "uniform" else asked.candidates
        draw = (self.rng, count * factor, asked.segment, asked.recent)
        first, second = self.buffer.segments(*draw), self.buffer.segments(*draw)
        chances = np.zeros((1, count))
        if sampling != "uniform":
            chances = self.model.probabilities(first.pairs, second.pairs)
        chosen = choose(sampling, chances, count)
        self.asked += count
        exact = label_probabilities(
            first.rewards[chosen], second.rewards[chosen], self.settings.teacher, self._average()
        )
        said = answers(exact, self.rng)
        answered = chosen[said != SKIP]
        self.model.learn(first.pairs[answered], second.pairs[answered], targets(said[said != SKIP]))
        found = {"spent/queries": float(self.asked), "reward/labels": float(self.model.labels)}
        if self.model.labels:
            found["reward/loss"], accuracy = self.model.fit()
            if accuracy is not None:
                found["reward/fit"] = accuracy
            self.buffer.relabel(self.model.rewards)
        return found

    def generator(self, use: int, *more: int) -> np.random.Generator:
        """A generator of the run's for another use, such as a method's own draws."""
        return generator_of(self.seed, use, *more)

    def learned_rewards(self, rows: np.ndarray) -> np.ndarray:
        """The members' mean reward of states and actions side by side, (..., o + a): (...)."""
        assert self.model is not None
        flat = self.model.rewards(rows.reshape(-1, rows.shape[-1]))
        return flat.reshape(rows.shape[:-1])

    def _average(self) -> float:
        """Mean true return of a segment, by the last episodes; by all steps before one ends."""
        if self._recent:
            total, steps = np.sum(self._recent, axis=0)
        else:
            total, steps = self.buffer.rewards()[1].sum(), self.buffer.size
        return float(total / steps * self.settings.feedback.segment)

    def reward_accuracy(self, step: int) -> dict[str, float]:
        """Share of fresh pairs of segments that the learned reward orders as the true one.

        The pairs are drawn from a generator of their own, so measuring changes nothing.
        """
        if self.model is None or not self.model.labels:
            return {}
        asked = self.settings.feedback
        rng = generator_of(self.seed, 3, step)
        draw = (rng, _PAIRS, asked.segment, asked.recent)
        first, second = self.buffer.segments(*draw), self.buffer.segments(*draw)
        chance = self.model.probabilities(first.pairs, second.pairs).mean(0)
        gap = second.rewards.sum(1) - first.rewards.sum(1)
        clear = gap != 0
        if not clear.any():
            return {}
        return {"reward/accuracy": float(((chance > 0.5) == (gap > 0))[clear].mean())}

    def state(self) -> Tree:
        """Everything but actor, critic, the torch generator and the transitions."""
        return {
            "episodes": self.episodes.state(),
            "rng": self.rng.bit_generator.state,
            "buffer": self.buffer.state(),
            "entropy": None if self.entropy is None else self.entropy.state(),
            "model": None if self.model is None else self.model.state(),
            "counts": [self.asked, self._length],
            "episode": [self._return, self._success],
            "recent": self._recent,
        }

    def restore(self, tree: Tree, transitions: bytes) -> None:
        """Go back to a state; the environment is restored by the vector that steps it."""
        self.rng.bit_generator.state = tree["rng"]
        self.buffer.restore(tree["buffer"], transitions)
        if self.entropy is not None:
            self.entropy.restore(tree["entropy"])
        if self.model is not None:
            self.model.restore(tree["model"])
        self.asked, self._length = tree["counts"]
        self._return, self._success = tree["episode"]
        self._recent = tree["recent"]
