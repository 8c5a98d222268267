"""Scores and counts of comparisons become preferences: only as the user says."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from sailtheory.errors import InputError
from sailtheory.preference_data.collect import Collected, Prompt
from sailtheory.preference_data.fits import (
    fit_confidence,
    fit_rewards,
    fit_temperature,
    has_fit,
)
from sailtheory.preference_data.item import Turns
from sailtheory.problem.counts import posterior_mean

__all__ = ["Preferred", "Rule", "estimated", "preferred"]

Fit = Literal["fit"]


@dataclass(frozen=True)
class Rule:
    """How preferences come from what the data hold; what is None was not given.

    Attributes:
        temperature: By which scores are divided: T points of score are odds of e.
        confidence: How sure one label is; p = c·share + (1 − c)·(1 − share).
        smoothing: a of p = (w + a)/(w + w' + 2a).
        bradley_terry: Rewards are fitted under a normal prior of this standard deviation;
            ∞ is none.
    """

    temperature: float | Fit | None = None
    confidence: float | Fit | None = None
    smoothing: float | None = None
    bradley_terry: float | None = None

    def __post_init__(self) -> None:
        """Check what was given."""
        for name in ("temperature", "smoothing", "bradley_terry"):
            value = getattr(self, name)
            number = value if isinstance(value, (int, float)) else None
            if number is not None and not number > 0:
                raise InputError(name.replace("_", "-"), value, "a number > 0 is expected")
            if number is not None and name != "bradley_terry" and math.isinf(number):
                raise InputError(name, value, "a finite number is expected")
        c = self.confidence
        if isinstance(c, (int, float)) and not 0.5 < c <= 1:
            raise InputError("confidence", c, "a number above 0.5 and at most 1 is expected")
        given = [n for n in _OF_COMPARISONS if getattr(self, n) is not None]
        if len(given) > 1:
            names = " and ".join(f"--{name.replace('_', '-')}" for name in given)
            raise InputError("preferences", names, "one of them is expected")


_OF_COMPARISONS = ("confidence", "smoothing", "bradley_terry")
_ASKED = "--confidence P or fit, --smoothing A, or --bradley-terry S"


@dataclass
class Preferred:
    """Preferences of a data set's prompts.

    Attributes:
        rewards: Of each prompt (m,), or None.
        matrices: Of each prompt p, (m, m), or None.
        counts: Of each prompt the wins, (m, m), where it was compared; else None.
        temperature: What scores were divided by, and where it comes from.
        rule: In words.
        estimate: How p follows from the counts: the one number of :class:`Rule` that says it,
            fitted where it was to be; None without counts.
        notes: What else there is to say, with counts.
    """

    rewards: list[np.ndarray] | None = None
    matrices: list[np.ndarray] | None = None
    counts: list[np.ndarray] | None = None
    temperature: dict[str, Any] | None = None
    rule: str = ""
    estimate: Rule | None = None
    notes: Counter[str] = field(default_factory=Counter)


def preferred(data: Collected, rule: Rule, held_out: Collected | None = None) -> Preferred:
    """Preferences of collected prompts.

    Args:
        data: The prompts.
        rule: What the user gave.
        held_out: Comparisons that a temperature is fitted on.

    Raises:
        InputError: Nothing was given that says how scores or labels become probabilities; a fit
            that does not exist; options of the other kind of data.
    """
    if data.format.kind == "scores":
        return _of_scores(data, rule, held_out)
    if rule.temperature is not None or held_out is not None:
        raise InputError("temperature", rule.temperature,
                         f"none: {data.format.name} holds comparisons; {_ASKED}")  # fmt: skip
    return _of_comparisons(data, rule)


# --- scores -------------------------------------------------------------------


def _of_scores(data: Collected, rule: Rule, held_out: Collected | None) -> Preferred:
    if data.format.rewards:
        accepted = "--response-rewards beside it: these are not rewards of Bradley-Terry"
        raise InputError("format", data.format.name, accepted)
    for name in _OF_COMPARISONS:
        if getattr(rule, name) is not None:
            raise InputError(name.replace("_", "-"), getattr(rule, name),
                             f"none: {data.format.name} holds scores")  # fmt: skip
    scores = [np.array([np.mean(given) for given in prompt.scores]) for prompt in data.prompts]
    notes: Counter[str] = Counter()
    apart = sum(len(set(given)) > 1 for prompt in data.prompts for given in prompt.scores)
    if apart:
        notes["responses were scored repeatedly and differently: the mean counts"] = apart
    if rule.temperature is None:
        low, high = (f(float(f(s)) for s in scores) for f in (min, max))
        raise InputError(
            "temperature", "not given",
            f"scores go from {low:g} to {high:g}: --temperature T (T points of score are odds of "
            "e), or --temperature fit with --comparisons DATA",
        )  # fmt: skip
    if rule.temperature == "fit":
        if held_out is None:
            raise InputError("temperature", "fit", "--comparisons DATA, which it is fitted on")
        temperature = _fitted(data.prompts, scores, held_out)
    else:
        if held_out is not None:
            raise InputError("comparisons", held_out.source, "--temperature fit beside them")
        temperature = {"value": float(rule.temperature), "from": "given"}
    value = temperature["value"]
    words = f"p = σ((s − s')/T) with T = {value:g}, {temperature['from']}"
    return Preferred([s / value for s in scores], temperature=temperature, rule=words, notes=notes)


def _fitted(
    prompts: Sequence[Prompt], scores: list[np.ndarray], held_out: Collected
) -> dict[str, Any]:
    if held_out.format.kind != "comparisons":
        raise InputError("comparisons", held_out.source,
                         f"comparisons; {held_out.format.name} holds scores")  # fmt: skip
    known = {
        (_plain(prompt.turns), text.strip()): score
        for prompt, given in zip(prompts, scores, strict=True)
        for text, score in zip(prompt.responses, given, strict=True)
    }
    rows = []
    for compared in held_out.prompts:
        at = [known.get((_plain(compared.turns), text.strip())) for text in compared.responses]
        for (k, j), wins in compared.wins.items():
            one, two = at[k], at[j]
            if k < j and one is not None and two is not None:
                rows.append((one - two, wins, compared.wins[j, k]))
    if not rows:
        accepted = "comparisons of prompts and responses of the data: none is one"
        raise InputError("comparisons", held_out.source, accepted)
    fit = fit_temperature(*np.array(rows, dtype=float).T)
    return {
        "value": fit.value, "error": fit.error, "comparisons": fit.comparisons,
        "from": f"fitted on {fit.comparisons:g} comparisons of {held_out.source}, "
                f"standard error {fit.error:.2g}",
    }  # fmt: skip


def _plain(turns: Turns) -> Turns:
    """A conversation whatever its format calls the user, who may be a plain text."""
    return tuple(("user" if role == "text" else role, text.strip()) for role, text in turns)


# --- comparisons --------------------------------------------------------------


def _of_comparisons(data: Collected, rule: Rule) -> Preferred:
    counts = [_matrix(prompt) for prompt in data.prompts]
    totals = [w + w.T for w in counts]
    off = [total[np.triu_indices(len(total), 1)] for total in totals]
    single = sum(int(((t > 0) & (t < 2)).sum()) for t in off)
    never = sum(int((t == 0).sum()) for t in off)
    notes: Counter[str] = Counter()
    if rule.bradley_terry is not None:
        prior = rule.bradley_terry
        prior_words = "no prior" if math.isinf(prior) else f"a normal prior, s = {prior:g}"
        words = f"Bradley-Terry rewards fitted to each prompt's comparisons, with {prior_words}"
    elif rule.smoothing is not None:
        if never:
            notes["pairs were never compared: p = ½"] = never
        words = f"p = (w + a)/(w + w' + 2a) with a = {rule.smoothing:g}"
    else:
        rule, words = _of_shares(counts, rule, never, single)
    rewards, matrices = estimated(counts, rule)
    return Preferred(rewards, matrices, counts, rule=words, estimate=rule, notes=notes)


def _of_shares(counts: list[np.ndarray], rule: Rule, never: int, single: int) -> tuple[Rule, str]:
    """The confidence of labels, and how p follows from the shares of comparisons won."""
    if never:
        accepted = (
            "pairs that were never compared have no share: --bradley-terry S or --smoothing A"
        )
        raise InputError("comparisons", f"{never} pairs of responses", accepted)
    if rule.confidence is None and single:
        accepted = f"{single} pairs have one label, which alone gives p = 1: {_ASKED}"
        raise InputError("confidence", "not given", accepted)
    if rule.confidence is None:
        return Rule(confidence=1.0), "p is the share of comparisons won"
    if rule.confidence == "fit":
        fit = fit_confidence(*_labels(counts))
        confidence = fit.value
        where = f"fitted on {fit.comparisons:g} repeated labels, standard error {fit.error:.2g}"
    else:
        confidence, where = float(rule.confidence), "given"
    words = f"p = c·share + (1 − c)·(1 − share) with c = {confidence:g}, {where}"
    return Rule(confidence=confidence), words


def estimated(
    counts: list[np.ndarray], rule: Rule
) -> tuple[list[np.ndarray] | None, list[np.ndarray] | None]:
    """Rewards (m,) or else p (m, m) of each prompt, from its wins (m, m).

    Args:
        counts: Of each prompt.
        rule: With ``bradley_terry``, ``smoothing`` or a number as ``confidence``.

    Raises:
        InputError: Bradley-Terry without a prior has no finite fit.
    """
    if rule.bradley_terry is not None:
        return _bradley_terry(counts, rule.bradley_terry), None
    if rule.smoothing is not None:
        return None, [posterior_mean(w, rule.smoothing) for w in counts]
    if not isinstance(rule.confidence, (int, float)):
        raise InputError("confidence", rule.confidence, "a number is expected")
    return None, [_shares(w, rule.confidence) for w in counts]


def _matrix(prompt: Prompt) -> np.ndarray:
    m = len(prompt.responses)
    w = np.zeros((m, m))
    for (k, j), wins in prompt.wins.items():
        w[k, j] = wins
    return w


def _shares(w: np.ndarray, confidence: float) -> np.ndarray:
    total = w + w.T
    share = np.divide(w, total, out=np.full(w.shape, 0.5), where=total > 0)
    return np.asarray(0.5 + (2 * confidence - 1) * (share - share.T) / 2)


def _labels(counts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Wins of both responses of each pair without ties."""
    rows = [(w[k, j], w[j, k]) for w in counts for k, j in zip(*np.triu_indices(len(w), 1))]  # noqa: B905
    one, two = np.array(rows).T
    whole = (one % 1 == 0) & (two % 1 == 0)
    return one[whole], two[whole]


def _bradley_terry(counts: list[np.ndarray], prior: float) -> list[np.ndarray]:
    sizes = np.array([len(w) for w in counts])
    out: list[np.ndarray] = [np.zeros(0)] * len(counts)
    lacking = 0
    for m in np.unique(sizes):
        members = np.flatnonzero(sizes == m)
        stack = np.stack([counts[x] for x in members])
        if math.isinf(prior):
            lacking += int((~has_fit(stack)).sum())
        if not lacking:
            for x, rewards in zip(members, fit_rewards(stack, prior), strict=True):
                out[x] = rewards
    if lacking:
        raise InputError(
            "bradley-terry", f"{prior:g}",
            f"{lacking} of {len(counts)} prompts have no finite fit (a response that always wins "
            "or loses, or was never compared): a finite prior is expected",
        )  # fmt: skip
    return out
