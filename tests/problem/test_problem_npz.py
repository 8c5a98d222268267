"""NPZ files: one line for everything malformed, damaged or hostile."""

from __future__ import annotations

import io
import pickle
import zipfile

import numpy as np
import pytest

from sailtheory import InputError
from sailtheory.problem.problem_file import load as load_problem
from tests.support.instances import refusal


def arrays(**changes) -> dict:
    """A good NPZ of two prompts; None removes an array."""
    good = {
        "features": np.array([[1.0, 0], [0, 1], [2, 0], [0, 2], [1, 1]]),
        "offsets": np.array([0, 2, 5]), "weights": np.array([0.5, 0.5]), "base": np.ones(5),
        "rewards": np.arange(5.0), "beta": np.array(0.5), "radius": np.array(2.0),
        "ref_params": np.zeros(2), "center": np.zeros(2),
    }  # fmt: skip
    return {key: value for key, value in (good | changes).items() if value is not None}


BAD_NPZ = {
    "pickled object array": (arrays(beta=np.array([{}], dtype=object)), "allow_pickle=False"),
    "unknown array": (arrays(code=np.zeros(1)), "code = unknown key"),
    "no features": (arrays(features=None), "features = missing"),
    "no offsets": (arrays(offsets=None), "offsets = missing"),
    "no beta": (arrays(beta=None), "beta = missing"),
    "no preferences": (arrays(rewards=None), "file = no preferences"),
    "both": (arrays(preferences=np.full(13, 0.5)), "file = preferences and rewards"),
    "strings": (arrays(rewards=np.array(list("abcde"))), "rewards = dtype <U1"),
    "booleans": (arrays(weights=np.array([True, True])), "weights = dtype bool"),
    "complex": (arrays(center=np.zeros(2) * 1j), "center = dtype complex128"),
    "nan": (arrays(features=np.full((5, 2), np.nan)), "prompts[0].features[0][0] = nan"),
    "inf": (arrays(base=np.array([1, 1, np.inf, 1, 1])), "prompts[1].base[0] = inf"),
    "beta nan": (arrays(beta=np.array(np.nan)), "beta = nan"),
    "beta vector": (arrays(beta=np.ones(2)), "beta = shape (2,): one number"),
    "beta empty": (arrays(beta=np.ones(0)), "beta = shape (0,)"),
    "features flat": (arrays(features=np.ones(5)), "features = shape (5,)"),
    "features short": (arrays(features=np.ones((4, 2))), "features = shape (4, 2): (5, d)"),
    "features no columns": (arrays(features=np.ones((5, 0))), "features = shape (2, 0)"),
    "offsets float": (arrays(offsets=np.array([0.0, 2, 5])), "offsets = [0. 2. 5.]"),
    "offsets decreasing": (arrays(offsets=np.array([0, 5, 2])), "offsets = [0 5 2]"),
    "offsets empty prompt": (arrays(offsets=np.array([0, 0, 5])), "increasing integers from 0"),
    "offsets from 1": (arrays(offsets=np.array([1, 2, 5])), "offsets = [1 2 5]"),
    "offsets alone": (arrays(offsets=np.array([0])), "offsets = [0]"),
    "offsets unsigned": (arrays(offsets=np.array([0, 2**63, 5], dtype=np.uint64)), "offsets = ["),
    "rewards short": (arrays(rewards=np.ones(4)), "rewards = 4 numbers: 5 are expected"),
    "matrices short": (
        arrays(rewards=None, preferences=np.full(12, 0.5)), "preferences = 12 numbers: 13"),
    "matrices unpaired": (
        arrays(rewards=None, preferences=np.full(13, 0.6)), "prompts[0].preferences[0][0] +"),
    "base short": (arrays(base=np.ones(4)), "base = shape (4,): (5,) is expected"),
    "base long": (arrays(base=np.ones(6)), "base = shape (6,): (5,) is expected"),
    "base scalar": (arrays(base=np.array(1.0)), "base = shape ()"),
    "base negative": (arrays(base=-np.ones(5)), "prompts[0].base[0] = -1.0"),
    "weights scalar": (arrays(weights=np.array(1.0)), "weights = 1.0"),
    "weights matrix": (arrays(weights=np.ones((2, 1))), "prompts[0].weight = [1.]"),
    "weights negative": (arrays(weights=np.array([1, -1])), "prompts[1].weight = -1.0"),
    "ref_params outside": (arrays(ref_params=np.array([9.0, -9])), "must lie in the ball"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_NPZ)
def test_malformed_npz(tmp_path, name):
    data, expected = BAD_NPZ[name]
    np.savez(tmp_path / "p.npz", **data)
    assert expected in refusal(tmp_path / "p.npz")


def npz_bytes() -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays())
    return buffer.getvalue()


def zip_of(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def npy_bytes(header: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()


HUGE = "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999,)}\n"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04",
        b"not a zip",
        pickle.dumps({"beta": 1}),
        npz_bytes()[:-30],
        npz_bytes()[: len(npz_bytes()) // 2],
        npy_bytes("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}\n") + bytes(8),
        zip_of("beta.npy", npy_bytes("__import__('os')\n")),
        zip_of("beta.npy", npy_bytes(HUGE)),
    ],
)
def test_damaged_npz(tmp_path, content):
    (tmp_path / "p.npz").write_bytes(content)
    assert "not a readable NPZ of plain arrays" in refusal(tmp_path / "p.npz")


def test_archive_member_that_is_no_array(tmp_path):
    (tmp_path / "p.npz").write_bytes(zip_of("beta", b"__import__('os')"))
    assert "beta = dtype |S16" in refusal(tmp_path / "p.npz")
    (tmp_path / "p.npz").write_bytes(zip_of("beta.npy", b""))
    assert "beta = dtype |S1" in refusal(tmp_path / "p.npz")


def test_damaged_bytes_are_refused_in_one_line_or_change_nothing(tmp_path):
    content, path = bytearray(npz_bytes()), tmp_path / "p.npz"
    rng = np.random.default_rng(0)
    for position in rng.integers(len(content), size=150):
        damaged = content.copy()
        damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            load_problem(path)
        except InputError as error:
            assert str(error).isprintable()
