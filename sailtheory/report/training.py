"""Words and tables about training runs."""

from __future__ import annotations

from sailtheory.compare.arms import ArmDiff

__all__ = ["describe_diff"]


def describe_diff(found: ArmDiff) -> str:
    """A few lines: the arms, how they differ, and whether they may be compared."""
    seeds = {arm: ", ".join(str(run.seed) for run in runs) for arm, runs in found.arms.items()}
    sections = (
        ("arms", [f"{arm}: seeds {numbers}" for arm, numbers in seeds.items()]),
        ("declared differences", found.allowed),
        ("other differences", found.refused),
        ("the same algorithm", found.same),
        ("declared but never read", found.unread),
        ("library versions", found.versions),
    )
    lines = []
    for title, items in sections:
        shown = [f"  {item}" for item in items]
        lines += [title, *shown] if shown else []
    verdict = "cannot" if found.refused else "may"
    return "\n".join([*lines, f"These runs {verdict} be compared."])
