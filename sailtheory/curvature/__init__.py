"""Matrix-free curvature of neural policies, in torch and as SciPy operators."""

from sailtheory.extras import require_extra

require_extra("torch", "torch")

from sailtheory.curvature.block import block_extremal
from sailtheory.curvature.density import (
    SpectralDensity,
    TraceEstimate,
    diagonal,
    spectral_density,
    trace,
)
from sailtheory.curvature.lanczos import Extremal, extremal, random_vector
from sailtheory.curvature.monitor import CurvatureMonitor
from sailtheory.curvature.operators import (
    CurvatureOperator,
    EmpiricalFisherOperator,
    FisherOperator,
    GaussNewtonOperator,
    HessianOperator,
)
from sailtheory.curvature.parameters import Subset
from sailtheory.curvature.relative import FisherRange, RelativeCurvature, relative_curvature
from sailtheory.curvature.split import Split, curvature_split, pointwise_bound
from sailtheory.curvature.witness import CurvatureWitness, witness

__all__ = [
    "CurvatureMonitor",
    "CurvatureOperator",
    "CurvatureWitness",
    "EmpiricalFisherOperator",
    "Extremal",
    "FisherOperator",
    "FisherRange",
    "GaussNewtonOperator",
    "HessianOperator",
    "RelativeCurvature",
    "SpectralDensity",
    "Split",
    "Subset",
    "TraceEstimate",
    "block_extremal",
    "curvature_split",
    "diagonal",
    "extremal",
    "pointwise_bound",
    "random_vector",
    "relative_curvature",
    "spectral_density",
    "trace",
    "witness",
]
