"""Rates of series of gaps and exponents of sample sizes, with intervals, or 'undecided'."""

from sailtheory.convergence.complexity import Complexity, sample_complexity
from sailtheory.convergence.exponent import ExponentFit, fit_exponent
from sailtheory.convergence.fit import RateFit, fit_rate
from sailtheory.convergence.series_file import Series, read_series

__all__ = [
    "Complexity",
    "ExponentFit",
    "RateFit",
    "Series",
    "fit_exponent",
    "fit_rate",
    "read_series",
    "sample_complexity",
]
