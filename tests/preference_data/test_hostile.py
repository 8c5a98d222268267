"""Any value in any place of a row is read, counted as left out, or refused in one line."""

from __future__ import annotations

import copy

import pytest

from sailtheory import InputError
from tests.preference_data.test_formats import LABELS, read
from tests.support.preference_rows import COMPARED, HELPSTEER, SCORED

ROWS = {
    **SCORED, **COMPARED,
    "helpsteer2": HELPSTEER | {"prompt": "Q", "response": "a", "helpfulness": 1},
    "score-a-row": {"prompt": "Q", "response": "a", "score": 1},
    "oasst-messages": {"message_id": "1", "parent_id": None, "text": "Q", "role": "prompter",
                       "rank": None, "deleted": False},
}  # fmt: skip
ODD = [
    None, True, -1, 0, 1.5, float("nan"), float("inf"), 10**400, "", " ", "N/A", "x", "[null]",
    "1e400", "[1", "\ud800", [], [None], [[]], ["x"], [{}], {}, {"a": 1}, [{"role": 1}],
    [{"role": "user", "content": [{"type": "text"}]}], [{"role": "user", "content": None}],
    [{"role": "assistant", "content": "x"}],
]  # fmt: skip


def places(value, path=()):
    """The paths of all values in a row."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, below in inner:
        if isinstance(below, (dict, list)):
            yield from places(below, (*path, key))
        else:
            yield (*path, key)


def changed(row, path, odd):
    out = copy.deepcopy(row)
    at = out
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = odd
    return out


def removed(row, path):
    out = copy.deepcopy(row)
    at = out
    for key in path[:-1]:
        at = at[key]
    del at[path[-1]]
    return out


def tried(name, row):
    good, label = copy.deepcopy(ROWS[name]), LABELS.get(name)
    score = "helpfulness" if name == "helpsteer2" else None
    options = {"format": name, "label": label, "score": score}
    for rows in ([row], [good, row]):
        for drop_bad in (False, True):
            try:
                data = read(*copy.deepcopy(rows), drop_bad=drop_bad, **options)
            except InputError as error:
                assert "\n" not in str(error)
            else:
                texts = [text for prompt in data.prompts for text in prompt.responses]
                assert all(isinstance(text, str) and text.strip() for text in texts)
                text = "".join([*texts, *(t for p in data.prompts for _, t in p.turns)])
                text.encode()


@pytest.mark.parametrize("name", ROWS)
def test_odd_values_everywhere(name):
    for path in places(ROWS[name]):
        for odd in ODD:
            tried(name, changed(ROWS[name], path, odd))
        tried(name, removed(ROWS[name], path))
