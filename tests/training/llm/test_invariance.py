"""Batch size, padding, accumulation and staleness change nothing; the expected step is exact."""

from __future__ import annotations

import copy

import pytest

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("accelerate", reason="the extra llm is not installed")
import torch

from sailtheory import InputError
from sailtheory.policies import SequenceObjectives, Sequences, TokenPolicy
from sailtheory.training.llm import SAILTrainer
from sailtheory.training.llm.batch import Drawn
from sailtheory.training.llm.generate import Completions
from tests.support import llm_enumeration as tiny
from tests.support.llm_models import config, new_model, tokenizer, train


def after_one_update(folder, tokenizer, batch, accumulated, model=None, **options):
    options = {"optim": "sgd", "max_grad_norm": 0.0, "lr_scheduler_type": "constant"} | options
    model = (new_model(2) if model is None else model).double()
    trainer, _ = train(
        folder, model=model, max_steps=2, per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulated, learning_rate=0.1, **options,
    )  # fmt: skip
    return torch.cat([p.detach().reshape(-1) for p in trainer.model.parameters()]), trainer


@pytest.mark.parametrize("method", ["sail-dpr", "sail-dpp", "dpo"])
def test_accumulation_is_batch_size(tmp_path, method):
    """1 × 8, 3 + 3 + 2 and 8 × 1 draw the same completions and take the same step.

    To 1e-6: Llama's norms are computed in float32.
    """
    start = torch.cat([p.detach().reshape(-1) for p in new_model(2).double().parameters()])
    options = {"method": method, "kl_coef": 0.1}
    whole, _ = after_one_update(tmp_path / "8x1", tokenizer, 8, 1, **options)
    assert (whole - start).norm() > 1e-3
    for batch, accumulated in ((1, 8), (3, 3)):
        parts, _ = after_one_update(
            tmp_path / f"{batch}x{accumulated}", tokenizer, batch, accumulated, **options
        )
        assert (parts - whole).norm() < 1e-5 * (whole - start).norm()


def test_a_tokenizer_without_pad_token_changes_nothing(tmp_path):
    bare = copy.deepcopy(tokenizer())
    bare.pad_token = None
    assert bare.pad_token_id is None
    with_pad, _ = after_one_update(tmp_path / "a", tokenizer, 4, 1, kl_coef=0.1)
    without, _ = after_one_update(tmp_path / "b", bare, 4, 1, kl_coef=0.1)
    assert (with_pad - without).norm() < 1e-6


class Words:
    """A tokenizer of single digits, for the enumerable model."""

    pad_token_id, eos_token_id, chat_template = 0, 0, None

    def __call__(self, text, **_):
        return {"input_ids": [int(c) for c in text]}

    def decode(self, ids, **_):
        return "".join(map(str, ids))

    def save_pretrained(self, folder):
        """Nothing to save."""


@pytest.mark.parametrize(("options", "temperature"), [
    ({}, 1.0), ({"kl_coef": 0.3, "policy_kl_coef": 0.4}, 1.0), ({"method": "online-dpo"}, 1.0),
    ({"method": "online-dpo", "kl_coef": 0.3, "policy_kl_coef": 0.4}, 0.7),
    ({"method": "sail-dpp", "p": 1.0}, 0.7),
])  # fmt: skip
def test_expected_step_of_the_trainer_is_exact(tmp_path, options, temperature):
    """SAILTrainer.loss_terms over every pair of completions, with its chance: −∇J_γ.

    Against the independent enumeration, and against the library's own over all sequences.
    """
    model, ref = tiny.tiny(3, 0), tiny.tiny(3, 1)
    exact = tiny.Exact(model, ref, (1, 2, 1), 3, temperature)
    table = {"".join(map(str, c)): float(r) for c, r in zip(exact.all, exact.reward, strict=True)}

    def reward(completions, **_):
        return [table[c] for c in completions]

    options = {"method": "sail-dpr"} | options
    trainer = SAILTrainer(
        model, ref, reward,
        config(tmp_path, beta=tiny.BETA, temperature=temperature, max_new_tokens=3, **options),
        train_dataset=[{"prompt": "121"}], processing_class=Words(),
    )  # fmt: skip
    item = trainer.train_dataset[0]
    n, prompt = len(exact.all), ((1, 2, 1),)
    chance, found = exact.prob().detach(), 0.0

    def completions(*texts):
        log = torch.stack([exact.log[exact.all.index(t)] for t in texts]).detach()
        return Completions(prompt * len(texts), texts, log, temperature, 0)

    for i in range(n):
        for j in range(n):
            pairs = completions(exact.all[i], exact.all[j])
            q = None
            if options["method"] != "sail-dpp":
                q = trainer._judge([item], pairs, trainer._rewards([item], pairs), 0)
            # y_ref is independent of the pair: enumerate it along, weighted by its chance
            ref_draw = completions(exact.all[j])
            terms = trainer.loss_terms(model, Drawn([item], pairs, q, ref_draw))
            weight = chance[i] * chance[j]
            for name, term in terms.items():
                w = exact.ref[j].exp() / n if name == "kl" else weight
                found = found + tiny.gradient((w * term).mean(), model)
    fresh = tiny.Exact(model, ref, (1, 2, 1), 3, temperature)
    values = {"sail-dpr": fresh.j, "sail-dpp": fresh.j_self, "online-dpo": fresh.j_of_drawn}
    weights = options.get("kl_coef", 0.0), options.get("policy_kl_coef", 0.0)
    wanted = -values[options["method"]]() + weights[0] * fresh.kl_ref_policy()
    wanted = wanted + weights[1] * fresh.kl_policy_ref()
    assert tiny.relative_error(found, tiny.gradient(wanted, model)) < 1e-11
    if temperature == 1 and options["method"] != "sail-dpp":
        space, x = Sequences(3, 3, 0), torch.tensor([[1, 2, 1]])
        log, log_ref = (space.log_probs(TokenPolicy(m, 3, 3, 0), x) for m in (model, ref))
        listed = SequenceObjectives(exact.reward[None], log_ref, tiny.BETA)
        own = -listed.sail(log, frozen=options["method"] == "online-dpo")
        own = own + weights[0] * listed.kl_ref_policy(log) + weights[1] * listed.kl_policy_ref(log)
        assert tiny.relative_error(found, tiny.gradient(own, model)) < 1e-11


def test_samples_of_an_older_policy(tmp_path):
    for stale in ("refuse", "weight"):
        trainer, _ = train(tmp_path / stale, max_steps=1, stale=stale)
        drawn = trainer.draw(trainer.model, trainer.train_dataset[:2])
        trainer.state.global_step += 1
        if stale == "refuse":
            with pytest.raises(InputError, match="from update 1"):
                trainer.loss_terms(trainer.model, drawn)
        else:
            assert set(trainer.loss_terms(trainer.model, drawn)) == {"dpr", "dpr_score"}


def test_shuffled_prompts_are_refused(tmp_path):
    trainer, _ = train(tmp_path, max_steps=1)
    one = trainer.draw(trainer.model, trainer.train_dataset[:4])
    shuffled = Drawn(one.items[::-1], one.pairs, one.preference, one.ref)
    with pytest.raises(InputError, match=r"completions\[0\] = of another prompt"):
        trainer.loss_terms(trainer.model, shuffled)
