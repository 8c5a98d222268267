"""SAC updates against stable-baselines3's, runs together against one after another, steps.

``python -m benchmarks.control [--out FILE] [--rounds N]``. One torch thread. The two sides
of a ratio take turns in short blocks; a ratio is the median over the pairs of blocks, in
CPU seconds of the process, so that other load on the machine touches both alike.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3 import SAC as Peer

import sailtheory
from benchmarks.results import save
from sailtheory.training.control.buffer import ReplayBuffer
from sailtheory.training.control.networks import network_products
from sailtheory.training.control.sac import SAC, Batch
from sailtheory.training.control.settings import SACSettings
from sailtheory.training.control.tasks import Episodes, make_task
from sailtheory.training.control.vector import Vector

STATES, ACTIONS = 24, 6  # walker's
SETTINGS = SACSettings(width=256, batch=256)
RUNS = 8
Work = Callable[[int], Any]


def compare(
    mine: Work, peer: Work, count: int, rounds: int, clock: Callable[[], float] = time.process_time
) -> dict[str, float]:
    """Blocks of ``count`` in turn: calls a second of each, and the ratio of pairs."""

    def speed(work: Work) -> float:
        began = clock()
        work(count)
        return count / (clock() - began)

    mine(count), peer(count)
    pairs = [(speed(mine), speed(peer)) for _ in range(rounds)]
    ratios = [a / b for a, b in pairs]
    quarter = statistics.quantiles(ratios, n=4)
    return {
        "per_second": statistics.median(a for a, _ in pairs),
        "peer_per_second": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(ratios),
        "ratio_quartiles": [quarter[0], quarter[2]],
    }


def filled(seed: int) -> ReplayBuffer:
    """A buffer of 2,000 random transitions."""
    rng, buffer = np.random.default_rng(seed), ReplayBuffer(STATES, ACTIONS, 20_000)
    for _ in range(2000):
        state, following = rng.normal(size=(2, STATES))
        buffer.add(state, rng.uniform(-1, 1, ACTIONS), following, rng.normal(), 0.0, False, False)
    return buffer


class Trained:
    """K runs on random transitions; a call makes so many updates, sampling included."""

    def __init__(self, seeds: list[int]) -> None:
        self.agent = SAC(
            STATES, ACTIONS, SETTINGS, [torch.Generator().manual_seed(seed) for seed in seeds]
        )
        self.buffers = [filled(seed) for seed in seeds]
        self.rngs = [np.random.default_rng(seed) for seed in seeds]
        self.rows = np.zeros((len(seeds), SETTINGS.batch, 2 * STATES + ACTIONS + 2), np.float32)

    def __call__(self, count: int) -> None:
        for _ in range(count):
            for buffer, rng, rows in zip(self.buffers, self.rngs, self.rows, strict=True):
                buffer.sample(rng, rows)
            self.agent.update(Batch.of_rows(torch.from_numpy(self.rows), STATES, ACTIONS))


class Still(gymnasium.Env):
    """Random states, so that the peer can fill its buffer."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (STATES,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (ACTIONS,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.normal(size=STATES).astype(np.float32), {}

    def step(self, action):
        state = self.np_random.normal(size=STATES).astype(np.float32)
        return state, float(state[0]), False, False, {}


def single_updates(rounds: int) -> dict[str, Any]:
    """One run against stable-baselines3's SAC, 2×256 units, minibatches of 256."""
    peer = Peer(
        "MlpPolicy", Still(), policy_kwargs={"net_arch": [256, 256]}, batch_size=256,
        learning_starts=10**9, buffer_size=20_000, device="cpu", seed=0,
    )  # fmt: skip
    peer.learn(2000)
    found = compare(Trained([0]), lambda count: peer.train(count, 256), 12, rounds)
    return {"peer": "stable_baselines3.SAC.train", "goal": 1.15} | found


def together(rounds: int) -> dict[str, Any]:
    """Eight runs in one stack against the same eight, one update each in turn."""
    stacked, each = Trained(list(range(RUNS))), [Trained([seed]) for seed in range(RUNS)]
    found = compare(stacked, lambda count: [one(count) for one in each], 3, rounds)
    mine = stacked.agent.state(3)["actor"]
    equal = torch.equal(mine, each[3].agent.state(0)["actor"])
    return {"peer": "eight stacks of one run", "unit": "updates of all eight", **found,
            "bitwise_equal": equal}  # fmt: skip


def small_together(rounds: int) -> dict[str, Any]:
    """The same with 2×64 units and minibatches of 64, where the interpreter weighs more."""
    global SETTINGS
    before, SETTINGS = SETTINGS, SACSettings(width=64, batch=64)
    try:
        return together(rounds)
    finally:
        SETTINGS = before


def bitwise_products(rounds: int) -> dict[str, Any]:
    """What products that do not depend on their neighbours cost: against torch.bmm."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2 * RUNS, 256, 256, generator=generator)
    w = torch.randn(2 * RUNS, 256, 256, generator=generator)

    def repeat(product: Callable[..., torch.Tensor]) -> Work:
        return lambda count: [product(x, w) for _ in range(count)]

    return {"peer": "torch.bmm, 16 lanes"} | compare(
        repeat(network_products), repeat(torch.bmm), 10, rounds
    )


def environment_steps(rounds: int, name: str) -> dict[str, Any]:
    """Eight environments in a vector against a plain loop over eight."""
    vector = Vector([Episodes(make_task(name), np.random.default_rng(k)) for k in range(RUNS)])
    vector.reset()
    plain = [make_task(name) for _ in range(RUNS)]
    for k, env in enumerate(plain):
        env.reset(seed=k)
    rng, width = np.random.default_rng(0), vector.environments[0].sizes[1]
    actions = rng.uniform(-1, 1, (64, RUNS, width)).astype(np.float32)

    def loop(count: int) -> None:
        for t in range(count):
            for env, action in zip(plain, actions[t % 64], strict=True):
                _, _, terminated, truncated, _ = env.step(action)
                if terminated or truncated:
                    env.reset()

    def mine(count: int) -> None:
        for t in range(count):
            vector.step(actions[t % 64])

    found = compare(mine, loop, 25, rounds)
    vector.close()
    return {"peer": "a loop over env.step", "unit": f"steps of {RUNS}"} | found


def main() -> None:
    """Run every benchmark and print, optionally save, the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", help="JSON file to write")
    parser.add_argument("--rounds", type=int, default=40, help="pairs of blocks")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, Any] = {
        "version": sailtheory.__version__, "torch": torch.__version__,
        "machine": platform.machine(), "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
    }  # fmt: skip
    for benchmark in (single_updates, together, small_together, bitwise_products):
        results[benchmark.__name__] = benchmark(arguments.rounds)
        print(benchmark.__name__, json.dumps(results[benchmark.__name__]), flush=True)
    for task in ("cheetah-run", "walker-walk", "door-open"):
        results[f"steps/{task}"] = environment_steps(arguments.rounds, task)
        print(task, json.dumps(results[f"steps/{task}"]), flush=True)
    results["load_after"] = os.getloadavg()[0]
    save(results, arguments.out)


if __name__ == "__main__":
    main()
