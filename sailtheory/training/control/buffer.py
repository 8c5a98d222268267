"""A replay buffer whose rewards can be recomputed, and whose segments can be compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from sailtheory.errors import InputError

__all__ = ["ReplayBuffer", "Segments"]

Tree = dict[str, Any]


class Segments(NamedTuple):
    """Parts of trajectories, with (n, L) true rewards and the ones that are learned from.

    ``pairs`` holds state and action side by side, (n, L, o + a).
    """

    pairs: np.ndarray
    rewards: np.ndarray
    learned: np.ndarray


class ReplayBuffer:
    """The last ``capacity`` transitions of one environment, in the order they happened.

    A transition is one row: state, action, successor, reward, and 1 − terminated, so a
    minibatch is one gather.

    Args:
        observations: Width o.
        actions: Width a.
        capacity: Number of transitions kept.

    Attributes:
        size: Transitions held.
    """

    def __init__(self, observations: int, actions: int, capacity: int) -> None:
        self.widths = (observations, actions)
        self._rows = np.zeros((capacity, 2 * observations + actions + 2), np.float32)
        self._true = np.zeros(capacity, np.float64)
        self._ends = np.zeros(capacity, bool)  # the last step of an episode
        self._count = 0  # transitions ever added

    @property
    def size(self) -> int:
        """Transitions held."""
        return min(self._count, len(self._rows))

    @property
    def pairs(self) -> int:
        """Width o + a of a state and its action."""
        return sum(self.widths)

    def add(
        self, observation: np.ndarray, action: np.ndarray, following: np.ndarray,
        reward: float, true_reward: float, terminated: bool, truncated: bool,
    ) -> None:  # fmt: skip
        """Take in one transition.

        Args:
            observation: State, (o,).
            action: (a,).
            following: Its successor, (o,).
            reward: What is learned from.
            true_reward: What teachers judge by.
            terminated: Whether the successor has no future.
            truncated: Whether the episode ended all the same.

        Raises:
            InputError: A reward that is not finite.
        """
        if not (np.isfinite(reward) and np.isfinite(true_reward)):
            raise InputError("reward", (reward, true_reward), "finite numbers are expected")
        place = self._count % len(self._rows)
        o, pairs = self.widths[0], self.pairs
        row = self._rows[place]
        row[:o], row[o:pairs], row[pairs : pairs + o] = observation, action, following
        row[-2], row[-1] = reward, not terminated
        self._true[place], self._ends[place] = true_reward, terminated or truncated
        self._count += 1

    def sample(self, rng: np.random.Generator, out: np.ndarray) -> None:
        """Fill ``out`` (B, 2o + a + 2) with transitions drawn uniformly, with repetition."""
        places = rng.integers(self.size, size=len(out))
        np.take(self._rows, places, axis=0, out=out, mode="clip")

    def states(self) -> np.ndarray:
        """All states held, (size, o)."""
        return self._rows[: self.size, : self.widths[0]]

    def relabel(self, reward: Callable[[np.ndarray], np.ndarray], chunk: int = 4096) -> None:
        """Recompute every reward in place from state and action.

        Args:
            reward: (n, o + a) to (n,).
            chunk: Rows at a time.

        Raises:
            InputError: A reward that is not finite; the earlier ones are replaced by then.
        """
        for start in range(0, self.size, chunk):
            rows = self._rows[start : min(start + chunk, self.size)]
            values = reward(rows[:, : self.pairs])
            if not np.isfinite(values).all():
                raise InputError("reward", "not finite", "a reward model of finite values")
            rows[:, -2] = values

    def rewards(self) -> tuple[np.ndarray, np.ndarray]:
        """Rewards learned from and true ones, oldest first, each (size,)."""
        order = self._order()
        return self._rows[order, -2], self._true[order]

    def segments(self, rng: np.random.Generator, count: int, length: int, recent: int) -> Segments:
        """Segments within one episode each, drawn uniformly, with repetition.

        Args:
            rng: Source of the draws.
            count: Number of segments n.
            length: Steps L of each.
            recent: They come from the last so many transitions.

        Raises:
            InputError: No segment of this length lies there.
        """
        order = self._order(recent)
        # Ends before each position: a segment may end an episode but not reach over it.
        before = np.concatenate([[0], np.cumsum(self._ends[order])])
        starts = np.arange(max(len(order) - length + 1, 0))
        starts = starts[before[starts + length - 1] == before[starts]]
        if not len(starts):
            raise InputError("segment", length, f"a segment within the {len(order)} steps held")
        places = order[rng.choice(starts, size=count)[:, None] + np.arange(length)]
        rows = self._rows[places]
        return Segments(rows[..., : self.pairs], self._true[places], rows[..., -2])

    def _order(self, recent: int | None = None) -> np.ndarray:
        """Places of the last so many transitions, or of all, oldest first."""
        count = self.size if recent is None else min(recent, self.size)
        return np.arange(self._count - count, self._count) % len(self._rows)

    @property
    def _record(self) -> np.dtype[np.void]:
        """One transition as the file of a run holds it, the reward as it was at first."""
        return np.dtype([("row", "<f4", self._rows.shape[1]), ("true", "<f8"), ("ends", "?")])

    def added(self, end: int) -> bytes:
        """The transitions that a file of the first ``end`` bytes lacks.

        Those that have left the buffer since are zeros: nobody needs them any more.
        """
        first = end // self._record.itemsize
        found = np.zeros(self._count - first, self._record)
        places = self._order()[-len(found) :] if len(found) else np.arange(0)
        held = found[len(found) - len(places) :]
        held["row"], held["true"] = self._rows[places], self._true[places]
        held["ends"] = self._ends[places]
        return found.tobytes()

    def state(self) -> Tree:
        """What :meth:`added` does not tell: how many there were, and the rewards by place."""
        return {"count": self._count, "rewards": self._rows[: self.size, -2].copy()}

    def restore(self, tree: Tree, content: bytes) -> None:
        """Go back to a state, given every transition ever added.

        Raises:
            InputError: There are not as many.
        """
        found = np.frombuffer(content, self._record)
        if len(found) != tree["count"]:
            raise InputError("data", f"{len(found)} transitions", f"{tree['count']} are expected")
        self._count = len(found)
        places = self._order()
        held = found[len(found) - len(places) :]
        self._rows[places], self._true[places] = held["row"], held["true"]
        self._ends[places] = held["ends"]
        self._rows[: self.size, -2] = tree["rewards"]
