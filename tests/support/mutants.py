"""Single-token mutants of a source file: what a slip of the pen would have written.

A mutant changes a number, a sign, an operator, a comparison or a truth value, takes one of
two names for the other, swaps two arguments, or drops a term, a factor or a condition.
Text, annotations and docstrings are left alone.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

OPERATORS = {"+": "-", "-": "+", "*": "/", "/": "*", "**": "*", "//": "/", "%": "*", "|": "&"}
COMPARISONS = {
    "<": "<= >", "<=": "< >=", ">": ">= <", ">=": "> <=", "==": "!=", "!=": "==",
    "is": "is_not", "is not": "is", "in": "not_in", "not in": "in",
}  # fmt: skip
_PAIRS = (
    "min max", "minimum maximum", "argmin argmax", "lower upper", "float_below float_above",
    "triu_indices tril_indices", "any all", "ones zeros", "first second",
)  # fmt: skip
NAMES = {a: b for pair in _PAIRS for a, b in (pair.split(), pair.split()[::-1])}


@dataclass(frozen=True)
class Mutant:
    """One edit of one file.

    Attributes:
        file: Path of the file.
        function: Qualified name of the function or class around it, "" outside all.
        line: Where it begins.
        kind: ``number``, ``coefficient`` (one that is added or multiplied), ``sign``, ``sum``
            (+ for −), ``operator``, ``comparison``, ``truth``, ``name``, ``arguments``,
            ``dropped`` (the second term or factor) or ``kept`` (nothing but the second).
        before: The lines that it touches, as one line.
        after: What becomes of them.
        start: Offset of the edit.
        end: Where it ends.
        text: What stands there instead.
    """

    file: str
    function: str
    line: int
    kind: str
    before: str
    after: str
    start: int
    end: int
    text: str

    def applied(self, source: str) -> str:
        """The source with the edit made."""
        return source[: self.start] + self.text + source[self.end :]


def mutants(path: Path, name: str = "") -> list[Mutant]:
    """All mutants of a file, in the order of their places."""
    found = _Finder(path.read_text(encoding="utf-8"), name or str(path))
    found.visit(found.tree)
    return sorted(set(found.mutants), key=lambda mutant: (mutant.start, mutant.end, mutant.text))


class _Finder(ast.NodeVisitor):
    def __init__(self, source: str, file: str) -> None:
        self.tree = ast.parse(source)
        self.mutants: list[Mutant] = []
        self._source, self._file = source, file
        self._around: list[str] = []
        self._coefficients: set[ast.AST] = set()
        self._starts = [0]
        for line in source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    # --- places ---

    def _offset(self, line: int, column: int) -> int:
        start = self._starts[line - 1]
        text = self._source[start : self._starts[line]]
        return start + len(text.encode()[:column].decode())

    def _span(self, node: ast.AST) -> tuple[int, int]:
        return (
            self._offset(node.lineno, node.col_offset),
            self._offset(node.end_lineno, node.end_col_offset),
        )

    def _text(self, node: ast.AST) -> str:
        return self._source[slice(*self._span(node))]

    def _add(self, kind: str, start: int, end: int, text: str) -> None:
        first = self._source.rfind("\n", 0, start) + 1
        last = self._source.find("\n", end)
        head, tail = self._source[first:start], self._source[end:last]
        before, after = head + self._source[start:end] + tail, head + text + tail
        line = self._source.count("\n", 0, start) + 1
        around = ".".join(self._around)
        shown = [" ".join(lines.split()) for lines in (before, after)]
        self.mutants.append(Mutant(self._file, around, line, kind, *shown, start, end, text))

    def _between(self, left: ast.AST, right: ast.AST, token: str) -> tuple[int, int]:
        """Where a token stands between two nodes."""
        begin, end = self._span(left)[1], self._span(right)[0]
        word = r"\b" if token[0].isalpha() else ""
        pattern = word + r"\s+".join(map(re.escape, token.split())) + word
        at = re.search(pattern, self._source[begin:end])
        assert at, (token, self._source[begin:end])
        return begin + at.start(), begin + at.end()

    # --- what is walked ---

    def _inside(self, node: ast.FunctionDef | ast.ClassDef) -> None:
        self._around.append(node.name)
        body = node.body[1:] if ast.get_docstring(node) is not None else node.body
        for statement in body:
            self.visit(statement)
        self._around.pop()

    def visit_Module(self, node: ast.Module) -> None:
        for statement in node.body:
            self.visit(statement)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._inside(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for default in [*node.args.defaults, *node.args.kw_defaults]:
            if default is not None:
                self.visit(default)
        self._inside(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """A message."""

    # --- what is changed ---

    def visit_Constant(self, node: ast.Constant) -> None:
        value, span = node.value, self._span(node)
        kind = "coefficient" if node in self._coefficients else "number"
        if isinstance(value, bool):
            self._add("truth", *span, str(not value))
        elif isinstance(value, int):
            for other in (value + 1, value - 1):
                self._add(kind, *span, str(other) if other >= 0 else f"({other})")
        elif isinstance(value, float):
            for other in (2 * value, value / 2) if value else (1.0, -1.0):
                self._add(kind, *span, repr(other))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, (ast.USub, ast.Not)):
            minus = "number" if isinstance(node.operand, ast.Constant) else "sign"
            kind = minus if isinstance(node.op, ast.USub) else "truth"
            begin, end = self._span(node)[0], self._span(node.operand)[0]
            self._add(kind, begin, begin + (4 if kind == "truth" else 1), "")
            assert self._source[begin:end].strip(" (") in ("-", "not")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        token = _TOKENS.get(type(node.op))
        if token is not None:
            kind = "sum" if token in "+-" else "operator"
            self._add(kind, *self._between(node.left, node.right, token), OPERATORS[token])
        if token in ("+", "-", "*", "/"):
            second = f"-({self._text(node.right)})" if token == "-" else self._text(node.right)
            self._add("dropped", *self._span(node), f"({self._text(node.left)})")
            if token != "/":
                self._add("kept", *self._span(node), f"({second})")
        self._coefficients |= {node.left, node.right}
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        token = _TOKENS.get(type(node.op))
        if token is not None:
            place = self._between(node.target, node.value, token)
            self._add("operator", *place, OPERATORS[token])
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        for op, (left, right) in zip(
            node.ops, pairwise([node.left, *node.comparators]), strict=True
        ):
            token = _TOKENS[type(op)]
            place = self._between(left, right, token)
            for other in COMPARISONS[token].split():
                self._add("comparison", *place, other.replace("_", " "))
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        token = _TOKENS[type(node.op)]
        for left, right in pairwise(node.values):
            place = self._between(left, right, token)
            self._add("truth", *place, "or" if token == "and" else "and")
        for i in range(len(node.values)):
            rest = [self._text(value) for j, value in enumerate(node.values) if j != i]
            self._add("dropped", *self._span(node), f"({f' {token} '.join(rest)})")
        self.generic_visit(node)

    def _condition(self, node: ast.If | ast.While | ast.IfExp) -> None:
        if isinstance(node.test, (ast.Name, ast.Attribute, ast.Call)):
            self._add("truth", *self._span(node.test), f"(not {self._text(node.test)})")
        self.generic_visit(node)

    visit_If = visit_While = visit_IfExp = _condition

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load) and node.id in NAMES:
            self._add("name", *self._span(node), NAMES[node.id])

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.ctx, ast.Load) and node.attr in NAMES:
            end = self._span(node)[1]
            self._add("name", end - len(node.attr), end, NAMES[node.attr])
        self.visit(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        if len(node.args) > 1 and not any(isinstance(a, ast.Starred) for a in node.args[:2]):
            first, second = node.args[:2]
            begin, end = self._span(first)[0], self._span(second)[1]
            between = self._source[self._span(first)[1] : self._span(second)[0]]
            self._add("arguments", begin, end, self._text(second) + between + self._text(first))
        self.generic_visit(node)


_TOKENS: dict[type, str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**", ast.FloorDiv: "//",
    ast.Mod: "%", ast.BitOr: "|",
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
    ast.And: "and", ast.Or: "or",
}  # fmt: skip
