"""Rates of series of gaps and exponents of sample sizes, with intervals, or 'undecided'."""

from sailtheory.rates.exponent import ExponentFit, fit_exponent
from sailtheory.rates.fit import RateFit, fit_rate
from sailtheory.rates.series_file import Series, read_series

__all__ = ["ExponentFit", "RateFit", "Series", "fit_exponent", "fit_rate", "read_series"]
