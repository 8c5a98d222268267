"""A tree of state in one file, written atomically and read back bit for bit.

The file is an uncompressed ZIP: ``tree.json`` and one ``.npy`` for each array, so NumPy opens
it too. Nothing in it is evaluated or unpickled, and every member carries a CRC-32.

In ``tree.json``, JSON values stand for themselves; an object has one key, which says what
it is: ``dict`` (pairs of key and value, in order), ``tuple``, ``int`` (beyond 64 bits,
hexadecimal), ``float`` (nan and infinities), ``array``, ``scalar`` (a NumPy scalar) or
``tensor`` (number of the member, dtype, shape).
"""

from __future__ import annotations

import json
import math
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.lib import format as npy

from sailtheory.errors import InputError
from sailtheory.extras import MissingExtra, require_extra
from sailtheory.storage.files import replacing
from sailtheory.storage.readers import members_once, parse_json

__all__ = ["Tree", "load_state", "save_state"]

FORMAT = "sailtheory.state/1"
Tree: TypeAlias = Any
"""Mappings (keys of text or integers), lists, tuples, tensors, arrays, and plain values."""

_TREE = "tree.json"
_PLAIN_KINDS = "biufcSUmM"
_ACCEPTED = "mappings, lists, tuples, tensors, arrays of plain numbers, numbers, text, None"


def save_state(path: str | Path, state: Tree) -> None:
    """Write a tree of state. Interrupted or out of space, the file that was there stays.

    Tensors are stored by value, without device and ``requires_grad``.

    Raises:
        InputError: Something in the tree that this format does not hold, by its place; or
            a file that cannot be written.
    """
    path = Path(path)
    arrays: list[np.ndarray] = []
    try:
        tree = json.dumps({"format": FORMAT, "tree": _encode(state, "state", arrays)})
    except RecursionError:
        raise InputError("state", "nested too deeply", _ACCEPTED) from None
    try:
        with replacing(path) as file:
            _write(file, tree, arrays)
    except OSError as error:
        reason = f"{error.strerror or error}; what was saved before is kept"
        raise InputError("checkpoint", path, reason) from None


def load_state(path: str | Path) -> Tree:
    """Read back what :func:`save_state` wrote: same types, order of keys and bits.

    Tensors come back on the CPU.

    Raises:
        InputError: A file that is missing, truncated, damaged, or of another kind.
        MissingExtra: It holds tensors, and torch is not installed.
    """
    path = Path(path)
    try:
        file = open(path, "rb")
    except OSError as error:
        raise InputError("checkpoint", path, error.strerror or "it cannot be read") from None
    try:
        with file, zipfile.ZipFile(file) as archive:
            members_once(archive)
            content = parse_json(archive.read(_TREE))
            if content["format"] != FORMAT:
                raise ValueError(f"format {content['format']}")
            return _decode(content["tree"], archive)
    except MissingExtra:
        raise
    except Exception as error:  # zipfile, json and numpy raise a dozen kinds on damaged files
        reason = f"damaged or not a checkpoint ({type(error).__name__}: {error})"
        raise InputError("checkpoint", path, reason) from None


# --- writing ------------------------------------------------------------------


def _write(file: IO[bytes], tree: str, arrays: list[np.ndarray]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_TREE, tree)
        for number, array in enumerate(arrays):
            with archive.open(f"{number}.npy", "w", force_zip64=True) as member:
                npy.write_array(member, array, allow_pickle=False)


def _encode(value: Any, place: str, arrays: list[np.ndarray]) -> Any:
    if value is None or type(value) in (bool, str):
        return value
    if type(value) is int:
        return value if -(2**63) <= value < 2**63 else {"int": hex(value)}
    if type(value) is float:
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, Mapping):
        return {"dict": [_item(k, v, f"{place}[{k!r}]", arrays) for k, v in value.items()]}
    if type(value) in (list, tuple):
        items = [_encode(v, f"{place}[{i}]", arrays) for i, v in enumerate(value)]
        return items if type(value) is list else {"tuple": items}
    if isinstance(value, np.generic | np.ndarray) and value.dtype.kind in _PLAIN_KINDS:
        arrays.append(np.asarray(value))
        return {"scalar" if isinstance(value, np.generic) else "array": len(arrays) - 1}
    torch = sys.modules.get("torch")  # without torch imported there are no tensors
    if torch is not None and isinstance(value, torch.Tensor):
        return _encode_tensor(torch, value, place, arrays)
    raise InputError(place, type(value).__name__, f"{_ACCEPTED} are expected")


def _item(key: Any, value: Any, place: str, arrays: list[np.ndarray]) -> list[Any]:
    if type(key) not in (str, int):
        raise InputError(place, type(key).__name__, "keys of text or integers are expected")
    return [_encode(key, place, arrays), _encode(value, place, arrays)]


def _encode_tensor(torch: Any, tensor: Any, place: str, arrays: list[np.ndarray]) -> Any:
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        raise InputError(place, f"{tensor.layout}", "dense tensors are expected")
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    shape = list(plain.shape)
    try:
        array = plain.numpy()
    except TypeError:  # bfloat16 and its like are no NumPy types: their bytes
        array = plain.reshape(-1).view(torch.uint8).numpy()
    arrays.append(array)
    return {"tensor": [len(arrays) - 1, str(tensor.dtype).removeprefix("torch."), shape]}


# --- reading ------------------------------------------------------------------


def _decode(node: Any, archive: zipfile.ZipFile) -> Any:
    if isinstance(node, list):
        return [_decode(item, archive) for item in node]
    if not isinstance(node, dict):
        return node
    [(kind, content)] = node.items()
    if kind == "dict":
        return {_decode(key, archive): _decode(value, archive) for key, value in content}
    if kind == "tuple":
        return tuple(_decode(item, archive) for item in content)
    if kind == "int":
        return int(content, 16)
    if kind == "float":
        return float(content)
    if kind == "array":
        return _member(archive, content)
    if kind == "scalar":
        return _member(archive, content)[()]
    if kind == "tensor":
        return _decode_tensor(archive, *content)
    raise ValueError(f"unknown kind {kind!r}")


def _member(archive: zipfile.ZipFile, number: int) -> np.ndarray:
    with archive.open(f"{number}.npy") as member:
        array: np.ndarray = npy.read_array(member, allow_pickle=False)
        if member.read():  # reading to the end also compares the checksum
            raise ValueError(f"bytes after array {number}")
    return array


def _decode_tensor(archive: zipfile.ZipFile, number: int, name: str, shape: list[int]) -> Any:
    require_extra("torch", "torch")
    import torch

    dtype = getattr(torch, name)
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"unknown dtype {name!r}")
    tensor = torch.from_numpy(_member(archive, number))
    if tensor.dtype == dtype:
        return tensor
    return tensor.view(dtype).reshape(shape) if len(tensor) else torch.empty(shape, dtype=dtype)
