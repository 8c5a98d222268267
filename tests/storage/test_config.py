"""Configurations: strict keys, types and domains; which keys were read."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, dataclass
from typing import Literal

import pytest

from sailtheory import InputError
from sailtheory.storage.config import TrackedConfig, assignments, plain, resolve, setting
from sailtheory.storage.readers import read_toml


@dataclass(frozen=True)
class Inner:
    rate: float = setting(1e-3, above=0)
    widths: tuple[int, ...] = setting((64, 64), at_least=1)

    def layers(self) -> int:
        return len(self.widths)


@dataclass(frozen=True)
class Config:
    method: Literal["sac", "pebble"]
    seed: int = setting(0, at_least=0)
    discount: float = setting(0.99, at_least=0, below=1)
    note: str = ""
    limit: float | None = None
    resume: bool = False
    inner: Inner = Inner()

    @property
    def horizon(self) -> float:
        return 1 / (1 - self.discount)


def test_sources_in_order_and_plain_json(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text('method = "sac"\nseed = 3\n[inner]\nrate = 1\nwidths = [8]\n')
    config = resolve(Config, read_toml(file), assignments(["seed=4", "limit=0.5", "note=7"]))
    assert config == Config("sac", 4, 0.99, "7", 0.5, False, Inner(1.0, (8,)))
    assert type(config.inner.rate) is float
    assert resolve(Config, json.loads(json.dumps(plain(config)))) == config
    typed = ["inner.widths=[1, 2]", "limit=none", "resume=true", "method=pebble", "note=none"]
    config = resolve(Config, plain(config), assignments(typed))
    assert (config.inner.widths, config.limit, config.resume) == ((1, 2), None, True)
    assert config.note == "none"


@pytest.mark.parametrize(
    "text, words",
    [
        ("sed=1", "seed"),
        ("inner.rat=1", "inner.rate"),
        ("seed=1.0", "an integer"),
        ("seed=true", "an integer"),
        ("seed=-1", "≥ 0"),
        ("discount=1", "≥ 0 and < 1"),
        ("discount=nan", "finite"),
        ("inner.rate=0", "> 0"),
        ("inner.widths=[1, 0]", "≥ 1"),
        ("inner.widths=[1.5]", "a list"),
        ("inner.widths=3", "a list"),
        ("inner=3", "unknown key"),
        ("method=ppo", "one of sac, pebble"),
        ("limit=x", "a finite number or none"),
        ("resume=1", "true or false"),
        ("seed=1\nmethod = 2", "an integer"),
        ("seed=__import__('os')", "an integer"),
        ("seed", "key=value"),
        ("=1", "key=value"),
    ],
)
def test_refusals_name_the_key(text, words):
    with pytest.raises(InputError, match=words.replace("[", r"\[")) as caught:
        resolve(Config, {"method": "sac"}, assignments([text]))
    assert "\n" not in str(caught.value)
    assert caught.value.field in (text.partition("=")[0], "set")


def test_missing_key_and_bad_files(tmp_path):
    with pytest.raises(InputError, match="method = missing"):
        resolve(Config, {})
    assert resolve(Config, {"method": "sac", "inner": {}}).inner == Inner()
    with pytest.raises(InputError, match="No such file"):
        read_toml(tmp_path / "absent.toml")
    (tmp_path / "bad.toml").write_bytes(b"a = [\xff")
    with pytest.raises(InputError, match="not valid TOML"):
        read_toml(tmp_path / "bad.toml")
    with pytest.raises(TypeError):
        setting(1, atleast=0)


def test_reads_are_tracked():
    tracked = TrackedConfig(resolve(Config, {"method": "sac"}))
    assert tracked.read == set()
    assert tracked.view.horizon == pytest.approx(100)
    assert tracked.view.inner.layers() == 2
    assert tracked.read == {"discount", "inner.widths"}
    with pytest.raises(FrozenInstanceError):
        tracked.view.seed = 3
    with pytest.raises(AttributeError):
        _ = tracked.view.absent
    assert tracked.read == {"discount", "inner.widths"}
