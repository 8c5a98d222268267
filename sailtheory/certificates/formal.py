"""Certificates as Coq files: the problem as exact rationals, C12 and C15 for it as a theorem.

The theorem rests on C11 with K = K_B(β, Z, b, h) for a rational b and h found here; Coq checks that
h bounds the inner supremum, that Z bounds the margins on C, and that γ > K. Where K_B does not
reach γ, each prompt has its own bound (``formal_prompts.py``). Nothing found here is trusted. The
sources that a certificate needs are those of ``proofs_check/formal``.
"""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
from dataclasses import dataclass
from fractions import Fraction
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from sailtheory.certificates.formal_prompts import largest, prompt_bounds, prompts_file
from sailtheory.certificates.formal_text import above, coq_data, rational, real
from sailtheory.errors import InputError
from sailtheory.numeric.exact import to_fraction
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.storage.cache import cache_folder
from sailtheory.storage.files import write_text
from sailtheory.theory.inner_supremum import best_margin, inner_supremum

__all__ = ["Constants", "Formal", "certify_formal", "constants", "coq_file", "library"]

NAME = "certificate"
MISSING = (
    "Coq is missing (Debian: apt-get install --no-install-recommends "
    "coq libcoq-coquelicot libcoq-interval)"
)
_SLACK = 1e-9


@dataclass(frozen=True)
class Constants:
    """What C11 is used with: Z ≥ Z_max, b, h ≥ the inner supremum; K bounds what results."""

    margin: Fraction
    offset: Fraction
    supremum: Fraction
    curvature: float


@dataclass(frozen=True)
class Formal:
    """What became of a formal certificate.

    Attributes:
        verdict: ``certified`` or ``undecided``.
        note: One line: what Coq accepted, or why nothing is certified.
    """

    verdict: str
    note: str


def certify_formal(problem: PreferenceProblem, gamma: Fraction, folder: str | Path) -> Formal:
    """Write a Coq file that proves C12 and C15 for a problem at γ > K, and have Coq check it.

    Args:
        problem: The problem.
        gamma: γ ≥ 0, exact.
        folder: Where ``certificate.v`` is written.

    Returns:
        ``certified`` when Coq accepted the file; ``undecided`` where γ is not above a constant,
        where Coq is absent (the file is written all the same), or where Coq does not accept it.

    Raises:
        InputError: γ < 0, preferences that are neither rewards nor a matrix, or a folder that
            cannot be written.
    """
    if gamma < 0:
        raise InputError("gamma", float(gamma), "γ ≥ 0 is required")
    text, name, curvature = _written(problem, gamma)
    if text is None:
        return Formal(
            "undecided",
            f"γ = {float(gamma):g} is not above {name} = {curvature:.6g}: nothing is proved here "
            "(--property concave without --formal may)",
        )
    target = Path(folder) / f"{NAME}.v"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            "formal", folder, f"a folder that can be written: {error.strerror}"
        ) from None
    write_text(text, str(target), "formal")
    if shutil.which("coqc") is None:
        return Formal("undecided", f"{target} is written and NOT checked: {MISSING}")
    trouble = _check(target)
    if trouble:
        return Formal("undecided", f"{target} is written; Coq does not accept it: {trouble}")
    return Formal(
        "certified",
        f"Coq accepts {target}: C12 and C15 hold at γ = {float(gamma):g}, {name} = {curvature:.6g}",
    )


def _written(problem: PreferenceProblem, gamma: Fraction) -> tuple[str | None, str, float]:
    """The certificate, the constant that it rests on by name and value; no text where γ ≤ it."""
    found = constants(problem, float(gamma))
    if gamma > Fraction(found.curvature):
        return coq_file(problem, gamma, found), "K_B", found.curvature
    bounds = prompt_bounds(problem, float(gamma))
    name = "ḡ" if all(bound.responses <= 2 for bound in bounds) else "K_data"
    curvature = largest(bounds)
    if gamma <= curvature:
        return None, name, float(curvature)
    return prompts_file(coq_data(problem), gamma, bounds), name, float(curvature)


def constants(problem: PreferenceProblem, gamma: float = math.inf) -> Constants:
    """Rational Z, b and h with room for Coq's interval arithmetic; K is rounded up a little."""
    beta, z = float(problem.beta), problem.z_max_above
    margin = above(z * (1 + _SLACK) + _SLACK)
    z = float(margin)
    start = math.log1p(math.exp(-z))
    choices = [_with(beta, z, best_margin(beta, z) - start, gamma)]
    slope = 1 / (1 + math.exp(-z))
    closed = above(slope / beta - slope * (1 - slope) + _SLACK)
    choices.append((above(beta * slope - start), closed))
    priced = [(_curvature(beta, z, b, h), b, h) for b, h in choices]
    curvature, offset, supremum = min(priced)
    return Constants(margin, offset, supremum, curvature)


def _with(beta: float, z: float, b: float, gamma: float) -> tuple[Fraction, Fraction]:
    """b rounded up, and h that leaves a share of γ − K to interval arithmetic."""
    offset = above(b)
    tight = inner_supremum(float(offset), z).upper
    gap = gamma - _curvature(beta, z, offset, Fraction(tight))
    room = min(1e-3, max(gap, 0.0) / (8 * beta**2)) if math.isfinite(gap) else 0.0
    return offset, above(tight + max(_SLACK, room))


def _curvature(beta: float, z: float, b: Fraction, h: Fraction) -> float:
    value = 2 * float(b) + math.log(2) + z + math.log1p(math.exp(-z)) + 2 * beta**2 * float(h)
    return value + 1e-12 * max(1.0, abs(value))


# --- the file ---------------------------------------------------------------------------------


def coq_file(problem: PreferenceProblem, gamma: Fraction, found: Constants) -> str:
    """The text of a certificate."""
    return _TEMPLATE.format(
        data=coq_data(problem),
        gamma=real(gamma),
        margin=rational(found.margin),
        margin_real=real(found.margin),
        beta_real=real(to_fraction(problem.beta, "beta")),
        offset=real(found.offset),
        supremum=real(found.supremum),
    )


_TEMPLATE = """\
(** Written by sailtheory. The problem is data; Coq checks everything else. *)
From Coq Require Import Reals QArith Qreals List Lra.
From Coquelicot Require Import Coquelicot.
From Sail Require Import Numbers Sigmoid C11_relative_curvature Problem Certificate.
Import ListNotations.
Open Scope R_scope.

Definition D : data :=
  {data}.

(** Z bounds the margins on C; b and h are those of C11. *)
Definition Z : Q := {margin}.
Definition b : R := {offset}.
Definition h : R := {supremum}.
Definition gamma : R := {gamma}.

Lemma Z_real : Q2R Z = {margin_real}.
Proof. unfold Z, Q2R; simpl; lra. Qed.

Lemma beta_real : Q2R (beta_q D) = {beta_real}.
Proof. unfold D, Q2R; simpl; lra. Qed.

Lemma b_above : log_sigma (Q2R Z) < b.
Proof. rewrite Z_real; unfold log_sigma, sigma, b; interval with (i_prec 80). Qed.

Lemma h_above : forall z, Rabs z <= Q2R Z -> inner b z <= h.
Proof.
  intros z Hz; rewrite Z_real in Hz; apply Rabs_le_between in Hz.
  unfold inner, sigma', log_sigma, sigma, b, h; rewrite Ropp_involutive.
  interval with (i_prec 60, i_bisect z, i_taylor z, i_depth 40).
Qed.

Lemma gamma_above : K_B_with (Q2R (beta_q D)) (Q2R Z) b h < gamma.
Proof. rewrite beta_real, Z_real; unfold K_B_with, b, h, gamma; interval with (i_prec 80). Qed.

(** C12 and C15 for this problem: strong concavity on C with modulus
    (gamma - K) e^(-DB) lambda_min(F(c)), one maximiser, the linear rate of projected ascent. *)
Theorem certificate : certified (problem_of D) (K_B_with (Q2R (beta_q D)) (Q2R Z) b h) gamma.
Proof.
  apply data_certified.
  - vm_compute; reflexivity.
  - vm_compute; reflexivity.
  - split; [exact b_above|exact h_above].
  - exact gamma_above.
Qed.

Print Assumptions certificate.
"""


# --- Coq --------------------------------------------------------------------------------------


def library() -> Path:
    """Folder of the compiled theorems, made on first use, named by what it was compiled from.

    Raises:
        InputError: The sources are not installed, or Coq does not accept them.
    """
    spec = find_spec("proofs_check")
    if spec is None or spec.origin is None:
        raise InputError(
            "formal", "proofs_check", "the package with the Coq sources is not installed"
        )
    builder = Path(spec.origin).parent / "formal" / "build.py"
    into = str(cache_folder("formal"))
    command = [sys.executable, str(builder), "--compile-only", "--into", into]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise InputError("formal", "coqc", " ".join(done.stderr.split()) or "the build failed")
    return Path(done.stdout.strip().splitlines()[-1])


def _check(target: Path) -> str:
    """Have Coq check a certificate; empty when it is accepted, else why not."""
    command = ["coqc", "-q", "-w", "none", "-Q", str(library()), "Sail", target.name]
    done = subprocess.run(command, cwd=target.parent, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return " ".join(done.stderr.split())[:300]
    build = import_module("proofs_check.formal.build")
    try:
        others = set(build.axiom_names(done.stdout)) - build.ALLOWED
    except build.NotBuilt as trouble:
        return str(trouble)
    return f"it rests on {', '.join(sorted(others))}" if others else ""
