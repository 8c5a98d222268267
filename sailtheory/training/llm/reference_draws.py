"""Draws y ~ π_ref, made ahead of the batches that need them, and trained on once.

Once θ has been moved by a draw it depends on it: log π_θ of that draw estimates the KL no
longer, and training on it again fits the draw. So every pass through the data has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

import torch

from sailtheory.training.llm.generate import Completions, Key

__all__ = ["CachedDraw", "Draw", "ReferenceDraws"]

Draw = Callable[[list[Any], list[Key]], Completions]
"""Draws one completion for each item, from its key."""

CachedDraw = tuple[tuple[int, ...], tuple[int, ...], float]
"""Token ids of the prompt and of the draw, and log π_ref."""


class ReferenceDraws:
    """The draws of one pass, by prompt and number of the draw.

    A draw is a function of its key, so drawing ahead changes nothing but rounding; because
    of that rounding the draws are part of a run's state.

    Args:
        temperature: At which all of them are drawn.
    """

    def __init__(self, temperature: float) -> None:
        self._temperature = temperature
        self._visit = 0
        self._cached: dict[tuple[int | str, int], CachedDraw] = {}

    def of(
        self, items: list[Any], count: int, visit: int, draw: Draw, *, version: int = 0,
        ahead: Iterable[Any] = (), most: int = 0,
    ) -> Completions:  # fmt: skip
        """``count`` draws a prompt, prompt by prompt; those not there yet are drawn now.

        Args:
            items: n rows.
            count: Draws a prompt.
            visit: Number of the pass; another one than before begins with nothing.
            draw: How to draw.
            version: Of the result.
            ahead: Rows that will come in this pass, of which ``most`` without draws are
                drawn along.
            most: Their largest number.

        Returns:
            n·count completions.
        """
        if visit != self._visit:
            self._visit, self._cached = visit, {}
        new = {(i["index"], d): i for i in items for d in range(count) if not self._has(i, d)}
        if new:
            last = count - 1
            more = (i for i in ahead if (i["index"], last) not in new and not self._has(i, last))
            for item in list(islice(more, most)):
                new |= {(item["index"], d): item for d in range(count)}
            drawn = draw(list(new.values()), [("ref", visit, *key) for key in new])
            rows = zip(new, drawn.prompts, drawn.tokens, drawn.log_probs.tolist(), strict=True)
            self._cached |= {key: (prompt, tokens, log) for key, prompt, tokens, log in rows}
        found = [self._cached[item["index"], d] for item in items for d in range(count)]
        return Completions(
            tuple(prompt for prompt, _, _ in found), tuple(tokens for _, tokens, _ in found),
            torch.tensor([log for _, _, log in found], dtype=torch.float64),
            self._temperature, version,
        )  # fmt: skip

    def _has(self, item: Any, number: int) -> bool:
        cached = self._cached.get((item["index"], number))
        return cached is not None and cached[0] == tuple(item["prompt_ids"])

    def state(self) -> dict[str, Any]:
        """All of it, for a checkpoint."""
        rows = list(self._cached.values())
        return {
            "visit": self._visit,
            "keys": [list(key) for key in self._cached],
            "lengths": [len(ids) for prompt, tokens, _ in rows for ids in (prompt, tokens)],
            "tokens": torch.tensor([t for prompt, tokens, _ in rows for t in (*prompt, *tokens)]),
            "log_probs": torch.tensor([log for _, _, log in rows], dtype=torch.float64),
        }

    def restore(self, state: dict[str, Any] | None) -> None:
        """Go back to a state; None is the beginning."""
        self._visit, self._cached = 0 if state is None else state["visit"], {}
        if state is None or not state["keys"]:
            return
        texts = torch.split(torch.as_tensor(state["tokens"]), state["lengths"])
        ids = [tuple(text.tolist()) for text in texts]
        logs = torch.as_tensor(state["log_probs"]).tolist()
        rows = zip(state["keys"], ids[::2], ids[1::2], logs, strict=True)
        for (index, number), prompt, tokens, log in rows:
            self._cached[index, number] = prompt, tokens, log
