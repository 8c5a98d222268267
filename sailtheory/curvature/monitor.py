"""A callback that measures curvature in a training loop, at a bounded share of its time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from sailtheory.curvature.lanczos import extremal, random_vector
from sailtheory.curvature.operators import HessianOperator
from sailtheory.curvature.parameters import Selection
from sailtheory.curvature.relative import FisherRange, relative_curvature
from sailtheory.curvature.split import curvature_split
from sailtheory.errors import InputError
from sailtheory.policies.objectives import CandidateObjective

__all__ = ["CurvatureMonitor"]


class CurvatureMonitor:
    """Call it after every step of any torch loop: ``monitor(step)``.

    It measures on a fixed probe objective (the same policy, few prompts), never on the
    loop's mini-batch, and only while the time spent so far, and one more measurement as
    long as the last, stay within ``share`` of the time since construction.

    Args:
        objective: The probe; its policy is the one being trained.
        share: Largest share of time, in (0, 1].
        seed: Seed of the Lanczos starts and probes.
        best: J* or the best value known; without it the best value seen counts.
        products: At most so many products a Lanczos run.
        select: Which parameters, by name; default all.
        check: Whether the first measurement compares Hessian products with differences of
            gradients. Off for ReLU networks, whose kinks a difference crosses: there the
            Hessian is the one that exists almost everywhere.
        clock: Seconds, for tests.

    Attributes:
        records: One dictionary a measurement.

    Raises:
        InputError: A share outside (0, 1].
    """

    def __init__(
        self,
        objective: CandidateObjective,
        *,
        share: float = 0.1,
        seed: int = 0,
        best: float | None = None,
        products: int = 40,
        select: Selection | None = None,
        check: bool = True,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        if not 0 < share <= 1:
            raise InputError("share", share, "a share of time in (0, 1]")
        self.objective = objective
        self.share = share
        self.best = best
        self.products = products
        self.select = select
        self.check = check
        self.records: list[dict[str, Any]] = []
        self.spent = 0.0
        self._last = 0.0
        self._clock = clock
        self._began = clock()
        self._generator = torch.Generator().manual_seed(seed)
        self._start = [p.detach().clone() for p in objective.policy.parameters()]

    def __call__(self, step: int) -> dict[str, Any] | None:
        """Measure now if the budget allows; what was measured, or None."""
        began = self._clock()
        if self.spent + self._last > self.share * (began - self._began):
            return None
        record = {"step": step} | self.measure()
        self._last = self._clock() - began
        self.spent += self._last
        record["seconds"] = self._last
        self.records.append(record)
        return record

    @property
    def time_share(self) -> float:
        """The share of time spent so far."""
        return self.spent / max(self._clock() - self._began, 1e-12)

    def measure(self) -> dict[str, Any]:
        """All quantities at the policy's present parameters.

        λ_max and λ_min of ∇²J; the generalised ones on range(F̄) and λ_max damped; the
        PL ratio ½‖∇J‖²/(best − J), None at the best point; ‖θ − θ_start‖; J, both KLs
        and the win rate; the network's share of the curvature.
        """
        training = self.objective.policy.training
        self.objective.policy.eval()
        try:
            return self._measure()
        finally:
            self.objective.policy.train(training)

    def _measure(self) -> dict[str, Any]:
        hessian = HessianOperator(
            self.objective, select=self.select, check=self.check and not self.records
        )
        like = hessian.subset.flat()
        low, high = extremal(
            hessian, random_vector(like, self._generator), tolerance=1e-3, products=self.products
        )
        fisher = FisherRange(self.objective, select=self.select)
        relative = relative_curvature(
            hessian, fisher, self._generator, tolerance=1e-3, products=self.products
        )
        split = curvature_split(
            self.objective, self._generator, probes=4, select=self.select, check=False
        )
        with torch.no_grad():
            value = float(self.objective.value())
        moved = zip(self.objective.policy.parameters(), self._start, strict=True)
        distance = sum(float((p.detach() - q).square().sum()) for p, q in moved) ** 0.5
        slope = float(hessian.gradient().square().sum())
        seen = [value, *(r["value"] for r in self.records)]
        gap = (max(seen) if self.best is None else self.best) - value
        return {
            "value": value,
            "lambda_max": high.value,
            "lambda_min": low.value,
            "lambda_max_in_range": fisher.share(high.vector),
            "relative_max": relative.top.value,
            "relative_min": relative.bottom.value,
            "relative_damped": {str(level): v for level, v in relative.damped.items()},
            "rank": relative.rank,
            "network_share": split.network_share,
            "gradient_norm": slope**0.5,
            "pl_ratio": slope / (2 * gap) if gap > 0 else None,
            "distance": distance,
        } | self.objective.summary()
