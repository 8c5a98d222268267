"""Which objective a loss follows, and whether its terms move what they claim to move."""

from sailtheory.extras import require_extra

require_extra("torch", "torch")

from sailtheory.auditing.batches import Loss, LossBatch, Sampling
from sailtheory.auditing.decompose import Finding, Kind
from sailtheory.auditing.library import Objective, library
from sailtheory.auditing.loss import (
    Comparison,
    LossAudit,
    LossWitness,
    assert_gradient_of,
    audit_loss,
    loss_changes,
)
from sailtheory.auditing.models import SmallModel, small_models
from sailtheory.auditing.terms import Effect, Term, TermAudit, audit_terms

__all__ = [
    "Comparison",
    "Effect",
    "Finding",
    "Kind",
    "Loss",
    "LossAudit",
    "LossBatch",
    "LossWitness",
    "Objective",
    "Sampling",
    "SmallModel",
    "Term",
    "TermAudit",
    "assert_gradient_of",
    "audit_loss",
    "audit_terms",
    "library",
    "loss_changes",
    "small_models",
]
