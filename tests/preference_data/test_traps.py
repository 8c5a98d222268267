"""What must never become 0 or text, be merged, or be lost without a word."""

from __future__ import annotations

import pytest

from sailtheory.preference_data.scored import TEN_FOR_ONE
from tests.preference_data.test_formats import read, refused, wins
from tests.support.preference_rows import ARENA, COMPARED, SCORED, USER, chat, completion, said

NAN = float("nan")
TRL_CHAT = {"prompt": [USER], "chosen": [said("a")], "rejected": [said("b")]}


@pytest.mark.parametrize("text", [None, NAN, "null", "[null]", "N/A", "NaN", " ", "", 7, ["x"]])
def test_no_text_is_no_response(text):
    row = {"prompt": "Q", "responses": ["a", text, "b"], "scores": [1, 2, 3]}
    data = read(row)
    assert data.prompts[0].responses == ["a", "b"]
    assert data.prompts[0].scores == [[1], [3]]
    assert sum(data.dropped.values()) == 1
    compared = read(COMPARED["trl"], {"prompt": "Q", "chosen": "a", "rejected": text}, format="trl",
                    drop_bad=True)  # fmt: skip
    assert len(compared.prompts) == 1 and sum(compared.dropped.values()) == 1


@pytest.mark.parametrize(
    "score",
    [
        None,
        NAN,
        float("inf"),
        "Infinity",
        "1e400",
        10**400,
        "N/A",
        "null",
        True,
        [1],
        "0x10",
        "1_0",
    ],
)
def test_no_number_is_no_score(score):
    data = read({"prompt": "Q", "responses": ["a", "x", "b"], "scores": [1, score, 3]})
    assert data.prompts[0].responses == ["a", "b"]
    assert data.dropped == {("responses", "the score is no finite number"): 1}


def test_ratings_are_strings_and_some_are_not_there():
    row = {
        "instruction": "Q",
        "completions": [
            completion("a", 8, rating="5"),
            completion("b", 7, rating="N/A"),
            completion("c", 6),
        ],
    }
    data = read(row, score="honesty")
    assert data.prompts[0].responses == ["a", "c"]
    assert data.prompts[0].scores == [[5], [4]]


def test_ten_where_one_was_meant():
    row = {
        "instruction": "Q",
        "completions": [
            completion("good", 10, fine=4.75),
            completion("bad", 10, fine=1.25),
            completion("worse", 10.0, rating="1"),
            completion("mid", 6, fine=3),
        ],
    }
    data = read(row)
    assert data.prompts[0].responses == ["good", "mid"]
    assert data.dropped["responses", TEN_FOR_ONE] == 2
    fine = read(row, score="fine-grained_score")
    assert fine.prompts[0].responses == ["good", "bad", "mid"]


def test_surrogates_are_not_written():
    data = read(COMPARED["arena-55k"],
                COMPARED["arena-55k"] | {"response_a": '["\\ud83d"]'},
                COMPARED["arena-55k"] | {"response_b": "[null]"},
                COMPARED["arena-55k"] | {"prompt": '["a", "b"]', "response_a": '["a", "b"]',
                                         "response_b": '["a", "c"]'})  # fmt: skip
    assert sorted(reason for _, reason in data.dropped) == [
        "several turns: the two conversations share no prompt after the first",
        "the response has a lone surrogate, which is no character",
        "the response is null",
    ]


@pytest.mark.parametrize("prompt", [None, NAN, "[null]", "N/A", "", "a \ud83d"])
def test_no_text_is_no_prompt(prompt):
    data = read(SCORED["scores"], SCORED["scores"] | {"prompt": prompt})
    assert len(data.prompts) == 1 and sum(data.dropped.values()) == 1
    asked = [{"role": "user", "content": prompt if isinstance(prompt, str) else None}]
    chats = read(TRL_CHAT, {"prompt": asked, "chosen": [said("a")], "rejected": [said("b")]})
    assert len(chats.prompts) == 1 and sum(chats.dropped.values()) == 1
    lost = COMPARED["arena-55k"] | {"prompt": '["\\ud83d"]'}
    assert len(read(COMPARED["arena-55k"], lost).prompts) == 1


def test_a_row_against_another_makes_counts():
    one, two = COMPARED["trl"], {"prompt": "Which?", "chosen": "b", "rejected": "a"}
    assert wins(read(one, two, one)) == [{("a", "b"): 2, ("b", "a"): 1}]


def test_prompts_are_merged_over_ids():
    rows = [SCORED["scores"] | {"id": "1", "responses": ["a", "b"]},
            SCORED["scores"] | {"id": "2", "responses": ["c", "a"]}]  # fmt: skip
    data = read(*rows)
    (prompt,) = data.prompts
    assert (prompt.id, prompt.responses, prompt.scores) == (
        "1",
        ["a", "b", "c"],
        [[2, 1], [1], [2]],
    )
    assert data.merged == {
        "rows have a prompt that was seen under another id: merged": 1,
        "responses repeat another of their prompt: merged, mean score": 1,
    }


def test_but_not_over_histories_or_system_messages():
    system = {"role": "system", "content": "Be brief."}
    history = [{"role": "user", "content": "Hm"}, said("Yes?")]
    rows = [
        {"chosen": chat(a, *before, USER), "rejected": chat(b, *before, USER)}
        for a, b, before in (("a", "b", ()), ("b", "a", (system,)), ("b", "a", history))
    ]
    assert len(read(*rows).prompts) == 3


def test_ranks_of_two_rows_are_not_compared():
    assert len(read(SCORED["nectar"], SCORED["nectar"]).prompts) == 2


def test_several_turns_of_the_arena_share_no_prompt():
    history = [USER, said("x"), USER]
    row = ARENA | {"winner": "model_a", "conversation_a": chat("a", *history),
                   "conversation_b": chat("b", USER, said("y"), USER)}  # fmt: skip
    data = read(COMPARED["chatbot-arena"], row)
    assert list(data.dropped.values()) == [1]


def test_conversations_that_part_before_their_last_turn_compare_nothing():
    def row(first):
        history = [USER, said(first), {"role": "user", "content": "And?"}]
        return {"chosen": chat("a", *history), "rejected": chat("b", USER, said("x"), history[2])}

    data = read(row("x"), row("y"))
    assert data.dropped == {("rows", "the prompts of the two responses differ"): 1}


HH = {
    "the last turn is not the assistant's": ("\n\nHuman: Q\n\nAssistant: a\n\nHuman: and?",) * 2,
    "the prompts of the two responses differ":
        ("\n\nHuman: Q\n\nAssistant: a", "\n\nHuman: R\n\nAssistant: b"),
    "the two responses are the same text": ("\n\nHuman: Q\n\nAssistant: a",) * 2,
    "the response is empty": ("\n\nHuman: Q\n\nAssistant:", "\n\nHuman: Q\n\nAssistant: b"),
}  # fmt: skip


@pytest.mark.parametrize("reason", HH)
def test_transcripts_that_compare_nothing(reason):
    chosen, rejected = HH[reason]
    data = read(COMPARED["hh-rlhf"], {"chosen": chosen, "rejected": rejected})
    assert data.dropped == {("rows", reason): 1}


def test_transcripts_are_split_at_the_last_assistant():
    before = "\n\nHuman: Q\n\nAssistant: hm\n\nHuman: so?"
    row = {"chosen": f"{before}\n\nAssistant: a", "rejected": f"{before}\n\nAssistant: b"}
    (prompt,) = read(row).prompts
    assert prompt.turns == (("user", "Q"), ("assistant", "hm"), ("user", "so?"))
    assert prompt.responses == ["a", "b"]


def test_trees_without_ranks_and_with_deleted_messages():
    def tree(*replies):
        root = {"message_id": "m", "role": "prompter", "text": "Q", "replies": list(replies)}
        return {"message_tree_id": "t", "prompt": root}

    def reply(text, rank, **more):
        return {"role": "assistant", "text": text, "rank": rank, "replies": []} | more

    deeper = {"role": "prompter", "text": "more?", "replies": [reply("d", 0), reply("e", 1)]}
    data = read(tree(reply("a", 1, replies=[deeper]), reply("b", 0), reply("x", None),
                     reply("y", 2, deleted=True, replies=[deeper])))  # fmt: skip
    first, second = sorted(data.prompts, key=lambda p: len(p.turns))
    assert (first.responses, first.scores) == (["a", "b"], [[-1], [0]])
    assert second.turns == (("user", "Q"), ("assistant", "a"), ("user", "more?"))
    assert second.responses == ["d", "e"]
    assert data.dropped == {("responses", "the score is no finite number"): 1,
                            ("responses", "the message was deleted"): 1,
                            ("rows", "what follows a deleted message"): 1}  # fmt: skip


def test_trees_as_flat_messages():
    rows = [{"message_id": i, "parent_id": p, "text": t, "role": role, "rank": rank}
            for i, p, t, role, rank in (
                ("2", "1", "a", "assistant", 1), ("3", "1", "b", "assistant", 0),
                ("1", None, "Q", "prompter", None),
                ("9", "8", "lost", "assistant", 0))]  # fmt: skip
    data = read(*rows)
    (prompt,) = data.prompts
    assert (prompt.turns, prompt.responses) == ((("user", "Q"),), ["a", "b"])
    assert prompt.scores == [[-1], [0]]
    assert data.dropped == {("rows", "a message whose parent is not there"): 1}
    assert "message_id = 2: a text, each once" in refused(*rows, rows[0])


def test_scores_of_a_pair_are_not_averaged():
    """A cycle that no reward fits: a over b over c over a."""
    rows = [COMPARED["webgpt"] | {"answer_0": x, "answer_1": y, "score_0": 1.0, "score_1": -1.0}
            for x, y in ("ab", "bc", "ca")]  # fmt: skip
    assert wins(read(*rows)) == [{("a", "b"): 1, ("b", "c"): 1, ("c", "a"): 1}]


def test_chosen_below_rejected_is_said():
    row = SCORED["ultrafeedback-binarized"] | {"score_chosen": 1}
    data = read(row)
    assert data.prompts[0].scores == [[1], [2.5]]
    assert sum(data.merged.values()) == 1


def test_a_prompt_needs_two_responses():
    alone = {"prompt": "R", "responses": ["a", "a"], "scores": [1, 2]}
    data = read(SCORED["scores"], alone)
    assert data.dropped == {("prompts", "fewer than two responses"): 1}
    assert "no prompt is left; left out: fewer than two responses" in refused(alone)


def test_no_rows_and_a_limit():
    assert "no rows" in refused()
    data = read(*(SCORED["scores"] | {"prompt": str(i)} for i in range(9)), limit=4)
    assert len(data.prompts) == data.rows == 4
    assert any("there are more" in note for note in data.merged)
