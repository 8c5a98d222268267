"""Every setting has an effect, or is refused where it has none, or is listed with the reason."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("accelerate", reason="the extra llm is not installed")

import torch
import transformers
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from sailtheory import InputError
from sailtheory.runs.read import read_record
from sailtheory.training.llm import SAILConfig, SAILTrainer
from sailtheory.training.llm.config import Settings
from sailtheory.training.llm.transformers_settings import TRANSFORMERS_UNSUPPORTED, UNRECORDED
from sailtheory.training.llm.trl_settings import TRLSettings
from tests.support.llm_models import PAIRS, config, few_letters, new_model, tokenizer

FIELDS = {field.name for field in dataclasses.fields(Settings)}

# --- settings with an effect: what they are beside, a value, and what differs by it -------

EVALUATED = {"eval_strategy": "steps", "eval_steps": 1}
SAVED = {"save_strategy": "steps", "save_steps": 1}
BEST = EVALUATED | SAVED | {"load_best_model_at_end": True, "metric_for_best_model": "loss/kl"}
WORKER = {"dataloader_num_workers": 1}
CONSTRUCTED = {
    # field: (beside, value, what of the trainer)
    "dataloader_in_order": (WORKER, False, "loader.in_order"),
    "dataloader_multiprocessing_context": (WORKER, "spawn", "loader.multiprocessing_context"),
    "dataloader_num_workers": ({}, 1, "loader.num_workers"),
    "dataloader_prefetch_factor": (WORKER, 3, "loader.prefetch_factor"),
    "ddp_broadcast_buffers": ({}, False, "accelerator.ddp_handler.broadcast_buffers"),
    "ddp_bucket_cap_mb": ({}, 7, "accelerator.ddp_handler.bucket_cap_mb"),
    "ddp_find_unused_parameters": ({}, False, "accelerator.ddp_handler.find_unused_parameters"),
    "ddp_static_graph": ({}, True, "accelerator.ddp_handler.static_graph"),
    "disable_tqdm": ({}, False, "callbacks"),
    "full_determinism": ({}, True, "deterministic"),
    "log_level": ({}, "error", "verbosity"),
    "report_to": ({}, ["tensorboard"], "callbacks"),
    "tf32": ({"tf32": None}, False, "args.tf32"),
    "torch_compile": ({}, True, "accelerator.state.dynamo_plugin.backend"),
    "torch_compile_backend": (
        {"torch_compile": True}, "eager", "accelerator.state.dynamo_plugin.backend",
    ),
    "torch_compile_mode": (
        {"torch_compile": True}, "max-autotune", "accelerator.state.dynamo_plugin.mode",
    ),
    "tune": ({}, "last-block", "trained"),
    "use_cache": ({}, True, "model.config.use_cache"),
}  # fmt: skip
TRAINED = {
    # field: (beside, value, what is left of the run)
    "accelerator_config": (
        {}, {"gradient_accumulation_kwargs": {"num_steps": 2}}, "metrics",
    ),
    "activation_checkpointing": ({}, True, "checkpointing"),
    "activation_checkpointing_kwargs": (
        {"activation_checkpointing": True}, {"every_n_layers": 2}, "checkpointing",
    ),
    "adam_beta1": ({}, 0.1, "weights"),
    "adam_beta2": ({}, 0.5, "weights"),
    "adam_epsilon": ({}, 0.1, "weights"),
    "beta": ({}, 0.5, "metrics"),
    "bf16": ({}, True, "metrics"),
    "data_seed": ({}, 5, "metrics"),
    "dataloader_drop_last": ({"max_steps": -1, "num_train_epochs": 1}, True, "metrics"),
    "debug": ({}, "underflow_overflow", "hooks"),
    "disable_dropout": ({}, False, "metrics"),
    "eval_delay": (EVALUATED, 2, "history"),
    "eval_on_start": (EVALUATED, True, "history"),
    "eval_steps": (EVALUATED, 2, "history"),
    "eval_strategy": ({}, "epoch", "history"),
    "g": ({}, 0.5, "metrics"),
    "gradient_accumulation_steps": ({}, 2, "metrics"),
    "gradient_checkpointing": ({}, True, "checkpointing"),
    "gradient_checkpointing_kwargs": (
        {"activation_checkpointing": True}, {"every_n_layers": 2}, "checkpointing",
    ),
    "greater_is_better": (BEST | {"greater_is_better": False}, True, "best"),
    "kl_coef": ({}, 0.5, "metrics"),
    "kl_estimator": ({}, "importance", "metrics"),
    "learning_rate": ({}, 1e-4, "weights"),
    "load_best_model_at_end": (BEST | {"load_best_model_at_end": False}, True, "weights"),
    "log_completions_steps": ({}, 0, "files"),
    "log_kl_steps": ({"kl_coef": 0.0}, 1, "metrics"),
    "logging_first_step": ({"logging_steps": 3}, True, "history"),
    "logging_steps": ({}, 2, "history"),
    "logging_strategy": ({}, "no", "history"),
    "long_prompts": ({"max_length": 14, "long_prompts": "drop"}, "refuse", "error"),
    "lr_scheduler_kwargs": ({"lr_scheduler_type": "polynomial"}, {"power": 3.0}, "weights"),
    "lr_scheduler_type": ({}, "constant", "weights"),
    "max_grad_norm": ({}, 1e-3, "weights"),
    "max_length": ({"long_prompts": "drop"}, 14, "metrics"),
    "max_new_tokens": ({}, 4, "metrics"),
    "max_steps": ({}, 2, "metrics"),
    "method": ({}, "dpo", "metrics"),
    "metric_for_best_model": (BEST, "rewards/mean", "best"),
    "missing_eos_penalty": ({}, 3.0, "metrics"),
    "num_train_epochs": ({"max_steps": -1, "num_train_epochs": 1}, 2, "metrics"),
    "optim": ({}, "sgd", "weights"),
    "optim_args": ({"optim": "sgd"}, "momentum=0.9", "weights"),
    "output_dir": ({}, "elsewhere", "place"),
    "p": ({"method": "sail-dpp"}, 0.6, "metrics"),
    "per_device_eval_batch_size": (EVALUATED, 1, "evaluated"),
    "per_device_train_batch_size": ({}, 2, "metrics"),
    "pi": ({"method": "sail-dpp", "p": 1.0}, 0.2, "weights"),
    "policy_kl_coef": ({}, 0.5, "metrics"),
    "preference": ({}, "sampled", "metrics"),
    "r": ({"method": "sail-ddp"}, 0.9, "metrics"),
    "ref_ahead": ({}, 1, "draws"),
    "ref_samples": ({}, 3, "metrics"),
    "reward_scale": ({}, 5.0, "metrics"),
    "reward_weights": ({}, [3.0], "metrics"),
    "rho": ({"method": "sail-ddp", "r": 1.0}, 0.2, "weights"),
    "save_only_model": (SAVED, True, "files"),
    "save_steps": (SAVED, 2, "files"),
    "save_strategy": ({}, "epoch", "files"),
    "save_total_limit": (SAVED, 1, "files"),
    "score_weight": ({}, 0.3, "weights"),
    "seed": ({}, 5, "metrics"),
    "skip_memory_metrics": ({}, False, "output"),
    "temperature": ({}, 0.5, "metrics"),
    "train_sampling_strategy": ({}, "sequential", "metrics"),
    "warmup_steps": ({}, 2, "weights"),
    "weight_decay": ({}, 0.9, "weights"),
}  # fmt: skip

# --- those without: each is named with what it is for -------------------------------------

LISTED = {
    "dataloader_pin_memory": "of tensors, of which a batch here has none",
    "ddp_backend": "of torch.distributed, which one process does not use",
    "ddp_timeout": "of torch.distributed, which one process does not use",
    "deepspeed": "several processes, see docs/llm-scale.md",
    "do_eval": "for scripts; transformers reads it nowhere in training",
    "do_predict": "for scripts; transformers reads it nowhere in training",
    "do_train": "for scripts; transformers reads it nowhere in training",
    "eval_accumulation_steps": "when losses of an evaluation leave the device: memory alone",
    "fp16": "a GPU; without one accelerate refuses it in one line",
    "fsdp": "several processes, see docs/llm-scale.md",
    "fsdp_config": "several processes, see docs/llm-scale.md",
    "hub_always_push": "of push_to_hub",
    "hub_model_id": "of push_to_hub",
    "hub_private_repo": "of push_to_hub",
    "hub_revision": "of push_to_hub",
    "hub_strategy": "of push_to_hub",
    "hub_token": "of push_to_hub",
    "local_rank": "set by launchers; transformers reads the environment instead",
    "log_level_replica": "of processes after the first",
    "log_on_each_node": "of several machines",
    "logging_nan_inf_filter": "a loss that is not finite stops the run before it is logged",
    "prediction_loss_only": "there is nothing beside the loss at either value",
    "project": "a label that reporting integrations take",
    "push_to_hub": "a network",
    "run_name": "a label that reporting integrations take",
    "save_on_each_node": "of several machines",
    "stale": "of draws handed to loss_terms; tests/training/llm/test_invariance.py",
    "torch_empty_cache_steps": "frees memory of the device that nothing uses",
    "trackio_bucket_id": "of the reporting integration of this name",
    "trackio_space_id": "of the reporting integration of this name",
    "trackio_static_space_id": "of the reporting integration of this name",
    "use_cpu": "a GPU, of which it is the opposite",
}
ELSEWHERE = {
    "ignore_data_skip": "test_going_on",
    "model_init_kwargs": "test_options_of_a_model_by_name",
    "optim_target_modules": "test_settings_that_the_others_leave_without_effect",
    "restore_callback_states_from_checkpoint": "test_going_on",
    "resume_from_checkpoint": "test_going_on",
    "reward_model_path": "test_llm_trl_script.py",
    "router_aux_loss_coef": "test_llm_experts.py",
}
CHANGED = {
    "auto_find_batch_size": True, "average_tokens_across_devices": False,
    "batch_eval_metrics": True, "bf16_full_eval": True, "dataloader_persistent_workers": True,
    "enable_jit_checkpoint": True, "eval_do_concat_batches": False,
    "eval_use_gather_object": True, "fp16_full_eval": True, "include_for_metrics": ["inputs"],
    "include_num_input_tokens_seen": "all", "label_names": ["labels"],
    "label_smoothing_factor": 0.1, "length_column_name": "n", "liger_kernel_config": {"rope": True},
    "neftune_noise_alpha": 5.0, "parallelism_config": object(), "remove_unused_columns": True,
    "use_liger_kernel": True,
}  # fmt: skip


def test_no_field_is_forgotten():
    of_trl = set(TRLSettings.__annotations__)  # tests/training/llm/test_trl_script.py
    groups = [CONSTRUCTED, TRAINED, LISTED, ELSEWHERE, CHANGED, of_trl]
    assert sorted(name for group in groups for name in group) == sorted(FIELDS)
    assert CHANGED.keys() == TRANSFORMERS_UNSUPPORTED.keys()
    assert FIELDS >= UNRECORDED and not UNRECORDED & TRANSFORMERS_UNSUPPORTED.keys()


def made(folder, **options):
    """A trainer that waits, on a model with dropout."""
    options = {"kl_coef": 0.1} | options
    folder = folder / options.pop("output_dir", "")
    judged = options.get("method", "sail-dpr") == "sail-dpr"
    return SAILTrainer(
        new_model(2, dropout=0.3), reward_funcs=few_letters if judged else None,
        args=config(folder, **options), train_dataset=PAIRS[:6], eval_dataset=PAIRS[6:],
        processing_class=tokenizer(),
    )  # fmt: skip


def of_the_trainer(trainer, what):
    loader = trainer.get_train_dataloader()
    context = loader.multiprocessing_context
    loader = SimpleNamespace(
        in_order=loader.in_order, num_workers=loader.num_workers,
        prefetch_factor=loader.prefetch_factor,
        multiprocessing_context=context and context.get_start_method(),
    )  # fmt: skip
    seen = {
        "loader": loader, "accelerator": trainer.accelerator, "args": trainer.args,
        "callbacks": [type(c).__name__ for c in trainer.callback_handler.callbacks],
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "model": trainer.model, "verbosity": transformers.logging.get_verbosity(),
        "trained": sum(p.requires_grad for p in trainer.model.parameters()),
    }  # fmt: skip
    first, *rest = what.split(".")
    return functools.reduce(getattr, rest, seen[first])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CONSTRUCTED)
def test_effects_on_the_trainer(tmp_path, name):
    beside, value, what = CONSTRUCTED[name]
    level = transformers.logging.get_verbosity()
    try:
        plain = of_the_trainer(made(tmp_path / "a", **beside), what)
        assert of_the_trainer(made(tmp_path / "b", **beside | {name: value}), what) != plain
    finally:
        torch.use_deterministic_algorithms(False)
        transformers.logging.set_verbosity(level)


def left_behind(folder, **options):
    """What a run of three updates leaves, by the names that ``TRAINED`` uses."""
    evaluated, drawn = [], []
    try:
        trainer = made(folder, **options)
    except InputError as error:
        return {"error": str(error)}
    step, sample = trainer.prediction_step, trainer._sample
    trainer.prediction_step = lambda *a, **k: evaluated.append(0) or step(*a, **k)
    trainer._sample = lambda *a: drawn.append(0) or sample(*a)
    output = trainer.train()
    place = trainer.args.output_dir
    times = ("runtime", "per_second", "preparation_time")
    layers = trainer.model.model.layers
    return {
        "error": None, "place": place, "evaluated": len(evaluated), "draws": len(drawn),
        "metrics": read_record(place).rows,
        "weights": [p.detach().clone() for p in trainer.model.parameters()],
        "history": [{k: v for k, v in row.items() if not k.endswith(times)}
                    for row in trainer.state.log_history],
        "files": sorted(str(p.relative_to(place)) for p in Path(place).rglob("*")),
        "checkpointing": [layer.gradient_checkpointing for layer in layers],
        "hooks": sum(len(m._forward_hooks) for m in trainer.model.modules()),
        "output": set(output.metrics), "best": trainer.state.best_metric,
    }  # fmt: skip


def same(one, other):
    if isinstance(one, list) and one and isinstance(one[0], torch.Tensor):
        return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    return one == other


@pytest.fixture(scope="module")
def beside(tmp_path_factory):
    """Runs with the settings beside a changed one, each made once."""
    found = {}

    def run(options):
        key = repr(sorted(options.items()))
        if key not in found:
            found[key] = left_behind(tmp_path_factory.mktemp("beside"), **options)
        return found[key]

    return run


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TRAINED)
def test_effects_on_the_run(tmp_path, beside, name):
    around, value, what = TRAINED[name]
    plain, changed = beside(around), left_behind(tmp_path, **around | {name: value})
    assert not same(plain.get(what), changed.get(what))
    if name in UNRECORDED:  # then it is none of the settings that decide a run's numbers
        assert same(plain["metrics"], changed["metrics"])
        assert same(plain["weights"], changed["weights"])


# --- refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", CHANGED)
def test_refused_unless_neutral(tmp_path, name):
    with pytest.raises(InputError, match=f"^{name} = .*: not offered: ") as caught:
        SAILConfig(str(tmp_path), **{name: CHANGED[name]})
    assert "\n" not in str(caught.value)
    values, _ = TRANSFORMERS_UNSUPPORTED[name]
    for value in values:
        found = SAILConfig(str(tmp_path), use_cpu=True, **{name: value})
        [field] = [f for f in dataclasses.fields(Settings) if f.name == name]
        assert getattr(found, name) in values
        assert field.default is dataclasses.MISSING or field.default in values


# --- going on ---------------------------------------------------------------------------


class Counter(TrainerCallback, ExportableState):
    """How often a step ended, through a checkpoint as well."""

    def __init__(self):
        self.count = 0

    def on_step_end(self, *_, **__):
        self.count += 1

    def state(self):
        return {"args": {}, "attributes": {"count": self.count}}


def halved(folder, **options):
    """A run of four updates, gone on with after two; the trainer and its counter."""
    settings = {"kl_coef": 0.1, "max_steps": 4, "per_device_train_batch_size": 2}
    settings |= SAVED | {"save_steps": 2}  # in the middle of a pass
    found = []
    for more in ({}, options):
        found = SAILTrainer(
            new_model(1), reward_funcs=few_letters, train_dataset=PAIRS[:6],
            args=config(folder, **settings | {k: v for k, v in options.items() if k in RECORDED}
                        | more), processing_class=tokenizer(), callbacks=[Counter()],
        )  # fmt: skip
        if not more:
            found.train()
            for path in (folder / "checkpoint-4").iterdir():
                path.unlink()
            (folder / "record" / "finished.json").unlink()
    found.train(**({} if "resume_from_checkpoint" in options else {"resume_from_checkpoint": True}))
    [counter] = [c for c in found.callback_handler.callbacks if isinstance(c, Counter)]
    return found, counter.count


RECORDED = FIELDS - UNRECORDED


@pytest.mark.filterwarnings("ignore")
def test_going_on(tmp_path):
    """The settings that act there: which checkpoint, with which callbacks, at which data."""
    _, count = halved(tmp_path / "a", resume_from_checkpoint=str(tmp_path / "a/checkpoint-2"))
    assert count == 2  # the last two updates, by the setting alone
    restored, count = halved(tmp_path / "b", restore_callback_states_from_checkpoint=True)
    assert count == 4
    other, _ = halved(tmp_path / "c", ignore_data_skip=True)
    metrics = [read_record(tmp_path / name).rows for name in "abc"]
    assert metrics[0] == metrics[1] != metrics[2]
    assert restored.state.global_step == other.state.global_step == 4
