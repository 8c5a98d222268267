"""A user's payoff, or the form of a bound, as an expression: parsed against a list, never run."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sailtheory.errors import InputError
from sailtheory.numeric.jets import FUNCTIONS, Jet

__all__ = ["Node", "expression", "parsed"]

_LONGEST, _MOST_PARTS, _HIGHEST_POWER = 400, 200, 12
_OPERATIONS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b, ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b, ast.Div: lambda a, b: a / b,
}  # fmt: skip

Node = Callable[[Mapping[str, Jet]], Jet]
"""The values of names to a jet."""


def parsed(text: str) -> Callable[[Jet, Any], Jet]:
    """The payoff that an expression in z and beta states.

    Args:
        text: For example ``log_sigmoid(z) - 0.1*z**2``.

    Returns:
        z as a jet and β to the payoff as a jet.

    Raises:
        InputError: As :func:`expression`.
    """
    made = expression(text, ("z", "beta"), "payoff", needed="z")
    return lambda z, beta: made({"z": z, "beta": _number(z, beta)})


def expression(text: str, names: tuple[str, ...], field: str, *, needed: str = "") -> Node:
    """The function that an expression states.

    Args:
        text: The expression.
        names: What it may speak of.
        field: What it is for, as a refusal names it.
        needed: A name that it has to hold.

    Raises:
        InputError: It does not parse, is too long, or holds anything but numbers, these names,
            + − * / **, and functions of a short list.
    """
    if not isinstance(text, str) or len(text) > _LONGEST:
        raise InputError(field, text, f"an expression of at most {_LONGEST} characters")
    reader = _Reader(names, field)
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise InputError(field, text, f"an expression: {reader.allowed}") from None
    if sum(1 for _ in ast.walk(tree)) > _MOST_PARTS:
        raise InputError(field, text, f"an expression of at most {_MOST_PARTS} parts")
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    if needed and needed not in found:
        raise InputError(field, text, f"an expression in {needed}")
    return reader.node(tree.body)


def _number(like: Jet, value: Any) -> Jet:
    return Jet(like.xp, (like.xp.asarray(value)[()], 0, 0, 0))


@dataclass(frozen=True)
class _Reader:
    """Turns parsed nodes into functions; what it does not know it refuses."""

    names: tuple[str, ...]
    field: str

    @property
    def allowed(self) -> str:
        return f"numbers, {', '.join(self.names)}, + - * / **, and {', '.join(FUNCTIONS)}"

    def _refused(self, node: ast.AST, why: str = "") -> InputError:
        accepted = why or f"not allowed here; what is: {self.allowed}"
        return InputError(self.field, ast.unparse(node), accepted)

    def node(self, node: ast.expr) -> Node:
        if isinstance(node, ast.Constant):
            value = self._finite(node)
            return lambda at: _number(next(iter(at.values())), value)
        if isinstance(node, ast.Name) and node.id in self.names:
            name = node.id
            return lambda at: at[name]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            inner, sign = self.node(node.operand), -1 if isinstance(node.op, ast.USub) else 1
            return lambda at: inner(at) * sign
        if isinstance(node, ast.BinOp):
            return self._operation(node)
        if isinstance(node, ast.Call):
            return self._call(node)
        raise self._refused(node)

    def _finite(self, node: ast.Constant) -> float:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._refused(node)
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self._refused(node, "a finite number is expected")
        return number

    def _operation(self, node: ast.BinOp) -> Node:
        left = self.node(node.left)
        if isinstance(node.op, ast.Pow):
            power = node.right
            if not (isinstance(power, ast.Constant) and type(power.value) is int):
                why = "a power has a whole number after **; write exp or log otherwise"
                raise self._refused(node, why)
            if not 1 <= power.value <= _HIGHEST_POWER:
                raise self._refused(node, f"powers from 1 to {_HIGHEST_POWER} are allowed")
            exponent = power.value
            return lambda at: left(at) ** exponent
        if type(node.op) not in _OPERATIONS:
            raise self._refused(node)
        right, operation = self.node(node.right), _OPERATIONS[type(node.op)]
        return lambda at: operation(left(at), right(at))

    def _call(self, node: ast.Call) -> Node:
        if not (isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS):
            raise self._refused(node.func)
        arity, function = FUNCTIONS[node.func.id]
        if node.keywords or len(node.args) != arity:
            expected = f"{arity} argument{'s' if arity > 1 else ''}"
            raise self._refused(node, f"{node.func.id} takes {expected}")
        arguments = [self.node(each) for each in node.args]
        return lambda at: function(*(each(at) for each in arguments))
