"""Mixtures of experts: they draw, their auxiliary loss counts where asked for, nothing is noise."""

from __future__ import annotations

import pytest

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("accelerate", reason="the extra llm is not installed")
import torch
import transformers

from sailtheory import InputError
from sailtheory.runs.read import read_record
from sailtheory.training.llm import SAILTrainer
from sailtheory.training.llm.batch import rows_of
from tests.support.llm_models import PAIRS, config, few_letters, new_model, tokenizer

KINDS = ("gpt_oss", "granitemoe", "jetmoe", "mixtral", "olmoe", "phimoe", "qwen2_moe", "qwen3_moe")


def experts(kind="mixtral", routed=True, **options):
    """Two blocks of four experts, two of which take part in a token."""
    torch.manual_seed(0)
    found = transformers.AutoConfig.for_model(
        kind, vocab_size=400, hidden_size=64, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=4, head_dim=16, max_position_embeddings=128,
        bos_token_id=0, eos_token_id=0, pad_token_id=1, num_local_experts=4, num_experts=4,
        num_experts_per_tok=2, moe_intermediate_size=32, shared_expert_intermediate_size=32,
        initializer_range=0.2, **options,
    )  # fmt: skip
    found.output_router_logits = routed
    return transformers.AutoModelForCausalLM.from_config(found)


def trainer(folder, model, method="sail-dpr", **options):
    options = {"kl_coef": 0.1, "log_kl_steps": 1} | options
    return SAILTrainer(
        model, reward_funcs=few_letters, args=config(folder, method, **options),
        train_dataset=PAIRS, processing_class=tokenizer(),
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_trains(tmp_path, kind):
    """It draws from the policy that it trains, whose divergences begin at exactly 0."""
    found = trainer(tmp_path, experts(kind), max_steps=2)
    before = {n: p.detach().clone() for n, p in found.model.named_parameters()}
    found.train()
    record = read_record(tmp_path)
    assert record.series("kl_ref_policy")[1][0] == record.series("kl_policy_ref")[1][0] == 0
    assert max(record.series("on_policy/gap")[1]) < 1e-3
    assert all(value > 0 for value in record.series("loss/router")[1])
    moved = {n for n, p in found.model.named_parameters() if not torch.equal(p, before[n])}
    assert any("router" in n or "gate" in n for n in moved)
    assert found.audit().faults == ()


def balance(model, trainer, drawn):
    """Switch's loss, written once more: experts × Σ of share of tokens × mean probability."""
    _, _, rows = rows_of(drawn, trainer.offline, trainer.width)
    gates = []
    handles = [
        layer.mlp.gate.register_forward_hook(lambda _, args, out: gates.append(out[0]))
        for layer in model.model.layers
    ]
    with torch.no_grad():
        model(input_ids=rows.tokens, attention_mask=rows.mask, position_ids=rows.positions)
    for handle in handles:
        handle.remove()
    real = rows.attention.reshape(-1)
    chance = torch.cat([g.reshape(len(real), -1)[real].softmax(-1) for g in gates])
    chosen = torch.zeros_like(chance).scatter(1, chance.topk(2).indices, 1.0)
    return 4 * float((chosen.mean(0) * chance.mean(0)).sum())


@pytest.mark.parametrize("method", ["sail-dpr", "dpo", "sft"])
@pytest.mark.parametrize("asked", [None, 0.7])
def test_the_value_of_the_auxiliary_loss(tmp_path, method, asked):
    """Of the rows of the loss without their padding, with the model's weight or another."""
    model = experts(routed=asked is None, router_aux_loss_coef=0.25)
    found = trainer(tmp_path, model, method, router_aux_loss_coef=asked)
    drawn = found.draw(found.model, found.train_dataset[:4])
    terms = found.loss_terms(found.model, drawn)
    weight = 0.25 if asked is None else asked
    assert terms["router"].shape == (4,)
    assert float(terms["router"].mean()) == pytest.approx(
        weight * balance(model, found, drawn), rel=1e-5
    )
    terms["router"].mean().backward()
    assert all(layer.mlp.gate.weight.grad.norm() > 0 for layer in model.model.layers)


def test_it_is_left_out_unless_asked_for(tmp_path):
    """By default of a model that does not give its routers; by 0 of one that does."""
    for place, (routed, asked) in enumerate(((False, None), (True, 0.0))):
        found = trainer(tmp_path / str(place), experts(routed=routed), max_steps=1,
                        router_aux_loss_coef=asked)  # fmt: skip
        found.train()
        assert "loss/router" not in read_record(tmp_path / str(place)).names()
        assert found.model.config.output_router_logits == routed  # as it was given
    runs = [tmp_path / name / "record" / "metrics.csv" for name in "01"]
    assert runs[0].read_bytes() == runs[1].read_bytes()


def test_weights_that_cannot_be_used(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="router_aux_loss_coef = -1"):
        trainer(tmp_path, experts(), router_aux_loss_coef=-1.0)
    with pytest.raises(InputError, match=r"router_aux_loss_coef = 0\.1: 0 or None: a Llama"):
        trainer(tmp_path, new_model(1), router_aux_loss_coef=0.1)
    monkeypatch.setattr("sailtheory.training.llm.experts._DECLARED", ("no_such_weight",))
    with pytest.raises(InputError, match="router_aux_loss_coef = None: a number"):
        trainer(tmp_path, experts())


@pytest.mark.parametrize("checkpointing", [False, True])
def test_noise_of_routers_is_off(tmp_path, checkpointing):
    """Phi's experts are drawn in training; the policy that is trained is the one that samples."""
    model = experts("phimoe", input_jitter_noise=0.3)
    found = trainer(tmp_path, model, max_steps=2, activation_checkpointing=checkpointing)
    found.train()
    assert max(read_record(tmp_path).series("on_policy/gap")[1]) < 1e-3
    assert model.training


def test_experts_trained_by_lora(tmp_path):
    """Experts that are one tensor, by ``target_parameters``: π_ref is the model without it."""
    peft = pytest.importorskip("peft", reason="the extra llm is not installed")
    lora = peft.LoraConfig(
        r=4, target_modules=[], target_parameters=["mlp.experts.gate_up_proj"],
        task_type="CAUSAL_LM",
    )  # fmt: skip
    model = experts()
    ids = torch.arange(4, 44).view(2, 20)
    with torch.no_grad():
        expected = model(input_ids=ids).logits
    found = SAILTrainer(
        model, reward_funcs=few_letters, train_dataset=PAIRS, processing_class=tokenizer(),
        args=config(tmp_path, kl_coef=0.1, log_kl_steps=1, max_steps=3), peft_config=lora,
    )  # fmt: skip
    found.train()
    record = read_record(tmp_path)
    assert record.series("kl_ref_policy")[1][0] == record.series("kl_policy_ref")[1][0] == 0
    assert record.series("kl_ref_policy")[1][2] != 0
    with found._reference(found.model) as reference, torch.no_grad():
        assert torch.equal(reference(input_ids=ids).logits, expected)
