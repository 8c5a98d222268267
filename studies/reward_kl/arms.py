"""The fields that are compared: E f(V) with or without the group's deviation, and four KL terms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sailtheory.numeric.numbers import FLOAT64
from sailtheory.theory.reward_methods import reward_method
from studies.reward_kl.world import Array, Problems, ball, projected

GROUP = 8
RATIOS = (0.03, 0.1, 0.2, 0.5, 1.0)
"""γ ÷ γ*."""
NONE, REF_POLICY, POLICY_REF, K3 = "none", "KL(π_ref‖π_θ)", "KL(π_θ‖π_ref)", "k3 by token"
SCALES = ("none", "std")
METHODS = {"none": reward_method("reward"), "std": reward_method("grpo", GROUP, "sample")}
PROVED = {scale: float(method.threshold(FLOAT64)) for scale, method in METHODS.items()}
"""K of one softmax, for every problem (C30, C31)."""


@dataclass(frozen=True)
class Arm:
    """A KL term and its γ.

    Attributes:
        kl: Which.
        gamma: ``0``, a share of γ*, or ``K``.
    """

    kl: str
    gamma: str

    def coefficient(self, scale: str, threshold: Array) -> Array:
        """γ of each problem: (P,)."""
        if self.gamma == "K":
            return np.full_like(threshold, PROVED[scale])
        return float(self.gamma) * threshold


def arms(depth: int) -> list[Arm]:
    """All of them; with one token k3 is KL(π_ref‖π_θ)."""
    kls = (REF_POLICY, POLICY_REF, *((K3,) if depth > 1 else ()))
    gammas = (*(f"{ratio:g}" for ratio in RATIOS), "K")
    return [Arm(NONE, "0"), *(Arm(kl, gamma) for kl in kls for gamma in gammas)]


def slope(scale: str, passed: Array) -> tuple[Array, Array]:
    """f'(V) and f''(V)."""
    found = METHODS[scale].slopes(FLOAT64, passed, 1 - passed)
    return np.broadcast_to(found.first, passed.shape), np.broadcast_to(found.second, passed.shape)


def shaped(scale: str, passed: Array) -> Array:
    """f(V), f(0) = 0."""
    return np.asarray(METHODS[scale].value(FLOAT64, passed, 1 - passed))


@dataclass(frozen=True)
class Fields:
    """The fields of all arms at once, on the problems of one kind.

    Attributes:
        world: The problems.
        scale: ``none`` or ``std``.
        own: γ of each KL for each trajectory: (3, P, K).
    """

    world: Problems
    scale: str
    own: Array

    @classmethod
    def of(cls, world: Problems, scale: str, tried: list[Arm], threshold: Array) -> Fields:
        """One trajectory an arm."""
        kls = (REF_POLICY, POLICY_REF, K3)
        gammas = [
            [arm.coefficient(scale, threshold) * (arm.kl == kl) for arm in tried] for kl in kls
        ]
        return cls(world, scale, np.array(gammas).swapaxes(1, 2))

    def repeated(self, times: int) -> Fields:
        """Each trajectory as many times, one after another."""
        return Fields(self.world, self.scale, np.repeat(self.own, times, axis=2))

    def only(self, problem: Array) -> Fields:
        """Those of some of the problems."""
        w = self.world
        kept = Problems(w.depth, w.features[problem], w.log_ref[problem], w.reward[problem])
        return Fields(kept, self.scale, self.own[:, problem])

    def at(self, theta: Array) -> tuple[Array, Array]:
        """The field and V of each prompt: (P, K, d) to (P, K, d) and (P, K, n)."""
        world = self.world
        log_tokens = world.tokens(theta)
        tokens = np.exp(log_tokens)
        policy = np.exp(world.flat(log_tokens) @ world.paths.T)
        reward = world.reward[:, None]
        passed = (policy * reward).sum(-1)
        ref_policy, policy_ref, by_token = self.own[..., None, None]
        weights = slope(self.scale, passed)[0][..., None] * policy * (reward - passed[..., None])
        weights += ref_policy * world.ref[:, None]
        log_ratio = np.log(policy / world.ref[:, None] + 1e-300)
        apart = (policy * log_ratio).sum(-1, keepdims=True)
        weights -= policy_ref * policy * (log_ratio - apart)
        on_tokens = (weights @ world.paths).reshape(tokens.shape)
        if by_token.any():
            met = (policy @ world.paths).reshape(tokens.shape).sum(-1, keepdims=True)
            on_tokens -= by_token[..., None] * met * (tokens - np.exp(world.log_ref[:, None]))
        on_tokens -= on_tokens.sum(-1, keepdims=True) * tokens
        return world.combined(on_tokens), passed

    def values(self, theta: Array) -> dict[str, Array]:
        """Mean pass rate, objective (without k3, which has none) and both KLs: (P, K) each."""
        world = self.world
        log = world.flat(world.tokens(theta)) @ world.paths.T
        policy, ref = np.exp(log), world.ref[:, None]
        passed = (policy * world.reward[:, None]).sum(-1)
        ratio = log - np.log(ref)
        kls = -(ref * ratio).sum(-1).mean(-1), (policy * ratio).sum(-1).mean(-1)
        objective = shaped(self.scale, passed).mean(-1)
        objective = objective - self.own[0] * kls[0] - self.own[1] * kls[1]
        return {
            "pass_rate": passed.mean(-1), "objective": objective, "kl_ref_policy": kls[0],
            "kl_policy_ref": kls[1],
        }  # fmt: skip


def curvature(world: Problems, scale: str, theta: Array) -> Array:
    """λ_max of ∇²E f(V) relative to ∇²KL(π_ref‖π_θ) at each point: (P, K, d) to (P, K)."""
    log_tokens = world.tokens(theta)
    tokens = np.exp(log_tokens)
    policy = np.exp(world.flat(log_tokens) @ world.paths.T)
    passed = (policy * world.reward[:, None]).sum(-1)
    first, second = slope(scale, passed)
    mean = np.einsum("pknsv,pnsvd->pknsd", tokens, world.features)
    spread = np.einsum("pknsv,pnsvd,pnsve->pknsde", tokens, world.features, world.features)
    spread -= mean[..., :, None] * mean[..., None, :]  # F_s
    score = world.features[:, None] - mean[..., None, :]
    count, tried, prompts, _, _, d = score.shape
    score = np.einsum("my,pknyd->pknmd", world.paths, score.reshape(count, tried, prompts, -1, d))
    weights = policy * (world.reward[:, None] - passed[..., None])
    gradient = np.einsum("pknm,pknmd->pknd", weights, score)
    met = (weights @ world.paths).reshape(tokens.shape).sum(-1)
    hessian = np.einsum("pknm,pknmd,pknme->pknde", weights, score, score)
    hessian -= np.einsum("pkns,pknsde->pknde", met, spread)
    hessian *= first[..., None, None]
    hessian += second[..., None, None] * gradient[..., :, None] * gradient[..., None, :]
    met_by_ref = (world.ref @ world.paths).reshape(world.log_ref.shape).sum(-1)
    fisher = np.einsum("pns,pknsde->pkde", met_by_ref, spread) / prompts
    rounding = 1e-13 * np.trace(fisher, axis1=-2, axis2=-1)[..., None, None]
    lower = np.linalg.cholesky(fisher + rounding * np.eye(d))
    left = np.linalg.solve(lower, hessian.mean(2))
    both = np.linalg.solve(lower, left.swapaxes(-1, -2))
    return np.linalg.eigvalsh((both + both.swapaxes(-1, -2)) / 2)[..., -1]


def thresholds(world: Problems, scale: str, seed: int) -> Array:
    """γ* of each problem, searched: 400 points of C, then 16 rounds around the best five: (P,)."""
    rng = np.random.default_rng([seed, world.depth, 2])
    count = len(world.features)
    points = ball(rng, (count, 400))
    found = curvature(world, scale, points)
    width = 1.0
    for _ in range(16):
        best = np.argsort(-found, axis=1)[:, :5]
        points = np.take_along_axis(points, best[..., None], 1)
        found = np.take_along_axis(found, best, 1)
        near = points[:, :, None] + width * rng.normal(size=(count, 5, 12, points.shape[-1]))
        near = projected(near.reshape(count, 60, -1))
        points = np.concatenate([points, near], 1)
        found = np.concatenate([found, curvature(world, scale, near)], 1)
        width *= 0.75
    return np.maximum(found.max(1), 0)
