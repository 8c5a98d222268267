"""From preference data to a problem folder, with a report of what was read and left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.extras import require_extra
from sailtheory.preference_data.collect import Collected, collect_file
from sailtheory.preference_data.embed import discard, embed
from sailtheory.preference_data.features import from_column, from_npy, is_file, vectors_of
from sailtheory.preference_data.item import Choices
from sailtheory.preference_data.measure import measure
from sailtheory.preference_data.preferences import Preferred, Rule, preferred
from sailtheory.preference_data.rewarded import Rewarded, rewarded
from sailtheory.problem.folder import ProblemFolder
from sailtheory.problem.folder_write import require_replaceable, with_report, write_folder

__all__ = ["Request", "build"]


@dataclass(frozen=True)
class Request:
    """What a user asks of an import.

    Attributes:
        source: A file, a saved data set, or one of the hub.
        out: The folder to write.
        beta: β.
        radius: B.
        features: A column, or a file that ends in .npy; or
        embedder: ``minilm``, or a model whose hidden states are the features.
        rule: How preferences come from scores or labels.
        comparisons: Held-out comparisons for ``--temperature fit``.
        format: A name, where it is not to be detected.
        split: Of a data set that has several.
        config: Of a data set of the hub.
        choices: The score and the label that count.
        drop_bad: Wrong rows are left out and counted.
        limit: How many rows to read.
        response_rewards: The scores are rewards of training: no preferences are made, and β is
            none of the problem's.
        center: c, (d,).
        ref_params: θ_ref, (d,).
    """

    source: str
    out: str
    beta: float
    radius: float
    features: str | None = None
    embedder: str | None = None
    rule: Rule = field(default_factory=Rule)
    comparisons: str | None = None
    format: str | None = None
    split: str | None = None
    config: str | None = None
    choices: Choices = field(default_factory=Choices)
    drop_bad: bool = False
    limit: int | None = None
    response_rewards: bool = False
    center: np.ndarray | None = None
    ref_params: np.ndarray | None = None


def build(request: Request, progress: Callable[[str], None] = lambda stage: None) -> ProblemFolder:
    """Read, embed and write.

    Returns:
        The folder; its report says what was read, merged, left out and measured.

    Raises:
        InputError: In one line: the row, the column or the option.
    """
    require_replaceable(request.out)
    if (request.features is None) == (request.embedder is None):
        found = "both" if request.features else "neither"
        raise InputError("features", found, "one of --features and --embed is expected")
    if request.embedder is not None:
        require_extra("embed", "torch", "transformers", "safetensors")
    progress("reading")
    data = collect_file(
        request.source, format=request.format, split=request.split, config=request.config,
        choices=request.choices, vectors=_column(request), drop_bad=request.drop_bad,
        limit=request.limit,
    )  # fmt: skip
    stated = _stated(request, data, progress)
    blocks, about = _features(request, data, progress)
    progress("writing")
    counts = [len(prompt.responses) for prompt in data.prompts]
    folder = write_folder(
        request.out, features=blocks, offsets=np.concatenate([[0], np.cumsum(counts)]),
        beta=request.beta, radius=request.radius, **_arrays(stated),
        center=request.center, ref_params=request.ref_params,
        ids=[prompt.id for prompt in data.prompts],
    )  # fmt: skip
    progress("measuring")
    discard(Path(request.out))
    report = _report(data, stated, about, measure(folder))
    return with_report(folder, report)


def _stated(
    request: Request, data: Collected, progress: Callable[[str], None]
) -> Preferred | Rewarded:
    """What the data say of responses: preferences, or rewards as they are."""
    if request.response_rewards:
        return rewarded(data, request.rule, request.comparisons)
    held_out = None
    if request.comparisons is not None:
        progress("reading the comparisons")
        held_out = collect_file(request.comparisons, drop_bad=request.drop_bad)
    return preferred(data, request.rule, held_out)


def _arrays(stated: Preferred | Rewarded) -> dict[str, Any]:
    if isinstance(stated, Rewarded):
        return {"response_rewards": np.concatenate(stated.values)}
    return {
        "rewards": None if stated.rewards is None else np.concatenate(stated.rewards),
        "preferences": stated.matrices, "counts": stated.counts, "temperature": stated.temperature,
    }  # fmt: skip


def _report(
    data: Collected,
    stated: Preferred | Rewarded,
    features: dict[str, Any],
    measured: dict[str, Any],
) -> dict[str, Any]:
    """The report of an import, as JSON; names are stable."""
    return {
        "source": data.source,
        "format": data.format.name,
        "format_named": data.forced,
        "direction": data.direction,
        "rows": data.rows,
        "dropped": [
            {"what": key[0], "reason": key[1], "count": count, "first": data.examples[key]}
            for key, count in sorted(data.dropped.items())
        ],
        "notes": [
            {"note": note, "count": count}
            for note, count in sorted((data.merged + stated.notes).items())
        ],
        "preferences": stated.rule,
        "estimate": _estimate(stated),
        "temperature": None if isinstance(stated, Rewarded) else stated.temperature,
        "features": features,
        "data": measured,
    }


def _estimate(stated: Preferred | Rewarded) -> dict[str, str] | None:
    """The number that says how p follows from counts; as text, since ∞ is no JSON number."""
    if isinstance(stated, Rewarded) or stated.estimate is None:
        return None
    return {k: repr(v) for k, v in vars(stated.estimate).items() if v is not None}


def _column(request: Request) -> Any:
    if request.features is None or is_file(request.features):
        return None
    return vectors_of(request.features)


def _features(
    request: Request, data: Collected, progress: Callable[[str], None]
) -> tuple[np.ndarray | Iterable[np.ndarray], dict[str, Any]]:
    if request.embedder is not None:
        progress(f"features by {request.embedder}")
        return embed(data.prompts, request.embedder, Path(request.out), progress)
    name = str(request.features)
    if is_file(name):
        return from_npy(name, data), {"from": f"file {name}"}
    return from_column(data), {"from": f"column {name}"}
