"""A three-step MDP, enumerated: the gradient of ``sail``, and what dropping a dependence costs.

``python -m benchmarks.segment_mdp [--count N] [--out FILE]``

Segments of two steps are cut from episodes of three, their start uniform among the first two
steps. The second start depends on the first action, and so on θ; ``sail`` leaves that out.
The share is ‖∇J with it − ∇J without it‖ / ‖∇J with it‖, by exact enumeration. Three states,
two actions, tabular policy; transitions and first states Dirichlet(1), rewards, θ and θ_ref
standard normal; preferences Bradley–Terry, β = 0.1 as in the runs and β = 1.

Segments of an actor that has moved since: π_then's table is θ plus ``APART`` times normal
numbers, pairs weigh min(π_now/π_then, 1) as in the runs, or nothing; by the mean of
|log π_now − log π_then| of a pair, how far the expected gradient is from the exact one.
"""

from __future__ import annotations

import argparse
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sailtheory.files import write_text
from sailtheory.training.control.sac import SegmentPairs
from sailtheory.training.control.sail import SAIL, segment_log_probs
from sailtheory.training.control.settings import ReferenceSettings, SACSettings, SAILSettings

F64 = torch.float64
STATES, ACTIONS, HORIZON = 3, 2, 3
APART = (0.03, 0.1, 0.3, 1.0, 2.0)
OUT = Path("docs/evidence/segment_mdp.json")


class Tabular(torch.nn.Module):
    """π(a|s) = softmax of a table, for states and actions given as indicators."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = torch.nn.Parameter(table.clone())

    def log_prob(self, states: Tensor, actions: Tensor) -> Tensor:
        """(..., 3), (..., 2) to (...)."""
        return ((states @ self.table).log_softmax(-1) * actions).sum(-1)


class MDP:
    """Random dynamics, rewards, policy and reference."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.first = torch.tensor(rng.dirichlet(np.ones(STATES)))
        self.moves = torch.tensor(rng.dirichlet(np.ones(STATES), (STATES, ACTIONS)))
        self.reward = torch.tensor(rng.normal(size=(STATES, ACTIONS)))
        self.theta, self.theta_ref = torch.tensor(rng.normal(size=(2, STATES, ACTIONS)))

    def starts(self, theta: Tensor, length: int) -> Tensor:
        """The distribution of a segment's first state: (3,)."""
        now, found = self.first, []
        for _ in range(HORIZON - length + 1):
            found.append(now)
            now = torch.einsum("s,sa,sat->t", now, theta.softmax(-1), self.moves)
        return torch.stack(found).mean(0)

    def segments(self, length: int) -> tuple[Tensor, Tensor]:
        """All states and actions, (N, L) each."""
        steps = list(itertools.product(range(STATES), range(ACTIONS)))
        every = torch.tensor(list(itertools.product(steps, repeat=length)))
        return every[..., 0], every[..., 1]

    def probability(self, theta: Tensor, starts: Tensor, length: int) -> Tensor:
        """Of each segment, (N,)."""
        s, a = self.segments(length)
        chosen = theta.softmax(-1)[s, a].prod(1)
        moved = self.moves[s[:, :-1], a[:, :-1], s[:, 1:]].prod(1)
        return starts[s[:, 0]] * chosen * moved

    def preference(self, length: int) -> Tensor:
        """p₁₂ of all pairs, (N, N)."""
        s, a = self.segments(length)
        total = self.reward[s, a].sum(1)
        return torch.sigmoid(total[:, None] - total)

    def gradient(self, beta: float, length: int, *, moving: bool) -> Tensor:
        """∇J, (3, 2), by differentiating the enumerated J; with moving starts or fixed ones."""
        theta = self.theta.clone().requires_grad_()
        starts = self.starts(theta, length)
        chance = self.probability(theta, starts if moving else starts.detach(), length)
        s, a = self.segments(length)
        log_ratio = (theta.log_softmax(-1) - self.theta_ref.log_softmax(-1))[s, a].sum(1)
        z = beta * (log_ratio[:, None] - log_ratio)
        p = self.preference(length)
        g = p * torch.log(torch.sigmoid(z)) + (1 - p) * torch.log(torch.sigmoid(-z))
        return torch.autograd.grad(chance @ g @ chance, theta)[0]

    def agent(self, beta: float, weight: float) -> SAIL:
        """The arm's own class, its actor and reference being tables."""
        agent = SAIL(
            STATES, ACTIONS, SACSettings(width=1), [torch.Generator()],
            rules=ReferenceSettings(), objective=SAILSettings(beta=beta, weight=weight), dtype=F64,
        )  # fmt: skip
        agent.actor, agent.reference = Tabular(self.theta), Tabular(self.theta_ref)  # type: ignore[assignment]
        return agent

    def pairs(self, length: int) -> tuple[SegmentPairs, Tensor]:
        """All N² pairs, each a run of its own, and their probabilities (N²,)."""
        s, a = self.segments(length)
        both = torch.cartesian_prod(torch.arange(len(s)), torch.arange(len(s)))
        states = torch.eye(STATES, dtype=F64)[s][both][:, None]
        actions = torch.eye(ACTIONS, dtype=F64)[a][both][:, None]
        preference = self.preference(length).reshape(-1, 1) - 0.5
        chance = self.probability(self.theta, self.starts(self.theta, length), length)
        return SegmentPairs(states, actions, preference), torch.outer(chance, chance).reshape(-1)


def shipped_gradient(agent: SAIL, pairs: SegmentPairs, chance: Tensor) -> Tensor:
    """The expected gradient of what the arm's loss descends, turned into an ascent: (3, 2)."""
    terms = torch.stack(list(agent.sail_terms(pairs).values())).sum(0)
    table: Any = agent.actor.table
    return -torch.autograd.grad((chance * terms).sum(), table)[0] / agent.objective.weight


def share(seed: int, beta: float) -> float:
    """What leaving out the starts' dependence costs, relative to ∇J."""
    mdp = MDP(seed)
    full, fixed = (mdp.gradient(beta, 2, moving=moving) for moving in (True, False))
    return float((full - fixed).norm() / full.norm())


def aged(seed: int, beta: float, apart: float, limit: float | None) -> tuple[float, float, float]:
    """Pairs of an actor that has moved: |log ratio| of a pair, relative error and cosine."""
    mdp = MDP(seed)
    noise = np.random.default_rng([seed, 1]).normal(size=mdp.theta.shape)
    then = mdp.theta + apart * torch.tensor(noise)
    pairs, _ = mdp.pairs(2)
    one = mdp.probability(then, mdp.starts(mdp.theta, 2), 2)
    chance = torch.outer(one, one).reshape(-1)
    own, drawn = (segment_log_probs(Tabular(table), pairs).detach() for table in (mdp.theta, then))
    agent = mdp.agent(beta, 1.0)
    agent.objective = replace(agent.objective, importance=limit)
    found = shipped_gradient(agent, pairs._replace(drawn=drawn), chance)
    exact = mdp.gradient(beta, 2, moving=False)
    ratio = (own - drawn).sum(-1).abs()[:, 0]
    error, cosine = (
        (found - exact).norm() / exact.norm(),
        torch.cosine_similarity(found.reshape(-1), exact.reshape(-1), 0),
    )
    return float(chance @ ratio), float(error), float(cosine)


def summary(seeds: range, beta: float, apart: float) -> dict[str, float]:
    """Medians over MDPs, with the weights and without."""
    rows: dict[str, float] = {}
    for name, limit in (("weighed", 1.0), ("unweighed", None)):
        ratio, error, cosine = np.array([aged(seed, beta, apart, limit) for seed in seeds]).T
        rows["apart"] = round(float(np.median(ratio)), 3)
        rows[f"{name}_error"] = round(float(np.median(error)), 3)
        rows[f"{name}_cosine"] = round(float(np.median(cosine)), 3)
        rows[f"{name}_reversed"] = round(float((cosine < 0).mean()), 3)
    return rows


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--out", default=OUT)
    asked = parser.parse_args()
    left_out = {}
    for beta in (0.1, 1.0):
        shares = [share(seed, beta) for seed in range(asked.count)]
        low, middle, high = np.quantile(shares, [0.1, 0.5, 0.9])
        left_out[str(beta)] = {
            "instances": asked.count, "median": round(float(middle), 4),
            "tenth": round(float(low), 4), "ninetieth": round(float(high), 4),
            "largest": round(max(shares), 4),
        }  # fmt: skip
    seeds = range(asked.count)
    limited = [summary(seeds, 0.1, apart) for apart in APART]
    found = {"left_out": left_out, "limited": limited}
    write_text(json.dumps(found, indent=1) + "\n", asked.out)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
