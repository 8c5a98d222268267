"""Algorithms on C: projected, mirror, natural gradient, stochastic and two-level ascent."""

from sailtheory.ascent.bilevel import Nested, Penalty, TwoLevel, bilevel_ascent
from sailtheory.ascent.constants import (
    Constants,
    FieldConstants,
    constants,
    field_constants,
    regularisation,
    target_constants,
)
from sailtheory.ascent.estimators import Estimator, Moments, moments
from sailtheory.ascent.gradient import projected_ascent
from sailtheory.ascent.mirror import (
    MirrorMap,
    bregman_divergence,
    mirror_ascent,
    natural_gradient_ascent,
)
from sailtheory.ascent.pairs import spawn
from sailtheory.ascent.published import BiasedEstimator
from sailtheory.ascent.stochastic import Decaying, FixedBatch, Schedule, stochastic_ascent
from sailtheory.ascent.trajectory import Trajectory

__all__ = [
    "BiasedEstimator",
    "Constants",
    "Decaying",
    "Estimator",
    "FieldConstants",
    "FixedBatch",
    "MirrorMap",
    "Moments",
    "Nested",
    "Penalty",
    "Schedule",
    "Trajectory",
    "TwoLevel",
    "bilevel_ascent",
    "bregman_divergence",
    "constants",
    "field_constants",
    "mirror_ascent",
    "moments",
    "natural_gradient_ascent",
    "projected_ascent",
    "regularisation",
    "spawn",
    "stochastic_ascent",
    "target_constants",
]
