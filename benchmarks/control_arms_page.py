"""The results page of the control arms, from the JSON files alone."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from benchmarks.certificates_page import short, table
from sailtheory.training import statistics as st
from sailtheory.training.compare import PAPER_EFFECT
from sailtheory.training.statistics import Estimate

Data = dict[str, Any]
Runs = list[dict[str, Any]]
DROPPED = Path("docs/evidence/segment_mdp.json")
CURVATURE = Path("docs/evidence/control_curvature.json")
LATE = 3
"""Evaluations of the second half of training, of six."""

_INTRO = """\
# SAIL and SAIL-RevKL on control tasks

Written by `python -m benchmarks.control_arms --runs FOLDER` from docs/evidence/control_arms.json.
Its docstring is the design, written before any run: arms, settings (smaller than the paper's:
2×256 units, minibatches of 64, reward networks 3×128, 60,000 steps), quantity (mean return over
the evaluations of the second half of training), test and power. The arms of a table have equal
budgets of steps, updates and queries, checked by `sailtheory train diff`; the published "SAIL"
arm is `pebble` bit for bit, and has no row. Runs are added as they finish.
"""

_FIGURE = """\
![Returns along training, a panel a task, and differences of pairs](../figures/control_arms.png)
"""

_TITLES = {
    "published": "pebble against pebble-revkl, the published comparison",
    "sail": "All four arms",
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
theirs). It was not run here: one run takes about a day on a core.
"""


def page(data: Data) -> str:
    """Markdown from the JSON data."""
    parts = [_INTRO, _FIGURE] if data.get("published") else [_INTRO]
    for name, title in _TITLES.items():
        for task, own in data.get(name, {}).items():
            arms = data.get("published", {}).get(task, {}) | own if name == "sail" else own
            parts += [f"## {title}: {task}", _arms(arms), _pairs(arms, name == "published")]
    if not data.get("published"):
        parts.append("No run of the published comparison has finished yet, so nothing is known.")
    parts += [text for text in (_dropped(), _curvature()) if text]
    return "\n\n".join(part.strip("\n") for part in [*parts, _PAPER] if part) + "\n"


def score(run: dict[str, Any]) -> float:
    """Mean return over the evaluations of the second half."""
    return float(np.mean(run["curves"]["eval/return"][1][-LATE:]))


def both(runs: Runs, base: Runs) -> list[tuple[int, dict[str, Any], dict[str, Any]]]:
    """Seeds that two arms have, with the run of each."""
    theirs = {run["seed"]: run for run in base}
    return [(r["seed"], r, theirs[r["seed"]]) for r in runs if r["seed"] in theirs]


def _arms(arms: dict[str, Runs]) -> str:
    steps = next(iter(arms.values()))[0]["curves"]["eval/return"][0]
    head = ["arm", "runs", "quantity: IQM (95 %)", *(f"{step:,}" for step in steps)]
    rows = []
    for arm, runs in arms.items():
        scores = np.array([score(run) for run in runs])
        found = st.iqm_interval([scores], np.random.default_rng(0))
        curve = np.array([run["curves"]["eval/return"][1] for run in runs]).T
        rows.append([
            arm, len(runs), _interval(found, len(runs), 1), *(f"{st.iqm(c):.1f}" for c in curve)
        ])  # fmt: skip
    seeds = {arm: ", ".join(str(r["seed"]) for r in runs) for arm, runs in arms.items()}
    seeds_text = "; ".join(f"{arm} {s}" for arm, s in seeds.items())
    text = (
        "Returns; the columns of steps are IQMs over runs; with fewer than ten runs the bootstrap "
        f"intervals are too narrow. Seeds: {seeds_text}."
    )
    return table(head, rows) + "\n\n" + fill(text, 98)


def _pairs(arms: dict[str, Runs], tested: bool) -> str:
    """Every arm against the first, and with the KL term against without it, by seeds."""
    first, *others = arms
    wanted = [(arm, first) for arm in others]
    wanted += [("sail-revkl", "sail")] if first != "sail" and "sail-revkl" in arms else []
    lines = [_pair(arms, *pair, tested) for pair in wanted if pair[1] in arms]
    if tested and not others:
        lines.append(f"No pair of arms has finished, only {first}: nothing can be concluded.")
    if tested:
        lines.append(
            f"To see the paper's largest effect, d = {PAPER_EFFECT}, with probability 0.8 at level "
            f"0.05 takes {st.runs_needed(PAPER_EFFECT, paired=True)} pairs, or "
            f"{st.runs_needed(PAPER_EFFECT, paired=False)} runs an arm without pairs."
        )
    return "\n\n".join(fill(line, 98) for line in lines)


def _pair(arms: dict[str, Runs], arm: str, base: str, tested: bool) -> str:
    pairs = [(score(one), score(other)) for _, one, other in both(arms[arm], arms[base])]
    x, y = np.array(pairs).reshape(-1, 2).T
    if len(pairs) < 2:
        difference = f"difference {x[0] - y[0]:+.1f}; " if pairs else ""
        return (
            f"{arm} − {base}: {len(pairs)} pair of seeds, {difference}of one pair nothing follows."
        )
    d = st.paired_d(x, y)
    better = st.improvement([x], [y], np.random.default_rng(0))
    return (
        f"{arm} − {base}, {len(pairs)} pairs: mean difference {np.mean(x - y):+.1f}, "
        f"d of the differences {_interval(d, len(pairs), 2)}, probability of improvement "
        f"{_interval(better, len(pairs), 2)}. "
        + (_conclusion(d, len(pairs)) if tested else "Described, not tested.")
    )


def _conclusion(d: Estimate, pairs: int) -> str:
    """What follows from the interval of d, and what does not."""
    chance = f"{100 * st.power(PAPER_EFFECT, pairs):.0f} %"
    seen = f"{pairs} pairs see d = {PAPER_EFFECT} with probability {chance}, and d ≥ "
    seen += f"{st.detectable(pairs):.2f} with probability 80 %."
    if not np.isfinite(d.value):
        return f"The runs do not differ. {seen}"
    planned = st.runs_needed(PAPER_EFFECT, paired=True)
    if pairs < planned:  # as pairs come in, looking each time would find an effect by chance
        beside = "leaves out" if d.excludes_zero else "holds"
        return (
            f"The interval {beside} 0; the design concludes at its {planned} pairs and not "
            f"before, so nothing is concluded yet. {seen}"
        )
    if d.excludes_zero:
        better = "better" if d.value > 0 else "worse"
        return f"The interval leaves out 0: the arm with the KL term is {better} here. {seen}"
    excluded = "excluded" if d.high < PAPER_EFFECT else "neither shown nor excluded"
    return f"The interval holds 0: no effect is shown. d = {PAPER_EFFECT} is {excluded}. {seen}"


def _interval(found: Estimate, runs: int, digits: int) -> str:
    if runs < 2 or not np.isfinite(found.value):
        return f"{found.value:.{digits}f}"
    return f"{found.value:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})"


def _dropped() -> str:
    """The share of the gradient that the starts' dependence would have."""
    if not DROPPED.exists():
        return ""
    found = json.loads(DROPPED.read_text(encoding="utf-8"))
    rows = [
        [beta, r["instances"], r["median"], f"{r['tenth']} to {r['ninetieth']}", r["largest"]]
        for beta, r in found.items()
    ]
    text = (
        "`sail` takes the score of a segment exactly, given its start; that the start itself "
        "depends on earlier actions is left out. On three-step MDPs, enumerated (`python -m "
        "benchmarks.segment_mdp`), its expected gradient is that of the stated objective to 1e-10, "
        "and what is left out is this share of the whole gradient, ‖difference‖ / ‖whole‖:"
    )
    head = ["β", "MDPs", "median", "10 % to 90 %", "largest"]
    return "## What the gradient leaves out\n\n" + fill(text, 98) + "\n\n" + table(head, rows)


def _curvature() -> str:
    """kl_coef against thresholds, and curvature along a run."""
    if not CURVATURE.exists():
        return ""
    found = json.loads(CURVATURE.read_text(encoding="utf-8"))
    gamma = found["gamma_of_kl_coef"]
    text = (
        "`python -m benchmarks.control_curvature`: one run of `pebble-revkl` on "
        f"{found['settings']['task']}, reference taken at step {found['settings']['since']:,}; "
        "four prompts of four of the actor's own segments of ten steps as candidates, β = 0.1. "
        f"kl_coef = {found['kl_coef']:g} on the mean over states is γ = {gamma:.0e} on the KL of a "
        "segment. The theorem asks for more than K_B on the candidates' linearisation, for the B "
        "given (the last row is the distance that the run had moved, the others parts of it):"
    )
    rows = [
        [short(t["radius"]), t["dimension"], short(t["feature_diameter"]), short(t["gamma_star"]),
         short(t["k_b"]), short(t["closed_form"]), short(t["gamma_star"] / gamma)]
        for t in found["thresholds"]
    ]  # fmt: skip
    head = ["B", "dim S", "D", "γ* (search)", "K_B", "closed form", "γ* ÷ γ"]
    keys = {
        "value": "J", "relative_max": "λ_max(∇²J, F̄)", "lambda_max": "λ_max(∇²J)",
        "lambda_min": "λ_min(∇²J)", "network_share": "network share", "pl_ratio": "PL ratio",
        "distance": "‖θ − θ_ref‖", "kl_ref_policy": "KL(π_ref‖π_θ)", "win_rate": "win rate",
    }  # fmt: skip
    along = [
        [r["step"], *("–" if r[key] is None else short(r[key]) for key in keys)]
        for r in found["records"]
    ]
    read = (
        "J, curvature and PL ratio ½‖∇J‖²/(best J seen − J) at the actor's parameters, on the "
        "candidates; λ_max(∇²J, F̄) is the generalised eigenvalue on range(F̄), which concavity of "
        "J_γ wants below γ; network share is the part of the curvature that log-linear policies "
        "do not have."
    )
    tops = [r["relative_max"] for r in found["records"]]
    above = sum(top > gamma for top in tops)
    ratios = [r["pl_ratio"] for r in found["records"] if r["pl_ratio"] is not None]
    conclusion = (
        f"λ_max(∇²J, F̄) lay between {short(min(tops))} and {short(max(tops))}, above γ in {above} "
        f"of {len(tops)} measurements and at least {min(tops) / gamma:,.0f} times as large: a KL "
        "term of this size does not make J_γ concave at the actors that the run passes through. "
        "γ* of the linearisation (a lower bound, by search) is of that size too, K_B far above. "
        f"The PL ratio, where there is one, lay between {short(min(ratios))} and "
        f"{short(max(ratios))}; it is taken against the best J seen, not the maximum, so the true "
        "one is smaller. One run, one seed, a small candidate set: this says that the theorem "
        "guarantees nothing there, not how the training ends. The log-ratios of `sail` grow "
        "faster: with segments of 50 steps, the policy on the candidates had no Fisher matrix "
        "left 500 updates after the reference was taken."
    )
    return "\n\n".join([
        "## kl_coef against the theorem, and curvature along a run", fill(text, 98),
        table(head, rows), fill(read, 98), table(["step", *keys.values()], along),
        fill(conclusion, 98),
    ])  # fmt: skip
