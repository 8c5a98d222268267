"""The trainer on a language model of a million parameters: every method, and every bad input."""

from __future__ import annotations

import copy
import json
import math

import pytest
import torch

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("accelerate", reason="the extra llm is not installed")
pytest.importorskip("datasets", reason="the extra llm is not installed")

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from sailtheory import InputError
from sailtheory.training.llm import SAILConfig, SAILTrainer, losses
from sailtheory.training.llm import preferences as rewards
from sailtheory.training.llm.batch import Drawn
from sailtheory.training.llm.generate import Completions
from sailtheory.training.record import read_record
from tests import llm_enumeration as tiny

PAIRS = [
    {"prompt": f"Say something about the {thing}.", "chosen": f" The {thing} is good and kind.",
     "rejected": f" I do not like a {thing}."}
    for thing in ("river", "garden", "old house", "sea", "winter", "road to town", "cat", "tree")
]  # fmt: skip
METHODS = ("sft", "dpo", "sail-ddp", "sail-dpp", "sail-dpr")
CHAT = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.fixture(scope="module")
def tokenizer():
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<|end|>", "<|pad|>", "<|user|>", "<|assistant|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    bpe.train_from_iterator((" ".join(map(str, row.values())) for row in PAIRS), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token="<|end|>", pad_token="<|pad|>", chat_template=CHAT
    )


def new_model(layers=4, dropout=0.0, **options):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=400, hidden_size=128, intermediate_size=352, num_hidden_layers=layers,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=128,
        eos_token_id=0, pad_token_id=1, bos_token_id=0, attention_dropout=dropout, **options,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def few_letters(completions, **_):
    """A smooth reward with few ties."""
    return [-len(text) / 10 for text in completions]


def config(folder, method="sail-dpr", **options):
    options = {
        "max_steps": 3, "per_device_train_batch_size": 4, "max_new_tokens": 8,
        "learning_rate": 1e-3, "logging_steps": 1, "save_strategy": "no", "use_cpu": True,
        "log_kl_steps": 2, "disable_tqdm": True,
    } | options  # fmt: skip
    return SAILConfig(str(folder), method=method, **options)


def train(folder, tokenizer, method="sail-dpr", model=None, data=PAIRS, **options):
    trainer = SAILTrainer(
        model=new_model() if model is None else model,
        reward_funcs=few_letters if method == "sail-dpr" else None,
        args=config(folder, method, **options),
        train_dataset=data,
        processing_class=tokenizer,
    )
    before = {n: p.detach().clone() for n, p in trainer.model.named_parameters()}
    trainer.train()
    moved = {n for n, p in trainer.model.named_parameters() if not torch.equal(before[n], p)}
    return trainer, moved


# --- every method trains ---------------------------------------------------------------


@pytest.mark.parametrize("tune", ["full", "last-block", "lora"])
@pytest.mark.parametrize("method", METHODS)
def test_methods(tmp_path, tokenizer, method, tune):
    if tune == "lora":
        pytest.importorskip("peft")
    trainer, moved = train(tmp_path, tokenizer, method, tune=tune, kl_coef=0.1)
    trained = {n for n, p in trainer.model.named_parameters() if p.requires_grad}
    if tune == "full":
        assert moved == trained
    elif tune == "last-block":
        assert moved == trained == {n for n in trained if ".layers.3." in n} != set()
    else:
        assert moved == trained == {n for n in trained if "lora_" in n} != set()
    record = read_record(tmp_path / "record")
    assert record.finished and record.method == method
    names = set(record.names())
    assert {"loss/kl", "kl_ref_policy", "kl_policy_ref", "spent/tokens"} <= names
    own = {
        "sft": {"loss/sft"}, "dpo": {"loss/dpo"}, "sail-ddp": {"loss/dpo", "loss/ddp"},
        "sail-dpp": {"loss/dpo", "loss/dpp", "loss/dpp_score"},
        "sail-dpr": {"loss/dpr", "loss/dpr_score", "rewards/mean", "rewards/ties"},
    }[method]  # fmt: skip
    assert own | {"loss/kl"} == {n for n in names if n.startswith("loss/")} | own
    for _, name, value in record.rows:
        assert math.isfinite(float(value)), name
    # KL(π_ref‖π_θ) is exactly zero before the first update and is not afterwards.
    steps, kl = record.series("kl_ref_policy")
    assert steps.tolist() == [1, 2, 3] and kl[0] == pytest.approx(0, abs=1e-5) and kl[1] != 0
    assert max(record.series("on_policy/gap")[1]) < 1e-3
    faults = trainer.audit().faults
    assert faults == ()


def test_the_audit_sees_a_term_that_moves_nothing(tmp_path, tokenizer):
    trainer, _ = train(tmp_path, tokenizer, "dpo", max_steps=1, log_kl_steps=0)
    trainer.loss_terms = lambda model, drawn: {"dpo": torch.zeros(1, requires_grad=True)}
    [fault] = trainer.audit().faults
    assert fault.startswith("dpo claims to move policy")


def test_dpr_learns_the_reward(tmp_path, tokenizer):
    train(
        tmp_path, tokenizer, max_steps=40, beta=0.1, reward_scale=4.0, log_kl_steps=0,
        per_device_train_batch_size=8, learning_rate=2e-3,
    )  # fmt: skip
    _, found = read_record(tmp_path / "record").series("rewards/mean")
    assert found[-8:].mean() > found[:8].mean() + 0.2


def test_other_estimators_and_labels(tmp_path, tokenizer):
    for i, options in enumerate((
        {"kl_estimator": "importance"}, {"kl_estimator": "token-proxy"},
        {"preference": "sampled", "temperature": 0.7}, {"g": 0.3, "score_weight": 0.3},
        {"g": 0.4, "p": 0.3, "r": 0.2}, {"ref_samples": 3},
    )):  # fmt: skip
        options = {"kl_coef": 0.1, "max_steps": 2} | options
        _, moved = train(tmp_path / str(i), tokenizer, **options)
        assert moved
        assert all(math.isfinite(float(v)) for _, _, v in read_record(
            tmp_path / str(i) / "record").rows)  # fmt: skip


def test_trl_script_with_two_lines_changed(tmp_path, tokenizer):
    from datasets import Dataset

    # from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer
    from sailtheory.training.llm import SAILConfig as OnlineDPOConfig
    from sailtheory.training.llm import SAILTrainer as OnlineDPOTrainer

    dataset = Dataset.from_list([{"prompt": row["prompt"]} for row in PAIRS])
    training_args = OnlineDPOConfig(
        output_dir=str(tmp_path), per_device_train_batch_size=2, gradient_accumulation_steps=2,
        max_new_tokens=8, beta=0.1, temperature=0.9, missing_eos_penalty=1.0, max_steps=2,
        logging_steps=1, learning_rate=5e-7, report_to="none", save_strategy="no", use_cpu=True,
    )  # fmt: skip
    trainer = OnlineDPOTrainer(
        model=new_model(), ref_model=new_model(), reward_funcs=[few_letters], args=training_args,
        train_dataset=dataset, processing_class=tokenizer,
    )  # fmt: skip
    trainer.train()
    assert trainer.state.global_step == 2
    assert any("loss/dpr" in row for row in trainer.state.log_history)


def test_conversations_and_peft(tmp_path, tokenizer):
    peft = pytest.importorskip("peft")
    rows = [
        {"prompt": [{"role": "user", "content": row["prompt"]}],
         "chosen": [{"role": "assistant", "content": row["chosen"]}],
         "rejected": [{"role": "assistant", "content": row["rejected"]}], "id": i}
        for i, row in enumerate(PAIRS)
    ]  # fmt: skip
    seen = []

    def judge(prompts, completions, completion_ids, **columns):
        seen.append((prompts, completions, columns["id"]))
        return [float(len(ids)) for ids in completion_ids]

    trainer = SAILTrainer(
        model=new_model(), reward_funcs=judge, args=config(tmp_path, g=0.5),
        train_dataset=rows, processing_class=tokenizer,
        peft_config=peft.LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"),
    )  # fmt: skip
    chosen = trainer.train_dataset[0]["chosen_ids"]
    assert chosen[-1] == tokenizer.eos_token_id and chosen.count(tokenizer.eos_token_id) == 1
    assert tokenizer.decode(chosen[:-1]) == PAIRS[0]["chosen"]
    assert tokenizer.decode(trainer.train_dataset[0]["prompt_ids"]).endswith("<|assistant|>")
    trainer.train()
    prompts, completions, ids = seen[0]
    assert completions[0][0]["role"] == "assistant"
    assert [rows[i]["prompt"] for i in ids] == prompts  # rewards meet their own prompts
    implicit = [{"chosen": r["prompt"] + r["chosen"], "rejected": r["prompt"] + r["rejected"]}
                for r in rows]  # fmt: skip
    again = SAILTrainer(
        model=new_model(), reward_funcs=judge, args=config(tmp_path / "b", g=0.5),
        train_dataset=implicit, processing_class=tokenizer,
    )  # fmt: skip
    for a, b in zip(trainer.train_dataset, again.train_dataset, strict=True):
        assert all(a[k] == b[k] for k in ("prompt_ids", "chosen_ids", "rejected_ids"))


# --- invariance ------------------------------------------------------------------------


def after_one_update(folder, tokenizer, batch, accumulated, model=None, **options):
    options = {"optim": "sgd", "max_grad_norm": 0.0, "lr_scheduler_type": "constant"} | options
    model = (new_model(2) if model is None else model).double()
    trainer, _ = train(
        folder, tokenizer, model=model, max_steps=2, per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulated, learning_rate=0.1, **options,
    )  # fmt: skip
    return torch.cat([p.detach().reshape(-1) for p in trainer.model.parameters()]), trainer


@pytest.mark.parametrize("method", ["sail-dpr", "sail-dpp", "dpo"])
def test_accumulation_is_batch_size(tmp_path, tokenizer, method):
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


def test_a_tokenizer_without_pad_token_changes_nothing(tmp_path, tokenizer):
    bare = copy.deepcopy(tokenizer)
    bare.pad_token = None
    assert bare.pad_token_id is None
    with_pad, _ = after_one_update(tmp_path / "a", tokenizer, 4, 1, kl_coef=0.1)
    without, _ = after_one_update(tmp_path / "b", bare, 4, 1, kl_coef=0.1)
    assert (with_pad - without).norm() < 1e-6


def test_the_reference_stays(tmp_path, tokenizer):
    trainer, moved = train(tmp_path, tokenizer)
    fresh = new_model().state_dict()
    assert moved
    assert all(torch.equal(v, fresh[k]) for k, v in trainer.ref_model.state_dict().items())


# --- expectation of the trainer's own step ---------------------------------------------


class Words:
    """A tokenizer of single digits, for the enumerable model."""

    pad_token_id, eos_token_id, chat_template = 0, 0, None

    def __call__(self, text, **_):
        return {"input_ids": [int(c) for c in text]}

    def decode(self, ids, **_):
        return "".join(map(str, ids))

    def save_pretrained(self, folder):
        """Nothing to save."""


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("options", [{}, {"kl_coef": 0.3}, {"method": "sail-dpp", "p": 1.0}])
def test_expected_step_of_the_trainer_is_exact(tmp_path, options, temperature):
    """SAILTrainer.loss_terms over every pair of completions, with its chance: −∇J_γ."""
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
            q = trainer._judge([item], pairs, 0) if options["method"] == "sail-dpr" else None
            # y_ref is independent of the pair: enumerate it along, weighted by its chance
            ref_draw = completions(exact.all[j])
            terms = trainer.loss_terms(model, Drawn([item], pairs, q, ref_draw))
            weight = chance[i] * chance[j]
            for name, term in terms.items():
                w = exact.ref[j].exp() / n if name == "kl" else weight
                found = found + tiny.gradient((w * term).mean(), model)
    fresh = tiny.Exact(model, ref, (1, 2, 1), 3, temperature)
    value = fresh.j() if options["method"] == "sail-dpr" else fresh.j_self()
    wanted = -value + options.get("kl_coef", 0.0) * fresh.kl_ref_policy()
    assert tiny.relative_error(found, tiny.gradient(wanted, model)) < 1e-11


def test_samples_of_an_older_policy(tmp_path, tokenizer):
    for stale in ("refuse", "weight"):
        trainer, _ = train(tmp_path / stale, tokenizer, max_steps=1, stale=stale)
        drawn = trainer.draw(trainer.model, trainer.train_dataset[:2])
        trainer.state.global_step += 1
        if stale == "refuse":
            with pytest.raises(InputError, match="from update 1"):
                trainer.loss_terms(trainer.model, drawn)
        else:
            assert set(trainer.loss_terms(trainer.model, drawn)) == {"dpr", "dpr_score"}


def test_shuffled_prompts_are_refused(tmp_path, tokenizer):
    trainer, _ = train(tmp_path, tokenizer, max_steps=1)
    one = trainer.draw(trainer.model, trainer.train_dataset[:4])
    shuffled = Drawn(one.items[::-1], one.pairs, one.preference, one.ref)
    with pytest.raises(InputError, match=r"completions\[0\] = of another prompt"):
        trainer.loss_terms(trainer.model, shuffled)


# --- going on ---------------------------------------------------------------------------


def test_going_on_gives_the_same_bits(tmp_path, tokenizer):
    options = {"max_steps": 6, "save_strategy": "steps", "save_steps": 2, "kl_coef": 0.1}
    whole, _ = train(tmp_path / "whole", tokenizer, **options)
    args = {"reward_funcs": few_letters, "train_dataset": PAIRS, "processing_class": tokenizer}
    part = SAILTrainer(new_model(), args=config(tmp_path / "part", **options), **args)

    class Killed(Exception):
        pass

    step = part.training_step

    def killed(*positional, **named):
        if part.state.global_step == 5:
            raise Killed
        return step(*positional, **named)

    part.training_step = killed
    with pytest.raises(Killed):
        part.train()
    again = SAILTrainer(new_model(), args=config(tmp_path / "part", **options), **args)
    again.train(resume_from_checkpoint=True)
    for a, b in zip(whole.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(a, b)
    files = [tmp_path / name / "record" / "metrics.csv" for name in ("whole", "part")]
    assert files[0].read_bytes() == files[1].read_bytes()


# --- bad input --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kl_coef": -0.1}, "kl_coef = -0.1: a finite number >= 0"),
        ({"method": "ppo"}, "method = ppo: one of sft, dpo"),
        ({"bta": 0.1}, "bta = unknown field: did you mean beta"),
        ({"top_p": 0.9}, "top_p = 0.9: not offered"),
        ({"temperature": 0.0}, "temperature = 0.0"),
        ({"beta": "0.1"}, "beta = 0.1: a finite number"),
        ({"method": "dpo", "g": 0.3}, "g = 0.3: 0 is expected with method dpo"),
        ({"method": "sail-ddp", "rho": 0.0}, "rho = 0: a weight > 0"),
        ({"r": 0.6, "g": 0.6}, r"r \+ p \+ g"),
        ({"kl_estimator": "k3"}, "kl_estimator = k3: one of ref-samples"),
        ({"max_new_tokens": 0}, "max_new_tokens = 0"),
        ({"tune": "head"}, "tune = head: one of full"),
    ],
)
def test_bad_settings(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        SAILConfig(str(tmp_path), **options)


def test_bad_data(tmp_path, tokenizer):
    def refused(message, data=PAIRS, method="sail-dpr", **options):
        with pytest.raises(InputError, match=message):
            train(tmp_path / "x", tokenizer, method, data=data, **options)

    refused(r"chosen\[0\] = empty", [PAIRS[0] | {"chosen": ""}], "dpo")
    refused(r"prompt\[1\] = empty", [PAIRS[0], PAIRS[1] | {"prompt": ""}])
    refused(r"prompt\[0\] = None", [{"text": "a"}])
    refused(r"rejected\[0\] = missing", [{"prompt": "a", "chosen": "b"}], "dpo")
    refused("train_dataset = no rows", [])
    long = [PAIRS[0], {"prompt": "road " * 200}]
    refused(r"prompt\[1\] = \d+ tokens: at most 120", long)
    refused("long_prompts = cut", long, long_prompts="cut")
    trainer, _ = train(tmp_path / "y", tokenizer, data=long, long_prompts="drop", max_steps=1)
    assert [row["index"] for row in trainer.train_dataset] == [0]
    with pytest.raises(InputError, match="reward_funcs = none"):
        SAILTrainer(new_model(), args=config(tmp_path / "z"), train_dataset=PAIRS,
                    processing_class=tokenizer)  # fmt: skip
    bare = copy.deepcopy(tokenizer)
    bare.eos_token = bare.pad_token = None
    model = new_model()
    model.generation_config.eos_token_id = None
    with pytest.raises(InputError, match="no end token"):
        SAILTrainer(model, reward_funcs=few_letters, args=config(tmp_path / "z"),
                    train_dataset=PAIRS, processing_class=bare)  # fmt: skip


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), None])
def test_bad_rewards_stop_the_run(tmp_path, tokenizer, bad):
    def broken(completions, **_):
        return [*few_letters(completions)[:-1], bad]

    trainer = SAILTrainer(
        new_model(), None, broken, config(tmp_path), train_dataset=PAIRS, processing_class=tokenizer
    )
    with pytest.raises(InputError, match=r"broken\[7\] = (nan|inf|None): a finite reward"):
        trainer.train()
    saved = json.loads((tmp_path / "failed-batch-0.json").read_text())
    assert len(saved["items"]) == 4 and saved["error"].startswith("broken[7]")
    assert not (tmp_path / "record" / "finished.json").exists()


def test_ties_are_half_and_reported(tmp_path, tokenizer):
    def constant(completions, **_):
        return [1.0] * len(completions)

    trainer = SAILTrainer(
        new_model(), None, constant, config(tmp_path), train_dataset=PAIRS,
        processing_class=tokenizer,
    )  # fmt: skip
    with pytest.warns(UserWarning, match="all pairs of a batch are tied"):
        trainer.train()
    assert set(read_record(tmp_path / "record").series("rewards/ties")[1]) == {1.0}


def test_a_model_that_is_not_here(tmp_path, monkeypatch, tokenizer):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in ("nobody/no-such-model", str(tmp_path / "nowhere")):
        with pytest.raises(InputError, match="not found here") as caught:
            SAILTrainer(name, args=config(tmp_path), train_dataset=PAIRS,
                        processing_class=tokenizer)  # fmt: skip
        assert "\n" not in str(caught.value)


# --- rewards ----------------------------------------------------------------------------


def test_rules():
    texts = ["one two three", "A Cat, a tree", "42"]
    assert rewards.length(3)(completions=texts) == [0.0, -0.1, -0.2]
    assert rewards.keywords(["cat", "tre"])(completions=texts) == [0.0, 0.5, 0.0]
    assert rewards.matches(r"\d+")(completions=texts) == [0.0, 0.0, 1.0]
    with pytest.raises(InputError, match="regular expression"):
        rewards.matches("(")


def test_vader():
    pytest.importorskip("vaderSentiment")
    good, bad = rewards.vader()(completions=["I love this.", "I hate this."])
    assert good > 0 > bad


def test_classifier(tokenizer):
    from transformers import LlamaForSequenceClassification

    torch.manual_seed(0)
    model = LlamaForSequenceClassification(copy.copy(new_model().config))
    with pytest.raises(InputError, match="2 labels"):
        rewards.as_reward(model, tokenizer)
    settings = new_model().config
    settings.num_labels = 1
    judge = rewards.as_reward(LlamaForSequenceClassification(settings), tokenizer)
    texts = ["a b c", "the old house by the sea"]
    together = judge(prompts=["Say: "] * 2, completions=texts)
    alone = [judge(prompts=["Say: "], completions=[t])[0] for t in texts]
    assert together == pytest.approx(alone, abs=1e-5) and together[0] != together[1]


def test_sampled_labels_have_the_right_mean():
    q = torch.tensor([0.2, -0.5, 0.5, 0.0], dtype=torch.float64)
    grid = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    means = torch.stack([rewards.sampled(q, u.expand(4)) for u in grid]).mean(0)
    torch.testing.assert_close(means, q, rtol=0, atol=1e-3)


def test_every_method_has_a_name():
    assert losses.METHODS == METHODS
