"""Rewards by name, and one made to have few ties."""

from __future__ import annotations

from sailtheory.errors import InputError
from sailtheory.training.llm.preferences import (
    Reward,
    Text,
    as_reward,
    keywords,
    labelled,
    length,
    matches,
    text_of,
    vader,
)

__all__ = ["kind_and_brief", "oracle"]

NAMES = "kind-and-brief, vader, length:WORDS, keywords:A,B, format:REGEX, or a classifier"


def kind_and_brief(words: int = 10) -> Reward:
    """A smooth reward with few ties: friendly in tone, short, finished, in plain words.

    r = 2·compound − |n − words|/6 + [ends with . ! or ?] − |letters per word − 4|/2, with
    VADER's compound in [−1, 1] and n the number of words. VADER alone ties on neutral texts,
    a length alone on texts of one length; the last part tells most of them apart.

    Raises:
        InputError: vaderSentiment is not installed.
    """
    tone = vader(2.0)

    @labelled("kind-and-brief" if words == 10 else f"kind-and-brief, {words} words")
    def reward_kind_and_brief(completions: list[Text], **_: object) -> list[float]:
        found = []
        for value, completion in zip(tone(completions=completions), completions, strict=True):
            text = text_of(completion).strip()
            parts = text.split()
            letters = sum(map(str.isalpha, text)) / max(len(parts), 1)
            size = abs(len(parts) - words) / 6 + abs(letters - 4) / 2
            found.append(value - size + float(text.endswith((".", "!", "?"))))
        return found

    return reward_kind_and_brief


def oracle(name: str) -> Reward:
    """A reward from a name such as ``vader``, ``length:20`` or a classifier's folder.

    Raises:
        InputError: A parameter that cannot be used, or a classifier that cannot be found.
    """
    kind, colon, rest = name.partition(":")
    if kind == "kind-and-brief" and not colon:
        return kind_and_brief()
    if kind == "vader" and not colon:
        return vader()
    if kind == "length" and colon:
        if not rest.isdecimal():
            raise InputError("reward", name, "length: and a number of words are expected")
        return length(int(rest))
    if kind == "keywords" and colon:
        return keywords([word for word in map(str.strip, rest.split(",")) if word])
    if kind == "format" and colon:
        return matches(rest)
    return as_reward(name)
