"""The page of :mod:`studies.llm_arms`: ``python -m studies.llm_arms.page``."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

import numpy as np
from scipy import stats

from sailtheory import BradleyTerry, PreferenceProblem
from sailtheory.analysis.check import theorem_threshold
from sailtheory.certificates import certify_gamma
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.storage.files import write_text
from sailtheory.theory import bounds
from sailtheory.training.llm.winrate import at_equal_length, by_reward, win_rate
from studies.certificates.page import table

DATA, PAGE = "studies/llm_arms/evidence.json", "studies/llm_arms/page.md"
BIAS = Path("studies/llm_arms/bias.json")
Run = dict[str, Any]
Arms = dict[str, list[Run]]

_INTRO = """\
# Language models: what SFT, DPO, SAIL and SAIL-RevKL did

Written by `python -m studies.llm_arms.page` from studies/llm_arms/evidence.json (version
{version}), to which `python -m studies.llm_arms --runs FOLDER` adds runs as they finish. Its
docstring is the design, written down before the runs.

SmolLM2-135M-Instruct (4-bit weights that pip can install, computed in float32) is π_ref and the
start of every arm; temperature {temperature}, completions of at most {tokens} tokens, β = {beta}.
The oracle `kind_and_brief` is a formula (friendly, short, finished, in plain words), with one
Bradley–Terry label a pair, P = σ({scale:g}(r₁ − r₂)). Each arm has the same {updates} updates of
{batch} prompts, {drawn} drawn completions and {labels} labels; AdamW at a rate of {rate:g}.
The KL term has {labels} more draws, from π_ref. Everything is measured on
72 prompts that no arm saw.

{count} runs: {runs}.

What the trainer takes, does and refuses: [llm-training.md](llm-training.md).
"""

_ARMS = """
## Each arm against π_ref

Last block tuned (3.5 million of 135 million parameters). Means over the runs ± half a 95 % t
interval over the seeds. *Win rate*: two completions a prompt and seed, ties half, with a 95 %
Wilson interval over all comparisons, which takes them for independent; *at equal length*: fitted
with the difference in words. Both KLs are in nats a completion, by unbiased estimators on
held-out prompts: KL(π_ref‖π_θ) from draws of π_ref, KL(π_θ‖π_ref) from draws of π_θ.
"""

_BUDGETS = """
Equal for all arms of a seed: prompts, updates, and the judged pair a prompt, drawn by π_ref before
training for sft and dpo and by π_θ in training for SAIL. Not equal: the KL arms draw a third
completion a prompt, from π_ref, and are trained on it. Tokens drawn in training, means over the
seeds:
"""

_BIAS = """
## Variants of the gradient, and their bias

The shipped gradient is unbiased, shown by enumeration (tests/training/llm/test_gradient.py). Of its
variants that are not, ‖mean − exact‖/‖exact‖ on a model of so many words and at most three tokens
(`python -m studies.llm_arms.bias`):
"""

_BETWEEN = """
## Between arms

Win rate of the row over the column, runs of one seed against one another.
"""

_EFFECT = """
## What kl_coef did

Differences to kl_coef = 0 of the same seed, mean ± half a 95 % t interval over the seeds. An
effect is reported if the interval excludes 0.
"""

_CURVES = """
## Along training

Mean reward of the completions drawn from π_θ in each quarter of the updates (training prompts,
each seen once), and KL(π_ref‖π_θ) on the batches where it is estimated; means over the seeds.
Gradient norms are before clipping at 1. A loss that is not finite would have stopped its run;
none of these did.
"""

_LORA = """
## LoRA

Rank 64 on all linear layers, seed 0, the same budgets and learning rate; beside it the same seed
with the last block tuned.
"""

_THEORY = """
## The theorem's thresholds beside kl_coef

The theorem is about log-linear policies, and a language model is none; what follows is a
comparison, not a guarantee. For each held-out prompt with a draw of each, take the
completion of π_ref and that of the trained policy as two candidates, and as the feature the
log-ratio log π_θ/π_ref, so that θ from 0 to 1 is the line on which the log-linear policy goes from
π_ref to the trained ratio (uniform base, B = 1, the oracle's Bradley–Terry preferences). Range of
the log-ratio on a prompt: median and largest over prompts, median over the seeds. K_B: the bound of
C11 at Z = β times the largest range. γ*: certified for that problem, upper end.
"""


def page(data: dict[str, Any]) -> str:
    """Markdown from the JSON data."""
    arms = by_arm(data["runs"], "last-block")
    lora = by_arm(data["runs"], "lora")
    counts = [f"{name} {len(runs)}" for name, runs in arms.items()]
    if lora:
        counts.append(f"with LoRA {sum(map(len, lora.values()))}")
    labels = data["updates"] * data["batch"]
    shown = data | {
        "drawn": 2 * labels, "labels": labels, "runs": ", ".join(counts),
        "count": sum(len(runs) for runs in [*arms.values(), *lora.values()]),
    }  # fmt: skip
    base = {run["seed"]: run for run in data["runs"] if run["arm"] == "reference"}
    parts = [_INTRO.format(**shown), _ARMS, _arms(arms, base), _BUDGETS, _budgets(arms),
             _BETWEEN, _between(arms), _EFFECT, _effect(arms), _CURVES, _curves(arms)]  # fmt: skip
    parts += [_LORA, _lora(lora, arms, base)] if lora else []
    parts += [_THEORY, _theory(arms, base, data)]
    parts += [_BIAS, _bias(), _conclusion(arms, data)]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def by_arm(runs: Sequence[Run], tuning: str) -> Arms:
    """Runs by arm, in the order of the file, which is that of the design."""
    found: Arms = {}
    for run in runs:
        if run["tuning"] == tuning:
            found.setdefault(run["arm"], []).append(run)
    return found


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half a 95 % t interval; infinite for one value."""
    if len(values) < 2:
        return fmean(values), math.inf
    half = stats.t.ppf(0.975, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return fmean(values), float(half)


def kl(run: Run, name: str) -> float:
    """KL(π_ref‖π_θ) or KL(π_θ‖π_ref) of a run, a mean over prompts."""
    return -fmean(run["log_ratio_ref"]) if name == "ref" else fmean(run["log_ratio"])


def pooled(mine: Sequence[Run], theirs: dict[int, Run]) -> tuple[Any, Any]:
    """Win rate and win rate at equal length over all seeds that both have."""
    pairs = [(run, theirs[run["seed"]]) for run in mine if run["seed"] in theirs]

    def joined(name: str, side: int) -> list[float]:
        return [value for pair in pairs for value in pair[side][name]]

    outcomes = by_reward(joined("rewards", 0), joined("rewards", 1))
    return win_rate(outcomes), at_equal_length(outcomes, joined("words", 0), joined("words", 1))


def _fixed(value: float) -> str:
    """Two decimals, and no sign of a zero."""
    return f"{round(value, 2) + 0.0:.2f}"


def _pm(values: Sequence[float]) -> str:
    mean, half = interval(values)
    return f"{_fixed(mean)} ± {half:.2f}" if math.isfinite(half) else _fixed(mean)


def _share(found: Any) -> str:
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def _arms(arms: Arms, base: dict[int, Run]) -> str:
    head = ["arm", "seeds", "win rate over π_ref", "at equal length", "mean reward", "words",
            "KL(π_ref‖π_θ)", "KL(π_θ‖π_ref)"]  # fmt: skip
    mean: Callable[[Run], float] = lambda run: fmean(run["rewards"])  # noqa: E731
    out = [["π_ref", len(base), "–", "–", _pm([mean(r) for r in base.values()]),
            f"{fmean(fmean(r['words']) for r in base.values()):.1f}", "0", "0"]]  # fmt: skip
    for name, runs in arms.items():
        won, level = pooled(runs, base)
        out.append([
            name, len(runs), _share(won), _share(level), _pm([mean(r) for r in runs]),
            f"{fmean(fmean(r['words']) for r in runs):.1f}",
            _pm([kl(r, "ref") for r in runs]), _pm([kl(r, "policy") for r in runs]),
        ])  # fmt: skip
    return table(head, out)


def _budgets(arms: Arms) -> str:
    out = []
    for name, runs in arms.items():
        spent = [{key: run["curves"][f"spent/{key}"][1][-1] for key in ("updates", "tokens")}
                 for run in runs]  # fmt: skip
        updates, tokens = (fmean(s[key] for s in spent) for key in ("updates", "tokens"))
        drawn = {"sft": "–", "dpo": "–"}.get(name, "2 by π_θ")
        out.append([name, f"{updates:g}", drawn + " and 1 by π_ref" * (" kl " in name),
                    f"{tokens:,.0f}"])  # fmt: skip
    return table(["arm", "updates", "completions drawn a prompt", "tokens drawn"], out)


def _bias() -> str:
    listed = json.loads(BIAS.read_text(encoding="utf-8"))
    rows = [[name, *(f"{found[name]:.2f}" for found in listed.values())] for name in listed["3"]]
    return table(["variant", *(f"{words} words" for words in listed)], rows)


def _between(arms: Arms) -> str:
    columns = [name for name in ("sft", "dpo", "sail-dpr") if name in arms]
    out = []
    for name, runs in arms.items():
        row: list[Any] = [name]
        for other in columns:
            if other == name:
                row.append("–")
                continue
            won, _ = pooled(runs, {run["seed"]: run for run in arms[other]})
            row.append(_share(won))
        out.append(row)
    return table(["arm", *(f"over {name}" for name in columns)], out)


def differences(arms: Arms, name: str, value: Callable[[Run], float]) -> list[float]:
    """Value of an arm less that of sail-dpr without KL, seed by seed."""
    plain = {run["seed"]: value(run) for run in arms.get("sail-dpr", [])}
    return [value(run) - plain[run["seed"]] for run in arms[name] if run["seed"] in plain]


def effect(values: Sequence[float]) -> str:
    """Whether the interval of the difference excludes 0."""
    mean, half = interval(values)
    if not math.isfinite(half):
        return "one seed: none can be shown"
    return ("raised" if mean > 0 else "lowered") if abs(mean) > half else "no effect shown"


def _effect(arms: Arms) -> str:
    out = []
    for name in arms:
        if " kl " not in name:
            continue
        found = differences(arms, name, lambda run: kl(run, "ref"))
        if not found:
            continue
        out.append([
            name.split()[-1], len(found), _pm(found), effect(found),
            _pm(differences(arms, name, lambda run: kl(run, "policy"))),
            _pm(differences(arms, name, lambda run: fmean(run["rewards"]))),
        ])  # fmt: skip
    head = ["kl_coef", "seeds", "KL(π_ref‖π_θ)", "it was", "KL(π_θ‖π_ref)", "mean reward"]
    return table(head, out)


def _curves(arms: Arms) -> str:
    out = []
    for name, runs in arms.items():
        rewards = [r["curves"].get("rewards/mean") for r in runs]
        quarters = ["–"] * 4
        if all(rewards):
            each = [np.array_split(np.array(series[1]), 4) for series in rewards]
            quarters = [_fixed(fmean(q[k].mean() for q in each)) for k in range(4)]
        kls = [r["curves"].get("kl_ref_policy") for r in runs]
        path = "–"
        if all(kls) and all(len(k[0]) > 4 for k in kls):
            each = [np.array_split(np.array(series[1]), 4) for series in kls]
            path = ", ".join(_fixed(fmean(q[k].mean() for q in each)) for k in range(4))
        norms = max(r["largest_grad_norm"] for r in runs)
        out.append([name, *quarters, path, f"{norms:.1f}"])
    head = ["arm", *(f"reward, quarter {k}" for k in range(1, 5)), "KL(π_ref‖π_θ) by quarter",
            "largest gradient norm"]  # fmt: skip
    return table(head, out)


def _lora(lora: Arms, arms: Arms, base: dict[int, Run]) -> str:
    out = []
    for name, runs in lora.items():
        for tuning, chosen in (("LoRA", runs), ("last block", arms.get(name, []))):
            chosen = [run for run in chosen if run["seed"] == 0]
            if not chosen:
                continue
            won, _ = pooled(chosen, base)
            kls = [_fixed(kl(chosen[0], side)) for side in ("ref", "policy")]
            mean = _fixed(fmean(chosen[0]["rewards"]))
            out.append([name, tuning, _share(won), mean, *kls])
    head = ["arm", "tuning", "win rate over π_ref", "mean reward", "KL(π_ref‖π_θ)",
            "KL(π_θ‖π_ref)"]  # fmt: skip
    return table(head, out)


def candidates(run: Run, base: Run, data: dict[str, Any]) -> PreferenceProblem:
    """Two candidates a prompt, one of π_ref and one of π_θ, with the log-ratio as feature."""
    kept = [i for i in range(len(run["rewards"]) // data["draws"]) if i % 3 < 2]
    ratios = np.array([run["log_ratio_ref"], run["log_ratio"]]).T  # (prompts, 2)
    rewards = np.array([[base["rewards"][i], run["rewards"][i]] for i in kept])
    return PreferenceProblem(
        features=ratios[:, :, None], radius=1, beta=data["beta"],
        preferences=[BradleyTerry(data["scale"] * r) for r in rewards],
    )  # fmt: skip


def _theory(arms: Arms, base: dict[int, Run], data: dict[str, Any]) -> str:
    out = []
    for name, runs in arms.items():
        if not name.startswith(("dpo", "sail")):
            continue
        rows = []
        for run in runs:
            problem = candidates(run, base[run["seed"]], data)
            spans = np.abs(np.subtract(run["log_ratio"], run["log_ratio_ref"]))
            found = certify_gamma(problem, 0.01)
            rows.append((float(np.median(spans)), float(spans.max()), theorem_threshold(problem),
                         float(found.gamma) if found.gamma is not None else math.nan))  # fmt: skip
        cells = [median(column) for column in zip(*rows, strict=True)]
        used = name.split()[-1] if " kl " in name else "0" if name.startswith("sail") else "–"
        out.append([name, used, *(f"{v:.3g}" for v in cells)])
    head = ["arm", "kl_coef", "median range", "largest range", "K_B", "γ*"]
    path = float(bounds.path_threshold(FLOAT64, data["beta"]))
    return f"{table(head, out)}\n\n{_beside(out)} C11 (iv), for one prompt, asks for {path:.3g}."


def _beside(rows: list[list[Any]]) -> str:
    """Where each kl_coef > 0 lies between γ* and K_B."""
    said = []
    for _, used, _, _, proved, needed in rows:
        if used in ("0", "–"):
            continue
        above = "above" if float(used) > float(needed) else "below"
        said.append(f"{used} is {above} γ* and {float(proved) / float(used):.3g} times below K_B")
    return f"Of these kl_coefs, {'; '.join(said)}." if said else ""


def _points(won: Any) -> str:
    value, low, high = (100 * (x - 0.5) for x in (won.value, won.low, won.high))
    return f"{value:+.1f} points of win rate ({low:+.1f} to {high:+.1f})"


def _conclusion(arms: Arms, data: dict[str, Any]) -> str:
    lines = ["## What can and cannot be concluded", ""]
    sail, dpo = arms.get("sail-dpr", []), arms.get("dpo", [])
    if sail and dpo:
        won, _ = pooled(sail, {run["seed"]: run for run in dpo})
        said = "no difference" if won.low <= 0.5 <= won.high else "a difference"
        lines.append(
            f"- SAIL against DPO at equal budgets: {_points(won)}; {said} is shown. The paper's "
            "figures, known second-hand, are 17 points of its method over DPO and 14 over SAIL; "
            "SAIL's own are up to 11.6 over DPO. They are for models of 0.5 to 8 "
            "billion parameters, longer training and other judges."
        )
    for name in arms:
        if " kl " not in name or not differences(arms, name, lambda run: kl(run, "ref")):
            continue
        found = differences(arms, name, lambda run: kl(run, "ref"))
        won, _ = pooled(arms[name], {run["seed"]: run for run in sail})
        lines.append(
            f"- kl_coef = {name.split()[-1]}: on KL(π_ref‖π_θ) {effect(found)} "
            f"({_pm(found)} nats); over SAIL without it {_points(won)}."
        )
    lines += [
        f"- Not shown: anything about more than {data['updates']} updates, longer answers, larger "
        "models, other oracles, or human judgement. The oracle is a formula, and a policy that "
        "pleases it need not please anybody. The learning rate was chosen on SAIL and SFT alone, "
        "and is not the best one for any arm.",
        "- The intervals over seeds rest on very few seeds; those of win rates take completions "
        "of one run for independent. Both KLs are means over 48 prompts.",
        "- The gradient that these runs follow is the one shown unbiased by enumeration "
        "(tests/training/llm/test_gradient.py); whether the theorem's curvature carries over to a "
        "language model is not shown by them.",
    ]
    return "\n".join(lines)


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=DATA)
    parser.add_argument("--table", default=PAGE)
    arguments = parser.parse_args()
    data = json.loads(Path(arguments.data).read_text(encoding="utf-8"))
    write_text(page(data), arguments.table, "table")


if __name__ == "__main__":
    main()
