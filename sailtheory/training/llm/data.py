"""Rows of preference data from files and from the hub, in TRL's formats.

Known schemas, told apart by their fields:

- TRL's, see ``formats``, and UltraFeedback as binarized, with scores.
- UltraFeedback as published by openbmb: ``instruction`` and ``completions`` with
  ``overall_score``.
- PKU-SafeRLHF: ``prompt``, ``response_0``, ``response_1`` and which one is better or safer.
"""

from __future__ import annotations

import codecs
import math
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sailtheory.errors import InputError
from sailtheory.extras import require_extra
from sailtheory.storage.readers import DuplicateError, parse_json
from sailtheory.training.llm.formats import Row, in_one_form

__all__ = ["convert", "load_rows"]

_OPENBMB = {
    "source", "instruction", "models", "completions", "correct_answers", "incorrect_answers",
}  # fmt: skip
_PKU = ("prompt_source", "response_{}", "response_{}_source", "is_response_{}_safe",
        "response_{}_harm_category", "response_{}_severity_level", "response_{}_sha256",
        "better_response_id", "safer_response_id", "prompt")  # fmt: skip
LABELS = ("better", "safer")


def load_rows(source: str, split: str = "train", label: str = "better") -> list[Row]:
    """The rows of a JSONL file, of the shipped prompts, or of a data set of the hub.

    Args:
        source: A file that ends in .jsonl; ``prompts``; or a name of the hub.
        split: Of a data set of the hub; of the shipped prompts ``train`` or ``held-out``.
        label: For PKU-SafeRLHF: the ``better`` or the ``safer`` response is preferred.

    Returns:
        Rows as ``formats.in_one_form`` returns them.

    Raises:
        InputError: In one line, with the file and line.
    """
    if label not in LABELS:
        raise InputError("label", label, f"one of {', '.join(LABELS)} is expected")
    if source == "prompts":
        return convert(enumerate(_shipped(split)), source, label)
    if source.endswith((".jsonl", ".json")) or Path(source).is_file():
        if split != "train":
            raise InputError("split", split, "none: a file is taken as a whole")
        return convert(_lines(Path(source)), source, label)
    return convert(enumerate(_hub(source, split)), source, label)


def convert(rows: Iterable[tuple[int, Any]], source: str, label: str = "better") -> list[Row]:
    """Numbered rows of any of the schemas in one form.

    A warning says how many rows of openbmb's UltraFeedback have no best response.

    Raises:
        InputError: A row of no schema, an empty text, no row at all; a label that no row has.
    """
    found, tied, labelled = [], 0, False
    for number, raw in rows:
        where = f"{source}:{number}"
        if not isinstance(raw, Mapping):
            raise InputError(where, raw, "a JSON object is expected")
        row = {k: v for k, v in raw.items() if v is not None}
        fields = set(row)
        if "response_0" in fields:
            _known(fields, {n.format(i) for n in _PKU for i in (0, 1)}, where)
            row, labelled = _pku(row, where, label), True
        elif {"instruction", "completions"} <= fields:
            _known(fields, _OPENBMB, where)
            best = _openbmb(row, where)
            if best is None:
                tied += 1
                continue
            row = best

        def name(column: str, where: str = where) -> str:
            return f"{where} {column}"

        found.append(in_one_form(row, name))
    if tied:
        rows_left = f"{tied} of {tied + len(found)} rows left out"
        warnings.warn(f"{source}: {rows_left}: no response of theirs is best", stacklevel=2)
    if not found:
        raise InputError("data", source, "no rows: one or more are expected")
    if label != "better" and not labelled:
        raise InputError("label", label, "better, but for data of PKU-SafeRLHF")
    return found


def _known(fields: set[str], known: set[str], where: str) -> None:
    unknown = sorted(fields - known)
    if unknown:
        raise InputError(f"{where} {unknown[0]}", "unknown field", f"one of {sorted(known)}")


def _pku(raw: Row, where: str, label: str) -> Row:
    key = f"{label}_response_id"
    first = raw.get(key)
    if first not in (0, 1) or "prompt" not in raw or "response_1" not in raw:
        raise InputError(f"{where} {key}", first, "0 or 1, with a prompt and two responses")
    return {
        "prompt": [{"role": "user", "content": raw["prompt"]}],
        "chosen": [{"role": "assistant", "content": raw[f"response_{int(first)}"]}],
        "rejected": [{"role": "assistant", "content": raw[f"response_{1 - int(first)}"]}],
    }


def _openbmb(raw: Row, where: str) -> Row | None:
    """The best against the worst by overall score; None where all have one score."""
    given = raw.get("completions")
    try:
        scored = [(float(c["overall_score"]), c["response"]) for c in given or ()]
    except (TypeError, KeyError, ValueError):
        accepted = "objects with response and overall_score"
        raise InputError(f"{where} completions", given, accepted) from None
    if not all(math.isfinite(score) for score, _ in scored):
        raise InputError(f"{where} completions", "a score", "finite overall_score")
    if not scored:
        return None  # some rows of the published file have none
    best, worst = max(scored, key=lambda c: c[0]), min(scored, key=lambda c: c[0])
    if not best[0] > worst[0]:
        return None
    return {
        "prompt": [{"role": "user", "content": raw["instruction"]}],
        "chosen": [{"role": "assistant", "content": best[1]}],
        "rejected": [{"role": "assistant", "content": worst[1]}],
    }


def _shipped(split: str) -> Iterable[Any]:
    from sailtheory.training.llm.prompts import conversations

    if split not in ("train", "held-out"):
        raise InputError("split", split, "train or held-out")
    return conversations(split)


def _lines(path: Path) -> Iterable[tuple[int, Any]]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError("data", path, error.strerror or "it cannot be read") from None
    lines = content.removeprefix(codecs.BOM_UTF8).splitlines()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield number, parse_json(line.decode("utf-8"), finite=False)
        except (ValueError, RecursionError) as error:
            cut = number == len(lines) and not content.endswith(b"\n")
            reason = f"not JSON: {error}"
            if isinstance(error, DuplicateError):
                reason = str(error)
            elif cut:
                reason = "truncated: the last line is not complete"
            raise InputError("data", f"{path}:{number}", reason) from None


def _hub(name: str, split: str) -> Any:
    require_extra("llm", "datasets")
    from datasets import load_dataset

    try:
        return load_dataset(name, split=split)
    except Exception as error:  # whatever the library and the network may raise
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            "data", name,
            "a file that ends in .jsonl, `prompts`, or a data set that can be found: run "
            f"`hf download {name} --repo-type dataset` where there is a network ({reason})",
        ) from None  # fmt: skip
