"""Looking at a policy in training without changing anything in it, to the last bit."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from sailtheory.extras import require_extra

require_extra("torch", "torch")

import torch
from torch import Tensor

__all__ = ["Coordinates", "LogProbs", "Weights", "coordinates", "untouched"]

_SMALL = 1 << 18  # numbers
_COLUMNS = 1 << 16

LogProbs = Callable[[], Tensor]
"""log π_θ of the candidates, (n, m), differentiable."""


class Weights:
    """What is trained, and where it began.

    Args:
        parameters: Of the policy; those that require a gradient count.
    """

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        self.live = [p for p in parameters if p.requires_grad]
        self.start = [p.detach().clone() for p in self.live]
        self.count = sum(p.numel() for p in self.live)

    def moved(self, since: Sequence[Tensor] | None = None) -> Tensor:
        """θ less where it began, or less another point, (P,), in float32 at least."""
        pairs = zip(self.live, self.start if since is None else since, strict=True)
        return _flat(_wide(p.detach()) - _wide(q) for p, q in pairs)

    def gradient(self) -> Tensor | None:
        """The loss's, as the optimiser will see it, (P,); None where there is none."""
        if all(p.grad is None for p in self.live):
            return None
        return _flat(
            torch.zeros_like(_wide(p)) if p.grad is None else _wide(p.grad) for p in self.live
        )

    def copy(self) -> list[Tensor]:
        """θ as it is."""
        return [p.detach().clone() for p in self.live]

    @contextmanager
    def at(self, share: float) -> Iterator[None]:
        """The policy at θ_start + share·(θ − θ_start); θ's own memory is never written to."""
        own = [p.data for p in self.live]
        try:
            for p, start in zip(self.live, self.start, strict=True):
                p.data = start if share == 0 else torch.lerp(start, p.data, share)
            yield
        finally:
            for p, data in zip(self.live, own, strict=True):
                p.data = data


def _flat(parts: Iterable[Tensor]) -> Tensor:
    return torch.cat([part.reshape(-1) for part in parts])


def _wide(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


class Coordinates:
    """Coordinates of θ on the span S of the candidates' differences.

    Attributes:
        features: φ of the candidates, less their prompt's first, (n, m, r).
        basis: Orthonormal rows, (r, P).
    """

    def __init__(self, features: np.ndarray, basis: Tensor) -> None:
        self.features = features
        self.basis = basis

    def of(self, vector: Tensor) -> np.ndarray:
        """Of a vector of all weights, (P,) to (r,)."""
        return np.asarray((self.basis @ vector.to(self.basis)).double().cpu().numpy())


def coordinates(gradients: Iterable[Tensor], n: int, m: int) -> Coordinates | None:
    """From ∇_θ log π of each candidate at θ_start; None where no difference is left.

    Args:
        gradients: n·m rows (P,), prompt by prompt.
        n: Prompts.
        m: Candidates of each.
    """
    rows = torch.stack(list(gradients)).view(n, m, -1)
    scale, eps = rows.abs().max(), torch.finfo(rows.dtype).eps
    apart = (rows - rows[:, :1]).reshape(n * m, -1)
    left, sizes, basis = _singular(apart)
    kept = sizes > n * m * eps * scale * apart.shape[-1] ** 0.5
    if not kept.any():
        return None
    features = (left * sizes)[:, kept].view(n, m, -1).cpu().numpy()
    return Coordinates(features, basis[kept])


def _singular(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Left vectors (k, k) and values (k,) in float64, and right vectors as rows (k, P).

    Of a wide matrix by its Gram matrix, in a tenth of the time: values below 1e-7 of the largest
    are lost and set to 0, which in float32 are rounding.
    """
    if rows.numel() <= _SMALL:
        left, sizes, right = torch.linalg.svd(rows.double(), full_matrices=False)
        return left, sizes, right.to(rows)
    gram = torch.zeros(len(rows), len(rows), dtype=torch.float64, device=rows.device)
    for first in range(0, rows.shape[1], _COLUMNS):
        part = rows[:, first : first + _COLUMNS].double()
        gram += part @ part.T
    squares, left = torch.linalg.eigh(gram)
    sizes = squares.clamp_min(0).sqrt()
    sizes = torch.where(sizes > 1e-7 * sizes.max(), sizes, 0.0)
    whole = left / torch.where(sizes > 0, sizes, 1.0)
    return left, sizes, whole.T.to(rows) @ rows


@contextmanager
def untouched(modules: Sequence[torch.nn.Module], seed: int | None = None) -> Iterator[None]:
    """A block after which every generator of random numbers and every mode is as before.

    Args:
        modules: Put into evaluation mode within.
        seed: Of torch within; by default its generators go on.
    """
    modes = {part: part.training for module in modules for part in module.modules()}
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(_devices()):
            if seed is not None:
                torch.manual_seed(seed)
            for module in modules:
                module.eval()
            yield
    finally:
        for part, training in modes.items():
            part.training = training
        random.setstate(python)
        np.random.set_state(numpy)


def _devices() -> list[int]:
    begun: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return list(range(torch.cuda.device_count())) if begun else []
