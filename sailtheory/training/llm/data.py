"""Rows of preference data in TRL's format, from files and from the hub.

Known schemas, told apart by their fields:

- TRL: ``prompt``, ``chosen``, ``rejected``, each text or messages; the prompt may be
  implicit, the common beginning of both; ``prompt`` and ``completion``; ``prompt`` alone;
  ``messages``, of which the last is the completion.
- UltraFeedback, binarized: as TRL's, ``prompt`` repeated in ``chosen``, with scores;
  and as published by openbmb: ``instruction`` and ``completions`` with ``overall_score``.
- PKU-SafeRLHF: ``prompt``, ``response_0``, ``response_1`` and which one is better or safer.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sailtheory.errors import InputError
from sailtheory.extras import require_extra
from sailtheory.readers import DuplicateError, parse_json

Row = dict[str, Any]

TRL = {"prompt", "chosen", "rejected", "completion", "messages"}
_ULTRAFEEDBACK = {"prompt_id", "score_chosen", "score_rejected"}
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
        split: Of a data set of the hub.
        label: For PKU-SafeRLHF: the ``better`` or the ``safer`` response is preferred.

    Returns:
        Rows with ``prompt`` and what they have of ``chosen``, ``rejected``, ``completion``.

    Raises:
        InputError: In one line, with the file and line.
    """
    if label not in LABELS:
        raise InputError("label", label, f"one of {', '.join(LABELS)} is expected")
    if source == "prompts":
        from sailtheory.training.llm.prompts import conversations

        return [dict(row) for row in conversations("train")]
    if source.endswith((".jsonl", ".json")) or Path(source).is_file():
        return convert(_lines(Path(source)), source, label)
    return convert(enumerate(_hub(source, split)), source, label)


def convert(rows: Iterable[tuple[int, Any]], source: str, label: str = "better") -> list[Row]:
    """Numbered rows of any of the schemas in TRL's format.

    Raises:
        InputError: A row of no schema, an unknown field, an empty text, no row at all.
    """
    found = []
    for number, raw in rows:
        where = f"{source}:{number}"
        if not isinstance(raw, Mapping):
            raise InputError(where, raw, "a JSON object is expected")
        row = _as_trl({k: v for k, v in raw.items() if v is not None}, where, label)
        if row is not None:
            found.append(row)
    if not found:
        raise InputError("data", source, "no rows: one or more are expected")
    return found


def _as_trl(raw: Row, where: str, label: str) -> Row | None:
    fields = set(raw)
    if "response_0" in fields:
        _known(fields, {n.format(i) for n in _PKU for i in (0, 1)}, where)
        row = _pku(raw, where, label)
    elif "instruction" in fields:
        _known(fields, _OPENBMB, where)
        chosen = _openbmb(raw, where)
        if chosen is None:
            return None
        row = chosen
    else:
        _known(fields, TRL | _ULTRAFEEDBACK, where)
        row = _trl(raw, where)
    for name in ("prompt", "chosen", "rejected", "completion"):
        if name in row:
            _check_text(row[name], f"{where} {name}")
    if ("chosen" in row) != ("rejected" in row):
        raise InputError(where, sorted(row), "chosen and rejected go together")
    return row


def _known(fields: set[str], known: set[str], where: str) -> None:
    unknown = sorted(fields - known)
    if unknown:
        raise InputError(f"{where} {unknown[0]}", "unknown field", f"one of {sorted(known)}")


def _trl(raw: Row, where: str) -> Row:
    row: Row = {k: raw[k] for k in ("prompt", "chosen", "rejected", "completion") if k in raw}
    if "messages" in raw and not {"chosen", "rejected", "completion"} & set(raw):
        messages = raw["messages"]
        if not isinstance(messages, list) or len(messages) < 2:
            raise InputError(f"{where} messages", messages, "two messages or more")
        return {"prompt": messages[:-1], "completion": messages[-1:]}
    pair = [row[name] for name in ("chosen", "rejected") if name in row]
    if len(pair) == 2 and type(pair[0]) is not type(pair[1]):
        raise InputError(where, "chosen and rejected", "both text, or both messages")
    prompt = row.get("prompt")
    if len(pair) == 2 and (prompt is None or (isinstance(prompt, str) and _repeats(pair, prompt))):
        row |= _explicit(pair[0], pair[1], where)
    if "prompt" not in row:
        raise InputError(where, sorted(raw), "a prompt is expected")
    return row


def _repeats(pair: list[Any], prompt: str) -> bool:
    """Whether both conversations begin with a text that is also given as the prompt."""
    return all(
        isinstance(c, list) and len(c) > 1 and isinstance(c[0], dict)
        and c[0].get("role") == "user" and c[0].get("content") == prompt
        for c in pair
    )  # fmt: skip


def _explicit(chosen: Any, rejected: Any, where: str) -> Row:
    """The common beginning of both as their prompt; of texts, up to a space or line break."""
    shared = 0
    for a, b in zip(chosen, rejected, strict=False):
        if a != b:
            break
        shared += 1
    else:
        raise InputError(where, "chosen and rejected", "two that differ after their prompt")
    if isinstance(chosen, str):
        while shared and not chosen[shared - 1].isspace():
            shared -= 1
        shared -= chosen[shared - 1 : shared] == " "  # the space belongs to what follows
    if shared <= 0:
        raise InputError(where, "no prompt", "one, or a common beginning of both")
    return {"prompt": chosen[:shared], "chosen": chosen[shared:], "rejected": rejected[shared:]}


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


def _check_text(value: Any, field: str) -> None:
    """Text that is not blank, or messages that are not."""
    messages = [{"role": "", "content": value}] if isinstance(value, str) else value
    if not isinstance(messages, list) or not messages:
        raise InputError(field, value or "empty", "text or a list of messages")
    for message in messages:
        if not (isinstance(message, dict) and set(message) >= {"role", "content"}):
            raise InputError(field, message, "messages with role and content")
        if not isinstance(message["content"], str) or not message["content"].strip():
            raise InputError(field, message["content"] or "empty", "text that is not blank")


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
