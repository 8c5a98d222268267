"""From rows of a data set to token ids: prompts, and where there are any, dataset completions."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sailtheory.errors import InputError
from sailtheory.training.llm.batch import Item
from sailtheory.training.llm.chat import (
    Name,
    completion_ids,
    ended,
    extras_of,
    prompt_ids,
    require_extras,
)
from sailtheory.training.llm.formats import in_one_form

__all__ = ["Limits", "Needs", "Prepared", "collate", "collated_by", "prepare"]


@dataclass(frozen=True)
class Limits:
    """How long a text may be.

    Attributes:
        total: Prompt and completion together, in tokens.
        new: Longest completion that is drawn.
        long_prompts: ``refuse`` or ``drop``.
    """

    total: int
    new: int
    long_prompts: str


@dataclass(frozen=True)
class Needs:
    """What a method takes from a row beside its prompt.

    Attributes:
        method: Its name.
        completions: ``chosen``, both or none.
    """

    method: str
    completions: Sequence[str]

    @property
    def single(self) -> bool:
        """Whether one completion is trained on: SFT."""
        return tuple(self.completions) == ("chosen",)


class Prepared(list[Item]):
    """Prepared rows; a column by name and ``select`` as a ``datasets.Dataset`` has them.

    Callbacks of TRL take the prompts of the evaluation data so.
    """

    def __getitem__(self, key: Any) -> Any:
        """A row, some rows, or a column: ``prompt`` is the text as given."""
        if not isinstance(key, str):
            return super().__getitem__(key)
        return [row["text"] if key == "prompt" else row["columns"][key] for row in self]

    def select(self, places: Iterable[int]) -> Prepared:
        """The rows of these places, as far as there are any."""
        return Prepared(self[place] for place in places if place < len(self))


def prepare(
    rows: Iterable[Any], tokenizer: Any, end: list[int], limits: Limits, needs: Needs,
    *, part: str = "",
) -> Prepared:  # fmt: skip
    """Tokenise rows; each gets its ``index``, by which it is known from then on.

    Dataset completions that are too long are cut, and then have no end token; where that
    happens, or a row is left out, a warning says how often.

    Args:
        rows: The data, in the forms of ``formats``.
        tokenizer: As of transformers.
        end: Ids that end a completion.
        limits: How long texts may be.
        needs: What the method takes.
        part: Put before an index, so that rows of several data sets differ in it.

    Returns:
        One mapping a row: ``index``, ``prompt_ids``, ``chosen_ids`` and ``rejected_ids``
        (absent where the row has none), ``text`` (the prompt as given) and ``columns``
        (all columns but the prompt, for reward functions; None where only other rows have it).

    Raises:
        InputError: A row of no form; one that lacks what the method needs; an empty prompt or
            completion, a prompt that leaves no room for a completion, or no row at all.
    """
    found, told = Prepared(), defaultdict[str, list[int | str]](list)
    names: dict[str, None] = {}
    total = 0
    for number, raw in enumerate(rows):
        total += 1
        index = f"{part}{number}" if part else number

        def name(column: str, index: int | str = index) -> str:
            return f"{column}[{index}]"

        row = in_one_form(raw, name)
        if needs.single and "completion" in row and not row.get("label", True):
            told["left out: the label is false"].append(index)
            continue
        item = _tokenised(row, tokenizer, end, needs, name)
        room = limits.total - len(item["prompt_ids"])
        if room < limits.new:
            if limits.long_prompts == "drop":
                told["left out: the prompt is too long"].append(index)
                continue
            raise InputError(
                name("prompt"), f"{len(item['prompt_ids'])} tokens",
                f"at most {limits.total - limits.new}, so that {limits.new} new ones fit; "
                "or long_prompts=drop",
            )  # fmt: skip
        for ids in (f"{completion}_ids" for completion in needs.completions):
            if len(item[ids]) > room:
                told["cut: a completion is too long, and has no end now"].append(index)
                item[ids] = item[ids][:room]
        item |= {"index": index, "columns": {k: v for k, v in raw.items() if k != "prompt"}}
        names |= dict.fromkeys(item["columns"])
        found.append(item)
    data = f"{part[:-1] or 'train'}_dataset"
    for what, where in told.items():
        count = f"{len(set(where))} of {total} rows"
        warnings.warn(f"{data}: {count} {what} (first: {where[0]})", stacklevel=2)
    if not found:
        raise InputError(data, "no rows", "one prompt or more is expected")
    for item in found:
        item["columns"] = {column: item["columns"].get(column) for column in names}
    return found


def _tokenised(
    row: Mapping[str, Any], tokenizer: Any, end: list[int], needs: Needs, name: Name
) -> Item:
    """The prompt of a row, and the completions that are needed, as token ids."""
    if "prompt" not in row:  # language modelling: its first token is predicted by none
        if not needs.single:
            accepted = f"one: method {needs.method} does not take a text alone"
            raise InputError(name("prompt"), None, accepted)
        ids = ended(prompt_ids(row["text"], tokenizer, {}, name), tokenizer, end)
        return {"text": "", "prompt_ids": ids[:1], "chosen_ids": ids[1:]}
    prompt = row["prompt"]
    require_extras(row, prompt, tokenizer, name)
    extras = extras_of(row)
    item: Item = {"text": prompt, "prompt_ids": prompt_ids(prompt, tokenizer, extras, name)}
    if not item["prompt_ids"]:
        raise InputError(name("prompt"), "empty", "one token or more is expected")
    for part in needs.completions:
        source = "completion" if needs.single and "completion" in row else part
        if source not in row:
            columns = ", ".join(sorted(map(str, row)))
            accepted = f"method {needs.method} with these shares needs it; the row has {columns}"
            raise InputError(name(part), "missing", accepted)
        ids = completion_ids(prompt, row[source], tokenizer, extras, end, name)
        if all(token in end for token in ids):
            raise InputError(name(source), "empty", "one token or more is expected")
        item[f"{part}_ids"] = ids
    return item


def collate(items: list[Item]) -> dict[str, Any]:
    """A batch: the items by key, lists kept as they are, for their lengths differ."""
    return {"items": items}


def collated_by(collator: Callable[[list[Item]], Any]) -> Callable[..., dict[str, Any]]:
    """A user's collator, whose result is checked.

    Raises:
        InputError: On call: a result that is not rows as ``prepare`` makes them.
    """

    def collate_as_asked(items: list[Item]) -> dict[str, Any]:
        found = collator(items)
        rows: Any = found.get("items") if isinstance(found, Mapping) else found
        if not (isinstance(rows, list) and rows and all(map(_prepared, rows))):
            raise InputError(
                "data_collator", f"a {type(found).__name__}",
                "prepared rows, one or more, as a list or under the key items",
            )  # fmt: skip
        return collate(rows)

    return collate_as_asked


def _prepared(row: Any) -> bool:
    return isinstance(row, Mapping) and {"index", "prompt_ids", "text", "columns"} <= set(row)
