"""The steps of C24 (exactness), C26 (averaged certificate) and C27 (path version for averages)."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import sympy as sp

from proofs_check.arguments.algebra import SIZES, mean, one_prompt, vanishes, vector
from proofs_check.evidence.argument import Step
from sailtheory.certificates.exactness import spans_apart
from sailtheory.numeric.definite import is_below
from sailtheory.numeric.exact import rank
from sailtheory.numeric.numbers import NumberSystem, sympy_numbers
from sailtheory.problem.problem import PreferenceProblem
from sailtheory.problem.reduced import ProblemPrompts
from sailtheory.theory import formulas, pair_form
from sailtheory.theory.averaged_bound import path_factor, two_responses
from sailtheory.theory.payoff import Payoff

# --- C24 -----------------------------------------------------------------------------------


def _unseen() -> bool:
    """Where vᵀφ is the same for all responses, vᵀH_yv = vᵀF_yv = 0."""
    for m in SIZES:
        at = one_prompt(m)
        batched = Payoff(*(part[None] for part in at.payoff))
        eta = formulas.relative_pair_curvature(at.beta, at.policy[None], batched)
        along = np.array([sp.Symbol("a")] * m, dtype=object)
        forms = [pair_form.laplacian(w * at.pairs, along[None, :, None])[0, 0, 0]
                 for w in (eta, eta * 0 + 1)]  # fmt: skip
        if not vanishes(*forms):
            return False
    return True


def _riesz() -> bool:
    """R Rᵀ(RRᵀ)⁻¹w = w: independent differences take any values at one v of their span."""
    rows = sp.Matrix(2, 3, sp.symbols("r0:6"))
    values = sp.Matrix(sp.symbols("w0:2"))
    v = rows.T * (rows * rows.T).inv() * values
    return vanishes(*(rows * v - values))


def _apart_is_sound() -> bool:
    """spans_apart says yes only where rank(all) = rank(x) + rank(others), small and repeated."""
    rng = np.random.default_rng(24)
    answers = []
    for _ in range(60):
        n, d = int(rng.integers(2, 5)), int(rng.integers(2, 7))
        phi = rng.integers(-1, 2, (n, int(rng.integers(2, 4)), d)).astype(float)
        m = phi.shape[1]
        problem = PreferenceProblem(
            features=phi, preferences=np.full((n, m, m), 0.5), beta=1, radius=1
        )
        says = spans_apart(ProblemPrompts(problem), 0)
        gaps = [np.vectorize(Fraction)((x[1:] - x[:1]).astype(int)) for x in phi]
        apart = rank(np.concatenate(gaps)) == rank(gaps[0]) + rank(np.concatenate(gaps[1:]))
        answers.append((says, apart))
    return {(True, True), (False, False)} == set(answers)


C24_STEPS: tuple[Step, ...] = (
    Step("symbolic", "v ⟂ S_y makes vᵀ∇²J_yv = vᵀF_yv = 0 (m ≤ 3)", _unseen),
    Step("symbolic", "a functional on S_x ⊕ ΣS_y has a v ∈ S that takes its values", _riesz),
    Step("exact", "the test that runs says yes only where ranks add up, 60 cases", _apart_is_sound),
)

C24_ASSUMES = ("C23 (c + w ∈ C for w ∈ S_x, ‖w‖ ≤ B, and γ* ≤ ḡ)",)


# --- C26 -----------------------------------------------------------------------------------


def _along_t() -> bool:
    """v and its derivatives, j″ = (2vg̃)″ and its derivatives, and j″ = vη (C02)."""
    x, y, g, q, beta, o, a = sp.symbols("X Y G q beta o a", positive=True)
    z = beta * a
    known = {o: x / (1 + x), -o: 1 / (1 + x), z: y / (1 + y), -z: 1 / (1 + y)}
    system = SimpleNamespace(
        sigmoid=lambda u: known[u],
        tanh=lambda u: (y - 1) / (y + 1),
        log_cosh_half=lambda u: q * u - g,
    )
    xp = cast(NumberSystem, system)
    made = two_responses(xp, beta, o, a, q, sp.Integer(0))

    def change(f: Any) -> Any:
        first = beta * (q - (y - 1) / (2 * (y + 1)))
        return x * sp.diff(f, x) + beta * y * sp.diff(f, y) + first * sp.diff(f, g)

    v = x / (1 + x) ** 2
    told = [*made.chance, *made.curvature]
    meant = [v, change(v), change(change(v)), change(change(2 * v * g))]
    meant += [change(made.curvature[0]), change(made.curvature[1])]
    signs = np.array([[0, 1], [-1, 0]], dtype=object)
    sides = np.array([[0, 1], [1, 0]], dtype=object)
    first = signs * (q - (y - 1) / (2 * (y + 1)))
    parts = sides * g, first, -sides * (y / (1 + y) ** 2), sides * 0
    payoff = Payoff(*(part[None] for part in parts))
    policy = np.array([[x / (1 + x), 1 / (1 + x)]], dtype=object)
    eta = formulas.relative_pair_curvature(beta, policy, payoff)[0, 0, 1]
    return vanishes(*(t - m for t, m in zip(told, meant, strict=True)), v * eta - told[3])


def _centred() -> bool:
    """Σ_i (δ·φ̃_i)² = (δ·D)²/2 for two responses; (v·D)² = (y·ỹ)² for v = Wᵀy, ỹ = WD."""
    one, two, w = vector("f", 2), vector("h", 2), sp.Matrix(2, 2, sp.symbols("w0:4"))
    delta, y = vector("d", 2), sp.Matrix(sp.symbols("y0:2"))
    middle = (one + two) / 2
    square = sum(mean(delta, each - middle) ** 2 for each in (one, two))
    gap = sp.Matrix(one - two)
    same = ((w.T * y).T * gap)[0] ** 2 - (y.T * (w * gap))[0] ** 2
    return vanishes(square - mean(delta, one - two) ** 2 / 2, same)


def _frobenius() -> bool:
    """⟨N, dyᵀ⟩² ≤ ‖N‖_F²‖d‖²‖y‖² (Lagrange's identity, two dimensions); tr yyᵀ = ‖y‖²."""
    n = vector("n", 4)
    d, y = vector("d", 2), vector("y", 2)
    product = np.outer(d, y).ravel()
    slack = mean(n, n) * mean(product, product) - mean(n, product) ** 2
    squares = sum((n[i] * product[j] - n[j] * product[i]) ** 2 for i in range(4) for j in range(i))
    return vanishes(slack - squares, mean(product, product) - mean(d, d) * mean(y, y))


def _coordinates() -> bool:
    """⟨M, E(ω∘E)ᵀ⟩ = Σ x_ijX_ij, and ‖M‖_F = ‖x‖ where M_ij = x_ijω_j/√(ω_i² + ω_j²)."""
    e, w = vector("e", 2), sp.symbols("w0:2", positive=True)
    x00, x11, x01 = sp.symbols("x00 x11 x01")
    s = sp.Symbol("s", positive=True)
    m = sp.Matrix([[x00, x01 * w[1] / s], [x01 * w[0] / s, x11]])
    told = sum(m[i, j] * e[i] * e[j] * w[j] for i in range(2) for j in range(2))
    meant = x00 * e[0] ** 2 * w[0] + x11 * e[1] ** 2 * w[1] + x01 * e[0] * e[1] * s
    norm = sum(entry**2 for entry in m) - x00**2 - x11**2 - x01**2
    at = {w[0]: sp.sqrt(s**2 - w[1] ** 2)}
    return all(sp.simplify(part.subs(at)) == 0 for part in (told - meant, norm))


def _schur() -> bool:
    """(μI + τmmᵀ)(I − τmmᵀ/(μ + τ‖m‖²)) = μI: T ⪯ μI + τmmᵀ in the prompts' Gram matrix."""
    mu, tau = sp.symbols("mu tau", positive=True)
    m = sp.Matrix(sp.symbols("m0:3"))
    whole = mu * sp.eye(3) + tau * m * m.T
    inverse = sp.eye(3) - tau * m * m.T / (mu + tau * (m.T * m)[0])
    return vanishes(*(whole * inverse - mu * sp.eye(3)))


def _interpolation() -> bool:
    """A parabola lies (t−a)(b−t)g″/2 below its chord, (t−a)(b−t) ≤ (b−a)²/4; tangents too."""
    a, b, t, k = sp.symbols("a b t k")
    g = k * t**2 / 2
    chord = g.subs(t, a) + (g.subs(t, b) - g.subs(t, a)) * (t - a) / (b - a)
    most = (b - a) ** 2 / 4 - (t - a) * (b - t) - (t - (a + b) / 2) ** 2
    tangent = g - g.subs(t, a) - k * a * (t - a) - k * (t - a) ** 2 / 2
    return vanishes(chord - g - (t - a) * (b - t) * k / 2, most, tangent)


def _no_faster() -> bool:
    """|v^(j)| ≤ v for j ≤ 4: |1 − 6v|, (1 − 4v)(1 − 12v)², |1 − 30v + 120v²| ≤ 1 on [0, ¼]."""
    v = sp.Symbol("v", real=True)
    span = sp.Interval(0, sp.Rational(1, 4))
    bounded = (1 - 6 * v, 1 - 4 * v, (1 - 4 * v) * (1 - 12 * v) ** 2, 1 - 30 * v + 120 * v**2)
    return all(
        sp.maximum(each, v, span) <= 1 and sp.minimum(each, v, span) >= -1 for each in bounded
    )


def _factorised() -> bool:
    """What is_below says of integer matrices near their largest eigenvalue, by elimination."""
    rng = np.random.default_rng(26)
    answers = []
    for _ in range(80):
        size = int(rng.integers(1, 7))
        rows = rng.integers(-9, 10, (size, size)).astype(float)
        matrix = rows @ rows.T
        top = float(np.linalg.eigvalsh(matrix)[-1])
        for bound in (top, top + 1e-14, np.nextafter(top, 0), top + 1e-9 * (1 + top), top - 1e-6):
            exact = np.vectorize(Fraction)(-matrix.astype(int))
            for i in range(size):
                exact[i, i] += Fraction(float(bound))
            answers.append((is_below(matrix, float(bound)), _positive(exact)))
    return (True, False) not in answers and (True, True) in answers


def _positive(matrix: Any) -> bool:
    rows = [list(row) for row in matrix]
    while rows:
        head, *rest = rows
        if head[0] <= 0:
            return False
        rows = [[v - row[0] * h / head[0] for v, h in zip(row[1:], head[1:], strict=True)]
                for row in rest]  # fmt: skip
    return True


C26_STEPS: tuple[Step, ...] = (
    Step("symbolic", "γF_x − ∇²J_x = f(t)DDᵀ, f = γv − (2vg̃)″ = v(γ − η) (m = 2)", _along_t),
    Step("symbolic", "Σ(δ·φ̃_i)² = t²/2; (v·D)² = (y·ỹ)² for v = Wᵀy, t = (θ − c)·D", _centred),
    Step("symbolic", "T₃: trace part, and ⟨N, dyᵀ⟩² ≤ ‖N‖_F²‖d‖²‖y‖²", _frobenius),
    Step("symbolic", "T₄: E ⊗ (ω∘E) has the coordinates E_iE_j√(ω_i² + ω_j²)", _coordinates),
    Step("symbolic", "T₄: T ⪯ μI + τmmᵀ in the prompts' Gram matrix (Schur)", _schur),
    Step("symbolic", "minorants: chords and tangents with a bound of f″", _interpolation),
    Step("symbolic", "|v′|, |v″|, |v‴|, |v⁗| ≤ v", _no_faster),
    Step("exact", "a Cholesky factorisation in float64 bounds λ_max, 400 cases", _factorised),
)

C26_ASSUMES = (
    "C02 (∇²J_x and F_x in pair form)",
    "Rump's bound of Cholesky's method; λ_min(E Aỹỹᵀ) > 0 only where W is invertible",
)


# --- C27 -----------------------------------------------------------------------------------


def _factor() -> bool:
    """∫₀¹ (1 − s)e^{−sR} ds = ϕ(R)."""
    s, r = sp.symbols("s R", positive=True)
    whole = sp.integrate((1 - s) * sp.exp(-s * r), (s, 0, 1))
    return bool(sp.simplify(whole - path_factor(sympy_numbers(), r)) == 0)


def _remainder() -> bool:
    """f(1) = f(0) + f′(0) + ∫₀¹ (1 − s)f″(s) ds, for polynomials of degree 6."""
    s = sp.Symbol("s")
    f = sum(c * s**k for k, c in enumerate(sp.symbols("c0:7")))
    rest = sp.integrate((1 - s) * sp.diff(f, s, 2), (s, 0, 1))
    return vanishes(f.subs(s, 1) - f.subs(s, 0) - sp.diff(f, s).subs(s, 0) - rest)


def _at_reference() -> bool:
    """∇KL(π_ref‖π_θ) = 0 at θ_ref, so ∇J_γ = ∇J = h there (m ≤ 3)."""
    for m in SIZES:
        policy = one_prompt(m).policy
        still = np.array([sp.Integer(0)] * m, dtype=object)
        gradient = formulas.kl_ref_policy_gradient(sympy_numbers(), policy, policy, still)
        if not vanishes(*gradient):
            return False
    return True


C27_STEPS: tuple[Step, ...] = (
    Step("symbolic", "J_γ(θ) − J_γ(θ_ref) = h·δ + ∫(1 − s)δᵀ∇²J_γδ ds along δ", _remainder),
    Step("symbolic", "∇J_γ(θ_ref) = ∇J(θ_ref) = h", _at_reference),
    Step("symbolic", "∫(1 − s)e^{−sR} ds = ϕ(R): J_γ < J(θ_ref) on the sphere", _factor),
)

C27_ASSUMES = (
    "C09 (F̄(θ_ref + sδ) ⪰ e^{−sR}F̄(c), R = DB₀)",
    "∇²J ⪯ K₀F̄ on the ball of radius B₀",
    "{J_γ ≥ J(θ_ref)} within a ball on which J_γ is concave is convex, so it is the component",
)
