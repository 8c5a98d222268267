"""Networks of many runs in one tensor, each as if it were alone.

A stack holds L networks of one shape on a leading axis. On the CPU a network's numbers
must not depend, to the last bit, on how many networks lie beside it. Elementwise
operations do not; matrix products do: ``torch.bmm`` takes another kernel for one matrix
than for several, and even ``torch.mm`` sums in another order when a row of another
length shifts its memory off a cache line. So each network has a product of its own, on
memory that begins on a cache line: a few percent slower than ``torch.bmm`` over 16
(benchmarks/control.py). On a GPU ``torch.bmm`` is used, and equality is not promised.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam

__all__ = ["StackedAdam", "StackedMLP", "network_products"]

Tree = dict[str, Any]

_LINE = 64  # bytes


def network_products(a: Tensor, b: Tensor) -> Tensor:
    """a[l] @ b[l] of each network l: (L, n, k), (L, k, m) to (L, n, m), differentiable twice."""
    if not torch.is_grad_enabled():
        return _products(a, b)
    product: Tensor = _NetworkProducts.apply(a, b)  # type: ignore[no-untyped-call]
    return product


class _NetworkProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        return _products(a, b)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, b = ctx.saved_tensors
        first, second = ctx.needs_input_grad
        return (
            network_products(grad, b.mT) if first else None,
            network_products(a.mT, grad) if second else None,
        )


def _products(a: Tensor, b: Tensor) -> Tensor:
    if a.is_cuda:
        return torch.bmm(a, b)
    a, b = _on_lines(a), _on_lines(b)
    out = a.new_empty(a.shape[0], a.shape[1], b.shape[2])
    each = zip(a.unbind(), b.unbind(), out.unbind(), strict=True)
    if _lines(out):
        for left, right, place in each:
            torch.mm(left, right, out=place)
    else:
        for left, right, place in each:
            place.copy_(torch.mm(left, right))
    return out


def _lines(x: Tensor) -> bool:
    """Whether every matrix begins on a cache line."""
    return (x.data_ptr() | x.stride(0) * x.itemsize) % _LINE == 0


def _on_lines(x: Tensor) -> Tensor:
    """The same matrices, each dense, its axes in their order, from a cache line on."""
    count, n, m = x.shape
    _, down, across = x.stride()
    turned = down == 1 and across == n
    if (turned or (across == 1 and down == m)) and _lines(x):
        return x
    size = -(-n * m * x.itemsize // _LINE) * _LINE // x.itemsize
    memory = x.new_empty(count, size)[:, : n * m]
    out = memory.view(count, m, n).mT if turned else memory.view(count, n, m)
    return out.copy_(x)


class StackedMLP(torch.nn.Module):
    """L multilayer perceptrons: (L, n, widths[0]) to (L, n, widths[-1]).

    All parameters are views of one tensor ``flat`` of shape (L, size), so that an
    optimiser, an average or a copy is one operation. Drawn as ``torch.nn.Linear`` draws:
    uniform within ±1/√fan-in, one network after another from its generator.

    Args:
        widths: Input, hidden and output widths.
        generators: One a network; a generator that occurs twice draws both in order.
        slope: Of the activation below zero: 0 is ReLU.
        bound: Whether the output is squashed by tanh.
        device: Where the parameters live.
        dtype: Of the parameters.
    """

    def __init__(
        self,
        widths: Sequence[int],
        generators: Sequence[torch.Generator],
        *,
        slope: float = 0.0,
        bound: bool = False,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.widths, self.slope, self.bound = tuple(widths), slope, bound
        shapes = []
        for n, m in itertools.pairwise(widths):
            shapes += [(n, m), (1, m)]
        line = _LINE // 4
        sizes = [-(-n * m // line) * line for n, m in shapes]
        self.flat = torch.zeros(len(generators), sum(sizes), device=device, dtype=dtype)
        parameters, place = [], 0
        for (n, m), size in zip(shapes, sizes, strict=True):
            view = self.flat[:, place : place + n * m].view(-1, n, m)
            parameters.append(torch.nn.Parameter(view))
            place += size
        self.layers = torch.nn.ParameterList(parameters)
        self._layers = parameters  # the same, without the detour by name that each access costs
        for index, generator in enumerate(generators):
            self.draw(index, generator)

    @torch.no_grad()
    def draw(self, index: int, generator: torch.Generator) -> None:
        """Draw the parameters of one network anew."""
        for place, fan_in in enumerate(self.widths[:-1]):
            for parameter in self.layers[2 * place : 2 * place + 2]:
                drawn = torch.rand(
                    parameter.shape[1:], generator=generator, dtype=self.flat.dtype,
                    device=generator.device,
                )  # fmt: skip
                parameter[index].copy_((2 * drawn - 1) / fan_in**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """The outputs."""
        return self.hidden(x)[-1]

    def hidden(self, x: Tensor) -> list[Tensor]:
        """The values of every layer, the outputs last."""
        layers, found = self._layers, []
        for place in range(0, len(layers), 2):
            x = network_products(x, layers[place]).add_(layers[place + 1])
            if place + 2 < len(layers):
                x = torch.nn.functional.leaky_relu_(x, self.slope) if self.slope else x.relu_()
            elif self.bound:
                x = torch.tanh(x)
            found.append(x)
        return found


class StackedAdam:
    """Adam over the rows of a stack: each run has its own moments and step count.

    Uses torch's fused kernel row by row, several times faster than the same formula over
    (R, size) tensors that no longer fit the cache.

    Args:
        flat: (L, size), or with another leading axis that is a multiple of the runs, a
            run's rows lying together.
        parameters: The leaves of the graph; each is a view of ``flat``.
        rate: Learning rate > 0.
        rows: Runs R.
    """

    def __init__(
        self, flat: Tensor, parameters: Sequence[torch.nn.Parameter], rate: float, rows: int
    ) -> None:
        self.flat, self.parameters, self.rate = flat, list(parameters), rate
        self.gradient = torch.zeros_like(flat)
        self.first = torch.zeros_like(flat.view(rows, -1))
        self.second = torch.zeros_like(self.first)
        self.steps = [torch.zeros((), device=flat.device) for _ in range(rows)]
        # Views that every step uses: of the gradient by parameter, of all by run.
        self._parts = [
            self.gradient[:, p.storage_offset() : p.storage_offset() + p[0].numel()].view(p.shape)
            for p in parameters
        ]
        shape = self.first.shape
        self._rows = [list(x.view(shape)) for x in (flat, self.gradient, self.first, self.second)]

    def step(self, loss: Tensor) -> None:
        """One step down a loss: (R,), of which each entry depends on its own run alone."""
        gradients = torch.autograd.grad(loss.sum(), self.parameters)
        with torch.no_grad():
            torch._foreach_copy_(self._parts, gradients)
            flat, gradient, first, second = self._rows
            adam(
                flat, gradient, first, second, [], self.steps,
                fused=True, amsgrad=False, beta1=0.9, beta2=0.999, lr=self.rate,
                weight_decay=0.0, eps=1e-8, maximize=False,
            )  # fmt: skip

    def reset(self, row: int) -> None:
        """Forget the moments of one run."""
        for part in (self.first[row], self.second[row], self.steps[row]):
            part.zero_()

    def state(self, row: int) -> Tree:
        """Moments and step count of one run."""
        return {
            "first": self.first[row].clone(),
            "second": self.second[row].clone(),
            "steps": int(self.steps[row]),
        }

    def restore(self, row: int, tree: Tree) -> None:
        """Go back to a state."""
        self.first[row].copy_(tree["first"])
        self.second[row].copy_(tree["second"])
        self.steps[row].fill_(tree["steps"])
