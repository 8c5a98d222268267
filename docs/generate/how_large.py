"""``python -m docs.generate.how_large``: renew what code makes of docs/how-large-kl.md.

The table is of closed forms; the sentences have the numbers of studies/reward_kl.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from docs.generate import blocks
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.storage.files import write_text
from sailtheory.theory.reward_maximiser import maximiser_ref_policy
from sailtheory.theory.reward_methods import reward_method
from sailtheory.theory.reward_slopes import RewardMethod
from studies.render import fill, read
from studies.reward_kl.arms import NONE, REF_POLICY, Arm
from studies.reward_kl.page import Study

PAGE = Path(__file__).parents[1] / "how-large-kl.md"
GROUP, PASS_RATE = 8, 0.1
METHODS = (
    ("reward", "population", "RLOO, online DPO with ipo (γ = 2β)"),
    ("dr-grpo", "population", 'GRPO, `scale_rewards="none"`'),
    ("grpo", "sample", 'GRPO, `scale_rewards="group"` (the default)'),
    ("grpo", "population", "not in TRL: GRPO as published"),
    ("dynamic-sampling", "population", "not in TRL: groups drawn again until they differ"),
    ("log", "population", "not in TRL: training on the correct samples"),
    ("pass-at-k", "population", "not in TRL: pass@8"),
    ("maxrl", "population", "not in TRL: MaxRL"),
)


def tables() -> dict[str, str]:
    """All blocks by name."""
    return {"sentences": sentences(), "thresholds": thresholds()}


def renewed(page: str) -> str:
    """The page with its blocks as the code has them now."""
    return blocks.renewed(page, tables())


def thresholds() -> str:
    """K, the path threshold and what is left to learn at each, by method."""
    head = (
        "method", "who has this f", "K: any problem", "path: one prompt from p", "V at K",
        "V at path",
    )  # fmt: skip
    return blocks.table(head, [_row(*each) for each in METHODS])


def _row(name: str, std: str, where: str) -> tuple[str, ...]:
    method = reward_method(name, GROUP, std)
    known = method.threshold(FLOAT64)
    p = np.array(PASS_RATE)
    path = float(method.path(FLOAT64, p, 1 - p))
    title = method.title.replace("|", "\\|")
    if known is None:
        return title, where, "none: grows as p falls", f"{path:.3f}", "–", _left(method, path)
    return (
        title, where, f"{float(known):.3f}", f"{path:.3f}", _left(method, float(known)),
        _left(method, path),
    )  # fmt: skip


def _left(method: RewardMethod, gamma: float) -> str:
    """The tabular maximiser's pass rate."""
    found = maximiser_ref_policy(method, np.array([gamma]), np.array([PASS_RATE]))
    return f"{float(np.asarray(found).ravel()[0]):.3f}"


def sentences() -> str:
    """The four, with the study's numbers."""
    study = Study(read("reward_kl/evidence.json"))
    rates = study.data["pass_rates"]

    def passed(arm: Arm) -> str:
        found = (study.mean(study.of("pass_rate", 1, "none", arm, [p]))[0] for p in rates)
        return ", ".join(f"{value:.2f}" for value in found)

    def bad(arm: Arm) -> str:
        return f"{100 * study.mean(study.of('bad_objective', 1, 'none', arm))[0]:.0f} %"

    none, fifth, half, proved = (
        Arm(NONE, "0"), *(Arm(REF_POLICY, gamma) for gamma in ("0.2", "0.5", "K")),
    )  # fmt: skip
    sample = float(reward_method("grpo", GROUP, "sample").threshold(FLOAT64))
    told = (
        "**Enough, whatever the problem,** is KL(π_ref‖π_θ) of whole responses with γ above the "
        "range of the reward, 1 for rewards of 0 and 1; GRPO's division by the standard deviation "
        f"raises it to (G − 1)/√G, {sample:.2f} for G = {GROUP}. Both are proved where a response "
        "is one choice; for token sequences the first holds times ρ, the largest prefix ratio of "
        "π_θ to π_ref, and without ρ it can be too little (C30 to C32).",
        "**It is dear.** In [the study](../studies/reward_kl/page.md) training on one token from "
        f"the pass rates {', '.join(f'{p:g}' for p in rates)} ends at {passed(proved)} with γ = 1, "
        f"and at {passed(none)} without a KL.",
        "**Less is a trade.** With a fifth of what the problem itself needs it ends at "
        f"{passed(fifth)}, and {bad(fifth)} of random starts end in a bad maximum; {bad(none)} do "
        f"without a KL and {bad(half)} with half of it. The lower the pass rate, the worse both.",
        "**The KL of your trainer is probably another one.** TRL's GRPO has one by token, for "
        "which no γ is enough for every problem; RLOO has KL(π_θ‖π_ref), for which γ is enough "
        "where the reward is realisable or the domain small (C33, C34, C38). "
        "[Which one](which-kl.md) a command says.",
    )
    return "".join(fill(f"{k}. {text}", 3) for k, text in enumerate(told, 1))


def main() -> Any:
    """Renew the page."""
    write_text(renewed(PAGE.read_text(encoding="utf-8")), PAGE)


if __name__ == "__main__":
    main()
