"""A reward learned from comparisons of segments: an ensemble under the Bradley–Terry model."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from sailtheory.errors import InputError
from sailtheory.policies.protocol import finite
from sailtheory.training.control.networks import StackedAdam, StackedMLP
from sailtheory.training.control.settings import RewardSettings

__all__ = ["RewardModel"]

Tree = dict[str, Any]

_SLOPE = 0.01  # of the leaky ReLU


class RewardModel:
    """Networks r(s, a) in (−1, 1), their labels, and how they are fitted.

    Args:
        pairs: Width o + a of a state and its action.
        settings: Sizes and rates.
        generator: Of the initial parameters.
        rng: Of the minibatches.
        device: Where the networks live; the generator lives there too.
    """

    def __init__(
        self, pairs: int, settings: RewardSettings, generator: torch.Generator,
        rng: np.random.Generator, device: str | torch.device = "cpu",
    ) -> None:  # fmt: skip
        self.settings, self.rng, self.device = settings, rng, device
        widths = [pairs, *[settings.width] * settings.depth, 1]
        self.network = StackedMLP(
            widths, [generator] * settings.members, slope=_SLOPE, bound=True, device=device
        )
        network = self.network
        self.adam = StackedAdam(network.flat, list(network.layers), settings.rate, rows=1)
        self._pairs = np.zeros((0, 2, 0, pairs), np.float32)
        self._targets = np.zeros(0)

    @property
    def labels(self) -> int:
        """Labels held."""
        return len(self._targets)

    @torch.no_grad()
    def rewards(self, pairs: np.ndarray) -> np.ndarray:
        """The members' mean reward: (n, o + a) to (n,)."""
        x = torch.tensor(pairs, device=self.device).expand(self.settings.members, -1, -1)
        return np.asarray(self.network(x)[..., 0].mean(0).cpu())

    def logits(self, first_second: Tensor) -> Tensor:
        """Σ r(second) − Σ r(first): (members, n, 2, L, o + a) to (members, n)."""
        members, n, two, length, width = first_second.shape
        rewards = self.network(first_second.reshape(members, -1, width))
        sums: Tensor = rewards.view(members, n, two, length).sum(-1)
        return sums[..., 1] - sums[..., 0]

    @torch.no_grad()
    def probabilities(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """P(second ≻ first) = σ(logit) by each member: segments (n, L, o + a) to (members, n)."""
        both = torch.tensor(np.stack([first, second], 1), device=self.device)
        logits = self.logits(both.expand(self.settings.members, -1, -1, -1, -1))
        return np.asarray(torch.sigmoid(logits).cpu())

    def loss(self, first_second: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy of the targets under Bradley–Terry, each member's mean: (members,)."""
        return self.terms(first_second, self.logits(first_second), targets)["reward"]

    def terms(self, first_second: Tensor, logits: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Terms of the loss by name, (members,) each; the loss is their sum.

        Args:
            first_second: Segments (members, n, 2, L, o + a).
            logits: Of these segments, (members, n).
            targets: Share of the second, (members, n).
        """
        return {"reward": _cross_entropy(logits, targets)}

    def learn(self, first: np.ndarray, second: np.ndarray, targets: np.ndarray) -> None:
        """Take in labels: segments (n, L, o + a) twice, the share of the second (n,)."""
        both = np.stack([first, second], 1)
        self._pairs = both if not self.labels else np.concatenate([self._pairs, both])
        self._targets = np.concatenate([self._targets, targets])

    def fit(self) -> tuple[float, float | None]:
        """Pass over all labels until they are met or the epochs are used up.

        Each member sees the labels in an order of its own.

        Returns:
            Loss and accuracy in the last pass, means over members; the accuracy counts
            the labels other than equal, each before the step it is used for, and is None
            where there are none.

        Raises:
            InputError: No labels, or a loss that is not finite.
        """
        if not self.labels:
            raise InputError("feedback", "no label", "a teacher that does not skip every pair")
        shape = (self.settings.members, self.labels)
        losses, accuracy = 0.0, None
        for _ in range(self.settings.epochs):
            order = self.rng.permuted(np.broadcast_to(np.arange(self.labels), shape), axis=1)
            losses, right, counted = 0.0, 0, 0
            for start in range(0, self.labels, self.settings.batch):
                places = order[:, start : start + self.settings.batch]
                targets = torch.tensor(self._targets[places], device=self.device)
                pairs = torch.tensor(self._pairs[places], device=self.device)
                logits = self.logits(pairs)
                terms = self.terms(pairs, logits, targets.to(logits))
                for name, term in terms.items():
                    finite(name, term)
                self.adam.step(torch.stack(list(terms.values())).sum()[None])
                loss = float(terms["reward"].detach().mean())
                losses += loss * places.shape[1] / self.labels
                clear = targets != 0.5
                right += int((((logits.detach() > 0) == (targets > 0.5)) & clear).sum())
                counted += int(clear.sum())
            accuracy = right / counted if counted else None
            if accuracy is not None and accuracy > self.settings.accuracy:
                break
        return losses, accuracy

    def state(self) -> Tree:
        """Parameters, moments and labels; not the generators, which their owner keeps."""
        return {
            "network": self.network.flat.clone(),
            "adam": self.adam.state(0),
            "pairs": self._pairs,
            "targets": self._targets,
        }

    def restore(self, tree: Tree) -> None:
        """Go back to a state."""
        self.network.flat.copy_(tree["network"])
        self.adam.restore(0, tree["adam"])
        self._pairs, self._targets = tree["pairs"], tree["targets"]


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """−E[y log σ(z) + (1 − y) log σ(−z)] over the last axis."""
    return -(targets * logsigmoid(logits) + (1 - targets) * logsigmoid(-logits)).mean(-1)
