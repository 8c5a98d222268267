"""Which parameters curvature is taken in, as named tensors and as one flat vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from sailtheory.errors import InputError
from sailtheory.policies.protocol import finite

__all__ = ["Selection", "Subset", "flatten"]

Selection = Callable[[str], bool]


class Subset:
    """A copy of a module's parameters, some of them free.

    The module itself is never touched: curvature is evaluated by functional calls on
    these copies, so its ``requires_grad`` flags and ``grad`` fields do not matter.

    Args:
        module: The policy.
        select: Which names are free, such as ``lambda name: "lora_" in name``;
            default all floating-point ones.

    Attributes:
        free: The free parameters, leaves that require gradients, by name.
        fixed: The others, by name.

    Raises:
        InputError: Nothing selected, or a parameter that is not finite.
    """

    def __init__(self, module: torch.nn.Module, select: Selection | None = None) -> None:
        self.free: dict[str, Tensor] = {}
        self.fixed: dict[str, Tensor] = {}
        for name, parameter in module.named_parameters():
            if parameter.is_floating_point() and (select is None or select(name)):
                value = finite(f"parameters.{name}", parameter.detach().clone())
                self.free[name] = value.requires_grad_(True)
            else:
                self.fixed[name] = parameter.detach()
        if not self.free:
            raise InputError("select", "no parameter", "a rule that selects at least one")
        if len({p.dtype for p in self.free.values()}) > 1:
            raise InputError("parameters", "several dtypes", "one dtype for all free parameters")

    @property
    def size(self) -> int:
        """d, the number of free scalars."""
        return sum(p.numel() for p in self.free.values())

    @property
    def leaves(self) -> list[Tensor]:
        """The free parameters, in order."""
        return list(self.free.values())

    @property
    def all(self) -> dict[str, Tensor]:
        """Free and fixed parameters by name, for a functional call."""
        return self.free | self.fixed

    def split(self, vector: Tensor) -> list[Tensor]:
        """A flat vector (d,) in the shapes of the free parameters."""
        parts = torch.split(vector, [p.numel() for p in self.leaves])
        return [part.reshape(p.shape) for part, p in zip(parts, self.leaves, strict=True)]

    def flat(self) -> Tensor:
        """The free parameters as one vector, (d,)."""
        return torch.cat([p.detach().reshape(-1) for p in self.leaves])

    def moved(self, vector: Tensor) -> dict[str, Tensor]:
        """All parameters after a step ``vector`` (d,) of the free ones."""
        steps = zip(self.free.items(), self.split(vector), strict=True)
        return {name: p.detach() + step for (name, p), step in steps} | self.fixed

    def tensor(self, vector: np.ndarray) -> Tensor:
        """A NumPy vector (d,) in the parameters' dtype and on their device."""
        leaf = self.leaves[0]
        return torch.as_tensor(np.ascontiguousarray(vector), dtype=leaf.dtype, device=leaf.device)


def flatten(parts: Sequence[Tensor]) -> Tensor:
    """Tensors as one vector, detached: (d,)."""
    return torch.cat([part.detach().reshape(-1) for part in parts])
