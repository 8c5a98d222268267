"""Series in CSV files: what is read, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from sailtheory import InputError
from sailtheory.convergence import fit_rate, read_series

ROWS = "1,0.5\n2,0.25\n4,0.125\n"


@pytest.fixture
def file(tmp_path):
    def write(text: str | bytes):
        path = tmp_path / "series.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.mark.parametrize(
    "text, iterations",
    [
        (ROWS, [1, 2, 4]),
        ("iteration,gap\n" + ROWS, [1, 2, 4]),
        (" Iteration , GAP \r\n" + ROWS.replace("\n", "\r\n"), [1, 2, 4]),
        ("\ufeffiteration,gap\n" + ROWS, [1, 2, 4]),
        ("gap,iteration\n0.5,1\n0.25,2\n0.125,4\n", [1, 2, 4]),
        ("0.5\n2.5e-1\n+.125\n", [1, 2, 3]),
        ("gap\n0.5\n0.25\n0.125\n", [1, 2, 3]),
    ],
)
def test_what_is_read(file, text, iterations):
    series = read_series(file(text))
    assert series.gaps.tolist() == [0.5, 0.25, 0.125]
    assert series.iterations.tolist() == iterations


@pytest.mark.parametrize(
    "text, says",
    [
        ("", "empty"),
        ("\n\n", "empty"),
        ("gap\n", "at least 3"),
        ("1,0.5\n2,0.25\n", "at least 3"),
        (ROWS + "8,0.06", "newline"),  # cut inside 0.0625
        (ROWS + "8,\n", "finite number"),
        (ROWS + "8\n", "2 cells"),
        (ROWS + "8,0.1,3\n", "2 cells"),
        (ROWS + "\n8,0.1\n", "2 cells"),
        (ROWS + "8,nan\n", "finite number"),
        (ROWS + "8,inf\n", "finite number"),
        (ROWS + "8,1e999\n", "finite number"),
        (ROWS + "8,-0.1\n", "≥ 0"),
        (ROWS + "8,1_0\n", "finite number"),
        (ROWS + "8,0x1p-3\n", "finite number"),
        (ROWS + "8,٣\n", "finite number"),
        (ROWS + "4,0.1\n", "more than 4"),
        (ROWS + "3,0.1\n", "more than 4"),
        ("-1,0.5\n" + ROWS, "≥ 0"),
        ("step,loss\n" + ROWS, "iteration,gap"),
        ("iteration\n1\n2\n3\n", "iteration,gap"),
        ("gap,gap\n1,1\n2,2\n3,3\n", "iteration,gap"),
        ("iteration,gap,seed\n1,1,1\n", "iteration,gap"),
        ("1,2,3\n1,2,3\n1,2,3\n", "iteration,gap"),
        ('1,"0.5\n2,0.25\n', "CSV"),
        (b"\xff\xfe1\x00", "UTF-8"),
        ("1;0.5\n2;0.25\n3;0.1\n", "iteration,gap"),
    ],
)
def test_what_is_refused(file, text, says):
    with pytest.raises(InputError) as caught:
        read_series(file(text))
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(InputError):
            read_series(path)


def test_every_cut_of_a_file_is_refused_or_shorter_by_whole_lines(file):
    text = "iteration,gap\n" + "".join(f"{t},{0.9**t!r}\n" for t in range(1, 9))
    whole = read_series(file(text))
    for cut in range(1, len(text)):
        try:
            part = read_series(file(text[:cut]))
        except InputError:
            continue
        n = len(part.gaps)
        assert n < 8 and np.array_equal(part.gaps, whole.gaps[:n])


def test_a_file_gives_the_fit_of_its_numbers(file):
    t = np.arange(3, 203, 2)
    gaps = 0.95**t * np.exp(0.1 * np.random.default_rng(0).normal(size=len(t)))
    text = "iteration,gap\n" + "".join(f"{a},{float(g)!r}\n" for a, g in zip(t, gaps, strict=True))
    series = read_series(file(text))
    assert fit_rate(series.gaps, series.iterations) == fit_rate(gaps, t)
    assert fit_rate(gaps, t).model == "linear"
