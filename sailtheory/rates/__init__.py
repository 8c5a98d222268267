"""Rates of series of gaps and exponents of sample sizes, with intervals, or 'undecided'."""

from sailtheory.rates.complexity import Complexity, sample_complexity
from sailtheory.rates.exponent import ExponentFit, fit_exponent
from sailtheory.rates.fit import RateFit, fit_rate
from sailtheory.rates.series_file import Series, read_series

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
