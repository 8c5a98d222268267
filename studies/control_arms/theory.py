"""Values of the page's sections that compare the arms with the theory, from JSON files alone."""

from __future__ import annotations

from statistics import median
from typing import Any

from studies.control_arms.segments import SegmentSettings
from studies.render import read

HEAVY = 0.1
"""Weight of J of the plan ``heavy``."""
LEARNS = 2000
"""Step by which the reward is learned and the critic drawn anew."""
Values = dict[str, Any]


def segment_gamma(kl_coef: float, length: int, weight: float) -> float:
    """γ of J − γ KL(π_ref‖π_θ) over segments, where weight · J − kl_coef · (mean KL) is ascended.

    The KL of a segment is the sum of those at its states, so ``length`` times their mean.

    Args:
        kl_coef: Coefficient of the KL, a mean over states.
        length: Steps L of a segment.
        weight: Of J, a mean over pairs of segments.
    """
    return kl_coef / (weight * length)


def left_out() -> Values:
    """What the gradient of ``sail`` leaves out: that states depend on the actions before them."""
    found, age = read("control_arms/segment_mdp.json"), read("control_arms/segment_age.json")
    learning = [row["median"] for row in age["rows"] if row["steps"][0] > LEARNS]
    close = [r["apart"] for r in found["moved"] if r["weighed_error"] < r["redrawn_error"]]
    return {
        "shares": found["left_out"], "moved": found["moved"], "age": age,
        "learns": LEARNS, "heavy": HEAVY, "medians": (min(learning), max(learning)),
        "close": max(close),
    }  # fmt: skip


def noise() -> Values:
    """How large the terms of J are beside SAC's, and the weight that follows."""
    found = read("control_arms/segment_noise.json")
    rows = [r | {"ratio": r["sac_noise"] / r["score_noise"]} for r in found["rows"]]
    ratios, default = [r["ratio"] for r in rows], SegmentSettings().weight
    return found | {
        "rows": rows,
        "hidden": sum(r["score_mean"] == 0 for r in rows),
        "lost": max(1 - r["best_noise"] / r["score_noise"] for r in rows),
        "same": median(r["score_noise"] / r["same_noise"] for r in rows),
        "heavy": HEAVY, "heavy_times": (HEAVY / max(ratios), HEAVY / min(ratios)),
        "ratio": median(ratios),
        "default": default, "default_times": (default / max(ratios), default / min(ratios)),
    }  # fmt: skip


def curvature() -> Values:
    """kl_coef against thresholds, and curvature along a run."""
    found = read("control_arms/curvature.json")
    kl_coef, weight, records = found["kl_coef"], found["sail_weight"], found["records"]
    tops = [r["relative_max"] for r in records]
    pl_ratios = [r["pl_ratio"] for r in records if r["pl_ratio"] is not None]
    stars = [t["gamma_star"] for t in found["thresholds"]]
    gammas = {w: segment_gamma(kl_coef, found["length"], w) for w in (1.0, weight)}
    return found | {
        "gamma": segment_gamma(kl_coef, found["segment"], weight),
        "gammas": gammas,
        "above": [
            {"gamma": g, "count": sum(top > g for top in tops), "times": min(tops) / g}
            for g in gammas.values()
        ],
        "concave_nowhere": min(tops) > max(gammas.values()),
        "tops": (min(tops), max(tops)), "stars": (min(stars), max(stars)),
        "pl_ratios": (min(pl_ratios), max(pl_ratios)),
        "apart": min(t["k_b"] / t["gamma_star"] for t in found["thresholds"]),
    }  # fmt: skip
