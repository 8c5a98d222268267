"""Special tokens once, columns of the chat template seen, rewards of what was drawn."""

from __future__ import annotations

import copy

import pytest

pytest.importorskip("transformers", reason="the extra llm is not installed")
pytest.importorskip("accelerate", reason="the extra llm is not installed")

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from sailtheory import InputError
from sailtheory.training.llm import SAILTrainer, chat
from sailtheory.training.llm import preferences as rewards
from sailtheory.training.llm.prepare import Limits, Needs, prepare
from tests.support.llm_models import CHAT, PAIRS, config, framing_tokenizer, new_model, tokenizer

LIMITS = Limits(total=200, new=8, long_prompts="refuse")
NEEDS = {
    "sft": Needs("sft", ["chosen"]), "dpo": Needs("dpo", ["chosen", "rejected"]),
    "sail-dpr": Needs("sail-dpr", []),
}  # fmt: skip
USER = {"role": "user", "content": "Why is the sea salty?"}
GOOD = {"role": "assistant", "content": "Rivers carry salt to it."}
BAD = {"role": "assistant", "content": "It is not."}
LAMP = {"type": "function", "function": {"name": "lamp", "parameters": {"type": "object"}}}
WITH_TOOLS = "{% if tools %}<|user|>{{ tools | tojson }}{% endif %}{{ mood }}" + CHAT


def item(row, method="dpo", words=None, end=(0,)):
    [found] = prepare([row], words or tokenizer(), list(end), LIMITS, NEEDS[method])
    return found


def wordings(template):
    words = copy.deepcopy(tokenizer())
    words.chat_template = template
    return words


# --- special tokens -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "a b", "chosen": " c", "rejected": " d"},
        {"prompt": "<|begin|>a b", "chosen": " c<|end|>", "rejected": " d"},
        {"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]},
        {"prompt": [{"role": "system", "content": ""}, USER], "chosen": [GOOD], "rejected": [BAD]},
    ],
)
@pytest.mark.parametrize("frame", ["<|begin|> $A", "<|begin|> $A <|end|>"])
@pytest.mark.parametrize("method", ["dpo", "sft", "sail-dpr"])
def test_a_row_begins_once_and_ends_once(row, method, frame):
    words = framing_tokenizer(frame)
    found = item(row, method, words)
    begin, end = words.bos_token_id, words.eos_token_id
    prompt = found["prompt_ids"]
    assert prompt[0] == begin and prompt.count(begin) == 1
    turns = sum(m["role"] != "assistant" for m in row["prompt"]) if "role" in str(row) else 0
    assert prompt.count(end) == turns and prompt[-1] != end  # the ends of the turns before
    for part in NEEDS[method].completions:
        ids = found[f"{part}_ids"]
        assert ids[-1] == end and ids.count(end) == 1 and begin not in ids


def test_a_text_without_a_prompt_begins_once_and_ends_once():
    for text in ("the sea is salty", "<|begin|>the sea is salty<|end|>"):
        words = framing_tokenizer("<|begin|> $A <|end|>")
        found = item({"text": text}, "sft", words)
        assert found["prompt_ids"] == [words.bos_token_id]
        assert found["chosen_ids"] == words("the sea is salty")["input_ids"][1:]
    bare = item({"text": "the sea is salty"}, "sft")  # its first token is predicted by none
    whole = tokenizer()("the sea is salty")["input_ids"]
    assert bare["prompt_ids"] + bare["chosen_ids"] == [*whole, 0]
    assert len(bare["prompt_ids"]) == 1


@pytest.mark.parametrize("after", ["", "<|end|>", "<|end|>\n", "\n", "<|end|>."])
def test_every_template_ends_a_completion(after):
    """One that writes no end, or something behind it, gets the tokenizer's."""
    template = CHAT.replace("<|end|>\n", after)
    ids = item({"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]}, "dpo",
               wordings(template))["chosen_ids"]  # fmt: skip
    expected = GOOD["content"] + {"\n": "\n<|end|>", "<|end|>.": "<|end|>.<|end|>"}.get(
        after, "<|end|>"
    )
    assert tokenizer().decode(ids) == expected


class Reads(torch.nn.Module):
    """A classifier that keeps what it reads."""

    def __init__(self, words):
        super().__init__()
        self.config = copy.copy(new_model(1).config)
        self.config.num_labels = 1
        self.device, self.words, self.read = "cpu", words, []

    def forward(self, input_ids, attention_mask):
        self.read += [ids[mask == 1].tolist()
                      for ids, mask in zip(input_ids, attention_mask, strict=True)]  # fmt: skip
        return type("Out", (), {"logits": attention_mask.sum(-1, keepdim=True).float()})


@pytest.mark.parametrize("kind", ["text", "written out", "messages"])
def test_a_reward_model_reads_each_special_token_once(kind):
    words = framing_tokenizer()
    model = Reads(words)
    prompt, completion = {
        "text": ("Why?", " Because."), "written out": ("<|begin|>Why?", " Because."),
        "messages": ([USER], [GOOD]),
    }[kind]  # fmt: skip
    rewards.classifier(model, words)(prompts=[prompt, prompt], completions=[completion] * 2)
    for ids in model.read:
        assert ids[0] == words.bos_token_id and ids.count(words.bos_token_id) == 1
    if kind == "messages":
        text = words.apply_chat_template([USER, GOOD], tokenize=False)
        assert words.decode(model.read[0]) == text


def test_a_reward_does_not_depend_on_what_else_is_judged():
    """Positions are absolute here, and the tokenizer pads on the left."""
    from transformers import GPT2Config, GPT2ForSequenceClassification

    torch.manual_seed(0)
    settings = GPT2Config(vocab_size=400, n_positions=64, n_embd=32, n_layer=1, n_head=2,
                          num_labels=1)  # fmt: skip
    model = GPT2ForSequenceClassification(settings).double()
    words = copy.deepcopy(tokenizer())
    words.padding_side = "left"
    judge = rewards.classifier(model, words)
    texts = ["yes", "the old house by the sea is good and kind"]
    together = judge(prompts=["Say: "] * 2, completions=texts)
    alone = [judge(prompts=["Say: "], completions=[text])[0] for text in texts]
    # A few hundred float64 operations; another position would move it by 1e-2.
    assert together == pytest.approx(alone, abs=1e-12) and abs(together[0] - together[1]) > 1e-3
    with pytest.raises(InputError, match=r"reward model = \d+: at most 64 tokens"):
        judge(prompts=["road " * 100], completions=["a"])


def test_a_reward_model_without_a_chat_template_is_told_apart():
    words = wordings(None)
    with pytest.raises(InputError, match="reward model prompt = messages: a tokenizer with a chat"):
        rewards.classifier(Reads(words), words)(prompts=[[USER]], completions=[[GOOD]])


# --- what the template reads ----------------------------------------------------------------


@pytest.mark.parametrize("tools", [[LAMP], '[{"type": "function", "function": {"name": "lamp", '
                                   '"parameters": {"type": "object"}}}]'])  # fmt: skip
def test_tools_and_options_are_in_the_prompt(tools):
    words = wordings(WITH_TOOLS)
    row = {"prompt": [USER], "chosen": [GOOD], "rejected": [BAD], "tools": tools,
           "chat_template_kwargs": {"mood": "Calm."}}  # fmt: skip
    found = item(row, "dpo", words)
    expected = words.apply_chat_template(
        [USER], tools=[LAMP], mood="Calm.", add_generation_prompt=True, tokenize=False
    )
    assert words.decode(found["prompt_ids"]) == expected and "lamp" in expected
    assert words.decode(found["chosen_ids"]) == GOOD["content"] + "<|end|>"
    plain = item({k: row[k] for k in ("prompt", "chosen", "rejected")}, "dpo", words)
    assert len(plain["prompt_ids"]) < len(found["prompt_ids"])


def test_a_reward_model_is_shown_them_as_well():
    words = wordings(WITH_TOOLS)
    model = Reads(words)
    rewards.classifier(model, words)(
        prompts=[[USER]] * 2, completions=[[GOOD]] * 2, tools=[[LAMP], None],
        chat_template_kwargs=[None, {"mood": "Calm."}],
    )  # fmt: skip
    first, second = map(words.decode, model.read)
    assert "lamp" in first and "lamp" not in second
    assert second.startswith("Calm.") and "Calm." not in first


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"tools": [LAMP], "template": CHAT}, r"tools\[0\] = tools: a chat template that reads"),
        ({"tools": [LAMP], "prompt": "Why?"}, r"tools\[0\] = beside a text"),
        ({"tools": "lamp"}, r"tools\[0\] = lamp: JSON"),
        ({"tools": ["lamp"]}, r"tools\[0\] = .*: a list of JSON schemas"),
        ({"chat_template_kwargs": {"moood": "x"}}, r"chat_template_kwargs\[0\] = moood"),
        ({"chat_template_kwargs": ["mood"]}, r"chat_template_kwargs\[0\] = "),
        # Each of these would change what is read rather than what the template sees.
        ({"chat_template_kwargs": {"truncation": True}}, r"\.truncation\[0\] = True"),
        ({"chat_template_kwargs": {"chat_template": "{{ mood }}"}}, r"\.chat_template\[0\]"),
        ({"chat_template_kwargs": {"tools": [LAMP]}}, r"\.tools\[0\]"),
    ],
)
def test_columns_that_the_prompt_would_not_show(columns, message):
    words = wordings(columns.pop("template", WITH_TOOLS))
    with pytest.raises(InputError, match=message) as caught:
        item({"prompt": [USER]} | columns, "sail-dpr", words)
    assert "\n" not in str(caught.value)


def test_empty_and_missing_columns_are_none(tmp_path):
    """As tables have them: a column that only some rows have, keys that are None."""
    row = {"prompt": [USER | {"tool_calls": None}], "tools": None, "chat_template_kwargs": {},
           "images": []}  # fmt: skip
    assert item(row, "sail-dpr")["prompt_ids"] == item({"prompt": [USER]}, "sail-dpr")["prompt_ids"]


def test_a_template_that_refuses_the_messages():
    words = wordings("{{ raise_exception('roles must alternate') }}")
    with pytest.raises(InputError, match=r"prompt\[0\] = .*roles must alternate"):
        item({"prompt": [USER]}, "sail-dpr", words)


def test_a_turn_of_the_assistant_is_continued():
    """As in TRL; it is not ended and begun again."""
    begun = {"role": "assistant", "content": "Rivers"}
    ids = item({"prompt": [USER, begun]}, "sail-dpr")["prompt_ids"]
    assert tokenizer().decode(ids).endswith("<|assistant|>Rivers")
    words = tokenizer()
    model = Reads(words)
    said = [{"role": "assistant", "content": " carry salt."}]
    rewards.classifier(model, words)(prompts=[[USER, begun]], completions=[said])
    assert words.decode(model.read[0]).endswith("<|assistant|>Rivers carry salt.<|end|>\n")
    with pytest.raises(InputError, match=r"prompt\[0\] = ends with the assistant"):
        item({"prompt": [USER, begun], "completion": said}, "sft")


# --- what a reward function is called with -----------------------------------------------------


def judged(tmp_path, rows, words=None):
    """The columns that a reward function sees in a batch of all rows, in their order."""
    seen = []

    def judge(prompts, completions, **columns):
        seen.append({"prompts": prompts, "completions": completions} | columns)
        return [float(k) for k in range(len(completions))]

    trainer = SAILTrainer(
        new_model(1), reward_funcs=judge, args=config(tmp_path, log_kl_steps=0),
        train_dataset=rows, processing_class=words or tokenizer(),
    )  # fmt: skip
    trainer.draw(trainer.model, trainer.train_dataset)
    [found] = seen
    return found, trainer


def test_a_column_that_the_first_row_lacks(tmp_path):
    rows = [{"prompt": "a b"}, {"prompt": "c d", "answer": "4", "weights": 2}]
    found, trainer = judged(tmp_path, rows)
    assert found["answer"] == [None, "4"] * 2 and found["weights"] == [None, 2] * 2
    # A batch that has none of it is called with the same columns.
    assert trainer.train_dataset[0]["columns"] == {"answer": None, "weights": None}


def test_dataset_completions_are_columns_as_in_trl(tmp_path):
    found, _ = judged(tmp_path, PAIRS)
    assert found["chosen"] == [row["chosen"] for row in PAIRS] * 2
    assert "prompt" not in found


def test_texts_and_messages_in_one_batch(tmp_path):
    found, _ = judged(tmp_path, [{"prompt": "a b"}, {"prompt": [USER]}])
    kinds = [type(completion) for completion in found["completions"]]
    assert kinds == [str, list, str, list]
    assert found["prompts"] == ["a b", [USER]] * 2


@pytest.mark.parametrize("column", ["prompts", "completions", "completion_ids"])
def test_columns_that_rewards_are_called_with(tmp_path, column):
    with pytest.raises(InputError, match=rf"{column}\[0\] = a column: another name"):
        judged(tmp_path, [{"prompt": "a b", column: "x"}])


def test_the_space_before_the_first_word_is_kept(tmp_path):
    """A decoder of words drops it from what it decodes alone: prompt and answer grow together."""
    vocabulary = {"<|end|>": 0, "<|pad|>": 1, "▁the": 2, "▁sky": 3, "▁is": 4, "▁blue": 5, "s": 6}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<|end|>"))
    words.pre_tokenizer = pre_tokenizers.Metaspace()
    words.decoder = decoders.Metaspace()
    fast = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<|end|>",
                                   pad_token="<|pad|>")  # fmt: skip
    prompt = fast("the sky is")["input_ids"]
    assert prompt == [2, 3, 4] and fast.decode([5]) == "blue"
    assert chat.completion_text(prompt, [5], fast, chat=False) == " blue"
    assert chat.completion_text(prompt, [6, 0], fast, chat=False) == "s"
    assert chat.completion_text(prompt, [5], fast, chat=True) == "blue"  # of a turn of its own
