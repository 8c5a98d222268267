"""What a comparison of runs allows one to say, and what not, in words."""

from __future__ import annotations

import math

from sailtheory.compare.compare import Comparison, Pair, Task
from sailtheory.compare.statistics import Estimate

__all__ = ["caveats", "conclusion", "describe", "interval"]

_NARROW = 10  # runs of an arm below which bootstrap intervals are known to be too narrow


def interval(estimate: Estimate | None, digits: int = 3) -> str:
    """``value [low, high]``; a dash where there is none."""
    if estimate is None or math.isnan(estimate.value):
        return "–"
    numbers = (f"{x:.{digits}g}" for x in (estimate.value, estimate.low, estimate.high))
    return "{} [{}, {}]".format(*numbers)


def conclusion(pair: Pair) -> str:
    """Two or three sentences about one pair of arms."""
    units = "pairs" if pair.paired is not None else "runs of each arm"
    kind = "paired d" if pair.paired is not None else "d"
    d = pair.tested
    if math.isnan(d.value):
        return (
            f"{pair.arm} and {pair.baseline}: the scores or their differences do not vary "
            f"(mean difference {pair.difference:+.4g}), so there is no effect size and "
            "nothing to conclude."
        )
    shown = f"{kind} = {interval(d)}, mean difference {pair.difference:+.4g}"
    if d.excludes_zero:
        more = "more" if d.value > 0 else "less"
        return (
            f"{pair.arm} scores {more} than {pair.baseline}: {shown}. The interval is the "
            "finding, not the value in it: effects of any size inside are compatible with "
            "these runs."
        )
    return (
        f"No difference between {pair.arm} and {pair.baseline} is shown: {shown}, and the "
        f"interval holds zero. That does not show that they are equal: this design misses "
        f"effects below {kind} = {pair.detectable:.3g} more than one time in five. To see "
        f"{kind} = {pair.effect:g} four times in five, {pair.needed} {units} are needed."
    )


def caveats(comparison: Comparison) -> list[str]:
    """What limits the conclusions, one sentence each."""
    found = [
        "The score of a run is the metric at its last evaluation. Intervals hold 95 %; those "
        "of d are exact for normal scores (noncentral t), the others are bootstrapped over runs.",
    ]
    fewest = min(len(arm.scores) for task in comparison.tasks for arm in task.arms)
    if fewest < _NARROW:
        found.append(
            f"With {fewest} runs in an arm, bootstrap intervals are narrower than 95 %: "
            "conclusions rest on d."
        )
    count = sum(len(task.pairs) for task in comparison.tasks)
    if count > 1:
        found.append(
            f"{count} comparisons are made without correction: where nothing differs, one "
            "interval in twenty still excludes zero."
        )
    if comparison.overall:
        found.append(
            "Over all tasks, the IQM is of scores between 0 and 1: returns of dm_control divided "
            "by 1,000, success rates of Meta-World."
            if comparison.normalised
            else "Over all tasks, scores are pooled as logged: not all have a known scale."
        )
    for task in comparison.tasks:
        found += [
            f"{task.name}: the seeds change nothing in {arm.name}: its {len(arm.scores)} runs "
            "measured the same numbers, so they count as one."
            for arm in task.arms
            if arm.unmoved
        ]
        found += [f"{task.name}: {statement}." for statement in task.diff.same]
        found += [f"{task.name}: declared but never read: {key}." for key in task.diff.unread]
        found += [
            f"{task.name}: runs used several versions of {difference.key}."
            for difference in task.diff.versions
        ]
    return found


def describe(comparison: Comparison) -> str:
    """The comparison as lines of text for a terminal."""
    lines: list[str] = []
    for task in comparison.tasks:
        lines += [f"{task.name}, {comparison.metric}", *_arm_lines(task)]
        lines += [conclusion(pair) for pair in task.pairs] + [""]
    if comparison.overall:
        lines.append("over all tasks")
        for name, (iqm, won) in comparison.overall.items():
            better = "" if won is None else f", probability of improvement {interval(won)}"
            lines.append(f"  {name}: IQM {interval(iqm, 4)}{better}")
        lines.append("")
    return "\n".join([*lines, *caveats(comparison)])


def _arm_lines(task: Task) -> list[str]:
    width = max(len(arm.name) for arm in task.arms)
    won = {pair.arm: interval(pair.improvement) for pair in task.pairs}
    lines = []
    for arm in task.arms:
        line = f"  {arm.name:{width}}  {len(arm.scores)} runs  IQM {interval(arm.iqm, 4)}"
        if arm.name in won:
            line += f"  beats {task.arms[0].name} with probability {won[arm.name]}"
        lines.append(line)
    return lines
