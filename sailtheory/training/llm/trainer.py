"""SFT, DPO, SAIL and SAIL-RevKL on causal language models, as a ``transformers.Trainer``.

A step: draw pairs for the batch's own prompts from the policy as it is, let the reward judge
them, run policy and reference once over all rows, and take the terms of ``losses``.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from sailtheory.auditing import Term, TermAudit, audit_terms
from sailtheory.errors import InputError
from sailtheory.training.llm import adapters, chat, divergence, experts, losses, models, preferences
from sailtheory.training.llm.arguments import (
    context,
    loaded,
    require_optimised,
    rewards_of,
    warn_of_rounding,
)
from sailtheory.training.llm.batch import Drawn, Item, LogProbs, log_probs_of, rows_of
from sailtheory.training.llm.config import SAILConfig
from sailtheory.training.llm.generate import Completions, sample, uniform
from sailtheory.training.llm.logprobs import forward
from sailtheory.training.llm.loop import RecordedTrainer
from sailtheory.training.llm.prepare import Limits, Needs, Prepared, collate, collated_by, prepare
from sailtheory.training.llm.randomness import seed_everything
from sailtheory.training.llm.rows import join, width_of
from sailtheory.training.llm.trl_settings import require_supported
from sailtheory.training.llm.trunk import SharedTrunk, can_share
from sailtheory.training.pairs import Pairs

__all__ = ["SAILTrainer"]


class SAILTrainer(RecordedTrainer):
    """Trains a causal language model by one of ``losses.METHODS``.

    Args:
        model: A model, or its folder or name.
        ref_model: π_ref; default the model as it is given, of which what is trained is
            copied; beside an adapter that is added, the model without it.
        reward_funcs: For ``g`` > 0: functions, classifiers or their names; default the
            classifier of ``args.reward_model_path``.
        args: Settings.
        data_collator: Called on a list of prepared rows (see ``prepare``); it may change or
            drop rows and returns them, as a list or under ``items``.
        train_dataset: Rows in TRL's formats; see ``formats``.
        eval_dataset: The same, or several by name; metrics as of training, with ``eval_``.
        processing_class: The tokenizer; default the model's own.
        reward_processing_classes: Tokenizers of classifiers among the rewards.
        peft_config: An adapter to add; with it, and for a model that has one, ``tune`` is
            ``lora``.
        compute_metrics: None, as there are no logits; see ``trl_settings``.
        callbacks: As in transformers.
        optimizers: As in transformers.
        preprocess_logits_for_metrics: None, as above.

    Raises:
        InputError: Anything that cannot be used, in one line.
    """

    def __init__(
        self,
        model: Any,
        ref_model: Any = None,
        reward_funcs: Any = None,
        args: SAILConfig | None = None,
        data_collator: Any = None,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        processing_class: Any = None,
        reward_processing_classes: Any = None,
        peft_config: Any = None,
        compute_metrics: None = None,
        callbacks: Any = None,
        optimizers: Any = (None, None),
        preprocess_logits_for_metrics: None = None,
    ) -> None:
        args = SAILConfig() if args is None else args
        if not isinstance(args, SAILConfig):
            raise InputError("args", type(args).__name__, "a SAILConfig is expected")
        require_supported(vars(args) | {  # once more, as they can be set after they were read
            "compute_metrics": compute_metrics,
            "preprocess_logits_for_metrics": preprocess_logits_for_metrics,
        })  # fmt: skip
        if train_dataset is None:
            raise InputError("train_dataset", None, "rows with a prompt are expected")
        seed_everything(args)
        model, tokenizer = loaded(model, processing_class, args)
        if args.tune == "full" and (peft_config is not None or adapters.is_adapted(model)):
            args = copy.copy(args)  # the caller's may serve another trainer
            args.tune = "lora"
        self.end_ids = models.end_ids(model, tokenizer)
        # Padding is masked wherever it stands, so a tokenizer without a pad token will do.
        self.pad = self.end_ids[0] if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        self.weights = args.weights
        judges = args.reward_model_path if reward_funcs is None else reward_funcs
        self.rewards = rewards_of(judges, reward_processing_classes, self.weights.g > 0)
        self.reward_weights = args.reward_weights or [1.0] * len(self.rewards)
        if len(self.reward_weights) != len(self.rewards):
            raise InputError("reward_weights", len(self.reward_weights), f"{len(self.rewards)}")
        self.offline = losses.needed_completions(args.method, self.weights)
        limits = Limits(context(model, args), args.max_new_tokens, args.long_prompts)
        needs = Needs(args.method, self.offline)

        def prepared(data: Any, part: str = "") -> Prepared:
            return prepare(data, tokenizer, self.end_ids, limits, needs, part=part)

        self.prepared = prepared
        rows = prepared(train_dataset)
        held_out = eval_dataset
        if isinstance(eval_dataset, dict):
            held_out = {name: prepared(data, f"{name}/") for name, data in eval_dataset.items()}
        elif eval_dataset is not None:
            held_out = prepared(eval_dataset, "eval/")
        elif args.eval_strategy != "no":
            raise InputError("eval_dataset", None, f"rows, for eval_strategy={args.eval_strategy}")
        self.width = width_of(model)
        self.balance_coef = experts.balance_coef(model, args.router_aux_loss_coef)
        model, ref_model = models.policy_and_reference(model, ref_model, args.tune, peft_config)
        if args.disable_dropout:
            models.without_dropout(model)
        require_optimised(model, optimizers[0])
        warn_of_rounding(model)
        collator = collate if data_collator is None else collated_by(data_collator)
        super().__init__(
            model=model, args=args, data_collator=collator, train_dataset=rows,
            eval_dataset=held_out, processing_class=tokenizer, callbacks=callbacks,
            optimizers=optimizers,
        )  # fmt: skip
        self.ref_model = models.placed(ref_model, args.device)
        shares = args.tune == "last-block" and args.disable_dropout and not self.sharded
        shares = shares and can_share(model, self.ref_model)
        self._trunk = SharedTrunk(model, self.ref_model) if shares else None

    # --- one step ----------------------------------------------------------------------

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:  # fmt: skip
        """The loss of a batch: its share of the mean over the update's prompts.

        Anything not finite stops the run, with the batch on disk.
        """
        drawn = Drawn(inputs["items"])
        try:
            drawn = self.draw(model, drawn.items)
            terms = self.loss_terms(model, drawn)
            loss = losses.total(terms)
            if not bool(torch.isfinite(loss)):
                found = {name: float(term.detach().mean()) for name, term in terms.items()}
                raise InputError("loss", found, "finite terms are expected")
        except InputError as error:
            path = self._save_batch(drawn, error)
            accepted = f"{error.accepted}; the batch is in {path}"
            raise InputError(error.field, error.value, accepted) from error
        if torch.is_grad_enabled() and not loss.requires_grad:
            accepted = "one whose output depends on a weight that requires a gradient"
            raise InputError("model", "no trained weight is reached by the loss", accepted)
        for name, term in terms.items():
            self._note(f"loss/{name}", term)
        if num_items_in_batch is not None:  # processes average their gradients afterwards
            share = len(drawn.items) * self.accelerator.num_processes / int(num_items_in_batch)
            loss = loss * share
        return (loss, None) if return_outputs else loss

    def draw(self, model: Any, items: list[Item]) -> Drawn:
        """The batch with completions from π_θ and π_ref, and the reward's preferences."""
        args, step = self.args, int(self.state.global_step)
        due = not model.training or step % max(args.log_kl_steps, 1) == 0
        logs_kl = args.log_kl_steps > 0 and due
        importance = args.kl_coef > 0 and args.kl_estimator == "importance"
        pairs = preference = ref = None
        rewards: dict[str, Tensor] = {}
        if self.weights.on_policy or logs_kl or importance:
            keys = [("policy", step, item["index"], d) for d in (1, 2) for item in items]
            pairs = self._sample(self.accelerator.unwrap_model(model), items * 2, keys)
        if pairs is not None and self.weights.g > 0:
            rewards = self._rewards(items, pairs)
            preference = self._judge(items, pairs, rewards, step)
        every = args.log_completions_steps if model.training else 0
        if pairs is not None and every > 0 and step % every == 0:
            prompts = [item["text"] for item in items * 2]
            each = {name: values.tolist() for name, values in rewards.items()}
            self.completions.add(step, prompts, self._texts(items, pairs), each)
        if logs_kl or (args.kl_coef > 0 and args.kl_estimator == "ref-samples"):
            ref = self._reference_draws(model, items)
        for drawn in (pairs, ref):
            self.tokens_drawn += 0 if drawn is None else sum(map(len, drawn.tokens))
        return Drawn(items, pairs, preference, ref)

    def _reference_draws(self, model: Any, items: list[Item]) -> Completions:
        """From π_ref; in training new ones each pass, drawn ahead where this process can."""
        args, training, alone = self.args, model.training, self.accelerator.num_processes == 1
        if self.sharded:  # every process must draw where one does
            self.reference_draws.restore(None)
        draws = self.reference_draws if training else self.held_out_draws
        with self._reference(model) as reference:
            frozen = self.accelerator.unwrap_model(reference)
            return draws.of(
                items, args.ref_samples, int(self.state.epoch or 0) if training else 0,
                lambda items, keys: self._sample(frozen, items, keys),
                version=int(self.state.global_step),
                ahead=self.train_dataset if training and alone else (),
                most=(args.ref_ahead - 1) * len(items),
            )  # fmt: skip

    def loss_terms(self, model: Any, drawn: Drawn) -> dict[str, Tensor]:
        """The weighted terms of the loss, by name: each (n,) or longer.

        Raises:
            InputError: Completions that are not of this batch's prompts, at another
                temperature, or from an older policy where that is refused.
        """
        args = self.args
        drawn.check(args.temperature)
        names, sizes, rows = rows_of(drawn, self.offline, self.width)
        rows = rows.to(next(model.parameters()).device)
        if args.disable_dropout:
            models.settle(model)
        balance: list[Tensor] | None = [] if self.balance_coef > 0 else None
        with nullcontext() if self._trunk is None else self._trunk.watched():
            log = log_probs_of(model, names, sizes, rows, args.temperature, balance)
        with torch.no_grad(), self._reference(model) as reference:
            ref = log_probs_of(self._trunk or reference, names, sizes, rows, args.temperature)
        importance = self._importance(drawn, log)
        self._note_kl(log, ref, importance)
        kl = self._kl(model, drawn, log, ref, importance) if args.kl_coef > 0 else None
        paired = None if importance is None else importance[0] * importance[1]
        own = _pairs(log.first, log.second, ref.first, ref.second, paired)
        if args.method == "sft":
            terms = {"sft": losses.sft_loss(_there(log.chosen))}
            terms |= losses.divergences(self.weights, on_policy=own, kl=kl)
        else:
            q = drawn.preference
            offline = _pairs(log.chosen, log.rejected, ref.chosen, ref.rejected)
            if offline is not None:
                for name, values in losses.implicit_rewards(offline, self.weights.beta).items():
                    self._note(name, values)
            q = None if q is None else q.to(_there(log.first))
            terms = losses.mixture(
                self.weights, offline=offline, on_policy=own, preference=q, kl=kl
            )
        if balance:
            terms["router"] = self.balance_coef * balance[0].expand(len(drawn.items))
        return terms

    def audit(self, items: list[Item] | None = None) -> TermAudit:
        """Does every term of the loss move the trained parameters? On the first batch by default.

        At π_θ = π_ref the DDP term is stationary; audit after a few updates.
        """
        items = items or self.train_dataset[: self.args.per_device_train_batch_size]
        terms = self.loss_terms(self.model, self.draw(self.model, items))
        trained = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        named = [Term(name, term.mean(), ("policy",)) for name, term in terms.items()]
        return audit_terms(named, {"policy": trained})

    @contextmanager
    def _reference(self, model: Any) -> Iterator[Any]:
        """π_ref in the arithmetic of the policy, or their KL would not be 0 at the start."""
        with self.accelerator.autocast(), models.as_reference(model, self.ref_model) as found:
            yield found

    # --- its parts ---------------------------------------------------------------------

    def _sample(self, model: Any, items: list[Item], keys: list[Any]) -> Completions:
        return sample(
            model, [item["prompt_ids"] for item in items],
            [(self.args.seed, *key) for key in keys],
            max_new_tokens=self.args.max_new_tokens, end=self.end_ids, pad=self.pad,
            temperature=self.args.temperature, version=int(self.state.global_step),
            everywhere=self.ended_everywhere if self.sharded else None,
        )  # fmt: skip

    def _texts(self, items: list[Item], pairs: Completions) -> list[str]:
        """What the completions say."""
        chats = [isinstance(item["text"], list) for item in items] * 2
        return [
            chat.completion_text(*ids, self.processing_class, chats[k])
            for k, ids in enumerate(zip(pairs.prompts, pairs.tokens, strict=True))
        ]

    def _rewards(self, items: list[Item], pairs: Completions) -> dict[str, Tensor]:
        """What each reward function gives, by its name: (2n,)."""
        prompts, plain = [item["text"] for item in items] * 2, self._texts(items, pairs)
        texts = [
            [{"role": "assistant", "content": text}] if isinstance(prompt, list) else text
            for prompt, text in zip(prompts, plain, strict=True)
        ]
        names = dict.fromkeys(name for item in items for name in item["columns"])
        columns = {name: [item["columns"].get(name) for item in items] * 2 for name in names}
        self._note("completions/empty", torch.tensor([float(not text) for text in plain]))
        each = preferences.rewards_of(
            self.rewards, prompts, texts,
            completion_ids=[list(ids) for ids in pairs.tokens], **columns,
        )  # fmt: skip
        found = dict(zip(preferences.names_of(self.rewards), each, strict=True))
        for name, values in found.items():
            self._note(f"rewards/{name}/mean", values)
        return found

    def _judge(
        self, items: list[Item], pairs: Completions, each: dict[str, Tensor], step: int
    ) -> Tensor:
        """The preference q of the pairs, by the weighted sum of their rewards: (n,)."""
        weights = torch.tensor(self.reward_weights, dtype=torch.float64)
        rewards = weights @ torch.stack([*each.values()])
        cut = torch.tensor([ids[-1] not in self.end_ids for ids in pairs.tokens])
        if self.args.missing_eos_penalty is not None:
            rewards = rewards - self.args.missing_eos_penalty * cut
        first, second = rewards.chunk(2)
        tied = (first == second).double()
        if bool(tied.all()):
            warnings.warn("all pairs of a batch are tied: p = 1/2 throughout", stacklevel=2)
        self._note("rewards/mean", rewards)
        self._note("rewards/ties", tied)
        self._note("completions/length", torch.tensor([float(len(ids)) for ids in pairs.tokens]))
        self._note("completions/cut", cut.double())
        scale = self.args.reward_scale
        q = preferences.bradley_terry(scale * first, scale * second)
        if self.args.preference == "expectation":
            return q
        keys = [(self.args.seed, "label", step, item["index"]) for item in items]
        return preferences.sampled(q, torch.cat([uniform(key, 1) for key in keys]))

    def _importance(self, drawn: Drawn, log: LogProbs) -> tuple[Tensor, Tensor] | None:
        """π_θ/q of y₁ and of y₂ where they are stale; None where they are fresh."""
        if drawn.pairs is None:
            return None
        both = torch.cat([_there(log.first), _there(log.second)])
        gap = (both.detach() - drawn.pairs.log_probs.to(both)).abs()
        self._note("on_policy/gap", gap.max())
        ratio = drawn.pairs.importance(both, int(self.state.global_step), self.args.stale)
        if ratio is None:
            if gap.max() > 1:
                warnings.warn(
                    f"a draw is {float(gap.max()):.2g} nats more or less likely under the policy "
                    "than when it was drawn: it is not of the policy that is trained", stacklevel=2,
                )  # fmt: skip
            return None
        first, second = ratio.chunk(2)
        return first, second

    def _kl(
        self, model: Any, drawn: Drawn, log: LogProbs, ref: LogProbs,
        importance: tuple[Tensor, Tensor] | None,
    ) -> Tensor:  # fmt: skip
        if self.args.kl_estimator == "ref-samples":
            return divergence.kl_ref_samples(_there(log.ref), _there(ref.ref))
        if self.args.kl_estimator == "importance":
            both = [torch.cat([_there(x.first), _there(x.second)]) for x in (log, ref)]
            found = divergence.kl_importance(both[0], both[1])
            return found if importance is None else torch.cat(importance) * found
        texts = drawn.pairs.tokens if drawn.pairs is not None else [
            item["chosen_ids"] for item in drawn.items
        ]  # fmt: skip
        prompts = drawn.prompts * (len(texts) // len(drawn.items))
        rows = join(prompts, texts, self.pad, "right").to(self.args.device)
        with torch.no_grad(), self._reference(model) as reference:
            ref_logits = forward(reference, rows)
        logits = forward(model, rows)
        return divergence.kl_token_proxy(logits, ref_logits, rows.tokens, rows.attention)

    def _note_kl(self, log: LogProbs, ref: LogProbs, importance: Any) -> None:
        """Both divergences of the policy before this update, by unbiased estimators."""
        if log.ref is not None and ref.ref is not None:
            self._note("kl_ref_policy", divergence.kl_ref_samples(log.ref.detach(), ref.ref))
        for mine, theirs in ((log.first, ref.first), (log.second, ref.second)):
            if mine is not None and theirs is not None and importance is None:
                self._note("kl_policy_ref", divergence.kl_policy_samples(mine, theirs))


def _pairs(
    first: Tensor | None, second: Tensor | None, ref_first: Tensor | None,
    ref_second: Tensor | None, importance: Tensor | None = None,
) -> Pairs | None:  # fmt: skip
    if first is None:
        return None
    return Pairs(first, _there(second), _there(ref_first), _there(ref_second), importance)


def _there(values: Tensor | None) -> Tensor:
    assert values is not None
    return values
