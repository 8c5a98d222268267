"""Estimators in use, what each is meant to follow, and where it is known from.

The verdicts are not written here: they are computed, and checked by hand in the tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch.nn import functional as F

from sailtheory.auditing import estimators as e
from sailtheory.auditing.batches import Loss, Sampling
from sailtheory.auditing.loss import Claim, LossAudit, audit_loss
from sailtheory.auditing.models import small_models

__all__ = ["CATALOGUE", "Entry"]


@dataclass(frozen=True)
class Entry:
    """One estimator.

    Attributes:
        name: Its name.
        place: ``loss``, ``reward``, ``policy gradient`` or ``pairs``.
        loss: The estimator.
        claim: The gradient that it is meant to have.
        source: Where the formula is from.
        wild: Where it was found used for what it is not.
        sampling: How its batches are drawn.
        binary: Whether rewards are 0 and 1.
    """

    name: str
    place: str
    loss: Loss
    claim: Claim
    source: str
    wild: str | None = None
    sampling: Sampling = field(default_factory=Sampling)
    binary: bool = False

    def audit(self) -> LossAudit:
        """Its exact expected gradient, as a combination of the library's."""
        models = None
        if self.binary:
            drawn = small_models(2, draws=6, largest=4)
            models = [m.binary() for m in drawn if len(m.tokens) ** self.sampling.size <= 300]
        return audit_loss(self.loss, sampling=self.sampling, models=models, name=self.name)


_SEQUENCE, _TOKEN = "kl_policy_ref", "token_kl_policy_ref"
_UP: Mapping[str, float] = {"reward": -1.0}
_HALF: Mapping[str, float] = {"reward": -0.5}  # 1 − 1/G with G = 2
_OLD, _PAIRS = Sampling(source="old"), Sampling(labelled=True)
_DATA = Sampling(source="ref", labelled=True)
_GRPO, _SCHULMAN = "arXiv 2402.03300", "joschu.net/blog/kl-approx.html"
_DR, _RLOO = "arXiv 2503.20783", "arXiv 2402.14740"
_COMEDY, _SAIL = "arXiv 2512.21852", "the code of arXiv 2606.31524 (xudongwu-0/SAIL)"


def _divergences() -> Iterator[Entry]:
    """Terms for KL(π_θ‖π_ref)."""
    yield Entry("k1 in the loss", "loss", e.in_loss(e.k1), _TOKEN, _SCHULMAN,
                "allenai/open-instruct #535, NVIDIA-NeMo/RL #2506")  # fmt: skip
    yield Entry("k2 in the loss", "loss", e.in_loss(e.k2), _TOKEN, "arXiv 2510.01555")
    yield Entry("k3 in the loss", "loss", e.in_loss(e.k3), _TOKEN, _GRPO,
                "OpenRLHF #1309, verl #2953, huggingface/trl #4967")  # fmt: skip
    yield Entry("k2 in the loss, off-policy", "loss", e.in_loss(e.k2), _TOKEN,
                "arXiv 2510.01555", "OpenRLHF #1309", _OLD)  # fmt: skip
    yield Entry("k1 × ratio in the loss", "loss", e.in_loss(e.times_ratio(e.k1)), _TOKEN,
                "allenai/open-instruct #534")  # fmt: skip
    yield Entry("k2 × ratio in the loss", "loss", e.in_loss(e.times_ratio(e.k2)), _TOKEN,
                "k3 × ratio with k2 in its place")  # fmt: skip
    yield Entry("k2 × ratio as a number, off-policy", "loss", e.in_loss(e.weighted(e.k2)), _TOKEN,
                "OpenRLHF #1309", sampling=_OLD)  # fmt: skip
    yield Entry("k3 × ratio in the loss", "loss", e.in_loss(e.times_ratio(e.k3)), _TOKEN,
                "arXiv 2512.02556; TRL's use_bias_correction_kl")  # fmt: skip
    yield Entry("k3 × ratio in the loss, off-policy", "loss", e.in_loss(e.times_ratio(e.k3)),
                _TOKEN, "arXiv 2512.02556; TRL's use_bias_correction_kl",
                sampling=_OLD)  # fmt: skip
    yield Entry("k3's value, k2's gradient", "loss", e.in_loss(
                lambda b: e.k2(b) - e.k2(b).detach() + e.k3(b).detach()), _TOKEN,
                "OpenRLHF #1101")  # fmt: skip
    yield Entry("|log ρ| in the loss", "loss", e.in_loss(lambda b: e.k1(b).abs()), _TOKEN,
                "verl's kl_penalty abs")  # fmt: skip
    yield Entry("k1 of whole responses in the loss", "loss", e.whole(lambda k: k), _SEQUENCE,
                _SCHULMAN)  # fmt: skip
    yield Entry("k2 of whole responses in the loss", "loss", e.whole(lambda k: k.square() / 2),
                _SEQUENCE, _SCHULMAN)  # fmt: skip
    yield Entry("k3 of whole responses in the loss", "loss", e.whole(lambda k: torch.expm1(-k) + k),
                _SEQUENCE, _SCHULMAN)  # fmt: skip
    yield Entry("k3 of whole responses, ratio inverted", "loss",
                e.whole(lambda k: torch.expm1(k) - k), _SEQUENCE, _SCHULMAN,
                "walkinglabs/hands-on-modern-rl #27")  # fmt: skip
    yield Entry("KL of the whole vocabulary", "loss", e.kl_of_vocabulary, _TOKEN,
                "arXiv 2306.13649")  # fmt: skip
    yield Entry("k1 in the reward", "reward", e.in_reward(e.k1), _SEQUENCE, "arXiv 1909.08593")
    yield Entry("k2 in the reward", "reward", e.in_reward(e.k2), _SEQUENCE, "arXiv 2510.01555")
    yield Entry("k2 of whole responses in the reward", "reward",
                e.in_reward_whole(lambda k: k.square() / 2), _SEQUENCE,
                "arXiv 2510.01555")  # fmt: skip
    yield Entry("k3 in the reward", "reward", e.in_reward(e.k3), _SEQUENCE, _COMEDY,
                "huggingface/trl #3240")  # fmt: skip
    yield Entry("k1 as reward of each token, with returns", "reward", e.returns(e.k1), _SEQUENCE,
                "arXiv 1909.08593")  # fmt: skip
    yield Entry("k1 as reward of each token, without returns", "reward", e.immediate(e.k1),
                _SEQUENCE, "arXiv 2510.01555", "natolambert/rlhf-book #216")  # fmt: skip
    yield Entry("k1 in the reward, not detached", "reward", e.undetached(e.k1), _SEQUENCE,
                "a fault of autograd")  # fmt: skip


def _others() -> Iterator[Entry]:
    """Terms for KL(π_ref‖π_θ) and for the entropy."""
    teacher = e.in_loss(lambda b: -b.log_probs)
    yield Entry("−log π_θ of draws from π_ref", "loss", teacher, "kl_ref_policy",
                "arXiv 2606.31524", sampling=Sampling(source="ref"))  # fmt: skip
    yield Entry("log π_ref − log π_θ of the policy's draws", "loss",
                e.in_loss(lambda b: -e.k1(b)), "kl_ref_policy", "arXiv 2606.31524",
                _SAIL)  # fmt: skip
    yield Entry("the same, read one position late", "loss", e.off_by_one, "kl_ref_policy",
                "arXiv 2606.31524", _SAIL)  # fmt: skip
    yield Entry("π_ref/π_θ as a weight", "loss", e.weighted_ref, "kl_ref_policy",
                "importance sampling (C22)")  # fmt: skip
    yield Entry("π_ref/π_θ as a weight, self-normalised", "loss", e.self_normalised,
                "kl_ref_policy", "importance sampling (C22)")  # fmt: skip
    entropy = {"token_entropy": -1.0}
    yield Entry("entropy: log π_θ of the policy's draws", "loss", e.in_loss(lambda b: b.log_probs),
                entropy, "the sampled entropy, differentiated")  # fmt: skip
    yield Entry("entropy: π_θ log π_θ of the policy's draws", "loss", e.entropy_of_chosen, entropy,
                "the entropy's summand of the chosen token", "noahfarr/rlx #3")  # fmt: skip
    yield Entry("entropy of the whole vocabulary", "loss", e.entropy_of_vocabulary, entropy,
                "arXiv 1707.06347")  # fmt: skip
    yield Entry("entropy computed without a gradient", "loss",
                lambda b: e.entropy_of_vocabulary(b).detach(), entropy, "arXiv 1707.06347",
                "review of huggingface/trl #6140; trl #6625")  # fmt: skip


def _policy_gradients() -> Iterator[Entry]:
    """Terms for the reward."""
    place = "policy gradient"
    stale = e.clipped(e.leave_one_out, "token", None)
    of_own = e.policy_gradient(e.leave_one_out)
    yield Entry("REINFORCE", place, e.policy_gradient(lambda r: r), _UP, "Williams 1992")
    yield Entry("RLOO", place, of_own, _UP, _RLOO)
    yield Entry("mean of the group as baseline", place, e.policy_gradient(e.group_mean), _HALF, _DR)
    yield Entry("Dr. GRPO, constant length 4", place, e.policy_gradient(e.group_mean, 4),
                {"reward": -1 / 8}, _DR)  # fmt: skip
    yield Entry("GRPO, mean over own tokens", place, e.of_length(e.group_mean), _HALF, _GRPO,
                f"{_DR}, huggingface/trl #3138")  # fmt: skip
    yield Entry("mean over the batch's tokens", place, e.token_mean(e.group_mean), _HALF,
                "arXiv 2503.14476",
                "huggingface/trl #2995, #3021; open-instruct #1161")  # fmt: skip
    yield Entry("÷ padded length", place, e.per_padded_length(e.group_mean), _HALF,
                "Dr. GRPO with the batch's width for its constant")  # fmt: skip
    yield Entry("GRPO, ÷ std, rewards 0 or 1, G = 4", place, e.policy_gradient(e.group_std), _UP,
                _GRPO, _DR, Sampling(size=4), binary=True)  # fmt: skip
    yield Entry("GRPO, ÷ std, any rewards, G = 3", place, e.policy_gradient(e.group_std), _UP,
                _GRPO, _DR, Sampling(size=3))  # fmt: skip
    yield Entry("no mask", place, e.unmasked(e.leave_one_out), _UP, _RLOO,
                "alibaba/ROLL #444, huggingface/trl #6654")  # fmt: skip
    yield Entry("PPO, clipped ratio of tokens", place, e.clipped(e.leave_one_out, "token"), _UP,
                "arXiv 1707.06347")  # fmt: skip
    yield Entry("PPO, clipped ratio of tokens, off-policy", place,
                e.clipped(e.leave_one_out, "token"), _UP, "arXiv 1707.06347",
                sampling=_OLD)  # fmt: skip
    yield Entry("ratio of tokens, off-policy", place, stale, _UP, _GRPO, sampling=_OLD)
    yield Entry("ratio of responses, off-policy", place,
                e.clipped(e.leave_one_out, "sequence", None), _UP, _RLOO,
                sampling=_OLD)  # fmt: skip
    yield Entry("GSPO, mean ratio of tokens", place, e.clipped(e.group_mean, "mean"), _HALF,
                "arXiv 2507.18071")  # fmt: skip
    yield Entry("no ratio, off-policy", place, of_own, _UP, _RLOO,
                "meta-pytorch/torchforge #571", _OLD)  # fmt: skip
    yield Entry("drawn at temperature .7, scored at 1", place, of_own, _UP, _RLOO,
                "huggingface/trl #3029, OpenRLHF #853", Sampling(temperature=0.7))  # fmt: skip


def _pairs() -> Iterator[Entry]:
    """Losses of pairs."""
    dpo = e.pair(lambda d: -F.logsigmoid(e.BETA * d))
    yield Entry("DPO", "pairs", dpo, {"dpo": -1.0}, "arXiv 2305.18290", sampling=_DATA)
    yield Entry("IPO", "pairs", e.pair(lambda d: (d - 1 / (2 * e.BETA)).square()), {"ipo": -1.0},
                "arXiv 2310.12036", sampling=_DATA)  # fmt: skip
    yield Entry("IPO on means over tokens", "pairs",
                e.pair(lambda d: (d - 1 / (2 * e.BETA)).square(), mean=True), {"ipo": -1.0},
                "TRL's DPOTrainer, loss_type ipo", sampling=_DATA)  # fmt: skip
    yield Entry("online DPO, Bradley–Terry labels", "pairs", dpo, {"sail_frozen": -1.0},
                "arXiv 2402.04792", sampling=_PAIRS)  # fmt: skip
    yield Entry("online DPO, the larger reward wins", "pairs", e.online_dpo, {"sail_frozen": -1.0},
                "TRL's OnlineDPOTrainer")  # fmt: skip
    yield Entry("online DPO as the gradient of J", "pairs", dpo, {"sail": -1.0},
                "arXiv 2406.15567", sampling=_PAIRS)  # fmt: skip
    yield Entry("SAIL with its score term", "pairs", e.sail, {"sail": -1.0}, "arXiv 2406.15567",
                sampling=_PAIRS)  # fmt: skip
    yield Entry("SAIL's score term as published", "pairs", lambda b: e.sail(b, published=True),
                {"sail": -1.0}, "arXiv 2406.15567", _SAIL, _PAIRS)  # fmt: skip


CATALOGUE: tuple[Entry, ...] = (*_divergences(), *_others(), *_policy_gradients(), *_pairs())
