"""Is ``sac`` as good as stable-baselines3's SAC? An equivalence test, its margin fixed here.

``python -m benchmarks.sac_equivalence --runs FOLDER [--seeds N] [--steps N] [--out FILE]``

Written down before any run:

- Tasks cheetah-run and walker-walk, whose returns lie in [0, 1000].
- Both sides: 2×256 ReLU units, minibatches of 256, Adam at 3e-4 for actor, critic and
  temperature, α starting at 0.1, discount 0.99, τ 0.005, 1,000 random steps, then one
  update a step. Known differences: the map to log σ (clipped to [−20, 2] there, smooth in
  [−10, 3] here) and the random numbers.
- Quantity: a run's mean return over its deterministic evaluations of 10 episodes in the
  second half of training, every tenth of it.
- Margin: 100, a tenth of the scale. Equivalent when the difference of means lies within
  ±100 by two one-sided Welch tests at level 0.05 each (TOST), for both tasks; different
  when the 90 % interval lies outside; otherwise undecided. At least 5 seeds a side.

Resumable: a finished run is kept, runs of this library go on from their checkpoint.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from stable_baselines3 import SAC as Peer

import sailtheory
from sailtheory.files import write_text
from sailtheory.training.control.lane import generator_of
from sailtheory.training.control.settings import settings_of
from sailtheory.training.control.tasks import Episodes, make_task
from sailtheory.training.control.train import train
from sailtheory.training.record import read_record

TASKS = ("cheetah-run", "walker-walk")
MARGIN, LEVEL, SEEDS = 100.0, 0.05, 5
RATE, RANDOM, EPISODES = 3e-4, 1000, 10


def ours(task: str, seeds: list[int], steps: int, folder: Path, episodes: int) -> list[list[float]]:
    """Returns at each evaluation, for each seed."""
    changed = {
        "steps": steps, "random_steps": RANDOM, "evaluate_every": steps // 10,
        "evaluation_episodes": episodes, "checkpoint_every": steps // 10, "sac.width": 256,
        "sac.batch": 256, "sac.actor_rate": RATE, "sac.critic_rate": RATE,
        "sac.temperature_rate": RATE,
    }  # fmt: skip
    settings = settings_of(task, "sac", 0, changed)
    # One after another: nothing is lost when the number of seeds grows later.
    found = [train(settings, [seed], folder / task, resume=True)[0] for seed in seeds]
    return [read_record(run).series("eval/return")[1].tolist() for run in found]


def theirs(task: str, seed: int, steps: int, folder: Path, episodes: int) -> list[float]:
    """The same of the peer; a run that was stopped begins anew."""
    path = folder / f"peer-{task}-{seed}.json"
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    agent = Peer(
        "MlpPolicy", make_task(task), seed=seed, learning_rate=RATE, batch_size=256,
        buffer_size=steps, learning_starts=RANDOM, ent_coef="auto_0.1", device="cpu",
        policy_kwargs={"net_arch": [256, 256]},
    )  # fmt: skip
    found = []
    for tenth in range(10):
        agent.learn(steps // 10, reset_num_timesteps=tenth == 0)
        examiner = Episodes(make_task(task), generator_of(seed, 4, (tenth + 1) * (steps // 10)))
        found.append(float(np.mean([_episode(agent, examiner) for _ in range(episodes)])))
    write_text(json.dumps(found), path)
    return found


def _episode(agent: Any, examiner: Episodes) -> float:
    observation, total = examiner.reset(), 0.0
    while True:
        action, _ = agent.predict(observation, deterministic=True)
        step = examiner.step(action)
        observation, total = step.observation, total + step.reward
        if step.terminated or step.truncated:
            return total


def tost(mine: np.ndarray, peer: np.ndarray) -> dict[str, Any]:
    """Two one-sided Welch tests of |difference of means| < MARGIN, and the 90 % interval."""
    gap = mine.mean() - peer.mean()
    shares = mine.var(ddof=1) / len(mine), peer.var(ddof=1) / len(peer)
    error = np.sqrt(sum(shares))
    freedom = error**4 / (
        shares[0] ** 2 / (len(mine) - 1) + shares[1] ** 2 / (len(peer) - 1) or np.inf
    )
    t = stats.t(freedom)
    half = t.ppf(1 - LEVEL) * error
    p = float(max(t.sf((gap + MARGIN) / error), t.cdf((gap - MARGIN) / error)))
    verdict = "equivalent" if p < LEVEL else "undecided"
    if gap - half > MARGIN or gap + half < -MARGIN:
        verdict = "different"
    return {"difference": float(gap), "interval_90": [float(gap - half), float(gap + half)],
            "p": p, "verdict": verdict}  # fmt: skip


def main() -> None:
    """Train what is missing, test, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", required=True, type=Path, help="folder of the runs")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--steps", type=int, default=60_000)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--episodes", type=int, default=EPISODES, help="in an evaluation")
    parser.add_argument("--out", help="JSON file to write, when all is done")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    folder, steps = arguments.runs / str(arguments.steps), arguments.steps
    folder.mkdir(parents=True, exist_ok=True)
    seeds = list(range(arguments.seeds))
    results: dict[str, Any] = {
        "version": sailtheory.__version__, "margin": MARGIN, "level": LEVEL, "steps": steps,
        "episodes": arguments.episodes, "seeds": seeds,
    }  # fmt: skip
    for task in arguments.tasks:
        began = time.process_time()
        curves = {"ours": ours(task, seeds, steps, folder, arguments.episodes)}
        middle = time.process_time()
        curves["peer"] = [theirs(task, s, steps, folder, arguments.episodes) for s in seeds]
        seconds = [middle - began, time.process_time() - middle]
        late = {side: np.mean(np.array(c)[:, 5:], axis=1) for side, c in curves.items()}
        enough = len(seeds) >= SEEDS
        test = tost(late["ours"], late["peer"]) if len(seeds) > 1 else {}
        if not enough:
            test["verdict"] = f"none: {SEEDS} seeds a side were asked for"
        results[task] = {"curves": curves, "cpu_seconds_now": seconds} | test
        print(task, json.dumps(results[task]), flush=True)
    if arguments.out:
        write_text(json.dumps(results, indent=2) + "\n", arguments.out)


if __name__ == "__main__":
    main()
