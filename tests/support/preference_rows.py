"""One good row of each format of preference data, with what a reader must make of it."""

from __future__ import annotations

import gzip
import json

USER = {"role": "user", "content": "Which?"}


def said(text):
    return {"role": "assistant", "content": text}


def chat(text, *before):
    return [*(before or (USER,)), said(text)]


def completion(text, score, fine=None, rating="4"):
    aspects = ("helpfulness", "honesty", "instruction_following", "truthfulness")
    return {
        "response": text, "overall_score": score, "fine-grained_score": fine, "model": "m",
        "annotations": {aspect: {"Rating": rating, "Rationale": "x"} for aspect in aspects},
    }  # fmt: skip


HELPSTEER = {"correctness": 3, "coherence": 4, "complexity": 1, "verbosity": 2}
ARENA = {"question_id": "q", "model_a": "x", "model_b": "y", "turn": 1}
SHP = {"post_id": "p", "history": "Which?", "score_ratio": 2.0, "score_A": 4, "score_B": 2}

SCORED = {
    "ultrafeedback": {
        "instruction": "Which?", "source": "s", "models": [],
        "completions": [completion("a", 8.5), completion("b", 3), completion("c", "6")],
    },
    "ultrafeedback-binarized": {
        "prompt": "Which?", "chosen": chat("a"), "rejected": chat("b"),
        "score_chosen": 8.0, "score_rejected": 2.5, "messages": chat("a"),
    },
    "nectar": {
        "prompt": "\n\nHuman: Which? \n\nAssistant: ", "turns": 1, "num_responses": 3,
        "answers": [{"answer": "a", "rank": 1.0}, {"answer": "b", "rank": 3.0},
                    {"answer": "c", "rank": 2.0}],
    },
    "stack-exchange": {
        "qid": 7, "question": "Which?",
        "answers": [{"text": "a", "pm_score": 4}, {"text": "b", "pm_score": -1}],
    },
    "scores": {"id": "x1", "prompt": "Which?", "responses": ["a", "b"], "scores": [2, 1]},
    "oasst-trees": {
        "message_tree_id": "t",
        "prompt": {"message_id": "m0", "role": "prompter", "text": "Which?", "replies": [
            {"role": "assistant", "text": "a", "rank": 0, "replies": []},
            {"role": "assistant", "text": "b", "rank": 2, "replies": []},
            {"role": "assistant", "text": "c", "rank": 1, "replies": []}]},
    },
}  # fmt: skip
BEST_FIRST = {"ultrafeedback": [8.5, 3, 6], "ultrafeedback-binarized": [8, 2.5],
              "nectar": [-1, -3, -2], "stack-exchange": [4, -1], "scores": [2, 1],
              "oasst-trees": [0, -2, -1]}  # fmt: skip

COMPARED = {
    "trl": {"prompt": "Which?", "chosen": "a", "rejected": "b"},
    "hh-rlhf": {"chosen": "\n\nHuman: Which?\n\nAssistant: a",
                "rejected": "\n\nHuman: Which?\n\nAssistant: b"},
    "pku-saferlhf": {"prompt": "Which?", "response_0": "b", "response_1": "a",
                     "better_response_id": 1, "safer_response_id": 0},
    "shp": SHP | {"human_ref_A": "a", "human_ref_B": "b", "labels": 1},
    "helpsteer2-pairs": {"prompt": "Which?", "response_1": "a", "response_2": "b",
                         "preference_strength": -2},
    "helpsteer3": {"context": [USER], "response1": "b", "response2": "a", "overall_preference": 1,
                   "domain": "general", "language": "english"},
    "stack-exchange-paired": {"qid": 1, "question": "Which?", "response_j": "a",
                              "response_k": "b"},
    "summarize-from-feedback": {"info": {"id": "t", "post": "Which?"}, "choice": 1,
                                "summaries": [{"text": "b"}, {"text": "a"}]},
    "webgpt": {"question": {"full_text": "Which?"}, "answer_0": "b", "score_0": -0.5,
               "answer_1": "a", "score_1": 0.5},
    "counts": {"prompt": "Which?", "response_a": "a", "response_b": "b", "wins_a": 1, "wins_b": 0},
    "chatbot-arena": ARENA | {"winner": "model_b", "conversation_a": chat("b"),
                              "conversation_b": chat("a")},
    "arena-55k": {"prompt": '["Which?"]', "response_a": '["a"]', "response_b": '["b"]',
                  "winner_model_a": 1, "winner_model_b": 0, "winner_tie": 0},
}  # fmt: skip
"""Rows in which ``a`` is better than ``b``."""


def write_jsonl(path, rows, *, packed=False):
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    return path
