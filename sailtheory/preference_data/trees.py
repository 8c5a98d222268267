"""OpenAssistant: trees of messages, in which replies to one message are ranked, 0 the best."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sailtheory.errors import InputError
from sailtheory.preference_data.item import (
    Choices,
    Dropped,
    Format,
    Item,
    Row,
    Turns,
    bad,
    finite,
    text_of,
)

__all__ = ["FORMATS"]

Rows = Iterator[tuple[str, Any]]

_ROLES = {"prompter": "user", "assistant": "assistant"}


def _replies(row: Row, _: Choices) -> Item:
    """The replies of one message, as :func:`_walk` gathers them."""
    if "lost" in row:
        raise Dropped(row["lost"], 0)
    answers = row["replies"]
    ranks: list[float | None] = []
    for answer in answers:
        rank = finite(answer.get("rank"))
        if rank is not None and rank < 0:
            raise bad("rank", answer["rank"], "a rank from 0, the best, is expected")
        ranks.append(None if rank is None else -rank)
    faults = {
        place: "the message was deleted"
        for place, answer in enumerate(answers)
        if answer.get("deleted")
    }
    texts = [answer.get("text") for answer in answers]
    return Item(row["path"], texts, ranks, id=row["id"], faults=faults)


def _of_trees(rows: Rows) -> Iterable[tuple[str, Any]]:
    for where, row in rows:
        yield from _walk(where, row.get("prompt"))


def _walk(where: str, root: Any) -> Rows:
    """Every message of a tree that the assistant answers, with the conversation up to it."""
    waiting: list[tuple[Any, Turns]] = [(root, ())]
    while waiting:
        message, above = waiting.pop()
        replies = _messages(message, where)
        if message.get("deleted"):
            if replies:
                yield where, {"lost": "what follows a deleted message"}
            continue
        here = (*above, (_ROLES.get(str(message.get("role")), "user"), message["text"]))
        answers = [reply for reply in replies if reply.get("role") == "assistant"]
        if answers:
            yield where, {"path": here, "replies": answers, "id": text_of(message, "message_id")}
        waiting += [(r, here) for r in replies if isinstance(r.get("text"), str)]


def _messages(message: Any, where: str) -> list[Mapping[str, Any]]:
    """The replies to a message that is one."""
    accepted = "messages with text, role and replies are expected"
    if not isinstance(message, Mapping) or not isinstance(message.get("text"), str):
        raise InputError(f"{where} message", message, accepted)
    replies = message.get("replies") or []
    if not isinstance(replies, list) or not all(isinstance(r, Mapping) for r in replies):
        raise InputError(f"{where} replies", replies, accepted)
    return replies


def _of_messages(rows: Rows) -> Iterable[tuple[str, Any]]:
    """Flat messages with ``parent_id``, made into trees."""
    messages: dict[str, dict[str, Any]] = {}
    for where, row in rows:
        key = row.get("message_id")
        if not isinstance(key, str) or key in messages:
            raise InputError(f"{where} message_id", key, "a text, each once, is expected")
        parent = row.get("parent_id")
        if parent is not None and not isinstance(parent, str):
            raise InputError(f"{where} parent_id", parent, "a text or null is expected")
        messages[key] = {**row, "replies": [], "where": where}
    for message in messages.values():
        parent = message.get("parent_id")
        if parent in messages:
            messages[parent]["replies"].append(message)
        elif parent is not None:
            yield message["where"], {"lost": "a message whose parent is not there"}
    for message in messages.values():
        if message.get("parent_id") is None:
            yield from _walk(message["where"], message)


FORMATS = (
    Format(
        "oasst-trees", "rank: 0 is best", "scores",
        lambda row: "message_tree_id" in row and isinstance(row.get("prompt"), Mapping),
        _replies, relative=True, gather=_of_trees,
    ),
    Format(
        "oasst-messages", "rank: 0 is best", "scores",
        lambda row: {"message_id", "parent_id", "text", "role", "rank"} <= row.keys(),
        _replies, relative=True, gather=_of_messages,
    ),
)  # fmt: skip
