"""Random data sets as sources of prompts, and one prompt of them in 50 digits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from mpmath import mp, mpf

from sailtheory.problem.reduced import Chunk
from tests.support.reference import Prompt, Reference, lists, mpf_of


@dataclass
class Data:
    """A source of prompts of equal m: the floats are exact."""

    features: np.ndarray
    preference: np.ndarray
    log_base: np.ndarray
    weights: np.ndarray
    beta: Any
    radius: Any
    center: np.ndarray
    ref_params: np.ndarray

    def chunks(self, budget_bytes: int):
        n, m, d = self.features.shape
        step = max(1, budget_bytes // (8 * m * d))
        for i in range(0, n, step):
            part = slice(i, i + step)
            yield Chunk(
                np.arange(n)[part], self.features[part], self.preference[part],
                self.log_base[part], self.weights[part],
            )  # fmt: skip

    def reference(self, x: int) -> Reference:
        """One prompt in 50 digits."""
        with mp.workdps(50):
            m = self.features.shape[1]
            q = self.preference[x]
            p = [[mpf(1) / 2 + mpf_of(float(q[k, j])) for j in range(m)] for k in range(m)]
            base = [mp.exp(mpf_of(float(v))) for v in self.log_base[x]]
            phi = lists(self.features[x].astype(float))
            prompts = [Prompt(mpf(1), phi, p, base)]
            return Reference(prompts, lists(self.ref_params), mpf_of(float(self.beta)), 50)

    def curvature(self, x: int, theta: np.ndarray, direction: np.ndarray) -> Any:
        """vᵀ∇²J_xv / vᵀF_xv in 50 digits."""
        with mp.workdps(50):
            made, at, v = self.reference(x), lists(theta), mp.matrix(lists(direction))
            hessian = mp.matrix(made.hessian("sail", at))
            fisher = mp.matrix(made.kl_ref_policy(at)[2])
            return (v.T * hessian * v)[0] / (v.T * fisher * v)[0]


def data_set(
    rng: np.random.Generator, n: int, m: int, d: int, *, beta: float = 0.1, radius: float = 1.0,
    kind: str = "bt", away: bool = True, single: bool = False,
) -> Data:  # fmt: skip
    """A random data set.

    Args:
        rng: Source of randomness.
        n: Prompts.
        m: Responses.
        d: Dimension.
        beta: β.
        radius: B.
        kind: ``bt`` (rewards), ``ties``, ``hard`` (0 or 1) or ``any`` matrix.
        away: Whether the centre is not θ_ref.
        single: Whether the features are float32.
    """
    phi = rng.normal(size=(n, m, d)) / np.sqrt(2 * d)
    rewards = rng.normal(size=(n, m))
    q = np.tanh((rewards[:, :, None] - rewards[:, None]) / 2) / 2
    upper = np.triu(rng.random((n, m, m)) - 0.5, 1)
    if kind == "hard":
        upper = np.triu(np.sign(upper) / 2, 1)
    if kind != "bt":
        q = (upper - upper.mT) * (kind != "ties")
    center = rng.normal(size=d) / np.sqrt(d) if away else np.zeros(d)
    move = rng.normal(size=d)
    ref = center + away * 0.6 * radius * move / np.linalg.norm(move)
    return Data(
        phi.astype(np.float32) if single else phi, q, rng.normal(size=(n, m)),
        np.full(n, 1 / n), beta, radius, center, ref,
    )  # fmt: skip
