"""May these runs be compared? Arms may differ in what their methods declare, and in nothing else.

Three faults of published comparisons are looked for: arms with different budgets, keys that
nobody reads, and arms of different names that are one algorithm.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sailtheory.errors import InputError
from sailtheory.runs.read import Record

__all__ = ["ArmDiff", "Difference", "diff"]

ABSENT = "absent"
_ALWAYS = ("method", "seed")


@dataclass(frozen=True)
class Difference:
    """A key in which runs differ.

    Attributes:
        key: Dotted key of the configuration, or ``spent/...`` for what was used.
        values: Value by folder of the run; by arm where the difference is declared.
    """

    key: str
    values: dict[str, Any]

    def __str__(self) -> str:
        groups: dict[str, list[str]] = {}
        for run, value in self.values.items():
            groups.setdefault(str(value), []).append(run)
        return f"{self.key}: " + "; ".join(f"{v} ({_few(runs)})" for v, runs in groups.items())


@dataclass(frozen=True)
class ArmDiff:
    """How runs differ, and whether they may be compared.

    Attributes:
        arms: Runs by arm: one method with one value of every declared key.
        allowed: Differences that the methods declare.
        refused: All others; runs with any cannot be compared.
        same: Statements about arms that are one algorithm under two names.
        unread: Declared keys that some finished run had but never read.
        versions: Differences in library versions, which are noted and not refused.
    """

    arms: dict[str, tuple[Record, ...]]
    allowed: tuple[Difference, ...]
    refused: tuple[Difference, ...]
    same: tuple[str, ...]
    unread: tuple[str, ...]
    versions: tuple[Difference, ...]

    def require(self) -> None:
        """Raise :class:`InputError` naming every key that forbids the comparison."""
        if self.refused:
            keys = ", ".join(difference.key for difference in self.refused)
            first = f"these runs cannot be compared; {self.refused[0]}"
            raise InputError("runs differ in", keys, first)


def diff(records: Sequence[Record]) -> ArmDiff:
    """Compare the configurations of runs, what they spent, and what they measured.

    A value may differ from that of other runs only where the run's method declares the
    key. Seeds differ freely between the runs of an arm, but none may come twice.

    Raises:
        InputError: Fewer than two runs, or one run named twice.
    """
    if len(records) < 2:
        raise InputError("runs", len(records), "at least two are expected")
    names = _names(records)
    keys = dict.fromkeys(key for record in records for key in record.config)
    declared: list[str] = []
    refused: list[Difference] = []
    for key in keys:
        values = [record.config.get(key, ABSENT) for record in records]
        if key in _ALWAYS or len(_distinct(values)) == 1:
            continue
        bound = [v for v, r in zip(values, records, strict=True) if key not in r.declared]
        if len(_distinct(bound)) <= 1:
            declared.append(key)
        else:
            refused.append(Difference(key, dict(zip(names, values, strict=True))))
    arms = _arms(records, declared)
    allowed = [
        Difference(key, {arm: runs[0].config.get(key, ABSENT) for arm, runs in arms.items()})
        for key in declared
    ]
    refused += _spent(records, names) + _repeated(arms)
    return ArmDiff(
        arms, tuple(allowed), tuple(refused), tuple(_same(arms)), tuple(_unread(records)),
        tuple(_versions(records, names)),
    )  # fmt: skip


def _names(records: Sequence[Record]) -> list[str]:
    folders = [record.folder for record in records]
    resolved = [folder.resolve() for folder in folders]
    for place, folder in enumerate(resolved):
        if folder in resolved[:place]:
            raise InputError("runs", folders[place], "each run once is expected")
    return [str(folder) for folder in folders]


def _few(runs: list[str]) -> str:
    return ", ".join(runs[:3]) + (f" and {len(runs) - 3} more" if len(runs) > 3 else "")


def _distinct(values: Iterable[Any]) -> list[str]:
    """Distinct values; 1, 1.0 and true are three."""
    return list(dict.fromkeys(map(repr, values)))


def _arms(records: Sequence[Record], declared: list[str]) -> dict[str, tuple[Record, ...]]:
    """Runs by method, and by declared keys where runs of one method differ in them."""
    methods: dict[str, list[Record]] = {}
    for record in records:
        methods.setdefault(record.method, []).append(record)
    arms: dict[str, list[Record]] = {}
    for method, runs in methods.items():
        varying = [k for k in declared if len(_distinct(r.config.get(k, ABSENT) for r in runs)) > 1]
        for run in runs:
            settings = ", ".join(f"{k}={run.config.get(k, ABSENT)}" for k in varying)
            arms.setdefault(f"{method} ({settings})" if settings else method, []).append(run)
    return {name: tuple(runs) for name, runs in arms.items()}


def _spent(records: Sequence[Record], names: list[str]) -> list[Difference]:
    """What finished runs used; a method that uses none of a thing does not log it."""
    last: dict[str, dict[str, str]] = {}
    for record, name in zip(records, names, strict=True):
        if record.finished:
            for _, key, value in record.rows:
                if key.startswith("spent/"):
                    last.setdefault(key, {})[name] = value
    return [Difference(key, used) for key, used in last.items() if len(set(used.values())) > 1]


def _repeated(arms: dict[str, tuple[Record, ...]]) -> list[Difference]:
    found = []
    for name, runs in arms.items():
        seeds = [run.seed for run in runs]
        twice = {str(run.folder): run.seed for run in runs if seeds.count(run.seed) > 1}
        if twice:
            found.append(Difference(f"seed (twice in {name})", twice))
    return found


def _never_read(runs: Sequence[Record]) -> set[str] | None:
    """Keys that none of the runs read; None when that was not recorded."""
    recorded = [set(run.unread) for run in runs if run.unread is not None]
    return set.intersection(*recorded) if recorded else None


def _same(arms: dict[str, tuple[Record, ...]]) -> list[str]:
    """Arms that are one algorithm, by what they read or by what they measured."""
    found = []
    for (one, first), (other, second) in itertools.combinations(arms.items(), 2):
        a, b = first[0].config, second[0].config
        keys = [k for k in dict.fromkeys([*a, *b]) if k != "seed" and a.get(k) != b.get(k)]
        unread = _never_read([*first, *second])
        if unread is not None and set(keys) <= unread:
            found.append(f"{one} and {other} are one algorithm: nothing reads {', '.join(keys)}")
            continue
        pairs = [(r, s) for r in first for s in second if r.seed == s.seed]
        equal = [r.seed for r, s in pairs if _same_numbers(r, s)]
        if pairs and len(equal) == len(pairs):
            seeds = ", ".join(map(str, equal))
            found.append(f"{one} and {other} measured the same numbers, bit for bit (seed {seeds})")
    return found


def _same_numbers(a: Record, b: Record) -> bool:
    """Whether all metrics that both logged agree, some of them numbers that could differ.

    Those are decimals other than 0 after the first step logged: until then nothing may have
    been learned, and what equals 0 may be 0 for every method.
    """
    common = set(a.names()) & set(b.names())
    one, other = (sorted(row for row in run.rows if row[1] in common) for run in (a, b))
    later = [value for step, _, value in one if step > one[0][0]]
    return one == other and any(map(_measured, later))


def _measured(value: str) -> bool:
    """A finite number that is neither a count nor 0."""
    try:
        number = float(value)
    except ValueError:
        return False
    return not value.lstrip("-").isdecimal() and math.isfinite(number) and number != 0


def _unread(records: Sequence[Record]) -> list[str]:
    """Declared keys that a method sets and no run of it reads."""
    found = []
    for method in dict.fromkeys(record.method for record in records):
        runs = [record for record in records if record.method == method]
        declared = {key for run in runs for key in run.declared}
        found += [f"{method}: {key}" for key in sorted(declared & (_never_read(runs) or set()))]
    return found


def _versions(records: Sequence[Record], names: list[str]) -> list[Difference]:
    libraries = dict.fromkeys(name for record in records for name in record.versions)
    found = []
    for library in libraries:
        used = [record.versions.get(library, ABSENT) for record in records]
        if len(set(used)) > 1:
            found.append(Difference(library, dict(zip(names, used, strict=True))))
    return found
