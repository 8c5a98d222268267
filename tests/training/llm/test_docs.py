"""docs/llm-training.md says what the code does: its tables are made from it."""

from __future__ import annotations

import dataclasses
import re

import pytest

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("accelerate", reason="the extra llm is not installed")

from docs.generate import blocks, trainer
from sailtheory.training.llm import adapters
from sailtheory.training.llm.config import Settings
from sailtheory.training.llm.train import SHORT
from sailtheory.training.llm.transformers_settings import TRANSFORMERS_UNSUPPORTED
from sailtheory.training.llm.trl_settings import TRL_UNSUPPORTED

PAGE = trainer.PAGE.read_text(encoding="utf-8")
FIELDS = {field.name for field in dataclasses.fields(Settings)}


def test_the_tables_are_those_of_the_code():
    """If this fails: ``python -m docs.generate.trainer``."""
    assert trainer.renewed(PAGE) == PAGE
    assert blocks.names(PAGE) == [*trainer.tables()]


def test_every_setting_that_is_refused_is_there_with_its_reason():
    rows = dict(re.findall(r"^\| `(\w+)` \| `.*` \| (.*) \|$", PAGE, re.M))
    assert rows == {
        name: reason.removeprefix("not offered: ")
        for name, (_, reason) in (TRL_UNSUPPORTED | TRANSFORMERS_UNSUPPORTED).items()
    }


@pytest.mark.parametrize("change", ["a reason", "a value", "one more", "one less", "a default"])
def test_a_page_that_is_behind_is_seen(monkeypatch, change):
    values, reason = TRANSFORMERS_UNSUPPORTED["use_liger_kernel"]
    if change == "a default":
        monkeypatch.setattr(trainer, "Settings", lambda: Settings(seed=0))
    elif change == "one less":
        monkeypatch.delitem(TRANSFORMERS_UNSUPPORTED, "use_liger_kernel")
    else:
        name, changed = {
            "a reason": ("use_liger_kernel", (values, f"{reason}, or so")),
            "a value": ("use_liger_kernel", ((True,), reason)),
            "one more": ("another", (values, reason)),
        }[change]
        monkeypatch.setitem(TRANSFORMERS_UNSUPPORTED, name, changed)
    assert trainer.renewed(PAGE) != PAGE


def test_names_in_the_text_are_known():
    """Settings, kinds of adapters and short names that the page writes as code exist."""
    for short, name in SHORT.items():
        assert f"`{short}`" in PAGE and f"`{name}`" in PAGE
    assert {*re.findall(r"^\| `(\w+)` \| `[^|]*` \|$", PAGE, re.M)} <= FIELDS
    for name in re.findall(r"`(\w+)=[^`]*`", PAGE):
        assert name in FIELDS | {"is_trainable", "NAME"}, name
    assert adapters.KINDS == tuple(sorted(adapters.KINDS))
