"""From rows of a data set to token ids: prompts, and where there are any, dataset completions.

Rows are in TRL's formats: ``prompt``, and ``chosen`` and ``rejected`` for pairs or
``completion`` for SFT; each plain text or a list of messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sailtheory.errors import InputError
from sailtheory.training.llm.batch import Item

COLUMNS = ("prompt", "chosen", "rejected", "completion")


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
    rows: Iterable[Mapping[str, Any]], tokenizer: Any, end: list[int], limits: Limits,
    *, part: str = "",
) -> Prepared:  # fmt: skip
    """Tokenise rows; each gets its ``index``, by which it is known from then on.

    Dataset completions that are too long are cut, and then have no end token.

    Args:
        rows: The data.
        tokenizer: As of transformers.
        end: Ids that end a completion.
        limits: How long texts may be.
        part: Put before an index, so that rows of several data sets differ in it.

    Returns:
        One mapping a row: ``index``, ``prompt_ids``, ``chosen_ids`` and ``rejected_ids``
        (absent where the row has none), ``text`` (the prompt as given) and ``columns``
        (the rest of the row, for reward functions).

    Raises:
        InputError: A row without a prompt, an empty prompt or completion, a prompt that
            leaves no room for a completion, or no row at all.
    """
    found = Prepared()
    for number, raw in enumerate(rows):
        index = f"{part}{number}" if part else number
        row = _with_prompt(dict(raw), index)
        prompt = _prompt_ids(row["prompt"], tokenizer)
        if not prompt:
            raise InputError(f"prompt[{index}]", "empty", "one token or more is expected")
        room = limits.total - len(prompt)
        if room < limits.new:
            if limits.long_prompts == "drop":
                continue
            raise InputError(
                f"prompt[{index}]", f"{len(prompt)} tokens",
                f"at most {limits.total - limits.new}, so that {limits.new} new ones fit; "
                "or long_prompts=drop",
            )  # fmt: skip
        item = {"index": index, "prompt_ids": prompt, "text": row["prompt"]}
        item["columns"] = {k: v for k, v in row.items() if k not in COLUMNS}
        chosen = row.get("chosen", row.get("completion"))
        for name, completion in (("chosen", chosen), ("rejected", row.get("rejected"))):
            if completion is None:
                continue
            ids = _completion_ids(row["prompt"], completion, tokenizer, end)
            if not ids or ids == [tokenizer.eos_token_id]:
                raise InputError(f"{name}[{index}]", "empty", "one token or more is expected")
            item[f"{name}_ids"] = ids[:room]
        found.append(item)
    if not found:
        raise InputError(
            f"{part[:-1] or 'train'}_dataset", "no rows", "one prompt or more is expected"
        )
    return found


def _with_prompt(row: dict[str, Any], index: int | str) -> dict[str, Any]:
    """The row with its prompt, which pairs of conversations may leave implicit."""
    if row.get("prompt") is None and isinstance(row.get("chosen"), list) and row.get("rejected"):
        chosen, rejected = row["chosen"], row["rejected"]
        shared = 0
        while chosen[shared : shared + 1] == rejected[shared : shared + 1] != []:
            shared += 1
        if shared:
            row |= {"prompt": chosen[:shared], "chosen": chosen[shared:]}
            row["rejected"] = rejected[shared:]
    if not isinstance(row.get("prompt"), str | list):
        raise InputError(f"prompt[{index}]", row.get("prompt"), "text or a list of messages")
    return row


def _prompt_ids(prompt: Any, tokenizer: Any) -> list[int]:
    if isinstance(prompt, str):
        return list(tokenizer(prompt)["input_ids"])
    return _template(tokenizer, prompt, add_generation_prompt=True)


def _completion_ids(prompt: Any, completion: Any, tokenizer: Any, end: list[int]) -> list[int]:
    """The completion's tokens, ended as the model ends its own."""
    if isinstance(completion, str):
        ids = list(tokenizer(completion, add_special_tokens=False)["input_ids"])
        ended = bool(ids) and ids[-1] in end
        return ids if ended else [*ids, tokenizer.eos_token_id]
    messages = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
    before = _template(tokenizer, messages, add_generation_prompt=True)
    whole = _template(tokenizer, messages + completion)
    if whole[: len(before)] != before:
        raise InputError("chat template", "changes the prompt", "a template that only appends")
    ids = whole[len(before) :]
    last = max((place for place, token in enumerate(ids) if token in end), default=len(ids) - 1)
    return ids[: last + 1]  # templates add a line break after the end token


def _template(tokenizer: Any, messages: Any, **options: Any) -> list[int]:
    if tokenizer.chat_template is None:
        raise InputError("processing_class", "no chat template", "one, or prompts of plain text")
    ids = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, **options)
    return list(ids["input_ids"])


def collate(items: list[dict[str, Any]]) -> dict[str, Any]:
    """A batch: the items by key, lists kept as they are, for their lengths differ."""
    return {"items": items}


def collated_by(collator: Callable[[list[dict[str, Any]]], Any]) -> Callable[..., dict[str, Any]]:
    """A user's collator, whose result is checked.

    Raises:
        InputError: On call: a result that is not rows as ``prepare`` makes them.
    """

    def collate_as_asked(items: list[dict[str, Any]]) -> dict[str, Any]:
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
