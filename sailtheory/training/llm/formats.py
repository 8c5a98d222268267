"""Rows in TRL's formats, brought into one form; what is no such row is refused by name.

| type | columns | what becomes of it |
|---|---|---|
| prompt-only | ``prompt`` | its completions are drawn |
| preference | ``chosen``, ``rejected``; ``prompt``, or the common beginning of both | pairs |
| prompt-completion | ``prompt``, ``completion`` | SFT |
| unpaired preference | these and ``label`` | SFT where the label is true |
| language modelling | ``messages`` | prompt and completion, which is the last message |
| language modelling | ``text`` | SFT on all of it |
| stepwise supervision | ``completions``, ``labels`` | refused |
| vision | ``image`` or ``images``, or contents of several parts | refused |

Each but the last two is text or messages. ``tools`` and ``chat_template_kwargs`` are read by
the chat template, every column by reward functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sailtheory.errors import InputError
from sailtheory.preference_data.turns import shared_length
from sailtheory.training.llm.chat import EXTRAS, Name, without_none

__all__ = ["Row", "in_one_form"]

Row = dict[str, Any]

COMPLETIONS = ("chosen", "rejected", "completion")
PARTS = ("prompt", *COMPLETIONS)
_OF_REWARDS = ("prompts", "completions", "completion_ids")
"""What reward functions are called with; no column can have these names."""


def in_one_form(raw: Any, name: Name) -> Row:
    """A row with ``prompt``, what it has of ``COMPLETIONS``, and its other columns; or ``text``.

    Args:
        raw: A row of one of the formats; None is as good as a missing column.
        name: What a part of the row is called in an error message.

    Returns:
        A prompt and completions that are all text or all messages, none of them empty;
        completions of messages are the assistant's. The result is its own form.

    Raises:
        InputError: No such row.
    """
    if not isinstance(raw, Mapping):
        raise InputError(name("row"), raw, "a mapping of columns is expected")
    row = {k: without_none(v) if k in (*PARTS, "messages", *EXTRAS) else v
           for k, v in raw.items() if v is not None}  # fmt: skip
    _refuse_other_types(row, name)
    if "messages" in row:
        row = _of_messages(row, name)
    pair = [row[part] for part in ("chosen", "rejected") if part in row]
    if len(pair) == 1:
        lacking = "rejected" if "chosen" in row else "chosen"
        raise InputError(name(lacking), "missing", "chosen and rejected go together")
    if pair and "completion" in row:
        raise InputError(name("completion"), "beside a pair", "chosen and rejected, or it")
    if "text" in row and not {*PARTS}.intersection(row):
        _require_text(row["text"], name("text"))
        return row
    if pair and ("prompt" not in row or _repeats(pair, row["prompt"])):
        row |= _explicit(row["chosen"], row["rejected"], name)
    if "prompt" not in row:
        accepted = f"one of TRL's formats; this row has {', '.join(sorted(map(str, raw)))}"
        raise InputError(name("prompt"), None, accepted)
    for part in PARTS:
        if part in row:
            _require_text(row[part], name(part))
    _require_one_kind(row, name)
    if "completion" in row and row.get("label") not in (None, True, False):
        raise InputError(name("label"), row["label"], "true or false, beside a completion")
    return row


def _refuse_other_types(row: Row, name: Name) -> None:
    for column in ("image", "images"):
        found = row.pop(column, [])
        if not (isinstance(found, list) and not found):
            raise InputError(name(column), "a picture", "text alone: pictures are not offered")
    if {"completions", "labels"} <= set(row):
        raise InputError(name("completions"), "stepwise supervision", "a type that is offered")
    for column in _OF_REWARDS:
        if column in row:
            raise InputError(name(column), "a column", "another name: rewards are called with it")


def _of_messages(row: Row, name: Name) -> Row:
    """The last message is the completion; beside pairs, and beside a prompt, they repeat it."""
    messages = row.pop("messages")
    if "chosen" in row or "completion" in row:
        given, before = row.get("chosen", row.get("completion")), row.get("prompt")
        if messages != given and not (
            isinstance(before, list) and isinstance(given, list) and messages == before + given
        ):
            raise InputError(name("messages"), "another text", "the prompt with its completion")
        return row
    _require_text(messages, name("messages"))
    if isinstance(messages, str) or len(messages) < 2:
        raise InputError(name("messages"), messages, "two messages or more")
    if messages[-1]["role"] != "assistant":
        raise InputError(name("messages"), "ends otherwise", "a message of the assistant at last")
    if "prompt" in row and not _repeats([messages], row["prompt"]):
        raise InputError(name("messages"), "another prompt", "those that begin with the prompt")
    return row | {"prompt": messages[:-1], "completion": messages[-1:]}


def _repeats(conversations: list[Any], prompt: Any) -> bool:
    """Whether all of the conversations begin with what is also given as their prompt."""
    begun = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    return all(isinstance(c, list) and c[: len(begun)] == begun for c in conversations)


def _explicit(chosen: Any, rejected: Any, name: Name) -> Row:
    """A pair with its prompt: whole messages; of texts whole words, up to the assistant's turn."""
    if type(chosen) is not type(rejected):
        raise InputError(name("chosen and rejected"), "of two kinds", "both text, or both messages")
    shared = next((i for i, (a, b) in enumerate(zip(chosen, rejected, strict=False)) if a != b), -1)
    if shared < 0:
        accepted = "two that differ after their prompt"
        raise InputError(name("chosen and rejected"), "one begins with the other", accepted)
    if isinstance(chosen, str):
        shared = shared_length(chosen, rejected)
    if shared <= 0:
        raise InputError(name("prompt"), "no prompt", "one, or a common beginning of both")
    return {"prompt": chosen[:shared], "chosen": chosen[shared:], "rejected": rejected[shared:]}


def _require_text(value: Any, field: str) -> None:
    """Text that is not blank, or messages that are not."""
    if isinstance(value, str):
        if not value.strip():
            raise InputError(field, value or "empty", "text that is not blank")
        return
    if not isinstance(value, list) or not value:
        raise InputError(field, "empty" if value == [] else value, "text or a list of messages")
    for message in value:
        if not isinstance(message, Mapping) or not {"content", "tool_calls"} & set(message):
            raise InputError(field, message, "messages with role and content")
        if not isinstance(message.get("role"), str):
            raise InputError(field, message, "messages with role and content")
        content = message.get("content", "")
        if not isinstance(content, str):
            raise InputError(field, content, "contents of text alone: pictures are not offered")
        if not (content.strip() or message["role"] == "system" or message.get("tool_calls")):
            raise InputError(field, content or "empty", "text that is not blank")


def _require_one_kind(row: Row, name: Name) -> None:
    """Completions as the prompt is: text behind text, the assistant's messages behind messages."""
    prompt = row["prompt"]
    for part in COMPLETIONS:
        if part not in row:
            continue
        if isinstance(row[part], str) != isinstance(prompt, str):
            kinds = ("messages", "text") if isinstance(prompt, str) else ("text", "messages")
            raise InputError(name(part), kinds[0], f"{kinds[1]}, as its prompt is")
        if isinstance(prompt, str):
            continue
        for message in row[part]:
            if message["role"] != "assistant":
                raise InputError(name(part), f"of the {message['role']}", "of the assistant alone")
        if prompt[-1]["role"] == "assistant":
            raise InputError(name("prompt"), "ends with the assistant", "the turn before it")
    if not isinstance(prompt, str) and prompt[-1]["role"] == "assistant":
        if not prompt[-1].get("content", "").strip():
            raise InputError(name("prompt"), "ends with a tool call", "its answer, or a text")
