"""What a problem is made of, read and checked field by field.

Every function raises InputError, in one line that names the field and its value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.numeric.exact import read_array, read_number
from sailtheory.problem.preferences import BradleyTerry, PreferenceMatrix, Preferences

__all__ = [
    "LARGEST",
    "expect_known",
    "expect_length",
    "expect_moderate",
    "no_preferences",
    "read_base",
    "read_features",
    "read_length",
    "read_preferences",
    "read_response_rewards",
    "read_weights",
    "required",
]

LARGEST = 1e50
"""So that no product of the data, such as β²(θᵀφ)², overflows."""

_ROUNDING = 1e-12


def read_length(data: Any, field: str) -> int:
    """Number of entries of a list or of an (n, m, d) array."""
    if isinstance(data, np.ndarray) and data.ndim != 3:
        raise InputError(field, f"shape {data.shape}", "an (n, m, d) array or a list of arrays")
    if not _is_sequence(data):
        raise InputError(field, data, "one entry a prompt is expected")
    return len(data)


def _is_sequence(data: Any) -> bool:
    if isinstance(data, np.ndarray):
        return data.ndim > 0
    return isinstance(data, Sequence) and not isinstance(data, (str, bytes))


def expect_length(data: Any, n: int, field: str) -> None:
    """Refuse anything but n entries, one a prompt."""
    if not _is_sequence(data):
        raise InputError(field, data, f"{n} entries are expected, one a prompt")
    if len(data) != n:
        raise InputError(field, f"{len(data)} entries", f"{n} are expected, one a prompt")


def read_weights(data: Any, n: int, notes: list[str]) -> list[float | Fraction]:
    """n weights ≥ 0, as given; a note where they do not sum to 1."""
    if data is None:
        return [1.0] * n
    expect_length(data, n, "weights")
    weights = [read_number(w, f"prompts[{x}].weight") for x, w in enumerate(data)]
    for x, w in enumerate(weights):
        if w < 0:
            raise InputError(f"prompts[{x}].weight", float(w), "a weight ≥ 0 is required")
    total = sum(float(w) for w in weights)
    if total == 0:
        raise InputError("weights", "all zero", "at least one positive weight is required")
    if abs(total - 1) > _ROUNDING:
        notes.append(f"weights: they sum to {total:g} and were normalised")
    return weights


def read_features(data: Any, name: str) -> np.ndarray:
    """φ of one prompt, (m, d)."""
    phi = read_array(data, f"{name}.features", 2)
    if 0 in phi.shape:
        raise InputError(
            f"{name}.features", f"shape {phi.shape}", "at least one response and one column"
        )
    expect_moderate(phi, f"{name}.features")
    return phi


def expect_moderate(values: Any, field: str) -> None:
    """Refuse magnitudes above :data:`LARGEST`."""
    largest = float(np.abs(np.asarray(values, dtype=np.float64)).max())
    if largest > LARGEST:
        raise InputError(field, largest, f"a magnitude of at most {LARGEST:g} is expected")


def no_preferences(where: Any) -> InputError:
    """What a question about preferences is told where a problem states none."""
    accepted = "rewards of responses alone are stated: check --objective grpo asks about those"
    return InputError("preferences", f"none in {where}", accepted)


def read_preferences(data: Any, m: int, name: str) -> Preferences:
    """A preference model of one prompt's m responses; a matrix becomes one."""
    model: Preferences
    if isinstance(data, (BradleyTerry, PreferenceMatrix)):
        model = data
    elif hasattr(data, "centred") and hasattr(data, "responses"):
        model = data
    else:
        model = PreferenceMatrix(data, f"{name}.preferences")
    if model.responses != m:
        field = "rewards" if isinstance(model, BradleyTerry) else "preferences"
        raise InputError(
            f"{name}.{field}", f"{model.responses} responses", f"{m} are expected, as features"
        )
    return model


def read_base(data: Any, m: int, name: str) -> np.ndarray:
    """ν > 0 of one prompt's responses, (m,)."""
    base = read_array(data, f"{name}.base", 1)
    if len(base) != m:
        raise InputError(f"{name}.base", f"{len(base)} entries", f"{m} are expected, as features")
    for y, value in enumerate(base):
        if value <= 0:
            raise InputError(f"{name}.base[{y}]", float(value), "a positive number is required")
    return base


def read_response_rewards(data: Any, m: int, name: str) -> np.ndarray:
    """The reward of each of one prompt's responses, (m,)."""
    field = f"{name}.response_rewards"
    rewards = read_array(data, field, 1)
    if len(rewards) != m:
        raise InputError(field, f"{len(rewards)} entries", f"{m} are expected, as features")
    expect_moderate(rewards, field)
    return rewards


def expect_known(data: Iterable[str], known: tuple[str, ...], prefix: str) -> None:
    """Refuse names that are not known; ``prefix`` says where they stand."""
    for key in data:
        if key not in known:
            raise InputError(prefix + key, "unknown key", f"one of {', '.join(known)} is expected")


def required(data: Mapping[str, Any], key: str, prefix: str) -> Any:
    """The value of a name that must be there."""
    if key not in data:
        raise InputError(prefix + key, "missing", "this key is required")
    return data[key]
