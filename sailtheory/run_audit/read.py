"""Reading RUN: a log, a record of ours, or a folder of TRL or transformers; both where both are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sailtheory.errors import InputError
from sailtheory.run_audit.checkpoints import of_folder, state_of
from sailtheory.run_audit.log_file import LOG, read_log
from sailtheory.run_audit.records import of_record
from sailtheory.run_audit.reward_lines import pass_rates_of
from sailtheory.run_audit.standing import Standing, holds
from sailtheory.run_audit.trace import Trace
from sailtheory.runs.layout import RECORD, RUN
from sailtheory.runs.read import read_record

__all__ = ["AUDIT", "read_run"]

AUDIT = "audit"
"""The folder of the log in that of a run."""
_ACCEPTED = (
    f"a folder with {LOG} (AuditLog, AuditCallback), {RUN} (sailtheory train), or "
    "trainer_state.json (TRL, transformers)"
)


def read_run(folder: str | Path) -> Trace:
    """What a run shows. What its log measured counts before what its record states.

    Raises:
        InputError: Nothing that can be read as a run, or files that are damaged.
    """
    folder = Path(folder)
    found = _read(folder)
    rewards, notes = pass_rates_of(folder)
    stated = dict(found.stated)
    if rewards is not None and stated.get("threshold", holds("")).standing is Standing.UNKNOWN:
        del stated["threshold"]  # the rewards say more
    return replace(found, stated=stated, rewards=rewards, notes=found.notes + notes)


def _read(folder: Path) -> Trace:
    place = next((p for p in (folder, folder / AUDIT) if (p / LOG).exists()), None)
    told = _told(folder, weights=place is None)
    if place is None:
        if told is None:
            raise InputError("run", folder, _ACCEPTED)
        return told
    log = read_log(place)
    rest = sorted(path.name for path in folder.glob(f"{AUDIT}-*") if (path / LOG).exists())
    if rest:
        log = replace(log, notes=(*log.notes, f"not read: {', '.join(rest)}, of resumed runs"))
    return log if told is None else _joined(log, told)


def _told(folder: Path, weights: bool) -> Trace | None:
    if any((place / RUN).exists() for place in (folder, folder / RECORD)):
        return of_record(read_record(folder))
    return None if state_of(folder) is None else of_folder(folder, weights)


def _joined(log: Trace, told: Trace) -> Trace:
    facts = replace(
        log.facts,
        beta=told.facts.beta if log.facts.beta is None else log.facts.beta,
        gamma=told.facts.gamma if log.facts.gamma is None else log.facts.gamma,
        score=told.facts.score if log.facts.score is None else log.facts.score,
    )  # fmt: skip
    decided = {
        key: found for key, found in told.stated.items() if found.standing is not Standing.UNKNOWN
    }
    return replace(
        log, kind=f"{log.kind}, with {told.kind}", facts=facts,
        stated=decided | dict(log.stated),
        series=dict(told.series) | dict(log.series),
        faults=told.faults + log.faults, spent=dict(told.spent) | dict(log.spent),
        notes=told.notes + log.notes,
    )  # fmt: skip
