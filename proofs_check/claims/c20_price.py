"""C20: the price of the guarantee: ceilings on what J_γ's maximiser can gain over π_ref."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import sympy as sp
from flint import arb

from proofs_check.arguments.algebra import SIZES as RESPONSES
from proofs_check.arguments.algebra import law, mean, one_prompt, vanishes, vector
from proofs_check.claims.c12_strong_concavity import STEPS as CONCAVE
from proofs_check.claims.c19_bias import best_of
from proofs_check.evidence.argument import Ball, Step, Tally, argue, deferred, refute
from proofs_check.evidence.battery import battery, bradley_terry, skewed
from proofs_check.expected import claim
from sailtheory import SAIL, KLRefPolicy, PreferenceProblem, SAILRevKL
from sailtheory.claims import Claim, Context, Falsehood
from sailtheory.landscape import gamma_star
from sailtheory.numeric.numbers import FLOAT64, NumberSystem, arb_numbers, sympy_numbers
from sailtheory.theory import bounds, formulas
from sailtheory.theory.payoff import Payoff
from sailtheory.verdict import Evidence, Outcome, Strength

_XP = sympy_numbers()


# --- the argument -----------------------------------------------------------------------


def _ceiling() -> bool:
    """γKL = J − J_γ ≤ 0 − J(θ_ref), and J(θ_ref) = −log 2: g = 0 − log 2 at z = 0."""
    q, gamma = sp.symbols("q gamma", positive=True)
    at_ref = formulas.log_likelihood_payoff(_XP, q, sp.Integer(0))
    return vanishes(at_ref.value) and vanishes(bounds.kl_ceiling(_XP, gamma) * gamma - sp.log(2))


def _first_order() -> bool:
    """∇J(θ_ref) = 2β Cov_ref(p̄, φ), from the production gradient at z = 0 (m ≤ 3)."""
    for m in RESPONSES:
        at = one_prompt(m)
        q = at.payoff.first  # antisymmetric and free: u = p − ½ at z = 0
        payoff = Payoff(0 * q, q, 0 * q, 0 * q)
        by_logits = formulas.on_policy_gradient(at.beta, at.policy, payoff)
        gradient = (by_logits * at.along).sum()
        rate = (q * at.policy).sum(1)  # p̄ − ½
        covariance = mean(at.policy, rate * at.along) - mean(at.policy, rate) * mean(
            at.policy, at.along
        )
        if not vanishes(gradient - 2 * at.beta * covariance, mean(at.policy, rate)):
            return False
    return True


def _gibbs() -> bool:
    """E_ρ a − log E_ref e^a = KL(ρ‖π_ref) − KL(ρ‖π^a), π^a ∝ π_ref e^a: at most KL(ρ‖π_ref)."""
    w, growth, rho = law("w", 3), np.array(sp.symbols("e:3", positive=True)), law("r", 3)
    total = sp.Symbol("S", positive=True)  # E_ref e^a
    a, density = [sp.log(e) for e in growth], [sp.Symbol(f"l{k}") for k in range(3)]
    first = sum(rho[k] * density[k] for k in range(3))  # l = log ρ/π_ref
    tilted = sum(rho[k] * (density[k] - a[k] + sp.log(total)) for k in range(3))
    form = mean(rho, np.array(a)) - sp.log(total)
    return vanishes(sp.expand(form - first + tilted)) and vanishes(sum(w) - 1)


def _chi_square() -> bool:
    """ρ = π_ref(1 + w), w = (2β/c)(p̄ − ½): E_ref(1+w)w = E w², and log(1+w) ≤ w."""
    beta, c = sp.symbols("beta c", positive=True)
    p, rate = law("p", 3), vector("a", 3)
    w = 2 * beta / c * (rate - mean(p, rate))
    variance = mean(p, rate**2) - mean(p, rate) ** 2
    total = c * mean(p, (1 + w) * w)
    x = sp.Symbol("x", positive=True)
    slope = sp.diff(x - 1 - sp.log(x), x)
    least = sp.solveset(slope, x, sp.Interval.open(0, sp.oo)) == sp.FiniteSet(1)
    return bool(least) and vanishes(total - bounds.gain_ceiling(beta, variance, c))


STEPS = (
    Step(
        "symbolic",
        "J_γ(θ*_γ) ≥ J(θ_ref) = −log 2 and J ≤ 0: γKL ≤ log 2",
        _ceiling,
    ),
    *CONCAVE[:1],
    Step(
        "symbolic",
        "E_ref p̄ = ½ and ⟨∇J(θ_ref), δ⟩ = 2βCov_ref(p̄, a), a = δᵀφ (m ≤ 3)",
        _first_order,
    ),
    Step(
        "symbolic",
        "so the gain is at most c(E_ρ a − log E_ref e^a) ≤ c KL(ρ‖π_ref)",
        _gibbs,
    ),
    Step(
        "symbolic",
        "ρ = π_ref(1+w), w = (2β/c)(p̄−½), |w| ≤ β/c ≤ 1: c KL(ρ‖π_ref) ≤ c E w² = 4β²Var_ref(p̄)/c",
        _chi_square,
    ),
)


# --- instances --------------------------------------------------------------------------


def reference_variance(problem: PreferenceProblem, xp: NumberSystem = FLOAT64) -> Ball:
    """E_x Var_ref(p̄): p̄ − ½ has mean 0 under π_ref."""
    total = 0
    for block in problem.blocks(xp):
        ref = xp.exp(block.log_ref)
        rate = formulas.expectation(ref[..., None, :], block.preference)
        total = total + (block.weights * formulas.expectation(ref, rate * rate)).sum()
    return total


def kl_above(problem: PreferenceProblem, theta: np.ndarray, limit: float, says: str) -> Evidence:
    """Decide KL(π_ref‖π_θ) > limit in ball arithmetic."""
    return refute(
        problem, theta, f"KL(π_ref‖π_θ*γ) above {says}", float(KLRefPolicy(problem).value(theta)),
        lambda: KLRefPolicy(problem).value(arb_numbers().asarray(theta)) - arb(limit),
    )  # fmt: skip


def gain_above(
    problem: PreferenceProblem, gamma: float, theta: np.ndarray, limit: float, says: str
) -> Evidence:
    """Decide J_γ(θ) − J(θ_ref) > limit: any point of C refutes a ceiling of the maximum."""
    objective, xp = SAILRevKL(problem, gamma), arb_numbers()
    return refute(
        problem, theta, f"J_γ(θ) − J(θ_ref) above {says}",
        float(objective.value(theta) - objective.value(problem.ref_params)),
        lambda: objective.value(xp.asarray(theta)) + xp.log_2() - arb(limit), gamma=gamma,
    )  # fmt: skip


class Price(NamedTuple):
    """Mean win-rate gain over π_ref at three γ."""

    free: float
    threshold: float
    guarantee: float


def trade_off(context: Context, count: int) -> Price:
    """The gain of the maximiser at γ = 0, γ* and K_B, β = .1, B = 4, Bradley–Terry."""
    rng = context.rng("C20 price")
    rows = []
    for _ in range(count):
        problem = bradley_terry(rng, beta=0.1, radius=4.0)
        needed = max(gamma_star(problem, "quick", context.seed).value or 0.0, 0.0)
        proved = bounds.relative_bound(0.1, problem.z_max_above)
        rows.append([best_of(problem, g, context).gain for g in (0.0, needed, proved)])
    return Price(*np.mean(rows, axis=0))


def _check(context: Context) -> Iterator[Evidence]:
    yield from argue(
        "KL(π_ref‖π_θ*γ) ≤ log 2/γ, and J_γ(θ*_γ) − J(θ_ref) ≤ 4β²Var_ref(p̄)/c for c ≥ β",
        STEPS, ("C07, C11 (J_γ is c-strongly concave relative to A)",),
    )  # fmt: skip
    rng = context.rng("C20")
    kl, gain = Tally("KL(π_ref‖π_θ*γ) ≤ log 2/γ"), Tally("J_γ(θ*_γ) − J(θ_ref) ≤ 4β²Var_ref(p̄)/c")
    for problem in battery(rng, 60 if context.full else 8):
        beta = float(problem.beta)
        gamma = beta * float(10 ** rng.uniform(-2, 1))
        best = best_of(problem, gamma, context)
        limit = float(bounds.kl_ceiling(FLOAT64, gamma))
        confirm = deferred(kl_above, problem, best.theta, limit, "log 2/γ")
        kl.add(np.array([best.kl_ref_policy]), np.array([limit]), confirm)
        c = beta * float(10 ** rng.uniform(0, 2))
        gamma = max(bounds.relative_bound(beta, problem.z_max_above), 0.0) + c
        best = best_of(problem, gamma, context)
        limit = float(bounds.gain_ceiling(beta, float(reference_variance(problem)), c))
        rise = float(best.value - SAIL(problem).value(problem.ref_params))
        confirm = deferred(gain_above, problem, gamma, best.theta, limit, "4β²Var_ref(p̄)/c")
        gain.add(np.array([rise]), np.array([limit]), confirm)
    yield kl.evidence()
    yield gain.evidence()
    count = 20 if context.full else 3
    price = trade_off(context, count)
    detail = (
        f"β = .1, B = 4, {count} Bradley–Terry problems: mean win-rate gain {price.free:.3f} at "
        f"γ = 0, {price.threshold:.3f} at γ*, {price.guarantee:.4f} at K_B"
    )
    yield Evidence("search", detail, Outcome.UNDECIDED, Strength.SUPPORTED)


# --- wrong variants ---------------------------------------------------------------------

_EVEN = skewed("0.5", beta=0.1, radius=4.0)


def _wrong_gain(name: str, says: str, limit: Callable[[float], float]) -> Falsehood:
    """A smaller ceiling than 2β²Var_ref(p̄)/c, its limit as c grows."""

    def check(context: Context) -> Iterator[Evidence]:
        c = 200.0
        gamma = bounds.relative_bound(0.1, _EVEN.z_max_above) + c
        best = best_of(_EVEN, gamma, context)
        yield gain_above(_EVEN, gamma, best.theta, limit(c), says)

    return Falsehood(name, says, check)


def _wrong_kl(name: str, says: str, beta: float, gamma: float, limit: float) -> Falsehood:
    """A smaller ceiling of KL(π_ref‖π_θ*γ) than log 2/γ."""

    def check(context: Context) -> Iterator[Evidence]:
        problem = skewed("0.5", beta=beta, radius=4.0)
        best = best_of(problem, gamma, context)
        yield kl_above(problem, best.theta, limit, says)

    return Falsehood(name, says, check)


_VARIANCE = float(reference_variance(_EVEN))

PLANTED = (
    _wrong_gain("third-digit", "1.99β²Var_ref(p̄)/c", lambda c: 1.99e-2 * _VARIANCE / c),
    _wrong_gain("beta-cubed", "4β³Var_ref(p̄)/c", lambda c: 4e-3 * _VARIANCE / c),
    _wrong_gain("squared", "4β²Var_ref(p̄)²/c", lambda c: 4e-2 * _VARIANCE**2 / c),
    _wrong_kl("beta-for-log-2", "β²/γ", 0.01, 0.01, 0.01),
    _wrong_kl("gamma-squared", "log 2/γ²", 4.0, 1000.0, float(np.log(2)) * 1e-6),
)

CLAIMS: list[Claim] = [
    claim(
        "C20",
        title="the price: KL(π_ref‖π_θ*γ) ≤ log 2/γ, gain of J_γ ≤ 4β² Var_ref(p̄)/(γ−K_B)",
        statement=r"KL(\pi_{ref}\|\pi_{\theta^*_\gamma})\le\log2/\gamma,\;"
        r"J_\gamma(\theta^*_\gamma)-J(\theta_{ref})\le4\beta^2\mathrm{Var}_{ref}(\bar p)/c",
        source="new; proof in docs/theory.md",
        hypotheses=("θ_ref ∈ C", "c = γ − K_B ≥ β for the second ceiling"),
        check=_check,
        planted=PLANTED,
    )
]
