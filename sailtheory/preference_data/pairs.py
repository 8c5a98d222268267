"""Formats whose rows compare two responses."""

from __future__ import annotations

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
    column,
    finite,
    objects,
    pair,
    text_of,
    which,
)
from sailtheory.preference_data.turns import (
    DIFFER,
    NEXT_TURN,
    NOT_THE_ASSISTANT,
    of_messages,
    of_prompt,
    of_transcript,
    shared_length,
    split_messages,
    user,
)

__all__ = ["FORMATS"]

_HUMAN = ("\n\nHuman:", "Human:")


def _trl(row: Row, _: Choices) -> Item:
    chosen, rejected, prompt = column(row, "chosen"), column(row, "rejected"), row.get("prompt")
    if isinstance(chosen, str) != isinstance(rejected, str):
        raise bad("chosen and rejected", "of two kinds", "both text, or both messages")
    if isinstance(chosen, str):
        return _trl_text(prompt, chosen, rejected)
    if chosen is None or rejected is None:
        raise Dropped("the response is null")
    one, two = of_messages(chosen, "chosen"), of_messages(rejected, "rejected")
    if prompt is None:
        return pair(*split_messages(one, two), 1.0)
    given = _given(prompt)
    if all(turn[0] == "assistant" for turn in (*one, *two)):
        if len(one) > 1 or len(two) > 1:
            raise Dropped("a completion of several messages")
        return pair(given, one[0][1], two[0][1], 1.0)
    shared, a, b = split_messages(one, two)
    if shared[-len(given) :] != given:
        raise Dropped("the column prompt is not what the conversations begin with")
    return pair(shared, a, b, 1.0)


def _given(prompt: Any) -> Turns:
    return of_messages(prompt, "prompt") if isinstance(prompt, list) else user(prompt)


def _trl_text(prompt: Any, chosen: str, rejected: str) -> Item:
    if prompt is not None:
        if not isinstance(prompt, str) or not prompt.strip():
            raise bad("prompt", prompt, "text, as chosen and rejected are, is expected")
        return pair((("text", prompt),), chosen, rejected, 1.0)
    if chosen == rejected:
        raise Dropped("the two responses are the same text")
    length = shared_length(chosen, rejected)
    if length <= 0:
        raise Dropped("there is no prompt: chosen and rejected share no beginning")
    one, two = chosen[length:], rejected[length:]
    if NEXT_TURN.search(one) or NEXT_TURN.search(two):
        raise Dropped(DIFFER)
    return pair((("text", chosen[:length]),), one, two, 1.0)


def _hh(row: Row, _: Choices) -> Item:
    both = []
    for name in ("chosen", "rejected"):
        text = column(row, name)
        if not isinstance(text, str) or not text.lstrip("\n").startswith("Human:"):
            raise bad(name, text, "a transcript that begins with 'Human:' is expected")
        turns = of_transcript(text)
        if turns[-1][0] != "assistant":
            raise Dropped(NOT_THE_ASSISTANT)
        both.append(turns)
    return pair(*split_messages(*both), 1.0)


def _pku(row: Row, choices: Choices) -> Item:
    better = which(row, f"{choices.label}_response_id")
    return pair(user(column(row, "prompt")), column(row, "response_0"), column(row, "response_1"),
                float(better == 0))  # fmt: skip


def _shp(row: Row, _: Choices) -> Item:
    a_wins = which(row, "labels") == 1
    prompt = user(column(row, "history"))
    return pair(prompt, column(row, "human_ref_A"), column(row, "human_ref_B"), float(a_wins),
                id=text_of(row, "post_id"))  # fmt: skip


def _strength(row: Row, name: str, prompt: Turns, one: str, two: str) -> Item:
    value = finite(column(row, name))
    if value is None:
        raise Dropped("there is no strength of preference")
    if not -3 <= value <= 3:
        raise bad(name, value, "a strength from -3 to 3 is expected")
    return pair(prompt, column(row, one), column(row, two), (1 - _sign(value)) / 2,
                remarks=("strengths 1 to 3 count as one label each",))  # fmt: skip


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _helpsteer2_pairs(row: Row, _: Choices) -> Item:
    prompt = of_prompt(column(row, "prompt"))
    return _strength(row, "preference_strength", prompt, "response_1", "response_2")


def _helpsteer3(row: Row, _: Choices) -> Item:
    prompt = of_messages(column(row, "context"), "context")
    return _strength(row, "overall_preference", prompt, "response1", "response2")


def _stack_exchange_paired(row: Row, _: Choices) -> Item:
    question = user(column(row, "question"))
    return pair(question, column(row, "response_j"), column(row, "response_k"), 1.0)


def _summaries(row: Row, _: Choices) -> Item:
    info, summaries = column(row, "info"), objects(row, "summaries")
    if len(summaries) != 2:
        raise bad("summaries", f"{len(summaries)} of them", "2 are expected")
    if not isinstance(info, dict):
        raise bad("info", info, "an object with the post is expected")
    post = info.get("post") or info.get("article")
    best = which(row, "choice")
    one, two = (summary.get("text") for summary in summaries)
    return pair(user(post), one, two, float(best == 0), id=text_of(info, "id"))


def _webgpt(row: Row, _: Choices) -> Item:
    question = column(row, "question")
    text = question.get("full_text") if isinstance(question, dict) else question
    one, two = finite(column(row, "score_0")), finite(column(row, "score_1"))
    if one is None or two is None:
        raise Dropped("a score is no finite number")
    if abs(one + two) > 1e-9:
        raise bad("score_0 and score_1", f"{one} and {two}", "opposite numbers are expected")
    return pair(user(text), column(row, "answer_0"), column(row, "answer_1"), (1 + _sign(one)) / 2)


def _counts(row: Row, _: Choices) -> Item:
    counts = []
    for name in ("wins_a", "wins_b", "ties"):
        value = finite(row.get(name, 0) if name == "ties" else column(row, name))
        if value is None or value < 0 or value != int(value):
            raise bad(name, row.get(name), "a count 0, 1, 2, … is expected")
        counts.append(value)
    a, b, ties = counts
    if a + b + ties == 0:
        raise Dropped("a pair that was never compared")
    responses = [column(row, "response_a"), column(row, "response_b")]
    wins = [(0, 1, a + ties / 2, b + ties / 2)]
    return Item(of_prompt(column(row, "prompt")), responses, wins=wins)


def _unpaired(row: Row, _: Choices) -> Item:
    raise InputError("data", "completions with a label each",
                     "two responses to one prompt: unpaired labels compare none")  # fmt: skip


def _is_hh(row: Row) -> bool:
    chosen = row.get("chosen")
    return isinstance(chosen, str) and chosen.startswith(_HUMAN) and not row.get("prompt")


FORMATS = (
    Format(
        "trl", "chosen is better than rejected", "comparisons",
        lambda row: {"chosen", "rejected"} <= row.keys() and not _is_hh(row)
        and "score_chosen" not in row, _trl,
    ),
    Format(
        "trl-unpaired", "label: true is better", "comparisons",
        lambda row: {"prompt", "completion", "label"} <= row.keys(), _unpaired,
    ),
    Format(
        "hh-rlhf", "chosen is better than rejected, split at the last Assistant:", "comparisons",
        lambda row: {"chosen", "rejected"} <= row.keys() and _is_hh(row), _hh,
    ),
    Format(
        "pku-saferlhf", "{label}_response_id names the better response", "comparisons",
        lambda row: {"prompt", "response_0", "response_1"} <= row.keys()
        and bool({"better_response_id", "safer_response_id"} & row.keys()), _pku,
        labels=("better", "safer"),
    ),
    Format(
        "shp", "labels: 1 where A is better, 0 where B is", "comparisons",
        lambda row: {"history", "human_ref_A", "human_ref_B", "labels"} <= row.keys(), _shp,
    ),
    Format(
        "helpsteer2-pairs", "preference_strength: negative where response_1 is better",
        "comparisons", lambda row: {"response_1", "response_2", "preference_strength"}
        <= row.keys(), _helpsteer2_pairs,
    ),
    Format(
        "helpsteer3", "overall_preference: negative where response1 is better", "comparisons",
        lambda row: {"context", "response1", "response2", "overall_preference"} <= row.keys(),
        _helpsteer3,
    ),
    Format(
        "stack-exchange-paired", "response_j is better than response_k", "comparisons",
        lambda row: {"question", "response_j", "response_k"} <= row.keys(),
        _stack_exchange_paired,
    ),
    Format(
        "summarize-from-feedback", "choice names the better summary", "comparisons",
        lambda row: {"info", "summaries", "choice"} <= row.keys(), _summaries,
    ),
    Format(
        "webgpt", "the answer whose score is above 0 is better; 0 is a tie", "comparisons",
        lambda row: {"question", "answer_0", "answer_1", "score_0", "score_1"} <= row.keys(),
        _webgpt,
    ),
    Format(
        "counts", "wins_a and wins_b: the one that won more often is better", "comparisons",
        lambda row: {"prompt", "response_a", "response_b", "wins_a", "wins_b"} <= row.keys(),
        _counts,
    ),
)  # fmt: skip
