"""A world small enough to list: 37,449 responses a prompt, with a reward and a reference.

Every seed has its own world: rewards, the corpus that π_ref was fitted to, and π_ref itself, a
Llama of one layer. What a policy is worth there is a sum over all responses, not an estimate.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from sailtheory.policies import SequenceObjectives, Sequences, TokenPolicy
from sailtheory.training.llm.generate import uniform
from sailtheory.training.llm.preferences import bradley_terry, sampled

LETTERS, LONGEST = "abcdefgh", 5
END, TOKENS = len(LETTERS), len(LETTERS) + 1
PROMPTS = torch.arange(len(LETTERS))[:, None]
BETA, DEVIATION = 0.1, 2.0
FITTED, FITTED_BATCH, FITTED_RATE = 400, 128, 3e-3
PAIRS = 20_000
"""Pairs a prompt by which J and the win rate are estimated."""


@cache
def words() -> PreTrainedTokenizerFast:
    """One token a letter, and the end."""
    vocabulary = {letter: k for k, letter in enumerate(LETTERS)} | {".": END}
    found = Tokenizer(models.WordLevel(vocabulary, unk_token="."))
    found.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=found, eos_token=".", pad_token=".")


@cache
def responses() -> Sequences:
    """All of them."""
    return Sequences(TOKENS, LONGEST, END)


def network(seed: int) -> Any:
    """The policies' network, not yet fitted to anything."""
    torch.manual_seed(seed)
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=TOKENS, hidden_size=32, intermediate_size=128, num_hidden_layers=1,
        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=16,
        eos_token_id=END, pad_token_id=END, bos_token_id=END, tie_word_embeddings=False,
    ))  # fmt: skip


def table(model: Any) -> Tensor:
    """log π(y|x) of every response to every prompt: (8, 37449), in float64."""
    policy = TokenPolicy(model, 1, LONGEST, END)
    with torch.inference_mode():
        log_policy = responses().log_probs(policy, PROMPTS, chunk=2048)
    return log_policy.clone().double()


class World:
    """Rewards and π_ref of one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        generator = torch.Generator().manual_seed(100_000 + seed)
        raw = self._raw_reward(generator)
        self.start = torch.randn(len(PROMPTS), TOKENS, generator=generator).log_softmax(-1)
        self.chain = torch.randn(TOKENS, TOKENS, generator=generator).log_softmax(-1)
        self.ref = network(seed)
        self._fit(generator)
        self.ref.requires_grad_(False).eval()
        self.log_ref = table(self.ref)
        chance = self.log_ref.exp()
        mean = (chance * raw).sum(-1, keepdim=True)
        deviation = (chance * (raw - mean) ** 2).sum(-1).mean().sqrt()
        self.reward = DEVIATION * (raw - mean) / deviation
        self.exact = SequenceObjectives(self.reward, self.log_ref, BETA)

    @staticmethod
    def _raw_reward(generator: torch.Generator) -> Tensor:
        """A number for each token at each place of a prompt, and for each pair of neighbours."""
        tokens = responses().tokens
        at_place = torch.randn(len(PROMPTS), LONGEST, TOKENS, generator=generator).double()
        neighbours = torch.randn(TOKENS, TOKENS, generator=generator).double()
        counted = torch.ones(len(tokens), dtype=torch.bool)
        found = torch.zeros(len(PROMPTS), len(tokens), dtype=torch.float64)
        for t in range(LONGEST):
            found += at_place[:, t, tokens[:, t]] * counted
            going = counted & (tokens[:, t] != END)
            if t + 1 < LONGEST:
                found += neighbours[tokens[:, t], tokens[:, t + 1]] * going
            counted = going
        return found

    def _fit(self, generator: torch.Generator) -> None:
        """π_ref imitates a random Markov chain whose start depends on the prompt."""
        optimiser = torch.optim.Adam(self.ref.parameters(), FITTED_RATE)
        for _ in range(FITTED):
            x = torch.randint(len(PROMPTS), (FITTED_BATCH,), generator=generator)
            tokens, log_next = [x], self.start[x]
            for _ in range(LONGEST):
                tokens.append(torch.multinomial(log_next.exp(), 1, generator=generator)[:, 0])
                log_next = self.chain[tokens[-1]]
            rows = torch.stack(tokens, -1)
            policy = TokenPolicy(self.ref, 1, LONGEST, END)
            loss = -policy.log_prob(rows[:, :1], rows[:, 1:]).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    def rewards(self, prompts: list[str], completion_ids: list[list[int]], **_: Any) -> list[float]:
        """The reward of the trainer: looked up."""
        padded = [[*ids, *[END] * (LONGEST - len(ids))] for ids in completion_ids]
        x = torch.tensor([LETTERS.index(prompt) for prompt in prompts])
        found: list[float] = self.reward[x, responses().places(torch.tensor(padded))].tolist()
        return found

    def rows(self, count: int, paired: bool) -> list[dict[str, Any]]:
        """Training data: prompts in turn; with a judged pair from π_ref each, if asked for.

        A pair stands in the column ``pair``, as ids, the preferred one first: a response may be
        empty or cut, which no text can say.
        """
        found: list[dict[str, Any]] = [{"prompt": LETTERS[i % len(LETTERS)]} for i in range(count)]
        if not paired:
            return found
        each = -(-count // len(LETTERS))
        generator = torch.Generator().manual_seed(200_000 + self.seed)
        drawn = torch.multinomial(
            self.log_ref.exp(), 2 * each, replacement=True, generator=generator
        ).reshape(len(LETTERS), each, 2)
        for i, row in enumerate(found):
            x, k = i % len(LETTERS), i // len(LETTERS)
            first, second = drawn[x, k]
            q = bradley_terry(self.reward[x, first], self.reward[x, second])[None]
            won = sampled(q, uniform((self.seed, "offline", i), 1)) > 0
            better, worse = (first, second) if won else (second, first)
            row |= {"chosen": "a", "rejected": "b", "pair": [ids(better), ids(worse)]}
        return found

    def measured(self, model: Any, drawn: bool = False) -> dict[str, float]:
        """What a policy is worth; J and the win rate by draws, if asked for."""
        log_policy = table(model)
        found = self.exact.summary(log_policy)
        if drawn:
            generator = torch.Generator().manual_seed(300_000 + self.seed)
            found |= self.exact.drawn(log_policy, PAIRS, generator)
        return found


def ids(place: Tensor) -> list[int]:
    """Token ids of a response, its end included where it has one."""
    found: list[int] = responses().tokens[place].tolist()
    return found[: found.index(END) + 1] if END in found else found


def given_by_ids(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A collator: the pair of a row as it was drawn."""
    return [
        item | dict(zip(("chosen_ids", "rejected_ids"), item["columns"]["pair"], strict=True))
        if "pair" in item["columns"]
        else item
        for item in items
    ]
