"""sailtheory: check the theory of SAIL and SAIL-RevKL, and say honestly what holds."""

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
]
