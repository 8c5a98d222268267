"""Numbers that show mutated statements false, from the production formulas on small problems.

Each function returns an excess: by how much the mutated statement fails at its witness.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sailtheory import SAIL, PreferenceProblem
from sailtheory.numeric.numbers import FLOAT64, Array
from sailtheory.objectives.sail import KLRefPolicy, SAILRevKL, fisher
from sailtheory.theory import bounds
from sailtheory.theory.inner_supremum import best_margin, inner_supremum


def pair(
    mass: float = 0.5,
    *,
    beta: float = 0.1,
    radius: float = 1.0,
    wins: float = 1.0,
    spread: float = 1.0,
) -> PreferenceProblem:
    """Two responses, d = 1, features (spread, 0), the first of reference mass ``mass``."""
    return PreferenceProblem(
        features=[[[spread], [0.0]]], preferences=[[[0.5, wins], [1 - wins, 0.5]]],
        beta=beta, radius=radius, base=[[mass, 1 - mass]],
    )  # fmt: skip


def ratio(problem: PreferenceProblem, theta: float, sign: int = 1) -> float:
    """±∇²J / F̄ at θ, d = 1."""
    at = np.array([theta])
    return float(sign * SAIL(problem).hessian(at)[0, 0] / fisher(problem, at)[0, 0])


def value(problem: PreferenceProblem, theta: float) -> float:
    """J(θ), d = 1."""
    return float(SAIL(problem).value(np.array([theta])))


def sigma(z: float) -> float:
    """The logistic function."""
    return float(1 / (1 + np.exp(-z)))


def relative_constant(weight_value: float, weight_supremum: float, *, beta: float = 0.1) -> float:
    """C11 with other weights of b − J and of the supremum; two responses, the first rare."""
    problem = pair(1e-6, beta=beta, radius=1e-3)
    z = problem.z_max
    b = best_margin(beta, z) - float(np.log1p(np.exp(-z)))
    h = inner_supremum(b, z).upper
    bound = weight_value * (b - value(problem, 0.0)) + weight_supremum * beta**2 * h
    return ratio(problem, 0.0) - bound


def tight_c_zero() -> tuple[PreferenceProblem, float]:
    """Two responses on which C11 (ii) is nearly an equality, and the θ where it is."""
    t = np.linspace(0.5, 3, 100_001)
    s = np.exp(-t)
    best = float(t[((1 - s) ** 2 / t - s * (1 - s)).argmax()])
    beta = best / -np.expm1(-best)
    reach = abs(np.log(np.expm1(best))) / beta
    problem = pair(1e-7, beta=float(beta), radius=float(1.1 * reach))
    thetas = np.linspace(-1.1 * reach, 1.1 * reach, 2001)
    excess = [ratio(problem, x) + 2 * value(problem, x) for x in thetas]
    return problem, float(thetas[int(np.argmax(excess))])


def pointwise(factor: float) -> float:
    """C11 (ii) with ``factor`` for 2c₀."""
    problem, theta = tight_c_zero()
    return ratio(problem, theta) + 2 * value(problem, theta) - factor * float(problem.beta) ** 2


def closed_form(four: float) -> float:
    """C11 (i) with ``four`` for 4 before βσ(Z)."""
    problem = pair(1e-6, beta=0.1, radius=1e-3)
    z = problem.z_max
    sharp = z + np.log(2 * sigma(z)) + four * 0.1 * sigma(z) - 2 * 0.01 * sigma(z) * sigma(-z)
    return ratio(problem, 0.0) - float(sharp)


def two_responses(six: float, four: float) -> float:
    """C23's curvature of two responses with other constants for 6 and 4: how far it is off."""
    problem, theta, beta = pair(0.3, beta=0.5), 0.7, 0.5
    z, share = beta * theta, sigma(theta + float(np.log(0.3 / 0.7)))
    score = 2 * (np.log(sigma(z)) + np.log(2)) * (1 - six * share * (1 - share))
    cross = four * beta * (1 - sigma(z)) * (1 - 2 * share)
    found = score + cross - 2 * beta**2 * sigma(z) * sigma(-z)
    return abs(ratio(problem, theta) - float(found))


def lower_side(four: float) -> float:
    """K⁻ with ``four`` for 4 before βσ(Z); the rare response loses."""
    problem = pair(1e-6, beta=0.1, radius=1e-3, wins=0.0)
    z = problem.z_max
    minus = 2 * (np.log(sigma(z / 2)) + np.log1p(np.exp(z))) + four * 0.1 * sigma(z) + 0.01 / 2
    return ratio(problem, 0.0, -1) - float(minus)


def value_floor(share: float) -> float:
    """−J ≤ share·(log 2 + log(1 + e^Z)): equal masses, the preferred response made rarer."""
    beta, radius = 1.0, 8.0
    problem = PreferenceProblem(
        features=[[[1.0], [0.0]]], preferences=[[[0.5, 0.0], [1.0, 0.5]]], beta=beta, radius=radius,
        base=[[np.exp(-radius), 1.0]],
    )  # fmt: skip
    z = problem.z_max
    return -value(problem, radius) - share * float(np.log(2) + np.log1p(np.exp(z)))


def value_ceiling(share: float) -> float:
    """J ≤ log σ(share·Z): many responses in order, a policy that tells them apart."""
    m, beta = 40, 1e4
    order = np.arange(m)[::-1].astype(float)
    wins = np.where(order[:, None] > order[None, :], 1.0, 0.0) + 0.5 * np.eye(m)
    problem = PreferenceProblem(
        features=[order[:, None] / m], preferences=[wins], beta=beta, radius=1e-4
    )
    return value(problem, 1e-4) - float(np.log(sigma(share * problem.z_max)))


def derivative(problem: PreferenceProblem, theta: float, step: float = 1e-5) -> float:
    """Central difference of J, d = 1."""
    return (value(problem, theta + step) - value(problem, theta - step)) / (2 * step)


def pairwise(x: Array) -> Array:
    """x_k − x_l."""
    return x[:, None] - x[None, :]


def parts(problem: PreferenceProblem, theta: float) -> dict[str, Any]:
    """Policy, payoffs, scores and Fisher form of one prompt, d = 1, from their definitions."""
    phi = problem.features[0][:, 0].astype(float)
    p = np.asarray(problem.preferences[0].centred(FLOAT64)) + 0.5
    pi = problem.policy(np.array([theta]))[0]
    ref = problem.policy(problem.ref_params)[0]
    z = float(problem.beta) * pairwise((theta - problem.ref_params[0]) * phi)

    def log(x: np.ndarray) -> np.ndarray:
        return np.asarray(-np.logaddexp(0, -x))

    s = phi - pi @ phi
    return {
        "phi": phi, "p": p, "pi": pi, "ref": ref, "z": z, "g": p * log(z) + p.T * log(-z),
        "u": p - 1 / (1 + np.exp(-z)), "s": s, "plus": s[:, None] + s, "minus": pairwise(phi),
        "F": float(pi @ s**2), "two": np.outer(pi, pi),
    }  # fmt: skip


def gradient_term(weight: float) -> float:
    """C01 with ``weight`` for β before E[uΔ]."""
    problem = pair(0.3, beta=0.5)
    q = parts(problem, 0.4)
    stated = (q["two"] * (q["g"] * q["plus"] + weight * q["u"] * q["minus"])).sum()
    return abs(float(stated) - derivative(problem, 0.4))


def hessian_term(weight: float) -> float:
    """C02 with ``weight`` for 2 before J F."""
    problem = pair(0.3, beta=0.5)
    q = parts(problem, 0.4)
    slope = 1 / (1 + np.exp(-q["z"])) / (1 + np.exp(q["z"]))
    inside = (
        q["g"] * q["plus"] ** 2 + q["u"] * q["plus"] * q["minus"] - 0.25 * slope * q["minus"] ** 2
    )
    stated = float((q["two"] * inside).sum()) - weight * value(problem, 0.4) * q["F"]
    return float(abs(stated - SAIL(problem).hessian(np.array([0.4]))[0, 0]))


def pair_form(six: float) -> float:
    """The pair form with ``six`` for 6 before f̄."""
    problem = pair(0.3, beta=0.5)
    q = parts(problem, 0.4)
    g = q["g"] + np.log(2)
    f = (g + 0.5 * q["u"]) @ q["pi"]
    slope = 1 / (1 + np.exp(-q["z"])) / (1 + np.exp(q["z"]))
    eta = 4 * (f[:, None] + f[None, :]) - six * (q["pi"] @ f) - 2 * g - 2 * 0.25 * slope
    stated = 0.5 * float((q["two"] * eta * q["minus"] ** 2).sum())
    return float(abs(stated - SAIL(problem).hessian(np.array([0.4]))[0, 0]))


def kl_gradient(sign: float) -> float:
    """∇KL(π_ref‖π_θ) as E_θφ + sign·E_refφ."""
    problem = pair(0.3)
    q = parts(problem, 0.4)
    stated = q["pi"] @ q["phi"] + sign * (q["ref"] @ q["phi"])
    return abs(float(stated - KLRefPolicy(problem).gradient(np.array([0.4]))[0]))


def at_reference(eighth: float, mass: float = 0.1, beta: float = 0.5) -> float:
    """C03 with β·``eighth`` for β/8."""
    problem = pair(mass, beta=beta)
    q = parts(problem, 0.0)
    pbar = q["p"] @ q["ref"]
    stated = 4 * beta * float(q["ref"] @ ((pbar - 0.5 - beta * eighth) * q["s"] ** 2))
    return abs(stated - float(SAIL(problem).hessian(np.array([0.0]))[0, 0]))


def positive_at_reference(beta: float) -> float:
    """Curvature at the reference of the pair with mass (4 − β)/16: positive below β = 4."""
    return float(SAIL(pair((4 - beta) / 16, beta=beta)).hessian(np.array([0.0]))[0, 0])


def negative_at_reference(beta: float) -> float:
    """−sup over masses of the curvature at the reference: positive above β = 4."""
    masses = np.linspace(1e-4, 1 - 1e-4, 999)
    return -max(
        float(SAIL(pair(float(t), beta=beta)).hessian(np.array([0.0]))[0, 0]) for t in masses
    )


def exact_difference(mass: float, stated: float) -> float:
    """|J'' at the reference − stated| for β = 1/10."""
    return abs(float(SAIL(pair(mass)).hessian(np.array([0.0]))[0, 0]) - stated)


def one_winner(coefficient: float) -> float:
    """|J'' of C04 (ii) − (β/9)(coefficient − β)|."""
    wins = [[0.5, 1, 1], [0, 0.5, 0.5], [0, 0.5, 0.5]]
    problem = PreferenceProblem(features=[[[1], [0], [0]]], preferences=[wins], beta=0.1, radius=1)
    return abs(float(SAIL(problem).hessian(np.array([0.0]))[0, 0]) - 0.1 / 9 * (coefficient - 0.1))


def other_kl(theta: float = 1.0) -> float:
    """∇²KL(π_θ‖π_ref) at θ for φ = ±1: sech²θ(1 − 2θ tanh θ)."""
    return float((1 - 2 * theta * np.tanh(theta)) / np.cosh(theta) ** 2)


def fisher_decay(share: float) -> float:
    """F(θ) ≥ e^{−share·R}F(θ′): a rare response, R = 3."""
    reach, mass = 3.0, 1e-6
    problem = pair(mass, radius=reach)
    low, high = (float(fisher(problem, np.array([t]))[0, 0]) for t in (-reach, 0.0))
    return float(np.exp(-share * reach)) * high - low


def c_zero(bound: float) -> float:
    """max_s (1 − s)²/(−ln s) − s(1 − s) against a claimed upper bound."""
    s = np.linspace(0.05, 0.2, 1_000_001)
    return float(((1 - s) ** 2 / -np.log(s) - s * (1 - s)).max()) - bound


def smooth_quadratic(factor: float, slow: float, fast: float) -> float:
    """One step of ascent on −½(slow·x² + fast·y²) from (1, 0), against 1 − factor·slow/fast."""
    return (1 - slow / fast) ** 2 - (1 - factor * slow / fast)


def range_constant(r: float, less: float = 0.0, share: float = 1.0) -> float:
    """KL of the extremal pair of C19 at range r against share·K(r) − less."""
    s = 1 / r - 1 / np.expm1(r)
    kl = np.log((1 - s) + s * np.exp(r)) - s * r
    constant = np.log(np.expm1(r) / r) - 1 + r / np.expm1(r) - less
    return float(kl - share * constant)


def hoeffding(eighth: float, r: float = 0.1) -> float:
    """KL(π_ref‖π) of two equal masses moved by r, against eighth·r²."""
    return float(np.log(np.cosh(r / 2)) - eighth * r * r)


def price_of_kl(share: float) -> float:
    """KL(π_ref‖π) ≤ share·log 2/γ, where J_γ(θ) = J_γ(θ_ref): four responses told apart."""
    m, beta = 4, 1e3
    order = np.arange(m)[::-1].astype(float)
    wins = np.where(order[:, None] > order[None, :], 1.0, 0.0) + 0.5 * np.eye(m)
    problem = PreferenceProblem(
        features=[order[:, None]], preferences=[wins], beta=beta, radius=0.05
    )
    kl = float(KLRefPolicy(problem).value(np.array([0.05])))
    gamma = (value(problem, 0.05) + float(np.log(2))) / kl
    return kl - share * float(np.log(2)) / gamma


def gain(factor: float) -> float:
    """J_γ gained over the reference against factor·β²Var(p̄)/c, at large γ."""
    problem = pair(0.5, beta=0.1, radius=4.0)
    gamma = 40.0
    c = gamma - bounds.relative_bound(0.1, problem.z_max)
    thetas = np.linspace(-0.01, 0.01, 20001)[:, None]
    values = SAILRevKL(problem, gamma).value(thetas)
    q = parts(problem, 0.0)
    variance = float(q["ref"] @ ((q["p"] @ q["ref"]) - 0.5) ** 2)
    return float(values.max() + np.log(2)) - factor * 0.01 * variance / c


def no_score(factor: float, *, beta: float = 0.1, z: float = 5.0) -> float:
    """Relative slope of βE[uΔ] at z = −Z, the first response rare, against factor·β."""
    problem = pair(1e-7, beta=beta, radius=z / beta)

    def field(theta: float) -> float:
        q = parts(problem, theta)
        return beta * float((q["two"] * q["u"] * q["minus"]).sum())

    theta, step = -z / beta + 1.0, 1e-4
    slope = (field(theta + step) - field(theta - step)) / (2 * step)
    return float(slope / parts(problem, theta)["F"] - factor * beta)


def rare_reward(share: float, mass: float = 0.1) -> float:
    """∇²V/F of two responses, rewards (1, 0), against share·(1 − V): it is 1 − 2V."""
    return (1 - 2 * mass) - share * (1 - mass)


def steep_slope(mass: float = 0.1) -> float:
    """∇²f/F of two responses, rewards (1, 0), against (1 − V)f', where f''(1 − V) = 2f' at V.

    With f' = 1 it is (1 − 2V) + V(1 − V)f'', and f'' = 2/(1 − V) obeys the weaker hypothesis there.
    """
    return (1 - 2 * mass) + 2 * mass - (1 - mass)


def group_of_two(bound: float, mass: float = 0.1) -> float:
    """Relative slope of the group advantage for G = 2, A = ±1 where rewards differ: 1 − 2π₁."""
    return (1 - 2 * mass) - bound


def data_value(share: float) -> float:
    """−(J + log 2) ≤ share·(log cosh(Z/2) + qZ): equal masses, the wrong response raised."""
    beta, radius = 1.0, 4.0
    problem = PreferenceProblem(
        features=[[[1.0], [0.0]]], preferences=[[[0.5, 0.2], [0.8, 0.5]]], beta=beta, radius=radius,
        base=[[np.exp(-radius), 1.0]],
    )  # fmt: skip
    z = problem.z_max
    return -(value(problem, radius) + float(np.log(2))) - share * float(
        np.log(np.cosh(z / 2)) + 0.3 * z
    )


def data_value_max(share: float) -> float:
    """−(J + log 2) ≤ share·max(−g̃) for the same two responses."""
    beta, radius = 1.0, 4.0
    problem = PreferenceProblem(
        features=[[[1.0], [0.0]]], preferences=[[[0.5, 0.2], [0.8, 0.5]]], beta=beta, radius=radius,
        base=[[np.exp(-radius), 1.0]],
    )  # fmt: skip
    largest = -float((parts(problem, radius)["g"] + np.log(2)).min())
    return -(value(problem, radius) + float(np.log(2))) - share * largest


def opposite_prompts() -> float:
    """C24 without its hypothesis: γ* of one prompt above γ* of its average with the reverse."""
    up, down = pair(0.2, beta=1.0, radius=1.0), pair(0.2, beta=1.0, radius=1.0, wins=0.0)
    thetas = np.linspace(-1, 1, 401)
    alone = max(ratio(up, t) for t in thetas)
    return alone - max((ratio(up, t) + ratio(down, t)) / 2 for t in thetas)


def strong_modulus(share: float) -> float:
    """−∇²J_γ ≥ (γ − K)e^{−share·DB}F(c) at a rare response and large γ."""
    problem = pair(1e-6, beta=0.1, radius=3.0)
    gamma = 1e5
    at = np.array([-3.0])
    curvature = -float(SAILRevKL(problem, gamma).hessian(at)[0, 0])
    k = bounds.relative_bound(0.1, problem.z_max)
    return (gamma - k) * float(
        np.exp(-share * 3.0) * fisher(problem, np.array([0.0]))[0, 0]
    ) - curvature


def smooth_modulus(parts_of: float) -> float:
    """−∇²J_γ ≤ (γ + K⁻)D²/parts_of at equal masses."""
    problem = pair(0.5, beta=0.1, radius=0.5)
    gamma = 10.0
    curvature = -float(SAILRevKL(problem, gamma).hessian(np.array([0.0]))[0, 0])
    allowed = (gamma + bounds.lower_curvature(FLOAT64, 0.1, problem.z_max)) / parts_of
    return float(curvature - allowed)


def closed_threshold(share: float) -> float:
    """A lower bound of K_B at Z = 8 above β(share·DB + 4), β = 0.1.

    For every b above log σ(Z), 2b + log 2 + log(1 + e^Z) + 2β²(−¼) is below the value at b.
    """
    beta, z = 0.1, 8.0
    least = 2 * np.log(sigma(z)) + np.log(2) + np.log1p(np.exp(z)) - beta**2 / 2
    return float(least) - (share * z + 4 * beta)
