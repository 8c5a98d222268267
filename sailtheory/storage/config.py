"""Configurations: frozen dataclasses filled from TOML and ``key=value``, strictly.

A field is a bool, int, float, str, Literal, a tuple of one of these, any of these or None, or
another frozen dataclass, whose keys are then dotted: ``sac.learning_rate``. ``convert`` knows
the lists, mappings and enumerations of other libraries' settings as well. Every key must be
known, every value of the stated type and in the stated domain.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import operator
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Generic, Literal, TypeVar, Union, cast

from sailtheory.errors import InputError

__all__ = [
    "Text",
    "TrackedConfig",
    "assignments",
    "convert",
    "flatten",
    "plain",
    "resolve",
    "setting",
]

T = TypeVar("T")

_BOUNDS = {
    "above": (">", operator.gt),
    "at_least": ("≥", operator.ge),
    "below": ("<", operator.lt),
    "at_most": ("≤", operator.le),
}
_WORDS = {bool: "true or false", int: "an integer", float: "a finite number", str: "text"}


class Text(str):
    """A value as typed on a command line, read as what its key expects."""


def setting(default: Any = dataclasses.MISSING, **bounds: float) -> Any:
    """A dataclass field with a domain: ``above``, ``at_least``, ``below``, ``at_most``."""
    unknown = set(bounds) - set(_BOUNDS)
    if unknown:
        raise TypeError(f"unknown bounds {sorted(unknown)}")
    return dataclasses.field(default=default, metadata=bounds)


def assignments(texts: Iterable[str]) -> dict[str, Text]:
    """``key=value`` as typed, by key; the last of several wins."""
    found: dict[str, Text] = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator or not key.strip():
            raise InputError("set", text, "key=value is expected")
        found[key.strip()] = Text(value.strip())
    return found


def resolve(cls: type[T], *sources: Mapping[str, Any]) -> T:
    """Fill a frozen dataclass; what no source names has its default, later sources win.

    Args:
        cls: The dataclass.
        sources: Tables, nested or with dotted keys; values from :func:`assignments` are
            read as their key expects.

    Raises:
        InputError: An unknown key (close ones are named), a missing one, or a value of
            another type or outside its domain.
    """
    given: dict[str, Any] = {}
    for source in sources:
        given |= flatten(source)
    sections, known = _keys(cls)
    for key, value in given.items():
        if key not in known and not (key in sections and value == {}):
            close = difflib.get_close_matches(key, known, n=3) or sorted(known)
            raise InputError(key, "unknown key", f"did you mean {', '.join(close)}?")
    return cast("T", _build(cls, given, ""))


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The same configuration with dotted keys; an empty table is a value."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def plain(config: Any) -> dict[str, Any]:
    """A dataclass as plain JSON, every default included."""
    return cast("dict[str, Any]", _json(dataclasses.asdict(config)))


class TrackedConfig(Generic[T]):
    """A configuration that remembers which of its keys are read.

    Attributes:
        read: The dotted keys read so far.
        view: The configuration, for the training to use.
    """

    def __init__(self, config: T) -> None:
        self.read: set[str] = set()
        self.view = cast("T", _View(config, self.read, ""))


class _View:
    """One level of a tracked dataclass."""

    def __init__(self, config: Any, read: set[str], prefix: str) -> None:
        self.__dict__.update(_config=config, _keys=read, _prefix=prefix)

    def __getattr__(self, name: str) -> Any:
        config, key = self._config, self._prefix + name
        member = getattr(type(config), name, None)
        if isinstance(member, property):  # so that what it reads counts as read
            return member.__get__(self)
        if isinstance(member, types.FunctionType):
            return types.MethodType(member, self)
        value = getattr(config, name)
        if dataclasses.is_dataclass(value):
            return _View(value, self._keys, f"{key}.")
        self._keys.add(key)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items()}
    return [_json(item) for item in value] if isinstance(value, tuple) else value


def _keys(cls: Any, prefix: str = "") -> tuple[set[str], set[str]]:
    """Dotted names of the nested dataclasses, and of the values."""
    sections, known = set(), set()
    for name, hint in _hints(cls).items():
        if dataclasses.is_dataclass(hint):
            inner = _keys(hint, f"{prefix}{name}.")
            sections |= inner[0] | {prefix + name}
            known |= inner[1]
        else:
            known.add(prefix + name)
    return sections, known


def _hints(cls: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _build(cls: Any, given: Mapping[str, Any], prefix: str) -> Any:
    hints, values = _hints(cls), {}
    for field in dataclasses.fields(cls):
        key, hint = prefix + field.name, hints[field.name]
        if dataclasses.is_dataclass(hint):
            values[field.name] = _build(hint, given, f"{key}.")
            continue
        if key in given:
            value = convert(hint, given[key], key)
        elif field.default is not dataclasses.MISSING:
            value = field.default
        elif field.default_factory is not dataclasses.MISSING:
            value = field.default_factory()
        else:
            raise InputError(key, "missing", f"{_describe(hint)} is expected")
        _in_domain(value, field.metadata, key)
        values[field.name] = value
    return cls(**values)


def _in_domain(value: Any, bounds: Mapping[str, Any], key: str) -> None:
    items = value if isinstance(value, tuple) else (value,)
    for name, (_, holds) in _BOUNDS.items():
        if name in bounds and not all(v is None or holds(v, bounds[name]) for v in items):
            signs = [f"{_BOUNDS[n][0]} {b:g}" for n, b in bounds.items()]
            raise InputError(key, value, f"a value {' and '.join(signs)} is expected")


def convert(hint: Any, value: Any, key: str) -> Any:
    """A value as a type wants it; one of several items may stand for a list of it.

    Raises:
        InputError: A value of another type.
    """
    if isinstance(value, Text):
        value = _parse(hint, value)
    found = _accept(hint, value)
    if found is _NO:
        raise InputError(key, value, f"{_describe(hint)} is expected")
    return found


_NO = object()


def _accept(hint: Any, value: Any) -> Any:
    """The value as the type wants it, or ``_NO``."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        found = (_accept(option, value) for option in inner)
        return next((v for v in found if v is not _NO), _NO)
    if origin is Literal:
        same = [option for option in inner if option == value and type(option) is type(value)]
        return same[0] if same else _NO
    if origin is tuple:
        items = [_accept(inner[0], v) for v in value] if isinstance(value, list | tuple) else [_NO]
        return _NO if _NO in items else tuple(items)
    if origin is list:
        items = [_accept(inner[0], v) for v in (value if isinstance(value, list) else [value])]
        return _NO if any(item is _NO for item in items) else items
    if dict in (origin, hint):
        return value if isinstance(value, dict) else _NO
    if isinstance(hint, type) and issubclass(hint, Enum):
        return value if isinstance(value, hint) else _NO
    if hint is float and type(value) in (int, float):
        return float(value) if math.isfinite(value) else _NO
    if hint is type(None):
        return None if value is None else _NO
    if hint in _WORDS:
        return value if type(value) is hint else _NO
    raise TypeError(f"a configuration cannot hold {hint}")


def _parse(hint: Any, text: str) -> Any:
    """Typed text as a value: as it stands where text is expected, else as TOML."""
    union = typing.get_origin(hint) in (Union, types.UnionType)
    if text == "none" and union and type(None) in typing.get_args(hint):
        return None
    if _accept(hint, str(text)) is not _NO:
        return str(text)
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return str(text)
    return parsed["value"] if len(parsed) == 1 else str(text)


def _describe(hint: Any) -> str:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(_describe(option) for option in inner)
    if origin is Literal:
        return "one of " + ", ".join(map(str, inner))
    if origin in (tuple, list):
        return f"a list, each {_describe(inner[0])},"
    if dict in (origin, hint):
        return "a mapping"
    if isinstance(hint, type) and issubclass(hint, Enum):
        return f"one of {', '.join(str(member.value) for member in hint)}"
    return "none" if hint is type(None) else _WORDS[hint]
