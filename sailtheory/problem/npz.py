"""Problems as named arrays, in NPZ files and folders."""

from __future__ import annotations

import io
import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.problem.fields import expect_known, required
from sailtheory.problem.preferences import BradleyTerry, PreferenceMatrix
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.problem.reward_problem import alone
from sailtheory.storage.readers import parse_npz

__all__ = ["arrays_of", "from_npz", "preferences_of", "to_npz"]

_ARRAY_KEYS = (
    "features", "offsets", "weights", "base", "beta",
    "radius", "ref_params", "center", "rewards", "preferences", "response_rewards",
)  # fmt: skip


def to_npz(problem: PreferenceProblem) -> bytes:
    """The bytes of the NPZ file of a problem.

    Raises:
        InputError: Data that it does not hold.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays_of(problem, "NPZ"))
    return buffer.getvalue()


def arrays_of(problem: PreferenceProblem, kind: str) -> dict[str, Any]:
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
    if problem.response_rewards is not None:
        arrays["response_rewards"] = np.concatenate(problem.response_rewards)
    if not problem.states_preferences:
        del arrays["beta"]
    elif all(isinstance(model, BradleyTerry) for model in models):
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


def from_npz(content: bytes, path: Path, preferences: bool) -> PreferenceProblem:
    """The problem of an NPZ file; ``preferences`` as for ``load``.

    Raises:
        InputError: It is malformed or states bad data.
    """
    arrays: dict[str, Any] = dict(parse_npz(content, "file", path))
    expect_known(arrays, _ARRAY_KEYS, "")
    for key, array in arrays.items():
        if array.dtype.kind not in "fiu":
            raise InputError(key, f"dtype {array.dtype}", "real numbers are expected")
    offsets = _offsets(arrays)
    features = required(arrays, "features", "")
    if features.ndim != 2 or len(features) != offsets[-1]:
        raise InputError("features", f"shape {features.shape}", f"({offsets[-1]}, d) is expected")
    prompts, by_response = list(itertools.pairwise(offsets)), {}
    for key in ("base", "response_rewards"):
        array = arrays.get(key)
        if array is not None and array.shape != (offsets[-1],):
            raise InputError(key, f"shape {array.shape}", f"({offsets[-1]},) is expected")
        by_response[key] = None if array is None else [array[a:b] for a, b in prompts]
    common: dict[str, Any] = {
        "features": [features[a:b] for a, b in prompts],
        "weights": arrays.get("weights"),
        "radius": _scalar(arrays, "radius"),
        "ref_params": arrays.get("ref_params"),
        "center": arrays.get("center"),
        **by_response,
    }
    if "response_rewards" in arrays and not {"preferences", "rewards"} & set(arrays):
        return alone(preferences, path, common)
    return PreferenceProblem(
        preferences=preferences_of(arrays, prompts), beta=_scalar(arrays, "beta"), **common
    )


def _offsets(arrays: dict[str, Any]) -> list[int]:
    offsets = required(arrays, "offsets", "")
    valid = offsets.ndim == 1 and len(offsets) >= 2 and offsets.dtype.kind in "iu"
    if not valid or offsets[0] != 0 or (np.diff(offsets.astype(np.int64)) < 1).any():
        raise InputError("offsets", offsets, "increasing integers from 0 are expected")
    return [int(o) for o in offsets]


def _scalar(arrays: dict[str, Any], key: str) -> float:
    array = required(arrays, key, "")
    if array.size != 1:
        raise InputError(key, f"shape {array.shape}", "one number is expected")
    return float(array.reshape(()))


def preferences_of(arrays: dict[str, Any], prompts: list[tuple[int, int]]) -> list[Any]:
    """The preference models of prompts with responses from a to b, (a, b) for each."""
    given = [key for key in ("preferences", "rewards") if key in arrays]
    if not given and "response_rewards" in arrays:
        return [PreferenceMatrix(np.full((b - a, b - a), 0.5)) for a, b in prompts]
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
