"""An expected gradient as a combination of objectives' gradients, or the finding that it is none.

One set of coefficients has to fit all models at once, so that there are more equations than
objectives; the arithmetic is float64 on exact sums, so a fit is to 1e-12 or it is no fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import torch
from torch import Tensor

from sailtheory.auditing.batches import Gradients, Sampling
from sailtheory.auditing.library import Objective
from sailtheory.auditing.models import SmallModel
from sailtheory.errors import InputError

__all__ = ["EXACT", "Finding", "Kind", "combination", "decompose"]

EXACT = 1e-9
"""A residual below it is rounding: sums of 10⁴ float64 terms, times a condition below 10⁴."""
NO_FIT = 1e-5
"""A residual above it is none: losses computed in float32 stay below."""
MOST_CONDITION = 1e4
MOST_CANCELLATION = 30.0
"""Above it, Σ|c_j|·‖g_j‖ ÷ ‖g‖ says that the combination fits by large terms that cancel."""


class Kind(StrEnum):
    """What an expected gradient was found to be."""

    STILL = "zero in every batch"
    ZERO = "zero in expectation"
    COMBINATION = "a combination"
    SCALED = "one objective, its factor depending on the model"
    NONE = "no combination"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Finding:
    """What the expected gradient of a loss, which is minimised, is.

    Attributes:
        kind: The verdict.
        coefficients: Of the objectives' gradients, by name; with ``SCALED`` the smallest
            factor found.
        factors: With ``SCALED``, the smallest and the largest factor.
        residual: Of the best combination of the whole library, relative to the gradient.
        condition: Of the library's gradients on these models, each of length one.
        cancellation: Σ|c_j|·‖g_j‖ ÷ ‖g‖ of the best combination, 1 where nothing cancels.
        same: Objectives whose gradients are a named one's on all these models.
        texts: What each objective is called.
    """

    kind: Kind
    coefficients: Mapping[str, float]
    residual: float
    condition: float
    cancellation: float
    factors: tuple[float, float] | None = None
    same: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict, repr=False)

    def describe(self, what: str = "the loss") -> str:
        """The verdict in a sentence."""
        if self.kind is Kind.STILL:
            return f"the gradient of {what} is 0 in every batch: it does nothing"
        if self.kind is Kind.ZERO:
            return (
                f"the expected gradient of {what} is 0, though not that of every batch: "
                "it regularises nothing and adds noise"
            )
        if self.kind is Kind.SCALED and self.factors is not None:
            (name,) = self.coefficients
            low, high = self.factors
            return (
                f"the expected gradient of {what} is that of {self.texts[name]}, times a factor "
                f"that depends on the model: {low:.3g} to {high:.3g}"
            )
        if self.kind is Kind.NONE:
            return (
                f"the expected gradient of {what} is no combination of the library: "
                f"residual {100 * self.residual:.2g} %"
            )
        if self.kind is Kind.UNDECIDED:
            return (
                f"undecided for {what}: residual {self.residual:.1e}, condition "
                f"{self.condition:.1e}, cancellation {self.cancellation:.1e}"
            )
        found = combination(self.coefficients, self.texts, self.same)
        return f"the expected gradient of {what} is {found}, residual {self.residual:.0e}"


def combination(
    coefficients: Mapping[str, float],
    texts: Mapping[str, str],
    same: Mapping[str, tuple[str, ...]] | None = None,
) -> str:
    """``−∇the reward + 0.3·∇KL(π_θ‖π_ref)``.

    Args:
        coefficients: By name of the objective.
        texts: What each objective is called.
        same: Objectives that cannot be told from a named one.
    """
    terms = ""
    for name, value in coefficients.items():
        sign = ("−" if value < 0 else "") if not terms else (" − " if value < 0 else " + ")
        scale = "" if abs(abs(value) - 1) < EXACT else f"{abs(value):.6g}·"
        other = "".join(f" (or {texts[k]})" for k in (same or {}).get(name, ()))
        terms += f"{sign}{scale}∇{texts[name]}{other}"
    return terms


def decompose(
    found: Sequence[Gradients],
    models: Sequence[SmallModel],
    sampling: Sampling,
    objectives: Sequence[Objective],
) -> Finding:
    """Fit the expected gradients of all models by one combination.

    Args:
        found: A loss's gradients on each model.
        models: The models.
        sampling: How the batches came about.
        objectives: The library.

    Raises:
        InputError: Too few models for this many objectives.
    """
    goal = torch.cat([g.mean.reshape(-1) for g in found])
    texts = {o.name: o.text for o in objectives}
    size = sum(g.size**2 for g in found) ** 0.5
    if float(goal.norm()) <= 1e-12 * size:
        kind = Kind.ZERO if size else Kind.STILL
        return Finding(kind, {}, 0.0, 1.0, 1.0, texts=texts)
    columns, same = _columns(models, sampling, objectives)
    equations = sum(m.prefixes * (m.vocabulary - 1) for m in models)
    if equations < 2 * len(columns):
        accepted = f"models with at least {2 * len(columns)} equations for {len(columns)} unknowns"
        raise InputError("models", f"{equations} equations", accepted)
    fit = _Fit.of(goal, columns)
    quality = (fit.residual, fit.condition, fit.cancellation)
    if fit.residual > NO_FIT:
        scaled = _scaled(found, models, sampling, objectives)
        if scaled is None:
            return Finding(Kind.NONE, {}, *quality, texts=texts)
        name, factors = scaled
        return Finding(Kind.SCALED, {name: factors[0]}, *quality, factors, texts=texts)
    clear = fit.condition <= MOST_CONDITION and fit.cancellation <= MOST_CANCELLATION
    kind = Kind.COMBINATION if clear and fit.residual <= EXACT else Kind.UNDECIDED
    return Finding(kind, _sparse(fit, goal, columns), *quality, same=same, texts=texts)


def _sparse(fit: _Fit, goal: Tensor, columns: Mapping[str, Tensor]) -> dict[str, float]:
    """The coefficients without those that are rounding, if the rest fits as well alone."""
    kept = {name: columns[name] for name in columns if fit.share(name) > 1e2 * EXACT}
    alone = _Fit.of(goal, kept)
    return alone.coefficients if alone.residual <= EXACT else fit.coefficients


@dataclass(frozen=True)
class _Fit:
    """Least squares on columns of length one."""

    coefficients: dict[str, float]
    lengths: dict[str, float]
    goal: float
    residual: float
    condition: float

    @classmethod
    def of(cls, goal: Tensor, columns: Mapping[str, Tensor]) -> _Fit:
        lengths = {k: float(v.norm()) for k, v in columns.items()}
        matrix = torch.stack([v / lengths[k] for k, v in columns.items()], -1)
        u, spread, vh = torch.linalg.svd(matrix, full_matrices=False)
        solution = vh.mT @ ((u.mT @ goal) / spread)
        left = float((matrix @ solution - goal).norm() / goal.norm())
        found = {k: float(c) / lengths[k] for k, c in zip(columns, solution, strict=True)}
        return cls(found, lengths, float(goal.norm()), left, float(spread[0] / spread[-1]))

    def share(self, name: str) -> float:
        """|c_j|·‖g_j‖ ÷ ‖g‖."""
        return abs(self.coefficients[name]) * self.lengths[name] / self.goal

    @property
    def cancellation(self) -> float:
        return sum(self.share(name) for name in self.coefficients)


def _columns(
    models: Sequence[SmallModel], sampling: Sampling, objectives: Sequence[Objective]
) -> tuple[dict[str, Tensor], dict[str, tuple[str, ...]]]:
    """The objectives' gradients on all models; of those that are equal, the first."""
    columns: dict[str, Tensor] = {}
    same: dict[str, tuple[str, ...]] = {}
    for objective in objectives:
        column = torch.cat([objective.gradient(m, sampling).reshape(-1) for m in models])
        if float(column.norm()) == 0:
            continue
        for name, other in columns.items():
            if torch.allclose(column, other, rtol=1e-12, atol=1e-13):
                same[name] = (*same.get(name, ()), objective.name)
                break
        else:
            columns[objective.name] = column
    return columns, same


def _scaled(
    found: Sequence[Gradients],
    models: Sequence[SmallModel],
    sampling: Sampling,
    objectives: Sequence[Objective],
) -> tuple[str, tuple[float, float]] | None:
    """The objective whose gradient is parallel on every model, with the range of its factor.

    Only models on which a direction says something count: on one with a single equation all
    gradients are parallel.
    """
    telling = [
        (g, m) for g, m in zip(found, models, strict=True) if m.prefixes * (m.vocabulary - 1) > 1
    ]
    for objective in objectives:
        factors = []
        for gradient, model in telling:
            column, mean = objective.gradient(model, sampling), gradient.mean
            square = float(column.square().sum())
            factor = float((column * mean).sum()) / square if square else 0.0
            if float((mean - factor * column).norm()) > EXACT * float(mean.norm()):
                break
            factors.append(factor)
        else:
            if factors:
                return objective.name, (min(factors), max(factors))
    return None
