"""TRL's losses as installed, on every batch of small models; nothing of them is copied."""

from __future__ import annotations

import copy

import pytest
import torch

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("trl", reason="the extra trl is not installed")

from datasets import Dataset
from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer
from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

from sailtheory import InputError
from sailtheory.auditing import Kind, Sampling, audit_loss, library, small_models
from sailtheory.auditing import estimators as e
from sailtheory.auditing.batches import gradients
from sailtheory.auditing.trainers import trainer_loss
from tests.support.llm_models import PAIRS, few_letters, new_model, tokenizer

MODELS = small_models(shapes=((2, 2, 1), (2, 2, None), (2, 3, 0), (3, 2, 0)))
KNOWN = [
    o for o in library(e.BETA)
    if o.name in ("reward", "reward_per_length", "kl_policy_ref", "token_kl_policy_ref",
                  "token_kl_ref_policy", "token_entropy", "dpo", "sail_frozen")
]  # fmt: skip
DATA = Sampling(source="ref", labelled=True)
KINDS = {
    "grpo": (GRPOTrainer, GRPOConfig), "rloo": (RLOOTrainer, RLOOConfig),
    "dpo": (DPOTrainer, DPOConfig), "online-dpo": (OnlineDPOTrainer, OnlineDPOConfig),
}  # fmt: skip


def trainer_of(folder, kind, **options):
    model = new_model(layers=1)
    model.save_pretrained(folder / "model")
    model.config._name_or_path = str(folder / "model")  # where the reference is loaded from
    made, config = KINDS[kind]
    if kind in ("grpo", "rloo"):
        options = {"num_generations": 2, "max_completion_length": 4} | options
    args = config(
        str(folder), report_to="none", use_cpu=True, disable_tqdm=True, max_steps=1,
        per_device_train_batch_size=1 if kind == "online-dpo" else 2, **options,
    )  # fmt: skip
    data = Dataset.from_list(PAIRS)
    more = {"reward_funcs": few_letters} if kind != "dpo" else {}
    if kind in ("dpo", "online-dpo"):
        more["ref_model"] = new_model(layers=1)
    rows = data if kind == "dpo" else data.select_columns(["prompt"])
    return made(
        model=model, args=args, processing_class=tokenizer(), train_dataset=rows, **more
    )  # fmt: skip


PLAIN = {"beta": 0.3, "scale_rewards": "none"}
# By hand, as in test_catalogue; G = 2, lengths ÷ 4 with dr_grpo.
VERDICTS = {
    # The reference's log-ratio is a number in the reward.
    "RLOO": ("rloo", {"beta": 0.3}, {"reward": -1, "kl_policy_ref": 0.3}),
    # k3 × ratio is the default; ratio 1, so it is k·s token by token.
    "Dr. GRPO": ("grpo", PLAIN | {"loss_type": "dr_grpo"},
                 {"reward": -1 / 8, "token_kl_policy_ref": 0.3 / 4}),
    "GRPO, sums, k3 without its ratio": (
        "grpo", PLAIN | {"loss_type": "luspo", "use_bias_correction_kl": False},
        {"reward": -1 / 2, "token_kl_ref_policy": 0.3}),
    "GRPO's own mean over tokens": (
        "grpo", {"beta": 0.0, "scale_rewards": "none", "loss_type": "grpo"},
        {"reward_per_length": -1 / 2}),
    # A mean over the batch's tokens, advantages ÷ their standard deviation.
    "GRPO as it comes": ("grpo", {}, Kind.NONE),
    "DPO": ("dpo", {"beta": e.BETA}, {"dpo": -1}),
    # On means over tokens, against the paper's sums.
    "IPO": ("dpo", {"beta": e.BETA, "loss_type": ["ipo"]}, Kind.NONE),
    # The larger reward wins, whatever the difference: no Bradley–Terry preference.
    "online DPO": ("online-dpo", {"beta": e.BETA}, Kind.NONE),
}  # fmt: skip


@pytest.mark.parametrize("name", VERDICTS)
def test_verdicts(name, tmp_path):
    kind, options, expected = VERDICTS[name]
    loss = trainer_loss(trainer_of(tmp_path, kind, **options))
    sampling = DATA if kind == "dpo" else Sampling()
    found = audit_loss(loss, sampling=sampling, models=MODELS, objectives=KNOWN).finding
    if isinstance(expected, dict):
        assert found.kind is Kind.COMBINATION and found.residual < 1e-12
        assert found.coefficients == pytest.approx(expected, rel=1e-9)
    else:
        assert found.kind is expected and found.residual > 0.05


def test_they_are_the_published_formulas(tmp_path):
    """Batch by batch, where no verdict can be given; GRPO off-policy, clipped, too."""
    # The larger reward wins; ties go to the first.
    online = trainer_loss(trainer_of(tmp_path, "online-dpo", beta=e.BETA))
    same(online, e.online_dpo, Sampling())
    sums = {"beta": 0.0, "scale_rewards": "none", "loss_type": "luspo"}
    off_policy = trainer_loss(trainer_of(tmp_path, "grpo", **sums))
    same(off_policy, e.clipped(e.group_mean, "token"), Sampling(source="old"))


def same(loss, other, sampling):
    for model in MODELS[:3]:
        one, two = (gradients(f, model, sampling).each for f in (loss, other))
        torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-9)


def test_the_trainer_stays_as_it_is(tmp_path):
    trainer = trainer_of(tmp_path, "grpo", beta=0.3)
    trainer.model.eval()
    trainer._pending_metrics["mine"].append(1.0)
    before = {n: p.clone() for n, p in trainer.model.named_parameters()}
    metrics, state = copy.deepcopy(trainer._metrics), vars(trainer.state).copy()
    names = {*vars(trainer)}
    gradients(trainer_loss(trainer), MODELS[0], Sampling())
    assert all(torch.equal(p, before[n]) for n, p in trainer.model.named_parameters())
    assert trainer._metrics == metrics and vars(trainer.state) == state
    assert {*vars(trainer)} == names and not trainer.model.training
    assert trainer._pending_metrics["mine"] == [1.0] and not trainer._logs["prompt"]


def test_other_trainers_are_refused():
    with pytest.raises(InputError, match="one of GRPOTrainer"):
        trainer_loss(object())
