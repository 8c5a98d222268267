"""Metrics as Parquet: the rows of ``metrics.csv``, typed, with the run's configuration."""

from __future__ import annotations

import json
import math
import sys

import pytest

from sailtheory import InputError
from sailtheory.cli import main
from sailtheory.runs.parquet import write_parquet
from sailtheory.runs.read import read_record
from sailtheory.runs.write import Run

parquet = pytest.importorskip("pyarrow.parquet", reason="the extra rl is not installed")

CONFIG = {"method": "toy", "seed": 3, "sac": {"rate": 1e-3}}


def recorded(folder):
    run = Run.create(folder, CONFIG)
    run.log(1, {"loss": 1 / 3, "note": 'a,"b"\nλ', "eval/return": float("nan")})
    run.log(2**40, {"loss": -1e-300, "n": 7})
    run.save(1, {})
    return run


def test_rows_keep_their_order_and_bits(tmp_path):
    run = recorded(tmp_path)
    assert main(["train", "export", str(tmp_path)]) == 0  # before it is finished, too
    table = parquet.read_table(tmp_path / "metrics.parquet")
    rows = table.to_pylist()
    assert [row["name"] for row in rows] == ["loss", "note", "eval/return", "loss", "n"]
    assert [row["step"] for row in rows] == [1, 1, 1, 2**40, 2**40]
    values = [row["value"] for row in rows]
    assert values[0] == 1 / 3 and values[1] is None and math.isnan(values[2])
    assert values[3:] == [-1e-300, 7.0]
    assert [row["text"] for row in rows] == [None, 'a,"b"\nλ', None, None, None]
    assert json.loads(table.schema.metadata[b"sailtheory.run"])["config"] == CONFIG
    run.log(3, {"loss": 5.0})
    run.finish()
    write_parquet(tmp_path)
    again = parquet.read_table(tmp_path / "metrics.parquet").to_pylist()
    wanted = [(row[0], row[1]) for row in read_record(tmp_path).rows]
    assert [(row["step"], row["name"]) for row in again] == wanted and len(again) == 6


def test_refusals_are_one_line(tmp_path, monkeypatch, capsys):
    assert main(["train", "export", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("sailtheory: run = ")
    recorded(tmp_path / "r")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install 'sailtheory\[rl\]'"):
        write_parquet(tmp_path / "r")
    options = ["--task", "cheetah-run", "--out", str(tmp_path / "out"), "--parquet"]
    assert main(["train", "control", *options]) == 2 and not (tmp_path / "out").exists()
