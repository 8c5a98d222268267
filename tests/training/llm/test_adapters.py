"""Adapters: what is trained is the adapter that was given, and π_ref the model as it was given."""

from __future__ import annotations

import copy

import pytest

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("peft", reason="the extra llm is not installed")

import peft
import torch

from sailtheory import InputError
from sailtheory.runs.read import read_record
from sailtheory.training.llm import adapters
from tests.support.llm_adapters import log_ratios, lora, model, moved, of_kind, trainer
from tests.support.llm_models import new_model

IDS = torch.arange(4, 44).view(2, 20)


def logits(model):
    with torch.no_grad():
        return model.eval()(input_ids=IDS).logits


def reference_logits(trainer):
    with trainer._reference(trainer.model) as reference, torch.no_grad():
        return reference(input_ids=IDS).logits


def weights(model, trained=True):
    return {
        n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad == trained
    }


def is_right(trainer, given):
    """π_ref gives the logits ``given`` before and after training, which moves all it should."""
    assert torch.equal(reference_logits(trainer), given)
    before, frozen = weights(trainer.model), weights(trainer.model, trained=False)
    trainer.train()
    assert all(not torch.equal(p, before[n]) for n, p in weights(trainer.model).items())
    assert all(torch.equal(p, frozen[n]) for n, p in weights(trainer.model, False).items())
    assert torch.equal(reference_logits(trainer), given)
    assert max(read_record(trainer.args.output_dir).series("on_policy/gap")[1]) < 1e-4
    return log_ratios(trainer).abs().max() > 1e-4


# --- adapters that are there ------------------------------------------------------------


@pytest.mark.parametrize("kind", adapters.KINDS)
def test_an_adapter_that_was_trained_before(tmp_path, kind):
    """π_ref is the model with the adapter as it was, to the last bit; the base is not copied."""
    given = moved(peft.get_peft_model(model(), of_kind(kind)))
    base = [p.data_ptr() for p in given.parameters() if not p.requires_grad]
    expected = logits(given)
    assert not torch.equal(expected, logits(model()))
    found = trainer(tmp_path, given)
    assert torch.equal(log_ratios(found), torch.zeros(12))
    assert {*base} <= {p.data_ptr() for p in found.ref_model.parameters()}
    assert is_right(found, expected)


def several(active):
    """Two adapters that were trained before; one is active."""
    found = moved(peft.get_peft_model(model(), lora()))
    found.add_adapter("other", lora(target_modules=["q_proj"]))
    found.set_adapter("other")
    moved(found).set_adapter(active)
    return found


GIVEN = {
    "another name": lambda: moved(peft.get_peft_model(model(), lora(), adapter_name="mine")),
    "two, the first": lambda: several("default"),
    "two, the second": lambda: several("other"),
    "modules_to_save": lambda: moved(peft.get_peft_model(model(), lora(
        modules_to_save=["lm_head"]))),
    "biases": lambda: moved(peft.get_peft_model(model(), lora(bias="lora_only"))),
    "tokens": lambda: moved(peft.get_peft_model(model(), lora(
        trainable_token_indices=list(range(4, 60))))),
    "DoRA": lambda: moved(peft.get_peft_model(model(), lora(use_dora=True))),
    "rsLoRA": lambda: moved(peft.get_peft_model(model(), lora(use_rslora=True))),
    "PiSSA": lambda: peft.get_peft_model(model(), lora(init_lora_weights="pissa")),
    "OLoRA": lambda: peft.get_peft_model(model(), lora(init_lora_weights="olora")),
    "random": lambda: peft.get_peft_model(model(), lora(init_lora_weights=False)),
    "fresh": lambda: peft.get_peft_model(model(), lora()),
    "tied": lambda: moved(peft.get_peft_model(new_model(2, tie_word_embeddings=True), lora(
        target_modules=["embed_tokens", "q_proj"]))),
    "loaded": None,
}  # fmt: skip


@pytest.mark.parametrize("case", GIVEN)
def test_forms_of_adapters_that_are_given(tmp_path, case):
    if case == "loaded":
        moved(peft.get_peft_model(model(), lora())).save_pretrained(tmp_path / "adapter")
        given = peft.PeftModel.from_pretrained(model(), tmp_path / "adapter", is_trainable=True)
    else:
        given = GIVEN[case]()
    expected = logits(given)
    found = trainer(tmp_path / "run", given)
    assert found.args.tune == "lora"
    assert torch.equal(log_ratios(found), torch.zeros(12))
    assert is_right(found, expected)


# --- adapters that are added ------------------------------------------------------------

PLAIN = {
    "default": None, "gaussian": lora(init_lora_weights="gaussian"),
    "rsLoRA": lora(use_rslora=True), "DoRA": lora(use_dora=True),
    "modules_to_save": lora(modules_to_save=["lm_head"]),
    "tokens": lora(trainable_token_indices=list(range(4, 60))),
}  # fmt: skip
COPIED = {
    "biases": lora(bias="lora_only"), "PiSSA": lora(init_lora_weights="pissa_niter_4"),
    "OLoRA": lora(init_lora_weights="olora"), "orthogonal": lora(init_lora_weights="orthogonal"),
    "random": lora(init_lora_weights=False), "FOURIERFT": of_kind("FOURIERFT"),
}  # fmt: skip


@pytest.mark.parametrize("case", [*PLAIN, *COPIED])
def test_an_adapter_that_is_added(tmp_path, case):
    """π_ref is the model without it, which a LoRA that begins as nothing needs no copy for."""
    given, config = model(), (PLAIN | COPIED)[case]
    expected = logits(given)
    found = trainer(tmp_path, given, peft_config=config, options={"tune": "lora"})
    assert (found.ref_model is None) == (case in PLAIN)
    start = log_ratios(found)
    if case in ("random", "FOURIERFT"):  # the policy begins elsewhere, and the KL says so
        assert start.abs().max() > 1e-3
    else:  # PiSSA and its kin take the base apart and put it together, to rounding
        assert start.abs().max() <= (0 if case in PLAIN else 1e-4)
    assert is_right(found, expected)


def test_the_settings_of_the_caller_stay(tmp_path):
    """A second trainer with the same settings, and no adapter, trains the whole model."""
    args = trainer(tmp_path / "x", model()).args
    first = trainer(tmp_path, model(), args=args, peft_config=lora())
    second = trainer(tmp_path, model(), args=args)
    assert (first.args.tune, args.tune, second.args.tune) == ("lora", "full", "full")
    assert not adapters.is_adapted(second.model)


# --- a reference that is given ----------------------------------------------------------


@pytest.mark.parametrize("added", [True, False])
def test_a_reference_beside_an_adapter(tmp_path, added):
    """It is what was asked for, also where it is not what the policy begins as."""
    given, other = model(), moved(model(), 0.02)
    expected = logits(other)
    options = {"peft_config": lora()} if added else {}
    given = given if added else moved(peft.get_peft_model(given, lora()))
    found = trainer(tmp_path, given, ref_model=other, **options)
    assert log_ratios(found).abs().max() > 1e-3
    assert is_right(found, expected)


def test_a_reference_that_would_be_trained_along(tmp_path):
    base = model()
    given = peft.get_peft_model(base, lora())  # which puts the adapter into the base
    with pytest.raises(InputError, match=r"ref_model = a model with weights that are trained"):
        trainer(tmp_path, given, ref_model=base)
    assert any(p.requires_grad for p in given.parameters())
    for other in ("a name", 3):
        with pytest.raises(InputError, match=f"ref_model = {other}: a model, or None"):
            trainer(tmp_path, model(), ref_model=other)


# --- what is refused --------------------------------------------------------------------


def frozen():
    found = peft.get_peft_model(model(), lora())
    return found.requires_grad_(False)


def merged():
    found = moved(peft.get_peft_model(model(), lora()))
    found.merge_adapter()
    return found


def by_hand():
    found = peft.get_peft_model(model(), lora())
    found.base_model.model.model.norm.weight.requires_grad_(True)
    return found


def injected():
    found = model()
    found.add_adapter(lora())
    return found


def unwrapped():
    found = model()
    peft.get_peft_model(found, lora())
    return found


def inactive():
    """The active adapter is frozen, and another one asks for a gradient."""
    found = several("default")
    for name, parameter in found.named_parameters():
        parameter.requires_grad_(".other." in name)
    return found


REFUSED = {
    "frozen": (frozen, {}, r"model = all of it frozen: .*is_trainable"),
    "frozen whole": (lambda: model().requires_grad_(False), {}, "model = all of it frozen"),
    "merged": (merged, {}, "model = an adapter that is merged: unmerge_adapter"),
    "by hand": (by_hand, {}, r"model = .*norm.weight, which is trained: frozen, or in the adapter"),
    "injected": (injected, {}, "model = Qwen2ForCausalLM: the PeftModel that holds its adapter"),
    "unwrapped": (unwrapped, {}, "model = Qwen2ForCausalLM: the PeftModel that holds its adapter"),
    "another adapter": (
        lambda: moved(peft.get_peft_model(model(), lora())), {"peft_config": lora()},
        "peft_config = LoraConfig: None: the model has an adapter",
    ),
    "last block": (
        lambda: peft.get_peft_model(model(), lora()), {"options": {"tune": "last-block"}},
        "tune = last-block: lora or full",
    ),
    "last block and config": (
        model, {"peft_config": lora(), "options": {"tune": "last-block"}},
        "tune = last-block: lora, where there is a peft_config",
    ),
    "no config": (model, {"peft_config": {"r": 4}}, "peft_config = dict: a configuration of peft"),
    "no such layer": (
        model, {"peft_config": lora(target_modules=["w"])}, "peft_config = LoraConfig: one that",
    ),
    "inference": (
        model, {"peft_config": lora(inference_mode=True)}, "model = all of it frozen",
    ),
    "classifier": (model, {"peft_config": lora(task_type="SEQ_CLS")}, "task_type = SEQ_CLS"),
    "virtual tokens": (
        model, {"peft_config": peft.PromptTuningConfig(
            task_type="CAUSAL_LM", num_virtual_tokens=2)},
        "peft_config = PromptTuningConfig: an adapter of weights",
    ),
    "AdaLoRA": (
        model, {"peft_config": peft.AdaLoraConfig(total_step=3, target_modules=["q_proj"])},
        "peft_config = AdaLoraConfig: an adapter that is tested",
    ),
    "EVA": (
        model, {"peft_config": lora(init_lora_weights="eva")},
        r"peft_config\.init_lora_weights = eva: one that needs no data",
    ),
    "aLoRA": (
        model, {"peft_config": lora(alora_invocation_tokens=[5, 6])},
        r"peft_config\.alora_invocation_tokens = set: None",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.filterwarnings("ignore")
def test_what_is_refused(tmp_path, case):
    make, given, message = REFUSED[case]
    with pytest.raises(InputError, match=message) as caught:
        trainer(tmp_path, make(), **given)
    assert "\n" not in str(caught.value)


def test_quantised_weights(tmp_path):
    """They need an adapter; π_ref is then the model without it."""
    given = model()
    given.is_quantized = True
    for tune in ("full", "last-block"):
        with pytest.raises(InputError, match=f"tune = {tune}: lora, as the weights"):
            trainer(tmp_path, given, options={"tune": tune})
    given.quantization_method = "bitsandbytes"

    def moves(*_, **__):
        raise AssertionError("such weights stay where they are")

    given.to = moves
    adapted = peft.get_peft_model(given, lora())
    adapted.to = moves
    expected = logits(adapted)
    given.hf_quantizer = type("Quantizer", (), {"is_trainable": True})()
    found = trainer(tmp_path, adapted)
    assert torch.equal(log_ratios(found), torch.zeros(12))
    assert torch.equal(reference_logits(found), expected)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_loss_that_reaches_nothing_that_is_trained(tmp_path, checkpointing):
    """Also where the embeddings are told to ask for a gradient, so that the loss has one."""
    options = {
        "activation_checkpointing": checkpointing,
        "activation_checkpointing_kwargs": {"use_reentrant": True} if checkpointing else None,
    }
    found = trainer(tmp_path, inactive(), options=options)
    before = weights(found.model)
    with pytest.raises(InputError, match="model = no trained weight is reached by the loss"):
        found.train()
    assert all(torch.equal(p, before[n]) for n, p in weights(found.model).items())
    assert not (tmp_path / "record" / "finished.json").exists()


def test_an_optimiser_made_before_the_adapter(tmp_path):
    given = model()
    late = torch.optim.SGD(given.parameters(), 0.1)
    with pytest.raises(InputError, match=r"optimizers = without .*lora_A"):
        trainer(tmp_path, given, peft_config=lora(), optimizers=(late, None))
    given = peft.get_peft_model(model(), lora())
    some = torch.optim.SGD([next(p for p in given.parameters() if p.requires_grad)], 0.1)
    with pytest.raises(InputError, match=r"optimizers = without .*lora_B"):
        trainer(tmp_path, given, optimizers=(some, None))
    whole = torch.optim.SGD([p for p in given.parameters() if p.requires_grad], 0.1)
    expected = logits(given)
    assert is_right(trainer(tmp_path / "b", given, optimizers=(whole, None)), expected)
    assert "SGD" in read_record(tmp_path / "b").config["optimizer"]


def test_a_copy_of_the_given_model_is_whole(tmp_path):
    """Without an adapter nothing of π_ref is the policy's own, trained or not."""
    given = model()
    given.model.layers[0].requires_grad_(False)
    expected, frozen = logits(given), copy.deepcopy(weights(given, trained=False))
    found = trainer(tmp_path, given)
    own = {p.data_ptr() for p in found.model.parameters()}
    assert not own & {p.data_ptr() for p in found.ref_model.parameters()}
    assert is_right(found, expected)
    assert weights(found.model, trained=False).keys() == frozen.keys() != set()
