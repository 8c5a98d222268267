"""``sailtheory train llm``: what a run leaves, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
import warnings
from pathlib import Path

import pytest

pytest.importorskip("safetensors", reason="the extra llm is not installed")

import torch
from safetensors.torch import load_file

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("peft", reason="the extra llm is not installed")
pytest.importorskip("vaderSentiment", reason="the extra llm is not installed")

from sailtheory import InputError
from sailtheory.cli import main
from sailtheory.runs.read import read_record
from sailtheory.training.llm import models
from tests.support.llm_folder import save_model

NAME = "smollm2-135m"
SHORT = ["--set", "batch=2", "--set", "max_new_tokens=4", "--set", "device=cpu"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SAILTHEORY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


def run(capsys, *arguments):
    code = main(list(arguments))
    out = capsys.readouterr()
    return code, out.out, out.err.strip()


def test_command_and_python_have_one_set_of_defaults(model, tmp_path, monkeypatch):
    """Field by field, without exception; and what is typed is what is set."""
    from sailtheory.training.llm import SAILConfig, trainer

    seen = []

    class Watched(trainer.SAILTrainer):
        def __init__(self, name, **given):
            seen.append(given["args"])
            super().__init__(name, **given)

        def train(self, **_):
            seen.append({p.dtype for p in self.model.parameters()})
            raise InputError("run", "not made", "its settings are enough")

    monkeypatch.setattr(trainer, "SAILTrainer", Watched)

    def resolved(*typed):
        assert main(["train", "llm", "--model", model, "--data", "prompts", "--reward", "length:5",
                     "--out", str(tmp_path / "q"), *typed]) == 2  # fmt: skip
        return {f.name: getattr(seen[-2], f.name) for f in dataclasses.fields(seen[-2])}, seen[-1]

    def in_python(**settings):
        args = SAILConfig(str(tmp_path / "q"), **settings)
        return {f.name: getattr(args, f.name) for f in dataclasses.fields(args)}

    found, kinds = resolved()
    assert found == in_python() and kinds == {torch.float32}
    own = {"save_total_limit": 3, "optim": "sgd", "adam_beta2": 0.9, "stale": "weight",
           "lr_scheduler_type": "cosine_with_restarts", "disable_dropout": False,
           "reward_weights": [2.0], "beta": 0.2, "run_name": "a b"}  # fmt: skip
    typed = [f"{k}={'2' if k == 'reward_weights' else str(v).lower()}" for k, v in own.items()]
    found, kinds = resolved(*(part for text in typed for part in ("--set", text)), "--set",
                            "dtype=bfloat16")  # fmt: skip
    expected = in_python(**own) | {"model_init_kwargs": {"dtype": "bfloat16"}}
    assert found == expected and kinds == {torch.bfloat16}


def test_a_model_by_name_has_weights_that_small_updates_move(model, tmp_path):
    """In bfloat16, the type of many files, updates of 1e-6 would be rounded away."""
    from transformers import AutoModelForCausalLM

    from sailtheory.training.llm import SAILConfig, SAILTrainer

    half = tmp_path / "half"
    models.load(AutoModelForCausalLM, "model", model).to(torch.bfloat16).save_pretrained(half)
    models.load_tokenizer(model).save_pretrained(half)
    rows = [{"prompt": "Say hello.", "completion": " Hello."}] * 2
    for options, expected in (({}, torch.float32), ({"dtype": "bfloat16"}, torch.bfloat16)):
        args = SAILConfig(
            str(tmp_path / "q"), method="sft", max_steps=1, log_kl_steps=0, use_cpu=True,
            save_strategy="no", model_init_kwargs=options,
        )  # fmt: skip
        trainer = SAILTrainer(str(half), args=args, train_dataset=rows)
        assert {p.dtype for p in trainer.model.parameters()} == {expected}
    with pytest.raises(InputError, match=r"model_init_kwargs = .*: None: the model is given"):
        SAILTrainer(trainer.model, args=args, train_dataset=rows)
    for asked in ({"trust_remote_code": True}, '{"trust_remote_code": true}'):
        args = SAILConfig(str(tmp_path / "q"), model_init_kwargs=asked)
        with pytest.raises(InputError, match="trust_remote_code = True: False: no code of"):
            SAILTrainer(str(half), args=args, train_dataset=rows)


def changed(before, after):
    """Names of the tensors in which two saved models differ."""
    one, other = (load_file(Path(folder) / "model.safetensors") for folder in (before, after))
    assert set(one) == set(other)
    return {name for name in one if not torch.equal(one[name], other[name])}


def test_a_run_leaves_model_and_record_and_goes_on(model, tmp_path, capsys):
    out = str(tmp_path / "q")
    typed = ["train", "llm", "--model", model, "--data", "prompts", "--out", out, "--kl-coef",
             "0.1", "--tune", "last-block", "--reward", "length:5", *SHORT,
             "--set", "checkpoint_every=1"]  # fmt: skip
    assert run(capsys, *typed, "--steps", "2")[0] == 0
    record = read_record(Path(out) / "record")
    assert record.finished and record.config["kl_coef"] == 0.1
    assert record.series("spent/updates")[1].tolist() == [1, 2]
    moved = changed(model, Path(out) / "model")
    assert moved and all(".layers.1." in name for name in moved)
    code, text, _ = run(capsys, *typed, "--steps", "2", "--resume")
    assert code == 0 and text.startswith("done: ")
    code, _, err = run(capsys, *typed, "--steps", "2")
    assert code == 2 and "holds a run" in err
    assert models.load_tokenizer(str(Path(out) / "model")).eos_token == "<end>"


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


def killed_in(part, monkeypatch):
    """The final save ends in one of its parts; checkpoints are saved."""
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from sailtheory.training.llm import train as command

    kind = {"the weights": PreTrainedModel, "the tokenizer": PreTrainedTokenizerBase}.get(part)
    if kind is None:

        def unmoved(made, target):
            raise Killed

        monkeypatch.setattr(command, "move_folder", unmoved)
        return
    whole = kind.save_pretrained

    def torn(self, folder, *args, **kwargs):
        whole(self, folder, *args, **kwargs)
        if "checkpoint-" not in str(folder):
            for path in Path(folder).glob("*.safetensors" if part == "the weights" else "token*"):
                os.truncate(path, path.stat().st_size // 2)
            raise Killed

    monkeypatch.setattr(kind, "save_pretrained", torn)


@pytest.mark.parametrize("part", ["the weights", "the tokenizer", "the move"])
@pytest.mark.parametrize("left", [False, True], ids=["alone", "beside what a kill left"])
def test_a_run_killed_while_it_saves_the_model_is_not_done(
    model, tmp_path, monkeypatch, capsys, part, left
):
    out = tmp_path / "q"
    typed = ["train", "llm", "--model", model, "--data", "prompts", "--reward", "length:5",
             "--steps", "1", *SHORT, "--out"]  # fmt: skip
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_in(part, patch)
        main([*typed, str(out)])
    assert read_record(out / "record").finished and not (out / "model").exists()
    if left:
        for name in (".model.part", ".model.old"):
            (out / name).mkdir()
            (out / name / "torn.safetensors").write_text("half")
    assert run(capsys, *typed, str(out), "--resume")[0] == 0
    assert run(capsys, *typed, str(tmp_path / "alone"))[0] == 0
    names = [sorted(path.name for path in (folder / "model").iterdir())
             for folder in (out, tmp_path / "alone")]  # fmt: skip
    assert names[0] == names[1] and "tokenizer.json" in names[0]
    assert changed(out / "model", tmp_path / "alone/model") == set()
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == []


def test_a_model_that_cannot_be_written_is_one_line(model, tmp_path, monkeypatch, capsys):
    """The run may go on: it saves what it trained, once there is room."""
    from safetensors import SafetensorError

    from sailtheory.training.llm import trainer

    out = tmp_path / "q"
    typed = ["train", "llm", "--model", model, "--data", "prompts", "--reward", "length:5",
             "--steps", "1", *SHORT, "--out", str(out)]  # fmt: skip
    whole = trainer.SAILTrainer.save_model
    for error in (OSError(28, "No space left on device"), SafetensorError("No space left")):
        with monkeypatch.context() as patch:

            def full(self, folder=None, _internal_call=False, error=error):
                whole(self, folder, _internal_call)
                if "checkpoint-" not in str(folder):
                    raise error

            patch.setattr(trainer.SAILTrainer, "save_model", full)
            resume = ["--resume"] if out.exists() else []
            code, _, err = run(capsys, *typed, *resume)
        last = err.splitlines()[-1]
        assert code == 2 and last.startswith(f"sailtheory: out = {out / 'model'}: ")
        assert "No space left" in last
        assert not (out / "model").exists() and not list(out.glob(".model*"))
    assert run(capsys, *typed, "--resume")[0] == 0 and (out / "model").is_dir()


def test_a_model_that_no_run_left_is_kept(model, tmp_path, capsys):
    """It may be the one that is to be trained."""
    given = shutil.copytree(model, tmp_path / "q/model")
    before = load_file(given / "model.safetensors")
    code, _, err = run(
        capsys, "train", "llm", "--model", str(given), "--data", "prompts", "--reward", "length:5",
        "--out", str(tmp_path / "q"), "--steps", "1", *SHORT,
    )  # fmt: skip
    assert code == 2 and err == (
        f"sailtheory: out = {tmp_path / 'q'}: it holds model, which no run left: choose another"
    )
    after = load_file(given / "model.safetensors")
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_a_run_on_a_file_of_pairs(model, tmp_path, capsys):
    row = {"prompt": "Say hello.", "chosen": "Hello, friend.", "rejected": "No."}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    code, _, _ = run(
        capsys, "train", "llm", "--model", model, "--data", str(tmp_path / "a.jsonl"), "--method",
        "dpo", "--out", str(tmp_path / "q"), "--steps", "1", "--tune", "lora", *SHORT,
    )  # fmt: skip
    assert code == 0 and (tmp_path / "q/model/adapter_config.json").exists()
    assert read_record(tmp_path / "q/record").config["method"] == "dpo"


def test_a_run_on_completions_that_are_labelled(model, tmp_path, capsys):
    rows = [{"prompt": "Say hello.", "completion": text, "label": text != "No.", "id": 1}
            for text in ("Hello, friend.", "No.")]  # fmt: skip
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        code, _, err = run(
            capsys, "train", "llm", "--model", model, "--data", str(tmp_path / "a.jsonl"),
            "--method", "sft", "--out", str(tmp_path / "q"), "--steps", "1", *SHORT,
        )  # fmt: skip
    told = [line for line in err.splitlines() if "warning" in line]
    assert code == 0 and told == [
        "sailtheory: warning: train_dataset: 1 of 2 rows left out: the label is false (first: 1)"
    ]
    assert read_record(tmp_path / "q/record").config["data.rows"] == 1


def test_a_run_stopped_before_its_first_checkpoint_begins_anew(model, tmp_path, capsys):
    typed = ["train", "llm", "--model", model, "--data", "prompts", "--out", str(tmp_path / "q"),
             "--reward", "length:5", *SHORT]  # fmt: skip
    assert run(capsys, *typed, "--steps", "1", "--set", "checkpoint_every=9")[0] == 0
    for path in (tmp_path / "q").glob("checkpoint-*"):
        path.rename(tmp_path / path.name)
    (tmp_path / "q/record/finished.json").unlink()
    assert run(capsys, *typed, "--steps", "1", "--resume")[0] == 0
    assert read_record(tmp_path / "q/record").finished


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "bath=3"], "bath = unknown key: did you mean batch"),
        (["--set", "batch=0"], ": batch = 0"),
        (["--set", "per_device_eval_batch_size=0"], "per_device_eval_batch_size = 0"),
        (["--set", "per_device_train_batch_size=2"], "this or batch, which is the same"),
        (["--set", "output_dir=a"], "output_dir = unknown key"),
        (["--set", "top_p=0.9"], "top_p = 0.9: not offered: its draws"),
        (["--set", "optim=best"], "optim = best: one of adamw_torch"),
        (["--set", "bf16=perhaps"], "bf16 = perhaps: true or false"),
        (["--set", "learning_rate=-1"], "learning_rate = -1"),
        (["--set", "fp16=true", "--set", "bf16=true"], "settings = refused by transformers: "),
        (["--split", "test"], "split = test: train or held-out"),
        (["--set", "steps=0"], "steps = 0"),
        (["--set", "method=dpo"], "the option --method"),
        (["--method", "ppo"], "method = ppo: 'ppo' is not one of 'sft'"),
        (["--tune", "half"], "tune = half"),
        (["--kl-coef", "x"], "kl-coef = x"),
        (["--kl-coef", "-1"], "kl-coef = -1"),
        (["--seed", "1.5"], "seed = 1.5"),
        (["--reward", "length:x"], "reward = length:x"),
        (["--reward", "keywords:,"], "keywords = none"),
        (["--reward", "format:("], "pattern = ("),
        (["--reward", "nobody/nothing"], "hf download nobody/nothing"),
        (["--model", "nobody/nothing"], "hf download nobody/nothing"),
        (["--model", NAME], "run `sailtheory fetch smollm2-135m`"),
        (["--data", "nobody/nothing"], "data = nobody/nothing"),
        (["--data", "none.jsonl"], "No such file"),
        (["--method", "dpo"], "chosen[0] = missing"),
    ],
)
def test_bad_input_is_one_line(model, cache, tmp_path, monkeypatch, capsys, arguments, message):
    for flag in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):  # what the command sets without a hub
        monkeypatch.setenv(flag, "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    given = {"--model": model, "--data": "prompts", "--out": str(tmp_path / "q")}
    typed = [text for pair in given.items() if pair[0] not in arguments for text in pair]
    code, out, err = run(capsys, "train", "llm", *typed, *SHORT, *arguments)
    assert (code, out) == (2, "")
    assert message in err and err.startswith("sailtheory: ") and "\n" not in err
    assert not (tmp_path / "q").exists()


@pytest.mark.parametrize("resume", [[], ["--resume"]])
@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("file", "Not a directory"),
        ("file/within", "Not a directory"),
        ("x" * 300, "File name too long"),
        ("/proc/nope", "No such file"),
    ],
)
def test_an_output_that_cannot_be_made(model, tmp_path, capsys, place, reason, resume):
    if place.startswith("/proc") and not Path("/proc/self").exists():
        pytest.skip("no /proc")
    (tmp_path / "file").write_text("kept")
    code, out, err = run(
        capsys, "train", "llm", "--model", model, "--data", "prompts", "--reward", "length:5",
        "--out", str(tmp_path / place), *SHORT, *resume,
    )  # fmt: skip
    assert (code, out) == (2, "") and err.startswith("sailtheory: out = ")
    assert reason in err and "\n" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def saved(kind, model, folder, **options):
    """A model of this kind in a folder, with the tokenizer."""
    import transformers

    config = transformers.AutoConfig.from_pretrained(model, **options)
    getattr(transformers, kind)(config).save_pretrained(folder)
    models.load_tokenizer(model).save_pretrained(folder)
    return str(folder)


def test_weights_that_a_model_lacks_are_not_made_up(model, tmp_path, monkeypatch, capsys):
    """A language model as the reward, a head of other labels, a classifier as the model."""
    judge, two = (
        saved("LlamaForSequenceClassification", model, tmp_path / str(n), num_labels=n)
        for n in (1, 2)
    )
    typed = ["train", "llm", "--data", "prompts", "--tune", "full", "--steps", "1", *SHORT]
    head = "weights of LlamaForSequenceClassification, score.weight included"
    said = []  # by transformers, whose report has many lines
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", said.append)
    monkeypatch.setattr(logging.getLogger("transformers"), "handlers", [handler])
    capsys.readouterr()  # bars of writing the models
    for given, message in (
        (["--model", model, "--reward", model], f"reward model = {model}: {head}"),
        (["--model", model, "--reward", two], f"reward model = {two}: {head}"),
        (["--model", judge, "--reward", "length:5"], "weights of LlamaForCausalLM, lm_head.weight"),
    ):
        code, out, err = run(capsys, *typed, *given, "--out", str(tmp_path / "q"))
        assert (code, out, said) == (2, "", []) and message in err and "\n" not in err
        assert not (tmp_path / "q").exists()
    tied = saved("LlamaForCausalLM", model, tmp_path / "tied", tie_word_embeddings=True)
    assert "lm_head.weight" not in load_file(Path(tied) / "model.safetensors")
    good = [*typed, "--model", tied, "--reward", judge, "--out", str(tmp_path / "q")]
    assert run(capsys, *good)[0] == 0
    assert read_record(tmp_path / "q").config["rewards"] == [judge]
