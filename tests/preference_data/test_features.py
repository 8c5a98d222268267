"""Embeddings that the user brings: never broadcast, unpickled, or stripped of a part."""

from __future__ import annotations

import numpy as np
import pytest

from sailtheory import InputError
from sailtheory.preference_data.features import from_column, from_npy, vectors_of
from tests.preference_data.test_formats import read
from tests.support.preference_rows import COMPARED, SCORED, completion

OWN = SCORED["scores"]


def column(*rows, features="e", **options):
    return from_column(read(*rows, vectors=vectors_of(features), **options))


def refused(act):
    with pytest.raises(InputError) as error:
        act()
    return str(error.value)


def test_a_column_of_vectors_a_response():
    found = column(OWN | {"e": [[1, 2], [3, 4.5]]}, OWN | {"prompt": "R", "e": [[5, 6], [7, 8]]})
    assert found.dtype == np.float32
    assert np.array_equal(found, [[1, 2], [3, 4.5], [5, 6], [7, 8]])


def test_float64_stays_where_float32_would_round():
    assert column(OWN | {"e": [[0.1], [3]]}).dtype == np.float64
    assert column(OWN | {"e": [[1e300], [3]]})[0, 0] == 1e300


def test_two_columns_and_a_field_of_completions():
    pair = COMPARED["trl"] | {"x": [1, 2], "y": [3, 4]}
    assert np.array_equal(column(pair, features="x, y"), [[1, 2], [3, 4]])
    row = {"instruction": "Q", "completions": [completion("a", 1) | {"e": [1.0]},
                                               completion("b", 2) | {"e": [2.0]}]}  # fmt: skip
    assert np.array_equal(column(row), [[1], [2]])
    single = [{"prompt": "Q", "response": r, "score": 1, "e": [v]} for r, v in (("a", 1), ("b", 2))]
    assert np.array_equal(column(*single), [[1], [2]])


def test_vectors_as_json_text_in_cells():
    pair = COMPARED["trl"] | {"x": "[1, 2]", "y": "[3, 4]"}
    assert np.array_equal(column(pair, features="x, y"), [[1, 2], [3, 4]])
    for text, expected in (("[1, NaN]", "NaN or infinity"), ("1 2", "a vector, or one as JSON")):
        row = pair | {"x": text}
        assert expected in refused(lambda row=row: column(row, features="x, y"))


def test_vectors_follow_their_responses_through_merging_and_dropping():
    rows = [OWN | {"responses": ["a", None, "b"], "scores": [1, 2, 3], "e": [[1], [2], [3]]},
            OWN | {"prompt": "R", "e": [[4], [5]]},
            OWN | {"responses": ["b", "c"], "e": [[6], [7]]}]  # fmt: skip
    data = read(*rows, vectors=vectors_of("e"))
    assert [p.responses for p in data.prompts] == [["a", "b", "c"], ["a", "b"]]
    assert np.array_equal(from_column(data)[:, 0], [1, 3, 7, 4, 5])
    assert [p.places for p in data.prompts] == [[0, 2, 6], [3, 4]]


BAD = {
    "broadcast": ([[1, 2]], "1 vectors: 2 vectors are expected"),
    "no list": (1.0, "e = 1.0: 2 vectors"),
    "scalars": ([1, 2], "e = 1: a vector of numbers"),
    "unlike": ([[1], [1, 2]], "row 1 e = a vector of 2: 1 numbers are expected, as in"),
    "null": ([[1], [None]], "e = None: finite real numbers"),
    "text": ([["1"], [2]], "e = '1': finite real numbers"),
    "true": ([[True], [2]], "e = True: finite"),
    "nan": ([[float("nan")], [2]], "e = NaN or infinity"),
    "1e400": ([[float("1e400")], [2]], "e = NaN or infinity"),
    "big": ([[10**400], [2]], "e = NaN or infinity"),
    "complex": ([[1j], [2]], "e = 1j: finite real numbers"),
    "empty": ([[], []], "a vector of numbers"),
    "deep": ([[[1]], [[2]]], "finite real numbers"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_columns(name):
    value, expected = BAD[name]
    assert expected in refused(lambda: column(OWN | {"e": value}))


def test_a_column_that_is_not_there():
    assert "row 1 e = missing: this column" in refused(lambda: column(OWN))


def npy(tmp_path, array, name="f.npy", **options):
    np.save(tmp_path / name, array, **options)
    return tmp_path / name


def test_a_file_has_a_row_for_every_response_of_the_data(tmp_path):
    rows = [OWN | {"responses": ["a", None, "b"], "scores": [1, 2, 3]},
            OWN | {"prompt": "R"}, OWN | {"responses": ["b", "c"]}]  # fmt: skip
    data = read(*rows)
    path = npy(tmp_path, np.arange(14, dtype=np.float32).reshape(7, 2))
    found = np.concatenate(list(from_npy(path, data)))
    assert np.array_equal(found[:, 0], [0, 4, 12, 6, 8]) and found.dtype == np.float32
    for count in (5, 6, 8, 1):
        path = npy(tmp_path, np.zeros((count, 2)))
        message = refused(lambda path=path: from_npy(path, data))
        assert f"features = {count} rows in" in message and "the data have 7 responses" in message


def test_dropped_rows_keep_their_rows_of_the_file(tmp_path):
    lost = COMPARED["hh-rlhf"] | {"chosen": "\n\nHuman: Q"}
    data = read(
        COMPARED["hh-rlhf"],
        lost,
        COMPARED["hh-rlhf"]
        | {"chosen": "\n\nHuman: R\n\nAssistant: a", "rejected": "\n\nHuman: R\n\nAssistant: b"},
    )
    path = npy(tmp_path, np.arange(6.0)[:, None])
    assert np.array_equal(np.concatenate(list(from_npy(path, data)))[:, 0], [0, 1, 4, 5])


BAD_FILES = {
    "complex": (np.zeros((2, 2), complex), "(2, 2) of complex128"),
    "text": (np.zeros((2, 2), "U1"), "of <U1"),
    "flat": (np.zeros(2), "shape (2,)"),
    "booleans": (np.zeros((2, 2), bool), "of bool"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files(tmp_path, name):
    array, expected = BAD_FILES[name]
    path = npy(tmp_path, array)
    assert expected in refused(lambda: from_npy(path, read(OWN)))


def test_files_that_are_none(tmp_path):
    data = read(OWN)
    pickled = npy(tmp_path, np.array([[{}], [{}]]), allow_pickle=True)
    assert "not an NPY of plain numbers" in refused(lambda: from_npy(pickled, data))
    (tmp_path / "cut.npy").write_bytes(npy(tmp_path, np.zeros((2, 2))).read_bytes()[:-3])
    assert "not an NPY of plain numbers" in refused(lambda: from_npy(tmp_path / "cut.npy", data))
    assert "No such file" in refused(lambda: from_npy(tmp_path / "none.npy", data))
    assert "ends in .npy" in refused(lambda: from_npy(tmp_path / "x.npz", data))
    skipped = read(OWN, 7, drop_bad=True)
    path = npy(tmp_path, np.zeros((2, 2)))
    assert "wrong rows were skipped" in refused(lambda: from_npy(path, skipped))
