"""Conversations: messages, transcripts, and where the last response begins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sailtheory.preference_data.item import Dropped, Turns, bad, is_text

__all__ = [
    "DIFFER",
    "NEXT_TURN",
    "NOT_THE_ASSISTANT",
    "TURN",
    "of_messages",
    "of_prompt",
    "of_transcript",
    "shared_length",
    "split_messages",
    "user",
]

TURN = re.compile(
    r"^[^\S\n]*(?:#+ *)?(?:assistant|ai|bot|chatbot|model|answer|response)[^\S\n]*:"
    r"|<\|(?:im_start|start_header_id)\|>assistant(?:<\|end_header_id\|>)?\n*"
    r"|<\|[^|>\n]*assistant[^|>\n]*\|>\n?|<start_of_turn>model\n|\[/INST\]",
    re.IGNORECASE | re.MULTILINE,
)
"""Where the turn of an assistant begins in a written-out conversation."""

NEXT_TURN = re.compile(
    r"^[^\S\n]*(?:#+ *)?(?:human|user|assistant|bot|chatbot)[^\S\n]*:"
    r"|<\|(?:im_start|start_header_id)\|>|<start_of_turn>|\[/?INST\]",
    re.IGNORECASE | re.MULTILINE,
)
"""Where any turn begins: what has one is more than a response."""

_SPEAKER = re.compile(r"(?:^|\n\n)(Human|Assistant|System): ?")
_ROLES = {"human": "user", "gpt": "assistant", "prompter": "user", "bot": "assistant"}
DIFFER = "the prompts of the two responses differ"
NOT_THE_ASSISTANT = "the last turn is not the assistant's"


def user(text: Any) -> Turns:
    """One message of the user.

    Raises:
        Dropped: No text.
    """
    reason = is_text(text, "prompt")
    if reason:
        raise Dropped(reason)
    return (("user", text.strip()),)


def of_prompt(prompt: Any) -> Turns:
    """A prompt that is text, a transcript, or messages."""
    if isinstance(prompt, str) and _SPEAKER.match(prompt):
        turns = of_transcript(prompt)
        return turns[:-1] if turns[-1] == ("assistant", "") else turns
    if isinstance(prompt, list):
        return of_messages(prompt)
    return user(prompt)


def of_transcript(text: str) -> Turns:
    r"""The turns of a text with ``\n\nHuman:`` and ``\n\nAssistant:`` in it."""
    marks = list(_SPEAKER.finditer(text))
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    roles = {"Human": "user", "Assistant": "assistant", "System": "system"}
    return tuple(
        (roles[mark[1]], text[mark.end() : end].strip())
        for mark, end in zip(marks, ends, strict=True)
    )


def of_messages(messages: Any, name: str = "messages") -> Turns:
    """Messages with role and content, or from and value; typed parts of text are joined.

    Raises:
        InputError: No messages.
        Dropped: A content that is no text, such as a picture.
    """
    if not isinstance(messages, list) or not messages:
        raise bad(name, messages, "a list of messages is expected")
    return tuple(_turn(message, name) for message in messages)


def _turn(message: Any, name: str) -> tuple[str, str]:
    if not isinstance(message, Mapping):
        raise bad(name, message, "messages with role and content are expected")
    role = message.get("role", message.get("from"))
    content = message.get("content", message.get("value"))
    if not isinstance(role, str):
        raise bad(name, message, "messages with role and content are expected")
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, Mapping)]
        if len(parts) < len(content) or any(part.get("type") != "text" for part in parts):
            raise Dropped("a message has a part that is no text")
        content = "".join(str(part.get("text") or "") for part in parts)
    if content is not None and not isinstance(content, str):
        raise bad(name, content, "text, or parts of it, is expected as content")
    return _ROLES.get(role, role), content or ""


def split_messages(one: Turns, two: Turns) -> tuple[Turns, str, str]:
    """The shared prompt of two conversations, and the assistant's last message in each.

    Raises:
        Dropped: Either ends otherwise, or they differ before their ends.
    """
    if one[-1][0] != "assistant" or two[-1][0] != "assistant":
        raise Dropped(NOT_THE_ASSISTANT)
    if one[:-1] != two[:-1]:
        raise Dropped(DIFFER)
    if len(one) < 2:
        raise Dropped("there is no prompt")
    return one[:-1], one[-1][1], two[-1][1]


def shared_length(one: str, two: str) -> int:
    """How long the prompt is with which two texts begin: up to the assistant's turn.

    Where no turn is marked it ends at a word's end: two responses may begin alike, inside a word.
    """
    shared = next(
        (i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b),
        min(len(one), len(two)),
    )
    turns = [match.end() for match in TURN.finditer(one, 0, shared)]
    if turns:
        return turns[-1]
    while shared and not one[shared - 1].isspace():
        shared -= 1
    return shared - (one[shared - 1 : shared] == " ")  # the space belongs to what follows
