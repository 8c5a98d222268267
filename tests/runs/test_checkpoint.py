"""Checkpoints: bit for bit, atomic, and damaged ones answered in one line."""

from __future__ import annotations

import errno
import json
import os
import pickle
import random
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch

from sailtheory import InputError
from sailtheory.runs.checkpoint import load_state, save_state


def same(a, b):
    """Equal in type, order of keys and bits."""
    assert type(a) is type(b), (a, b)
    if isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    elif isinstance(a, torch.Tensor):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        bits = (t.contiguous().reshape(-1) for t in (a, b))
        left, right = (t.view(torch.uint8) if len(t) else t for t in bits)
        assert torch.equal(left, right)
    elif isinstance(a, np.ndarray | np.generic):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.tobytes() == b.tobytes()
    elif isinstance(a, float):
        assert repr(a) == repr(b)
    else:
        assert a == b


DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64, torch.complex128,
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
    torch.float8_e4m3fn, torch.float8_e5m2, torch.uint16, torch.uint32, torch.uint64,
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (2, 3)], ids=str)
def test_tensors_of_every_dtype(tmp_path, dtype, shape):
    size = torch.zeros(shape, dtype=dtype).nbytes
    noise = random.Random(0).randbytes(max(size, 1))
    noise = torch.frombuffer(bytearray(noise), dtype=torch.uint8)
    noise = noise % 2 if dtype is torch.bool else noise
    tensor = noise[:size].view(dtype).reshape(shape) if size else torch.empty(shape).to(dtype)
    save_state(tmp_path / "c.npz", {"t": tensor})
    same({"t": tensor}, load_state(tmp_path / "c.npz"))


def state():
    """Everything a training loop keeps."""
    net = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(3)).sum().backward()
    optimizer.step()
    old = np.random.Generator(np.random.MT19937(3))
    return {
        "net": dict(net.state_dict()),
        "optimizer": optimizer.state_dict(),
        "torch": torch.Generator().manual_seed(5).get_state(),
        "numpy": np.random.default_rng(1).bit_generator.state,
        "mt": old.bit_generator.state,
        "python": random.Random(2).getstate(),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "strided": np.arange(10)[::3],
        "big-endian": np.arange(3, dtype=">i2"),
        "text": np.array(["a", "λ"]),
        "scalar": np.float32(1) / 3,
        "nothing": np.empty((0, 4), np.float32),
        "transposed": torch.arange(6).reshape(2, 3).T,
        "conjugate": torch.tensor([1 + 2j]).conj(),
        "values": [None, True, 1, -0.0, 0.1, float("nan"), -float("inf"), "λ\n\ud800", (), [], {}],
        "integers": [2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**5000],
        -3: {"": [{"deep": ({"er": 1},)}]},
    }


def test_a_whole_training_state(tmp_path):
    before = state()
    before["conjugate"] = before["conjugate"].resolve_conj()
    save_state(tmp_path / "c.npz", before | {"conjugate": before["conjugate"].conj().conj()})
    after = load_state(tmp_path / "c.npz")
    same(before, after)
    rng = np.random.default_rng(0)
    rng.bit_generator.state = after["numpy"]
    assert rng.random() == np.random.default_rng(1).random()
    restored = random.Random()
    restored.setstate(after["python"])
    assert restored.random() == random.Random(2).random()
    torch.optim.Adam(torch.nn.Linear(3, 2).parameters()).load_state_dict(after["optimizer"])
    with np.load(tmp_path / "c.npz", allow_pickle=False) as archive:  # any NumPy opens it
        assert any(name == "0" for name in archive.files)
    assert os.listdir(tmp_path) == ["c.npz"]


def test_subclasses_become_what_they_hold(tmp_path):
    save_state(tmp_path / "c.npz", OrderedDict(b=1, a=torch.nn.Parameter(torch.ones(2))))
    found = load_state(tmp_path / "c.npz")
    assert list(found) == ["b", "a"]
    assert type(found["a"]) is torch.Tensor and not found["a"].requires_grad


@pytest.mark.parametrize(
    "bad, place",
    [
        ({"a": [1, {2, 3}]}, r"state\['a'\]\[1\] = set"),
        ({"a": np.array([None])}, r"state\['a'\] = ndarray"),
        ({1.5: 0}, r"state\[1.5\] = float"),
        ({"a": torch.eye(2).to_sparse()}, r"state\['a'\]"),
        ({"a": np.zeros(2, "f4,f4")}, r"state\['a'\]"),
        (lambda: 0, "state = function"),
    ],
)
def test_what_cannot_be_held_is_named(tmp_path, bad, place):
    save_state(tmp_path / "c.npz", 1)
    with pytest.raises(InputError, match=place):
        save_state(tmp_path / "c.npz", bad)
    endless = []
    endless.append(endless)
    with pytest.raises(InputError, match="nested too deeply"):
        save_state(tmp_path / "c.npz", endless)
    assert load_state(tmp_path / "c.npz") == 1


def test_every_flipped_byte_and_every_cut_is_refused_or_harmless(tmp_path):
    path = tmp_path / "c.npz"
    before = {"a": np.arange(5, dtype=np.int16), "t": torch.ones(2, dtype=torch.bfloat16), "n": 7}
    save_state(path, before)
    good = path.read_bytes()
    refused = 0
    for place in range(len(good)):
        damaged = bytearray(good)
        damaged[place] ^= 0x41
        path.write_bytes(damaged)
        try:
            same(before, load_state(path))  # dates, say, do not matter
        except InputError as error:
            refused += 1
            assert "damaged" in str(error) and str(path)[:40] in str(error)
            assert "\n" not in str(error)
    assert refused > len(good) / 2
    for length in range(0, len(good), 7):
        path.write_bytes(good[:length])
        with pytest.raises(InputError, match="damaged"):
            load_state(path)
    with pytest.raises(InputError, match="No such file"):
        load_state(tmp_path / "absent.npz")


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_nothing_is_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("plain.npz", a=np.array([Bomb()], dtype=object))
    (tmp_path / "raw.npz").write_bytes(pickle.dumps(Bomb()))
    with zipfile.ZipFile("crafted.npz", "w") as archive:
        tree = {"format": "sailtheory.state/1", "tree": {"array": 0}}
        archive.writestr("tree.json", json.dumps(tree))
        with zipfile.ZipFile("plain.npz") as plain:
            archive.writestr("0.npy", plain.read("a.npy"))
    for kind in ({"call": "os.getcwd"}, {"tensor": [0, "load", [1]]}, {"a": 1, "b": 2}, {}):
        with zipfile.ZipFile(f"{len(os.listdir())}.npz", "w") as archive:
            tree = {"format": "sailtheory.state/1", "tree": kind}
            archive.writestr("tree.json", json.dumps(tree))
    files = list(tmp_path.glob("*.npz"))
    assert len(files) == 7
    for path in files:
        with pytest.raises(InputError, match="damaged or not a checkpoint"):
            load_state(path)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_disk_full_keeps_the_last_good_one(tmp_path, monkeypatch, call):
    path = tmp_path / "c.npz"
    save_state(path, {"step": 1})

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(InputError, match="No space left on device; what was saved before is kept"):
        save_state(path, {"step": 2})
    assert load_state(path) == {"step": 1}
    assert os.listdir(tmp_path) == ["c.npz"]
