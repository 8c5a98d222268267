"""Problem files: TOML for reading and writing by hand, NPZ, and folders for large problems.

A folder holds memory-mapped arrays; its layout is that of :mod:`sailtheory.problem.folder`.

Nothing in a file is evaluated or unpickled. Unknown keys are refused.

TOML::

    beta = 0.1
    radius = 2
    ref_params = [0.0, 0.0]        # default: zeros
    center = [0.0, 0.0]            # default: zeros

    [[prompts]]
    features = [[1, 0], ["1/3", 0], [0, 1]]
    weight = 1                     # default: 1
    base = [1, 1, 2]               # default: uniform
    rewards = [1.0, 0.0, -0.5]     # or: preferences = [[0.5, 0.7, ...], ...]

NPZ, for prompts x = 0..n-1 with m_x responses and offsets o = cumsum(m):
``features`` (o_n, d), ``offsets`` (n + 1,), ``weights`` (n,), ``base`` (o_n,),
``beta``, ``radius``, ``ref_params``, ``center``, and either ``rewards`` (o_n,)
or ``preferences``, the flattened matrices one after another.
"""

from __future__ import annotations

import io
import itertools
import re
import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.numeric.exact import TYPED_DIGITS
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.problem.folder import HEADER, ProblemFolder, is_folder
from sailtheory.problem.folder_write import write_folder
from sailtheory.problem.preferences import BradleyTerry, PreferenceMatrix
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.storage.files import write_bytes
from sailtheory.storage.readers import parse_npz, read_bytes

__all__ = ["dumps", "from_mapping", "load", "loads", "of_folder", "save"]

_TOP_KEYS = ("beta", "radius", "ref_params", "center", "prompts")
_PROMPT_KEYS = ("features", "weight", "base", "preferences", "rewards")
_PIECES, _MOST_DOTS = re.compile("[,\r\n]"), 500
_ARRAY_KEYS = (
    "features", "offsets", "weights", "base", "beta",
    "radius", "ref_params", "center", "rewards", "preferences",
)  # fmt: skip


def load(path: str | Path) -> PreferenceProblem:
    """Read a problem from a ``.toml`` or ``.npz`` file, or from a problem folder.

    The features of a folder stay on the disk: they are views of the mapped file.

    Raises:
        InputError: The file cannot be read, is malformed, or states bad data.
    """
    path = Path(path)
    if is_folder(path):
        return of_folder(ProblemFolder.open(path))
    if path.is_dir():
        raise InputError("file", path, f"Is a directory without {HEADER}: no problem folder")
    content = read_bytes(path, "file")
    if path.suffix == ".npz":
        return _from_npz(content, path)
    if path.suffix == ".toml":
        try:
            return loads(content.decode("utf-8-sig"), str(path))
        except UnicodeDecodeError as error:
            raise InputError("file", path, f"not UTF-8 text: {error}") from None
    raise InputError("file", path, "a .toml or .npz file is expected")


def save(problem: PreferenceProblem, path: str | Path) -> None:
    """Write a problem; the suffix chooses TOML or NPZ, and none a folder. Replaces it atomically.

    Raises:
        InputError: Another suffix; NPZ or a folder for data that it does not hold (fractions,
            or rewards beside matrices); or a file that cannot be written.
    """
    path = Path(path)
    if not path.suffix or is_folder(path):
        return _to_folder(problem, path)
    if path.suffix == ".toml":
        content = dumps(problem).encode()
    elif path.suffix == ".npz":
        content = _to_npz(problem)
    else:
        raise InputError("file", path, "a .toml or .npz file is expected")
    write_bytes(content, path)


def loads(text: str, source: str = "problem") -> PreferenceProblem:
    """Read a problem from TOML text; ``source`` names it in messages."""
    # The TOML reader takes quadratic time for a key of many dots, and no number has two.
    if max(piece.count(".") for piece in _PIECES.split(text)) > _MOST_DOTS:
        accepted = f"at most {_MOST_DOTS} dots between commas or line ends are expected"
        raise InputError("file", source, accepted)
    try:
        data = tomllib.loads(text, parse_float=_literal)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError, ArithmeticError) as error:
        raise InputError("file", source, f"not valid TOML: {error}") from None
    return from_mapping(data)


def from_mapping(data: Mapping[str, Any]) -> PreferenceProblem:
    """A problem from the keys of a TOML file.

    Raises:
        InputError: Unknown or missing keys, or bad data.
    """
    _known(data, _TOP_KEYS, "")
    prompts = _required(data, "prompts", "")
    if not isinstance(prompts, list) or not all(isinstance(p, dict) for p in prompts):
        raise InputError("prompts", type(prompts).__name__, "[[prompts]] tables are expected")
    for x, prompt in enumerate(prompts):
        _known(prompt, _PROMPT_KEYS, f"prompts[{x}].")
    weighted = any("weight" in prompt for prompt in prompts)
    return PreferenceProblem(
        features=[_required(p, "features", f"prompts[{x}].") for x, p in enumerate(prompts)],
        preferences=[_read_preferences(p, x) for x, p in enumerate(prompts)],
        weights=[p.get("weight", 1) for p in prompts] if weighted else None,
        base=[p.get("base") for p in prompts],
        beta=_required(data, "beta", ""),
        radius=_required(data, "radius", ""),
        ref_params=data.get("ref_params"),
        center=data.get("center"),
    )


def dumps(problem: PreferenceProblem) -> str:
    """The TOML text of a problem; :func:`loads` gives the same problem back."""
    lines = [
        f"beta = {_text(problem.beta)}",
        f"radius = {_text(problem.radius)}",
        f"ref_params = {_text(problem.given_ref_params)}",
        f"center = {_text(problem.center)}",
    ]
    weighted = any(w != 1 for w in problem.raw_weights)
    for x, phi in enumerate(problem.features):
        model = problem.preferences[x]
        lines += ["", "[[prompts]]"]
        if weighted:
            lines.append(f"weight = {_text(problem.raw_weights[x])}")
        lines += _rows("features", phi)
        if problem.base[x] is not None:
            lines.append(f"base = {_text(problem.base[x])}")
        if isinstance(model, BradleyTerry):
            lines.append(f"rewards = {_text(model.rewards)}")
        elif isinstance(model, PreferenceMatrix):
            lines += _rows("preferences", model.matrix)
        else:
            lines += _rows("preferences", model.centred(FLOAT64) + 0.5)
    return "\n".join(lines) + "\n"


# --- TOML ---------------------------------------------------------------------


def _literal(text: str) -> Decimal | float:
    """A decimal as typed; one of more digits than people type is a stored float64."""
    value = Decimal(text)
    digits = value.as_tuple().digits
    return float(text) if value.is_finite() and len(digits) > TYPED_DIGITS else value


def _read_preferences(prompt: dict[str, Any], x: int) -> Any:
    given = [key for key in ("preferences", "rewards") if key in prompt]
    if len(given) != 1:
        raise InputError(
            f"prompts[{x}]", " and ".join(given) or "no preferences",
            "exactly one of preferences and rewards is expected",
        )  # fmt: skip
    if given == ["rewards"]:
        return BradleyTerry(prompt["rewards"], f"prompts[{x}].rewards")
    return PreferenceMatrix(prompt["preferences"], f"prompts[{x}].preferences")


def _known(data: Iterable[str], known: tuple[str, ...], prefix: str) -> None:
    for key in data:
        if key not in known:
            raise InputError(prefix + key, "unknown key", f"one of {', '.join(known)} is expected")


def _required(data: Mapping[str, Any], key: str, prefix: str) -> Any:
    if key not in data:
        raise InputError(prefix + key, "missing", "this key is required")
    return data[key]


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return "[" + ", ".join(_text(x) for x in value) + "]"
    if isinstance(value, Fraction):
        return f'"{value.numerator}/{value.denominator}"'
    number = float(value)
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def _rows(key: str, matrix: np.ndarray) -> list[str]:
    return [f"{key} = [", *(f"  {_text(row)}," for row in matrix), "]"]


# --- folders ------------------------------------------------------------------


def of_folder(folder: ProblemFolder) -> PreferenceProblem:
    """The problem of an opened folder; its features are views of the mapped file.

    Raises:
        InputError: A number that is not finite, a file that was changed, θ_ref outside C.
    """
    folder.verify()
    arrays = folder.arrays
    prompts = list(itertools.pairwise(folder.offsets.tolist()))
    base = arrays.get("base")
    return PreferenceProblem.of_checked(
        features=[folder.features[a:b] for a, b in prompts],
        preferences=_preferences_of(arrays, prompts),
        beta=folder.beta,
        radius=folder.radius,
        ref_params=arrays.get("ref_params"),
        center=arrays.get("center"),
        weights=arrays.get("weights", np.ones(folder.prompts)).tolist(),
        base=[None if base is None else base[a:b] for a, b in prompts],
    )


def _to_folder(problem: PreferenceProblem, path: Path) -> None:
    arrays = _arrays(problem, "a folder")
    if all(measure is None for measure in problem.base):
        del arrays["base"]  # the default
    beta, radius = (float(arrays.pop(key)) for key in ("beta", "radius"))
    if all(phi.dtype == np.float32 for phi in problem.features):
        arrays["features"] = arrays["features"].astype(np.float32)
    write_folder(path, beta=beta, radius=radius, **arrays)


# --- NPZ ----------------------------------------------------------------------


def _to_npz(problem: PreferenceProblem) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **_arrays(problem, "NPZ"))
    return buffer.getvalue()


def _arrays(problem: PreferenceProblem, kind: str) -> dict[str, Any]:
    """The data of a problem as float64 arrays, by name."""
    models = problem.preferences
    arrays: dict[str, Any] = {
        "features": np.concatenate(problem.features),
        "offsets": np.concatenate([[0], np.cumsum(problem.responses)]),
        "weights": np.array(problem.raw_weights, dtype=object),
        "base": np.concatenate(
            [np.ones(m) if b is None else b
             for m, b in zip(problem.responses, problem.base, strict=True)]
        ),
        "beta": np.array(problem.beta, dtype=object),
        "radius": np.array(problem.radius, dtype=object),
        "ref_params": problem.given_ref_params,
        "center": problem.center,
    }  # fmt: skip
    if all(w == 1 for w in problem.raw_weights):
        del arrays["weights"]  # the default
    if all(isinstance(model, BradleyTerry) for model in models):
        arrays["rewards"] = np.concatenate([model.rewards for model in models])  # type: ignore[attr-defined]
    elif any(isinstance(model, BradleyTerry) for model in models):
        raise InputError("preferences", "rewards and matrices",
                         f"{kind} holds one kind for all prompts: save as .toml")  # fmt: skip
    else:
        arrays["preferences"] = np.concatenate(
            [
                (m.matrix if isinstance(m, PreferenceMatrix) else m.centred(FLOAT64) + 0.5).ravel()
                for m in models
            ]
        )
    for key, array in arrays.items():
        inexact = [x for x in np.ravel(array) if isinstance(x, Fraction)]
        if inexact:
            raise InputError(key, inexact[0], f"{kind} holds float64 numbers only: save as .toml")
        arrays[key] = array.astype(np.int64 if key == "offsets" else np.float64)
    return arrays


def _from_npz(content: bytes, path: Path) -> PreferenceProblem:
    arrays: dict[str, Any] = dict(parse_npz(content, "file", path))
    _known(arrays, _ARRAY_KEYS, "")
    for key, array in arrays.items():
        if array.dtype.kind not in "fiu":
            raise InputError(key, f"dtype {array.dtype}", "real numbers are expected")
    offsets = _offsets(arrays)
    features = _required(arrays, "features", "")
    if features.ndim != 2 or len(features) != offsets[-1]:
        raise InputError("features", f"shape {features.shape}", f"({offsets[-1]}, d) is expected")
    base = arrays.get("base")
    if base is not None and base.shape != (offsets[-1],):
        raise InputError("base", f"shape {base.shape}", f"({offsets[-1]},) is expected")
    prompts = list(itertools.pairwise(offsets))
    return PreferenceProblem(
        features=[features[a:b] for a, b in prompts],
        preferences=_preferences_of(arrays, prompts),
        weights=arrays.get("weights"),
        base=None if base is None else [base[a:b] for a, b in prompts],
        beta=_scalar(arrays, "beta"),
        radius=_scalar(arrays, "radius"),
        ref_params=arrays.get("ref_params"),
        center=arrays.get("center"),
    )


def _offsets(arrays: dict[str, Any]) -> list[int]:
    offsets = _required(arrays, "offsets", "")
    valid = offsets.ndim == 1 and len(offsets) >= 2 and offsets.dtype.kind in "iu"
    if not valid or offsets[0] != 0 or (np.diff(offsets.astype(np.int64)) < 1).any():
        raise InputError("offsets", offsets, "increasing integers from 0 are expected")
    return [int(o) for o in offsets]


def _scalar(arrays: dict[str, Any], key: str) -> float:
    array = _required(arrays, key, "")
    if array.size != 1:
        raise InputError(key, f"shape {array.shape}", "one number is expected")
    return float(array.reshape(()))


def _preferences_of(arrays: dict[str, Any], prompts: list[tuple[int, int]]) -> list[Any]:
    given = [key for key in ("preferences", "rewards") if key in arrays]
    if len(given) != 1:
        raise InputError("file", " and ".join(given) or "no preferences",
                         "exactly one of preferences and rewards is expected")  # fmt: skip
    data = arrays[given[0]].ravel()
    sizes = [(b - a) ** (2 if given == ["preferences"] else 1) for a, b in prompts]
    if sum(sizes) != len(data):
        raise InputError(given[0], f"{len(data)} numbers", f"{sum(sizes)} are expected")
    parts = np.split(data, np.cumsum(sizes)[:-1])
    if given == ["rewards"]:
        return [BradleyTerry(r, f"prompts[{x}].rewards") for x, r in enumerate(parts)]
    return [
        PreferenceMatrix(p.reshape(b - a, b - a), f"prompts[{x}].preferences")
        for x, (p, (a, b)) in enumerate(zip(parts, prompts, strict=True))
    ]
