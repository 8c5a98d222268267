"""What is committed of the runs of studies.control_arms, and whether they may be compared.

A run is committed with its settings and with what it spent, so runs from several machines can
be compared by the rules of ``sailtheory train diff`` from the JSON file alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sailtheory.compare.arms import diff
from sailtheory.errors import InputError
from sailtheory.runs.read import Record

Data = dict[str, Any]
SHOWN = (
    "eval/return",
    "eval/success",
    "reward/accuracy",
    "loss/actor/kl_ref_policy",
    "sail/margin",
    "sail/score_coefficient",
)


def summary(record: Record) -> dict[str, Any]:
    """What of a finished run is committed: settings, what it spent, curves.

    ``settings`` are those that the training read, but for the seed; ``unread`` are the others.
    """
    assert record.unread is not None
    read = {key: value for key, value in record.config.items() if key not in record.unread}
    del read["seed"]
    curves = {}
    for name in SHOWN:
        if name in record.names():
            steps, values = record.series(name)
            curves[name] = [steps.tolist(), [round(float(v), 6) for v in values]]
    spent = {name: record.series(name)[1][-1] for name in record.names() if _is_spent(name)}
    return {
        "seed": record.seed, "settings": read,
        "unread": {key: record.config[key] for key in record.unread},
        "declared": list(record.declared), "spent": spent, "curves": curves,
        "versions": record.versions,
    }  # fmt: skip


def _is_spent(name: str) -> bool:
    return name.startswith("spent/")


def merge(data: Data, found: Data) -> None:
    """Add runs to the committed ones; a run that is there already stays as it is."""
    for name, tasks in found.items():
        for task, arms in tasks.items():
            for arm, runs in arms.items():
                held = data.setdefault(name, {}).setdefault(task, {}).setdefault(arm, [])
                held += [r for r in runs if r["seed"] not in {h["seed"] for h in held}]
                held.sort(key=lambda r: r["seed"])


def check(data: Data, together: Iterable[Iterable[str]]) -> None:
    """Refuse committed runs that cannot be compared.

    The runs of an arm have the same settings but for the seed; those of all arms differ in
    what their methods declare alone, and have spent the same. Settings that a run has never
    read changed nothing in it and are not compared.

    Args:
        data: Runs by plan, task and arm.
        together: Plans whose runs on one task are compared with one another.

    Raises:
        InputError: The keys in which they differ.
    """
    for plans in together:
        tasks: dict[str, list[Record]] = {}
        for name in plans:
            for task, arms in data.get(name, {}).items():
                for arm, runs in arms.items():
                    records = [_record(run, Path(name, task, arm), task, arm) for run in runs]
                    tasks.setdefault(task, []).extend(records)
                    _same_settings(records)
        for records in tasks.values():
            if len(records) > 1:
                diff(records).require()


def _same_settings(records: list[Record]) -> None:
    """Within an arm not even a declared key may differ."""
    if len(records) < 2:
        return
    found = diff(records)
    found.require()
    if found.allowed:
        keys = ", ".join(difference.key for difference in found.allowed)
        raise InputError("runs differ in", keys, f"one arm is expected; {found.allowed[0]}")


def _record(run: dict[str, Any], arm: Path, task: str, method: str) -> Record:
    """A committed run as its folder would tell it."""
    place = arm / f"seed-{run['seed']}"
    if "settings" not in run:
        raise InputError(str(place), "a run without settings", "collect it again from its folder")
    settings = run["settings"]
    for key, wanted in (("task", task), ("method", method)):
        if settings.get(key) != wanted:
            raise InputError(f"{place}: {key}", settings.get(key), f"{wanted} is expected")
    last = run["curves"]["eval/return"][0][-1]
    return Record(
        place, settings | {"seed": run["seed"]}, tuple(run["declared"]), tuple(run["unread"]),
        True, run["versions"], [(last, name, str(value)) for name, value in run["spent"].items()],
    )  # fmt: skip
