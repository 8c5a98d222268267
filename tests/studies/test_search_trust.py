"""Parts of the search's trial are joined without counting a problem twice."""

from __future__ import annotations

import json

import pytest

from studies.search_trust.__main__ import joined, summary

ROW = {
    "index": 3, "quick": 1.0, "longer": 1.2, "trusted": True, "cpu_seconds": 1.0,
}  # fmt: skip


def written(path, *rows):
    path.write_text(json.dumps({"rows": rows}))
    return path


def test_a_problem_that_two_parts_hold_counts_once(tmp_path):
    one = written(tmp_path / "a", ROW, ROW | {"index": 4, "longer": 1.0})
    other = written(tmp_path / "b", ROW | {"index": 2, "trusted": False}, ROW | {"cpu_seconds": 2})
    rows = joined([one, other])
    assert [row["index"] for row in rows] == [2, 3, 4]
    assert summary(rows) == {
        "problems": 3, "within_1_percent": 1, "undecided": 1, "trusted_and_off": 1,
        "worst": 1 / 1.2,
    }  # fmt: skip


def test_parts_that_disagree_are_refused(tmp_path):
    paths = [written(tmp_path / "a", ROW), written(tmp_path / "b", ROW | {"quick": 1.1})]
    with pytest.raises(SystemExit, match="problem 3 has another row"):
        joined(paths)
