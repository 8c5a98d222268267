"""Objectives against the independent reference, across number systems, and against themselves."""

from __future__ import annotations

import numpy as np
import pytest
import sympy
import torch
from flint import ctx
from mpmath import mp, mpf

from sailtheory import (
    DPO,
    IPO,
    SAIL,
    KLPolicyRef,
    KLRefPolicy,
    PreferenceProblem,
    SelfPreferenceSAIL,
    StopGradientSelfPreference,
)
from sailtheory.numeric.exact import lift
from sailtheory.numeric.numbers import arb_numbers
from tests.support.instances import OBJECTIVES, name_of, ordinary, random_instance
from tests.support.reference import lists, minus, norm, plus, scaled

EPS = float(np.finfo(float).eps)
ORDINARY = 1e-12
EXTREME = 1e-9
FLOOR = 1e-290


def reference_of(kind, reference, theta):
    """Value, gradient and Hessian of an objective by the reference."""
    if kind is SAIL or kind is SelfPreferenceSAIL:
        name = "sail" if kind is SAIL else "self"
        return [f(name, theta) for f in (reference.value, reference.gradient, reference.hessian)]
    if kind is DPO or kind is IPO:
        name = "sail" if kind is DPO else "ipo"
        parts = (reference.off_value, reference.off_gradient, reference.off_hessian)
        return [f(name, theta) for f in parts]
    if kind is KLRefPolicy:
        return list(reference.kl_ref_policy(theta))
    if kind is KLPolicyRef:
        return list(reference.kl_policy_ref(theta))
    gamma = -mpf(kind.keywords["gamma"])
    pair = zip(reference_of(SAIL, reference, theta), reference.kl_ref_policy(theta), strict=True)
    return [plus(a, scaled(gamma, b)) for a, b in pair]


def gap(found, expected) -> float:
    """Distance of a float64 result from the reference."""
    return norm(minus(lists(np.asarray(found)), expected))


# --- the reference itself ----------------------------------------------------------------


@pytest.mark.parametrize("kind", OBJECTIVES, ids=name_of)
def test_reference_derivatives_are_those_of_its_values(kind):
    instance = ordinary(3, prompts=2, dimension=2)
    with mp.workdps(60):
        reference, theta, h = instance.reference(60), lists(instance.theta), mpf(10) ** -20
        _, gradient, hessian = reference_of(kind, reference, theta)
        for i in range(2):
            step = [h if j == i else mpf(0) for j in range(2)]
            ahead = reference_of(kind, reference, plus(theta, step))
            behind = reference_of(kind, reference, minus(theta, step))
            slope, bend = [scaled(1 / (2 * h), minus(ahead[o], behind[o])) for o in (0, 1)]
            assert abs(slope - gradient[i]) < mpf(10) ** -35
            assert norm(minus(bend, hessian[i])) < mpf(10) ** -35


# --- accuracy ------------------------------------------------------------------------------


@pytest.mark.parametrize("knobs", [{}, {"tabular": True}, {"duplicates": True}, {"responses": 1}],
                         ids=["general", "tabular", "duplicates", "one response"])  # fmt: skip
def test_ordinary_instances_to_twelve_digits(knobs):
    for seed in range(25 if not knobs else 5):
        instance = ordinary(seed, **knobs)
        problem = instance.problem()
        with mp.workdps(50):
            reference, theta = instance.reference(), lists(instance.theta)
            for kind in OBJECTIVES:
                objective = kind(problem)
                value, gradient, hessian = reference_of(kind, reference, theta)
                noise = mpf(10) ** -45  # the reference's own, where the exact value is 0
                for found, exact in [
                    (objective.gradient(instance.theta), gradient),
                    (objective.hessian(instance.theta), hessian),
                ]:
                    assert gap(found, exact) <= ORDINARY * norm(exact) + noise
                # Log-ratios carry an absolute error of a few ulps.
                assert gap(objective.value(instance.theta), value) <= 32 * EPS * (1 + abs(value))
            terms = SAIL(problem).hessian_terms(instance.theta)
            exact = reference.hessian_terms("sail", theta)
            for found, expected in zip(terms, exact, strict=True):
                assert gap(found, expected) <= ORDINARY * sum(map(norm, exact)) + noise


def test_extreme_instances_to_nine_digits():
    rng, compared = np.random.default_rng(2024), 0
    for _ in range(80):
        instance = random_instance(rng, extreme=True)
        problem = instance.problem()
        with mp.workdps(400):
            reference, theta = instance.reference(400), lists(instance.theta)
            for name, kind in (("sail", SAIL), ("self", SelfPreferenceSAIL)):
                terms = reference.hessian_terms(name, theta)
                scale = sum(map(norm, terms))
                hessian, objective = plus(plus(*terms[:2]), terms[2]), kind(problem)
                if scale > FLOOR:
                    assert gap(objective.hessian(instance.theta), hessian) <= EXTREME * scale
                    compared += 1
                parts = reference.gradient_terms(name, theta)
                scale = sum(map(norm, parts))
                if scale > FLOOR:
                    assert gap(objective.gradient(instance.theta), plus(*parts)) <= EXTREME * scale
            for kind in (KLRefPolicy, KLPolicyRef, DPO, IPO):
                _, gradient, hessian = reference_of(kind, reference, theta)
                if norm(hessian) > FLOOR:
                    error = gap(kind(problem).hessian(instance.theta), hessian)
                    assert error <= EXTREME * norm(hessian)
                # DPO's u = p - σ(z) is formed by subtraction: absolute accuracy.
                slack = 8 * EPS * instance.beta * problem.feature_diameter if kind is DPO else 0
                if norm(gradient) > FLOOR:
                    error = gap(kind(problem).gradient(instance.theta), gradient)
                    assert error <= EXTREME * norm(gradient) + slack
    assert compared > 80  # most of them are above the floor


def test_both_ends_of_the_range_at_once():
    """‖θ‖ = 1e3 with β at either end, opposite θ_ref, certain preferences, ν to 1e-300."""
    for beta in (1e-6, 1e3):
        for seed in range(6):
            rng = np.random.default_rng(seed)
            instance = random_instance(rng, extreme=True, bradley_terry=False, dimension=2)
            instance.beta = beta
            instance.theta *= 1e3 / np.linalg.norm(instance.theta)
            instance.ref_params = -instance.theta * (seed % 2)
            with mp.workdps(400):
                theta = lists(instance.theta)
                terms = instance.reference(400).hessian_terms("sail", theta)
                scale = sum(map(norm, terms))
                found = SAIL(instance.problem()).hessian(instance.theta)
                assert np.isfinite(found).all()
                if scale > FLOOR:
                    assert gap(found, plus(plus(*terms[:2]), terms[2])) <= EXTREME * scale


def test_close_to_the_reference():
    """The KL gradient π_θ − π_ref does not cancel."""
    instance = ordinary(11, dimension=2, responses=3)
    instance.theta = instance.ref_params + 1e-9 * np.array([0.3, -0.8])
    with mp.workdps(50):
        _, gradient, _ = instance.reference().kl_ref_policy(lists(instance.theta))
        found = KLRefPolicy(instance.problem()).gradient(instance.theta)
        assert gap(found, gradient) <= ORDINARY * norm(gradient)


@pytest.mark.parametrize("kind", OBJECTIVES, ids=name_of)
def test_curvature_gradient_against_differences_of_the_reference(kind):
    for seed in (1, 4):
        instance = ordinary(seed, dimension=2)
        direction = np.random.default_rng(seed).normal(size=2)
        found = kind(instance.problem()).curvature_gradient(instance.theta, direction)
        with mp.workdps(60):
            reference, theta = instance.reference(60), lists(instance.theta)
            v, h = lists(direction), mpf(10) ** -20

            def curvature(at, reference=reference, v=v):
                hessian = reference_of(kind, reference, at)[2]
                return sum(v[i] * hessian[i][j] * v[j] for i in range(2) for j in range(2))

            steps = [[h, mpf(0)], [mpf(0), h]]
            slope = [(curvature(plus(theta, s)) - curvature(minus(theta, s))) / (2 * h)
                     for s in steps]  # fmt: skip
            # IPO is quadratic: its third derivative vanishes.
            assert gap(found, slope) <= 1e-11 * norm(slope) + mpf(10) ** -30


def test_stop_gradient_field_and_jacobian():
    for seed in range(8):
        instance = ordinary(seed, dimension=2, responses=3)
        vector_field = StopGradientSelfPreference(instance.problem())
        with mp.workdps(50):
            reference, theta = instance.reference(), lists(instance.theta)
            value = reference.stop_gradient(theta)
            jacobian = reference.stop_gradient_jacobian(theta)
            assert gap(vector_field.field(instance.theta), value) <= ORDINARY * norm(value)
            assert gap(vector_field.jacobian(instance.theta), jacobian) <= ORDINARY * norm(jacobian)
            h = mpf(10) ** -20
            ahead, behind = (reference.stop_gradient(plus(theta, [s * h, mpf(0)])) for s in (1, -1))
            column = scaled(1 / (2 * h), minus(ahead, behind))
            assert norm(minus(column, [row[0] for row in jacobian])) < mpf(10) ** -25
            assert abs(jacobian[0][1] - jacobian[1][0]) > 1e-9  # not a gradient field (C06)
        at_ref = vector_field.jacobian(instance.ref_params)
        assert np.abs(at_ref).max() < 1e-15
        assert not hasattr(vector_field, "value")


# --- the number systems agree ----------------------------------------------------------------


@pytest.mark.parametrize("kind", OBJECTIVES, ids=name_of)
def test_batched_equals_looped(kind):
    instance = ordinary(5, prompts=3, dimension=2)
    objective = kind(instance.problem())
    thetas = np.random.default_rng(0).normal(size=(3, 4, 2))
    v = np.random.default_rng(1).normal(size=(3, 4, 2))
    results = [
        (objective.value(thetas), objective.value),
        (objective.gradient(thetas), objective.gradient),
        (objective.hessian(thetas), objective.hessian),
    ]
    for index in np.ndindex(3, 4):
        for whole, one in results:
            np.testing.assert_allclose(whole[index], one(thetas[index]), rtol=1e-12, atol=1e-15)
        whole = objective.curvature_gradient(thetas, v)[index]
        one = objective.curvature_gradient(thetas[index], v[index])
        np.testing.assert_allclose(whole, one, rtol=1e-11, atol=1e-14)
    assert objective.value(np.zeros((0, 2))).shape == (0,)
    assert objective.hessian(np.zeros((0, 2))).shape == (0, 2, 2)


def test_chunks_do_not_change_a_result(monkeypatch):
    instance = ordinary(6, dimension=2)
    objective = SAIL(instance.problem())
    thetas = np.random.default_rng(0).normal(size=(7, 2))
    whole = objective.hessian(thetas)
    monkeypatch.setattr("sailtheory.objectives.expectation._CHUNK", 40)
    np.testing.assert_allclose(objective.hessian(thetas), whole, rtol=1e-13)


@pytest.mark.parametrize("kind", OBJECTIVES, ids=name_of)
def test_torch_autodiff_agrees(kind):
    instance = ordinary(7, dimension=2)
    objective = kind(instance.problem())
    theta = torch.as_tensor(instance.theta)
    gradient, hessian = torch.func.grad(objective.value)(theta), torch.func.hessian(objective.value)
    scale = np.abs(objective.hessian(instance.theta)).max()
    for found, expected in [
        (objective.gradient(theta), gradient),
        (objective.hessian(theta), hessian(theta)),
        (torch.as_tensor(objective.gradient(instance.theta)), gradient),
        (torch.as_tensor(objective.hessian(instance.theta)), hessian(theta)),
    ]:
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12 * scale)
    batch = torch.stack([theta, 2 * theta])
    torch.testing.assert_close(torch.func.vmap(objective.value)(batch), objective.value(batch))


@pytest.mark.parametrize("kind", OBJECTIVES, ids=name_of)
@pytest.mark.parametrize(("bits", "digits"), [(53, 50), (200, 100)])
def test_arb_encloses_the_reference(kind, bits, digits):
    for seed in range(6):
        # One-hot features: θ_ref is off c + S, and its float projection is not exact.
        instance = ordinary(seed, tabular=seed % 2 == 1)
        objective = kind(instance.problem())
        with mp.workdps(digits):
            expected = reference_of(kind, instance.reference(digits), lists(instance.theta))
        with ctx.workprec(bits):
            theta = lift(arb_numbers(), instance.theta)
            found = (objective.value(theta), objective.gradient(theta), objective.hessian(theta))
        for balls, exact in zip(found, expected, strict=True):
            flat = np.array(exact, dtype=object).ravel()
            for ball, number in zip(np.ravel(balls), flat, strict=True):
                mantissa, exponent = map(int, ball.mid().man_exp())
                with mp.workdps(digits):
                    off = abs(mpf(mantissa) * mpf(2) ** exponent - number)
                    noise = mpf(10) ** (5 - digits)
                    assert off <= float(ball.rad()) * (1 + 1e-8) + noise
                assert float(ball.rad()) <= 1e-11 * 2.0 ** (53 - bits)


# --- exact numbers of the theory ----------------------------------------------------------------


def sympy_hessian(problem: PreferenceProblem, kind=SAIL, theta=(0,)):
    point = np.array([sympy.Integer(t) for t in theta], dtype=object)
    return kind(problem).hessian(point)[0, 0]


def test_c04_i():
    problem = PreferenceProblem(features=[[[1], [0]]], preferences=[[[0.5, 1], [0, 0.5]]],
                                base=[["1/4", "3/4"]], beta=0.1, radius=1)  # fmt: skip
    assert sympy_hessian(problem) == sympy.Rational(57, 3200)
    assert sympy_hessian(problem, KLRefPolicy) == sympy.Rational(3, 16)
    assert float(SAIL(problem).hessian(np.zeros(1))[0, 0]) == pytest.approx(57 / 3200, rel=1e-14)


@pytest.mark.parametrize(("p", "expected"), [(1, (37, 2700)), ("11/20", (1, 2700))])
def test_c04_ii(p, expected):
    q = 0 if p == 1 else "9/20"
    matrix = [[0.5, p, p], [q, 0.5, 0.5], [q, 0.5, 0.5]]
    problem = PreferenceProblem(features=[[[1], [0], [0]]], preferences=[matrix],
                                beta=0.1, radius=1)  # fmt: skip
    assert sympy_hessian(problem) == sympy.Rational(*expected)
    assert sympy_hessian(problem, KLRefPolicy) == sympy.Rational(2, 9)


def test_c08_at_one():
    problem = PreferenceProblem(features=[[[1], [-1]]], preferences=[[[0.5, 1], [0, 0.5]]],
                                beta=0.1, radius=1)  # fmt: skip
    expected = sympy.sech(1) ** 2 * (1 - 2 * sympy.tanh(1))
    found = sympy_hessian(problem, KLPolicyRef, (1,))
    assert sympy.simplify((found - expected).rewrite(sympy.exp)) == 0
    assert float(KLPolicyRef(problem).hessian(np.ones(1))[0, 0]) == pytest.approx(float(expected))
