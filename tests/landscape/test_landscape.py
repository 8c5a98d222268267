"""The worst-point search against dense grids, generic solvers and known answers."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from scipy.optimize import minimize

from proofs_check.evidence.instances import random_points, random_problem
from sailtheory import SAIL, InputError, KLPolicyRef, PreferenceProblem, SAILRevKL, examples
from sailtheory.landscape import (
    Domain,
    Search,
    concavity,
    gamma_star,
    largest_curvature_on,
    largest_relative_curvature,
    largest_relative_curvature_on,
    maximise,
    pl_constant,
    pl_ratio,
)
from sailtheory.objectives.sail import fisher
from sailtheory.theory.bounds import relative_bound
from sailtheory.verdict import Outcome, Strength


def disc(domain: Domain, steps: int) -> np.ndarray:
    """A grid on C for r ≤ 2, the sphere included."""
    line = np.linspace(-1, 1, steps)
    if domain.dimension == 1:
        x = line[:, None]
    else:
        grid = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
        angle = np.linspace(0, 2 * np.pi, 8 * steps)
        x = np.concatenate([grid, np.stack([np.cos(angle), np.sin(angle)], -1)])
        x = x[np.linalg.norm(x, axis=1) <= 1 + 1e-12]
    return domain.embed(domain.radius * x)


def test_relative_curvature_equals_the_generalised_eigenvalue():
    rng = np.random.default_rng(1)
    for _ in range(30):
        problem = random_problem(rng, radius=1.0)
        domain, objective = Domain(problem), SAIL(problem)
        theta = random_points(rng, problem, 5)
        value, v = largest_relative_curvature(objective, domain, theta)
        for t, lam, direction in zip(theta, value, v, strict=True):
            h = domain.reduce_matrix(objective.hessian(t))
            f = domain.reduce_matrix(fisher(problem, t))
            reference = scipy.linalg.eigh(h, f, eigvals_only=True)
            # a pencil's rounding error is bounded by cond(F) units of its largest eigenvalue
            rounding = 100 * np.finfo(float).eps * np.linalg.cond(f) * np.abs(reference).max()
            assert lam == pytest.approx(reference[-1], abs=rounding)
            assert direction @ fisher(problem, t) @ direction == pytest.approx(1, rel=1e-6)


def test_relative_curvature_survives_a_nearly_singular_fisher_matrix():
    # m = 2: γF − J'' has one pair, so the ratio is η itself, however peaked the policy
    problem = PreferenceProblem(
        features=[[[1.0], [0.0]]], preferences=[[[0.5, 1], [0, 0.5]]], beta=0.1, radius=600
    )
    theta = np.array([[400.0]])
    assert fisher(problem, theta)[0, 0, 0] < 1e-170
    value, _ = largest_relative_curvature(SAIL(problem), Domain(problem), theta)
    eta = SAIL(problem).relative_pair_curvature(theta)[0][0, 0, 0, 1]
    assert value[0] == pytest.approx(eta, rel=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_search_beats_a_dense_grid(seed):
    rng = np.random.default_rng(seed)
    problem = random_problem(rng, dimension=1 + seed % 2)
    domain, objective = Domain(problem), SAIL(problem)
    search = Search(domain, seed=seed)
    grid = disc(domain, 2001 if domain.dimension == 1 else 81)
    on_grid, _ = largest_relative_curvature(objective, domain, grid)
    found = largest_relative_curvature_on(objective, search)
    assert found.value >= np.nanmax(on_grid) - 1e-9 * (1 + np.nanmax(np.abs(on_grid)))
    best = maximise(objective, search)
    assert best.value >= objective.value(grid).max() - 1e-12
    assert best.stationarity < 1e-8
    assert problem.contains(best.theta)


def test_gamma_star_never_exceeds_the_theorem():
    rng = np.random.default_rng(5)
    for _ in range(15):
        problem = random_problem(rng)
        star = gamma_star(problem)
        assert star.value <= relative_bound(float(problem.beta), problem.z_max * (1 + 1e-14))


def test_section_4_witness_is_found():
    star = gamma_star(examples.load("falsehood-averaged-value"))
    assert star.value >= 5.80


@pytest.mark.parametrize("seed", range(6))
def test_one_climb_finds_the_maximum_of_a_concave_objective(seed, monkeypatch):
    problem = random_problem(np.random.default_rng(seed))
    search = Search(Domain(problem))
    gamma = relative_bound(float(problem.beta), problem.z_max * (1 + 1e-14))
    for objective in (SAILRevKL(problem, gamma), SAILRevKL(problem, 30 * gamma)):
        searched = maximise(objective, search)
        with monkeypatch.context() as patch:
            patch.setattr(Search, "maximise", None)  # no search helps
            best = maximise(objective, search, concave=True)
        assert best.value == pytest.approx(searched.value, rel=1e-13)
        assert best.theta == pytest.approx(searched.theta, abs=1e-7)
        assert best.trusted and best.maxima == (best.value,)


def test_a_climb_that_ends_before_the_top_is_replaced_by_a_search(monkeypatch):
    monkeypatch.setattr("sailtheory.landscape.maximiser._CLIMB_STEPS", 0)
    monkeypatch.setattr("sailtheory.landscape.maximiser._NEWTON_STEPS", 0)
    problem = random_problem(np.random.default_rng(1))
    objective, search = SAILRevKL(problem, 20.0), Search(Domain(problem))
    found = maximise(objective, search, concave=True)
    assert found.value == search.maximise(objective.value, objective.gradient).value
    assert found.value > objective.value(problem.ref_params)


def test_maximiser_against_a_generic_solver():
    problem = examples.load("ragged")
    objective = SAILRevKL(problem, 0.05)
    best = maximise(objective, Search(Domain(problem)))
    center, radius = problem.center.astype(float), float(problem.radius)
    ball = {"type": "ineq", "fun": lambda t: radius**2 - ((t - center) ** 2).sum()}
    reference = max(
        (minimize(lambda t: -float(objective.value(t)), start, constraints=[ball], tol=1e-12)
         for start in random_points(np.random.default_rng(0), problem, 8)),
        key=lambda r: -r.fun,
    )  # fmt: skip
    assert best.value >= -reference.fun - 1e-10
    np.testing.assert_allclose(best.theta, reference.x, atol=1e-4)


def test_concavity_is_refuted_with_a_witness_that_replays():
    problem = examples.load("c04-weighted-reference")
    search = Search(Domain(problem))
    verdict, point = concavity(SAIL(problem), largest_curvature_on(SAIL(problem), search))
    assert verdict.outcome is Outcome.REFUTED
    assert verdict.strength is Strength.PROVED
    assert verdict.witness.replay()
    assert point.value >= 57 / 3200


def test_concavity_flips_at_gamma_star():
    problem = examples.load("bradley-terry")
    search = Search(Domain(problem))
    star = gamma_star(problem)
    for factor, expected in ((0.999, Outcome.REFUTED), (1.001, Outcome.HOLDS)):
        objective = SAILRevKL(problem, factor * star.value)
        worst = largest_curvature_on(objective, search, star.theta)
        assert concavity(objective, worst)[0].outcome is expected


def test_the_other_divergence_does_not_make_j_concave():
    problem = examples.load("c08-kl-policy-ref")  # C08: for no γ
    search = Search(Domain(problem))
    for gamma in (0.0, 0.1, 1.0, 100.0):
        objective = SAIL(problem) - gamma * KLPolicyRef(problem)
        verdict, _ = concavity(objective, largest_curvature_on(objective, search))
        assert verdict.outcome is Outcome.REFUTED


def test_prox_pl_is_refuted_on_c14_and_plain_pl_is_not():
    problem = examples.load("c14-spurious-stop")
    objective, search = SAIL(problem), Search(Domain(problem))
    best = maximise(objective, search)
    assert best.value == pytest.approx(-0.66875, abs=5e-6)
    prox = pl_constant(objective, search, best, "prox", 1.0)
    assert prox.verdict.outcome is Outcome.REFUTED
    assert prox.verdict.witness.replay()
    np.testing.assert_allclose(prox.theta, [-1.453, -1.375], atol=1e-3)
    plain = pl_constant(objective, search, best, "plain", 1.0)
    assert plain.verdict.outcome is Outcome.HOLDS


def test_pl_constant_is_below_every_ratio_on_a_grid():
    problem = examples.load("bradley-terry")
    objective, domain = SAILRevKL(problem, 0.2), Domain(problem)
    search = Search(domain)
    best = maximise(objective, search)
    for kind in ("plain", "prox"):
        ratio = pl_ratio(objective, domain, disc(domain, 61), best.value, kind, 1.0)
        found = pl_constant(objective, search, best, kind, 1.0)
        assert 0 < found.constant <= np.nanmin(ratio) * (1 + 1e-9)


def test_pl_constant_at_an_interior_maximiser_is_at_most_the_curvature_there():
    problem = examples.load("bradley-terry")
    objective, domain = SAILRevKL(problem, 0.2), Domain(problem)
    search = Search(domain)
    best = maximise(objective, search)
    assert not best.on_boundary
    least = np.linalg.eigvalsh(-objective.hessian(best.theta))[0]
    assert pl_constant(objective, search, best, "plain", 1.0).constant <= least * (1 + 1e-9)


def test_equal_seeds_give_equal_results_and_effort_is_reported():
    problem = examples.load("tabular")
    first, second = gamma_star(problem, seed=3), gamma_star(problem, seed=3)
    assert first.value == second.value
    np.testing.assert_array_equal(first.theta, second.theta)
    assert first.search.evaluations > first.search.starts > 0
    values = [value for _, value in first.search.trace]
    assert values == sorted(values)
    assert values[-1] == first.value


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"effort": "max"}, "effort = max"), ({"seed": -1}, "seed = -1"), ({"seed": 1.5}, "seed = 1")],
)
def test_search_refuses_bad_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        Search(Domain(examples.load("tabular")), **arguments)


def test_points_of_the_sphere_are_on_the_boundary_and_no_others():
    domain = Domain(examples.load("bradley-terry"))
    rng = np.random.default_rng(0)
    ways = rng.normal(size=(50, domain.dimension))
    assert domain.on_boundary(domain.project(1e3 * ways)).all()
    assert not domain.on_boundary((1 - 1e-8) * domain.project(1e3 * ways)).any()
    assert not domain.on_boundary(np.zeros(domain.dimension))
