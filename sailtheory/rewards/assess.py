"""What a KL coefficient guarantees for measured pass rates, method by method (C30–C33).

Every statement is about one softmax over candidate responses and exact gradients. K holds for
any number of prompts that share features; the path threshold (1 − p)f'(p) for one prompt alone, or
with parameters of its own. The rates are estimates: every prompt has an interval.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sailtheory.errors import InputError, require
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.rewards.intervals import clopper_pearson, hoeffding
from sailtheory.rewards.read import PassRates
from sailtheory.shown import Shown
from sailtheory.theory import bounds
from sailtheory.theory.reward_maximiser import maximiser_policy_ref, maximiser_ref_policy
from sailtheory.theory.reward_methods import reward_method
from sailtheory.theory.reward_slopes import RewardMethod

__all__ = ["KLS", "Assessment", "Ends", "MethodReport", "Settings", "assess", "rests_on"]

SCHEMA = "sailtheory.rewards/1"
KLS = ("ref-policy", "policy-ref")
"""KL(π_ref‖π_θ) and KL(π_θ‖π_ref), of whole responses."""

BESIDE = ("reward", "dr-grpo", "grpo", "dynamic-sampling", "log", "pass-at-k", "maxrl")
_LEAST = 1e-15


@dataclass(frozen=True)
class Settings:
    """What was asked.

    Attributes:
        method: A name of :data:`~sailtheory.theory.reward_methods.METHODS`.
        group: G.
        std: ``population`` or ``sample``.
        epsilon: What is added to the standard deviation.
        gamma: γ ≥ 0, None where only thresholds are wanted. At 0 nothing is guaranteed, and
            where p > 0 no policy attains the supremum.
        kl: One of :data:`KLS`.
        rho: The largest prefix ratio of π_θ to π_ref that a run has measured; None where not.
        confidence: Of each prompt's interval.
        bounds: The least and the largest possible reward, where rewards are not 0 and 1.
    """

    method: str = "grpo"
    group: int = 8
    std: str = "sample"
    epsilon: float = 0.0
    gamma: float | None = None
    kl: str = "ref-policy"
    rho: float | None = None
    confidence: float = 0.95
    bounds: tuple[float, float] | None = None


@dataclass(frozen=True)
class Ends:
    """A quantity of every prompt at the estimated rate and at the ends of its interval, (n,)."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class MethodReport:
    """One method on the prompts; None where the theory says nothing.

    Attributes:
        title: The method.
        threshold: K, for any prompts and features; None where infinite.
        lower: K⁻; None where infinite.
        sequence: K·ρ, enough for sequences (C30), for a linear f with a measured ρ.
        path: The path threshold of each prompt.
        alone: Share of the prompts for which γ is above it.
        alone_sure: Share for which it is whatever the rate in the interval.
        factor: Mirror ascent's, 1 − (γ − K)/(γ + K⁻), where γ > K and K⁻ is finite.
        at_gamma: The tabular maximiser's pass rate at γ.
        at_path: At each prompt's own path threshold (estimated).
        at_threshold: At K.
    """

    title: str
    threshold: float | None
    lower: float | None
    sequence: float | None
    path: Ends | None
    alone: float | None
    alone_sure: float | None
    factor: float | None
    at_gamma: Ends | None
    at_path: np.ndarray | None
    at_threshold: np.ndarray | None

    def means(self) -> tuple[float | None, float | None, float | None]:
        """Mean pass rates of the tabular maximisers: at γ, at the path thresholds, at K."""
        of_gamma = None if self.at_gamma is None else self.at_gamma.value
        gamma, path, k = (
            None if each is None else float(each.mean())
            for each in (of_gamma, self.at_path, self.at_threshold)
        )
        return gamma, path, k


@dataclass(frozen=True, repr=False)
class Assessment(Shown):
    """The result of :func:`assess`.

    Attributes:
        settings: What was asked.
        rates: The data.
        mean: Mean reward (pass rate) of each prompt with its interval.
        chosen: The method asked for.
        beside: Others.
    """

    settings: Settings
    rates: PassRates
    mean: Ends
    chosen: MethodReport
    beside: tuple[MethodReport, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON form; names are stable. Arrays are by prompt, in the order of the data."""
        from sailtheory import __version__

        asked, chosen = self.settings, self.chosen
        return {
            "schema": SCHEMA,
            "version": __version__,
            "settings": dict(vars(asked)),
            "notes": list(self.rates.notes),
            "rests_on": [{"statement": a, "holds_for": b} for a, b in rests_on(self)],
            "methods": [_summary(each) for each in (chosen, *self.beside)],
            "prompts": {
                "prompt": list(self.rates.prompts),
                "samples": self.rates.samples.tolist(),
                "mean_reward": _ends(self.mean),
                "path_threshold": _ends(chosen.path),
                "maximiser": {
                    "gamma": _ends(chosen.at_gamma),
                    "path_threshold": _listed(chosen.at_path),
                    "threshold": _listed(chosen.at_threshold),
                },
            },
        }


def _listed(values: np.ndarray | None) -> list[float] | None:
    return None if values is None else values.tolist()


def _ends(found: Ends | None) -> dict[str, list[float]] | None:
    if found is None:
        return None
    return {name: getattr(found, name).tolist() for name in ("value", "low", "high")}


def _summary(found: MethodReport) -> dict[str, Any]:
    gamma, path, k = found.means()
    return {
        "method": found.title,
        "threshold": found.threshold,
        "lower": found.lower,
        "sequence_threshold": found.sequence,
        "path_threshold_median": None if found.path is None else float(np.median(found.path.value)),
        "prompts_above_path_threshold": found.alone,
        "prompts_surely_above_path_threshold": found.alone_sure,
        "mirror_factor": found.factor,
        "mean_pass_rate": {"gamma": gamma, "path_threshold": path, "threshold": k},
    }


def rests_on(found: Assessment) -> list[tuple[str, str]]:
    """Each kind of number with what it holds for."""
    asked = found.settings
    kind = "Clopper–Pearson" if found.rates.binary else "Hoeffding"
    each = (
        "intervals",
        f"samples drawn independently from π_ref; {100 * asked.confidence:g} % {kind}, each prompt "
        "on its own",
    )
    if asked.kl == "policy-ref":
        return [
            ("no threshold", "KL(π_θ‖π_ref) has none that is free of B (C33); plain PL for every γ"
             " where the reward itself is linear in the features, as it is for a tabular policy"),
            ("pass rate at γ", "each prompt with parameters of its own (tabular), one softmax over "
             "responses, ascent from π_ref"),
            each,
        ]  # fmt: skip
    sequences = (
        f"K·ρ = enough at the measured ρ = {asked.rho:g}, for reward and Dr. GRPO (C30); open for "
        "the others"
        if asked.rho is not None
        else "nothing is claimed without ρ, the largest prefix ratio of π_θ to π_ref (--rho; C30)"
    )
    return [
        ("K, contraction of mirror ascent", "any prompts that share features, log-linear "
         "in one softmax over responses, on-policy groups, exact gradients (C30–C32)"),
        ("path threshold", "one prompt alone, or with parameters of its own; false for several "
         "prompts that share features (C30)"),
        ("pass rates at γ, path, K", "each prompt with parameters of its own (tabular)"),
        ("sequences of tokens", sequences),
        ("which KL", "KL(π_ref‖π_θ) of the whole response; k3 token by token is another term and "
         "has no threshold (C34)"),
        each,
    ]  # fmt: skip


# --- assessing ----------------------------------------------------------------------------


def assess(rates: PassRates, settings: Settings) -> Assessment:
    """Thresholds, guarantees and maximisers for the prompts.

    Args:
        rates: The data.
        settings: What is asked.

    Raises:
        InputError: A setting outside its domain; rewards that are not 0 and 1 without bounds, or
            outside of them.
    """
    asked = settings
    if asked.gamma is not None:
        require(">=", gamma=asked.gamma)
    if asked.rho is not None:
        require(">", rho=asked.rho)
    if asked.kl not in KLS:
        raise InputError("kl", asked.kl, f"one of {', '.join(KLS)} is expected")
    if not 0 < asked.confidence < 1:
        raise InputError("confidence", asked.confidence, "a number between 0 and 1 is expected")
    if asked.rho is not None and asked.rho < 1:
        raise InputError("rho", asked.rho, "a ratio ≥ 1 is expected: it is 1 at θ = θ_ref")
    make = _of_rates if rates.binary else _of_rewards
    names = [name for name in BESIDE if name != asked.method]
    mean, look = make(rates, asked)
    chosen, *beside = (
        look(reward_method(name, asked.group, asked.std, asked.epsilon))
        for name in (asked.method, *names)
    )
    return Assessment(asked, rates, mean, chosen, tuple(beside))


Look = Callable[[RewardMethod], MethodReport]


def _of_rates(rates: PassRates, asked: Settings) -> tuple[Ends, Look]:
    """Binary rewards. Prompts of equal counts share every number: each is found once."""
    pairs = np.stack([rates.samples, rates.total.astype(int)])
    (samples, correct), place = np.unique(pairs, axis=1, return_inverse=True)
    place = place.ravel()
    low, high = clopper_pearson(correct, samples, asked.confidence)
    few = Ends(correct / samples, low, high)

    def spread(each: np.ndarray) -> np.ndarray:
        return np.asarray(each[place])

    def all_of(ends: Ends) -> Ends:
        return Ends(*(spread(each) for each in (ends.value, ends.low, ends.high)))

    def look(method: RewardMethod) -> MethodReport:
        k, lower = method.threshold(FLOAT64), method.lower(FLOAT64)
        gamma = None
        if asked.gamma:
            solve = maximiser_ref_policy if asked.kl == "ref-policy" else maximiser_policy_ref
            p = (few.value, few.low, few.high)
            gamma = Ends(*(spread(solve(method, np.array(asked.gamma), each)) for each in p))
        if asked.kl == "policy-ref":
            return MethodReport(method.title, *(None,) * 7, gamma, None, None)
        # (1 − p)f'(p) falls: its interval is that of p, turned round
        path = Ends(*(_path(method, each) for each in (few.value, few.high, few.low)))
        bounded = np.where(np.isfinite(path.value) & (path.value > 0), path.value, 1.0)
        at_path = np.where(few.value > 0, maximiser_ref_policy(method, bounded, few.value), 0.0)
        at_k = None if k is None else maximiser_ref_policy(method, np.array(float(k)), few.value)
        whole = all_of(path)
        return MethodReport(
            title=method.title,
            threshold=None if k is None else float(k),
            lower=None if lower is None else float(lower),
            sequence=_sequence(method, k, asked),
            path=whole,
            alone=_share(whole.value, asked.gamma),
            alone_sure=_share(whole.high, asked.gamma),
            factor=_factor(k, lower, asked.gamma),
            at_gamma=gamma,
            at_path=spread(at_path),
            at_threshold=None if at_k is None else spread(at_k),
        )

    return all_of(few), look


def _of_rewards(rates: PassRates, asked: Settings) -> tuple[Ends, Look]:
    """Rewards between two bounds: K for a linear f (C30) and for a normalised group (C32)."""
    if asked.bounds is None:
        found = f"rewards from {rates.lowest:g} to {rates.highest:g}"
        raise InputError("range", found, "--range LEAST,LARGEST, as rewards are not 0 and 1")
    least, largest = asked.bounds
    require("", least=least, largest=largest)
    if not least <= rates.lowest <= rates.highest <= largest or least == largest:
        found = f"{least:g},{largest:g}"
        accepted = f"bounds of the rewards, which go from {rates.lowest:g} to {rates.highest:g}"
        raise InputError("range", found, accepted)
    ends = hoeffding(rates.mean, rates.samples, least, largest, asked.confidence)
    mean = Ends(rates.mean, *ends)

    def look(method: RewardMethod) -> MethodReport:
        nothing = MethodReport(method.title, *(None,) * 10)
        if asked.kl == "policy-ref" or not (method.linear or method.name == "grpo"):
            return nothing
        scale, k = largest - least, float(method.threshold(FLOAT64) or 0.0)
        if not method.linear:  # C32: the bound of the group is K whatever the rewards
            return MethodReport(method.title, k, k, None, *(None,) * 3,
                                _factor(k, k, asked.gamma), None, None, None)  # fmt: skip
        path = Ends(*(k * (largest - each) for each in (mean.value, mean.high, mean.low)))
        k *= scale
        return MethodReport(
            method.title, k, k, _sequence(method, k, asked), path,
            _share(path.value, asked.gamma), _share(path.high, asked.gamma),
            _factor(k, k, asked.gamma), None, None, None,
        )  # fmt: skip

    return mean, look


def _path(method: RewardMethod, hit: np.ndarray) -> np.ndarray:
    """(1 − p)f'(p), infinite at p = 0 where f' is."""
    least = 0.0 if method.finite_at_zero else _LEAST
    most = 1.0 if method.finite_at_one else 1 - 2.0**-53
    inside = np.clip(hit, least, most)
    found = method.path(FLOAT64, inside, 1 - inside)
    return np.asarray(found if method.finite_at_zero else np.where(hit > 0, found, np.inf))


def _sequence(method: RewardMethod, k: Any, asked: Settings) -> float | None:
    return float(k) * asked.rho if method.linear and asked.rho is not None else None


def _share(path: np.ndarray, gamma: float | None) -> float | None:
    return None if gamma is None else float((gamma > path).mean())


def _factor(k: Any, lower: Any, gamma: float | None) -> float | None:
    if gamma is None or k is None or lower is None or gamma <= k:
        return None
    return float(bounds.contraction(gamma - float(k), gamma + float(lower)))
