"""A run that records what its audit needs: four lines in a plain torch loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sailtheory.errors import InputError, require, whole_number
from sailtheory.extras import require_extra

require_extra("torch", "torch")

import torch
from torch import Tensor

from sailtheory.problem.preferences import BradleyTerry, probabilities
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.problem.problem_file import save
from sailtheory.run_audit.budget import Budget
from sailtheory.run_audit.log_file import PROBLEM, LogWriter
from sailtheory.run_audit.measure import (
    Coordinates,
    LogProbs,
    Weights,
    coordinates,
    untouched,
)
from sailtheory.run_audit.standing import Found
from sailtheory.run_audit.trace import Facts, Point

__all__ = ["AuditLog", "Candidates"]

MOST_NUMBERS = 1 << 27
"""Of the gradients of all candidates: above, they are not computed, and the log says so."""
_UNITS = 64  # of the last place of a log-probability, that rounding can make of it


@dataclass(frozen=True)
class Candidates:
    """Responses that are looked at along a run, and what is known of them.

    Attributes:
        log_probs: log π_θ, (n, m), differentiable.
        reference: log π_ref, (n, m); by default the policy's own at the start.
        rewards: r, (n, m): p is Bradley–Terry's.
        preferences: p, (n, m, m), where it is not.
        gradients: ∇_θ log π_θ of each candidate, (P,), in order; by default from ``log_probs``.
        all_responses: Whether they are all that the policy can say, and all the loss sees;
            otherwise they are draws from π_ref.
    """

    log_probs: LogProbs
    reference: Callable[[], Tensor] | None = None
    rewards: Callable[[], Any] | None = None
    preferences: Callable[[], Any] | None = None
    gradients: Callable[[], Iterable[Tensor]] | None = None
    all_responses: bool = True


class AuditLog:
    """Writes what ``sailtheory audit`` reads; nothing in the run changes by it.

    Call it in every update between ``backward()`` and the optimiser's step, and
    :meth:`finish` at the end::

        log = AuditLog("runs/a", policy, log_probs, beta=0.1, gamma=0.25, rewards=r)
        for step in range(1000):
            loss(...).backward()
            log(step, batch=64)
            optimizer.step()
        log.finish()

    Args:
        folder: Where the log is written; it must hold none.
        policy: The module that is trained, or its parameters.
        log_probs: A function: log π_θ(y|x) of all responses y to n prompts x, (n, m).
        beta: β > 0 of the implicit reward.
        gamma: γ ≥ 0 of −γKL(π_ref‖π_θ) in the objective; by default it is measured.
        reference: log π_ref of the same, (n, m): a tensor, or a function. By default the
            policy at the start, and whether π_ref moves is then not measurable.
        rewards: r, (n, m): preferences are σ(r₁ − r₂).
        preferences: p, (n, m, m), where they are not.
        score: The weight of J's score term in the loss; by default it is measured.
        radius: B, where ‖θ − θ_start‖ ≤ B is enforced.
        steps: Updates of the whole run, so that its length is foreseen.
        share: Largest share of the training time; 1 measures at every update.

    Raises:
        InputError: A value outside its domain, or a folder that holds a log.
    """

    def __init__(
        self, folder: str | Path, policy: torch.nn.Module | Iterable[Tensor], log_probs: LogProbs,
        *, beta: float, gamma: float | None = None, reference: Any = None, rewards: Any = None,
        preferences: Any = None, score: float | None = None, radius: float | None = None,
        steps: int | None = None, share: float = 0.05,
    ) -> None:  # fmt: skip
        if not callable(log_probs):
            raise InputError("log_probs", type(log_probs).__name__, "a function is expected")
        given = Candidates(log_probs, _reading(reference), _reading(rewards), _reading(preferences))
        facts = Facts(beta, gamma, radius, score, all_responses=True)
        self._prepare(folder, policy, facts, steps, share)
        self.look_at(given, Weights(self._parameters))

    @classmethod
    def later(
        cls, folder: str | Path, policy: torch.nn.Module, facts: Facts,
        *, steps: int | None, share: float, name: str,
    ) -> AuditLog:  # fmt: skip
        """A log whose candidates are given by :meth:`look_at`, when time allows it."""
        self = cls.__new__(cls)
        self._prepare(folder, policy, facts, steps, share, name)
        return self

    def _prepare(
        self, folder: str | Path, policy: Any, facts: Facts, steps: int | None, share: float,
        name: str = "AuditLog",
    ) -> None:  # fmt: skip
        _expect(facts, share)
        if steps is not None:
            whole_number("steps", steps, 1)
        self.budget, self._name = Budget(share, steps), name
        self.modules = [policy] if isinstance(policy, torch.nn.Module) else []
        self._parameters = _parameters(policy)
        self._writer = LogWriter(folder)
        self._facts = facts
        self._candidates: Candidates | None = None
        self._space: Coordinates | None = None
        self._problem: PreferenceProblem | None = None
        self._pending: tuple[Point, dict[str, float], list[Tensor], Tensor | None] | None = None
        self._spent = {"updates": 0.0}
        self._furthest = 0.0
        self._next: int | None = None
        self._late = False

    @property
    def ready(self) -> bool:
        """Whether there are candidates to look at."""
        return self._candidates is not None

    def look_at(
        self, candidates: Candidates, weights: Weights, *,
        stated: Mapping[str, Found] | None = None, notes: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        """Take the candidates as they are at θ_start, and write the log's first line."""
        with self.budget.paying(once=True), untouched(self.modules), weights.at(0.0):
            log_policy = _matrix("log_probs", candidates.log_probs())
            read = candidates.reference
            self._log_ref = log_policy if read is None else _matrix("reference", read())
            _expect_shape("reference", self._log_ref, log_policy.shape)
            eps = torch.finfo(weights.live[0].dtype).eps
            rounding = _UNITS * eps * (1 + float(np.abs(log_policy).max()))
            self._facts = replace(
                self._facts, rounding=rounding, all_responses=candidates.all_responses
            )
            p = _judged(candidates, log_policy.shape)
            more = self._build(candidates, weights, log_policy, p)
        self._candidates, self._weights = candidates, weights
        self._writer.begin(
            self._facts, stated=stated or {}, preferences=p, problem=self._problem,
            writer=self._name, notes=(*notes, *more),
        )  # fmt: skip

    def _build(
        self, given: Candidates, weights: Weights, log_policy: np.ndarray, p: np.ndarray | None
    ) -> tuple[str, ...]:
        """The candidate problem, or why there is none."""
        n, m = log_policy.shape
        if weights.count * n * m > MOST_NUMBERS:
            return (f"no candidate problem: gradients of {n * m} candidates on {weights.count} "
                    "weights would not fit; train fewer (an adapter, a block)",)  # fmt: skip
        if np.ptp(log_policy - self._log_ref, axis=-1).max() > 2 * self._facts.rounding:
            return ("no candidate problem: π_ref is not the policy at the start",)
        rows = given.gradients or (lambda: _gradients(given.log_probs, weights))
        self._space = coordinates(rows(), n, m)
        if self._space is None or p is None or self._facts.beta is None:
            missing = "β" if p is not None else "rewards or preferences"
            same = "all candidates of a prompt have the same gradient"
            why = same if self._space is None else f"{missing} was not given"
            return (f"no candidate problem: {why}",)
        notes: tuple[str, ...] = ()
        judge: Any = p
        earned = None if given.rewards is None else _matrix("rewards", given.rewards())
        if earned is not None:
            judge = [BradleyTerry(r) for r in earned]
        elif np.abs(p + p.swapaxes(-1, -2) - 1).max() > 1e-12:
            judge = (p + 1 - p.swapaxes(-1, -2)) / 2
            notes = ("the candidate problem has (p₁₂ + 1 − p₂₁)/2 for p₁₂",)
        self._problem = PreferenceProblem(
            features=self._space.features, preferences=judge, beta=self._facts.beta,
            radius=self._facts.radius or 1.0,
            base=np.exp(self._log_ref) if given.all_responses else None,
            response_rewards=None if earned is None else list(earned),
        )  # fmt: skip
        return notes

    def __call__(self, step: int, batch: int | None = None, **numbers: Any) -> bool:
        """Measure, if the share of time allows; whether it was.

        Args:
            step: Of the update that is about to be made; increasing.
            batch: Prompts in it.
            numbers: Further ones to be kept, such as the loss.
        """
        with self.budget.paying():
            self._complete(again=True)
        self.budget.step()
        self._next = int(step) + 1
        self._spent["updates"] += 1
        if batch is not None:
            self._spent["prompts"] = self._spent.get("prompts", 0.0) + batch
        if not self.ready or not self.budget.affords():
            return False
        with self.budget.paying(measured=True):
            self._measure(int(step), batch, {k: _number(v) for k, v in numbers.items()})
        return True

    def give_up(self, stated: Mapping[str, Found], why: str) -> None:
        """A first line without candidates, where none could be looked at."""
        self._writer.begin(
            self._facts,
            stated=stated,
            preferences=None,
            problem=None,
            writer=self._name,
            notes=(why,),
        )

    def finish(self, **spent: float) -> None:
        """The end of the run; ``spent`` is what else it was given, such as tokens."""
        self._complete()
        end = None if not self.ready or self._next is None else (self._next, self._distance())
        if self._facts.radius is None and self._problem is not None and self._furthest > 0:
            used = self._problem.replace(radius=self._furthest)
            save(used, self._writer.folder / PROBLEM)
        share = self.budget.spent / self.budget.trained
        self._writer.end(self._spent | spent, self.budget.trained, share, self.budget.share, end)

    def _distance(self) -> float:
        """‖θ − θ_start‖."""
        distance = float(self._weights.moved().double().norm())
        if np.isfinite(distance):
            self._furthest = max(self._furthest, distance)
        return distance

    @torch.no_grad()
    def _measure(self, step: int, batch: int | None, numbers: dict[str, float]) -> None:
        given, weights = self._candidates, self._weights
        assert given is not None
        with untouched(self.modules):
            now = given.log_probs().double().cpu().numpy() - self._log_ref
            with weights.at(0.5):
                middle = given.log_probs().double().cpu().numpy() - self._log_ref
            drift = None
            if given.reference is not None:
                here = given.reference().detach().double().cpu().numpy()
                drift = float(np.abs(here - self._log_ref).max())
            judge = given.preferences or given.rewards
            p = _judged(given, now.shape) if judge is not None and given.all_responses else None
        moved, gradient = weights.moved(), weights.gradient()
        distance, space = self._distance(), self._space
        point = Point(
            step, distance, now, middle, drift, p,
            None if space is None else space.of(moved),
            None if space is None or gradient is None else space.of(gradient), batch,
        )  # fmt: skip
        self._late = self._spent["updates"] == 1 and distance > 0
        self._pending = point, numbers, weights.copy(), gradient

    @torch.no_grad()
    def _complete(self, again: bool = False) -> None:
        """Write the last measurement with the update that followed it, and what comes ``again``."""
        if self._pending is None:
            return
        point, numbers, before, gradient = self._pending
        self._pending = None
        if gradient is not None:
            made, steep = self._weights.moved(before).double(), gradient.double()
            length, size = float(made.norm()), float(steep.norm())
            if length > 0 and size > 0:
                along = -float(made @ steep) / (length * size)
                point = replace(point, step_size=length / size, along=along)
            following = self._weights.gradient() if again else None
            if following is not None:
                apart = float((following.double() - steep).square().sum())
                point = replace(point, variance=apart / 2)
            numbers = numbers | {"gradient norm": size}
        self._writer.add(point, numbers, late=self._late)


def _expect(facts: Facts, share: float) -> None:
    if facts.beta is not None:
        require(">", beta=float(facts.beta))
    if facts.gamma is not None:
        require(">=", gamma=float(facts.gamma))
    if facts.radius is not None:
        require(">", radius=float(facts.radius))
    require(">", share=float(share))


def _parameters(policy: Any) -> list[Tensor]:
    """Of a module, or those given; one tensor is one parameter."""
    if isinstance(policy, torch.nn.Module):
        found: list[Any] = list(policy.parameters())
    elif isinstance(policy, Iterable) and not isinstance(policy, Tensor):
        found = list(policy)
    else:
        found = [policy]
    if not found or not all(isinstance(p, Tensor) for p in found):
        kind = f"{type(policy).__module__}.{type(policy).__name__}"
        raise InputError("policy", kind, "a torch module, or its parameters, is expected")
    if not any(p.requires_grad for p in found):
        raise InputError("policy", "no parameters", "tensors that require gradients")
    return found


def _number(value: Any) -> float:
    return float(value.detach() if isinstance(value, Tensor) else value)


def _reading(value: Any) -> Callable[[], Any] | None:
    """A function that reads the value anew each time: what changes in place is seen."""
    return value if value is None or callable(value) else lambda: value


def _matrix(field: str, values: Any) -> np.ndarray:
    found = values.detach().double().cpu().numpy() if isinstance(values, Tensor) else values
    array = np.array(found, dtype=float)
    if array.ndim != 2 or array.shape[1] < 2 or not np.isfinite(array).all():
        raise InputError(field, f"shape {array.shape}", "finite numbers (prompts, responses ≥ 2)")
    return array


def _expect_shape(field: str, found: np.ndarray, shape: tuple[int, ...]) -> None:
    if found.shape != shape:
        raise InputError(field, f"shape {found.shape}", f"shape {shape} is expected, by log_probs")


def _judged(given: Candidates, shape: tuple[int, ...]) -> np.ndarray | None:
    """p of the candidates, (n, m, m), where they are of a shape (n, m)."""
    if given.preferences is not None:
        values = given.preferences()
        found = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
        p = np.array(found, dtype=float)
        _expect_shape("preferences", p, (*shape, shape[-1]))
        return p
    if given.rewards is None:
        return None
    r = _matrix("rewards", given.rewards())
    _expect_shape("rewards", r, shape)
    return np.stack([probabilities(BradleyTerry(row)) for row in r])


def _gradients(log_probs: LogProbs, weights: Weights) -> list[Tensor]:
    """∇_θ log π of each candidate, (P,) each."""
    with torch.enable_grad():
        values: Any = log_probs()
        if not isinstance(values, Tensor) or not values.requires_grad:
            kind = "a tensor without" if isinstance(values, Tensor) else type(values).__name__
            raise InputError("log_probs", kind, "a function of a tensor with gradient is expected")
        rows = []
        for value in values.reshape(-1):
            found = torch.autograd.grad(value, weights.live, retain_graph=True, allow_unused=True)
            pairs = zip(found, weights.live, strict=True)
            rows.append(torch.cat([
                (torch.zeros_like(p) if g is None else g).reshape(-1).detach() for g, p in pairs
            ]))  # fmt: skip
    return rows
