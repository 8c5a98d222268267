"""The reference on the policy's trunk: right for every kind, and not shared where wrong."""

from __future__ import annotations

import copy
import gc
import weakref

import pytest
import torch

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("accelerate", reason="the extra llm is not installed")
import transformers

from sailtheory import InputError
from sailtheory.training.llm import SAILTrainer, models, rows, trunk
from sailtheory.training.llm.logprobs import sequence_log_probs
from sailtheory.training.llm.rows import join, share
from tests.support.llm_models import PAIRS, config, few_letters, new_model, tokenizer, train
from tests.training.llm.test_rows import PROMPTS, TEXTS, small


def pair(kind="llama"):
    """A policy moved in its last block, and the reference."""
    reference = small(kind).requires_grad_(False)
    policy = models.tune(copy.deepcopy(reference), "last-block")
    with torch.no_grad():
        for parameter in models.last_block(policy).parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return policy, reference


@pytest.mark.parametrize("kind", rows.SHARES)
def test_log_probs_of_every_kind(kind):
    policy, reference = pair(kind)
    assert trunk.can_share(policy, reference) == (kind in trunk.KINDS)
    if kind not in trunk.KINDS:
        return
    shared, lower = trunk.SharedTrunk(policy, reference), []
    models_below = reference.model.layers[0]
    models_below.register_forward_hook(lambda *_: lower.append(1))
    for given in (share(PROMPTS, TEXTS, 10_000), join(PROMPTS, TEXTS)):
        with shared.watched():
            mine = sequence_log_probs(policy, given)
        with torch.no_grad():
            log = sequence_log_probs(shared, given)
            assert not lower  # the lower block did not run again
            expected = sequence_log_probs(reference, given)
        lower.clear()
        assert (log - expected).abs().max() < 1e-5 and (mine - log).abs().max() > 0.01


def test_without_a_pass_of_the_policy_the_whole_reference_runs():
    policy, reference = pair()
    shared, given = trunk.SharedTrunk(policy, reference), join(PROMPTS, TEXTS)
    with torch.no_grad():
        expected = sequence_log_probs(reference, given)
        assert torch.equal(sequence_log_probs(shared, given), expected)
        with shared.watched():
            sequence_log_probs(policy, join(PROMPTS[:2], TEXTS[:2]))
        assert torch.equal(sequence_log_probs(shared, given), expected)


@pytest.mark.parametrize("change", ["written", "trained"])
def test_a_trunk_that_moves_is_shared_no_longer(change):
    policy, reference = pair()
    shared, given = trunk.SharedTrunk(policy, reference), join(PROMPTS, TEXTS)
    weight = policy.model.layers[0].mlp.down_proj.weight
    if change == "written":
        with torch.no_grad():
            weight.add_(0.3)
    else:
        policy.requires_grad_(True)
    with shared.watched():
        sequence_log_probs(policy, given)
    whole = []
    reference.register_forward_hook(lambda *_: whole.append(1))
    with torch.no_grad():
        found = sequence_log_probs(shared, given)
        assert whole and torch.equal(found, sequence_log_probs(reference, given))


def test_models_that_cannot_share():
    policy, reference = pair()
    other = copy.deepcopy(reference)
    with torch.no_grad():
        other.model.layers[0].mlp.down_proj.weight[0, 0] += 1e-3
    assert not trunk.can_share(policy, other)
    assert not trunk.can_share(policy.requires_grad_(True), reference)

    class Scaled(transformers.LlamaForCausalLM):
        """Its logits are half of its parent's."""

        def forward(self, *args, **kwargs):
            found = super().forward(*args, **kwargs)
            found.logits = found.logits / 2
            return found

    scaled = Scaled(reference.config).double().requires_grad_(False)
    assert not trunk.can_share(models.tune(copy.deepcopy(scaled), "last-block"), scaled)


@pytest.mark.parametrize("tune", ["full", "last-block"])
def test_dropout_is_off_and_the_reference_stays_as_it_was(tmp_path, tune):
    """Attention's dropout too, in the policy and in π_ref: at the first step both KLs are 0."""
    trainer, _ = train(
        tmp_path, model=new_model(2, dropout=0.5), max_steps=2, tune=tune, kl_coef=0.1,
        log_kl_steps=1,
    )  # fmt: skip
    first, second = trainer.state.log_history[:2]
    assert first["kl_ref_policy"] == first["kl_policy_ref"] == 0
    assert max(first["on_policy/gap"], second["on_policy/gap"]) < 1e-3
    assert not trainer.ref_model.training


@pytest.mark.parametrize("kind", ["falcon", "opt", "gpt2", "llama"])
def test_dropout_of_all_forms_is_off(kind):
    model = small(kind)
    rates = [n for n, v in vars(model.config).items() if "drop" in n and isinstance(v, float)]
    assert rates
    settings = {name: 0.5 for name in rates}
    model = small(kind, **settings).train()
    models.without_dropout(model)
    given = join(PROMPTS, TEXTS)
    with torch.no_grad():
        training = sequence_log_probs(model, given)
        assert torch.equal(training, sequence_log_probs(model.eval(), given))


def test_trainers_leave_no_trace_on_the_policy(tmp_path):
    policy = new_model(2)

    def hooks():
        modules = list(policy.modules())
        return sum(len(m._forward_pre_hooks) + len(m._forward_hooks) for m in modules)

    before = hooks()
    for k in range(2):
        trainer = SAILTrainer(
            policy, None, few_letters, config(tmp_path / str(k), tune="last-block", kl_coef=0.1),
            train_dataset=PAIRS, processing_class=tokenizer(),
        )  # fmt: skip
        trainer.train()
        reference = weakref.ref(trainer.ref_model)
        assert hooks() == before
        del trainer
    gc.collect()
    assert reference() is None


def test_adapters_that_are_refused():
    peft = pytest.importorskip("peft", reason="the extra llm is not installed")
    adapter = peft.LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")
    with pytest.raises(InputError, match="tune = last-block"):
        models.tune(peft.get_peft_model(new_model(2), adapter), "last-block")
    for virtual in (peft.PromptTuningConfig, peft.PrefixTuningConfig):
        with pytest.raises(InputError, match="peft_config = P"):
            models.tune(new_model(2), "lora", virtual(task_type="CAUSAL_LM", num_virtual_tokens=2))
    with pytest.raises(InputError, match="neftune_noise_alpha = 5"):
        config("nowhere", neftune_noise_alpha=5.0)
