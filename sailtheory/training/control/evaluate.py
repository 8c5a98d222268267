"""How good the actors are: deterministic episodes in environments of their own."""

from __future__ import annotations

import numpy as np
import torch

from sailtheory.training.control.sac import SAC
from sailtheory.training.control.vector import Vector


def evaluate(agent: SAC, vector: Vector, episodes: int) -> list[dict[str, float]]:
    """Mean return and share of successful episodes of each run's squashed mean action.

    Args:
        agent: K runs.
        vector: An environment for each; what is drawn comes from their generators.
        episodes: Episodes for each run.

    Returns:
        For each run ``return`` and ``success`` (1 for an episode with a step in which the
        environment reports success).
    """
    vector.reset()
    runs = len(vector.environments)
    device = agent.actor_network.flat.device
    found: list[list[tuple[float, float]]] = [[] for _ in range(runs)]
    returns, success = np.zeros(runs), np.zeros(runs)
    while any(len(done) < episodes for done in found):
        states = torch.tensor(vector.observations[:, None], device=device)
        actions = agent.act(states, deterministic=True)[:, 0].cpu().numpy()
        steps = vector.step(actions)
        returns += steps.rewards
        success = np.maximum(success, steps.success)
        for k in np.flatnonzero(steps.terminated | steps.truncated):
            found[k].append((returns[k], success[k]))
            returns[k] = success[k] = 0.0
    # Runs whose episodes are short have played on; only the first episodes count.
    means = [np.mean(done[:episodes], axis=0) for done in found]
    return [{"return": float(mean[0]), "success": float(mean[1])} for mean in means]
