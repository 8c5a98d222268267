"""Chatbot Arena: two conversations and a winner."""

from __future__ import annotations

from typing import Any

from sailtheory.preference_data.item import Choices, Dropped, Format, Item, Row, bad, column, pair
from sailtheory.preference_data.turns import of_messages, split_messages, user
from sailtheory.storage.readers import parse_json

__all__ = ["FORMATS"]

_SHARES = {"model_a": 1.0, "model_b": 0.0, "tie": 0.5}
_BOTH_BAD = ("tie (bothbad)", "both_bad", "bothbad")
_REMARK = "both bad: counted as ties"
SEVERAL_TURNS = "several turns: the two conversations share no prompt after the first"


def _arena(row: Row, _: Choices) -> Item:
    winner = column(row, "winner")
    if winner not in (*_SHARES, *_BOTH_BAD):
        accepted = f"one of {', '.join((*_SHARES, *_BOTH_BAD))} is expected"
        raise bad("winner", winner, accepted)
    remarks = (_REMARK,) if winner in _BOTH_BAD else ()
    both = [of_messages(column(row, name), name) for name in ("conversation_a", "conversation_b")]
    if any(sum(role == "user" for role, _ in turns) > 1 for turns in both):
        raise Dropped(SEVERAL_TURNS)
    return pair(*split_messages(*both), _SHARES.get(winner, 0.5), remarks=remarks)


def _arena_55k(row: Row, _: Choices) -> Item:
    marks = [str(column(row, f"winner_{name}")).strip() for name in ("model_a", "model_b", "tie")]
    if sorted(marks) not in (["0", "0", "1"], ["0.0", "0.0", "1.0"]):
        raise bad("winner_model_a, winner_model_b, winner_tie", ", ".join(marks),
                  "a 1 and two 0 are expected")  # fmt: skip
    prompts, one, two = (_listed(row, name) for name in ("prompt", "response_a", "response_b"))
    if not len(prompts) == len(one) == len(two) >= 1:
        found = f"{len(prompts)}, {len(one)} and {len(two)} turns"
        raise bad("prompt, response_a, response_b", found, "equally many are expected")
    if len(prompts) > 1:
        raise Dropped(SEVERAL_TURNS)
    share = (1.0, 0.0, 0.5)[[float(mark) for mark in marks].index(1)]
    return pair(user(prompts[0]), one[0], two[0], share)


def _listed(row: Row, name: str) -> list[Any]:
    """A list of texts as JSON text."""
    value = column(row, name)
    if isinstance(value, str):
        try:
            value = parse_json(value)
        except (ValueError, RecursionError):
            raise bad(name, value, "a JSON list of texts is expected") from None
    if not isinstance(value, list):
        raise bad(name, value, "a JSON list of texts is expected")
    return value


FORMATS = (
    Format(
        "chatbot-arena", "winner names the better conversation; tie and both bad are ties",
        "comparisons",
        lambda row: {"conversation_a", "conversation_b", "winner"} <= row.keys(), _arena,
    ),
    Format(
        "arena-55k", "winner_model_a, winner_model_b, winner_tie: the column with a 1",
        "comparisons",
        lambda row: {"prompt", "response_a", "response_b", "winner_model_a", "winner_model_b",
                     "winner_tie"} <= row.keys(), _arena_55k,
    ),
)  # fmt: skip
