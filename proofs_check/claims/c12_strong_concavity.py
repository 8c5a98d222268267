"""C12: γ > K_B makes J_γ strongly concave on C, with constants; off c + S it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import sympy as sp
from flint import arb

from proofs_check.arguments.algebra import SIZES as RESPONSES
from proofs_check.arguments.algebra import law, mean, vanishes, vector
from proofs_check.arguments.first_order import Moduli, moduli, pl_fails, prox_progress
from proofs_check.claims.c09_fisher_floor import STEPS as FISHER
from proofs_check.claims.c10_absolute_threshold import resolved
from proofs_check.evidence.argument import Step, Tally, argue, curvature_ball, refute, square
from proofs_check.evidence.battery import SIZES, battery, points, skewed
from proofs_check.expected import claim
from sailtheory import Objective, PreferenceProblem, SAILRevKL, examples
from sailtheory.claims import Claim, Context, Falsehood
from sailtheory.landscape import Domain, Search, largest_curvature, maximise
from sailtheory.numeric.numbers import sympy_numbers
from sailtheory.theory import bounds, formulas
from sailtheory.verdict import Evidence

_XP = sympy_numbers()


# --- the argument -----------------------------------------------------------------------


def _relative() -> bool:
    """−∇²J_γ = γF̄ − ∇²J lies between (γ − K_B)F̄ and (γ + K⁻)F̄."""
    g, k, low, f, h = sp.symbols("gamma K L f h")
    below = (g * f - h) - (g - k) * f - (k * f - h)
    above = (g + low) * f - (g * f - h) - (h + low * f)
    return vanishes(below, above)


def _modulus() -> bool:
    g, k, d, radius, low = sp.symbols("gamma K D B l", positive=True)
    mu = bounds.strong_concavity(_XP, g, k, d, radius, low)
    return vanishes(mu - (g - k) * bounds.fisher_floor(_XP, d * radius) * low)


def _popoviciu() -> bool:
    """Var t = (b − Et)(Et − a) − E(b − t)(t − a) ≤ ((b − a)/2)², so F_x ⪯ D²/4."""
    a, b, x = sp.symbols("a b x")
    parts = [(b - x) * (x - a) + (x - (a + b) / 2) ** 2 - ((b - a) / 2) ** 2]
    for m in RESPONSES:
        p, t = law("p", m), vector("t", m)
        fisher = formulas.fisher(p[None], t[None, :, None])[0, 0, 0]
        center = mean(p, t)
        parts.append(fisher - (b - center) * (center - a) + mean(p, (b - t) * (t - a)))
    return vanishes(*parts)


def _smooth() -> bool:
    g, low, d = sp.symbols("gamma L D", positive=True)
    return vanishes(bounds.smoothness(g, low, d) - (g + low) * d**2 / 4)


STEPS = (
    Step("symbolic", "(γ−K_B)F̄ ⪯ −∇²J_γ ⪯ (γ+K⁻)F̄ = (γ+K⁻)∇²A, from C11 and C07", _relative),
    *FISHER[:2],
    Step("symbolic", "F̄ ⪰ e^{−DB}λ⁺_min(F̄(c)) on S gives μ", _modulus),
    Step("symbolic", "F_x ⪯ D²/4: the variance on [a, b] is at most (b−a)²/4 (m ≤ 3)", _popoviciu),
    Step("symbolic", "Λ = (γ+K⁻)D²/4", _smooth),
)


# --- instances --------------------------------------------------------------------------


def curvature_outside(
    objective: Objective, theta: np.ndarray, v: np.ndarray, limit: float, says: str
) -> Evidence:
    """Decide vᵀ∇²v > limit·‖v‖² in ball arithmetic."""
    value = float(v @ objective.hessian(theta) @ v)
    return refute(
        objective.problem, theta, f"vᵀ∇²v > {limit:.6g}‖v‖² at θ along v, against {says}", value,
        lambda: curvature_ball(objective, theta, v) - arb(limit) * square(v),
        direction=np.asarray(v).tolist(), limit=limit,
    )  # fmt: skip


def _compare(tally: Tally, objective: Objective, theta: np.ndarray, limit: float) -> None:
    values, v = largest_curvature(objective, Domain(objective.problem), theta)
    tally.add(
        values, np.full(len(values), limit),
        lambda i: curvature_outside(objective, theta[i], v[i], limit, "C12"),
    )  # fmt: skip


def _check(context: Context) -> Iterator[Evidence]:
    yield from argue(
        "J_γ is μ-strongly concave and Λ-smooth on C, and so relative to A",
        STEPS, ("C11 (K_B, K⁻)", "C07 (∇²KL(π_ref‖π_θ) = ∇²A = F)"),
    )  # fmt: skip
    rng = context.rng("C12")
    concave = Tally("∇²J_γ ⪯ −μ on S at γ > K_B")
    smooth = Tally("−∇²J_γ ⪯ Λ at γ > K_B")
    for problem in filter(resolved, battery(rng, SIZES[context.effort])):
        at = moduli(problem, float(10 ** rng.uniform(-3, 2)))
        objective, theta = SAILRevKL(problem, at.gamma), points(rng, problem)
        _compare(concave, objective, theta, -at.mu)
        _compare(smooth, -objective, theta, at.smooth)
    yield concave.evidence()
    yield smooth.evidence()


# --- off c + S --------------------------------------------------------------------------

OFF_SPAN_GAMMA = 2.5


def off_span() -> tuple[Objective, Moduli]:
    """The one-hot instance of theory.md, C12, and its constants."""
    problem = examples.load("falsehood-off-span")
    relative = moduli(problem, 0.0).relative
    return SAILRevKL(problem, OFF_SPAN_GAMMA), moduli(problem, OFF_SPAN_GAMMA - relative)


def off_span_prox(context: Context) -> Evidence:
    """prox-PL fails on the sphere off c + S, where the maximiser over the ball is known."""
    objective, at = off_span()
    problem = objective.problem
    best = maximise(objective, Search(Domain(problem), context.effort, context.seed)).theta
    angle = np.linspace(0, 2 * np.pi, 4001)
    theta = float(problem.radius) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    gap = objective.value(best) - objective.value(theta)
    g = objective.gradient(theta)
    step = theta + g / at.smooth
    beyond = np.maximum(np.linalg.norm(step, axis=1) - float(problem.radius), 0.0)
    ratio = ((g * g).sum(1) - (at.smooth * beyond) ** 2) / (2 * np.where(gap > 1e-9, gap, np.nan))
    point = theta[int(np.nanargmin(ratio))]
    return pl_fails(
        objective, point, best, at.mu, lambda: prox_progress(objective, point, at.smooth),
        f"prox-PL on the whole ball, μ = {at.mu:.3g}",
    )  # fmt: skip


def _off_span(context: Context) -> Iterator[Evidence]:
    objective, at = off_span()
    ones = np.ones(2)
    says = "strong concavity on R^d (1 ∈ S^⊥)"
    yield curvature_outside(objective, objective.problem.ref_params, ones, -at.mu, says)
    yield off_span_prox(context)


# --- wrong variants ---------------------------------------------------------------------

Limit = Callable[[PreferenceProblem, Moduli], float]


def _wrong(
    name: str, says: str, problem: PreferenceProblem, excess: float, limit: Limit, sign: int = 1
) -> Falsehood:
    """At γ = K_B⁺ + excess, search C for curvature of ±J_γ above a claimed limit."""

    def check(context: Context) -> Iterator[Evidence]:
        at = moduli(problem, excess)
        objective, domain = sign * SAILRevKL(problem, at.gamma), Domain(problem)
        search = Search(domain, context.effort, context.seed)
        theta = search.maximise(lambda t: largest_curvature(objective, domain, t)[0]).theta
        v = largest_curvature(objective, domain, theta)[1]
        yield curvature_outside(objective, theta, v, limit(problem, at), says)

    return Falsehood(name, says, check)


def _mu(problem: PreferenceProblem, at: Moduli, exponent: float) -> float:
    reach = problem.feature_diameter * float(problem.radius)
    return -at.mu * float(np.exp((1 - exponent) * reach))


_RARE, _EVEN = skewed("1e-6", beta=0.1, radius=3.0), skewed("0.5", beta=0.1, radius=0.5)

PLANTED = (
    _wrong("third-digit", "μ with e^{−0.998DB}", _RARE, 1e5, lambda p, at: _mu(p, at, 0.998)),
    _wrong("no-decay", "μ = (γ−K_B)λ⁺_min(F̄(c))", _RARE, 1e5, lambda p, at: _mu(p, at, 0.0)),
    _wrong("smooth-eighth", "Λ = (γ+K⁻)D²/8", _EVEN, 10.0, lambda p, at: at.smooth / 2, -1),
    _wrong("smooth-third-digit", "Λ = 0.999(γ+K⁻)D²/4", _EVEN, 1e3,
           lambda p, at: 0.999 * at.smooth, -1),
    _wrong("any-gamma", "J_γ is concave for every γ > 0", examples.load("c08-kl-policy-ref"),
           -0.4, lambda p, at: 0.0),
)  # fmt: skip

CLAIMS: list[Claim] = [
    claim(
        "C12",
        title="strong concavity: γ > K_B makes J_γ μ-strongly concave and Λ-smooth on C",
        statement=r"\mu = (\gamma-K_B)e^{-DB}\lambda^+_{\min}(\bar F(c)),\;"
        r"\Lambda = (\gamma+K^-)D^2/4",
        source="mechanism arXiv 2606.31524, constants new",
        hypotheses=("γ > K_B", "C = ball ∩ (c + S), order on S"),
        check=_check,
        planted=PLANTED,
    ),
    claim(
        "C12b",
        title="strong concavity on the whole ball or R^d, off c + S",
        statement=r"\nabla^2 J_\gamma \preceq -\mu I \text{ on } \mathbb{R}^d",
        source="a first draft of C12",
        hypotheses=("γ > K_B, one-hot features",),
        check=_off_span,
    ),
]
