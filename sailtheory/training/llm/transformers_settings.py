"""Settings of ``transformers.TrainingArguments`` that this trainer does not have, or not record.

``TRANSFORMERS_UNSUPPORTED`` are accepted only at values that change nothing, with the reason, as in
``trl_settings``.
``UNRECORDED`` change no number of a training run, or are its place and its time.
"""

from __future__ import annotations

from typing import Any

__all__ = ["TRANSFORMERS_UNSUPPORTED", "UNRECORDED"]

_LOGITS = "not offered: there are no logits or labels to compute a metric from"
_DTYPE = "not offered: policy and reference would compute in different arithmetic; set bf16"
_KERNELS = "not offered: policy and reference would run different kernels"
TRANSFORMERS_UNSUPPORTED: dict[str, tuple[tuple[Any, ...], str]] = {
    "auto_find_batch_size": (
        (False,), "not offered: a run that starts anew with other batches is not the one recorded",
    ),
    "average_tokens_across_devices": (
        (True,), "not offered: the loss is a mean over the prompts of all processes",
    ),
    "batch_eval_metrics": ((False,), _LOGITS),
    "bf16_full_eval": ((False,), _DTYPE),
    "dataloader_persistent_workers": (
        (False,), "not offered: evaluation would go on with the first data set it was given",
    ),
    "enable_jit_checkpoint": (
        (False,), "not offered: it may save within an update; a killed run goes on without it",
    ),
    "eval_do_concat_batches": ((True,), _LOGITS),
    "eval_use_gather_object": ((False,), _LOGITS),
    "fp16_full_eval": ((False,), _DTYPE),
    "include_for_metrics": (([],), _LOGITS),
    "include_num_input_tokens_seen": (
        ("no", False), "not offered: the run record has spent/tokens, what was drawn",
    ),
    "label_names": ((None, []), _LOGITS),
    "label_smoothing_factor": (
        (0.0,), "not offered: no token is a label here; preferences are the data's or the reward's",
    ),
    "length_column_name": (("length",), "not offered: batches are not made by length"),
    "liger_kernel_config": ((None,), _KERNELS),
    "neftune_noise_alpha": (
        (None,), "not offered: the policy that is trained would not be the one that samples",
    ),
    "parallelism_config": (
        (None,), "not offered: prompts are shared out, and by FSDP or DeepSpeed parameters",
    ),
    "remove_unused_columns": ((False,), "not offered: rewards may read every column"),
    "use_liger_kernel": ((False,), _KERNELS),
}  # fmt: skip

UNRECORDED = frozenset(
    """
    activation_checkpointing activation_checkpointing_kwargs gradient_checkpointing
    gradient_checkpointing_kwargs dataloader_in_order dataloader_multiprocessing_context
    dataloader_num_workers dataloader_pin_memory dataloader_prefetch_factor ddp_backend
    ddp_broadcast_buffers ddp_bucket_cap_mb ddp_find_unused_parameters ddp_static_graph ddp_timeout
    debug deepspeed disable_tqdm do_eval do_predict do_train eval_accumulation_steps eval_delay
    eval_on_start eval_steps eval_strategy fsdp fsdp_config hub_always_push hub_model_id
    hub_private_repo hub_revision hub_strategy hub_token local_rank log_completions_steps
    log_level log_level_replica
    log_on_each_node logging_first_step logging_nan_inf_filter logging_steps logging_strategy
    output_dir per_device_eval_batch_size prediction_loss_only project push_to_hub report_to
    restore_callback_states_from_checkpoint resume_from_checkpoint run_name save_on_each_node
    save_only_model save_steps save_strategy save_total_limit skip_memory_metrics
    torch_empty_cache_steps trackio_bucket_id trackio_space_id trackio_static_space_id use_cache
    use_cpu
    """.split()
)
