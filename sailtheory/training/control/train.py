"""Training K runs together: one settings but for the seed, one stack, one folder each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sailtheory.errors import InputError, whole_number
from sailtheory.runs.write import Run
from sailtheory.storage.config import TrackedConfig, plain
from sailtheory.training.control.evaluate import evaluate
from sailtheory.training.control.learner import Learner, generator_of
from sailtheory.training.control.methods import Method, method_named
from sailtheory.training.control.sac import Batch
from sailtheory.training.control.settings import Settings
from sailtheory.training.control.tasks import SCALES, Episodes, make_task, try_task
from sailtheory.training.control.vector import Vector

__all__ = ["Progress", "Trainer", "train"]

Tree = dict[str, Any]
Progress = Callable[[int, Mapping[int, Mapping[str, float]]], None]
"""Called with a step and, by seed, what was measured there."""


class Trainer:
    """K runs in lockstep. Everything random in a run comes from its own seed.

    Args:
        settings: Of all runs, but for the seed.
        seeds: One a run, all different.
        method: One that is not among the methods; by default the one that the settings name.

    Attributes:
        step: Steps taken in each environment.
    """

    def __init__(
        self, settings: Settings, seeds: Sequence[int], method: Method | None = None
    ) -> None:
        self.settings, self.seeds, self.step = settings, _each_once(seeds), 0
        name = settings.method  # read even where the method is one's own: it tells runs apart
        self.method = method or method_named(name)
        device = settings.device
        self.learners = [
            Learner(settings, seed, self.method.learns_reward, device) for seed in self.seeds
        ]
        observations, actions = sizes = self.learners[0].episodes.sizes
        generators = [learner.torch_generator for learner in self.learners]
        self.agent = self.method.agent.of(settings, sizes, generators)
        self.vector = Vector([learner.episodes for learner in self.learners])
        self._examiner = Vector(
            [Episodes(make_task(settings.task), generator_of(seed, 4)) for seed in self.seeds]
        )
        rows = 2 * observations + actions + 2
        self._rows = np.zeros((len(self.seeds), settings.sac.batch, rows), np.float32)
        self._terms: dict[str, Tensor] = {}
        self.vector.reset()

    def advance(self) -> list[dict[str, float]]:
        """One step in each environment, and the learning that follows it.

        Returns:
            What there is to log, for each run.
        """
        settings, states = self.settings, self.vector.observations.copy()
        actions = self._actions(states)
        steps = self.vector.step(actions)
        self.step += 1
        self.agent.begin(self.step)
        found = [
            learner.take_in(
                states[k], actions[k], steps.following[k], float(steps.rewards[k]),
                bool(steps.terminated[k]), bool(steps.truncated[k]), float(steps.success[k]),
            )
            for k, learner in enumerate(self.learners)
        ]  # fmt: skip
        since = self.step - settings.random_steps
        if self.method.learns_reward:
            self._learn_reward(since - settings.entropy_steps, found)
            if 0 < since <= settings.entropy_steps:
                self._update(entropy=True)
            elif since > settings.entropy_steps:
                self._update()
        elif since > 0:
            self._update()
        if self.step % settings.log_every == 0:
            logged = {f"loss/{name}": term for name, term in self._terms.items()}
            logged |= self.agent.observed()
            for k, metrics in enumerate(found):
                metrics |= {name: float(values[k]) for name, values in logged.items()}
        if self.step % settings.evaluate_every == 0 or self.step == settings.steps:
            for metrics, measured in zip(found, self.examine(), strict=True):
                metrics |= measured
        return found

    def _actions(self, states: np.ndarray) -> np.ndarray:
        if self.step < self.settings.random_steps:
            width = self.agent.widths[1]
            drawn = [learner.rng.uniform(-1, 1, width) for learner in self.learners]
            return np.stack(drawn).astype(np.float32)
        x = torch.tensor(states[:, None], device=self.settings.device)
        return self.agent.act(x)[:, 0].cpu().numpy()

    def _learn_reward(self, since: int, found: list[dict[str, float]]) -> None:
        """Ask the teacher when it is time: first when exploring ends, then every so often."""
        asked = self.settings.feedback
        if since < 0 or since % asked.every or self.learners[0].asked >= asked.maximum:
            return
        for metrics, learner in zip(found, self.learners, strict=True):
            metrics |= learner.ask()
        if since == 0:
            # What the critic has learned is the value of exploring.
            for k in range(len(self.learners)):
                self.agent.reset_critic(k)
            for _ in range(self.settings.reset_updates):
                self._update()

    def _update(self, *, entropy: bool = False) -> None:
        for learner, rows in zip(self.learners, self._rows, strict=True):
            learner.buffer.sample(learner.rng, rows)
            if entropy:
                assert learner.entropy is not None
                states = np.ascontiguousarray(rows[:, : self.agent.widths[0]])
                rows[:, -2] = learner.entropy.rewards(states, learner.buffer.states())
        batch = torch.tensor(self._rows, device=self.settings.device)
        minibatch = Batch.of_rows(batch, *self.agent.widths)
        self._terms = self.agent.update(self.agent.prepare(minibatch, self.learners))

    def examine(self) -> list[dict[str, float]]:
        """Evaluate each run; what is drawn depends on seed and step alone."""
        for seed, episodes in zip(self.seeds, self._examiner.environments, strict=True):
            episodes.generator = generator_of(seed, 4, self.step)
        measured = evaluate(self.agent, self._examiner, self.settings.evaluation_episodes)
        return [
            {f"eval/{name}": value for name, value in each.items()}
            | learner.reward_accuracy(self.step)
            | {"spent/steps": float(self.step), "spent/updates": float(self.agent.updates(k))}
            for k, (each, learner) in enumerate(zip(measured, self.learners, strict=True))
        ]

    def state(self, k: int) -> Tree:
        """Everything of one run but its transitions, which ``learners[k].buffer`` appends."""
        # "lane" is what checkpoints call the learner.
        return {"agent": self.agent.state(k), "lane": self.learners[k].state(), "terms": {
            name: float(term[k]) for name, term in self._terms.items()}}  # fmt: skip

    def restore(self, step: int, trees: Sequence[Tree], transitions: Sequence[bytes]) -> None:
        """Go back to the states of all runs at one step."""
        self.step = step
        for k, (learner, tree) in enumerate(zip(self.learners, trees, strict=True)):
            self.agent.restore(k, tree["agent"])
            learner.restore(tree["lane"], transitions[k])
            self.vector.restore(k, tree["lane"]["episodes"])
        names = trees[0]["terms"]
        self._terms = {n: torch.tensor([t["terms"][n] for t in trees]) for n in names}

    def close(self) -> None:
        """End the environments."""
        self.vector.close()
        self._examiner.close()


def train(
    settings: Settings,
    seeds: Sequence[int],
    out: str | Path,
    *,
    resume: bool = False,
    tensorboard: bool = False,
    progress: Progress | None = None,
    method: Method | None = None,
) -> list[Path]:
    """Train runs together, each with its record in ``out/seed-SEED``.

    Args:
        settings: Of all runs, but for the seed.
        seeds: One a run.
        out: Folder of the folders.
        resume: Go on with the runs that are there; those that are done stay as they are.
        tensorboard: Show the metrics to TensorBoard as well.
        progress: Told what is measured.
        method: One of your own, by the name in the settings; by default the one of that name.

    Returns:
        The folders.

    Raises:
        InputError: Settings that cannot be used, folders that hold other runs, runs that
            have no checkpoint of one step in common.
    """
    method = method or method_named(settings.method)
    seeds = _each_once(seeds)
    _check(settings, method)
    longest = try_task(settings.task)  # so that a bad task leaves no folder behind
    if method.learns_reward and longest is not None and longest < settings.feedback.segment:
        accepted = f"at most {longest}, the steps of an episode"
        raise InputError("feedback.segment", settings.feedback.segment, accepted)
    folders = [Path(out) / f"seed-{seed}" for seed in seeds]
    tracked = TrackedConfig(settings)  # so that the record tells which keys the training never read
    tracked.read.add("seed")
    runs = {
        seed: Run.create(
            folder,
            plain(replace(settings, seed=seed)),
            declared=method.declared,
            read=tracked.read,
            scale=SCALES.get(settings.task),
            tensorboard=tensorboard,
            resume=resume,
        )
        for seed, folder in zip(seeds, folders, strict=True)
    }
    runs = {seed: run for seed, run in runs.items() if not run.finished}
    if runs:
        _run(Trainer(tracked.view, list(runs), method), runs, progress)
    return folders


def _run(trainer: Trainer, runs: Mapping[int, Run], progress: Progress | None) -> None:
    settings = trainer.settings
    _go_back(trainer, runs)
    try:
        while trainer.step < settings.steps:
            found = trainer.advance()
            for run, metrics in zip(runs.values(), found, strict=True):
                if metrics:
                    run.log(trainer.step, metrics)
            if progress is not None and any(found):
                progress(trainer.step, dict(zip(runs, found, strict=True)))
            if trainer.step % settings.checkpoint_every == 0 or trainer.step == settings.steps:
                _save(trainer, runs)
        for run in runs.values():
            run.finish()
    finally:
        trainer.close()


def _save(trainer: Trainer, runs: Mapping[int, Run]) -> None:
    for k, run in enumerate(runs.values()):
        added = trainer.learners[k].buffer.added(run.data.end or 0)
        run.save(trainer.step, trainer.state(k), added)


def _go_back(trainer: Trainer, runs: Mapping[int, Run]) -> None:
    """To the last step of which all runs have a state; to the start when none has any."""
    steps = [set(run.steps()) for run in runs.values()]
    common = set.intersection(*steps)
    if any(held - {0} for held in steps) and not common:
        held = {seed: max(s, default=None) for seed, s in zip(runs, steps, strict=True)}
        raise InputError("seeds", held, "runs at one step; resume the others on their own")
    if not common:
        # None has gone beyond its first step. From now on all have a state in common, even
        # when they are killed between the checkpoints of one and of the next.
        for run in runs.values():
            run.load()
        _save(trainer, runs)
        return
    step = max(common)
    loaded = [run.load(step) for run in runs.values()]
    trees = [state for _, state in (one for one in loaded if one is not None)]
    trainer.restore(step, trees, [run.data.content() for run in runs.values()])


def _each_once(seeds: Sequence[int]) -> list[int]:
    """Seeds of runs that train together.

    Raises:
        InputError: None, one that is no integer ≥ 0, or one that is there twice.
    """
    found = [whole_number(f"seeds[{k}]", seed) for k, seed in enumerate(seeds)]
    if not found or len(set(found)) != len(found):
        raise InputError("seeds", found, "one or more seeds, each once")
    return found


def _check(settings: Settings, method: Method) -> None:
    """Refuse settings that would fail only after hours."""
    first = settings.random_steps + settings.entropy_steps
    if method.learns_reward and first < settings.feedback.segment:
        accepted = f"at most random_steps + entropy_steps = {first}"
        raise InputError("feedback.segment", settings.feedback.segment, accepted)
    if method.learns_reward and settings.feedback.recent < settings.feedback.segment:
        accepted = f"at least feedback.segment = {settings.feedback.segment}"
        raise InputError("feedback.recent", settings.feedback.recent, accepted)
    if settings.entropy_steps and settings.random_steps < settings.entropy_neighbours + 1:
        raise InputError(
            "random_steps", settings.random_steps, f"above {settings.entropy_neighbours} neighbours"
        )
    if settings.capacity is not None and settings.capacity < settings.feedback.segment:
        raise InputError("capacity", settings.capacity, "a segment at least")
    method.agent.check(settings)
    if settings.device != "cpu":
        try:  # "meta" holds tensors, but draws nothing
            zero = torch.zeros(1, device=settings.device)
            zero.normal_(generator=torch.Generator(settings.device)).item()
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            reason = f"a device that torch can use: {str(error).partition('. ')[0]}"
            raise InputError("device", settings.device, reason) from None
