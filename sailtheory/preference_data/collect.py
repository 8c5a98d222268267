"""Rows become prompts: merged, cleaned, and every row that is left out counted by its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from sailtheory.errors import InputError
from sailtheory.preference_data.formats import choose, detect
from sailtheory.preference_data.item import Choices, Dropped, Format, Item, Turns, finite, is_text
from sailtheory.preference_data.rows import read_rows

__all__ = ["Collected", "Prompt", "Vectors", "collect", "collect_file"]

SAME = "the two responses are the same text"
NO_NUMBER = "the score is no finite number"
_SHOWN = 3


@dataclass
class Prompt:
    """One prompt, its responses, and what was said of them.

    Attributes:
        id: The first that was given, else the place of its first row.
        turns: The conversation before the responses.
        responses: Distinct texts.
        places: Of each response its number among all responses of the data, the first time.
        scores: Of each response those that were given; higher is better.
        wins: (k, l) to the number of wins of k over l.
        vectors: Of each response its row of a column of embeddings; empty without one.
    """

    id: str
    turns: Turns
    responses: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    scores: list[list[float]] = field(default_factory=list)
    wins: Counter[tuple[int, int]] = field(default_factory=Counter)
    vectors: list[Any] = field(default_factory=list)


@dataclass
class Collected:
    """The prompts of a data set.

    Attributes:
        source: Where they come from.
        format: As detected, or named by the user.
        forced: Whether the user named it.
        choices: What the user chose.
        prompts: Those with two responses or more.
        rows: Rows read.
        responses: Responses in these rows, also those left out; None where a wrong row was
            skipped, so that nobody knows.
        dropped: What was left out, by (what, reason).
        examples: Where the first of these stand.
        merged: What was merged, and what else there is to say, with counts.
    """

    source: str
    format: Format
    forced: bool
    choices: Choices
    prompts: list[Prompt]
    rows: int
    responses: int | None
    dropped: Counter[tuple[str, str]]
    examples: dict[tuple[str, str], list[str]]
    merged: Counter[str]

    @property
    def direction(self) -> str:
        """What was taken for better."""
        choices = self.choices
        return self.format.direction.format(score=choices.score, label=choices.label)


Vectors = Callable[[Mapping[str, Any], int], list[Any]]
"""A row and its number of responses to a vector for each."""


def collect_file(
    source: str | Path,
    *,
    format: str | None = None,
    split: str | None = None,
    config: str | None = None,
    choices: Choices = Choices(),  # noqa: B008
    vectors: Vectors | None = None,
    drop_bad: bool = False,
    limit: int | None = None,
) -> Collected:
    """The prompts of a file, a saved data set, or one of the hub.

    Args:
        source: As for :func:`sailtheory.preference_data.rows.read_rows`.
        format: A name, where it is not to be detected.
        split: Of a data set that has several.
        config: Of a data set of the hub.
        choices: The score and the label that count.
        vectors: Reads embeddings out of a row.
        drop_bad: Rows that are wrong are left out and counted, where they would be refused.
        limit: How many rows to read.

    Raises:
        InputError: In one line, with the row and the column.
    """
    rows = read_rows(source, split, config)
    return collect(rows, str(source), format, choices, vectors, drop_bad, limit)


def collect(
    rows: Iterator[tuple[str, Any]],
    source: str,
    format: str | None = None,
    choices: Choices = Choices(),  # noqa: B008
    vectors: Vectors | None = None,
    drop_bad: bool = False,
    limit: int | None = None,
) -> Collected:
    """The prompts of numbered rows; arguments as for :func:`collect_file`."""
    first = next(rows, None)
    if first is None:
        raise InputError("data", source, "no rows: one or more are expected")
    if not isinstance(first[1], Mapping):
        raise InputError(first[0], first[1], "an object with named columns is expected")
    found = detect(first[1], format)
    gathering = _Gathering(found, choose(found, choices), vectors, drop_bad)
    gathering.read(chain([first], rows), limit)
    prompts = gathering.finish()
    if not prompts:
        reasons = ", ".join(reason for _, reason in gathering.dropped) or "none"
        accepted = f"no prompt is left; left out: {reasons}"
        raise InputError("data", source, accepted)
    return Collected(
        source, found, format is not None, gathering.choices, prompts, gathering.rows,
        gathering.responses, gathering.dropped, gathering.examples, gathering.merged,
    )  # fmt: skip


class _Gathering:
    def __init__(
        self, format: Format, choices: Choices, vectors: Vectors | None, drop_bad: bool
    ) -> None:
        self.format, self.choices, self.vectors, self.drop_bad = format, choices, vectors, drop_bad
        self.prompts: dict[Any, Prompt] = {}
        self.rows = 0
        self.responses: int | None = 0  # None once a wrong row was skipped
        self.dropped: Counter[tuple[str, str]] = Counter()
        self.examples: dict[tuple[str, str], list[str]] = {}
        self.merged: Counter[str] = Counter()

    def read(self, rows: Iterator[tuple[str, Any]], limit: int | None) -> None:
        for where, row in self._gathered(self._checked(rows, limit)):
            try:
                item = self.format.read(row, self.choices)
                self._check_prompt(item)
                vectors = self.vectors(row, len(item.responses)) if self.vectors else None
            except Dropped as drop:
                self._drop("rows", drop.reason, where)
                if self.responses is not None:
                    self.responses += drop.responses
            except InputError as error:
                self._wrong(where, error)
            else:
                self._add(item, where, vectors)

    def _check_prompt(self, item: Item) -> None:
        """The last turn is text, and no turn has what is no character."""
        for place, (_, text) in enumerate(reversed(item.prompt)):
            reason = is_text(text, "prompt") if place == 0 or text.strip() else None
            if reason:
                raise Dropped(reason, len(item.responses))

    def _gathered(self, rows: Iterator[tuple[str, Any]]) -> Iterable[tuple[str, Any]]:
        return rows if self.format.gather is None else self.format.gather(rows)

    def _checked(
        self, rows: Iterator[tuple[str, Any]], limit: int | None
    ) -> Iterator[tuple[str, Any]]:
        for where, row in rows:
            if self.rows == limit:
                self.merged["rows were read, as --limit says: there are more"] = self.rows
                return
            self.rows += 1
            if isinstance(row, Mapping):
                yield where, row
            else:
                accepted = "an object with named columns is expected"
                self._wrong(where, InputError("row", row, accepted))

    def _wrong(self, where: str, error: InputError) -> None:
        if not self.drop_bad:
            raise InputError(f"{where} {error.field}", error.value, error.accepted) from None
        self._drop("rows", f"wrong: {error.field}", where)
        self.responses = None

    def _drop(self, what: str, reason: str, where: str) -> None:
        self.dropped[what, reason] += 1
        first = self.examples.setdefault((what, reason), [])
        if len(first) < _SHOWN:
            first.append(where.rpartition("/")[2])

    def _add(self, item: Item, where: str, vectors: list[Any] | None) -> None:
        for remark in item.remarks:
            self.merged[remark] += 1
        first, count = self.responses, len(item.responses)
        if first is not None:
            self.responses = first + count
        places = [-1 if first is None else first + i for i in range(count)]
        reasons = [item.faults.get(i) or is_text(text) for i, text in enumerate(item.responses)]
        scores = self._scores(item, reasons)
        if item.wins:
            reason = next((r for r in reasons if r), None)
            if reason is None and item.responses[0] == item.responses[1]:
                reason = SAME
            if reason:
                self._drop("rows", reason, where)
                return
        else:
            for i, reason in enumerate(reasons):
                if reason:
                    told = (
                        f" has {item.scores[i]!r:.30}"
                        if item.scores and reason == NO_NUMBER
                        else ""
                    )
                    self._drop("responses", reason, where + told)
        prompt = self._prompt(item, where)
        at = {
            i: self._response(prompt, text, places[i], None if vectors is None else vectors[i])
            for i, text in enumerate(item.responses)
            if not reasons[i]
        }
        for i, k in at.items():
            if scores:
                prompt.scores[k].append(scores[i])
        for i, j, one, two in item.wins:
            prompt.wins[at[i], at[j]] += one  # type: ignore[assignment]
            prompt.wins[at[j], at[i]] += two  # type: ignore[assignment]

    def _scores(self, item: Item, reasons: list[str | None]) -> list[float]:
        if item.scores is None:
            return []
        scores = [finite(score) for score in item.scores]
        for i, score in enumerate(scores):
            if score is None and not reasons[i]:
                reasons[i] = NO_NUMBER
        return [0.0 if score is None else score for score in scores]

    def _prompt(self, item: Item, where: str) -> Prompt:
        key: Any = (item.prompt, where, item.id) if self.format.relative else item.prompt
        prompt = self.prompts.get(key)
        if prompt is None:
            prompt = self.prompts[key] = Prompt(item.id or where, item.prompt)
        elif item.id is not None and item.id != prompt.id:
            self.merged["rows have a prompt that was seen under another id: merged"] += 1
        return prompt

    def _response(self, prompt: Prompt, text: str, place: int, vector: Any) -> int:
        """The position of a response in its prompt, where the same text stands once."""
        if text in prompt.responses:
            if not self.format.kind == "comparisons":
                self.merged["responses repeat another of their prompt: merged, mean score"] += 1
            return prompt.responses.index(text)
        prompt.responses.append(text)
        prompt.places.append(place)
        prompt.scores.append([])
        if vector is not None:
            prompt.vectors.append(vector)
        return len(prompt.responses) - 1

    def finish(self) -> list[Prompt]:
        kept = []
        for prompt in self.prompts.values():
            if len(prompt.responses) < 2:
                self._drop("prompts", "fewer than two responses", prompt.id)
            else:
                kept.append(prompt)
        return kept
