"""The smallest constants of a bound's form that no problem searched refutes, and what is proved.

A bound ∇²J ⪯ K F̄ of a form such as a·Z + b·β has to exceed the largest relative curvature of every
problem with that β and Z. A search finds it at some (β, Z), over policies, preferences, features
and up to four responses; linear programming then finds the least constants above what was found,
and above K of C35, which is proved.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.numeric.jets import Jet
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.objectives.curvature_sign import curvature_sign
from sailtheory.objectives.payoff import PayoffObjective
from sailtheory.objectives.sail import KLRefPolicy
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory import formulas, pair_form
from sailtheory.theory.payoff import Payoff
from sailtheory.theory.payoff_bound import payoff_curvature
from sailtheory.theory.payoff_expression import expression
from sailtheory.theory.payoffs import PairPayoff, pair_payoff

__all__ = ["Cell", "Discovery", "discover"]

_CONSTANTS = ("a", "b", "c", "d")
_STARTS = {"quick": 4, "full": 30}
_SIZES = {2: 1, 3: 4, 4: 1}  # responses, and how many times as many starts
_STEP = 1e-6
_FAR = 25.0
_BELOW = 1 - 1e-6


@dataclass(frozen=True)
class Cell:
    """One β and Z.

    Attributes:
        beta: β.
        z_range: Z.
        found: The largest relative curvature that the search found, on ``problem``.
        confirmed: Whether ball arithmetic confirms (1 − 10⁻⁶) of it.
        proved: K of C35.
        problem: Where it was found; its Z_max is above Z by a millionth.
        theta: At which point, (2,).
        tight: Whether the least constants are tight here.
    """

    beta: float
    z_range: float
    found: float
    confirmed: bool
    proved: float
    problem: PreferenceProblem
    theta: np.ndarray
    tight: bool = False


@dataclass(frozen=True)
class Discovery:
    """The result of :func:`discover`.

    Attributes:
        payoff: G.
        form: The form.
        searched: The least constants that nothing found here refutes, by name.
        proved: The least that C35 proves at every β and Z tried, by name.
        cells: By β and Z.
    """

    payoff: PairPayoff
    form: str
    searched: dict[str, float]
    proved: dict[str, float]
    cells: tuple[Cell, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON form; problems are given as TOML text that loads back."""
        from sailtheory.problem.problem_file import dumps

        return {
            "schema": "sailtheory.discover/1",
            "payoff": self.payoff.formula,
            "form": self.form,
            "searched": self.searched,
            "proved": self.proved,
            "cells": [
                {"beta": c.beta, "z_range": c.z_range, "found": c.found,
                 "confirmed": c.confirmed, "proved": c.proved, "tight": c.tight,
                 "theta": c.theta.tolist(), "problem": dumps(c.problem)}
                for c in self.cells
            ],
        }  # fmt: skip


def discover(
    payoff: PairPayoff,
    form: str,
    betas: Sequence[float],
    z_ranges: Sequence[float],
    effort: str = "quick",
    seed: int = 0,
    progress: Callable[[str], None] = lambda stage: None,
) -> Discovery:
    """Search for the least constants of a form.

    Args:
        payoff: G.
        form: Linear in constants named a, b, c, d, for example ``a*Z + b*beta``.
        betas: β > 0 to try.
        z_ranges: Z > 0 to try.
        effort: ``quick`` or ``full``.
        seed: Of the search.
        progress: Called with the name of each stage as it begins.

    Raises:
        InputError: A form that is not linear in its constants or has none, a payoff without K, or
            no finite constants of that form.
    """
    names, terms = _terms(form)
    rng, cells = np.random.default_rng(seed), []
    grid = [(float(beta), float(z)) for beta in betas for z in z_ranges]
    for each in grid:
        if not (np.isfinite(each).all() and min(each) > 0):
            raise InputError("beta, Z", each, "two finite numbers > 0")
    values = np.array([terms(*each) for each in grid])
    for beta, z in grid:
        progress(f"β = {beta:g}, Z = {z:g}")
        cells.append(_cell(payoff, beta, z, _STARTS[effort], rng))
    offset, rows = values[:, 0], values[:, 1:]
    searched = _least(rows, np.array([c.found for c in cells]) - offset, form)
    proved = _least(rows, np.array([c.proved for c in cells]) - offset, form)
    slack = rows @ searched + offset - np.array([c.found for c in cells])
    size = 1e-7 * (1 + abs(np.array([c.found for c in cells])))
    marked = tuple(
        Cell(**{**vars(c), "tight": bool(s <= e)})
        for c, s, e in zip(cells, slack, size, strict=True)
    )
    return Discovery(payoff, form, dict(zip(names, searched.tolist(), strict=True)),
                     dict(zip(names, proved.tolist(), strict=True)), marked)  # fmt: skip


def _terms(form: str) -> tuple[list[str], Callable[[float, float], list[float]]]:
    """The constants of a form, and what it is without them and per unit of each."""
    made = expression(form, (*_CONSTANTS, "Z", "beta"), "form")
    names = [n for n in _CONSTANTS if re.search(rf"\b{n}\b", form)]
    if not names:
        raise InputError("form", form, f"a form with constants among {', '.join(_CONSTANTS)}")

    def value(beta: float, z: float, constants: dict[str, float]) -> float:
        given = {**dict.fromkeys(_CONSTANTS, 0.0), **constants, "Z": z, "beta": beta}
        at = {n: Jet(FLOAT64, (np.float64(v), 0, 0, 0)) for n, v in given.items()}
        return float(made(at).value)

    def terms(beta: float, z: float) -> list[float]:
        with np.errstate(all="ignore"):
            start = value(beta, z, {})
            ones = [value(beta, z, {n: 1.0}) - start for n in names]
            mixed = {n: 2.0 + 3 * i for i, n in enumerate(names)}
            stated = start + sum(one * mixed[n] for n, one in zip(names, ones, strict=True))
            if not np.isclose(value(beta, z, mixed), stated, rtol=1e-9, atol=1e-9):
                raise InputError("form", form, "a form that is linear in its constants")
        return [start, *ones]

    return names, terms


def _least(rows: np.ndarray, levels: np.ndarray, form: str) -> np.ndarray:
    """Constants ≥ 0 with rows @ constants ≥ levels and the least total excess."""
    from scipy.optimize import linprog

    scale = np.maximum(abs(levels), 1e-9)
    found = linprog((rows / scale[:, None]).sum(0), A_ub=-rows, b_ub=-levels)
    if found.status != 0:
        raise InputError("form", form, "a form with finite constants ≥ 0 above what was found")
    return np.asarray(found.x)


# --- one β and Z ------------------------------------------------------------------------------


def _cell(payoff: PairPayoff, beta: float, z: float, starts: int, rng: np.random.Generator) -> Cell:
    from scipy.optimize import minimize

    proved, best = payoff_curvature(payoff, beta, z), (-np.inf, 2, np.zeros(7))
    for m, often in _SIZES.items():
        width = 3 * m + m * (m - 1) // 2

        def slope(x: np.ndarray, m: int = m, width: int = width) -> tuple[float, np.ndarray]:
            moved = np.concatenate([x[None], x + _STEP * np.eye(width)])
            values = _ratio(payoff, beta, z, m, moved)
            return -float(values[0]), -(values[1:] - values[0]) / _STEP

        for number in range(starts * often):
            x = rng.normal(size=width)
            if number % 4 and m > 2:  # two responses at the ends, the others rare
                x[2:m] -= 14
                x[m : m + 2] = -20, 20
                x[2 * m : 3 * m] = 0
                x[2 * m + 2] = 1
            x[3 * m :] = rng.choice([-15, 15], size=width - 3 * m)
            found = minimize(slope, x, jac=True, method="L-BFGS-B", options={"maxiter": 60},
                             bounds=[(-_FAR, _FAR)] * width)  # fmt: skip
            if -found.fun > best[0]:
                best = (-float(found.fun), m, found.x)
    problem = _problem(beta, z, best[1], best[2])
    theta, along = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    objective = PayoffObjective(problem, payoff)
    level = float(objective.curvature(theta, along) / KLRefPolicy(problem).curvature(theta, along))
    less = level - (1 - _BELOW) * abs(level)
    sure = curvature_sign(objective - less * KLRefPolicy(problem), theta, along) > 0
    return Cell(beta, z, level, sure, proved, problem, theta)


def _split(x: np.ndarray, z: float, m: int) -> tuple[np.ndarray, ...]:
    """log π (k, m), heights in [0, Z], a direction, and q (k, m, m)."""
    heights = z * np.asarray(FLOAT64.sigmoid(x[..., m : 2 * m]))
    q = np.zeros((*x.shape[:-1], m, m))
    i, j = np.triu_indices(m, 1)
    q[..., i, j] = np.tanh(x[..., 3 * m :] / 2) / 2
    return FLOAT64.log_softmax(x[..., :m]), heights, x[..., 2 * m : 3 * m], q - q.swapaxes(-1, -2)


def _ratio(payoff: PairPayoff, beta: float, z: float, m: int, x: np.ndarray) -> np.ndarray:
    """vᵀ∇²J_xv/vᵀF_xv at many points (k, width): (k,)."""
    log_policy, heights, along, q = _split(x, z, m)
    policy = np.exp(log_policy)
    made: Payoff = pair_payoff(payoff, FLOAT64, q, pair_form.pairwise(heights), beta)
    eta = formulas.relative_pair_curvature(beta, policy, made)
    mass = formulas.pair_probability(policy)
    spread = pair_form.laplacian_form(mass, along)
    found = pair_form.laplacian_form(mass * eta, along) / np.maximum(spread, 1e-300)
    return np.where(spread > 1e-18, found, -1e9)


def _problem(beta: float, z: float, m: int, x: np.ndarray) -> PreferenceProblem:
    """The problem whose curvature at θ = (1, 0) along (0, 1) is the ratio at x."""
    log_policy, heights, along, q = _split(x, z, m)
    small = 1e-4 * z / max(float(abs(along - along.mean()).max()), 1e-12)
    features = np.stack([heights, small * (along - along.mean())], axis=-1) / beta
    base = log_policy - features[:, 0]
    return PreferenceProblem(
        features=[features], preferences=[0.5 + q], beta=beta, radius=1.0,
        base=[np.exp(base - base.max())],
    )  # fmt: skip
