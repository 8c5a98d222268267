"""Every documented format of TRL's data: accepted or refused by name, wherever rows come from."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("accelerate", reason="the extra llm is not installed")

from sailtheory import InputError
from sailtheory.training.llm import SAILTrainer
from sailtheory.training.llm.data import convert, load_rows
from sailtheory.training.llm.formats import in_one_form
from sailtheory.training.llm.prepare import prepare
from tests.support.llm_models import config, few_letters, new_model, tokenizer
from tests.training.llm.test_chat import LIMITS, NEEDS

USER = {"role": "user", "content": "What color is the sky?"}
BLUE = {"role": "assistant", "content": "It is blue."}
GREEN = {"role": "assistant", "content": "It is green."}
AGAIN = {"role": "user", "content": "And the sea?"}
CALL = {"role": "assistant", "tool_calls": [{"type": "function", "function": {
    "name": "lamp", "arguments": {"state": "on"}}}]}  # fmt: skip
RESULT = {"role": "tool", "name": "lamp", "content": "The lamp is on."}
DONE = {"role": "assistant", "content": "Done!"}
TEXT = "<|user|>What color is the sky?<|end|>\n<|assistant|>"
CALLED = "<|user|>What color is the sky?<|end|>\n<|assistant|><|end|>\n<|tool|>The lamp is on."

ACCEPTED = {
    "language modelling, standard": (
        {"text": "The sky is blue."}, "sft", ["The", " sky is blue.<|end|>"],
    ),
    "language modelling, conversational": (
        {"messages": [USER, BLUE]}, "sft", [TEXT, "It is blue.<|end|>"],
    ),
    "language modelling, several turns": (
        {"messages": [USER, BLUE, AGAIN, GREEN]}, "sft",
        [TEXT + "It is blue.<|end|>\n<|user|>And the sea?<|end|>\n<|assistant|>",
         "It is green.<|end|>"],
    ),
    "tools": (
        {"messages": [USER, CALL, RESULT, DONE]}, "sft",
        [CALLED + "<|end|>\n<|assistant|>", "Done!<|end|>"],
    ),
    "prompt-only, standard": ({"prompt": "The sky is"}, "sail-dpr", ["The sky is"]),
    "prompt-only, conversational": ({"prompt": [USER]}, "sail-dpr", [TEXT]),
    "prompt-completion, standard": (
        {"prompt": "The sky is", "completion": " blue."}, "sft", ["The sky is", " blue.<|end|>"],
    ),
    "prompt-completion, conversational": (
        {"prompt": [USER], "completion": [BLUE]}, "sft", [TEXT, "It is blue.<|end|>"],
    ),
    "preference, standard": (
        {"prompt": "The sky is", "chosen": " blue.", "rejected": " green."}, "dpo",
        ["The sky is", " blue.<|end|>", " green.<|end|>"],
    ),
    "preference, conversational": (
        {"prompt": [USER], "chosen": [BLUE], "rejected": [GREEN]}, "dpo",
        [TEXT, "It is blue.<|end|>", "It is green.<|end|>"],
    ),
    "implicit prompt, standard": (
        {"chosen": "The sky is blue.", "rejected": "The sky is black."}, "dpo",
        ["The sky is", " blue.<|end|>", " black.<|end|>"],
    ),
    "implicit prompt, conversational": (
        {"chosen": [USER, BLUE], "rejected": [USER, GREEN]}, "dpo",
        [TEXT, "It is blue.<|end|>", "It is green.<|end|>"],
    ),
    "implicit prompt, a dialogue written out": (
        {"chosen": "\n\nHuman: The sky?\n\nAssistant: It is blue.",
         "rejected": "\n\nHuman: The sky?\n\nAssistant: It is bland."}, "dpo",
        ["\n\nHuman: The sky?\n\nAssistant:", " It is blue.<|end|>", " It is bland.<|end|>"],
    ),
    "implicit prompt, a chat written out": (
        {"chosen": "<|user|>The sky?<|end|>\n<|assistant|>It is blue.",
         "rejected": "<|user|>The sky?<|end|>\n<|assistant|>It is bland."}, "dpo",
        ["<|user|>The sky?<|end|>\n<|assistant|>", "It is blue.<|end|>", "It is bland.<|end|>"],
    ),
    "prompt repeated in the pair": (
        {"prompt": USER["content"], "chosen": [USER, BLUE], "rejected": [USER, GREEN],
         "messages": [USER, BLUE]}, "dpo", [TEXT, "It is blue.<|end|>", "It is green.<|end|>"],
    ),
    "unpaired preference, standard": (
        {"prompt": "The sky is", "completion": " blue.", "label": True}, "sft",
        ["The sky is", " blue.<|end|>"],
    ),
    "unpaired preference, conversational": (
        {"prompt": [USER], "completion": [BLUE], "label": True}, "sft",
        [TEXT, "It is blue.<|end|>"],
    ),
    "a preference for SFT": (
        {"prompt": "The sky is", "chosen": " blue.", "rejected": " green."}, "sft",
        ["The sky is", " blue.<|end|>"],
    ),
}  # fmt: skip

REFUSED = {
    "stepwise supervision": (
        {"prompt": "9.8 or 9.11?", "completions": ["a", "b"], "labels": [True, False]},
        "sail-dpr", "completions = stepwise supervision",
    ),
    "vision, a column": ({"prompt": [USER], "image": "<PIL>"}, "sail-dpr", "image = a picture"),
    "vision, several": ({"prompt": [USER], "images": ["<PIL>"]}, "dpo", "images = a picture"),
    "vision, parts": (
        {"prompt": [{"role": "user", "content": [{"type": "image"}, {"type": "text",
         "text": "What is it?"}]}]}, "sail-dpr", "prompt = .*pictures are not offered",
    ),
    "text without a prompt": ({"text": "The sky"}, "sail-dpr", "prompt = None: one: method sail"),
    "text for pairs": ({"text": "The sky"}, "dpo", "prompt = None: one: method dpo"),
    "no format": (
        {"conversations": [{"from": "human", "value": "a"}]}, "sft",
        "prompt = None: one of TRL's formats; this row has conversations",
    ),
    "a completion beside a pair": (
        {"prompt": "a", "chosen": "b", "rejected": "c", "completion": "d"}, "sft",
        "completion = beside a pair",
    ),
    "half a pair": ({"prompt": "a", "rejected": "c"}, "dpo", "chosen = missing"),
    "a label that is none": (
        {"prompt": "a", "completion": "b", "label": "false"}, "sft", "label = false: true or",
    ),
    "unpaired for pairs": (
        {"prompt": "a", "completion": "b", "label": True}, "dpo",
        "chosen = missing: method dpo .*the row has completion, label, prompt",
    ),
    "text behind messages": (
        {"prompt": [USER], "completion": " blue."}, "sft", "completion = text: messages, as its",
    ),
    "messages behind text": (
        {"prompt": "The sky?", "completion": [BLUE]}, "sft", "completion = messages: text, as its",
    ),
    "pairs of two kinds": (
        {"chosen": "a b", "rejected": [USER, BLUE]}, "dpo", "chosen and rejected = of two kinds",
    ),
    "pairs that part at the user": (
        {"chosen": [USER, BLUE, AGAIN, BLUE], "rejected": [USER, BLUE, USER, BLUE]}, "dpo",
        "chosen = of the user: of the assistant alone",
    ),
    "a pair that is one": ({"chosen": [USER], "rejected": [USER, BLUE]}, "dpo", "one begins with"),
    "a tool in a completion": (
        {"prompt": [USER], "completion": [CALL, RESULT, DONE]}, "sft", "completion = of the tool",
    ),
    "messages that end with the user": (
        {"messages": [USER, BLUE, AGAIN]}, "sft", "messages = ends otherwise",
    ),
    "messages of another prompt": (
        {"prompt": "Why?", "messages": [USER, BLUE]}, "sft", "messages = another prompt",
    ),
    "messages of another answer": (
        {"prompt": [USER], "chosen": [BLUE], "rejected": [GREEN], "messages": [USER, DONE]},
        "dpo", "messages = another text",
    ),
    "a message without content": ({"prompt": [{"role": "user"}]}, "sail-dpr", "role and content"),
}  # fmt: skip


def items(rows, method):
    return prepare(rows, tokenizer(), [0], LIMITS, NEEDS[method])


def texts(found):
    keys = ("prompt_ids", "chosen_ids", "rejected_ids")
    return [tokenizer().decode(found[key]) for key in keys if key in found]


@pytest.mark.parametrize("form", ACCEPTED)
def test_accepted(tmp_path, form):
    """From Python, from a file, and again in its own form."""
    row, method, expected = ACCEPTED[form]
    row = row | {"id": 7, "answer": ["x"]}
    [found] = items([row], method)
    assert texts(found) == expected
    assert found["columns"] == {k: v for k, v in row.items() if k != "prompt"}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    [read] = load_rows(str(tmp_path / "a.jsonl"))
    [again] = items([read], method)
    assert texts(again) == expected
    assert (again["columns"]["id"], again["columns"]["answer"]) == (7, ["x"])
    assert in_one_form(read, str) == read


@pytest.mark.parametrize("form", REFUSED)
def test_refused_by_name(form):
    row, method, message = REFUSED[form]
    field, _, rest = message.rpartition(" = ")
    with pytest.raises(InputError, match=rest) as caught:
        items([{"prompt": "a", "completion": "b", "chosen": None}, row]
              if method == "sft" else [row], method)  # fmt: skip
    place = 1 if method == "sft" else 0
    assert str(caught.value).startswith(f"{field}[{place}]" if field else "")
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=rest) as caught:
        items(convert([(3, row)], "f"), method)
    where = f"{field}[0]" if "method" in message else f"f:3 {field}"  # what only a method lacks
    assert str(caught.value).startswith(where)


@pytest.mark.parametrize("row", [7, "train", None, ["prompt"]])
def test_what_is_no_row(row):
    with pytest.raises(InputError, match=r"row\[0\] = .*: a mapping of columns"):
        items([row], "sft")


def test_completions_that_are_not_preferred_are_not_trained_on():
    rows = [{"prompt": f"a {k}", "completion": " b", "label": k % 3 == 0} for k in range(5)]
    with pytest.warns(UserWarning, match=r"train_dataset: 3 of 5 rows left out: the label is false "
                                         r"\(first: 1\)"):  # fmt: skip
        found = items(rows, "sft")
    assert [item["index"] for item in found] == [0, 3]
    with pytest.warns(UserWarning), pytest.raises(InputError, match="train_dataset = no rows"):
        items(rows[1:3], "sft")
    # Their prompts are as good as any.
    assert len(items(rows, "sail-dpr")) == 5


def test_what_is_left_out_or_cut_is_told():
    rows = [{"prompt": "a", "completion": " b"}, {"prompt": "a", "completion": " road" * 200}]
    with pytest.warns(UserWarning, match=r"1 of 2 rows cut: a completion is too long.*first: 1"):
        found = items(rows, "sft")
    assert len(found[1]["prompt_ids"] + found[1]["chosen_ids"]) == LIMITS.total


def test_tables_of_datasets():
    """A column that a row lacks is None there, and so are keys of messages."""
    datasets = pytest.importorskip("datasets", reason="the extra llm is not installed")
    table = datasets.Dataset.from_list([
        {"prompt": [USER], "completion": [BLUE | {"name": "x"}], "chosen": None, "rejected": None},
        {"prompt": [USER], "completion": None, "chosen": [BLUE], "rejected": [GREEN]},
    ])  # fmt: skip
    assert table[1]["completion"] is None and table[0]["chosen"] is None
    for found in items(table, "sft"):
        assert texts(found) == [TEXT, "It is blue.<|end|>"]


@pytest.mark.parametrize("form", [name for name, found in ACCEPTED.items() if found[1] == "sft"])
def test_sft_runs_on_them(tmp_path, form):
    trainer = SAILTrainer(
        new_model(1), args=config(tmp_path, "sft", max_steps=1, per_device_train_batch_size=1),
        train_dataset=[ACCEPTED[form][0]], processing_class=tokenizer(),
    )  # fmt: skip
    assert trainer.train().global_step == 1


def test_a_column_by_name_and_some_rows(tmp_path):
    """As a ``datasets.Dataset`` has them: callbacks of TRL draw for the held-out prompts."""
    trainer = SAILTrainer(
        new_model(1), reward_funcs=few_letters, args=config(tmp_path), processing_class=tokenizer(),
        train_dataset=[{"prompt": "a"}],
        eval_dataset=[{"prompt": "b", "id": 1}, {"prompt": [USER]}],
    )  # fmt: skip
    held_out = trainer.eval_dataset
    assert held_out["prompt"] == ["b", [USER]] and held_out["id"] == [1, None]
    assert held_out.select(range(8))["prompt"] == held_out["prompt"]
    assert held_out.select([1])["prompt"] == [[USER]]
