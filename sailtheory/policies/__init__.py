"""Neural policies and their objectives, in torch."""

from sailtheory.extras import require_extra

require_extra("torch", "torch")

from sailtheory.policies.autoregressive import TokenPolicy
from sailtheory.policies.data import Batch, CandidateData, Judge
from sailtheory.policies.gaussian import GaussianPolicy, TanhGaussianPolicy
from sailtheory.policies.objectives import CandidateObjective, sampled_sail
from sailtheory.policies.payoffs import (
    CandidatePayoff,
    RewardPayoff,
    SAILPayoff,
    candidate_payoff,
)
from sailtheory.policies.protocol import Policy, finite, kl, score
from sailtheory.policies.sequences import LogLinearSequences, SequenceObjectives, Sequences
from sailtheory.policies.softmax import CandidatePolicy, LastLayerPolicy, MLPPolicy

__all__ = [
    "Batch",
    "CandidateData",
    "CandidateObjective",
    "CandidatePayoff",
    "CandidatePolicy",
    "GaussianPolicy",
    "Judge",
    "LastLayerPolicy",
    "LogLinearSequences",
    "MLPPolicy",
    "Policy",
    "RewardPayoff",
    "SAILPayoff",
    "SequenceObjectives",
    "Sequences",
    "TanhGaussianPolicy",
    "TokenPolicy",
    "candidate_payoff",
    "finite",
    "kl",
    "sampled_sail",
    "score",
]
