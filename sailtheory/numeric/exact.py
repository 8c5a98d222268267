"""Exact rational data: what a user typed, before it becomes float64.

An entry counts as exact when it is an integer, a ``Fraction``, a ``Decimal``, a
string such as ``"1/3"``, or a float that reads back as a decimal of at most
``TYPED_DIGITS`` significant digits (0.1 is taken for 1/10). Any other float was
computed; its exact value is the dyadic rational it stores, and structure such
as a rank is then decided numerically.

Data stay float64 arrays as long as float64 tells the exact value, and become
object arrays of ``Fraction`` otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.numeric.numbers import Array, NumberSystem

__all__ = [
    "TYPED_DIGITS",
    "exact_array",
    "is_exact",
    "is_typed",
    "lift",
    "rank",
    "read_array",
    "read_number",
    "to_fraction",
]

TYPED_DIGITS = 12
_DEEPEST = 4
_NUMBER = re.compile(r"[+-]?\d{1,400}(/\d{1,400}|(\.\d{1,400})?([eE][+-]?\d{1,3})?)")
_ACCEPTED = "a finite number or a fraction such as '1/3' is expected"


def is_typed(value: float) -> bool:
    """Whether a float64 states an exact decimal rather than a computed number."""
    digits = repr(float(value)).lstrip("-").split("e")[0].replace(".", "").strip("0")
    return len(digits) <= TYPED_DIGITS


def to_fraction(value: Any, field: str) -> Fraction:
    """The exact rational value of one number.

    Args:
        value: int, float, ``Fraction``, ``Decimal``, or a string ``"p/q"``.
        field: Name for error messages.

    Raises:
        InputError: Not a number, not finite, or too large for float64.
    """
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        exact = Fraction(int(value))
    elif isinstance(value, Fraction):
        exact = value
    elif isinstance(value, (float, np.floating)) and np.isfinite(value):
        exact = Fraction(repr(float(value))) if is_typed(float(value)) else Fraction(float(value))
    elif isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < 400:
        exact = Fraction(value)
    elif isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        try:
            exact = Fraction(value.strip())
        except ZeroDivisionError:
            raise InputError(field, value, _ACCEPTED) from None
    elif isinstance(value, Decimal) and value.is_finite():
        raise InputError(field, value, "the number must fit float64")
    else:
        raise InputError(field, value, _ACCEPTED)
    try:
        lost = bool(exact) and float(exact) == 0
    except OverflowError:
        lost = True
    if lost:
        raise InputError(field, value, "the number must fit float64")
    return exact


def read_number(value: Any, field: str) -> float | Fraction:
    """One number: a float when that tells its exact value, else a ``Fraction``."""
    exact = to_fraction(value, field)
    nearest = float(exact)
    return nearest if to_fraction(nearest, field) == exact else exact


def read_array(data: Any, field: str, ndim: int | tuple[int, ...]) -> np.ndarray:
    """An array of numbers: float64, or object (``Fraction``) where float64 is not exact.

    Args:
        data: Nested sequences of numbers, or a NumPy array.
        field: Name for error messages.
        ndim: The number of axes expected, or several accepted ones.

    Raises:
        InputError: Not numbers, not finite, ragged rows, or a wrong number of axes.
    """
    if isinstance(data, np.ndarray) and data.dtype.kind in "fiu":
        array = np.array(data, dtype=np.float64)
        bad = np.argwhere(~np.isfinite(array))
        if len(bad):
            place = "".join(f"[{i}]" for i in bad[0])
            raise InputError(field + place, array[tuple(bad[0])], _ACCEPTED)
    else:
        _depth(data, field)
        try:
            nested = np.array(data, dtype=object)
        except ValueError:  # arrays of unlike shapes in a list
            raise InputError(field, "ragged arrays", "rows of one length are expected") from None
        array = np.empty(nested.shape, dtype=object)
        for index in np.ndindex(nested.shape):
            place = "".join(f"[{i}]" for i in index)
            array[index] = read_number(nested[index], field + place)
        if all(isinstance(x, float) for x in array.flat):
            array = array.astype(np.float64)
    accepted = (ndim,) if isinstance(ndim, int) else ndim
    if array.ndim not in accepted:
        axes = " or ".join(str(k) for k in accepted)
        raise InputError(field, f"shape {array.shape}", f"an array with {axes} axes is expected")
    return array


def exact_array(array: np.ndarray) -> np.ndarray:
    """The exact values of an array from :func:`read_array`: object array of ``Fraction``."""
    out = np.empty(array.shape, dtype=object)
    for index in np.ndindex(array.shape):
        out[index] = to_fraction(array[index], "entry")
    return out


def lift(xp: NumberSystem, array: np.ndarray) -> Array:
    """Data in a number system: nearest float64, a ball around it, or the exact value."""
    if xp.name == "balls":
        nearest = xp.asarray(array.astype(np.float64))
        return nearest + xp.asarray(0.0) * nearest  # the radius of one rounding
    return xp.asarray(array if xp.name in ("float64", "torch") else exact_array(array))


def is_exact(array: np.ndarray) -> bool:
    """Whether every entry of an array from :func:`read_array` states an exact value."""
    return all(is_typed(float(x)) for x in array.flat if isinstance(x, (float, np.floating)))


def rank(rows: np.ndarray) -> int:
    """The rank of a matrix of ``Fraction``, in exact arithmetic."""
    from flint import fmpq, fmpq_mat

    entries = [fmpq(x.numerator, x.denominator) for x in rows.flat]
    n, d = rows.shape
    return int(fmpq_mat(n, d, entries).rank())


def _length(row: Any) -> int:
    """The length of a row, -1 for a single entry."""
    if isinstance(row, np.ndarray):
        return len(row) if row.ndim else -1
    return len(row) if isinstance(row, Sequence) and not isinstance(row, str) else -1


def _depth(data: Any, field: str, level: int = 0) -> int:
    """Depth of a nested sequence; refuses rows of unequal length or depth."""
    if isinstance(data, np.ndarray):
        return int(data.ndim)
    if isinstance(data, str) or not isinstance(data, Sequence):
        return 0
    if level == _DEEPEST:
        raise InputError(field, "nested brackets", f"at most {_DEEPEST} levels are expected")
    lengths = {_length(row) for row in data}
    depths = {_depth(row, f"{field}[{i}]", level + 1) for i, row in enumerate(data)}
    if len(lengths) > 1 or len(depths) > 1:
        found = f"rows of lengths {sorted(max(k, 1) for k in lengths)}"
        raise InputError(field, found, "rows of one length are expected")
    return 1 + (depths.pop() if depths else 0)
