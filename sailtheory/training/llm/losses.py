"""The terms of SFT, DPO, SAIL and SAIL-RevKL losses, on log-probabilities of whole sequences.

Every term is to be minimised and returned one value a sequence or pair, (n,), so that the
loss is the mean; a sum over all sequences with their probabilities is its expectation, which
is how the tests check it. Those of pairs are in ``sailtheory.training.pairs``. A score term
has value 0: it carries a gradient and leaves the value of the loss an unbiased estimate of
the objective.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from sailtheory.errors import InputError, require
from sailtheory.training.llm.divergence import kl_policy_pairs
from sailtheory.training.pairs import Pairs, pair_loss, score_loss

__all__ = [
    "METHODS",
    "OWN_SHARE",
    "WHAT",
    "Weights",
    "divergences",
    "implicit_rewards",
    "mixture",
    "needed_completions",
    "policy_preference",
    "sft_loss",
    "total",
]

T = TypeVar("T")

METHODS = ("sft", "dpo", "online-dpo", "sail-ddp", "sail-dpp", "sail-dpr")
"""SAIL's designs are named prompt|response|preference: d(ata), p(olicy), r(eward).

``online-dpo`` is ``sail-dpr`` without its score term: DPO on the policy's own pairs."""

WHAT = {
    "sft": "log π_θ of the chosen response",
    "dpo": "DPO on the data's pairs",
    "online-dpo": "DPO on the policy's own pairs, the reward judging: no objective's gradient",
    "sail-ddp": "DPO on the data's pairs, a share of them by the policy's own preference",
    "sail-dpp": "DPO on the data's pairs, and a share of the policy's own by its own preference",
    "sail-dpr": "J: online DPO, and a score term for pairs that the policy tells apart",
}
"""Each method in a few words."""

OWN_SHARE = {"online-dpo": "g", "sail-ddp": "r", "sail-dpp": "p", "sail-dpr": "g"}


@dataclass(frozen=True)
class Weights:
    """The mixture (1−r−p−g)·DPO + r·DDP + p·DPP + g·DPR, and what the two KLs add to it.

    With rho = pi = score_weight = 1 its gradient is that of this sum of objectives;
    SAIL's published recipes have .2 and .3 there, and are biased by that choice.

    Attributes:
        beta: β > 0.
        r: Share of dataset pairs whose preference is the policy's own.
        rho: Weight of the gradient through that preference. At 0 the DDP term has no
            gradient at all: u = σ(z) − σ(z).
        p: Share of the policy's own pairs under the policy's own preference.
        pi: As ``rho``, for these.
        g: Share of the policy's own pairs under the reward's preference; 1 is J.
        score_weight: Weight of the score terms of DPP and DPR.
        kl_coef: γ ≥ 0, of KL(π_ref‖π_θ).
        policy_kl_coef: ≥ 0, of KL(π_θ‖π_ref).

    Raises:
        InputError: A number outside its domain, or shares that sum to more than 1.
    """

    beta: float = 0.1
    r: float = 0.0
    rho: float = 1.0
    p: float = 0.0
    pi: float = 1.0
    g: float = 0.0
    score_weight: float = 1.0
    kl_coef: float = 0.0
    policy_kl_coef: float = 0.0

    def __post_init__(self) -> None:
        """Check the domains."""
        require(">", beta=self.beta)
        others = ("r", "rho", "p", "pi", "g", "score_weight", "kl_coef", "policy_kl_coef")
        require(">=", **{name: getattr(self, name) for name in others})
        if self.offline < -1e-12:
            raise InputError("r + p + g", self.r + self.p + self.g, "at most 1 is expected")

    @property
    def offline(self) -> float:
        """Share of plain DPO on dataset pairs."""
        rest = 1 - self.r - self.p - self.g
        return 0.0 if abs(rest) < 1e-12 else rest  # .4 + .3 + .3 is not 1 in floats

    @property
    def score_notice(self) -> str | None:
        """What the score term does, in one line; None where there is none (C28)."""
        if self.score_weight == 0 or (self.p == 0 and self.g == 0):
            return None
        return (
            f"score_weight = {self.score_weight:g}: the score term favours pairs that the policy "
            "tells apart, so bad responses stay beside good ones: J is not the reward; "
            "method=online-dpo leaves the term out"
        )

    @property
    def on_policy(self) -> bool:
        """Whether pairs of the policy's own are needed."""
        return self.p > 0 or self.g > 0 or self.policy_kl_coef > 0


def needed_completions(method: str, weights: Weights) -> list[str]:
    """Completions of the data that the loss of a method needs: ``chosen``, both or none."""
    if method == "sft":
        return ["chosen"]
    return ["chosen", "rejected"] if weights.offline > 0 or weights.r > 0 else []


def sft_loss(log_probs: Tensor) -> Tensor:
    """−log π_θ(y): (n,)."""
    return -log_probs


@torch.no_grad()
def implicit_rewards(pairs: Pairs, beta: float) -> dict[str, Tensor]:
    """β log π_θ/π_ref of dataset pairs, by the names that TRL logs: each (n,)."""
    chosen, margin = beta * (pairs.first - pairs.ref_first), pairs.margin(beta)
    return {
        "rewards/chosen": chosen, "rewards/rejected": chosen - margin,
        "rewards/margins": margin, "rewards/accuracies": (margin > 0).to(margin),
    }  # fmt: skip


def policy_preference(pairs: Pairs, beta: float, flow: float) -> Tensor:
    """q = σ(z) − ½, the policy's own, with ``flow`` times its gradient: (n,) (C06).

    ``flow`` = 1 is the gradient of the self-preferring objective, 0 its stop-gradient
    variant, which vanishes at π_ref and is no gradient field.
    """
    q = torch.tanh(pairs.margin(beta) / 2) / 2
    return q.detach() + flow * (q - q.detach())


def mixture(
    weights: Weights,
    *,
    offline: Pairs | None = None,
    on_policy: Pairs | None = None,
    preference: Tensor | None = None,
    kl: Tensor | None = None,
) -> dict[str, Tensor]:
    """The weighted terms of the loss by name; the loss is the sum of their means.

    Args:
        weights: The mixture.
        offline: Dataset pairs, the chosen response first.
        on_policy: Pairs drawn from the policy.
        preference: q of the reward for the on-policy pairs: (n,).
        kl: A term of ``sailtheory.training.llm.divergence``.

    Raises:
        InputError: Something that a positive weight needs is missing.
    """
    found: dict[str, Tensor] = {}
    beta, w = weights.beta, weights
    if w.offline > 0:
        pairs = _given("chosen and rejected", offline, "1 − r − p − g")
        found["dpo"] = w.offline * pair_loss(pairs, torch.full_like(pairs.ref_first, 0.5), beta)
    if w.r > 0:
        pairs = _given("chosen and rejected", offline, "r")
        found["ddp"] = w.r * pair_loss(pairs, policy_preference(pairs, beta, w.rho), beta)
    for name, share in (("dpp", w.p), ("dpr", w.g)):
        if share == 0:
            continue
        pairs = _given("on-policy pairs", on_policy, "p or g")
        if name == "dpp":
            q = policy_preference(pairs, beta, w.pi)
        else:
            q = _given("rewards", preference, "g").detach()
        found[name] = share * pair_loss(pairs, q, beta)
        if w.score_weight > 0:
            found[f"{name}_score"] = share * w.score_weight * score_loss(pairs, q.detach(), beta)
    return found | divergences(weights, on_policy=on_policy, kl=kl)


def divergences(
    weights: Weights, *, on_policy: Pairs | None = None, kl: Tensor | None = None
) -> dict[str, Tensor]:
    """The weighted terms of both KLs by name, as :func:`mixture` takes and gives them.

    Raises:
        InputError: Something that a positive weight needs is missing.
    """
    found: dict[str, Tensor] = {}
    if weights.kl_coef > 0:
        found["kl"] = weights.kl_coef * _given("a KL term", kl, "kl_coef")
    if weights.policy_kl_coef > 0:
        pairs = _given("on-policy pairs", on_policy, "policy_kl_coef")
        found["policy_kl"] = weights.policy_kl_coef * kl_policy_pairs(pairs)
    return found


def total(terms: Mapping[str, Tensor]) -> Tensor:
    """The loss: the sum over terms of their means."""
    return torch.stack([term.mean() for term in terms.values()]).sum()


def _given(what: str, value: T | None, weight: str) -> T:
    if value is None:
        raise InputError(what, "missing", f"they are expected where {weight} > 0")
    return value
