"""C15–C17: rates end as expected, wrong variants are refuted, mutated formulas are noticed."""

from __future__ import annotations

import itertools
import re
from functools import partial

import numpy as np
import pytest
from flint import arb
from scipy.optimize import minimize

from proofs_check.arguments import stochastic_steps
from proofs_check.claims import c15_projected_ascent, c16_stochastic_ascent, c17_mirror_ascent
from proofs_check.evidence.argument import argue
from proofs_check.evidence.battery import skewed
from proofs_check.evidence.instances import random_problem
from sailtheory import SAIL, KLRefPolicy, SAILRevKL
from sailtheory.ascent import Estimator, bregman_divergence, constants, mirror_ascent, moments
from sailtheory.landscape import Domain, Search, maximise
from sailtheory.numeric.numbers import arb_numbers
from sailtheory.theory import bounds, formulas
from sailtheory.verdict import Outcome, conclude
from tests.support.claims import CLAIMS, QUICK, details_of


@pytest.mark.parametrize(("claim_id", "minimum"), [("C15", 200), ("C16", 100), ("C17", 200)])
def test_enough_instances_are_tried(claim_id, minimum):
    (detail,) = details_of(claim_id, "sampled")
    assert int(re.search(r"(\d+) instances", detail)[1]) >= minimum


def test_there_are_enough_falsehoods():
    assert [len(CLAIMS[claim_id].planted) for claim_id in ("C16", "C16b", "C17")] == [4, 3, 5]


# --- mutations ------------------------------------------------------------------------------


def _faster(f):
    """A rate eight times too fast."""
    return lambda mu, smooth, steps, initial: f(mu, smooth, 8 * steps, initial)


def _less_noise(f):
    return lambda mu, smooth, steps, initial, v, n: f(mu, smooth, steps, initial, v / 2, n)


MUTATIONS = [
    ("C15", bounds, "linear_gap", _faster),
    ("C16", bounds, "linear_gap", _faster),
    ("C16", bounds, "stochastic_gap", _less_noise),
    ("C16", bounds, "stochastic_batch", lambda f: lambda *a: f(*a) / 2),
    ("C16", bounds, "stochastic_samples", lambda f: lambda *a: 2 * f(*a)),
    ("C16b", bounds, "stochastic_gap", _less_noise),
    ("C16b", bounds, "contraction", lambda f: lambda m, s: 1 - 2 * m / s),
    ("C16b", bounds, "linear_steps", lambda f: lambda *a: f(*a) / 2),
    ("C17", bounds, "linear_gap", _faster),
    ("C17", bounds, "contraction", lambda f: lambda m, s: 1 - 2 * m / s),
    ("C17", formulas, "kl_ref_policy", lambda f: lambda *a: 2 * f(*a)),
    ("C17", c17_mirror_ascent, "bregman", lambda f: lambda *a: f(*a) + a[0]),
]


@pytest.mark.parametrize(("claim_id", "module", "name", "change"), MUTATIONS)
def test_a_mutated_formula_breaks_a_step(monkeypatch, claim_id, module, name, change):
    steps = {
        "C15": c15_projected_ascent.STEPS,
        "C16": (*stochastic_steps.STEPS, stochastic_steps.WEAKER),
        "C16b": stochastic_steps.STEPS,
        "C17": c17_mirror_ascent.STEPS,
    }[claim_id]
    assert conclude(argue("before", steps)).outcome is Outcome.HOLDS
    monkeypatch.setattr(module, name, change(getattr(module, name)))
    assert conclude(argue("after", steps)).outcome is not Outcome.HOLDS


@pytest.mark.parametrize(
    ("claim_id", "name", "change"),
    [
        ("C15", "linear_gap", _faster),
        ("C16b", "stochastic_gap", lambda f: lambda *a: f(*a) / 1e3),
        ("C17", "linear_gap", _faster),
    ],
)
def test_the_instances_alone_refute_a_wrong_bound(monkeypatch, claim_id, name, change):
    monkeypatch.setattr(bounds, name, change(getattr(bounds, name)))
    check = CLAIMS[claim_id].check
    if claim_id == "C16b":  # the claim holds the function itself; small trees, as all fail
        monkeypatch.setattr(c16_stochastic_ascent, "SIZES", {"quick": 24})
        monkeypatch.setattr(c16_stochastic_ascent, "LEAVES", 16)
        check = c16_stochastic_ascent._check(bounds.stochastic_gap, "mutated", ())
    assert Outcome.REFUTED in [evidence.outcome for evidence in check(QUICK)]


# --- C16: the enumeration against brute force -------------------------------------------------


def test_pair_noise_has_the_moments_of_the_estimator():
    problem = random_problem(np.random.default_rng(3), prompts=2, responses=3, dimension=2)
    theta = np.stack([problem.ref_params, problem.center.astype(float)])
    chance, xi = c16_stochastic_ascent.pair_noise(problem, theta)
    found = moments(problem, theta, Estimator("-log 2"))
    assert chance.sum(1) == pytest.approx(1)
    assert np.abs((chance[..., None] * xi).sum(1)).max() < 1e-14
    assert found.mean == pytest.approx(SAIL(problem).gradient(theta), abs=1e-14)
    assert (chance * (xi**2).sum(-1)).sum(-1) == pytest.approx(found.variance)


def test_the_tree_is_the_expectation_over_all_sequences():
    problem = random_problem(np.random.default_rng(5), dimension=2, radius=0.5, responses=3)
    objective, domain = SAILRevKL(problem, 2.0), Domain(problem)
    v = problem.span.basis @ np.ones(problem.span.dimension)
    smooth, start = 1.5, problem.ref_params
    coin = partial(c16_stochastic_ascent.coin, v)
    total = 0.0
    for draws in itertools.product([(0.2, 2.0), (0.8, -0.5)], repeat=4):
        theta, weight = start, 1.0
        for first, second in (draws[:2], draws[2:]):  # two steps, batches of two
            weight *= first[0] * second[0]
            ascent = objective.gradient(theta) + (first[1] + second[1]) / 2 * v
            theta = domain.embed(domain.coordinates(theta + ascent / smooth))
        total += weight * objective.value(theta)
    walk = c16_stochastic_ascent.Run(start, coin, smooth, 2, 2)
    value, variance = walk.expect(objective, start)
    assert value == pytest.approx(total, rel=1e-13)
    assert variance == pytest.approx(v @ v)
    ball = walk.expect(objective, arb_numbers().asarray(start))
    assert abs(float(ball[0]) - total) < 1e-12


@pytest.mark.parametrize("radius", [0.05, 4.0])  # a maximiser on the boundary, an interior one
def test_displacement_bounds_the_distance_to_the_maximiser(radius):
    problem = skewed("0.3", beta=0.5, radius=radius)
    objective = SAILRevKL(problem, 3.0)
    best = maximise(objective, Search(Domain(problem))).theta
    mu = float(-objective.hessian(np.linspace(-radius, radius, 101)[:, None]).max()) * 0.99
    for y in (best * (1 - 1e-14), best * 0.9, best * 0 - radius / 2):
        slope = objective.gradient(arb_numbers().asarray(y))
        found = float(c16_stochastic_ascent.displacement(problem, y, slope, arb(mu)))
        assert np.linalg.norm(best - y) - 1e-9 <= found
    if radius > 1:  # near an interior maximiser the bound is tight
        y = best + 1e-3
        mu = float(-objective.hessian(np.linspace(best, y, 11)).max())
        slope = objective.gradient(arb_numbers().asarray(y))
        found = float(c16_stochastic_ascent.displacement(problem, y, slope, arb(mu)))
        assert 1e-3 * (1 - 1e-9) <= found <= 1.01e-3
    near = best * (1 - 1e-14)
    slope = objective.gradient(arb_numbers().asarray(near))
    assert float(c16_stochastic_ascent.displacement(problem, near, slope, arb(mu))) < 1e-6


# --- C17: the step against a general solver, the divergence by its definition ------------------


def test_divergence_is_the_mean_kl_of_the_policies():
    problem = random_problem(np.random.default_rng(8), prompts=3, dimension=2)
    x, y = problem.center.astype(float), problem.ref_params + 0.1
    expected = sum(
        w * (q * np.log(q / p)).sum()
        for w, p, q in zip(problem.weights, problem.policy(x), problem.policy(y), strict=True)
    )
    assert bregman_divergence(problem, x, y) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("radius", [0.05, 5.0])  # the step ends on the sphere, inside
def test_enclosure_holds_the_step_of_a_general_solver(radius):
    problem = random_problem(
        np.random.default_rng(2), prompts=2, responses=4, dimension=2, beta=1.0, radius=radius
    )
    objective = SAILRevKL(problem, 40.0)
    at, kl, start = constants(objective), KLRefPolicy(problem), problem.ref_params
    path = mirror_ascent(objective, start, steps=1).path[:, 0]
    floor = at.modulus / at.relative_modulus
    box = c17_mirror_ascent.enclosed(objective, path, at.relative_smooth, arb(floor))
    g, center = objective.gradient(start), problem.center.astype(float)

    def loss(y):
        gap = kl.value(y) - kl.value(start) - kl.gradient(start) @ (y - start)
        return at.relative_smooth * gap - g @ (y - start)

    inside = {"type": "ineq", "fun": lambda y: radius**2 - ((y - center) ** 2).sum()}
    solved = minimize(loss, start, constraints=inside, method="SLSQP", options={"ftol": 1e-15}).x
    middle = np.array([float(b.mid()) for b in box])
    assert all(float(b.rad()) < 1e-5 for b in box)
    assert middle == pytest.approx(solved, abs=2e-5)
