"""A short training run of a language model, and what is left of it when it is killed.

``python -m tests.support.killable_llm FOLDER`` makes one folder a scenario: it trains, dies by
SIGKILL where the scenario says, and goes on until it is done. Everything happens in forked children
of a process that does nothing but import and fork, so that the libraries are loaded once.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from sailtheory.training.llm import SAILTrainer, checkpoints
from tests.support.killable_training import die_at
from tests.support.llm_models import PAIRS, config, few_letters, new_model, tokenizer

STEPS = 6
PATIENCE = 90.0  # seconds of one child, on a busy machine
PARTS = ("save_model", "_save_optimizer_and_scheduler", "_save_scaler", "_save_rng_state")
"""Of a checkpoint, in order; the trainer's state and the mark come after them."""


def train(folder: Path) -> None:
    """Train, or go on, and write the weights at the end."""
    model = new_model(2)
    trainer = SAILTrainer(
        model, reward_funcs=few_letters, train_dataset=PAIRS, processing_class=tokenizer(),
        args=config(
            folder, max_steps=STEPS, save_strategy="steps", save_steps=2, save_total_limit=1,
            kl_coef=0.1, warmup_steps=2,
        ),
    )  # fmt: skip
    trainer.train(resume_from_checkpoint=True)
    torch.save(model.state_dict(), folder / "weights.pt")


def in_child(folder: Path, prepare: Callable[[], object] | None = None) -> bool:
    """Whether training in a child came to its end."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if prepare is not None:
                prepare()
            train(folder)
            status = 0
        finally:
            os._exit(status)
    deadline = time.monotonic() + PATIENCE
    while not (done := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise TimeoutError(f"{folder.name}: no end after {PATIENCE} s")
        time.sleep(0.01)
    status = done[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False
    assert os.WEXITSTATUS(status) == 0
    return True


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_before(part: str, count: int) -> None:
    """SIGKILL before this part of the count-th checkpoint, and after those that come first."""
    whole, seen = getattr(SAILTrainer, part), []

    def killing(self, *args, **kwargs):
        seen.append(part)
        if len(seen) == count:
            die()
        return whole(self, *args, **kwargs)

    setattr(SAILTrainer, part, killing)


def die_before_the_mark(count: int) -> None:
    whole, seen = checkpoints.mark, []

    def killing(folder):
        seen.append(folder)
        if len(seen) == count:
            die()
        whole(folder)

    checkpoints.mark = killing


def die_at_step(step: int) -> None:
    whole = SAILTrainer.training_step

    def killing(self, *args, **kwargs):
        if self.state.global_step == step:
            die()
        return whole(self, *args, **kwargs)

    SAILTrainer.training_step = killing


def tear(count: int) -> None:
    """SIGKILL in the middle of the weights of the count-th checkpoint."""
    whole, seen = SAILTrainer.save_model, []

    def tearing(self, *args, **kwargs):
        whole(self, *args, **kwargs)
        seen.append(0)
        if len(seen) == count:
            [path] = Path(args[0]).glob("*.safetensors")
            os.truncate(path, path.stat().st_size // 2)
            die()

    SAILTrainer.save_model = tearing


KILLS = {
    "before any step": partial(die_at_step, 0),
    "before the first checkpoint": partial(die_at_step, 1),
    "between checkpoints": partial(die_at_step, 5),
    "in the weights": partial(tear, 1),
    "in the weights, later": partial(tear, 2),
    "before the mark": partial(die_before_the_mark, 2),
    **{f"before {part}": partial(die_before, part, 2) for part in PARTS[1:]},
    # The record's own writes, by number.
    **{f"at write {call}": partial(die_at, call) for call in (3, 12)},
}
AGAIN = [
    "in the weights", "in the weights", "before the mark", "before the mark",
    "between checkpoints",
]  # fmt: skip
"""Kills of one and the same run, one after another."""


def main(folder: Path) -> None:
    """All scenarios; ``killed.json`` says how often each run died."""
    gc.freeze()  # or the children look through all the libraries, and copy them
    killed = {}
    for name, kills in {"alone": [], **{k: [k] for k in KILLS}, "again and again": AGAIN}.items():
        place = folder / name
        place.mkdir()
        killed[name] = sum(not in_child(place, KILLS[kill]) for kill in kills)
        if name == "in the weights, later":
            killed["left by a torn write"] = sorted(path.name for path in place.iterdir())
        assert in_child(place), name
    (folder / "killed.json").write_text(json.dumps(killed))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
