"""Files as they are found: packed, with a byte order mark, cut off, with semicolons."""

from __future__ import annotations

import gzip
import json

import pytest

from sailtheory import InputError
from sailtheory.preference_data.rows import read_rows
from tests.support.preference_rows import write_jsonl

pyarrow = pytest.importorskip("pyarrow", reason="the extra data is not installed")
datasets = pytest.importorskip("datasets", reason="the extra data is not installed")

ROWS = [{"a": "x\u2028y", "n": 1}, {"a": "ü\n", "n": None}, {"a": "", "n": 2.5}]
LINES = "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS)


def rows(path, **options):
    return [row for _, row in read_rows(path, **options)]


def refused(path, **options):
    with pytest.raises(InputError) as error:
        rows(path, **options)
    return str(error.value)


JSONL = {
    "plain": LINES.encode() + b"\n",
    "no last newline": LINES.encode(),
    "bom": b"\xef\xbb\xbf" + LINES.encode(),
    "crlf": LINES.replace("\n", "\r\n").encode() + b"\r\n",
    "blank lines": b"\n" + LINES.replace("\n", "\n\n").encode() + b"\n \n",
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", JSONL)
def test_jsonl(tmp_path, name, packed):
    path = tmp_path / ("d.jsonl.gz" if packed else "d.jsonl")
    path.write_bytes(gzip.compress(JSONL[name]) if packed else JSONL[name])
    assert rows(path) == ROWS


def test_json_as_a_list_and_its_places(tmp_path):
    (tmp_path / "d.json").write_text(json.dumps(ROWS, indent=1))
    found = list(read_rows(tmp_path / "d.json"))
    assert [row for _, row in found] == ROWS and found[1][0].endswith("d.json[1]")
    lines = list(read_rows(write_jsonl(tmp_path / "d.jsonl", ROWS)))
    assert lines[1][0].endswith("d.jsonl:2")


CSV = {
    "commas": 'a,b\n"x, y",1\n"two\nlines",\n',
    "semicolons": 'a;b\n"x, y";1\n"two\nlines";\n',
    "tabs": 'a\tb\nx, y\t1\n"two\nlines"\t\n',
    "crlf": 'a,b\r\n"x, y",1\r\n"two\nlines",\r\n',
    "bom": '\ufeffa,b\n"x, y",1\n"two\nlines",\n',
    "no last newline": 'a,b\n"x, y",1\n"two\nlines",',
}


@pytest.mark.parametrize("name", CSV)
def test_csv(tmp_path, name):
    (tmp_path / "d.csv").write_bytes(CSV[name].encode())
    assert rows(tmp_path / "d.csv") == [{"a": "x, y", "b": "1"}, {"a": "two\nlines", "b": None}]


def cut(content, by):
    return content[:-by]


DAMAGED = {
    "d.jsonl": (b'{"a": 1}\n{"a": ', "d.jsonl:2: truncated: the last line is not complete"),
    "e.jsonl": (b'{"a": 1}\nx\n{"a": 2}\n', "e.jsonl:2: not JSON"),
    "f.jsonl": (b'{"a": 1, "a": 2}\n', "'a' stands 2 times"),
    "g.jsonl": (b'{"a": "\xff"}\n', "g.jsonl:1: not JSON"),
    "h.jsonl.gz": (cut(gzip.compress(b'{"a": 1}\n' * 9999), 20), "truncated or damaged gzip"),
    "i.jsonl.gz": (cut(gzip.compress(b'{"a": 1}\n'), 8), "truncated or damaged gzip"),
    "j.jsonl.gz": (b'{"a": 1}\n', "a gzip file is expected, as its name says"),
    "k.csv": (b"a,b\n1,2,3\n", "3 cells: 2 are expected"),
    "l.csv": (b"a,b\n1\n", "1 cells: 2 are expected"),
    "m.csv": (b'a,b\n1,"2\n', "not CSV, or truncated"),
    "n.csv": (b"a,a\n1,2\n", "'a' stands 2 times"),
    "o.csv": (b"a,b\n\xff,2\n", "not UTF-8"),
    "p.parquet": (b"PAR1", "truncated, or not Parquet"),
    "q.txt": (b"x", "a file that ends in .jsonl"),
    "r.json": (b"[1, 2", "not a JSON list"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_are_refused(tmp_path, name):
    content, expected = DAMAGED[name]
    (tmp_path / name).write_bytes(content)
    message = refused(tmp_path / name)
    assert expected in message and "\n" not in message


def test_parquet_whole_and_cut(tmp_path):
    from pyarrow import parquet

    table = pyarrow.table({"a": ["x"] * 500 + [None], "v": [[1.0, 2.0]] * 501})
    parquet.write_table(table, tmp_path / "d.parquet")
    found = rows(tmp_path / "d.parquet")
    assert len(found) == 501 and found[500] == {"a": None, "v": [1.0, 2.0]}
    content = (tmp_path / "d.parquet").read_bytes()
    (tmp_path / "d.parquet").write_bytes(content[:-9])
    assert "truncated, or not Parquet" in refused(tmp_path / "d.parquet")
    (tmp_path / "d.parquet").write_bytes(content[:4] + content[200:])
    assert "truncated, or not Parquet" in refused(tmp_path / "d.parquet")


def test_saved_data_sets(tmp_path):
    one = datasets.Dataset.from_list(ROWS)
    one.save_to_disk(tmp_path / "one")
    assert rows(tmp_path / "one") == ROWS
    assert "this data set has no splits" in refused(tmp_path / "one", split="train")
    datasets.DatasetDict(train=one, test=one.select([1])).save_to_disk(tmp_path / "two")
    assert rows(tmp_path / "two", split="test") == ROWS[1:2]
    assert "--split, one of train, test, is expected" in refused(tmp_path / "two")
    (tmp_path / "empty").mkdir()
    assert "a data set that `save_to_disk` wrote" in refused(tmp_path / "empty")
    arrow = next((tmp_path / "one").glob("*.arrow"))
    arrow.write_bytes(arrow.read_bytes()[:-300])
    assert "data = " in refused(tmp_path / "one")


def test_a_file_that_is_not_there_and_options_it_does_not_have(tmp_path, monkeypatch):
    assert "No such file" in refused(tmp_path / "d.jsonl")
    path = write_jsonl(tmp_path / "e.jsonl", ROWS)
    assert "split = test: none" in refused(path, split="test")
    monkeypatch.setattr(datasets, "load_dataset", lambda *a, **k: 1 / 0)
    assert "run `hf download a/b --repo-type dataset`" in refused("a/b")
