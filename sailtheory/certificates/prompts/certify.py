"""Certified bounds of γ*_x for every prompt, and of ḡ, the largest of them (C23, C25)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from sailtheory.certificates.prompts.branch import FALSE, OPEN, PROVED, Decision, decide
from sailtheory.certificates.prompts.certificate import Level, PromptCertificate
from sailtheory.certificates.prompts.parallel import Workers
from sailtheory.certificates.prompts.points import curvature, search
from sailtheory.certificates.prompts.survey import Group, Survey, recall, remember, survey
from sailtheory.certificates.prompts.witness import PromptWitness, prompt_of, witness_of
from sailtheory.certificates.refine import Budget
from sailtheory.problem.reduced import BUDGET, PromptSource, Reduced, ranges
from sailtheory.theory.bounds import relative_bound
from sailtheory.theory.data_bound import data_bound

__all__ = ["DROPPED", "Plan", "certify_prompts"]

DROPPED = 0.01
"""Share of the weight that the second threshold leaves out."""

_FLOOR = 1e-3  # widths are relative to max(|γ|, _FLOOR β)
_LARGEST = 4  # responses up to which branch and bound is tried
_TASK = 500  # prompts
_BOXES, _BOXES_LEAST = 150, 100_000  # for each prompt and in all, that a width may well take
_SAMPLE = 100
_SEARCHED_LEAST = 50
_WIDTHS = (1e-3, 1e-2, 0.05, 0.2, 0.5, 1.0, 2.0)
_SAVE_SECONDS = 5.0
_WITNESSES = 3
_RAISES = 20
_SLACK = 1e-9  # what a witness loses to its enclosure


@dataclass(frozen=True)
class Plan:
    """How a certificate is made.

    Attributes:
        tolerance: Relative width asked for; None goes as far as a moderate number of boxes takes:
            for two responses to .1 %, for three to 5 %, for four to 20 % on balls that are small.
        budget: Time, progress and the file that carries the work over an interruption.
        workers: Who does the work.
        memory: Bytes that the features in memory at one time may take.
        dropped: The share of the weight that the second threshold leaves out.
        boxes: For each prompt and at least in all, that a width chosen for want of a tolerance
            may take.
    """

    tolerance: float | None = None
    budget: Budget = field(default_factory=Budget)
    workers: Workers = field(default_factory=Workers)
    memory: int = BUDGET
    dropped: float = DROPPED
    boxes: tuple[int, int] = (_BOXES, _BOXES_LEAST)


class _Members(NamedTuple):
    """Some prompts of each group."""

    which: list[np.ndarray]

    def highest(self, made: Survey, name: str) -> float:
        values = [getattr(g, name)[i] for g, i in zip(made.groups, self.which, strict=True)]
        return max((float(v.max()) for v in values if len(v)), default=-np.inf)


def certify_prompts(source: PromptSource, plan: Plan | None = None) -> PromptCertificate:
    """Enclose ḡ = max_x γ*_x, an upper bound of γ*, with a second level for most prompts.

    Args:
        source: The prompts.
        plan: What it may cost.

    Returns:
        ``certified`` with ``lower`` ≤ ḡ ≤ ``gamma``; ``undecided`` where time ran out before
        every prompt had a bound, or the width asked for was not reached.
    """
    plan, began = plan or Plan(), time.monotonic()
    made = survey(source, plan.memory, plan.budget.progress)
    recall(plan.budget.state, made)
    if not made.moving:
        return PromptCertificate("certified", made.prompts, 0, made.digest, note="no policy moves")
    _first_bounds(made, plan)
    everyone = _Members([np.arange(len(g.upper)) for g in made.groups])
    if not np.isfinite(made.column("upper")).all():
        note = "time ran out before every prompt had a bound"
        return PromptCertificate("undecided", made.prompts, made.moving, made.digest, note=note)
    first = everyone.highest(made, "upper")
    _tighten(made, everyone, plan)
    rest = _without_worst(made, "searched", plan.dropped)
    _tighten(made, rest, plan)
    remember(plan.budget.state, made)
    lower, witness = _witness(source, made, plan)
    gamma = everyone.highest(made, "upper")
    width = (gamma - lower) / max(abs(lower), _FLOOR * made.beta)
    wide = plan.tolerance is not None and not width <= plan.tolerance + _SLACK
    note = "the enclosure is wider than asked" if wide else ""
    return PromptCertificate(
        "undecided" if wide else "certified",
        made.prompts,
        made.moving,
        made.digest,
        levels=_levels(made, gamma, plan.dropped),
        lower=lower if witness is not None else None,
        witness=witness,
        worst=_worst(made),
        note=note,
        seconds=time.monotonic() - began,
        first=first,
    )


def _first_bounds(made: Survey, plan: Plan) -> None:
    """K_data, K_B and a search for every prompt that has no bound yet."""
    widest = max(float(np.abs(ranges(g.data, made.beta)).max()) for g in made.groups)
    # β is within a unit in the last place.
    ceiling = relative_bound(made.beta, widest) + 2.0**-40 * (widest + made.beta + made.beta**2)
    tasks, places = [], []
    for number, group in enumerate(made.groups):
        missing = np.flatnonzero(~np.isfinite(group.upper))
        for i in range(0, len(missing), _TASK):
            places.append((number, missing[i : i + _TASK]))
            tasks.append((group.data.take(places[-1][1]), made.beta, ceiling, number + i))
    saved = time.monotonic()
    for done, (i, found) in enumerate(plan.workers.run(_bound, tasks)):
        group, which = made.groups[places[i][0]], places[i][1]
        group.upper[which], group.searched[which], group.point[which] = found
        plan.budget.progress(f"bounds and a search: {done + 1} of {len(tasks)} parts")
        if time.monotonic() - saved > _SAVE_SECONDS:
            remember(plan.budget.state, made)
            saved = time.monotonic()
        if plan.budget.left <= 0:
            break


def _bound(
    data: Reduced, beta: float, ceiling: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """K_data, and what a search finds: its values and points."""
    k, l = np.triu_indices(data.responses, 1)  # noqa: E741
    low, high = ranges(data, beta)
    bound = data_bound(beta, data.preference[:, k, l], low[:, k, l], high[:, k, l], data.responses)
    scale = beta + beta**2 + np.maximum(abs(low), abs(high)).max((1, 2))
    upper = np.minimum(bound + 2.0**8 * data.error * scale, ceiling)
    highest = np.argsort(-upper, kind="stable")
    if data.responses > _LARGEST:  # where the search lowers no bound, it is for the highest
        highest = highest[: max(_SEARCHED_LEAST, len(upper) // 10)]
    point = np.zeros(data.reach.shape[::2])
    value = curvature(data, beta, point[:, None])[:, 0]
    value[highest], point[highest] = search(data.take(highest), beta, np.random.default_rng(seed))
    return upper, value, point


def _tighten(made: Survey, members: _Members, plan: Plan) -> None:
    """Lower the largest bound of some prompts towards the largest value found."""
    each, least = plan.boxes
    most = max(each * sum(len(i) for i in members.which), least)
    for width in _widths(made, members, plan):
        for _ in range(_RAISES):
            level = _level(made, members, width)
            if not _try(made, members, level, 4 * most, plan):
                break
        if plan.budget.left <= 0 or members.highest(made, "upper") > level:
            break


def _level(made: Survey, members: _Members, width: float) -> float:
    found = members.highest(made, "searched")
    return found + width * max(abs(found), _FLOOR * made.beta)


def _widths(made: Survey, members: _Members, plan: Plan) -> tuple[float, ...]:
    """The width to aim at; with a time limit, or after trouble, the wider ones come first.

    Without a tolerance it is the finest for which a sample of the prompts takes few boxes.
    """
    if plan.tolerance is not None:
        first = _WIDTHS if plan.budget.left < np.inf else ()
        return (*(w for w in reversed(first) if w > plan.tolerance), plan.tolerance)
    for width in _WIDTHS:
        if _affordable(made, members, _level(made, members, width), plan):
            return (width,)
    return ()


def _affordable(made: Survey, members: _Members, level: float, plan: Plan) -> bool:
    """Whether a sample of the prompts above a level is settled in its share of the boxes."""
    for group, which in _above(made, members, level):
        each, least = plan.boxes
        share = max(each, least // len(which))
        sample = which[:: max(1, len(which) // _SAMPLE)]
        most = share * len(sample)
        data = group.data.take(sample)
        if (decide(data, made.beta, level, most, _deadline(plan)).verdict == OPEN).any():
            return False
    return True


def _above(made: Survey, members: _Members, level: float) -> list[tuple[Group, np.ndarray]]:
    """The prompts whose bound is above a level and can be lowered, those of high bound first."""
    found = []
    for group, members_of in zip(made.groups, members.which, strict=True):
        which = members_of[group.upper[members_of] > level]
        if len(which) and group.data.responses <= _LARGEST:
            found.append((group, which[np.argsort(-group.upper[which], kind="stable")]))
    return found


def _deadline(plan: Plan) -> float:
    return time.monotonic() + plan.budget.left


def _try(made: Survey, members: _Members, level: float, most: int, plan: Plan) -> bool:
    """Decide γ = level for the prompts whose bound is above it; True where one exceeds it."""
    where = zip(made.groups, members.which, strict=True)
    fixed = [g.upper[i].max() for g, i in where if g.data.responses > _LARGEST and len(i)]
    level = max([level, *map(float, fixed)])  # nothing is gained below a bound that stays
    tasks, places = [], []
    for group, which in _above(made, members, level):
        parts = -(-len(which) // _TASK)
        for part in (which[i::parts] for i in range(parts)):  # the hard ones are spread
            places.append((group, part))
            share = most * len(part) // len(which) if plan.tolerance is None else 1 << 60
            tasks.append((group.data.take(part), made.beta, level, share, plan.budget.left))
    saved, exceeded, boxes, proved = time.monotonic(), False, 0, 0
    total = sum(len(part) for _, part in places)
    for i, found in plan.workers.run(_decide, tasks):
        group, part = places[i]
        group.upper[part[found.verdict == PROVED]] = level
        higher = (found.verdict == FALSE) & (found.value > group.searched[part])
        group.searched[part[higher]] = found.value[higher]
        group.point[part[higher]] = found.point[higher]
        exceeded |= bool(higher.any())
        boxes, proved = boxes + found.boxes, proved + int((found.verdict == PROVED).sum())
        plan.budget.progress(f"γ = {level:.6g}: {proved} of {total} prompts, {boxes} boxes")
        if time.monotonic() - saved > _SAVE_SECONDS:
            remember(plan.budget.state, made)
            saved = time.monotonic()
        if exceeded or plan.budget.left <= 0:
            break
    return exceeded


def _decide(data: Reduced, beta: float, gamma: float, most: int, seconds: float) -> Decision:
    return decide(data, beta, gamma, most, time.monotonic() + seconds)


def _without_worst(made: Survey, name: str, share: float) -> _Members:
    """All prompts but the highest, of whose weight at most a share is left out."""
    values, weights = made.column(name), made.column("weights")
    order = np.argsort(-values, kind="stable")
    left_out = np.zeros(len(values), dtype=bool)
    left_out[order] = np.cumsum(weights[order]) <= share * made.weight
    ends = np.cumsum([len(g.upper) for g in made.groups])[:-1]
    return _Members([np.flatnonzero(~part) for part in np.split(left_out, ends)])


def _levels(made: Survey, gamma: float, share: float) -> tuple[Level, ...]:
    rest = _without_worst(made, "upper", share)
    second = rest.highest(made, "upper")
    if not second < gamma:
        return (Level(gamma),)
    above = made.column("prompts")[made.column("upper") > second].astype(int)
    return (Level(gamma), Level(second, tuple(sorted(above.tolist()))))


def _witness(source: PromptSource, made: Survey, plan: Plan) -> tuple[float, PromptWitness | None]:
    """The best lower bound of ḡ that ball arithmetic confirms at the highest prompts."""
    best, kept = -np.inf, None
    ranked = sorted(
        ((float(g.searched[i]), n, int(i)) for n, g in enumerate(made.groups)
         for i in np.argsort(-g.searched)[:_WITNESSES]), reverse=True,
    )  # fmt: skip
    for _, number, i in ranked[:_WITNESSES]:
        group = made.groups[number]
        data = group.data.take(np.array([i]))
        chunk = prompt_of(source, int(data.prompts[0]), plan.memory)
        witness, value = witness_of(source, chunk, data, made.beta, group.point[i])
        if value > best:
            best, kept = value, witness
        if value > ranked[0][0] - 1e-6 * abs(ranked[0][0]):
            break
    return best, kept


def _worst(made: Survey, count: int = 20) -> tuple[tuple[int, float, float], ...]:
    """The prompts that set ḡ: position, value found, bound."""
    prompts, found, upper = (made.column(n) for n in ("prompts", "searched", "upper"))
    order = np.argsort(-found, kind="stable")[:count]
    return tuple((int(prompts[i]), float(found[i]), float(upper[i])) for i in order)
