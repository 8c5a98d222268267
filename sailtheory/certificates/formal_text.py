"""Problems and numbers as Coq terms."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from sailtheory.errors import InputError
from sailtheory.numeric.exact import exact_array, to_fraction
from sailtheory.problem.preferences import BradleyTerry
from sailtheory.problem.problem import PreferenceProblem

__all__ = ["above", "coq_data", "matrix", "rational", "real"]

_DENOMINATOR = 10**9


def above(value: float | Fraction) -> Fraction:
    """A rational of small denominator at or above a number."""
    return Fraction(math.ceil(Fraction(value) * _DENOMINATOR), _DENOMINATOR)


def coq_data(problem: PreferenceProblem) -> str:
    """The problem as a Coq term of type ``data``, every number exact."""
    prompts = ";\n    ".join(_prompt(problem, x) for x in range(problem.prompts))
    return (
        f"{{| dim_q := {problem.dimension}; "
        f"beta_q := {rational(to_fraction(problem.beta, 'beta'))}; "
        f"radius_q := {rational(to_fraction(problem.radius, 'radius'))};\n"
        f"  reference_q := {_row(problem.given_ref_params)}; center_q := {_row(problem.center)};\n"
        f"  prompts_q := [\n    {prompts}] |}}"
    )


def _prompt(problem: PreferenceProblem, x: int) -> str:
    features, preferences = problem.features[x], problem.preferences[x]
    base = problem.base[x]
    measure = np.ones(len(features)) if base is None else base
    if isinstance(preferences, BradleyTerry):
        stated = f"Rewards {_row(preferences.rewards)}"
    elif hasattr(preferences, "matrix"):
        p = exact_array(preferences.matrix)
        centred = (p - p.T + 1) / Fraction(2)
        stated = f"Matrix {matrix(centred)}"
    else:
        raise InputError(
            f"prompts[{x}]", type(preferences).__name__, "rewards or a matrix, for --formal"
        )
    rows = "; ".join(_row(row) for row in features)
    return (
        f"{{| weight_q := {rational(problem.weights_exact[x])}; features_q := [{rows}];\n"
        f"       base_q := {_row(measure)}; preferences_q := {stated} |}}"
    )


def _row(numbers: np.ndarray) -> str:
    return f"[{'; '.join(rational(to_fraction(x, 'entry')) for x in numbers)}]"


def matrix(rows: np.ndarray) -> str:
    """A list of lists of rationals."""
    return f"[{'; '.join(_row(row) for row in rows)}]"


def rational(x: Fraction) -> str:
    """A term of type Q."""
    return f"({x.numerator} # {x.denominator})%Q"


def real(x: Fraction) -> str:
    """A term of type R."""
    return f"({x.numerator} / {x.denominator})"
