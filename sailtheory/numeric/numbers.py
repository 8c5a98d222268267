"""Number systems: one namespace of functions for each kind of number.

A formula of :mod:`sailtheory.theory.formulas` is plain array code that takes such a
namespace as its first argument and otherwise uses only array operators
(``+ - * / @``, indexing, ``.sum(axis)``, ``.mT``). The same function is then
evaluated on

* float64 NumPy arrays (``FLOAT64``): fast, batched;
* torch tensors (:func:`torch_numbers`): GPU and automatic differentiation;
* Arb balls in NumPy object arrays (:func:`arb_numbers`): certified enclosures;
* SymPy expressions in NumPy object arrays (:func:`sympy_numbers`): exact.

The stable primitives ``log_softmax``, ``log_sigmoid``, ``sigmoid`` and
``log_cosh_half`` are the only code written once per system. Together with
``exp``, ``log`` and ``tanh`` they are the trusted base that
``tests/numeric/test_numbers.py`` checks against 50-digit arithmetic in every system.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, cast

import numpy as np

from sailtheory.extras import require_extra

__all__ = [
    "FLOAT64",
    "Array",
    "NumberSystem",
    "arb_numbers",
    "numbers_of",
    "sympy_numbers",
    "torch_numbers",
    "total",
    "without_diagonal",
]

Array = Any
"""NumPy array of any supported entry type, or torch tensor."""

_LOG_2 = float(np.log(2.0))
_FEW, _MANY = 4, 256


@dataclass(frozen=True)
class NumberSystem:
    """Elementary functions over one kind of number.

    Attributes:
        name: ``float64``, ``torch``, ``arb`` or ``sympy``.
        asarray: Turns exact data (floats, ints, ``Fraction``) into an array.
        exp: Elementwise exponential.
        log: Elementwise natural logarithm.
        tanh: Elementwise hyperbolic tangent.
        sigmoid: Elementwise 1 / (1 + exp(-z)), relatively accurate.
        log_sigmoid: Elementwise log(sigmoid(z)), relatively accurate.
        log_cosh_half: Elementwise log(cosh(z / 2)), relatively accurate also
            near 0, where log_sigmoid(z) + log 2 - z / 2 would cancel.
        log_softmax: a - log(sum(exp(a))) along the last axis.
        log_2: Returns the number log 2 (in Arb at the current precision).
    """

    name: str
    asarray: Callable[[Any], Array]
    exp: Callable[[Array], Array]
    log: Callable[[Array], Array]
    tanh: Callable[[Array], Array]
    sigmoid: Callable[[Array], Array]
    log_sigmoid: Callable[[Array], Array]
    log_cosh_half: Callable[[Array], Array]
    log_softmax: Callable[[Array], Array]
    log_2: Callable[[], Any]


# --- float64 -----------------------------------------------------------------


def _float_sigmoid(z: Array) -> Array:
    e = np.exp(-np.abs(z))
    return np.where(np.asarray(z) >= 0, 1.0, e) / (1.0 + e)


def _float_log_sigmoid(z: Array) -> Array:
    return np.minimum(z, 0.0) - np.log1p(np.exp(-np.abs(z)))


def _float_log_cosh_half(z: Array) -> Array:
    a = np.abs(z)
    tame = np.minimum(a, 1400.0)  # beyond, sinh² overflows and the rest is a/2
    return np.log1p(2.0 * np.sinh(0.25 * tame) ** 2) + 0.5 * (a - tame)


def _float_log_softmax(a: Array) -> Array:
    shifted = a - a.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


FLOAT64 = NumberSystem(
    name="float64",
    asarray=lambda data: np.asarray(data, dtype=np.float64),
    exp=np.exp,
    log=np.log,
    tanh=np.tanh,
    sigmoid=_float_sigmoid,
    log_sigmoid=_float_log_sigmoid,
    log_cosh_half=_float_log_cosh_half,
    log_softmax=_float_log_softmax,
    log_2=lambda: _LOG_2,
)


# --- torch -------------------------------------------------------------------


@cache
def torch_numbers(device: str = "cpu", dtype: str = "float64") -> NumberSystem:
    """The torch number system on one device.

    Args:
        device: A torch device name.
        dtype: ``float64`` or ``float32``.

    Returns:
        A number system whose functions are twice differentiable by autograd.

    Raises:
        MissingExtra: torch is not installed.
    """
    require_extra("torch", "torch")
    import torch

    kind = getattr(torch, dtype)

    def log_cosh_half(z: Array) -> Array:
        a = z.abs()
        near = -0.5 * torch.log1p(-(torch.tanh(0.5 * z.clamp(-2.0, 2.0)) ** 2))
        far = 0.5 * a + (torch.log1p(torch.exp(-a)) - _LOG_2)
        return torch.where(a < 2.0, near, far)

    return NumberSystem(
        name="torch",
        asarray=lambda data: torch.as_tensor(
            np.asarray(data, dtype=np.float64), dtype=kind, device=device
        ),
        exp=torch.exp,
        log=torch.log,
        tanh=torch.tanh,
        sigmoid=torch.sigmoid,
        log_sigmoid=torch.nn.functional.logsigmoid,
        log_cosh_half=log_cosh_half,
        log_softmax=lambda a: torch.log_softmax(a, dim=-1),
        log_2=lambda: _LOG_2,
    )


# --- object arrays: Arb and SymPy ----------------------------------------------


def _elementwise(function: Callable[[Any], Any]) -> Callable[[Array], Array]:
    """Lift a scalar function to scalars and object arrays alike."""
    lifted = np.frompyfunc(function, 1, 1)
    return lambda z: lifted(z)


def _object_array(convert: Callable[[Any], Any]) -> Callable[[Any], Array]:
    lift = np.frompyfunc(convert, 1, 1)
    return lambda data: np.asarray(lift(np.asarray(data, dtype=object)), dtype=object)


def _rowwise_log_softmax(row: Callable[[Array], list[Any]]) -> Callable[[Array], Array]:
    """Apply a log-softmax of one row along the last axis of an object array."""

    def log_softmax(a: Array) -> Array:
        out = np.empty(a.shape, dtype=object)
        for index in np.ndindex(a.shape[:-1]):
            out[index] = row(a[index])
        return out

    return log_softmax


@cache
def arb_numbers() -> NumberSystem:
    """Ball arithmetic: every result encloses the exact value.

    Precision is that of the python-flint context (``flint.ctx.prec``) at the
    time of evaluation. Even functions and monotone ones are evaluated at the
    end points of a ball, which gives the tightest enclosure.
    """
    from flint import arb, fmpq

    def convert(x: Any) -> Any:
        if isinstance(x, arb):
            return x
        if isinstance(x, Fraction):
            return arb(fmpq(x.numerator, x.denominator))
        return arb(x)

    def increasing(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def evaluate(z: Any) -> Any:
            if z.rad() == 0:
                return function(z)
            return function(arb(z.lower())).union(function(arb(z.upper())))

        return evaluate

    def log_sigmoid(z: Any) -> Any:
        if z > 0:
            return -((-z).exp()).log1p()
        return z - z.exp().log1p()

    def sigmoid(z: Any) -> Any:
        if z > 0:
            return 1 / (1 + (-z).exp())
        return z.exp() / (1 + z.exp())

    def even_log_cosh_half(z: Any) -> Any:
        a = abs(z)
        if a < 1:
            return (2 * (a / 4).sinh() ** 2).log1p()
        return a / 2 + ((-a).exp()).log1p() - arb.const_log2()

    def log_cosh_half(z: Any) -> Any:
        if z.rad() == 0:
            return even_log_cosh_half(z)
        a = abs(z)
        low = a.lower() if a > 0 else arb(0)
        return even_log_cosh_half(arb(low)).union(even_log_cosh_half(arb(a.upper())))

    def log_share(gaps: list[Any]) -> Any:
        return -sum((gap.exp() for gap in gaps), arb(0)).log1p()

    def row(a: Array) -> list[Any]:
        shares = []
        for k, y in enumerate(a):
            gaps = [x - y for j, x in enumerate(a) if j != k]
            least = log_share([arb(gap.upper()) for gap in gaps])
            shares.append(least.union(log_share([arb(gap.lower()) for gap in gaps])))
        return shares

    return NumberSystem(
        name="arb",
        asarray=_object_array(convert),
        exp=_elementwise(lambda z: z.exp()),
        log=_elementwise(lambda z: z.log()),
        tanh=_elementwise(increasing(lambda z: z.tanh())),
        sigmoid=_elementwise(increasing(sigmoid)),
        log_sigmoid=_elementwise(increasing(log_sigmoid)),
        log_cosh_half=_elementwise(log_cosh_half),
        log_softmax=_rowwise_log_softmax(row),
        log_2=arb.const_log2,
    )


@cache
def sympy_numbers() -> NumberSystem:
    """Exact expressions; hyperbolic functions are written with exponentials."""
    import sympy

    def convert(x: Any) -> Any:
        if isinstance(x, Fraction):
            return sympy.Rational(x.numerator, x.denominator)
        if isinstance(x, (float, np.floating)):
            exact = Fraction(float(x))
            return sympy.Rational(exact.numerator, exact.denominator)
        if isinstance(x, (int, np.integer)):
            return sympy.Integer(int(x))
        return x

    def sigmoid(z: Any) -> Any:
        return 1 / (1 + sympy.exp(-z))

    def row(a: Array) -> list[Any]:
        total = sympy.log(sum(sympy.exp(x) for x in a))
        return [x - total for x in a]

    return NumberSystem(
        name="sympy",
        asarray=_object_array(convert),
        exp=_elementwise(sympy.exp),
        log=_elementwise(sympy.log),
        tanh=_elementwise(lambda z: 2 * sigmoid(2 * z) - 1),
        sigmoid=_elementwise(sigmoid),
        log_sigmoid=_elementwise(lambda z: -sympy.log(1 + sympy.exp(-z))),
        log_cosh_half=_elementwise(lambda z: sympy.log((1 + sympy.exp(z)) / 2) - z / 2),
        log_softmax=_rowwise_log_softmax(row),
        log_2=lambda: sympy.log(2),
    )


def total(values: Array) -> Array:
    """The sum over the last axis of an array in any system; few terms are added one by one.

    NumPy's own sum takes several times as long over an axis of two or three.
    """
    terms = values.shape[-1]
    if not isinstance(values, np.ndarray) or terms > _FEW or values.size < _MANY * terms:
        return values.sum(-1)
    added = values[..., 0]
    for k in range(1, terms):
        added = added + values[..., k]
    return added


def without_diagonal(matrix: Array) -> Array:
    """The last two axes (m, m) of an array in any system, with 0 on the diagonal."""
    if hasattr(matrix, "new_ones"):  # torch
        return matrix * (1 - matrix.new_ones(matrix.shape[-1]).diag())
    return matrix * (1 - np.eye(matrix.shape[-1], dtype=np.int8))  # float32 stays what it is


def numbers_of(values: Array) -> NumberSystem:
    """The number system that an array's entries belong to.

    Args:
        values: NumPy array (float or object), torch tensor, or an array of another kind that
            names its ``number_system``.

    Returns:
        The matching number system; anything that is neither a torch tensor nor
        an object array is taken as float64.

    Raises:
        TypeError: An object array whose entries are of no known system.
    """
    named = getattr(values, "number_system", None)
    if named is not None:
        return cast(NumberSystem, named)
    if type(values).__module__.partition(".")[0] == "torch":
        return torch_numbers(str(values.device), str(values.dtype).removeprefix("torch."))
    if not (isinstance(values, np.ndarray) and values.dtype == object):
        return FLOAT64
    module = type(values.flat[0]).__module__.partition(".")[0] if values.size else "fractions"
    if module == "flint":
        return arb_numbers()
    if module == "sympy":
        return sympy_numbers()
    if module in ("fractions", "builtins"):
        return FLOAT64
    raise TypeError(f"theta: entries of {module!r} belong to no number system")
