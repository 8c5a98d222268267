"""Is ``sac`` as good as stable-baselines3's SAC? An equivalence test, its margin fixed before.

``python -m studies.sac_equivalence --runs FOLDER [--design small|full] [--out FILE]`` does the
test of design.md, which was written down before any of its runs.

A design changed by an option is not one that was written down, and its result says so.
Resumable: a finished run is kept, runs of this library go on from their checkpoint.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import optimize, stats
from stable_baselines3 import SAC as Peer

import sailtheory
from benchmarks.results import save
from sailtheory.runs.read import read_record
from sailtheory.storage.files import write_text
from sailtheory.training.control.learner import generator_of
from sailtheory.training.control.settings import settings_of
from sailtheory.training.control.tasks import Episodes, make_task
from sailtheory.training.control.train import train


@dataclass(frozen=True)
class Design:
    """What is trained, and the margin.

    Attributes:
        steps: Of each run; every tenth of them it is evaluated.
        width: Units of each of the two hidden layers.
        batch: Transitions in a minibatch.
        rate: Learning rate of everything.
        seeds: Runs a side.
        episodes: Of one evaluation.
        factor: f ≥ 1 of the margin.
    """

    steps: int
    width: int
    batch: int
    rate: float
    seeds: int
    episodes: int
    factor: float


DESIGNS = {
    "small": Design(20_000, 64, 128, 1e-3, 6, 2, 2.0),
    "full": Design(60_000, 256, 256, 3e-4, 5, 10, 1.5),
}
TASKS = ("cheetah-run", "walker-walk")
LEVEL, RANDOM, FLOOR = 0.05, 1000, 10


def ours(task: str, design: Design, folder: Path) -> list[list[float]]:
    """Returns at each evaluation, for each seed; the seeds train in one stack."""
    changed = {
        "steps": design.steps, "random_steps": RANDOM, "evaluate_every": design.steps // 10,
        "evaluation_episodes": design.episodes, "checkpoint_every": design.steps // 10,
        "sac.width": design.width, "sac.batch": design.batch, "sac.actor_rate": design.rate,
        "sac.critic_rate": design.rate, "sac.temperature_rate": design.rate,
    }  # fmt: skip
    settings = settings_of(task, "sac", 0, changed)
    folders = train(settings, range(design.seeds), folder / task, resume=True)
    return [read_record(run).series("eval/return")[1].tolist() for run in folders]


def theirs(task: str, seed: int, design: Design, folder: Path) -> list[float]:
    """The same of a run of the peer; one that was stopped begins anew."""
    path = folder / f"peer-{task}-{seed}.json"
    if path.exists():
        found: list[float] = json.loads(path.read_text(encoding="utf-8"))
        return found
    agent = Peer(
        "MlpPolicy", make_task(task), seed=seed, learning_rate=design.rate,
        batch_size=design.batch, buffer_size=design.steps, learning_starts=RANDOM,
        ent_coef="auto_0.1", device="cpu",
        policy_kwargs={"net_arch": [design.width, design.width]},
    )  # fmt: skip
    tenth, found = design.steps // 10, []
    for k in range(10):
        agent.learn(tenth, reset_num_timesteps=k == 0)
        examiner = Episodes(make_task(task), generator_of(seed, 4, (k + 1) * tenth))
        found.append(float(np.mean([_episode(agent, examiner) for _ in range(design.episodes)])))
    write_text(json.dumps(found), path)
    print(f"{task}: seed {seed} of the peer, {found[-1]:.1f} at the end", flush=True)
    return found


def _episode(agent: Any, examiner: Episodes) -> float:
    observation, total = examiner.reset(), 0.0
    while True:
        action, _ = agent.predict(observation, deterministic=True)
        step = examiner.step(action)
        observation, total = step.observation, total + step.reward
        if step.terminated or step.truncated:
            return total


class Uniform:
    """An agent that acts at random: what a run begins from."""

    def __init__(self, actions: int) -> None:
        self._rng, self._actions = np.random.default_rng(0), actions

    def predict(self, _: np.ndarray, *, deterministic: bool) -> tuple[np.ndarray, None]:
        """Uniform actions, whatever is asked for."""
        return self._rng.uniform(-1, 1, self._actions), None


def untrained(task: str) -> float:
    """Mean return of random actions."""
    episodes = Episodes(make_task(task), generator_of(0, 4))
    agent = Uniform(episodes.sizes[1])
    return float(np.mean([_episode(agent, episodes) for _ in range(FLOOR)]))


def contrast(mine: np.ndarray, peer: np.ndarray, ratio: float) -> tuple[float, float]:
    """One-sided p values of mean(mine) > ratio · mean(peer), and of <, by Welch's t test."""
    parts = mine.var(ddof=1) / len(mine), ratio**2 * peer.var(ddof=1) / len(peer)
    error = float(np.sqrt(sum(parts)))
    freedom = error**4 / (parts[0] ** 2 / (len(mine) - 1) + parts[1] ** 2 / (len(peer) - 1))
    t = stats.t(freedom)
    value = (mine.mean() - ratio * peer.mean()) / error
    return float(t.sf(value)), float(t.cdf(value))


def verdict(mine: np.ndarray, peer: np.ndarray, factor: float) -> dict[str, Any]:
    """Does the ratio of means lie in [1/factor, factor]?

    Args:
        mine: Scores of runs, (n,).
        peer: Of the others, (m,).
        factor: Of the margin.

    Returns:
        Ratio with its 90 % interval (None for an end that does not exist), the larger
        p value of the two tests of equivalence, and the verdict.
    """
    above, below = contrast(mine, peer, 1 / factor), contrast(mine, peer, factor)
    p = max(above[0], below[1])
    found = "equivalent" if p < LEVEL else "undecided"
    if above[1] < LEVEL or below[0] < LEVEL:
        found = "different"
    return {
        "scores": [mine.tolist(), peer.tolist()], "means": [float(mine.mean()), float(peer.mean())],
        "deviations": [float(mine.std(ddof=1)), float(peer.std(ddof=1))],
        "ratio": float(mine.mean() / peer.mean()), "interval_90": interval(mine, peer),
        "p": p, "verdict": found,
    }  # fmt: skip


def interval(mine: np.ndarray, peer: np.ndarray) -> list[float | None]:
    """The ratios that neither one-sided test rejects; None for an end that does not exist."""
    ratio = mine.mean() / peer.mean()

    def end(side: int, sign: float) -> float | None:
        def excess(width: float) -> float:
            return contrast(mine, peer, ratio + sign * width)[side] - LEVEL

        width = 0.1
        while excess(width) > 0:
            width *= 2
            if width > 1e3:
                return None
        return float(ratio + sign * optimize.brentq(excess, 0.0, width))

    return [end(0, -1.0), end(1, 1.0)]


def main() -> None:
    """Train what is missing, test, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", required=True, type=Path, help="folder of the runs")
    parser.add_argument("--design", default="small", choices=DESIGNS)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    for name in ("steps", "width", "batch", "seeds", "episodes"):
        parser.add_argument(f"--{name}", type=int, help="instead of the design's")
    parser.add_argument("--out", help="JSON file to write, after each task")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    written = DESIGNS[arguments.design]
    given = {name: getattr(arguments, name) for name in asdict(written) if hasattr(arguments, name)}
    design = replace(written, **{name: v for name, v in given.items() if v is not None})
    folder = arguments.runs / f"{design.width}-{design.batch}-{design.steps}-{design.episodes}"
    folder.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {
        "version": sailtheory.__version__, "level": LEVEL, "design": asdict(design),
        "as_written_down": design == written,
    }  # fmt: skip
    for task in arguments.tasks:
        began = time.process_time()
        curves = {"ours": ours(task, design, folder)}
        middle = time.process_time()
        curves["peer"] = [theirs(task, seed, design, folder) for seed in range(design.seeds)]
        seconds = [middle - began, time.process_time() - middle]
        late = [np.mean(np.array(curves[side])[:, 5:], axis=1) for side in ("ours", "peer")]
        floor = untrained(task)
        test = verdict(late[0] - floor, late[1] - floor, design.factor) if design.seeds > 1 else {}
        results[task] = test | {
            "random_actions": floor, "curves": curves, "cpu_seconds_now": seconds
        }  # fmt: skip
        print(task, json.dumps(results[task]), flush=True)
        save(results, arguments.out)


if __name__ == "__main__":
    main()
