"""Coq certificates by prompt, where K_B does not reach γ: K_data (C25), ḡ for two responses (C23).

Each prompt's pairs keep their own interval of z over C and their own preferences. Two responses
make the curvature one function of z, whose supremum is that prompt's threshold. Nothing found here
is trusted: Coq checks each inequality.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from sailtheory.certificates.formal_text import above, matrix, rational, real
from sailtheory.numeric.exact import exact_array, to_fraction
from sailtheory.numeric.numbers import FLOAT64, Array
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.theory import formulas
from sailtheory.theory.payoff import Payoff

__all__ = ["PromptBound", "largest", "prompt_bounds", "prompts_file"]

_SLACK = 1e-9
_POINTS = 400
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class PromptBound:
    """What bounds the curvature of one prompt on C.

    Attributes:
        reach: Upper bounds of z for each ordered pair, (m, m).
        offset: C25's b; unused for two responses.
        supremum: C25's h; for two responses the bound of the curvature itself.
        spread: Z ≥ the size of every pair's z.
        lean: q ≥ the size of every p − ½.
        floor: g ≥ every −g̃, or None where the other bound of −(J + log 2) is the smaller.
        curvature: What results, rounded up.
    """

    reach: Array
    offset: Fraction
    supremum: Fraction
    spread: Fraction
    lean: Fraction
    floor: Fraction | None
    curvature: float

    @property
    def responses(self) -> int:
        """The number of responses m."""
        return len(self.reach)


def prompt_bounds(problem: PreferenceProblem, gamma: float) -> list[PromptBound]:
    """A bound for each prompt; interval arithmetic gets a share of what γ leaves above them."""
    beta = float(problem.beta)
    found = [_bound(problem, x) for x in range(problem.prompts)]
    gap = gamma - max(bound.curvature for bound in found)
    return [_with_room(bound, beta, max(gap, 0.0)) for bound in found]


def _with_room(bound: PromptBound, beta: float, gap: float) -> PromptBound:
    weight = 1.0 if bound.responses == 2 else 2 * beta**2
    room = max(_SLACK, min(1e-3, gap / (4 * weight)))
    raised = above(float(bound.supremum) + room)
    added = weight * float(raised - bound.supremum) + 1e-12
    return replace(bound, supremum=raised, curvature=bound.curvature + added)


def _bound(problem: PreferenceProblem, x: int) -> PromptBound:
    beta = float(problem.beta)
    reach = _reach(problem, x)
    q = np.asarray(problem.preferences[x].centred(FLOAT64), dtype=float)
    m = len(reach)
    spread = max(reach.flat)
    lean = above(float(np.abs(q).max()) + _SLACK) if m > 1 else Fraction(0)
    if m == 1:
        return PromptBound(reach, Fraction(0), Fraction(0), spread, lean, None, 0.0)
    k, j = np.triu_indices(m, 1)
    low, high = -reach.T[k, j].astype(float), reach[k, j].astype(float)
    if m == 2:
        top = _largest(lambda z: _two(problem, x, q[k, j][:, None], z), low, high)
        return PromptBound(reach, Fraction(0), above(top), spread, lean, None, top + _SLACK)
    offset, supremum = _best_offset(beta, q[k, j][:, None], low, high)
    z = np.stack((low, high))
    deepest = float(-formulas.log_likelihood_payoff(FLOAT64, q[k, j], z).value.min())
    even = formulas.log_likelihood_payoff(FLOAT64, -float(lean), float(spread)).value
    by_mean, by_max = -float(even) / 2, (1 - 1 / m) * deepest
    floor = above(deepest + _SLACK) if by_max < by_mean else None
    value = min(by_mean, by_max + _SLACK) + 1e-12
    curvature = 2 * (float(offset) + value) + 2 * beta**2 * float(supremum)
    return PromptBound(reach, offset, supremum, spread, lean, floor, curvature)


def _reach(problem: PreferenceProblem, x: int) -> Array:
    """β[(c − θ_ref)·Δ_kl + B‖Δ_kl‖], rounded up: (m, m) of fractions."""
    beta, radius = to_fraction(problem.beta, "beta"), to_fraction(problem.radius, "radius")
    features = exact_array(problem.features[x])
    shift = exact_array(problem.center) - exact_array(problem.given_ref_params)
    offsets = features @ shift
    m = len(features)
    found = np.full((m, m), Fraction(0), dtype=object)
    for k in range(m):
        for j in range(k):
            delta = features[k] - features[j]
            length = _root_above(Fraction(delta @ delta) * (beta * radius) ** 2)
            tilt = beta * (offsets[k] - offsets[j])
            found[k, j], found[j, k] = above(length + tilt), above(length - tilt)
    return found


def _root_above(square: Fraction) -> Fraction:
    """A rational at or above a square root, within 1e-12."""
    scaled = math.ceil(square * 10**24)
    root = math.isqrt(scaled)
    return Fraction(root + (root * root < scaled), 10**12)


def _inner(b: float, payoff: Payoff) -> Array:
    """u²/(b − g̃) − σ' (C25)."""
    return payoff.first**2 / (b - payoff.value) + payoff.second


def _two(problem: PreferenceProblem, x: int, q: Array, z: Array) -> Array:
    """The curvature of a prompt of two responses relative to its Fisher matrix, at z."""
    beta = float(problem.beta)
    base = problem.base[x]
    logs = np.zeros(2) if base is None else np.log(np.asarray(base, dtype=float))
    logits = problem.features[x].astype(float) @ problem.given_ref_params.astype(float) + logs
    odds = logits[0] - logits[1] + z / beta
    policy = np.stack((FLOAT64.sigmoid(odds), FLOAT64.sigmoid(-odds)), -1)
    both = np.array([[0.0, 1.0], [-1.0, 0.0]])
    payoff = formulas.log_likelihood_payoff(
        FLOAT64, q[..., None, None] * both, z[..., None, None] * both
    )
    return formulas.relative_pair_curvature(np.asarray(beta), policy, payoff)[..., 0, 1]


def _largest(f: Callable[[Array], Array], low: Array, high: Array) -> float:
    """The largest value of f over all pairs' intervals: a grid, then finer ones around its best."""
    best = -math.inf
    for _ in range(3):
        z = np.linspace(low, high, _POINTS, axis=1)
        values = f(z)
        at = values.argmax(1)
        best = max(best, float(values.max()))
        rows = np.arange(len(z))
        low, high = z[rows, np.maximum(at - 1, 0)], z[rows, np.minimum(at + 1, _POINTS - 1)]
    return best


def _best_offset(beta: float, q: Array, low: Array, high: Array) -> tuple[Fraction, Fraction]:
    """b and h that nearly minimise 2b + 2β²h, by golden section in log(b − sup g̃)."""

    def payoff(z: Array) -> Payoff:
        return formulas.log_likelihood_payoff(FLOAT64, q, z)

    least = max(0.0, _largest(lambda z: payoff(z).value, low, high))
    grid = payoff(np.linspace(low, high, _POINTS, axis=1))

    def price(t: float) -> float:
        b = least + math.exp(t)
        return 2 * b + 2 * beta**2 * float(_inner(b, grid).max())

    left, right = math.log(1e-6 * min(beta, 1.0)), math.log(2 * beta)
    while right - left > 1e-4:
        step = _GOLDEN * (right - left)
        if price(right - step) < price(left + step):
            right = left + step
        else:
            left = right - step
    offset = above(least + math.exp((left + right) / 2))
    top = _largest(lambda z: _inner(float(offset), payoff(z)), low, high)
    return offset, above(top)


def largest(found: list[PromptBound]) -> Fraction:
    """K: what γ must exceed for a certificate by prompt."""
    return above(max(bound.curvature for bound in found) + _SLACK)


# --- the file ---------------------------------------------------------------------------------


def prompts_file(data: str, gamma: Fraction, found: list[PromptBound]) -> str:
    """The text of a certificate by prompt."""
    return _TEMPLATE.format(
        data=data,
        gamma=real(gamma),
        largest=real(largest(found)),
        prompts="\n".join(_prompt(x, bound) for x, bound in enumerate(found)),
        applied=" ".join(f"| exact prompt_{x}" for x in range(len(found))).removeprefix("| "),
    )


def _prompt(x: int, bound: PromptBound) -> str:
    if bound.responses == 2:
        shown = _TWO
    elif bound.floor is None:
        shown = _PAIRS + _MEAN + _BOUNDED % _MEAN_OF
    else:
        shown = _PAIRS + _MAX + _BOUNDED % _MAX_OF
    return (_REACH + shown).format(
        x=x,
        m=bound.responses,
        reach=matrix(bound.reach),
        b=real(bound.offset),
        h=real(bound.supremum),
        spread=rational(bound.spread),
        lean=real(bound.lean),
        floor=real(bound.floor or Fraction(0)),
    )


_REACH = """\
(** Prompt {x}. *)
Definition U_{x} : list (list Q) := {reach}.
Lemma above_{x} : check_above D {x} U_{x} = true.
Proof. vm_compute; reflexivity. Qed.
"""

_TWO = """\
Lemma two_{x} : two_below D {x} U_{x} {h}.
Proof. both_below. Qed.
Lemma prompt_{x} : exists Kx, curvature_below (problem_of D) {x} Kx /\\ Kx <= K.
Proof.
  exists {h}; split; [|unfold K; lra].
  exact (two_data D D_valid {x} ltac:(cbv; lia) U_{x} above_{x} _ eq_refl two_{x}).
Qed.
"""

_PAIRS = """\
Lemma pairs_{x} : pairs {m} (pair_below D {x} U_{x} {b} {h}).
Proof. pairs_below. Qed.
"""

_MEAN = """\
Lemma near_{x} : pairs {m} (pair_near D {x} {lean}).
Proof. pairs_near. Qed.
"""

_MEAN_OF = """value_mean_data D D_valid {x} ltac:(cbv; lia) U_{x} above_{x} {spread} {lean}
    ltac:(vm_compute; reflexivity) ltac:(reflexivity) ltac:(lra) near_{x}"""

_MAX = """\
Lemma floor_{x} : pairs {m} (pair_floor D {x} U_{x} {floor}).
Proof. pairs_floor. Qed.
"""

_MAX_OF = """value_max_data D D_valid {x} ltac:(cbv; lia) U_{x} above_{x} {floor}
    ltac:(lra) floor_{x}"""

_BOUNDED = """\
Lemma prompt_{x} : exists Kx, curvature_below (problem_of D) {x} Kx /\\ Kx <= K.
Proof.
  pose proof (%s) as V.
  eexists; split.
  1: exact (pairs_data D D_valid {x} ltac:(cbv; lia) U_{x} above_{x}
    {b} {h} _ ltac:(lra) pairs_{x} V).
  evaluate.
Qed.
"""

_TEMPLATE = """\
(** Written by sailtheory. The problem is data; Coq checks everything else. *)
From Coq Require Import Reals QArith Qreals List Lra Lia.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Numbers Sigmoid Problem Certificate PromptCertificate.
Import ListNotations.
Open Scope R_scope.

Definition D : data :=
  {data}.
Definition gamma : R := {gamma}.
Definition K : R := {largest}.

Lemma D_valid : check_data D = true.
Proof. vm_compute; reflexivity. Qed.

(** For each prompt, U bounds z of every ordered pair on C; b and h are those of C25. *)
{prompts}
(** C12 and C15 for this problem: strong concavity on C with modulus
    (gamma - K) e^(-DB) lambda_min(F(c)), one maximiser, the linear rate of projected ascent. *)
Theorem certificate : certified (problem_of D) K gamma.
Proof.
  apply prompts_certified; [exact D_valid| |unfold K, gamma; lra].
  cbn [D prompts_q length each]; conjuncts.
  all: [> {applied}].
Qed.

Print Assumptions certificate.
"""
