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
    response_rewards = [1, 0, 0]   # default: none

``rewards`` are those behind Bradley–Terry preferences. ``response_rewards`` are what training with
rewards (GRPO and the like) is given; the two have nothing to do with each other. A file that
states only ``response_rewards`` needs no β; it is read where no preferences are asked about.

NPZ, for prompts x = 0..n-1 with m_x responses and offsets o = cumsum(m):
``features`` (o_n, d), ``offsets`` (n + 1,), ``weights`` (n,), ``base`` (o_n,),
``beta``, ``radius``, ``ref_params``, ``center``, ``response_rewards`` (o_n,), and either
``rewards`` (o_n,) or ``preferences``, the flattened matrices one after another.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.numeric.exact import TYPED_DIGITS
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.problem.fields import expect_known, no_preferences, required
from sailtheory.problem.folder import HEADER, ProblemFolder, is_folder
from sailtheory.problem.folder_write import write_folder
from sailtheory.problem.npz import arrays_of, from_npz, preferences_of, to_npz
from sailtheory.problem.preferences import BradleyTerry, PreferenceMatrix
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.problem.reward_problem import alone, without_preferences
from sailtheory.storage.files import write_bytes
from sailtheory.storage.readers import read_bytes

__all__ = ["dumps", "from_mapping", "load", "loads", "of_folder", "save"]

_TOP_KEYS = ("beta", "radius", "ref_params", "center", "prompts")
_PROMPT_KEYS = ("features", "weight", "base", "preferences", "rewards", "response_rewards")
_PIECES, _MOST_DOTS = re.compile("[,\r\n]"), 500


def load(path: str | Path, *, preferences: bool = True) -> PreferenceProblem:
    """Read a problem from a ``.toml`` or ``.npz`` file, or from a problem folder.

    The features of a folder stay on the disk: they are views of the mapped file.

    Args:
        path: Of the file or folder.
        preferences: Whether it has to state preferences; else rewards of responses will do.

    Raises:
        InputError: The file cannot be read, is malformed, or states bad data.
    """
    path = Path(path)
    if is_folder(path):
        return of_folder(ProblemFolder.open(path), preferences=preferences)
    if path.is_dir():
        raise InputError("file", path, f"Is a directory without {HEADER}: no problem folder")
    content = read_bytes(path, "file")
    if path.suffix == ".npz":
        return from_npz(content, path, preferences)
    if path.suffix == ".toml":
        try:
            return loads(content.decode("utf-8-sig"), str(path), preferences=preferences)
        except UnicodeDecodeError as error:
            raise InputError("file", path, f"not UTF-8 text: {error}") from None
    accepted = "a .toml or .npz file is expected"
    if path.suffix in (".jsonl", ".csv", ".parquet"):
        accepted += f"; sailtheory problem {path} makes a problem of preference data"
    raise InputError("file", path, accepted)


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
        content = to_npz(problem)
    else:
        raise InputError("file", path, "a .toml or .npz file is expected")
    write_bytes(content, path)


def loads(text: str, source: str = "problem", *, preferences: bool = True) -> PreferenceProblem:
    """Read a problem from TOML text; ``source`` names it in messages, the rest as :func:`load`."""
    # The TOML reader takes quadratic time for a key of many dots, and no number has two.
    if max(piece.count(".") for piece in _PIECES.split(text)) > _MOST_DOTS:
        accepted = f"at most {_MOST_DOTS} dots between commas or line ends are expected"
        raise InputError("file", source, accepted)
    try:
        data = tomllib.loads(text, parse_float=_literal)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError, ArithmeticError) as error:
        raise InputError("file", source, f"not valid TOML: {error}") from None
    return from_mapping(data, source, preferences=preferences)


def from_mapping(
    data: Mapping[str, Any], source: str = "problem", *, preferences: bool = True
) -> PreferenceProblem:
    """A problem from the keys of a TOML file; the rest as :func:`load`.

    Raises:
        InputError: Unknown or missing keys, or bad data.
    """
    expect_known(data, _TOP_KEYS, "")
    prompts = required(data, "prompts", "")
    if not isinstance(prompts, list) or not all(isinstance(p, dict) for p in prompts):
        raise InputError("prompts", type(prompts).__name__, "[[prompts]] tables are expected")
    for x, prompt in enumerate(prompts):
        expect_known(prompt, _PROMPT_KEYS, f"prompts[{x}].")
    weighted = any("weight" in prompt for prompt in prompts)
    common: dict[str, Any] = {
        "features": [required(p, "features", f"prompts[{x}].") for x, p in enumerate(prompts)],
        "weights": [p.get("weight", 1) for p in prompts] if weighted else None,
        "base": [p.get("base") for p in prompts],
        "radius": required(data, "radius", ""),
        "ref_params": data.get("ref_params"),
        "center": data.get("center"),
        "response_rewards": _response_rewards(prompts),
    }
    stated = any(key in prompt for prompt in prompts for key in ("preferences", "rewards"))
    if common["response_rewards"] is not None and not stated:
        return alone(preferences, source, common)
    return PreferenceProblem(
        preferences=[_read_preferences(p, x) for x, p in enumerate(prompts)],
        beta=required(data, "beta", ""),
        **common,
    )


def _response_rewards(prompts: list[dict[str, Any]]) -> list[Any] | None:
    given = ["response_rewards" in prompt for prompt in prompts]
    if not any(given):
        return None
    if not all(given):
        x = given.index(False)
        accepted = "rewards of responses are expected for every prompt or for none"
        raise InputError(f"prompts[{x}].response_rewards", "missing", accepted)
    return [prompt["response_rewards"] for prompt in prompts]


def dumps(problem: PreferenceProblem) -> str:
    """The TOML text of a problem; :func:`loads` gives the same problem back."""
    stated = problem.states_preferences
    lines = [
        *([f"beta = {_text(problem.beta)}"] if stated else []),
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
        if problem.response_rewards is not None:
            lines.append(f"response_rewards = {_text(problem.response_rewards[x])}")
        if not stated:
            continue
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


def of_folder(folder: ProblemFolder, *, preferences: bool = True) -> PreferenceProblem:
    """The problem of an opened folder; its features are views of the mapped file.

    Args:
        folder: The folder.
        preferences: As for :func:`load`.

    Raises:
        InputError: A number that is not finite, a file that was changed, θ_ref outside C.
    """
    folder.verify()
    arrays = folder.arrays
    prompts = list(itertools.pairwise(folder.offsets.tolist()))
    base, given = arrays.get("base"), arrays.get("response_rewards")
    if preferences and not folder.states_preferences:
        raise no_preferences(folder.path)
    found = PreferenceProblem.of_checked(
        features=[folder.features[a:b] for a, b in prompts],
        preferences=preferences_of(arrays, prompts),
        response_rewards=None if given is None else [given[a:b] for a, b in prompts],
        beta=folder.beta,
        radius=folder.radius,
        ref_params=arrays.get("ref_params"),
        center=arrays.get("center"),
        weights=arrays.get("weights", np.ones(folder.prompts)).tolist(),
        base=[None if base is None else base[a:b] for a, b in prompts],
    )
    ids = folder.ids()
    found.ids = None if ids is None else tuple(ids)
    return found if folder.states_preferences else without_preferences(found)


def _to_folder(problem: PreferenceProblem, path: Path) -> None:
    arrays = arrays_of(problem, "a folder")
    if all(measure is None for measure in problem.base):
        del arrays["base"]  # the default
    beta, radius = float(arrays.pop("beta", 1)), float(arrays.pop("radius"))
    if all(phi.dtype == np.float32 for phi in problem.features):
        arrays["features"] = arrays["features"].astype(np.float32)
    write_folder(path, beta=beta, radius=radius, **arrays)
