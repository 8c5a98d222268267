"""The results page of the control arms, from the JSON files alone."""

from __future__ import annotations

from textwrap import fill
from typing import Any

import numpy as np

from sailtheory.compare import statistics as st
from sailtheory.storage.config import flatten, plain
from sailtheory.training.control.settings import PAPER, settings_of
from studies.certificates.page import short, table
from studies.control_arms.pairs import (
    KNOWN,
    PAPER_EFFECT,
    TESTED,
    Data,
    Runs,
    compared,
    in_short,
    interval,
    listed,
    score,
)
from studies.control_arms.theory_page import curvature, left_out, noise

BESIDE = ("sail", "heavy")
"""Plans whose arms stand beside those of ``published``."""
_INTRO = """\
# SAIL and SAIL-RevKL on control tasks

Written by `python -m studies.control_arms --runs FOLDER` from studies/control_arms/evidence.json.
Its docstring is the design: arms, settings (smaller than the paper's: 2×256 units, minibatches of
64, reward networks 3×128, 60,000 steps), quantity (mean return over the evaluations of the second
half of training), test and power, written before any run; and what was changed after runs were
seen, the arms `sail` and `sail-revkl` and their tests among it. The arms of a table have equal
budgets of steps, updates and queries: that file holds the settings of each run and what it spent,
and runs that the rules of `sailtheory train diff` refuse are not added. The published "SAIL"
arm is `pebble` bit for bit, and has no row. Runs are added as they finish.
"""

_FIGURE = """\
![Returns along training, a panel a task, and differences of pairs](../figures/control_arms.png)
"""

_TITLES = {
    "published": "pebble against pebble-revkl, the published comparison",
    "sail": "All four arms",
    "heavy": "All four arms, J at a weight that drowns SAC (0.1, see below)",
    "stand": "All four arms",
    "short": "A short run, 3,000 steps",
}

_PAPER = """
## The paper's setting

```
sailtheory train control --paper --method pebble-revkl --out runs/paper
```

trains all four tasks with 2×1024 units, minibatches of 512, 400,000 steps, the paper's seeds
(walker-walk and cheetah-run 4, 5, 6; walker-stand 7, 8, 9; door-open 10, 11, 12) and the feedback
of its PEBBLE arm for every method, so that budgets are equal (the published arms differ in
theirs). It was not run here, for want of a GPU: an update of this size takes 0.26 CPU seconds on
a core of the machine that made the runs above, and a run 400,000 of them, so more than a day.
"""


def page(data: Data) -> str:
    """Markdown from the JSON data."""
    parts = [_INTRO, _FIGURE] if data.get("published") else [_INTRO]
    parts += [in_short(data), _settings(data)]
    for name, title in _TITLES.items():
        for task, own in data.get(name, {}).items():
            arms = data.get("published", {}).get(task, {}) | own if name in BESIDE else own
            parts += [f"## {title}: {task}", _arms(arms), _pairs(arms, name)]
    if not data.get("published"):
        parts.append("No run of the published comparison has finished yet, so nothing is known.")
    parts += [noise(), left_out(), curvature()]
    return "\n\n".join(part.strip("\n") for part in [*parts, _PAPER] if part) + "\n"


_KEYS = {
    "steps": "steps", "feedback.maximum": "queries, at most", "feedback.segment": "L",
    "kl_coef": "kl_coef", "reference.since": "π_ref taken at", "reference.every": "anew every",
    "sail.beta": "β", "sail.weight": "w", "sail.pairs": "pairs", "sail.recent": "of the last",
}  # fmt: skip


def _settings(data: Data) -> str:
    """What the runs were set to, beside the paper's."""
    runs = {
        f"{task}, {name}": [run for own in arms.values() for run in own]
        for name in _TITLES
        for task, arms in data.get(name, {}).items()
    }
    rows = [
        [place, _spent(own), *_values([r["settings"] for r in own])] for place, own in runs.items()
    ]
    paper: dict[tuple[str, ...], list[str]] = {}
    for task in PAPER:
        published = flatten(plain(settings_of(task, "pebble-revkl", 0)))
        known = {key: value for key, value in published.items() if not key.startswith("sail.")}
        paper.setdefault(tuple(_values([known])), []).append(task)
    rows += [[f"the paper's {', '.join(tasks)}", "", *values] for values, tasks in paper.items()]
    text = (
        "What the terms were weighed with, from the settings of the runs (–: no arm of the row "
        "reads it; the paper's code has no J in its loss). L is the length of a segment, for the "
        "teacher and for `sail`; w the weight of J in the actor's loss, with its β, the pairs of "
        "segments in an update and the last steps that they come from."
    )
    head = ["task, plan", "queries spent", *_KEYS.values()]
    said = [fill(line, 98) for line in (_updates(runs), _unread(data)) if line]
    return "\n\n".join(["## Settings", fill(text, 98), table(head, rows), *said])


def _values(settings: list[dict[str, Any]]) -> list[str]:
    """The values of each key, none of which is read by every run."""
    found = []
    for key in _KEYS:
        values = dict.fromkeys(_shown(one[key]) for one in settings if key in one)
        found.append("; ".join(values) or "–")
    return found


def _shown(value: Any) -> str:
    return "never" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _spent(runs: Runs) -> str:
    return "; ".join(dict.fromkeys(_shown(int(r["spent"]["spent/queries"])) for r in runs))


def _updates(runs: dict[str, Runs]) -> str:
    """Updates follow from settings that are compared; later runs count them as well."""
    every = [run for own in runs.values() for run in own]
    keys = ("random_steps", "reset_updates")
    values = {tuple(run["settings"][key] for key in keys) for run in every}
    if len(values) != 1:
        return ""
    ((random, reset),) = values
    logged = sum("spent/updates" in run["spent"] for run in every)
    return (
        f"Each step after the first {random:,} has one update, and the first answers are followed "
        f"by {reset:,} more for the new critic; these settings are among those that are compared. "
        f"Runs count their updates as well by now: {logged} of these {len(every)} did."
    )


def _unread(data: Data) -> str:
    """Keys that runs of an arm had set differently and never read."""
    found: dict[str, None] = {}
    for tasks in data.values():
        for arms in tasks.values():
            for arm, runs in arms.items():
                for key in dict.fromkeys(key for run in runs for key in run["unread"]):
                    values = dict.fromkeys(repr(run["unread"].get(key, "read")) for run in runs)
                    if len(values) > 1:
                        found[f"{key} of {arm} ({', '.join(values)})"] = None
    if not found:
        return ""
    return (
        "Settings that a run has never read cannot have changed it and are not compared. Runs of "
        f"an arm differ in: {'; '.join(found)}."
    )


def _arms(arms: dict[str, Runs]) -> str:
    steps = next(iter(arms.values()))[0]["curves"]["eval/return"][0]
    head = ["arm", "runs", "quantity: IQM (95 %)", *(f"{step:,}" for step in steps)]
    rows = []
    for arm, runs in arms.items():
        scores = np.array([score(run) for run in runs])
        found = st.iqm_interval([scores], np.random.default_rng(0))
        curve = np.array([run["curves"]["eval/return"][1] for run in runs]).T
        rows.append([
            arm, len(runs), interval(found, len(runs), 1), *(f"{st.iqm(c):.1f}" for c in curve)
        ])  # fmt: skip
    seeds = {arm: ", ".join(str(r["seed"]) for r in runs) for arm, runs in arms.items()}
    seeds_text = "; ".join(f"{arm} {s}" for arm, s in seeds.items())
    text = (
        "Returns; the columns of steps are IQMs over runs; with fewer than ten runs the bootstrap "
        f"intervals are too narrow. Seeds: {seeds_text}.{_terms(arms)}"
    )
    return table(head, rows) + "\n\n" + fill(text, 98)


_TERMS = {
    "sail/margin": "|z| of an update's pairs",
    "sail/score_coefficient": "their |g + log 2|",
    "loss/actor/kl_ref_policy": "kl_coef · KL(π_ref‖π_θ)",
}


FAR = 100.0
"""|z| of a logged update at which an actor is said to be far from its reference."""


def _logged(runs: Runs, name: str) -> np.ndarray:
    """What the runs logged under a name, along all of them."""
    found = [run["curves"][name][1] for run in runs if name in run["curves"]]
    return np.concatenate(found) if found else np.zeros(0)


def _terms(arms: dict[str, Runs]) -> str:
    """Sizes of the terms as logged along the runs, and how often an actor was far off."""
    found, far = [], []
    for arm, runs in arms.items():
        for name, said in _TERMS.items():
            values = _logged(runs, name)
            if len(values):
                low, middle, high = map(short, np.quantile(values, [0.1, 0.5, 0.9]).tolist())
                found.append(f"{arm}, {said}: {middle} ({low} to {high})")
        sizes = [z for run in runs if len(z := _logged([run], "sail/margin"))]
        if sizes:
            beyond = np.concatenate(sizes) > FAR
            ends = sum(z[-1] > FAR for z in sizes)
            far.append(
                f"in {beyond.mean():.0%} of {arm}'s logged updates, of "
                f"{sum((z > FAR).any() for z in sizes)} of {len(sizes)} runs, and in the last "
                f"of {ends}"
            )
    if not found:
        return ""
    text = f" As logged along the runs, median (10 % to 90 %): {'; '.join(found)}."
    return text + (f" |z| is above {FAR:g} {'; '.join(far)}." if far else "")


def _pairs(arms: dict[str, Runs], plan: str) -> str:
    """Every arm against the first, and with the KL term against without it, by seeds."""
    first, *others = arms
    told = TESTED["published"] if plan in BESIDE else {}  # in a table of its own
    wanted = [(arm, first) for arm in others if (arm, first) not in told]
    wanted += [("sail-revkl", "sail")] if first != "sail" and "sail-revkl" in arms else []
    tests = TESTED.get(plan, {})
    lines = [compared(arms, *pair, tests.get(pair)) for pair in wanted if pair[1] in arms]
    if plan == "sail":
        lines.append(
            "The two tests were written down when runs of seeds 0, 1, 2 of an earlier version of "
            f"these arms were known, and the arms were mended last when runs of seeds "
            f"{listed(KNOWN)} were; those runs are discarded."
        )
    if plan == "published" and not others:
        lines.append(f"No pair of arms has finished, only {first}: nothing can be concluded.")
    if plan == "published":
        lines.append(
            f"To see the paper's largest effect, d = {PAPER_EFFECT}, with probability 0.8 at level "
            f"0.05 takes {st.runs_needed(PAPER_EFFECT, paired=True)} pairs, or "
            f"{st.runs_needed(PAPER_EFFECT, paired=False)} runs an arm without pairs."
        )
    return "\n\n".join(fill(line, 98) for line in lines)
