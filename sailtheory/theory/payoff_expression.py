"""A user's payoff as an expression in z and beta: parsed against a list, never run as code."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import Any

from sailtheory.errors import InputError
from sailtheory.numeric.jets import FUNCTIONS, Jet

__all__ = ["parsed"]

_LONGEST, _MOST_PARTS, _HIGHEST_POWER = 400, 200, 12
_ALLOWED = "numbers, z, beta, + - * / **, and " + ", ".join(FUNCTIONS)
_OPERATIONS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b, ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b, ast.Div: lambda a, b: a / b,
}  # fmt: skip

Node = Callable[[Jet, Any], Jet]
"""z and β to a jet."""


def parsed(text: str) -> Callable[[Jet, Any], Jet]:
    """The function that an expression states.

    Args:
        text: For example ``log_sigmoid(z) - 0.1*z**2``.

    Returns:
        z as a jet and β to the payoff as a jet.

    Raises:
        InputError: It does not parse, is too long, or holds anything but numbers, z, beta,
            + − * / **, and functions of a short list.
    """
    if not isinstance(text, str) or len(text) > _LONGEST:
        raise InputError("payoff", text, f"an expression of at most {_LONGEST} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise InputError("payoff", text, f"an expression: {_ALLOWED}") from None
    if sum(1 for _ in ast.walk(tree)) > _MOST_PARTS:
        raise InputError("payoff", text, f"an expression of at most {_MOST_PARTS} parts")
    if not any(isinstance(node, ast.Name) and node.id == "z" for node in ast.walk(tree)):
        raise InputError("payoff", text, "an expression in z")
    return _node(tree.body)


def _refused(node: ast.AST, why: str = "") -> InputError:
    found = ast.unparse(node)
    return InputError("payoff", found, why or f"not allowed here; what is: {_ALLOWED}")


def _node(node: ast.expr) -> Node:
    if isinstance(node, ast.Constant):
        return _constant(_finite(node))
    if isinstance(node, ast.Name):
        if node.id == "z":
            return lambda z, beta: z
        if node.id == "beta":
            return lambda z, beta: _number(z, beta)
        raise _refused(node)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        inner, sign = _node(node.operand), -1 if isinstance(node.op, ast.USub) else 1
        return lambda z, beta: inner(z, beta) * sign
    if isinstance(node, ast.BinOp):
        return _operation(node)
    if isinstance(node, ast.Call):
        return _call(node)
    raise _refused(node)


def _number(z: Jet, value: Any) -> Jet:
    return Jet(z.xp, (z.xp.asarray(value)[()], 0, 0, 0))


def _constant(value: float) -> Node:
    return lambda z, beta: _number(z, value)


def _finite(node: ast.Constant) -> float:
    value = node.value
    if type(value) not in (int, float):
        raise _refused(node)
    try:
        finite = math.isfinite(float(value))
    except OverflowError:
        finite = False
    if not finite:
        raise _refused(node, "a finite number is expected")
    return float(value)


def _operation(node: ast.BinOp) -> Node:
    left = _node(node.left)
    if isinstance(node.op, ast.Pow):
        power = node.right
        if not (isinstance(power, ast.Constant) and type(power.value) is int):
            raise _refused(node, "a power has a whole number after **; write exp or log otherwise")
        if not 1 <= power.value <= _HIGHEST_POWER:
            raise _refused(node, f"powers from 1 to {_HIGHEST_POWER} are allowed")
        exponent = power.value
        return lambda z, beta: left(z, beta) ** exponent
    if type(node.op) not in _OPERATIONS:
        raise _refused(node)
    right, operation = _node(node.right), _OPERATIONS[type(node.op)]
    return lambda z, beta: operation(left(z, beta), right(z, beta))


def _call(node: ast.Call) -> Node:
    if not (isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS):
        raise _refused(node.func)
    arity, function = FUNCTIONS[node.func.id]
    if node.keywords or len(node.args) != arity:
        expected = f"{arity} argument{'s' if arity > 1 else ''}"
        raise _refused(node, f"{node.func.id} takes {expected}")
    arguments = [_node(each) for each in node.args]
    return lambda z, beta: function(*(each(z, beta) for each in arguments))
