"""kl_coef against the theorem's thresholds, and curvature along one run of ``sail-revkl``.

``python -m studies.control_arms.curvature [--steps N] [--out FILE]``

cheetah-run, seed 0, the settings of studies.control_arms except for the reference,
taken once at step 3,000 so that a short run sees it. From then on a probe (four prompts of
four of the actor's own segments of ten steps as candidates, β = 0.1) measures J, its curvature
and the PL ratio at the actor's parameters. The candidates' linearisation at π_ref is a
log-linear problem; its thresholds are taken for B = ‖θ − θ_ref‖ as measured. γ* is found by
search, so it may be larger. What γ a kl_coef is depends on the weight of J and on the length of
the segments (``segment_gamma`` in studies/control_arms/theory.py); both are kept, with the
length of the candidates.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from sailtheory.analysis.check import theorem_threshold
from sailtheory.landscape import gamma_star
from sailtheory.storage.files import write_text
from sailtheory.theory import bounds
from sailtheory.training.control.probe import ActorProbe
from sailtheory.training.control.settings import settings_of
from sailtheory.training.control.train import Trainer
from studies.control_arms.__main__ import SMALLER
from studies.control_arms.segments import METHODS, SegmentSettings

OUT = Path("studies/control_arms/curvature.json")
SINCE, EVERY, LENGTH = 3000, 300, 10
MEASURED = (
    "value", "lambda_max", "lambda_min", "relative_max", "relative_min", "network_share",
    "gradient_norm", "pl_ratio", "distance", "kl_ref_policy", "win_rate", "z_range",
)  # fmt: skip


def thresholds(probe: ActorProbe, radius: float) -> dict[str, Any]:
    """γ*, K_B and the closed form of the linearised candidates at one B."""
    problem = probe.linearised(radius)
    return {
        "radius": radius,
        "dimension": problem.span.dimension,
        "feature_diameter": problem.feature_diameter,
        "gamma_star": gamma_star(problem).value,
        "k_b": theorem_threshold(problem),
        "closed_form": float(
            bounds.closed_form_threshold(
                probe.objective.beta, problem.feature_diameter, radius, 0.0
            )
        ),
    }


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--out", default=OUT)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    changed = SMALLER | {"steps": asked.steps, "reference.since": SINCE, "reference.every": None}
    settings = settings_of("cheetah-run", "sail-revkl", 0, changed, {"evaluate_every": 10**9})
    trainer, probe, records = Trainer(settings, [0], method=METHODS["sail-revkl"]), None, []
    for step in range(1, asked.steps + 1):
        trainer.advance()
        if step >= SINCE and (step - SINCE) % EVERY == 0:
            if probe is None:
                probe = ActorProbe(trainer, length=LENGTH)
            probe.follow()
            found = probe.monitor.measure()
            probe.monitor.records.append({"step": step} | found)
            records.append({"step": step} | {name: found[name] for name in MEASURED})
            print(json.dumps(records[-1]), flush=True)
    assert probe is not None
    radius = float(trainer.agent.distance()[0])  # type: ignore[attr-defined]
    result = {
        "settings": {
            "task": settings.task,
            "method": settings.method,
            "seed": settings.seed,
            "steps": settings.steps,
            "since": settings.reference.since,
        },
        "kl_coef": settings.kl_coef,
        "length": LENGTH,
        "segment": settings.feedback.segment,
        "sail_weight": SegmentSettings().weight,
        "thresholds": [thresholds(probe, radius * part) for part in (0.01, 0.1, 1.0)],
        "records": records,
    }
    write_text(json.dumps(result, indent=1) + "\n", asked.out)
    print(json.dumps(result["thresholds"]))


if __name__ == "__main__":
    main()
