"""The values of the page of the control arms, from the JSON files alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from sailtheory.compare import statistics as st
from sailtheory.storage.config import flatten, plain
from sailtheory.training.control.settings import PAPER, settings_of
from studies.control_arms.pairs import (
    KNOWN,
    PAPER_EFFECT,
    PLANNED,
    TESTED,
    Comparison,
    Data,
    Runs,
    compared,
    concluded,
    interval,
    score,
    worse_than_pebble,
)
from studies.control_arms.theory import curvature, left_out, noise
from studies.render import render

BESIDE = ("sail", "heavy")
"""Plans whose arms stand beside those of ``published``."""
PLANS = ("published", "sail", "heavy", "stand", "short")
KEYS = (
    "steps", "feedback.maximum", "feedback.segment", "kl_coef", "reference.since",
    "reference.every", "sail.beta", "sail.weight", "sail.pairs", "sail.recent",
)  # fmt: skip
"""Settings in the table of them, in its order."""
TERMS = ("sail/margin", "sail/score_coefficient", "loss/actor/kl_ref_policy")
FAR = 100.0
"""|z| of a logged update at which an actor is said to be far from its reference."""


def page(data: Data) -> str:
    """The page as Markdown."""
    return render("control_arms", **values(data))


def values(data: Data) -> dict[str, Any]:
    """All that the page is made of."""
    runs = [(name, task, arms) for name in PLANS for task, arms in data.get(name, {}).items()]
    return {
        "published": bool(data.get("published")),
        "concluded": concluded(data), "below": worse_than_pebble(data),
        "settings": [settings_row(name, task, arms) for name, task, arms in runs],
        "paper": paper_settings(), "updates": updates(data), "unread": unread(data),
        "sections": [
            section(name, task, data.get("published", {}).get(task, {}) | arms
                    if name in BESIDE else arms)
            for name, task, arms in runs
        ],
        "known": KNOWN, "planned": PLANNED, "far": FAR, "paper_effect": PAPER_EFFECT,
        "runs_needed": {paired: st.runs_needed(PAPER_EFFECT, paired=paired)
                        for paired in (True, False)},
        "noise": noise(), "left_out": left_out(), "curvature": curvature(),
    }  # fmt: skip


def _all(data: Data) -> Runs:
    return [run for tasks in data.values() for arms in tasks.values() for own in arms.values()
            for run in own]  # fmt: skip


def settings_row(plan: str, task: str, arms: dict[str, Runs]) -> dict[str, Any]:
    """What the runs of a plan on a task spent and were set to."""
    runs = [run for own in arms.values() for run in own]
    return {
        "plan": plan, "task": task, "settings": _settings([run["settings"] for run in runs]),
        "queries": list(dict.fromkeys(int(run["spent"]["spent/queries"]) for run in runs)),
    }  # fmt: skip


def _settings(settings: list[dict[str, Any]]) -> list[list[Any]]:
    """The values of each key, none of which is read by every run."""
    return [list(dict.fromkeys(one[key] for one in settings if key in one)) for key in KEYS]


def paper_settings() -> list[dict[str, Any]]:
    """The paper's settings; tasks that have the same are one row. Its code has no J."""
    rows: list[dict[str, Any]] = []
    for task in PAPER:
        published = flatten(plain(settings_of(task, "pebble-revkl", 0)))
        known = {key: value for key, value in published.items() if not key.startswith("sail.")}
        found = _settings([known])
        same = [row for row in rows if row["settings"] == found]
        if same:
            same[0]["tasks"].append(task)
        else:
            rows.append({"tasks": [task], "settings": found})
    return rows


def updates(data: Data) -> dict[str, int] | None:
    """Updates follow from settings that are compared; later runs count them as well."""
    runs = _all(data)
    keys = ("random_steps", "reset_updates")
    found = {tuple(run["settings"][key] for key in keys) for run in runs}
    if len(found) != 1:
        return None
    counted = sum("spent/updates" in run["spent"] for run in runs)
    return {**dict(zip(keys, *found, strict=True)), "counted": counted, "runs": len(runs)}


def unread(data: Data) -> list[dict[str, Any]]:
    """Keys that runs of an arm had set differently and never read."""
    found: dict[tuple[Any, ...], None] = {}
    for tasks in data.values():
        for arms in tasks.values():
            for arm, runs in arms.items():
                for key in dict.fromkeys(key for run in runs for key in run["unread"]):
                    had = dict.fromkeys(repr(run["unread"].get(key, "read")) for run in runs)
                    if len(had) > 1:
                        found[key, arm, *had] = None
    return [{"key": key, "arm": arm, "values": had} for key, arm, *had in found]


def section(plan: str, task: str, arms: dict[str, Runs]) -> dict[str, Any]:
    """A plan on a task: its arms, their terms, and their pairs."""
    return {
        "plan": plan, "task": task,
        "steps": next(iter(arms.values()))[0]["curves"]["eval/return"][0],
        "arms": {arm: _arm(runs) for arm, runs in arms.items()},
        "comparisons": comparisons(arms, plan),
    }  # fmt: skip


def _arm(runs: Runs) -> dict[str, Any]:
    scores = np.array([score(run) for run in runs])
    found = st.iqm_interval([scores], np.random.default_rng(0))
    curves = np.array([run["curves"]["eval/return"][1] for run in runs]).T
    return {
        "seeds": [run["seed"] for run in runs],
        "quantity": interval(found, len(runs)), "curve": [st.iqm(c) for c in curves],
        "terms": terms(runs), "far": far(runs),
    }  # fmt: skip


def _logged(runs: Runs, name: str) -> np.ndarray:
    """What the runs logged under a name, along all of them."""
    found = [run["curves"][name][1] for run in runs if name in run["curves"]]
    return np.concatenate(found) if found else np.zeros(0)


def terms(runs: Runs) -> dict[str, list[float]]:
    """Sizes of the terms as logged along the runs: 10 %, 50 % and 90 % of them."""
    logged = {name: _logged(runs, name) for name in TERMS}
    return {
        name: np.quantile(sizes, [0.1, 0.5, 0.9]).tolist()
        for name, sizes in logged.items()
        if len(sizes)
    }


def far(runs: Runs) -> dict[str, Any] | None:
    """How often an actor was far from its reference."""
    sizes = [z for run in runs if len(z := _logged([run], TERMS[0]))]
    if not sizes:
        return None
    return {
        "share": float((np.concatenate(sizes) > FAR).mean()), "of": len(sizes),
        "runs": sum(bool((z > FAR).any()) for z in sizes),
        "ends": sum(bool(z[-1] > FAR) for z in sizes),
    }  # fmt: skip


def comparisons(arms: dict[str, Runs], plan: str) -> list[Comparison]:
    """Every arm against the first, and with the KL term against without it, by seeds."""
    first, *others = arms
    told = TESTED["published"] if plan in BESIDE else {}  # in a table of its own
    wanted = [(arm, first) for arm in others if (arm, first) not in told]
    wanted += [("sail-revkl", "sail")] if first != "sail" and "sail-revkl" in arms else []
    tests = TESTED.get(plan, {})
    return [compared(arms, *pair, tests.get(pair)) for pair in wanted if pair[1] in arms]
