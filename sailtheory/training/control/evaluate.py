"""How good the actors are: deterministic episodes in environments of their own."""

from __future__ import annotations

import numpy as np
import torch

from sailtheory.training.control.sac import SAC
from sailtheory.training.control.vector import Vector

__all__ = ["evaluate"]


def evaluate(agent: SAC, vector: Vector, episodes: int) -> list[dict[str, float]]:
    """Mean return and share of successful episodes of each run's squashed mean action.

    Args:
        agent: K runs.
        vector: An environment for each; what is drawn comes from their generators.
        episodes: Episodes for each run.

    Returns:
        For each run ``return`` and, where the environment reports it, ``success`` (of an episode
        the largest number reported in it).
    """
    vector.reset()
    runs = len(vector.environments)
    device = agent.actor_network.flat.device
    found: list[list[tuple[float, float]]] = [[] for _ in range(runs)]
    returns, success = np.zeros(runs), np.full(runs, np.nan)
    while any(len(done) < episodes for done in found):
        states = torch.tensor(vector.observations[:, None], device=device)
        actions = agent.act(states, deterministic=True)[:, 0].cpu().numpy()
        steps = vector.step(actions)
        returns += steps.rewards
        success = np.fmax(success, steps.success)  # nan is none reported
        for k in np.flatnonzero(steps.terminated | steps.truncated):
            found[k].append((returns[k], success[k]))
            returns[k], success[k] = 0.0, np.nan
    # Runs whose episodes are short have played on; only the first episodes count.
    return [_means(np.array(done[:episodes])) for done in found]


def _means(episodes: np.ndarray) -> dict[str, float]:
    """Of return and success, (n, 2); an episode that reports none beside others has failed."""
    reported = ~np.isnan(episodes[:, 1])
    means = np.where(np.isnan(episodes), 0.0, episodes).mean(axis=0)
    success = {"success": float(means[1])} if reported.any() else {}
    return {"return": float(means[0])} | success
