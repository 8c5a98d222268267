"""The thresholds for γ that are proved or certified, from the widest to the tightest.

closed form ≥ K_B ≥ K_data ≥ ḡ ≥ γ*. K_B holds for every problem of one β and Z_max (C11), K_data
for the preferences and intervals of this one (C25), ḡ for its prompts one by one (C23).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sailtheory.certificates.prompts.certify import Plan, certify_prompts
from sailtheory.certificates.prompts.parallel import Workers
from sailtheory.certificates.refine import Budget
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.problem.reduced import ProblemPrompts
from sailtheory.verdict import Evidence, enough

__all__ = ["Ladder", "ladder"]

_FEW, _MANY = (5, 2_000), (150, 100_000)  # boxes a prompt, and at least in all


@dataclass(frozen=True)
class Ladder:
    """Bounds of γ* that hold for sure.

    Attributes:
        relative: K_B (C11), proved.
        data: K_data (C25), certified; never above K_B.
        per_prompt: An upper bound of ḡ = max_x γ*_x (C23), certified; never above K_data.
        per_prompt_lower: A value of γ*_x at a point, in ball arithmetic; None where none was
            confirmed.
        most_prompts: The bound that holds for 99 % of the prompts, by weight.
        worst: The prompts that set ḡ: position, value found, bound. The value takes the m − 1
            differences of a prompt for independent; else its γ*_x may be smaller.
    """

    relative: float
    data: float
    per_prompt: float
    per_prompt_lower: float | None
    most_prompts: float
    worst: tuple[tuple[int, float, float], ...]

    @property
    def least(self) -> float:
        """The least γ that is known to suffice."""
        return min(self.relative, self.data, self.per_prompt)

    def proofs(self, gamma: float, strict: bool = False) -> list[Evidence]:
        """Why J_γ is concave on C, or (``strict``) strongly concave on S and PL; empty without."""
        sign, claims = (">", "C12, C13") if strict else ("≥", "C11")
        data = f"γ {sign} {self.least:.6g} ≥ ḡ, the threshold of each prompt ({claims}, C23)"
        proved = self.relative, f"γ {sign} K_B ({claims})"
        return enough(gamma, proved, (self.least, data), strict)


def ladder(
    problem: PreferenceProblem,
    relative: float,
    effort: str = "quick",
    progress: Callable[[str], None] = lambda stage: None,
    jobs: int = 1,
) -> Ladder | None:
    """Bounds of γ* from the prompts of a problem, None where no policy moves.

    Args:
        problem: The problem.
        relative: K_B.
        effort: ``full`` opens as many boxes for each prompt as a certificate, all else few.
        progress: Called with what is being done.
        jobs: Processes, which share the prompts; they change no number.
    """
    source = ProblemPrompts(problem)
    boxes = _MANY if effort == "full" else _FEW
    tight = certify_prompts(
        source, Plan(None, Budget(progress=progress), Workers(jobs), boxes=boxes)
    )
    if tight.first is None:
        return None
    data = min(relative, tight.first)
    return Ladder(
        relative=relative,
        data=data,
        per_prompt=data if tight.gamma is None else min(data, tight.gamma),
        per_prompt_lower=tight.lower,
        most_prompts=min(data, tight.levels[-1].gamma),
        worst=tight.worst,
    )
