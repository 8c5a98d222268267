"""Evaluation: what the comparison of the arms rests on, with environments that follow a script."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sailtheory.training.control.evaluate import evaluate
from sailtheory.training.control.progress_table import ProgressTable
from sailtheory.training.control.tasks import Step
from sailtheory.training.control.vector import Vector


class Scripted:
    """Episodes of given rewards and successes, one after the other, round and round."""

    sizes = (2, 1)

    def __init__(self, *episodes, terminated=False):
        self.episodes, self.terminated = episodes, terminated
        self.begun, self.time, self.actions = -1, 0, []

    def reset(self):
        self.begun, self.time = self.begun + 1, 0
        return np.array([self.begun, 0], np.float32)

    def step(self, action):
        rewards, successes = self.episodes[self.begun % len(self.episodes)]
        self.actions.append(float(action[0]))
        reward, success = rewards[self.time], successes[self.time]
        self.time += 1
        over = self.time == len(rewards)
        state = np.array([self.begun, self.time], np.float32)
        return Step(state, reward, over and self.terminated, over and not self.terminated, success)


class Agent:
    """Acts by the states; its network lies on the CPU."""

    actor_network = SimpleNamespace(flat=torch.zeros(1))

    def act(self, states, *, deterministic):
        assert deterministic and states.shape[1:] == (1, 2)
        return states[..., :1] * 10 + states[..., 1:]


@pytest.mark.parametrize("terminated", [False, True])
def test_episodes_are_counted_one_by_one_and_the_first_alone(terminated):
    long = Scripted(([1.0, 2.0, 3.0], [0, 0, 0]), ([10.0, 20.0], [0, 0]), terminated=terminated)
    short = Scripted(([5.0], [0]), ([7.0, 0.0], [1, 0]), ([100.0], [1]), terminated=terminated)
    found = evaluate(Agent(), Vector([long, short]), 2)
    assert found == [
        {"return": (6 + 30) / 2, "success": 0.0},
        {"return": (5 + 7) / 2, "success": 0.5},  # and not the third, which it had time for
    ]
    assert short.begun >= 3 and long.actions == [0, 1, 2, 10, 11]


def test_one_success_in_an_episode_is_enough():
    one = Scripted(([0.0, 0.0, 0.0], [0, 1, 0]), ([0.0], [0]), ([0.0], [0]), ([0.0], [0]))
    assert evaluate(Agent(), Vector([one]), 4) == [{"return": 0.0, "success": 0.25}]


def test_progress_tells_success_and_the_rewards_accuracy_beside_the_return():
    out = io.StringIO()
    measured = {"eval/return": 1.5, "eval/success": 0.5, "reward/accuracy": 0.75}
    with ProgressTable(10, 2, out) as table:
        table(5, {3: measured, 4: {"eval/return": 2.0}})
    assert "3: 1.5 (success 0.50, reward accuracy 0.75), 4: 2.0" in out.getvalue()
