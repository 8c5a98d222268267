"""The arms, and one run of one of them by the product's trainer."""

from __future__ import annotations

import shutil
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback

from sailtheory.errors import InputError
from sailtheory.training.llm import SAILConfig, SAILTrainer
from sailtheory.training.llm.batch import Drawn, log_probs_of, rows_of
from sailtheory.training.pairs import Pairs, pair_loss
from studies.sequence_arms.tuned import HOOK, HOOK_MEAN, MENDED, PLAIN, SAIL
from studies.sequence_arms.world import BETA, LONGEST, World, given_by_ids, words

UPDATES, BATCH = 200, 16
ARMS: dict[str, dict[str, Any]] = {
    "sft": {"method": "sft"},
    "dpo": {"method": "dpo"},
    PLAIN: {"method": PLAIN},
    SAIL: {"method": SAIL},
    MENDED: {"method": SAIL, "score_weight": 0.3},
    HOOK: {"method": PLAIN},
    HOOK_MEAN: {"method": PLAIN},
    **{f"{PLAIN}, kl {k:g}": {"method": PLAIN, "kl_coef": k} for k in (1e-3, 1e-2)},
    **{f"{SAIL}, kl {k:g}": {"method": SAIL, "kl_coef": k} for k in (1e-3, 1e-2)},
    f"{PLAIN}, policy kl 0.01": {"method": PLAIN, "policy_kl_coef": 1e-2},
}
HOOKED = 0.3
"""γ of the published recipe, by which its hook is weighed."""


class Hooked(SAILTrainer):
    """With the score term as published: a hook that subtracts γ log σ/log π at log π.

    Its sign is wrong, it shrinks with |log π|, and the 1/n of the batch's mean is missing, unless
    ``batch_mean`` is set.
    """

    batch_mean = False

    def loss_terms(self, model: Any, drawn: Drawn) -> dict[str, Tensor]:
        terms = super().loss_terms(model, drawn)
        assert drawn.preference is not None
        names, sizes, rows = rows_of(drawn, self.offline, self.width)
        log = log_probs_of(model, names, sizes, rows, self.args.temperature)
        with torch.no_grad(), self._reference(model) as reference:
            ref = log_probs_of(reference, names, sizes, rows, self.args.temperature)
        pairs = Pairs(log.first, log.second, ref.first, ref.second)  # type: ignore[arg-type]
        log_sigma = -pair_loss(pairs, drawn.preference.to(pairs.first), BETA).detach()
        both = sum((own - own.detach()) / own.detach() for own in (pairs.first, pairs.second))
        factor = 1 if self.batch_mean else len(log_sigma)
        return terms | {"hook": -HOOKED * factor * log_sigma * both}


class Curve(TrainerCallback):
    """What the policy is worth along training, exactly."""

    def __init__(self, world: World, steps: tuple[int, ...]) -> None:
        self.world, self.steps, self.found = world, steps, [(0, world.exact.summary(world.log_ref))]

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        if state.global_step in self.steps:
            self.found.append((state.global_step, self.world.measured(model)))


def run(
    world: World,
    arm: str,
    rate: float,
    folder: Path,
    steps: tuple[int, ...] = (),
    drawn: bool = False,
) -> Any:
    """Train one arm from π_ref and measure it; a run that stops counts as where it stopped."""
    shutil.rmtree(folder, ignore_errors=True)
    began = time.process_time()
    options = ARMS[arm]
    args = SAILConfig(
        str(folder), seed=world.seed, beta=BETA, learning_rate=rate, max_steps=UPDATES,
        lr_scheduler_type="constant", per_device_train_batch_size=BATCH, max_new_tokens=LONGEST,
        max_length=LONGEST + 1, preference="sampled", log_kl_steps=0, logging_steps=UPDATES // 8,
        save_strategy="no", disable_tqdm=True, use_cpu=True, **options,
    )  # fmt: skip
    paired = options["method"] in ("sft", "dpo")
    curve = Curve(world, steps)
    model = type(world.ref)(world.ref.config)
    model.load_state_dict(world.ref.state_dict())
    stopped = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = (Hooked if arm in (HOOK, HOOK_MEAN) else SAILTrainer)(
            model, ref_model=world.ref, reward_funcs=None if paired else world.rewards, args=args,
            data_collator=given_by_ids, train_dataset=world.rows(UPDATES * BATCH, paired),
            processing_class=words(), callbacks=[curve],
        )  # fmt: skip
        trainer.batch_mean = arm == HOOK_MEAN
        try:
            trainer.train()
        except InputError as error:
            stopped = str(error).split(";")[0]
    trained = time.process_time() - began
    final = world.measured(trainer.model, drawn)
    norms = [row["grad_norm"] for row in trainer.state.log_history if "grad_norm" in row]
    shutil.rmtree(folder, ignore_errors=True)
    return {
        "arm": arm, "rate": rate, "seed": world.seed, "stopped": stopped, "final": final,
        "curve": curve.found, "grad_norm": max(norms, default=None),
        "tokens_drawn": trainer.tokens_drawn,
        "cpu_seconds": [round(trained, 2), round(time.process_time() - began - trained, 2)],
    }  # fmt: skip
