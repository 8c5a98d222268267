"""Formats whose rows hold responses with scores or ranks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from sailtheory.preference_data.item import (
    Choices,
    Dropped,
    Format,
    Item,
    Row,
    bad,
    column,
    finite,
    objects,
    text_of,
)
from sailtheory.preference_data.turns import of_messages, of_prompt, split_messages, user

__all__ = ["FORMATS"]

_ASPECTS = ("helpfulness", "honesty", "instruction_following", "truthfulness")
_ATTRIBUTES = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
TEN_FOR_ONE = (
    "overall_score is 10 where the fine-grained scores are 2 or less: a known fault of "
    "UltraFeedback, 1 was meant (--score fine-grained_score keeps these responses)"
)


def _ultrafeedback(row: Row, choices: Choices) -> Item:
    completions = objects(row, "completions")
    if not completions:
        raise Dropped("a prompt without responses", 0)
    score = choices.score or "overall_score"
    faults = {}
    for place, completion in enumerate(completions):
        if score == "overall_score" and _ten_for_one(completion):
            faults[place] = TEN_FOR_ONE
    scores = [_rating(completion, score) for completion in completions]
    responses = [completion.get("response") for completion in completions]
    prompt = user(column(row, "instruction"))
    return Item(prompt, responses, scores, id=text_of(row, "id"), faults=faults)


def _rating(completion: Mapping[str, Any], score: str) -> Any:
    if score not in _ASPECTS:
        return completion.get(score)
    notes = completion.get("annotations")
    aspect = notes.get(score) if isinstance(notes, Mapping) else None
    if isinstance(aspect, list):  # as Parquet has it
        aspect = aspect[0] if aspect else None
    return aspect.get("Rating") if isinstance(aspect, Mapping) else None


def _ten_for_one(completion: Mapping[str, Any]) -> bool:
    if finite(completion.get("overall_score")) != 10:
        return False
    fine = finite(completion.get("fine-grained_score"))
    ratings = [finite(_rating(completion, aspect)) for aspect in _ASPECTS]
    known = [fine] if fine is not None else [r for r in ratings if r is not None]
    return bool(known) and sum(known) / len(known) <= 2


def _binarized(row: Row, _: Choices) -> Item:
    prompt, chosen, rejected = split_messages(
        of_messages(column(row, "chosen"), "chosen"),
        of_messages(column(row, "rejected"), "rejected"),
    )
    scores = [column(row, "score_chosen"), column(row, "score_rejected")]
    one, two = finite(scores[0]), finite(scores[1])
    remarks = []
    if one is not None and two is not None and one < two:
        remarks.append("pairs whose chosen response has the lower score: the score counts")
    return Item(prompt, [chosen, rejected], scores, id=text_of(row, "prompt_id"),
                remarks=tuple(remarks))  # fmt: skip


def _nectar(row: Row, _: Choices) -> Item:
    answers = objects(row, "answers")
    ranks = []
    for answer in answers:
        rank = finite(answer.get("rank"))
        if rank is not None and rank < 1:
            raise bad("answers rank", rank, "a rank from 1, the best, is expected")
        ranks.append(None if rank is None else -rank)
    return Item(of_prompt(column(row, "prompt")), [a.get("answer") for a in answers], ranks)


def _helpsteer2(row: Row, choices: Choices) -> Item:
    value = column(row, str(choices.score))
    score = finite(value)
    if score is not None and not 0 <= score <= 4:
        raise bad(str(choices.score), value, "a number from 0 to 4 is expected")
    return Item(of_prompt(column(row, "prompt")), [column(row, "response")], [value])


def _stack_exchange(row: Row, _: Choices) -> Item:
    answers = objects(row, "answers")
    texts = [answer.get("text") for answer in answers]
    scores = [answer.get("pm_score") for answer in answers]
    return Item(user(column(row, "question")), texts, scores, id=text_of(row, "qid"))


def _own(row: Row, _: Choices, name_of: str = "scores") -> Item:
    responses, scores = column(row, "responses"), column(row, name_of)
    for name, value in (("responses", responses), (name_of, scores)):
        if not isinstance(value, list):
            raise bad(name, value, "a list is expected")
    if len(responses) != len(scores):
        found = f"{len(scores)} {name_of} beside {len(responses)} responses"
        raise bad(name_of, found, f"one of {name_of} a response is expected")
    return Item(of_prompt(column(row, "prompt")), responses, scores, id=text_of(row, "id"))


def _one_a_row(row: Row, _: Choices, name_of: str = "score") -> Item:
    prompt = of_prompt(column(row, "prompt"))
    return Item(prompt, [column(row, "response")], [column(row, name_of)], id=text_of(row, "id"))


FORMATS = (
    Format(
        "ultrafeedback", "{score}: higher is better", "scores",
        lambda row: {"instruction", "completions"} <= row.keys(), _ultrafeedback,
        scores=("overall_score", "fine-grained_score", *_ASPECTS), default="overall_score",
    ),
    Format(
        "ultrafeedback-binarized", "score_chosen and score_rejected: higher is better", "scores",
        lambda row: {"chosen", "rejected", "score_chosen", "score_rejected"} <= row.keys(),
        _binarized,
    ),
    Format(
        "nectar", "rank: 1 is best", "scores",
        lambda row: {"prompt", "answers"} <= row.keys(), _nectar, relative=True,
    ),
    Format(
        "helpsteer2", "{score}: higher is better", "scores",
        lambda row: {"prompt", "response", *_ATTRIBUTES} <= row.keys(), _helpsteer2,
        scores=_ATTRIBUTES,
    ),
    Format(
        "stack-exchange",
        "pm_score, which is log2(1 + votes), +1 where accepted, −1 below 0: higher is better",
        "scores", lambda row: {"qid", "question", "answers"} <= row.keys(), _stack_exchange,
    ),
    Format(
        "scores", "scores: higher is better", "scores",
        lambda row: {"prompt", "responses", "scores"} <= row.keys(), _own,
    ),
    Format(
        "score-a-row", "score: higher is better", "scores",
        lambda row: {"prompt", "response", "score"} <= row.keys(), _one_a_row,
    ),
    Format(
        "rewards", "rewards, of a verifier or a reward model: higher is better",
        "scores",
        lambda row: {"prompt", "responses", "rewards"} <= row.keys(),
        partial(_own, name_of="rewards"), rewards=True,
    ),
    Format(
        "reward-a-row", "reward, of a verifier or a reward model: higher is better", "scores",
        lambda row: {"prompt", "response", "reward"} <= row.keys(),
        partial(_one_a_row, name_of="reward"), rewards=True,
    ),
)  # fmt: skip
