"""p₁₂ of two completions, from rewards; and rewards to begin with.

A reward is a function of TRL's form: called with ``prompts``, ``completions`` and the other
columns of the batch by keyword, it returns one number a completion. Preferences are centred,
q = p₁₂ − ½; the policy's own is ``losses.policy_preference``.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from sailtheory.errors import InputError
from sailtheory.extras import require_extra
from sailtheory.training.llm import chat

__all__ = [
    "Reward",
    "Text",
    "as_reward",
    "bradley_terry",
    "classifier",
    "keywords",
    "labelled",
    "length",
    "matches",
    "name_of",
    "names_of",
    "rewards_of",
    "sampled",
    "text_of",
    "vader",
]

Reward = Callable[..., Sequence[float]]
Text = str | list[dict[str, str]]
"""Plain text, or messages with role and content."""


def labelled(label: str) -> Callable[[Reward], Reward]:
    """Gives a reward the name by which run records know it, its parameters included."""

    def mark(reward: Reward) -> Reward:
        reward.label = label  # type: ignore[attr-defined]
        return reward

    return mark


def name_of(reward: Reward) -> str:
    """The label of a reward, or its qualified name; a partial's arguments are part of it.

    What a function encloses is not seen: where that differs, give it a ``label``.
    """
    if isinstance(reward, functools.partial):
        given = [*map(_shown, reward.args)]
        given += [f"{key}={_shown(value)}" for key, value in sorted(reward.keywords.items())]
        return f"{name_of(reward.func)}({', '.join(given)})"
    label = getattr(reward, "label", None)
    if isinstance(label, str):
        return label
    named = reward if hasattr(reward, "__qualname__") else type(reward)
    return f"{named.__module__}.{named.__qualname__}"


def _shown(value: Any) -> str:
    """Numbers and text as they are; of other objects the type, as their address changes."""
    plain = value is None or isinstance(value, bool | int | float | str)
    return repr(value) if plain else type(value).__qualname__


def bradley_terry(first: Tensor, second: Tensor) -> Tensor:
    """q = σ(r₁ − r₂) − ½, its expectation: (n,)."""
    return torch.tanh((first - second) / 2) / 2


def sampled(preference: Tensor, uniforms: Tensor) -> Tensor:
    """A label ±½ that is +½ with probability p₁₂ = q + ½: (n,), unbiased as g is linear in it."""
    return torch.where(uniforms.to(preference) < preference + 0.5, 0.5, -0.5).to(preference)


def rewards_of(
    rewards: Sequence[Reward], /, prompts: list[Any], completions: list[Any], **columns: Any
) -> Tensor:
    """What each of k functions gives: (k, n) in float64. A column may have any other name.

    Raises:
        InputError: A reward of another length, or one that is not a finite number; it is
            never made zero.
    """
    found = torch.zeros(len(rewards), len(completions), dtype=torch.float64)
    for row, reward in zip(found, rewards, strict=True):
        name = getattr(reward, "__name__", type(reward).__name__)
        values = list(reward(prompts=prompts, completions=completions, **columns))
        if len(values) != len(completions):
            raise InputError(name, len(values), f"{len(completions)} rewards, one a completion")
        for place, value in enumerate(values):
            if value is None or not math.isfinite(float(value)):
                raise InputError(f"{name}[{place}]", value, "a finite reward is expected")
        row += torch.tensor([float(value) for value in values], dtype=torch.float64)
    return found


def names_of(rewards: Sequence[Reward]) -> list[str]:
    """Their names, numbered where one stands twice."""
    names = [name_of(reward) for reward in rewards]
    count = [names[: k + 1].count(name) for k, name in enumerate(names)]
    return [f"{n} ({k})" if names.count(n) > 1 else n for n, k in zip(names, count, strict=True)]


def text_of(completion: Text) -> str:
    """The text of a completion, whether plain or messages."""
    if isinstance(completion, str):
        return completion
    return "\n".join(message.get("content", "") for message in completion)


def length(target: int, scale: float = 10.0) -> Reward:
    """−|words − target| / scale: 0 at the target."""
    if target < 0 or not scale > 0:
        raise InputError("length", (target, scale), "a target ≥ 0 and a scale > 0 are expected")

    @labelled(f"length:{target}" + ("" if scale == 10 else f", scale {scale:g}"))
    def reward_length(completions: list[Text], **_: Any) -> list[float]:
        return [-abs(len(text_of(c).split()) - target) / scale for c in completions]

    return reward_length


def keywords(words: Sequence[str]) -> Reward:
    """The share of these words that occur, whole and whatever their case."""
    if not words:
        raise InputError("keywords", "none", "one word or more is expected")
    wanted = [re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE) for word in words]

    @labelled(f"keywords:{','.join(words)}")
    def reward_keywords(completions: list[Text], **_: Any) -> list[float]:
        return [sum(bool(w.search(text_of(c))) for w in wanted) / len(wanted) for c in completions]

    return reward_keywords


def matches(pattern: str) -> Reward:
    """1 where the whole completion matches a regular expression, else 0.

    Raises:
        InputError: Not a regular expression.
    """
    try:
        compiled = re.compile(pattern, re.DOTALL)
    except re.error as error:
        raise InputError("pattern", pattern, f"a regular expression is expected: {error}") from None

    @labelled(f"format:{pattern}")
    def reward_format(completions: list[Text], **_: Any) -> list[float]:
        return [float(compiled.fullmatch(text_of(c).strip()) is not None) for c in completions]

    return reward_format


def vader(scale: float = 1.0) -> Reward:
    """VADER's compound sentiment in [−1, 1], times a scale; many ties on neutral text.

    Raises:
        MissingExtra: vaderSentiment is not installed.
    """
    require_extra("llm", "vaderSentiment")
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyzer = SentimentIntensityAnalyzer()

    @labelled("vader" if scale == 1 else f"vader, scale {scale:g}")
    def reward_vader(completions: list[Text], **_: Any) -> list[float]:
        return [scale * analyzer.polarity_scores(text_of(c))["compound"] for c in completions]

    return reward_vader


def classifier(model: Any, tokenizer: Any, batch: int = 16, max_length: int = 2048) -> Reward:
    """The single logit of a sequence classifier, of the prompt with its completion.

    Args:
        model: An ``AutoModelForSequenceClassification`` with one label.
        tokenizer: Its own; with a chat template where prompts are messages.
        batch: Texts a forward pass.
        max_length: Longer texts are refused, not cut: a cut answer would be judged wrongly.
            The model's own context counts where it is shorter.

    Raises:
        InputError: A model with several labels.
    """
    if model.config.num_labels != 1:
        raise InputError("reward model", f"{model.config.num_labels} labels", "one is expected")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.config.pad_token_id = tokenizer.pad_token_id
    model.eval()
    most = min(max_length, getattr(model.config, "max_position_embeddings", None) or max_length)

    @labelled(model.config._name_or_path or type(model).__name__)
    def reward_model(prompts: list[Text], completions: list[Text], **columns: Any) -> list[float]:
        extras = [
            chat.extras_of({k: columns[k][i] for k in chat.EXTRAS if k in columns})
            for i in range(len(prompts))
        ]
        texts = [
            _judged(*each, tokenizer) for each in zip(prompts, completions, extras, strict=True)
        ]
        found: list[float] = []
        for start in range(0, len(texts), batch):
            ids = texts[start : start + batch]
            longest = max(map(len, ids))
            if longest > most:
                raise InputError("reward model", longest, f"at most {most} tokens")
            # On the right, where padding moves no position.
            rows = tokenizer.pad({"input_ids": ids}, padding_side="right", return_tensors="pt")
            rows = {k: rows[k].to(model.device) for k in ("input_ids", "attention_mask")}
            with torch.no_grad():
                found += model(**rows).logits[:, 0].double().tolist()
        return found

    return reward_model


def _judged(prompt: Text, completion: Text, extras: dict[str, Any], tokenizer: Any) -> list[int]:
    if isinstance(prompt, str) or isinstance(completion, str):
        prompt, completion = text_of(prompt), text_of(completion)
    return chat.judged_ids(prompt, completion, tokenizer, extras, "reward model {}".format)


def as_reward(source: Any, tokenizer: Any = None) -> Reward:
    """A reward from what TRL accepts: a function, a classifier, or the name of one.

    Raises:
        InputError: None of these, or a classifier that cannot be found.
    """
    from transformers import AutoModelForSequenceClassification, PreTrainedModel

    from sailtheory.training.llm.models import load_model, load_tokenizer

    if isinstance(source, str):
        kind = AutoModelForSequenceClassification
        source = load_model(kind, "reward model", source, num_labels=1)
    if isinstance(source, PreTrainedModel):
        return classifier(source, tokenizer or load_tokenizer(source.config._name_or_path))
    if not callable(source):
        raise InputError("reward_funcs", source, "functions, classifiers or their names")
    return source  # type: ignore[no-any-return]
