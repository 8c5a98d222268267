"""The verdict of ``check`` in words."""

from __future__ import annotations

import numpy as np

from sailtheory.analysis.check import Report
from sailtheory.analysis.online import Earned
from sailtheory.landscape.concavity import agreement
from sailtheory.landscape.maximiser import Maximiser
from sailtheory.landscape.search import SearchResult
from sailtheory.report.numerals import number, percent, times

__all__ = [
    "ONE_POLICY",
    "SIDE_BY_SIDE",
    "THRESHOLD_USES",
    "agreed",
    "earned",
    "learning",
    "modulus",
    "priced",
    "summary",
    "trust",
    "vector",
    "worst_prompts",
]

_SHOWN = 3
_FAR = 1.05  # times γ*, beyond which a certified bound leaves something open

THRESHOLD_USES = {
    "instance": ("γ* (this problem)", "the least γ that works here, found by search: to tune by"),
    "per_prompt": ("ḡ (prompt by prompt)", "no prompt needs more, whatever the others do (C23)"),
    "data": ("K_data (preferences)", "the theorem's with this data's preferences (C25)"),
    "relative": ("K_B (theorem)", "proved for every problem of this β and Z_max: to be sure"),
    "closed_form": ("closed form", "the same from β, D, B alone: to set γ before seeing data"),
    "absolute": ("absolute (C10)", "exponential in B, for comparison with the literature only"),
}


SIDE_BY_SIDE = (
    ("needed at least, found by search", "instance", "instance"),
    ("enough: certified for this data", "per_prompt", "data"),
    ("enough: proved for this β and Z_max", "relative", "relative"),
    ("enough: proved before seeing data", "closed_form", "limit"),
)
"""What a threshold is good for, and its names for SAIL and for online DPO."""


def modulus(report: Report) -> str:
    """μ of C12, or why there is none."""
    if report.mu == 0:
        return "0 in float64 (e^(−DB) is below it)"
    if report.mu is not None:
        return number(report.mu)
    if report.ladder is not None and report.gamma > report.ladder.least:
        return "none (the least eigenvalue of F̄ at the centre is 0 in float64)"
    needs = "K_B" if report.ladder is None else number(report.ladder.least)
    return f"none (needs γ > {needs})"


def agreed(found: SearchResult | None) -> str:
    """How many rounds of the search for γ* agree, and what to do where they are too few."""
    if found is None:
        return ""
    doubt = "" if found.trusted else ": γ* may be larger. Try --effort full"
    return f"γ*: {agreement(found)}{doubt}."


def trust(report: Report) -> str:
    """How far γ* can be trusted: how many independent rounds of the search agree on it."""
    found = report.gamma_star.search
    if found is None or report.gamma_star.value is None:
        return ""
    said = agreed(found)
    field = report.online.gamma_star.search
    if field is None:
        return said
    doubt = "" if field.trusted else ": it may be larger"
    return f"{said} Online DPO's: {field.agreeing} of {field.rounds}{doubt}."


def worst_prompts(report: Report) -> str:
    """Which prompts set ḡ, and the bound for the rest."""
    found = report.ladder
    if found is None or len(report.problem.features) == 1:
        return ""
    ids = report.problem.ids or range(len(report.problem.features))
    shown = ", ".join(str(ids[x]) for x, _, _ in found.worst[:_SHOWN])
    rest = f"; 99 % of the prompts need at most {number(found.most_prompts)}"
    return (
        f"Prompts that need most: {shown}{rest if found.most_prompts < found.per_prompt else ''}."
    )


ONE_POLICY = "Every prompt offers one policy only (S = {0}): there is nothing to optimise."


def summary(report: Report) -> str:
    """One paragraph: γ against need and theorem, and what the guarantee costs."""
    star, k_b = report.thresholds.instance, report.thresholds.relative
    if k_b is None:
        return ONE_POLICY
    asked = _against_theorem(report.gamma, k_b)
    if star is None:
        sentences = [
            "γ* was not found: F̄ is singular in float64 wherever it was tried.",
            f"γ = {number(report.gamma)} is {asked}.",
        ]
    else:
        needed = _against_need(report.gamma, star)
        if report.gamma_star.search is not None and not report.gamma_star.search.trusted:
            needed = needed.replace("(γ* = ", "(γ* ≥ ")
        sentences = [f"γ = {number(report.gamma)} is {needed} and {asked}."]
    if report.ladder is not None and report.ladder.least < k_b:
        least = report.ladder.least
        sentences.append(f"γ ≥ {number(least)} is certified to suffice.")
        if star is not None and 0 < star and _FAR * star < least:
            sentences.append(
                f"Between {number(star)} and {number(least)} it is open: sailtheory certify "
                "FILE --property gamma --method whole may settle it in few dimensions."
            )
    free, bound = report.price["zero"].gain, report.price["relative"].gain
    verb = "falls" if bound < free else "goes"
    sentences.append(
        f"At the theorem's γ the gain in win rate {verb} from {number(free)} (γ = 0) to "
        f"{number(bound)}."
    )
    if learning(report):
        sentences.append(learning(report))
    return " ".join(sentences)


def _against_need(gamma: float, star: float) -> str:
    if star <= 0:
        said = "no point was found where J itself is not concave"
        return f"more than this problem is seen to need (γ* = {number(star)} ≤ 0: {said})"
    if gamma >= star:
        return f"{times(gamma / star)} what this problem needs (γ* = {number(star)})"
    if gamma == 0:
        return f"below what this problem needs (γ* = {number(star)})"
    return f"{times(star / gamma)} below what this problem needs (γ* = {number(star)})"


def _against_theorem(gamma: float, k_b: float) -> str:
    if gamma > k_b:
        share = f"{times(gamma / k_b)} what" if k_b > 0 else "more than"
        return f"{share} the theorem asks (K_B = {number(k_b)})"
    if gamma == 0 or gamma == k_b:
        relation = "exactly" if gamma == k_b else "below"
        return f"{relation} what the theorem asks (K_B = {number(k_b)})"
    return f"{times(k_b / gamma)} below what the theorem asks (K_B = {number(k_b)})"


_PRICED = {"instance": "γ*", "per_prompt": "ḡ", "relative": "K_B", "closed_form": "closed form"}


def priced(report: Report) -> list[tuple[str, Maximiser]]:
    """The maximisers of J_γ at 0, at the γ in use and at each positive threshold, γ rising.

    Each with what its γ is; those that are equal share a line.
    """
    levels = {key: getattr(report.thresholds, key) for key in _PRICED}
    rows = [(0.0, "", report.price.get("zero")), (report.gamma, "γ in use", report.maximiser)]
    rows += [
        (level, _PRICED[key], report.price.get(key))
        for key, level in levels.items()
        if level is not None and level > 0
    ]
    at: dict[float, tuple[list[str], Maximiser]] = {}
    for level, name, best in rows:
        if best is not None:
            at.setdefault(level, ([], best))[0].append(name)
    return [
        (" = ".join([*filter(None, names), number(level)]), best)
        for level, (names, best) in sorted(at.items(), key=lambda each: each[0])
    ]


_EARNED = {"zero": "γ", "gamma": "γ in use", "certain": "certified γ", "proved": "proved γ"}


def earned(report: Report) -> list[tuple[str, Earned]]:
    """What each objective's policies earn, and the best policy in C, with words for each."""
    online = report.online
    rows = [
        (f"{of}, {_EARNED[name]} = {number(each.gamma)}", each)
        for of, found in (("SAIL", online.sail), ("online DPO", online.online))
        for name, each in found.items()
    ]
    return [*rows, ("the best policy in C", online.best)]


def learning(report: Report) -> str:
    """One sentence: how much of the gain each keeps at the γ that is proved for it."""
    online = report.online
    sail, field = (found.get("proved") for found in (online.sail, online.online))
    if sail is None or field is None or sail.share is None or field.share is None:
        return ""
    return (
        f"At the γ that is proved for each, online DPO (γ = {number(field.gamma)}) keeps "
        f"{percent(field.share)} of the best gain in win rate on C, SAIL with its score term "
        f"(γ = {number(sail.gamma)}) {percent(sail.share)}; without KL they reach "
        f"{percent(online.online['zero'].share)} and {percent(online.sail['zero'].share)}."
    )


def vector(theta: np.ndarray) -> str:
    """A point as people write it; four coordinates at most."""
    shown = ", ".join(f"{x:.4g}" for x in theta[:4])
    return f"({shown}{', …' if len(theta) > 4 else ''})"
