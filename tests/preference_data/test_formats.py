"""Each format by its name, with its direction; what is none, or two at once, is refused."""

from __future__ import annotations

import pytest

from sailtheory import InputError
from sailtheory.preference_data.collect import collect
from sailtheory.preference_data.formats import FORMATS
from sailtheory.preference_data.item import Choices
from sailtheory.preference_data.preferences import Rule
from sailtheory.preference_data.rewarded import rewarded
from tests.support.preference_rows import (
    ARENA,
    BEST_FIRST,
    COMPARED,
    HELPSTEER,
    SCORED,
    USER,
    chat,
    said,
)

WHICH = (("user", "Which?"),)
LABELS = {"pku-saferlhf": "better"}


def read(*rows, **options):
    choices = Choices(options.pop("score", None), options.pop("label", None))
    numbered = ((f"row {i}", row) for i, row in enumerate(rows, 1))
    return collect(numbered, "data", choices=choices, **options)


def refused(*rows, **options):
    with pytest.raises(InputError) as error:
        read(*rows, **options)
    return str(error.value)


def wins(data):
    """Of each prompt, wins by texts."""
    return [
        {(p.responses[k], p.responses[j]): w for (k, j), w in p.wins.items() if w}
        for p in data.prompts
    ]


@pytest.mark.parametrize("name", SCORED)
def test_scores_by_format(name):
    data = read(SCORED[name])
    assert data.format.name == name
    (prompt,) = data.prompts
    assert prompt.responses == ["a", "b", "c"][: len(BEST_FIRST[name])]
    assert [score for (score,) in prompt.scores] == BEST_FIRST[name]
    assert prompt.turns == WHICH


REWARDED = {
    "rewards": [{"prompt": "Which?", "responses": ["a", "b", "a"], "rewards": [1, 0, 0.5]}],
    "reward-a-row": [{"prompt": "Which?", "response": text, "reward": r}
                     for text, r in (("a", 1), ("b", 0), ("a", 0.5))],
}  # fmt: skip


@pytest.mark.parametrize("name", REWARDED)
def test_rewards_by_format(name):
    data = read(*REWARDED[name])
    assert data.format.name == name and data.format.rewards
    (prompt,) = data.prompts
    assert dict(zip(prompt.responses, prompt.scores, strict=True)) == {"a": [1, 0.5], "b": [0]}
    found = rewarded(data, Rule(), None)
    assert [list(values) for values in found.values] == [[0.75, 0]]
    assert sum(found.notes.values()) == 2
    with pytest.raises(InputError, match="temperature = 2"):
        rewarded(data, Rule(temperature=2.0), None)


def test_comparisons_are_no_rewards():
    with pytest.raises(InputError, match="comparisons"):
        rewarded(read(COMPARED["trl"]), Rule(), None)


@pytest.mark.parametrize("name", COMPARED)
def test_comparisons_by_format(name):
    data = read(COMPARED[name], label=LABELS.get(name))
    assert data.format.name == name
    assert wins(data) == [{("a", "b"): 1.0}]
    assert [text for _, text in data.prompts[0].turns] == ["Which?"]


def test_every_format_says_its_direction_and_has_a_test():
    tested = {*SCORED, *COMPARED, "helpsteer2", "trl-unpaired", "oasst-messages", "score-a-row"}
    assert tested | {*REWARDED} == set(FORMATS)
    for format in FORMATS.values():
        said_so = ("better", "best", "tie", "a 1")
        assert any(word in format.direction for word in said_so), format.name
    assert read(COMPARED["pku-saferlhf"], label="safer").direction.startswith("safer_response_id")


@pytest.mark.parametrize("name", [*SCORED, *COMPARED])
def test_no_row_is_of_two_formats(name):
    row = (SCORED | COMPARED)[name]
    assert [f.name for f in FORMATS.values() if f.matches(row)] == [name]


def test_ambiguous_rows_name_the_candidates_and_can_be_forced():
    both = SCORED["scores"] | COMPARED["trl"]
    assert "ambiguous: --format, one of scores, trl" in refused(both)
    assert read(both, format="trl").format.name == "trl"
    assert read(both, format="scores").forced
    assert "columns text: one of ultrafeedback" in refused({"text": "x"})
    assert "format = dpo: one of" in refused(both, format="dpo")
    assert read(SCORED["ultrafeedback-binarized"], format="trl").format.kind == "comparisons"


def test_choices_of_the_user():
    row = COMPARED["pku-saferlhf"]
    assert "--label is needed for pku-saferlhf: one of better, safer" in refused(row)
    assert wins(read(row, label="safer")) == [{("b", "a"): 1.0}]
    assert "label = best: one of better, safer" in refused(row, label="best")
    assert "no choice in trl" in refused(COMPARED["trl"], label="better")
    steered = [HELPSTEER | {"prompt": "Q", "response": r, "helpfulness": h}
               for r, h in (("a", 4), ("b", 0))]  # fmt: skip
    assert "--score is needed for helpsteer2" in refused(*steered)
    assert read(*steered, score="helpfulness").prompts[0].scores == [[4], [0]]
    assert read(*steered, score="verbosity").direction == "verbosity: higher is better"
    assert "row 1 helpfulness = 5: a number from 0 to 4" in refused(
        steered[0] | {"helpfulness": 5}, score="helpfulness"
    )
    aspect = read(SCORED["ultrafeedback"], score="honesty")
    assert aspect.prompts[0].scores == [[4], [4], [4]]


def test_unpaired_labels_are_refused_with_the_reason():
    row = {"prompt": "Q", "completion": "a", "label": True}
    assert "unpaired labels compare none" in refused(row)


TRL = {
    "explicit conversation": {"prompt": [USER], "chosen": [said("a")], "rejected": [said("b")]},
    "implicit conversation": {"chosen": chat("a"), "rejected": chat("b")},
    "prompt twice": {"prompt": "Which?", "chosen": chat("a"), "rejected": chat("b")},
    "implicit text": {"chosen": "Which?\nAssistant: a", "rejected": "Which?\nAssistant: b"},
    "sharegpt": {"chosen": [{"from": "human", "value": "Which?"}, {"from": "gpt", "value": "a"}],
                 "rejected": [{"from": "human", "value": "Which?"},
                              {"from": "gpt", "value": "b"}]},
}  # fmt: skip


@pytest.mark.parametrize("name", TRL)
def test_trl_in_its_forms(name):
    (found,) = wins(read(TRL[name]))
    assert {(k.strip(), j.strip()) for k, j in found} == {("a", "b")}


def test_an_implicit_prompt_ends_with_the_turn_not_inside_a_word():
    row = {"chosen": "The sky?\nAssistant: blue", "rejected": "The sky?\nAssistant: black"}
    assert wins(read(row)) == [{(" blue", " black"): 1.0}]
    plain = {"chosen": "The sky is blue", "rejected": "The sky is black"}
    assert wins(read(plain)) == [{(" blue", " black"): 1.0}]
    words = read({"chosen": "yes indeed", "rejected": "no way"}, plain)
    assert words.dropped["rows", "there is no prompt: chosen and rejected share no beginning"] == 1


def test_an_implicit_text_with_further_turns_is_no_pair():
    """Prompts that differ leave turns in what would be taken for responses."""
    good = {"chosen": "User: Q\nAssistant: a", "rejected": "User: Q\nAssistant: b"}
    first = {"chosen": "User: Q\nAssistant: a", "rejected": "User: R\nAssistant: b"}
    second = {"chosen": "User: Q\nAssistant: x\nUser: R\nAssistant: a",
              "rejected": "User: Q\nAssistant: x\nUser: S\nAssistant: b"}  # fmt: skip
    data = read(good, first, second)
    assert wins(data) == [{(" a", " b"): 1}]
    assert data.dropped == {("rows", "the prompts of the two responses differ"): 2}


TIES = [
    (COMPARED["webgpt"] | {"score_0": 0, "score_1": 0}),
    (COMPARED["helpsteer3"] | {"overall_preference": 0}),
    (COMPARED["chatbot-arena"] | {"winner": "tie"}),
    (COMPARED["chatbot-arena"] | {"winner": "tie (bothbad)"}),
    (COMPARED["chatbot-arena"] | {"winner": "both_bad"}),
    (COMPARED["arena-55k"] | {"winner_model_a": 0, "winner_tie": 1}),
    (COMPARED["counts"] | {"wins_a": 0, "ties": 1}),
]


@pytest.mark.parametrize("row", TIES)
def test_ties_are_half_a_win_for_each(row):
    (found,) = wins(read(row))
    assert set(found.values()) == {0.5} and len(found) == 2


def test_both_bad_is_said():
    row = COMPARED["chatbot-arena"] | {"winner": "both_bad"}
    assert read(row).merged["both bad: counted as ties"] == 1


def test_typed_parts_are_joined_and_pictures_dropped():
    parts = [{"type": "text", "text": "Whi"}, {"type": "text", "text": "ch?"}]
    asked = {"role": "user", "content": parts}
    good = ARENA | {"winner": "model_a", "conversation_a": chat("a", asked),
                    "conversation_b": chat("b", asked)}  # fmt: skip
    assert read(good).prompts[0].turns == WHICH
    seen = {"role": "user", "content": [{"type": "image", "image": "x"}]}
    picture = good | {"conversation_a": chat("a", seen), "conversation_b": chat("b", seen)}
    data = read(picture, good)
    assert data.dropped["rows", "a message has a part that is no text"] == 1


WRONG = [
    ("chatbot-arena", {"winner": "model_c"}, "winner = 'model_c': one of model_a"),
    ("chatbot-arena", {"conversation_a": []}, "conversation_a = []: a list of messages"),
    ("pku-saferlhf", {"better_response_id": -1}, "better_response_id = -1: 0 or 1"),
    ("pku-saferlhf", {"better_response_id": None}, "better_response_id = None: 0 or 1"),
    ("pku-saferlhf", {"better_response_id": 2}, "better_response_id = 2: 0 or 1"),
    ("pku-saferlhf", {"better_response_id": True}, "better_response_id = True: 0 or 1"),
    ("pku-saferlhf", {"better_response_id": 0.5}, "better_response_id = 0.5: 0 or 1"),
    ("summarize-from-feedback", {"choice": -1}, "choice = -1: 0 or 1"),
    ("shp", {"labels": 2}, "labels = 2: 0 or 1"),
    ("helpsteer3", {"overall_preference": 4}, "overall_preference = 4.0: a strength"),
    ("nectar", {"answers": [{"answer": "a", "rank": 0}]}, "answers rank = 0.0"),
    ("arena-55k", {"winner_tie": 1}, "a 1 and two 0"),
    ("arena-55k", {"response_a": "a"}, "a JSON list of texts"),
    ("webgpt", {"score_0": 1}, "opposite numbers"),
    ("counts", {"wins_a": 1.5}, "wins_a = 1.5: a count 0, 1, 2"),
    ("counts", {"wins_b": -1}, "wins_b = -1: a count 0, 1, 2"),
    ("scores", {"scores": [1]}, "1 scores beside 2 responses"),
    ("scores", {"scores": 1}, "scores = 1: a list"),
    ("trl", {"rejected": [said("b")]}, "both text, or both messages"),
    ("trl", {"prompt": " "}, "prompt = ' ': text"),
    ("ultrafeedback", {"completions": ["a"]}, "completions = ['a']: a list of objects"),
]


@pytest.mark.parametrize(("format", "change", "expected"), WRONG)
def test_wrong_rows_are_refused_or_counted(format, change, expected):
    good = (COMPARED | SCORED)[format]
    rows, label = (good, good | change), LABELS.get(format)
    message = refused(*rows, label=label)
    assert message.startswith("row 2 ") and expected in message
    data = read(*rows, label=label, drop_bad=True)
    assert sum(data.dropped.values()) == 1 and data.responses is None


def test_a_row_is_an_object():
    assert "row 1 = ['a']: an object with named columns" in refused(["a"])
    assert read(COMPARED["trl"], 7, drop_bad=True).dropped == {("rows", "wrong: row"): 1}


def test_a_later_row_without_a_column():
    row = {k: v for k, v in COMPARED["shp"].items() if k != "labels"}
    assert "row 2 labels = missing: this column" in refused(COMPARED["shp"], row)
