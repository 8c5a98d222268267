"""Every estimator of the catalogue against a verdict worked out by hand.

Used throughout, with w = π_ref/π_θ, k = log π_θ/π_ref, s = ∇log π_θ of a token and S of a
response: E_θ[s] = 0; E_θ[w s] = E_ref[s] = −∇KL(π_ref‖π_θ); E_θ[k s] = ∇KL(π_θ‖π_ref), since
E_θ[∇k] = E_θ[s] = 0; and ∇E_θ[f] = E_θ[f S] + E_θ[∇f]. On tokens the same holds state by state,
and what is summed is "by token", the states' chances held fixed.
"""

from __future__ import annotations

from math import comb, sqrt

import pytest

from sailtheory.auditing import Kind
from sailtheory.auditing.catalogue import CATALOGUE

ZERO, STILL, NONE, SCALED = Kind.ZERO, Kind.STILL, Kind.NONE, Kind.SCALED
EXPECTED = {
    # E[∇k] = E[s] = 0, whatever π_ref is.
    "k1 in the loss": ZERO,
    # ∇½k² = k s.
    "k2 in the loss": {"token_kl_policy_ref": 1},
    # ∇(w − 1 + k) = (1 − w)s, and E[s] = 0.
    "k3 in the loss": {"token_kl_ref_policy": 1},
    # E_old[k s] = E_θ[(π_old/π_θ) k s], which no divergence here has.
    "k2 in the loss, off-policy": NONE,
    # ∇(ratio·k) = ratio(k + 1)s.
    "k1 × ratio in the loss": {"token_kl_policy_ref": 1},
    # ∇(ratio·½k²) = ratio(½k² s + ∇½k²): the gradient of E_θ ½k², state by state.
    "k2 × ratio in the loss": {"token_log_ratio_squared": 1},
    # E_old[ratio·k s | state] = E_θ[k s | state].
    "k2 × ratio as a number, off-policy": {"token_kl_policy_ref": 1},
    # ∇(ratio·k3) = ratio(w − 1 + k + 1 − w)s = ratio·k s.
    "k3 × ratio in the loss": {"token_kl_policy_ref": 1},
    # The same; the states are those that π_old meets.
    "k3 × ratio in the loss, off-policy": {"token_kl_policy_ref": 1},
    "k3's value, k2's gradient": {"token_kl_policy_ref": 1},
    # E[sign(k)s] = Σ_a sign(π − π_ref)∇π = ∇Σ_a |π − π_ref|, twice the total variation.
    "|log ρ| in the loss": {"token_total_variation": 2},
    "k1 of whole responses in the loss": ZERO,
    "k2 of whole responses in the loss": {"kl_policy_ref": 1},
    "k3 of whole responses in the loss": {"kl_ref_policy": 1},
    # ∇(1/w − 1 − k) = (1/w − 1)S; χ² = E_θ[1/w] − 1 has gradient E[(1/w)S] + E[(1/w)S].
    "k3 of whole responses, ratio inverted": {"chi2_policy_ref": 0.5},
    # Σ_a π(s_a)k + Σ_a π∇k, state by state.
    "KL of the whole vocabulary": {"token_kl_policy_ref": 1},
    "k1 in the reward": {"kl_policy_ref": 1},
    # Σ_t ½k_t² times S: state chances move too, and E ½k² is no divergence of the library.
    "k2 in the reward": NONE,
    # E[½k² S] = ∇E ½k² − E[k S].
    "k2 of whole responses in the reward": {"log_ratio_squared": 1, "kl_policy_ref": -1},
    # E[Σ k3 S] = ∇E Σ k3 − E Σ ∇k3, and E Σ k3 = KL(π_θ‖π_ref), as E[w | state] = 1.
    "k3 in the reward": {"kl_policy_ref": 1, "token_kl_ref_policy": -1},
    # Rewards before a token are independent of it given the state: E[k_t' s_t] = 0, t' < t.
    "k1 as reward of each token, with returns": {"kl_policy_ref": 1},
    # What the token does to later states is left out.
    "k1 as reward of each token, without returns": {"token_kl_policy_ref": 1},
    # ∇(k log π) = k S + log π S, and E[log π S] = −∇entropy.
    "k1 in the reward, not detached": {"kl_policy_ref": 1, "entropy": -1},
    "−log π_θ of draws from π_ref": {"kl_ref_policy": 1},
    # −E_θ[S] = 0: on the policy's own draws nothing is left.
    "log π_ref − log π_θ of the policy's draws": ZERO,
    # Reads a distribution that does not predict the token: E[s] ≠ 0 there.
    "the same, read one position late": NONE,
    "π_ref/π_θ as a weight": {"kl_ref_policy": 1},
    # The mean of ratios is no ratio of means.
    "π_ref/π_θ as a weight, self-normalised": NONE,
    "entropy: log π_θ of the policy's draws": ZERO,
    # E[∇(π log π)] = E[π(log π + 1)s], weighed by π² and not by π.
    "entropy: π_θ log π_θ of the policy's draws": NONE,
    "entropy of the whole vocabulary": {"token_entropy": -1},
    "entropy computed without a gradient": STILL,
    "REINFORCE": {"reward": -1},
    # The others' mean is independent of S_i, and E[S_i] = 0.
    "RLOO": {"reward": -1},
    # r_i − mean = (1 − 1/G)(r_i − the others' mean), G = 2.
    "mean of the group as baseline": {"reward": -0.5},
    "Dr. GRPO, constant length 4": {"reward": -0.125},
    # (1 − 1/G)(E[(r/|y|)S] − V E[S/|y|]).
    "GRPO, mean over own tokens": {"reward_per_length": -0.5},
    # ÷ the sum of both lengths, which depends on both responses.
    "mean over the batch's tokens": NONE,
    "÷ padded length": SCALED,
    "GRPO, ÷ std, rewards 0 or 1, G = 4": SCALED,
    # With three values of the reward the weight of a response is no function of V alone.
    "GRPO, ÷ std, any rewards, G = 3": NONE,
    # Moves what the model says after the end, where no objective looks.
    "no mask": NONE,
    # At ratio 1 nothing is clipped, and ∇ratio = s.
    "PPO, clipped ratio of tokens": {"reward": -1},
    "PPO, clipped ratio of tokens, off-policy": NONE,
    # The prefix's own ratio is left out, so rewards are those of prefixes of π_old.
    "ratio of tokens, off-policy": NONE,
    # E_old[ratio(y)·A·S] = E_θ[A S], and E_old[r]·E_θ[S] = 0.
    "ratio of responses, off-policy": {"reward": -1},
    # At ratio 1 the gradient of the geometric mean is S/|y|.
    "GSPO, mean ratio of tokens": {"reward_per_length": -0.5},
    "no ratio, off-policy": NONE,
    # E over π^(1/τ) of S at temperature 1, whose mean is not 0.
    "drawn at temperature .7, scored at 1": NONE,
    "DPO": {"dpo": -1},
    # Labels average (Δ − c)² to p(Δ − c)² + (1 − p)(Δ + c)².
    "IPO": {"ipo": -1},
    "IPO on means over tokens": NONE,
    # Draws are not differentiated: C29's field.
    "online DPO, Bradley–Terry labels": {"sail_frozen": -1},
    # A hard label is p₁₂ ∈ {0, 1}, not σ(r₁ − r₂).
    "online DPO, the larger reward wins": NONE,
    "online DPO as the gradient of J": {"sail_frozen": -1},
    # ∇E[log σ] = E[log σ (S₁ + S₂)] + E[∇log σ].
    "SAIL with its score term": {"sail": -1},
    # The weight is log σ/log π instead.
    "SAIL's score term as published": NONE,
}
RIGHT = {
    "k2 in the loss", "k2 × ratio as a number, off-policy",
    "k1 × ratio in the loss", "k3 × ratio in the loss",
    "k3 × ratio in the loss, off-policy", "k3's value, k2's gradient",
    "k2 of whole responses in the loss", "KL of the whole vocabulary", "k1 in the reward",
    "k1 as reward of each token, with returns", "−log π_θ of draws from π_ref",
    "π_ref/π_θ as a weight", "entropy of the whole vocabulary", "REINFORCE", "RLOO",
    "mean of the group as baseline", "Dr. GRPO, constant length 4",
    "PPO, clipped ratio of tokens", "ratio of responses, off-policy", "DPO", "IPO",
    "online DPO, Bradley–Terry labels", "SAIL with its score term",
}  # fmt: skip
BY_NAME = {entry.name: entry for entry in CATALOGUE}


@pytest.mark.parametrize("name", BY_NAME)
def test_verdicts(name):
    entry, expected = BY_NAME[name], EXPECTED[name]
    found = entry.audit()
    if isinstance(expected, dict):
        assert found.finding.kind is Kind.COMBINATION
        assert found.finding.coefficients == pytest.approx(expected, rel=1e-9)
        assert found.finding.residual < 1e-12
    else:
        assert found.finding.kind is expected
    as_claimed = found.against(entry.claim)
    assert (as_claimed.bias < 1e-12) == (name in RIGHT)
    assert (as_claimed.witness is None) == (name in RIGHT)
    if name not in RIGHT:
        assert as_claimed.bias > 0.1 and as_claimed.witness.replay(entry.loss)


def test_the_catalogue_is_as_long_as_it_says():
    assert len(BY_NAME) == len(CATALOGUE) and {*EXPECTED} == {*BY_NAME} and {*BY_NAME} > RIGHT
    wrong = [entry for entry in CATALOGUE if entry.wild is not None]
    assert len(CATALOGUE) > 50 and len(wrong) >= 10 and not RIGHT & {entry.name for entry in wrong}
    assert all(entry.source for entry in CATALOGUE)


def test_the_factor_of_grpo_is_that_of_its_objective():
    """C31: f_G'(V) = Σ_k C(G, k) V^(k−1) (1 − V)^(G−k−1) √(k/G(1 − k/G)), G = 4, on each model."""
    found = BY_NAME["GRPO, ÷ std, rewards 0 or 1, G = 4"].audit()

    def slope(v, group=4):
        return sum(
            comb(group, k) * v ** (k - 1) * (1 - v) ** (group - k - 1)
            * sqrt(k / group * (1 - k / group))
            for k in range(1, group)
        )  # fmt: skip

    (reward,) = [o for o in found.objectives if o.name == "reward"]
    factors = []
    for model, each in zip(found.models, found.gradients, strict=True):
        value = float((model.log_probs(model.logits).exp() * model.reward).sum())
        gradient = reward.gradient(model, found.sampling)
        assert float((each.mean + slope(value) * gradient).norm()) < 1e-12
        factors.append(-slope(value))
    low, high = found.finding.factors
    assert min(factors) - 1e-12 <= low < high <= max(factors) + 1e-12


def test_the_published_score_term_is_as_wrong_as_it_was_measured():
    """Larger errors than those of leaving the term out (reproduction, finding 5)."""
    published = BY_NAME["SAIL's score term as published"]
    without = BY_NAME["online DPO as the gradient of J"]
    errors = [entry.audit().against({"sail": -1.0}).bias for entry in (published, without)]
    assert errors[0] > errors[1] > 0.5
