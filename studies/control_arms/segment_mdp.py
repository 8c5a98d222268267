"""A three-step MDP, enumerated: the gradient of ``sail``, and what it leaves out.

``python -m studies.control_arms.segment_mdp [--count N] [--out FILE]``

Segments of L steps are cut from episodes of three, their start uniform among those that fit.
The states of a segment depend on the actions before them, and so on θ. ``sail`` takes the
states as they are, of the actors that walked there, and draws new actions in them; against
the gradient of J over the segments that π_θ walks itself it leaves out, of the share
‖∇J − ∇J of sail‖ / ‖∇J‖:

- ``start``: that the start depends on earlier actions (all that is left out where recorded
  actions are taken as π_θ's own, which they are not once it has been updated);
- ``states``: that all states of the segment do.

Then the states are of an actor that has moved since, π_then, whose table is θ plus ``APART``
times normal numbers: by the mean of |log π_now − log π_then| of a pair of segments, the error
of ``states`` and its cosine with ∇J; and what recorded actions of π_then give, with weights
min(π_now/π_then, 1) and without.

Three states, two actions, tabular policy; transitions and first states Dirichlet(1), rewards,
θ and θ_ref standard normal; preferences Bradley–Terry, β = 0.1 as in the runs, and β = 1.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sailtheory.storage.files import write_text
from sailtheory.training.control.settings import ReferenceSettings, SACSettings
from studies.control_arms.segments import SegmentAgent, SegmentPairs, SegmentSettings

F64 = torch.float64
STATES, ACTIONS, HORIZON = 3, 2, 3
BETAS = (0.1, 1.0)
APART = (0.03, 0.1, 0.3, 1.0, 2.0, 5.0)
LEFT_OUT = ("nothing", "start", "states")
OUT = Path("studies/control_arms/segment_mdp.json")


class Tabular(torch.nn.Module):
    """π(a|s) = softmax of a table, for states and actions given as indicators."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = torch.nn.Parameter(table.clone())

    def log_prob_unsquashed(self, states: Tensor, actions: Tensor) -> Tensor:
        """(..., 3), (..., 2) to (...); named as for actors that squash their actions."""
        return ((states @ self.table).log_softmax(-1) * actions).sum(-1)


class MDP:
    """Random dynamics, rewards, policy and reference."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.first = torch.tensor(rng.dirichlet(np.ones(STATES)))
        self.moves = torch.tensor(rng.dirichlet(np.ones(STATES), (STATES, ACTIONS)))
        self.reward = torch.tensor(rng.normal(size=(STATES, ACTIONS)))
        self.theta, self.theta_ref = torch.tensor(rng.normal(size=(2, STATES, ACTIONS)))
        self.noise = torch.tensor(rng.normal(size=(STATES, ACTIONS)))

    def segments(self, length: int) -> tuple[Tensor, Tensor]:
        """All states and actions, (N, L) each."""
        steps = list(itertools.product(range(STATES), range(ACTIONS)))
        every = torch.tensor(list(itertools.product(steps, repeat=length)))
        return every[..., 0], every[..., 1]

    def starts(self, theta: Tensor, length: int) -> Tensor:
        """The distribution of a segment's first state: (3,)."""
        now, found = self.first, []
        for _ in range(HORIZON - length + 1):
            found.append(now)
            now = now @ self.means(theta)
        return torch.stack(found).mean(0)

    def means(self, theta: Tensor) -> Tensor:
        """P(s'|s), the action drawn: (3, 3)."""
        return torch.einsum("sa,sat->st", theta.softmax(-1), self.moves)

    def chosen(self, theta: Tensor, length: int) -> Tensor:
        """Π_t π_θ(a_t|s_t) of each segment: (N,)."""
        s, a = self.segments(length)
        return theta.softmax(-1)[s, a].prod(1)

    def visited(self, theta: Tensor, length: int) -> Tensor:
        """How likely the states of each segment are, whatever its actions: (N,)."""
        s, _ = self.segments(length)
        return self.starts(theta, length)[s[:, 0]] * self.means(theta)[s[:, :-1], s[:, 1:]].prod(1)

    def walked(self, theta: Tensor, starts: Tensor, length: int) -> Tensor:
        """How likely each segment is, walked from a start: (N,)."""
        s, a = self.segments(length)
        moved = self.moves[s[:, :-1], a[:, :-1], s[:, 1:]].prod(1)
        return starts[s[:, 0]] * self.chosen(theta, length) * moved

    def chance(self, theta: Tensor, length: int, left_out: str, then: Tensor) -> Tensor:
        """How likely each segment is, (N,), as differentiated in θ with something left out.

        Args:
            theta: θ.
            length: L.
            left_out: One of ``LEFT_OUT``.
            then: Table of the actor whose states they are, where those are left out.
        """
        if left_out == "states":
            return self.visited(then, length).detach() * self.chosen(theta, length)
        starts = self.starts(theta, length)
        return self.walked(theta, starts.detach() if left_out == "start" else starts, length)

    def preference(self, length: int) -> Tensor:
        """p₁₂ of all pairs, (N, N)."""
        s, a = self.segments(length)
        total = self.reward[s, a].sum(1)
        return torch.sigmoid(total[:, None] - total)

    def payoff(self, theta: Tensor, beta: float, length: int) -> Tensor:
        """g of all pairs, (N, N)."""
        s, a = self.segments(length)
        log_ratio = (theta.log_softmax(-1) - self.theta_ref.log_softmax(-1))[s, a].sum(1)
        z = beta * (log_ratio[:, None] - log_ratio)
        p = self.preference(length)
        return p * torch.log(torch.sigmoid(z)) + (1 - p) * torch.log(torch.sigmoid(-z))

    def gradient(
        self, beta: float, length: int, left_out: str = "nothing", then: Tensor | None = None
    ) -> Tensor:
        """∇J, (3, 2), by differentiating the enumerated J; arguments of :meth:`chance`."""
        theta = self.theta.clone().requires_grad_()
        chance = self.chance(theta, length, left_out, self.theta if then is None else then)
        value = chance @ self.payoff(theta, beta, length) @ chance
        return torch.autograd.grad(value, theta)[0]

    def agent(self, beta: float, weight: float) -> SegmentAgent:
        """The arm's own class, its actor and reference being tables."""
        agent = SegmentAgent(
            STATES, ACTIONS, SACSettings(width=1), [torch.Generator()],
            rules=ReferenceSettings(), objective=SegmentSettings(beta=beta, weight=weight),
            dtype=F64,
        )  # fmt: skip
        agent.actor, agent.reference = Tabular(self.theta), Tabular(self.theta_ref)  # type: ignore[assignment]
        return agent

    def pairs(self, length: int, then: Tensor) -> tuple[SegmentPairs, Tensor]:
        """All N² pairs, each a run of its own, and how likely they are, (N²,), in ``sail``.

        Args:
            length: L.
            then: Table of the actor whose states they are.
        """
        s, a = self.segments(length)
        both = torch.cartesian_prod(torch.arange(len(s)), torch.arange(len(s)))
        states = torch.eye(STATES, dtype=F64)[s][both][:, None]
        actions = torch.eye(ACTIONS, dtype=F64)[a][both][:, None]
        preference = self.preference(length).reshape(-1, 1) - 0.5
        chance = self.chance(self.theta, length, "states", then)
        return SegmentPairs(states, actions, preference), torch.outer(chance, chance).reshape(-1)

    def recorded(self, beta: float, length: int, then: Tensor, limit: float | None) -> Tensor:
        """What (C18) gives for segments that another actor walked: (3, 2).

        Args:
            beta: β.
            length: L.
            then: Table of that actor.
            limit: Largest weight π_now/π_then of a pair; None leaves the weights out.
        """
        theta = self.theta.clone().requires_grad_()
        drawn, own = (self.chosen(table, length).log() for table in (then, theta))
        one = self.walked(then, self.starts(then, length), length)
        chance, both = torch.outer(one, one), own[:, None] + own
        if limit is not None:
            ratio = both.detach() - (drawn[:, None] + drawn)
            chance = chance * ratio.exp().clamp(max=limit)
        g = self.payoff(theta, beta, length)
        surrogate = g + (g.detach() + math.log(2)) * both
        return torch.autograd.grad((chance * surrogate).sum(), theta)[0]

    def apart(self, length: int, then: Tensor) -> float:
        """Mean |log π_now − log π_then| of a pair that the other actor walked."""
        now, drawn = (self.chosen(table, length).log() for table in (self.theta, then))
        one = self.walked(then, self.starts(then, length), length)
        ratio = now - drawn
        return float(one @ (ratio[:, None] + ratio).abs() @ one)


def shipped_gradient(agent: SegmentAgent, pairs: SegmentPairs, chance: Tensor) -> Tensor:
    """The expected gradient of what the arm's loss descends, turned into an ascent: (3, 2)."""
    terms = torch.stack(list(agent.sail_terms(pairs).values())).sum(0)
    table: Any = agent.actor.table
    return -torch.autograd.grad((chance * terms).sum(), table)[0] / agent.objective.weight


def error(found: Tensor, exact: Tensor) -> tuple[float, float]:
    """‖found − exact‖ / ‖exact‖ and the cosine of the two."""
    cosine = torch.cosine_similarity(found.reshape(-1), exact.reshape(-1), 0)
    return float((found - exact).norm() / exact.norm()), float(cosine)


def shares(seeds: range, beta: float, length: int, left_out: str) -> dict[str, Any]:
    """Of the whole gradient, over MDPs."""
    found = []
    for mdp in map(MDP, seeds):
        found.append(error(mdp.gradient(beta, length, left_out), mdp.gradient(beta, length)))
    share, cosine = np.array(found).T
    low, middle, high = np.quantile(share, [0.1, 0.5, 0.9])
    return {
        "beta": beta, "length": length, "left_out": left_out, "instances": len(share),
        "median": round(float(middle), 4), "tenth": round(float(low), 4),
        "ninetieth": round(float(high), 4), "largest": round(float(share.max()), 4),
        "cosine": round(float(np.median(cosine)), 4),
        "reversed": round(float((cosine < 0).mean()), 4),
    }  # fmt: skip


def moved(seeds: range, beta: float, apart: float) -> dict[str, float]:
    """Medians over MDPs where states, or states and actions, are those of another actor."""
    nats, found = [], []
    for mdp in map(MDP, seeds):
        then, exact = mdp.theta + apart * mdp.noise, mdp.gradient(beta, 2)
        nats.append(mdp.apart(2, then))
        found.append([
            error(mdp.gradient(beta, 2, "states", then), exact),
            *(error(mdp.recorded(beta, 2, then, limit), exact) for limit in (1.0, None)),
        ])  # fmt: skip
    rows = {"apart": round(float(np.median(nats)), 3)}
    ways = np.transpose(found, (1, 2, 0))
    for name, (share, cosine) in zip(("redrawn", "weighed", "unweighed"), ways, strict=True):
        rows[f"{name}_error"] = round(float(np.median(share)), 3)
        rows[f"{name}_cosine"] = round(float(np.median(cosine)), 3)
        rows[f"{name}_reversed"] = round(float((cosine < 0).mean()), 3)
    return rows


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--out", default=OUT)
    asked = parser.parse_args()
    seeds = range(asked.count)
    found = {
        "left_out": [
            shares(seeds, beta, length, left_out)
            for beta in BETAS
            for length in (2, HORIZON)
            for left_out in LEFT_OUT[1:]
            if (length, left_out) != (HORIZON, "start")  # whole episodes start as they do
        ],
        "moved": [moved(seeds, BETAS[0], apart) for apart in APART],
    }
    write_text(json.dumps(found, indent=1) + "\n", asked.out)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
