"""``__all__`` of every public module: what others may import, all of it there and documented."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for path in sorted((ROOT / "sailtheory").rglob("*.py"))}


@cache
def tree_of(name):
    return ast.parse(FILES[name].read_text(encoding="utf-8"))


def defined(tree):
    """Functions and classes of a module, and its other names."""
    own, others = set(), set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            own.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found = [n for target in targets for n in ast.walk(target)]
            others |= {n.id for n in found if isinstance(n, ast.Name)}
    return own, others


def declared(tree):
    """What ``__all__`` lists; None without one."""
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            if isinstance(target, ast.Name) and target.id == "__all__":
                return ast.literal_eval(node.value)
    return None


def is_public(name):
    """Whether others may import from a module: of the commands, only from the package."""
    parts, path = name.split("."), FILES[name]
    if path.name == "__init__.py":  # most packages only hold modules
        return bool(defined(tree_of(name))[0] or declared(tree_of(name)))
    return "cli" not in parts and not path.name.startswith("_")


PUBLIC = [name for name in FILES if is_public(name)]


def imported(tree):
    """(module, name) of what is imported from the package, by name or through its module."""
    modules = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if whole in FILES:
                    modules[alias.asname or alias.name] = whole
                elif node.module in FILES:
                    yield node.module, alias.name
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id in modules:
                yield modules[node.value.id], node.attr


def complaints(tree, name, listed):
    """What is wrong with ``__all__`` as a file has it: ``listed`` gives that of other modules."""
    names, (own, others) = declared(tree), defined(tree)
    if names is None:
        return ["no __all__"]
    body = [*tree.body, *(n for node in tree.body if isinstance(node, ast.If) for n in node.body)]
    reexported = {alias.asname or alias.name for node in body
                  if isinstance(node, ast.ImportFrom) for alias in node.names}  # fmt: skip
    package = FILES[name].name == "__init__.py"  # only a package passes on what others define
    known = own | others | (reexported if package else set())
    found = [f"not defined here: {each}" for each in names if each not in known]
    found += [f"twice: {each}" for each in set(names) if names.count(each) > 1]
    found += [f"not listed: {each}" for each in sorted(own - {*names}) if each[0] != "_"]
    found += [f"private: {each}" for each in names if each[0] == "_" and each != "__version__"]
    found += [
        f"no docstring: {node.name}"
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in names
        and not ast.get_docstring(node)
    ]  # fmt: skip
    for module, each in imported(tree):
        if module != name and listed(module) is not None and each not in listed(module):
            found.append(f"imports {each}, which {module} does not list")
    return found


def listed(name):
    return declared(tree_of(name))


def test_most_modules_are_public():
    assert len(PUBLIC) > 180 and "sailtheory.cli" in PUBLIC and "sailtheory.cli.llm" not in PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_listed_and_imported_as_such(name):
    assert complaints(tree_of(name), name, listed) == []


@pytest.mark.parametrize("name", [name for name in FILES if name not in PUBLIC])
def test_other_modules_import_public_names(name):
    wrong = complaints(tree_of(name), name, listed)
    assert [text for text in wrong if text.startswith("imports")] == []


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("def f(): ...", ["no __all__"]),
        ("__all__ = ['f', 'g']\ndef f(): 'f'", ["not defined here: g"]),
        ("__all__ = ['f', 'f']\ndef f(): 'f'", ["twice: f"]),
        ("__all__ = ['f']\ndef f(): ...", ["no docstring: f"]),
        ("__all__ = []\nclass C: ...\ndef _f(): ...", ["not listed: C"]),
        ("__all__ = ['_f']\ndef _f(): 'f'", ["private: _f"]),
        ("from math import pi\n__all__ = ['pi']", ["not defined here: pi"]),
        ("__all__: list[str] = []\nfrom sailtheory.errors import np",
         ["imports np, which sailtheory.errors does not list"]),
        ("__all__: list[str] = []\nfrom sailtheory.runs import layout\nlayout._CHECKPOINT",
         ["imports _CHECKPOINT, which sailtheory.runs.layout does not list"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_seen(source, wrong):
    assert complaints(ast.parse(source), "sailtheory.extras", listed) == wrong
