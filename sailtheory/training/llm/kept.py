"""Draws y ~ π_ref, made once a prompt and kept: π_ref does not change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from sailtheory.training.llm.generate import Completions, Key

Draw = Callable[[list[Any], list[Key]], Completions]
"""Draws one completion for each item, from its key."""


class ReferenceDraws:
    """By prompt and number of the draw: token ids and log π_ref.

    A draw is a function of its key, so keeping it saves time and changes nothing but
    rounding; because of that rounding the draws are part of a run's state.

    Args:
        temperature: At which all of them are drawn.
    """

    def __init__(self, temperature: float) -> None:
        self._temperature = temperature
        self._kept: dict[tuple[int | str, int], tuple[tuple[int, ...], float]] = {}

    def of(self, items: list[Any], count: int, version: int, draw: Draw) -> tuple[Completions, int]:
        """``count`` draws a prompt, prompt by prompt; those not kept yet are drawn now.

        Args:
            items: n rows.
            count: Draws a prompt.
            version: Of the result.
            draw: How to draw.

        Returns:
            n·count completions, and how many of their tokens had been kept.
        """
        wanted = [(item, d) for item in items for d in range(count)]
        new = {(item["index"], d): item for item, d in wanted
               if (item["index"], d) not in self._kept}  # fmt: skip
        saved = sum(len(self._kept[item["index"], d][0]) for item, d in wanted
                    if (item["index"], d) not in new)  # fmt: skip
        if new:
            drawn = draw(list(new.values()), [("ref", 0, *key) for key in new])
            rows = zip(new, drawn.tokens, drawn.log_probs.tolist(), strict=True)
            self._kept |= {key: (tokens, log) for key, tokens, log in rows}
        found = [self._kept[item["index"], d] for item, d in wanted]
        completions = Completions(
            tuple(tuple(item["prompt_ids"]) for item, _ in wanted),
            tuple(tokens for tokens, _ in found),
            torch.tensor([log for _, log in found], dtype=torch.float64),
            self._temperature, version,
        )  # fmt: skip
        return completions, saved

    def state(self) -> dict[str, Any]:
        """All of it, for a checkpoint."""
        rows = list(self._kept.items())
        return {
            "keys": [list(key) for key, _ in rows],
            "lengths": [len(tokens) for _, (tokens, _) in rows],
            "tokens": torch.tensor([t for _, (tokens, _) in rows for t in tokens]),
            "log_probs": torch.tensor([log for _, (_, log) in rows], dtype=torch.float64),
        }

    def restore(self, state: dict[str, Any] | None) -> None:
        """Go back to a state; None is the beginning."""
        self._kept = {}
        if state is None or not state["keys"]:
            return
        texts = torch.split(torch.as_tensor(state["tokens"]), state["lengths"])
        logs = torch.as_tensor(state["log_probs"]).tolist()
        for (index, d), text, log in zip(state["keys"], texts, logs, strict=True):
            self._kept[index, d] = tuple(text.tolist()), log
