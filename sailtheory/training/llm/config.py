"""Settings of :class:`SAILTrainer`: those of ``transformers.TrainingArguments``, and these."""

from __future__ import annotations

import dataclasses
import difflib
import math
import sys
import typing
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from transformers import TrainingArguments
from transformers.utils.import_utils import is_in_notebook

from sailtheory.errors import InputError
from sailtheory.training.llm.divergence import ESTIMATORS
from sailtheory.training.llm.losses import METHODS, OWN_SHARE, Weights
from sailtheory.training.llm.models import TUNE
from sailtheory.training.llm.transformers_settings import TRANSFORMERS_UNSUPPORTED, UNRECORDED
from sailtheory.training.llm.trl_settings import TRLSettings, require_supported

__all__ = ["SAILConfig", "Settings"]

_DEFAULT_SHARE = {"r": 0.4, "p": 0.3, "g": 1.0}
_WEIGHTS = [each.name for each in dataclasses.fields(Weights)]
_ONLINE_DPO = {"r": 0.0, "p": 0.0, "g": 1.0, "score_weight": 0.0}
_CHOICES = {
    "method": METHODS,
    "preference": ("expectation", "sampled"),
    "kl_estimator": ESTIMATORS,
    "stale": ("refuse", "weight"),
    "tune": TUNE,
    "long_prompts": ("refuse", "drop"),
    "train_sampling_strategy": ("random", "sequential"),
}
_WITHOUT_ARGS = ("adafactor", "adalomo", "adamw_torch", "adamw_torch_fused",
                 "adamw_torch_npu_fused", "adamw_torch_xla", "lomo")  # fmt: skip


@dataclass
class Settings(TRLSettings):
    """The fields of :class:`SAILConfig`, with their defaults."""

    _VALID_DICT_FIELDS = [  # noqa: RUF012, no field: those that may be JSON on a command line
        *TrainingArguments._VALID_DICT_FIELDS, "model_init_kwargs", "generation_kwargs",
    ]  # fmt: skip
    learning_rate: float = 1e-6
    logging_steps: float = 10
    remove_unused_columns: bool = False
    method: str = "online-dpo"
    beta: list[float] = field(default_factory=lambda: [0.1])  # one number; a list as TRL's is
    r: float | None = None
    rho: float = 1.0
    p: float | None = None
    pi: float = 1.0
    g: float | None = None
    score_weight: float | None = None
    kl_coef: float = 0.0
    policy_kl_coef: float = 0.0
    kl_estimator: str = "ref-samples"
    ref_samples: int = 1
    ref_ahead: int = 8
    log_kl_steps: int = 10
    log_completions_steps: int = 50
    preference: str = "expectation"
    reward_scale: float = 1.0
    reward_model_path: str | None = None
    reward_weights: list[float] | None = None
    missing_eos_penalty: float | None = None
    temperature: float = 1.0
    max_new_tokens: int = 64
    max_length: int | None = None
    long_prompts: str = "refuse"
    stale: str = "refuse"
    tune: str = "full"
    disable_dropout: bool = True
    router_aux_loss_coef: float | None = None
    model_init_kwargs: dict[str, Any] | str | None = None


class SAILConfig(Settings):
    """Settings of a run; named as in TRL where TRL has them, as in SAIL where SAIL has.

    A method is a preset of the mixture (1−r−p−g)·DPO + r·DDP + p·DPP + g·DPR: ``sail-ddp``
    has r = .4, ``sail-dpp`` p = .3, ``sail-dpr`` g = 1, which is J and needs prompts only.
    SAIL's published recipe for the last is g = .3, score_weight = .3. ``online-dpo``, the
    default, is g = 1 with score_weight = 0 and nothing else: DPO on the policy's own pairs.

    Attributes:
        method: ``sft``, ``dpo``, ``online-dpo``, ``sail-ddp``, ``sail-dpp`` or ``sail-dpr``.
        beta: β > 0.
        r: Share of the DDP part; ``p`` and ``g`` are those of DPP and DPR.
        rho: Weight of the gradient through the policy's own preference in DDP; ``pi`` the
            same in DPP. 1 is unbiased.
        score_weight: Weight of the score terms. 1, the default, follows the gradient of J, which
            is not the reward; 0 is the only one of ``online-dpo``.
        kl_coef: γ ≥ 0, the weight of KL(π_ref‖π_θ).
        policy_kl_coef: The weight of KL(π_θ‖π_ref), from the policy's own pairs: unbiased.
        kl_estimator: ``ref-samples`` or ``importance``, unbiased; ``token-proxy``, as
            published, biased.
        ref_samples: Draws y ~ π_ref a prompt, new ones each pass through the data.
        ref_ahead: Batches for which π_ref draws at a time; changes nothing but rounding.
        log_kl_steps: Both KLs are estimated every so many updates; 0 is never.
        log_completions_steps: Completions drawn in every so many updates are kept beside the run
            record; nothing is drawn for it. 0 keeps none.
        preference: ``expectation``, Bradley-Terry chances; ``sampled``, labels drawn from them.
        reward_scale: Rewards are multiplied by it: r in p₁₂ = σ(r₁ − r₂).
        reward_model_path: A classifier to judge where the trainer is given no reward.
        reward_weights: One for each reward function; default 1 each.
        missing_eos_penalty: Subtracted from the reward of completions that were cut.
        temperature: Of the policy: for sampling and for log-probabilities, of π_ref too.
        max_new_tokens: Longest completion.
        max_length: Longest prompt and completion together; default the model's context.
        long_prompts: ``refuse`` or ``drop`` prompts that leave no room for a completion.
        stale: What happens to samples of an older policy: ``refuse`` or ``weight``.
        tune: ``full``, ``last-block`` or ``lora``.
        disable_dropout: With dropout the policy that is trained is not the one that sampled;
            nor is it with noise in routers, which this turns off as well.
        router_aux_loss_coef: Weight of the auxiliary loss of a mixture of experts. Default 0,
            or the model's own where its ``output_router_logits`` is set.
        model_init_kwargs: For ``from_pretrained``, where the model is a name; its weights are
            in float32 by default, as small learning rates vanish in others.

    ``trl_settings`` has TRL's settings that are fields here at one value alone. Bars are shown on
    a terminal and in a notebook unless ``disable_tqdm`` says otherwise.

    Raises:
        InputError: An unknown field, or a value outside its domain.
    """

    def __init__(self, output_dir: str | None = None, **settings: Any) -> None:
        known = [field.name for field in dataclasses.fields(Settings) if field.init]
        for name in settings:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=3) or ["method", "beta", "kl_coef"]
                raise InputError(name, "unknown field", f"did you mean {', '.join(close)}?")
        super().__init__(output_dir=output_dir, **settings)

    def __post_init__(self) -> None:
        """Check every field, and fill in the method's share."""
        require_supported(vars(self))
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise InputError(name, getattr(self, name), f"one of {', '.join(choices)}")
        if isinstance(self.beta, list) and len(self.beta) == 1:  # as TRL allows
            self.beta = self.beta[0]  # type: ignore[assignment]
        self._require_numbers()
        self._fill_shares()
        if self.disable_tqdm is None:
            self.disable_tqdm = not (sys.stderr.isatty() or is_in_notebook())
        if self.report_to is None:
            self.report_to = "none"
        try:
            super().__post_init__()  # type: ignore[no-untyped-call]
        except (ValueError, ImportError) as error:
            raise InputError("settings", "refused by transformers", str(error)) from None
        self.dataloader_pin_memory = False  # there are no tensors in a batch
        asked = self.model_init_kwargs or {}
        if not isinstance(asked, dict):
            raise InputError("model_init_kwargs", asked, "a mapping, or JSON that is one")
        self._require_effect()

    def _require_numbers(self) -> None:
        for name, minimum in _INTEGERS.items():
            value = getattr(self, name)
            optional = name == "max_length" and value is None
            if not optional and (type(value) is not int or value < minimum):
                raise InputError(name, value, f"an integer ≥ {minimum} is expected")
        if type(self.max_steps) is not int or (self.max_steps < 1 and self.max_steps != -1):
            raise InputError("max_steps", self.max_steps, "updates, or -1 for whole epochs")
        for name, positive in _NUMBERS.items():
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0 <= value < math.inf or (positive and value == 0):
                sign = ">" if positive else "≥"
                raise InputError(name, value, f"a finite number {sign} 0 is expected")
        for name, kind in _NAMED.items():
            value, known = getattr(self, name), [str(member.value) for member in kind]
            if not isinstance(value, kind) and value not in known:
                raise InputError(name, value, f"one of {', '.join(known)}")

    def _fill_shares(self) -> None:
        own = OWN_SHARE.get(self.method)
        for share in ("r", "p", "g"):
            value = getattr(self, share)
            if value is None:
                setattr(self, share, _DEFAULT_SHARE[share] if share == own else 0.0)
            elif own is None and value != 0:
                raise InputError(share, value, f"0 is expected with method {self.method}")
        if self.score_weight is None:
            self.score_weight = 0.0 if self.method == "online-dpo" else 1.0
        for name in _WEIGHTS:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise InputError(name, value, "a finite number is expected")
        if own is not None and getattr(self, own) == 0:
            raise InputError(own, 0, f"a share > 0 is expected with method {self.method}")
        if self.method == "online-dpo":
            for name, only in _ONLINE_DPO.items():
                if getattr(self, name) != only:
                    accepted = f"{only:g} with method online-dpo; sail-dpr takes others"
                    raise InputError(name, getattr(self, name), accepted)
        weights = self.weights
        if weights.r > 0 and weights.rho == 0:
            raise InputError("rho", 0, "a weight > 0: without it the DDP term has no gradient")

    @property
    def weights(self) -> Weights:
        """The mixture as the loss takes it."""
        return Weights(**{name: float(getattr(self, name)) for name in _WEIGHTS})

    def _require_effect(self) -> None:
        """Refuse what the other settings leave without effect, or make no run of its own."""
        optim = str(getattr(self.optim, "value", self.optim))
        if self.optim_args and optim in _WITHOUT_ARGS:
            raise InputError("optim_args", self.optim_args, f"None: {optim} reads none")
        if self.optim_target_modules and not optim.startswith(("galore", "apollo")):
            accepted = "None: only GaLore and APOLLO have target modules"
            raise InputError("optim_target_modules", self.optim_target_modules, accepted)
        if not getattr(self.accelerator_config, "use_seedable_sampler", True):
            accepted = "True: without it a run that goes on sees its data in another order"
            raise InputError("accelerator_config.use_seedable_sampler", False, accepted)

    def record(self) -> dict[str, Any]:
        """What decides a run's numbers, as plain JSON: for its run record."""
        unread = {f.name for f in dataclasses.fields(TRLSettings)}
        unread -= {f.name for f in dataclasses.fields(TrainingArguments)}
        names = {f.name for f in dataclasses.fields(Settings)} - {"reward_model_path"}
        names -= UNRECORDED | set(TRANSFORMERS_UNSUPPORTED) | unread
        found = {name: getattr(self, name) for name in sorted(names)}
        return {k: v if isinstance(v, int | float | str | list | None) else str(v)
                for k, v in found.items()}  # fmt: skip


_INTEGERS = {
    "ref_samples": 1, "ref_ahead": 1, "log_kl_steps": 0, "log_completions_steps": 0,
    "max_new_tokens": 1, "max_length": 2,
    "per_device_train_batch_size": 1, "per_device_eval_batch_size": 1,
    "gradient_accumulation_steps": 1, "seed": 0,
}  # fmt: skip
"""Settings that are integers, and the minimum of each."""

_NUMBERS = {
    "temperature": True, "reward_scale": True, "num_train_epochs": True, "save_steps": True,
    "learning_rate": False, "warmup_steps": False, "weight_decay": False, "max_grad_norm": False,
}  # fmt: skip
"""Settings that are numbers ≥ 0, and whether 0 is left out."""

_NAMED: dict[str, type[Enum]] = {
    name: kind
    for name, hint in typing.get_type_hints(Settings).items()
    for kind in typing.get_args(hint)
    if isinstance(kind, type) and issubclass(kind, Enum)
}
"""Settings of transformers that are one of several names."""
