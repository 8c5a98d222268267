"""sailtheory: check the theory of SAIL and SAIL-RevKL, and say honestly what holds.

The commands are functions too, those of :mod:`sailtheory.api`.
"""

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

__version__ = "0.2.0"

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
