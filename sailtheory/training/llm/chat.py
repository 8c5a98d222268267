"""Where texts and chat templates meet a tokenizer: each special token is written once.

A template writes its own special tokens, so what it renders is tokenised without the
tokenizer's. A plain text gets the tokenizer's own, unless it begins or ends with them already.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2 import TemplateError

from sailtheory.errors import InputError

__all__ = [
    "EXTRAS",
    "Name",
    "completion_ids",
    "completion_text",
    "ended",
    "extras_of",
    "judged_ids",
    "prompt_ids",
    "require_extras",
    "without_none",
]

Ids = list[int]
Name = Callable[[str], str]
"""What a part of a row is called in an error message, such as ``prompt`` → ``prompt[3]``."""

EXTRAS = ("tools", "chat_template_kwargs")
"""Columns that a chat template reads beside the messages."""


def prompt_ids(prompt: Any, tokenizer: Any, extras: Mapping[str, Any], name: Name) -> Ids:
    """The tokens after which a completion begins.

    Args:
        prompt: Text, or messages; where the last is the assistant's it is continued.
        tokenizer: As of transformers.
        extras: Of :func:`extras_of`.
        name: For error messages.

    Raises:
        InputError: No chat template, or one that cannot render the messages.
    """
    if isinstance(prompt, str):
        before, plain, _ = _framed(prompt, tokenizer)
        return before + plain
    continued = prompt[-1]["role"] == "assistant"
    options = {"continue_final_message": continued, "add_generation_prompt": not continued}
    return _rendered(prompt, tokenizer, name("prompt"), **options, **extras)


def completion_ids(
    prompt: Any, completion: Any, tokenizer: Any, extras: Mapping[str, Any], end: Sequence[int],
    name: Name,
) -> Ids:  # fmt: skip
    """The tokens of a completion, ended once, as the model ends its own.

    Args:
        prompt: As :func:`prompt_ids`.
        completion: Text, or messages of the assistant.
        tokenizer: As of transformers.
        extras: Of :func:`extras_of`.
        end: Ids that end a completion.
        name: For error messages.

    Raises:
        InputError: As :func:`prompt_ids`; or a template that renders the prompt otherwise
            where a completion follows it.
    """
    if isinstance(completion, str):
        ids = list(tokenizer(completion, add_special_tokens=False)["input_ids"])
    else:
        before = prompt_ids(prompt, tokenizer, extras, name)
        whole = _rendered(prompt + completion, tokenizer, name("prompt"), **extras)
        if whole[: len(before)] != before:
            accepted = "a template that only appends, and no token across the two"
            raise InputError(name("prompt"), "other tokens before a completion", accepted)
        ids = whole[len(before) :]
        last = max((place for place, token in enumerate(ids) if token in end), default=-1)
        if not tokenizer.decode(ids[last + 1 :]).strip():  # templates end with a line break
            ids = ids[: last + 1] or ids
    return ended(ids, tokenizer, end)


def ended(ids: Ids, tokenizer: Any, end: Sequence[int]) -> Ids:
    """The tokens with one that ends a completion at last, the tokenizer's own if they have none."""
    if ids and ids[-1] in end:
        return ids
    own = tokenizer.eos_token_id
    return [*ids, end[0] if own is None else own]


def judged_ids(
    prompt: Any, completion: Any, tokenizer: Any, extras: Mapping[str, Any], name: Name
) -> Ids:
    """What a classifier reads: the prompt with its completion.

    Raises:
        InputError: As :func:`prompt_ids`.
    """
    if isinstance(prompt, str):
        before, plain, after = _framed(prompt + completion, tokenizer)
        return before + plain + after
    if prompt[-1]["role"] == "assistant":
        begun = prompt[-1]["content"] + completion[0]["content"]
        return _rendered(
            [*prompt[:-1], {**prompt[-1], "content": begun}], tokenizer, name("prompt"), **extras
        )
    return _rendered(prompt + completion, tokenizer, name("prompt"), **extras)


def completion_text(prompt: Sequence[int], ids: Sequence[int], tokenizer: Any, chat: bool) -> str:
    """What was drawn, as text that can be put behind the prompt.

    Some tokenizers drop the space before the first word of what they decode: where the prompt
    is plain text, the two are decoded together.
    """
    plain: str = tokenizer.decode(list(ids), skip_special_tokens=True)
    if chat:
        return plain
    before: str = tokenizer.decode(list(prompt), skip_special_tokens=True)
    whole: str = tokenizer.decode([*prompt, *ids], skip_special_tokens=True)
    return whole[len(before) :] if whole.startswith(before) else plain


def extras_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a chat template: the columns ``tools`` and ``chat_template_kwargs``."""
    tools = row.get("tools")
    found = {"tools": json.loads(tools) if isinstance(tools, str) else tools} if tools else {}
    return dict(without_none(found | dict(row.get("chat_template_kwargs") or {})))


def without_none(value: Any) -> Any:
    """Without the keys that are None, which tables of messages and tools add."""
    if isinstance(value, Mapping):
        return {k: without_none(v) for k, v in value.items() if v is not None}
    return [without_none(v) for v in value] if isinstance(value, list | tuple) else value


def require_extras(row: Mapping[str, Any], prompt: Any, tokenizer: Any, name: Name) -> None:
    """Refuse such columns that the prompt would not show.

    Raises:
        InputError: Tools that are no list of schemas; an option that is not the template's
            own; either beside a plain text, or unknown to the chat template.
    """
    given = [column for column in EXTRAS if row.get(column)]
    if not given:
        return
    if isinstance(prompt, str):
        raise InputError(name(given[0]), "beside a text", "messages, which a template renders")
    try:
        extras, options = extras_of(row), dict(row.get("chat_template_kwargs") or {})
    except (TypeError, ValueError):
        raise InputError(name(given[0]), row[given[0]], "JSON, or a mapping of options") from None
    tools = extras.get("tools", [])
    if not isinstance(tools, list) or not all(isinstance(tool, Mapping) for tool in tools):
        raise InputError(name("tools"), tools, "a list of JSON schemas")
    own = {*inspect.signature(tokenizer.apply_chat_template).parameters} - {"documents"}
    for option in own.intersection(options):
        column = f"chat_template_kwargs.{option}"
        raise InputError(name(column), options[option], "variables of the template alone")
    for option in extras:
        known = tokenizer.chat_template
        if isinstance(known, str) and not re.search(rf"\b{re.escape(option)}\b", known):
            accepted = f"a chat template that reads {option}"
            raise InputError(name("tools" if option == "tools" else EXTRAS[1]), option, accepted)


def _framed(text: str, tokenizer: Any) -> tuple[Ids, Ids, Ids]:
    """A text's tokens between those special ones that the tokenizer adds and the text lacks."""
    whole = list(tokenizer(text)["input_ids"])
    plain = list(tokenizer(text, add_special_tokens=False)["input_ids"])
    for start in range(len(whole) - len(plain) + 1):
        if whole[start : start + len(plain)] == plain:
            break
    else:
        return [], whole, []
    before, after = whole[:start], whole[start + len(plain) :]
    return (
        [] if plain[: len(before)] == before else before,
        plain,
        [] if after and plain[-len(after) :] == after else after,
    )


def _rendered(messages: Any, tokenizer: Any, field: str, **options: Any) -> Ids:
    if tokenizer.chat_template is None:
        raise InputError(field, "messages", "a tokenizer with a chat template, or plain text")
    try:
        found = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, **options)
    except (TemplateError, TypeError, ValueError) as error:
        reason = f"messages that the chat template renders: {error}"
        raise InputError(field, messages, reason) from None
    return list(found["input_ids"])
