"""Loaders of preference data: every schema on a small file of it, and every bad line."""

from __future__ import annotations

import json

import pytest

from sailtheory import InputError
from sailtheory.training.llm.data import convert, load_rows
from sailtheory.training.llm.prompts import conversations, prompts

USER = {"role": "user", "content": "Why is the sea salty?"}
GOOD = {"role": "assistant", "content": "Rivers carry salt to it."}
BAD = {"role": "assistant", "content": "It is not."}
ROW = {"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]}
PKU = {
    "prompt": "Why is the sea salty?", "response_0": "It is not.",
    "response_1": "Rivers carry salt to it.", "is_response_0_safe": True,
    "is_response_1_safe": False, "better_response_id": 1, "safer_response_id": 0,
}  # fmt: skip
SCORED = [
    {"model": f"m{i}", "response": text, "overall_score": score, "annotations": {}}
    for i, (text, score) in enumerate(
        [("It is not.", 2.0), ("Rivers carry salt to it.", 9.5), ("Because.", 4.0)]
    )
]
ULTRA = {
    "source": "evol", "instruction": "Why is the sea salty?", "models": ["m0", "m1", "m2"],
    "completions": SCORED, "correct_answers": ["None"], "incorrect_answers": ["None"],
}  # fmt: skip


def jsonl(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (ROW, ROW),
        ({"prompt": "a", "chosen": "b", "rejected": "c"},) * 2,
        ({"chosen": [USER, GOOD], "rejected": [USER, BAD]}, ROW),
        (
            {"chosen": "Q: why? A: salt is heavy", "rejected": "Q: why? A: salt is light"},
            {"prompt": "Q: why? A: salt is", "chosen": " heavy", "rejected": " light"},
        ),
        (  # HuggingFaceH4/ultrafeedback_binarized
            {"prompt": USER["content"], "prompt_id": "0", "chosen": [USER, GOOD],
             "rejected": [USER, BAD], "messages": [USER, GOOD], "score_chosen": 8.0,
             "score_rejected": 2.0},
            ROW | {"prompt_id": "0", "score_chosen": 8.0, "score_rejected": 2.0},
        ),
        (  # trl-lib/ultrafeedback_binarized
            {"chosen": [USER, GOOD], "rejected": [USER, BAD], "score_chosen": 8.0,
             "score_rejected": 2.0},
            ROW | {"score_chosen": 8.0, "score_rejected": 2.0},
        ),
        (ULTRA, ROW),
        (PKU, ROW),
        ({"messages": [USER, GOOD]}, {"prompt": [USER], "completion": [GOOD]}),
        ({"prompt": "a", "completion": "b"},) * 2,
        ({"prompt": [USER]},) * 2,
    ],
)  # fmt: skip
def test_every_schema(tmp_path, raw, expected):
    assert load_rows(jsonl(tmp_path / "a.jsonl", raw)) == [expected]


def test_the_safer_response_may_be_preferred():
    (row,) = convert([(1, PKU)], "f", "safer")
    assert (row["chosen"], row["rejected"]) == ([BAD], [GOOD])


def test_a_prompt_where_every_response_scores_the_same_is_left_out_and_told():
    same = ULTRA | {"completions": [c | {"overall_score": 5.0} for c in SCORED]}
    with pytest.warns(UserWarning, match="f: 1 of 2 rows left out: no response"):
        assert convert([(1, same), (2, ULTRA)], "f") == [ROW]


def test_columns_for_rewards_are_kept():
    row = {"prompt": "a", "answer": "4", "instruction": "b", "weights": [1, 2], "label": "x"}
    assert convert([(1, row)], "f") == [row]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (PKU | {"chosn": "b"}, "f:3 chosn = unknown field"),
        ({"prompt": "a", "chosen": "b"}, "go together"),
        ({"prompt": "a", "chosen": " ", "rejected": "c"}, "f:3 chosen = .*not blank"),
        ({"prompt": "a", "completion": ""}, "f:3 completion = empty"),
        ({"prompt": [USER], "chosen": [], "rejected": [BAD]}, "f:3 chosen = empty"),
        ({"prompt": "", "completion": "b"}, "f:3 prompt = empty"),
        ({"prompt": 7}, "f:3 prompt = 7"),
        ({"completion": "b"}, "f:3 prompt = None: one of TRL's formats; this row has completion"),
        ({"chosen": "abc", "rejected": "xyz"}, "no prompt"),
        ({"chosen": "a b", "rejected": "a b"}, "differ"),
        ({"prompt": "a", "chosen": "b", "rejected": [BAD]}, "f:3 rejected = messages: text"),
        ({"chosen": "b", "rejected": [BAD]}, "both text, or both messages"),
        ({"prompt": [{"role": "user"}], "completion": [GOOD]}, "role and content"),
        ({"messages": [USER]}, "two messages"),
        (PKU | {"better_response_id": 2}, "f:3 better_response_id = 2"),
        (PKU | {"response_1": ""}, "f:3 chosen = empty"),
        (ULTRA | {"completions": [{"response": "a"}]}, "overall_score"),
        (ULTRA | {"completions": [SCORED[0], SCORED[1] | {"overall_score": "nan"}]}, "a score"),
        (ULTRA | {"other": 1}, "f:3 other = unknown field"),
        ([1, 2], "a JSON object"),
    ],
)
def test_bad_rows_name_their_line_and_field(raw, message):
    with pytest.raises(InputError, match=message) as error:
        convert([(3, raw)], "f")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"prompt": "a"}\n{"prompt": "b', ":2: truncated"),
        (b'{"prompt": "a"}\n{"prompt" "b"}\n{"prompt": "c"}\n', ":2: not JSON"),
        (b'{"prompt": "\xff"}\n', ":1: not JSON"),
        (b"[" * 100_000 + b"\n", ":1: not JSON"),
        (
            b'{"prompt": "a", "chosen": "b", "chosen": "c"}\n',
            ":1: 'chosen' stands 2 times, once is expected",
        ),
        (b"\n\n", "no rows"),
        (b"", "no rows"),
    ],
)
def test_damaged_files(tmp_path, content, message):
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        load_rows(str(path))
    text = str(error.value).replace(" = ", ":")
    assert message.lstrip(":") in text and "\n" not in text


def test_a_missing_file_and_a_bad_label(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        load_rows(str(tmp_path / "none.jsonl"))
    with pytest.raises(InputError, match="label = best"):
        load_rows("prompts", label="best")
    path = jsonl(tmp_path / "a.jsonl", ROW)
    with pytest.raises(InputError, match="label = safer: better, but for data of PKU"):
        load_rows(path, label="safer")
    with pytest.raises(InputError, match="split = test: none: a file"):
        load_rows(path, split="test")
    with pytest.raises(InputError, match="split = test: train or held-out"):
        load_rows("prompts", split="test")


def test_the_shipped_prompts():
    train, held_out = prompts("train"), prompts("held-out")
    assert (len(train), len(held_out)) == (144, 72)
    assert len(set(train) | set(held_out)) == 216
    assert held_out[0] == "What makes a Sunday a good day?"  # the third of the file
    for split, part in (("train", train), ("held-out", held_out)):
        rows = [{"prompt": [{"role": "user", "content": p}]} for p in part]
        assert load_rows("prompts", split) == rows
    assert conversations("held-out", "Be kind.")[0]["prompt"][0]["content"] == "Be kind."
    with pytest.raises(ValueError, match="held-out is expected"):
        prompts("test")
