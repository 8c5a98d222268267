"""OpenAssistant: trees of messages, in which replies to one message are ranked, 0 the best."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sailtheory.errors import InputError
from sailtheory.preference_data.item import Choices, Format, Item, Row, bad, finite

__all__ = ["FORMATS"]

_ROLES = {"prompter": "user", "assistant": "assistant"}


def _replies(row: Row, _: Choices) -> Item:
    """The replies of one message, as :func:`_of_trees` gathers them."""
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


def _of_trees(rows: Iterator[tuple[str, Any]]) -> Iterable[tuple[str, Any]]:
    for where, row in rows:
        yield from _walk(where, row["prompt"], ())


def _walk(where: str, root: Any, above: tuple[tuple[str, str], ...]) -> Iterator[tuple[str, Any]]:
    """Every message of a tree that has several replies of the assistant."""
    waiting = [(root, above)]
    while waiting:
        message, path = waiting.pop()
        if not isinstance(message, Mapping) or not isinstance(message.get("text"), str):
            raise InputError(f"{where} prompt", message, "messages with text and role are expected")
        if message.get("deleted"):
            continue
        here = (*path, (_ROLES.get(str(message.get("role")), "user"), message["text"]))
        replies = message.get("replies") or []
        answers = [reply for reply in replies if reply.get("role") == "assistant"]
        if len(answers) > 1:
            key = message.get("message_id")
            yield where, {"path": here, "replies": answers, "id": key and str(key)}
        waiting += [(reply, here) for reply in replies]


def _of_messages(rows: Iterator[tuple[str, Any]]) -> Iterable[tuple[str, Any]]:
    """Flat messages with ``parent_id``, made into trees."""
    messages: dict[Any, dict[str, Any]] = {}
    for where, row in rows:
        key = row.get("message_id")
        if key in messages:
            raise InputError(f"{where} message_id", key, "each id once is expected")
        messages[key] = {**row, "replies": [], "where": where}
    roots: list[dict[str, Any]] = []
    for message in messages.values():
        parent = messages.get(message.get("parent_id"))
        (roots if parent is None else parent["replies"]).append(message)
    for root in roots:
        if root.get("parent_id") is None:
            yield from _walk(root["where"], root, ())


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
