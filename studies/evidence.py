"""Evidence files of studies: what the page tells of the design, then a record a line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sailtheory.storage.files import write_text

Record = dict[str, Any]


def save(head: Record, runs: Iterable[Record], out: str) -> None:
    """The head and the runs as JSON, a run a line."""
    first = json.dumps(head, indent=1, ensure_ascii=False)[:-2]
    lines = ",\n".join(json.dumps(run, ensure_ascii=False) for run in runs)
    write_text(f'{first},\n "runs": [\n{lines}\n]\n}}\n', out, "out")


def rounded(value: Any) -> Any:
    """Six digits: more than any of it means."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list | tuple) else value
