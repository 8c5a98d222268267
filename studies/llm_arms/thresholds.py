"""The theorem's thresholds for the runs of :mod:`studies.llm_arms`.

``python -m studies.llm_arms.thresholds`` writes studies/llm_arms/thresholds.json from
evidence.json: for each run with a log-ratio, how far it ranges on a prompt, K_B and γ*. The
problem has two candidates a prompt, a draw of π_ref and one of the trained policy, with the
log-ratio log π_θ/π_ref as feature.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from sailtheory import BradleyTerry, PreferenceProblem
from sailtheory.analysis.check import theorem_threshold
from sailtheory.certificates import certify_gamma
from sailtheory.storage.files import write_text
from studies.render import read

OUT = "studies/llm_arms/thresholds.json"
Run = dict[str, Any]


def candidates(run: Run, base: Run, data: dict[str, Any]) -> PreferenceProblem:
    """Two candidates a prompt, one of π_ref and one of π_θ, with the log-ratio as feature."""
    chosen = [i for i in range(len(run["rewards"]) // data["draws"]) if i % 3 < 2]
    ratios = np.array([run["log_ratio_ref"], run["log_ratio"]]).T  # (prompts, 2)
    rewards = np.array([[base["rewards"][i], run["rewards"][i]] for i in chosen])
    return PreferenceProblem(
        features=ratios[:, :, None], radius=1, beta=data["beta"],
        preferences=[BradleyTerry(data["scale"] * r) for r in rewards],
    )  # fmt: skip


def ranges(run: Run) -> dict[str, float]:
    """How far apart the log-ratios of the two candidates of a prompt are."""
    spans = np.abs(np.subtract(run["log_ratio"], run["log_ratio_ref"]))
    return {"median_range": float(np.median(spans)), "largest_range": float(spans.max())}


def thresholds(run: Run, base: Run, data: dict[str, Any]) -> dict[str, Any]:
    """K_B, and the certified upper end of γ* to 1 %."""
    problem = candidates(run, base, data)
    found = certify_gamma(problem, 0.01).gamma
    return {
        "arm": run["arm"], "seed": run["seed"], **ranges(run),
        "K_B": theorem_threshold(problem), "gamma_star": None if found is None else float(found),
    }  # fmt: skip


def main() -> None:
    """Compute and write."""
    data = read("llm_arms/evidence.json")
    base = {run["seed"]: run for run in data["runs"] if run["arm"] == "reference"}
    found = [
        thresholds(run, base[run["seed"]], data)
        for run in data["runs"]
        if run["tuning"] == "last-block" and run["arm"] != "sft"
    ]
    write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", OUT)


if __name__ == "__main__":
    main()
