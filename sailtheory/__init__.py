"""sailtheory: check the theory of SAIL and SAIL-RevKL, and say honestly what holds.

The commands are functions too: :func:`audit`, :func:`check`, :func:`certify`, :func:`replay`,
:func:`frontier`, :func:`rates`, :func:`sweep`, :func:`reward_thresholds` and :func:`problem_from`.
"""

from typing import TYPE_CHECKING, Any

from sailtheory.errors import InputError
from sailtheory.objectives.algebra import Objective
from sailtheory.objectives.fields import ExpectedReward, Gain, OnlineDPO, OnlineDPORevKL
from sailtheory.objectives.sail import (
    DPO,
    IPO,
    SAIL,
    HessianTerms,
    KLPolicyRef,
    KLRefPolicy,
    SAILRevKL,
    SelfPreferenceSAIL,
    StopGradientSelfPreference,
)
from sailtheory.problem.preferences import BradleyTerry, PreferenceMatrix
from sailtheory.problem.problem import PreferenceProblem

if TYPE_CHECKING:
    from sailtheory.api import (
        audit,
        certify,
        check,
        frontier,
        problem_from,
        rates,
        replay,
        reward_thresholds,
        sweep,
    )

__version__ = "0.1.0"

__all__ = [
    "DPO",
    "IPO",
    "SAIL",
    "BradleyTerry",
    "ExpectedReward",
    "Gain",
    "HessianTerms",
    "InputError",
    "KLPolicyRef",
    "KLRefPolicy",
    "Objective",
    "OnlineDPO",
    "OnlineDPORevKL",
    "PreferenceMatrix",
    "PreferenceProblem",
    "SAILRevKL",
    "SelfPreferenceSAIL",
    "StopGradientSelfPreference",
    "__version__",
    "audit",
    "certify",
    "check",
    "frontier",
    "problem_from",
    "rates",
    "replay",
    "reward_thresholds",
    "sweep",
]


def __getattr__(name: str) -> Any:
    """The functions, imported when they are asked for."""
    if name in __all__:
        from sailtheory import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
