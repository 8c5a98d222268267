"""The threshold's line of a run that trains with groups of rewards (GRPO, RLOO)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sailtheory.errors import InputError
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.rewards.assess import Settings, assess
from sailtheory.rewards.read import PassRates, read_pass_rates
from sailtheory.run_audit.standing import Found, Standing, unknown, violated
from sailtheory.run_audit.trace import Facts, Trace
from sailtheory.theory.reward_methods import reward_method
from sailtheory.theory.reward_slopes import RewardMethod

__all__ = ["EPSILON", "pass_rates_of", "threshold"]

EPSILON = 1e-4
"""What TRL adds to a group's standard deviation."""

_PLACES = ("completions_*.parquet", "completions/completions_*.parquet")
_SEQUENCES = (
    "proved for one choice a prompt: over tokens C30 asks for K times the largest prefix ratio "
    "without a deviation, and with one it is open"
)
_NO_GROUP = (
    "the size of its groups is not known, as training_args.bin stays closed: add AuditCallback, or "
    "sailtheory rewards RUN --group G"
)
_LOG = "log_completions=True keeps rewards by prompt, which tell the γ that each needs alone"


def pass_rates_of(folder: Path) -> tuple[PassRates | None, tuple[str, ...]]:
    """Rewards that TRL logged in a run's folder, and a note where they cannot be read."""
    if not any(any(folder.glob(place)) for place in _PLACES):
        return None, ()
    try:
        return read_pass_rates(folder), ()
    except InputError as error:  # a missing extra is one too
        return None, (f"logged completions were not taken: {error}",)


def threshold(trace: Trace) -> Found | None:
    """K of the run's groups, and the γ that its prompts need alone; None of another run."""
    facts = trace.facts
    if facts.group is None:
        return None if trace.rewards is None else unknown(f"{_NO_GROUP}; {_seen(trace.rewards)}")
    method = _method(facts)
    if method is None:
        return unknown(
            "advantages are divided by the deviation over the batch: that is no function of one "
            "prompt's pass rate; K ≤ √(N(G − 1)) for N prompts (C31)"
        )
    k = float(method.threshold(FLOAT64) or 0.0)
    said = f"K = {k:.4g} for {method.title}, whatever B and the prompts (C31, C32)"
    prompts = _LOG if trace.rewards is None else _alone(trace.rewards, facts, method)
    told = trace.stated.get("divergence")
    if facts.gamma is None and told is not None and told.standing is Standing.VIOLATED:
        return violated(f"{told.why}; with KL(π_ref‖π_θ) {said}; {prompts}")
    if facts.gamma is None:
        return unknown(f"state gamma= of −γKL(π_ref‖π_θ) to AuditCallback; {said}; {prompts}")
    relation = ">" if facts.gamma > k else "≤"
    return unknown(f"γ = {facts.gamma:g} {relation} {said}, {_SEQUENCES}; {prompts}")


def _method(facts: Facts) -> RewardMethod | None:
    """f of the run's groups; None where no f of one prompt is followed."""
    assert facts.group is not None
    if facts.scaled is None:
        return None
    if facts.scaled:
        return reward_method("grpo", int(facts.group), "sample", EPSILON)
    if facts.leave_one_out:
        return reward_method("reward")
    return reward_method("dr-grpo", int(facts.group))


def _seen(rates: PassRates) -> str:
    mean = rates.mean
    return f"{len(mean)} prompts earned {float(mean.mean()):.3g} in the mean"


def _alone(rates: PassRates, facts: Facts, method: RewardMethod) -> str:
    """What prompts need alone, from the rewards that were logged."""
    if not rates.binary:
        return f"{_seen(rates)}; rewards are not 0 and 1, so that K alone is known (C32)"
    asked = Settings(method.name, method.group or 8, "sample", EPSILON, facts.gamma)
    path = assess(rates, asked).chosen.path
    assert path is not None
    low, middle, high = (float(f(path.value)) for f in (np.min, np.median, np.max))
    gamma = facts.gamma or 0.0
    below = int((path.value >= gamma).sum())
    return (
        f"at the logged pass rates ({_seen(rates)}) prompts need {low:.3g} to {high:.3g} alone, "
        f"the median {middle:.3g}, and {below} of {len(path.value)} more than γ = {gamma:g}"
    )
