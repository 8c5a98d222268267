"""Does every loss term move the parameters it claims to move?

A term that depends on none of them has gradient zero there, and the arm named after it is the
arm without it: the published λ₁·Q₁(s, a) in a reward network's loss was such a term. Autograd
alone would not see a gradient that a hook or a detached tensor falsifies, so each gradient is
compared with a finite change of the term.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from sailtheory.errors import InputError, whole_number

__all__ = ["Effect", "Group", "Term", "TermAudit", "audit_terms"]

Group = torch.nn.Module | Mapping[str, Tensor]
"""A network, or parameters by name."""

_STEPS = (1.0, 1 / 16, 16.0)  # times the step that balances rounding and curvature
_AGREEMENT = 0.1  # a central difference at a kink of a ReLU is this wrong at most
_ROUNDING = 16.0  # evaluations of a loss differ by at most so many units of its last place


@dataclass(frozen=True)
class Term:
    """A named term of a loss.

    Attributes:
        name: As it appears in the log.
        loss: Its value, or a function that computes it; with a function, the claimed
            gradients are also compared with finite changes. The function must be
            repeatable: networks without dropout, the same noise each time. A surrogate
            whose gradient is on purpose not that of its value is given as a tensor.
        moves: Names of the groups of parameters that it claims to move.
    """

    name: str
    loss: Tensor | Callable[[], Tensor]
    moves: tuple[str, ...]


@dataclass(frozen=True)
class Effect:
    """What one term does to one group of parameters.

    Attributes:
        term: Name of the term.
        group: Name of the group.
        claimed: Whether the term claims to move it.
        gradient: Norm of the gradient by autograd.
        change: The same derivative by a finite change; along a random direction where
            the gradient is zero; None where the term is a tensor or claims nothing.
        noise: What rounding alone could make of ``change``.
        depends: Whether the value of the term changes at all; None as for ``change``.
        still: Parameters of the group with gradient zero.
    """

    term: str
    group: str
    claimed: bool
    gradient: float
    change: float | None
    noise: float
    depends: bool | None
    still: tuple[str, ...]

    @property
    def moves(self) -> bool:
        """Whether autograd moves the group."""
        return self.gradient > 0

    @property
    def agrees(self) -> bool:
        """Whether the finite change, where there is one, is that of the gradient."""
        if self.change is None:
            return True
        return abs(self.change - self.gradient) <= _AGREEMENT * self.gradient + self.noise

    @property
    def fault(self) -> str | None:
        """What is wrong, in one line; None when nothing is."""
        if not self.agrees and not self.moves:
            return f"{self.term} depends on {self.group}, but its gradient there is cut off"
        if not self.agrees:
            return (
                f"{self.term}: autograd says {self.gradient:.3g} for {self.group}, "
                f"a finite change {self.change:.3g}"
            )
        if self.claimed and not self.moves:
            why = "; it is stationary there: audit at another point" if self.depends else ""
            return f"{self.term} claims to move {self.group}, and its gradient there is zero{why}"
        if self.claimed and self.noise > self.gradient:
            return f"{self.term}: its gradient for {self.group} cannot be told from rounding"
        return None


@dataclass(frozen=True)
class TermAudit:
    """The effects of all terms on all groups."""

    effects: tuple[Effect, ...]

    @property
    def faults(self) -> tuple[str, ...]:
        """Claims that do not hold and gradients that are not derivatives."""
        return tuple(effect.fault for effect in self.effects if effect.fault is not None)

    @property
    def unclaimed(self) -> tuple[str, ...]:
        """Terms that move parameters which they do not claim to move."""
        found = (e for e in self.effects if e.moves and not e.claimed)
        return tuple(f"{effect.term} also moves {effect.group}" for effect in found)

    def require(self) -> None:
        """Raise :class:`InputError` with the first fault."""
        if self.faults:
            raise InputError("audit", self.faults[0].partition(" ")[0], "; ".join(self.faults))


def audit_terms(terms: Sequence[Term], groups: Mapping[str, Group], *, seed: int = 0) -> TermAudit:
    """Compare what each term claims to move with autograd and with finite changes.

    Parameters are changed in place for the finite changes and put back bit for bit;
    their ``grad`` fields are not touched.

    Args:
        terms: The terms, with the weights that the loss gives them.
        groups: All trained parameters, by name of the group.
        seed: Of the direction in which a parameter without gradient is changed.

    Raises:
        InputError: A term that claims an unknown group, is no scalar, is not finite, or is
            not repeatable; a group without parameters; a seed that is none.
    """
    seed = whole_number("seed", seed)
    parameters = {name: _parameters(name, group) for name, group in groups.items()}
    effects: list[Effect] = []
    for term in terms:
        for claimed in term.moves:
            if claimed not in groups:
                raise InputError(term.name, claimed, f"one of {', '.join(groups)} is expected")
        effects += _effects(term, parameters, torch.Generator().manual_seed(seed))
    return TermAudit(tuple(effects))


def _parameters(name: str, group: Group) -> dict[str, Tensor]:
    named: Iterable[tuple[str, Tensor]] = (
        group.named_parameters() if isinstance(group, torch.nn.Module) else group.items()
    )
    found = {key: tensor for key, tensor in named if tensor.requires_grad}
    if not found:
        raise InputError(name, "no parameters", "tensors that require gradients are expected")
    return found


def _effects(
    term: Term, groups: dict[str, dict[str, Tensor]], generator: torch.Generator
) -> Iterator[Effect]:
    value = _value(term)
    repeated = _value(term)
    if not torch.equal(value.detach(), repeated.detach()):
        raise InputError(term.name, f"{value:.6g}, then {repeated:.6g}", "a repeatable term")
    flat = [tensor for group in groups.values() for tensor in group.values()]
    gradients: Sequence[Tensor | None] = [None] * len(flat)
    if value.requires_grad:
        gradients = torch.autograd.grad(value, flat, retain_graph=True, allow_unused=True)
    by_tensor = dict(zip(map(id, flat), gradients, strict=True))
    for name, group in groups.items():
        found = {key: by_tensor[id(tensor)] for key, tensor in group.items()}
        yield _effect(term, name, group, found, float(value.detach()), generator)


def _value(term: Term) -> Tensor:
    value = term.loss() if callable(term.loss) else term.loss
    if value.numel() != 1 or not bool(torch.isfinite(value)):
        raise InputError(term.name, value, "one finite number is expected")
    return value.reshape(())


def _effect(
    term: Term,
    name: str,
    group: dict[str, Tensor],
    gradients: dict[str, Tensor | None],
    value: float,
    generator: torch.Generator,
) -> Effect:
    dense = {k: torch.zeros_like(group[k]) if g is None else g for k, g in gradients.items()}
    norm = _norm(dense.values())
    still = tuple(key for key, gradient in dense.items() if not gradient.any())
    change, noise, depends = None, 0.0, None
    if callable(term.loss) and name in term.moves:
        direction = dense
        if norm == 0:
            direction = {
                k: torch.randn(t.shape, generator=generator, dtype=torch.float64).to(t)
                for k, t in group.items()
            }
        change, noise, depends = _finite_change(term, group, direction, norm, value)
    return Effect(term.name, name, name in term.moves, norm, change, noise, depends, still)


def _finite_change(
    term: Term, group: dict[str, Tensor], direction: dict[str, Tensor], norm: float, value: float
) -> tuple[float, float, bool]:
    """Derivative along a direction of length one, what rounding can make of it, and dependence.

    Three lengths of step are tried, as long ones see small derivatives and short ones stay
    on one side of a kink; of those that can see the gradient, the nearest to it counts.
    """
    length = _norm(direction.values())
    eps = max(torch.finfo(tensor.dtype).eps for tensor in group.values())
    balanced = eps ** (1 / 3) * max(1.0, _norm(group.values()))
    found, depends = [], False
    for factor in _STEPS:
        step, ends = balanced * factor, []
        for sign in (1, -1):
            with _moved(group, direction, sign * step / length):
                ends.append(float(_value(term).detach()))
        rounding = _ROUNDING * eps * max(map(abs, (value, *ends)))
        depends |= max(abs(end - value) for end in ends) > rounding
        found.append(((ends[0] - ends[1]) / (2 * step), rounding / step))
    if norm == 0:  # at a stationary point the change shrinks with the step
        (middle, _), (small, noise), _ = found
        return 0.0 if 2 * abs(small) < abs(middle) else small, noise, depends
    seeing = [pair for pair in found if 2 * pair[1] < norm]
    if not seeing:
        return *min(found, key=lambda pair: pair[1]), depends
    return *min(seeing, key=lambda pair: abs(pair[0] - norm)), depends


@contextmanager
def _moved(group: dict[str, Tensor], direction: dict[str, Tensor], scale: float) -> Iterator[None]:
    """The parameters changed in place, and put back bit for bit."""
    saved = {key: tensor.detach().clone() for key, tensor in group.items()}
    try:
        with torch.no_grad():
            for key, tensor in group.items():
                tensor.add_(direction[key], alpha=scale)
        yield
    finally:
        with torch.no_grad():
            for key, tensor in group.items():
                tensor.copy_(saved[key])


def _norm(tensors: Iterable[Tensor]) -> float:
    return math.sqrt(sum(float(t.detach().double().square().sum()) for t in tensors))
