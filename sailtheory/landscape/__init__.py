"""Landscapes: the worst point on C for curvature, PL and the maximiser."""

from sailtheory.landscape.concavity import (
    Curvature,
    concavity,
    gamma_star,
    largest_curvature_on,
    largest_relative_curvature_on,
)
from sailtheory.landscape.domain import Domain
from sailtheory.landscape.maximiser import Maximiser, gain, maximise
from sailtheory.landscape.pencil import largest_curvature, largest_relative_curvature
from sailtheory.landscape.pl import PLConstant, pl_constant, pl_ratio
from sailtheory.landscape.search import Search, SearchResult

__all__ = [
    "Curvature",
    "Domain",
    "Maximiser",
    "PLConstant",
    "Search",
    "SearchResult",
    "concavity",
    "gain",
    "gamma_star",
    "largest_curvature",
    "largest_curvature_on",
    "largest_relative_curvature",
    "largest_relative_curvature_on",
    "maximise",
    "pl_constant",
    "pl_ratio",
]
