"""No two rows of a report contradict each other, flat directions and huge radii included."""

from __future__ import annotations

from dataclasses import replace

import mpmath
import numpy as np
import pytest

from proofs_check.evidence.instances import random_problem
from sailtheory import PreferenceProblem, SAILRevKL, examples
from sailtheory.analysis.check import check, theorem_threshold
from sailtheory.landscape import Domain, Search, maximise
from sailtheory.landscape.concavity import largest_curvature_on, largest_relative_curvature_on
from sailtheory.landscape.maximiser import newton_distance
from sailtheory.landscape.pl import pl_constant
from sailtheory.verdict import Outcome, Strength


def flat_direction(scale, radius):
    """Two prompts of two responses, each with a coordinate of its own; the second is tiny."""
    likes = [[0.5, 0.9], [0.1, 0.5]]
    return PreferenceProblem(
        features=[[[1, 0], [0, 0]], [[0, scale], [0, 0]]],
        preferences=[likes, likes], beta=0.1, radius=radius,
    )  # fmt: skip


def smallest_ratio_along_the_flat_direction(scale, radius, gamma):
    """Of plain PL, in 50 digits: the problem splits into two of one logit each."""

    def prompt(a):
        """(value, slope) in the logit a of one prompt: J_x − γ KL(π_ref‖π_θ), π_ref = ½."""
        pi, z = 1 / (1 + mpmath.exp(-a)), a / 10
        win, lose = mpmath.mpf("0.9"), mpmath.mpf("0.1")
        log = [-mpmath.log1p(mpmath.exp(-z)), -mpmath.log1p(mpmath.exp(z))]
        g = win * log[0] + lose * log[1]
        chance = 2 * pi * (1 - pi)
        value = chance * g + (1 - chance) * mpmath.log(0.5)
        value -= gamma * (-(mpmath.log(pi) + mpmath.log(1 - pi)) / 2 - mpmath.log(2))
        rise = 2 * pi * (1 - pi) * (1 - 2 * pi) * (g - mpmath.log(0.5))
        rise += chance * (win - 1 / (1 + mpmath.exp(-z))) / 10
        return value, rise - gamma * (pi - mpmath.mpf("0.5"))

    top = mpmath.findroot(lambda a: prompt(a)[1], (0.001, 0.3), solver="anderson")
    flat = mpmath.mpf(scale)
    limit = mpmath.sqrt(mpmath.mpf(radius) ** 2 - top**2)
    best = min(limit, top / flat)
    ratios = []
    for t in mpmath.linspace(-limit, limit, 201):
        if abs(t - best) > limit / 1000:
            gap = (prompt(best * flat)[0] - prompt(t * flat)[0]) / 2
            ratios.append((prompt(t * flat)[1] * flat / 2) ** 2 / (2 * gap))
    return float(min(ratios))


@pytest.mark.parametrize(("scale", "radius"), [(1e-5, 1e4), (3e-6, 1e2)])
def test_a_flat_direction_is_no_refutation_of_pl_and_its_ratio_is_found(scale, radius):
    report = check(flat_direction(scale, radius))
    assert report.sail_revkl[0].strength is Strength.PROVED
    with mpmath.workdps(50):
        true = smallest_ratio_along_the_flat_direction(scale, radius, mpmath.mpf(report.gamma))
    for pl in (report.plain, report.prox):
        assert (pl.verdict.outcome, pl.verdict.strength) == (Outcome.HOLDS, Strength.PROVED)
        assert pl.constant == pytest.approx(true, rel=0.05)


@pytest.mark.parametrize(("radius", "gamma"), [(1e2, 0.1), (1e4, 1.0)])
def test_a_flat_direction_is_not_refuted_without_a_proof_either(radius, gamma):
    report = check(flat_direction(1e-5, radius), gamma)
    for pl in (report.plain, report.prox):
        assert pl.verdict.outcome is not Outcome.REFUTED


def test_pl_is_refuted_only_with_a_point_of_convexity():
    problem = examples.load("c14-spurious-stop")
    report = check(problem, 0.0)
    assert report.prox.verdict.outcome is Outcome.REFUTED
    assert report.prox.verdict.witness.replay()
    convex = report.prox.convex
    objective = SAILRevKL(problem, 0.0)
    along = convex.direction @ objective.hessian(convex.theta) @ convex.direction
    assert along > 0
    assert problem.contains(convex.theta)


def test_newton_tells_a_stationary_point_from_a_flat_one():
    problem = flat_direction(1e-5, 1e4)
    objective, domain = SAILRevKL(problem, 1500.4), Domain(problem)
    best = maximise(objective, Search(domain))
    assert newton_distance(objective, domain, domain.coordinates(best.theta)) < 1e-6
    flat = domain.coordinates(best.theta - np.array([0, 5000.0]))
    slope = np.linalg.norm(objective.gradient(domain.embed(flat)))
    steepest = np.linalg.eigvalsh(-objective.hessian(best.theta))[-1]
    assert slope < 1e-6 * steepest  # next to nothing beside the other direction
    assert newton_distance(objective, domain, flat) > 1000


def test_the_verdict_on_pl_needs_a_maximum_on_which_the_search_agrees():
    problem = examples.load("bradley-terry")
    objective, search = SAILRevKL(problem, 0.2), Search(Domain(problem))
    best = maximise(objective, search)
    assert best.trusted
    arguments = ("plain", 1.0)
    found = pl_constant(objective, search, best, *arguments)
    assert found.verdict.outcome is Outcome.HOLDS
    doubtful = pl_constant(objective, search, replace(best, trusted=False), *arguments)
    assert doubtful.verdict.outcome is Outcome.UNDECIDED


def cases():
    problem = random_problem(np.random.default_rng(7))
    yield problem
    phi = [np.asarray(f, dtype=float) for f in problem.features]
    yield problem.replace(features=[f * np.array([1e-6] + [1.0] * (f.shape[1] - 1)) for f in phi])
    yield problem.replace(radius=float(problem.radius) * 50)
    yield examples.load("c14-spurious-stop")
    yield examples.load("c13-boundary-maximiser")


FOUND: dict[tuple, object] = {}


@pytest.fixture
def searched_once(monkeypatch):
    """What does not depend on γ is searched once for a problem, not at each γ again."""
    for function in (largest_curvature_on, largest_relative_curvature_on, maximise):

        def ask(objective, search, *starts, function=function, **settings):
            factors = [factor for factor, _ in getattr(objective, "terms", [])]
            given = [*(point.tobytes() for point in starts), *settings.items()]
            key = (function, objective.problem, search.effort, search.seed, *factors, *given)
            if key not in FOUND:
                FOUND[key] = function(objective, search, *starts, **settings)
            return FOUND[key]

        monkeypatch.setattr(f"sailtheory.analysis.check.{function.__name__}", ask)


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize(
    "problem", list(cases()), ids=lambda p: f"d{p.dimension}-B{float(p.radius):.3g}"
)
def test_rows_do_not_contradict_each_other(problem, share, searched_once):
    """γ at a share of K_B."""
    report = check(problem, share * max(0.0, theorem_threshold(problem)))
    verdicts = {
        "J": report.sail[0], "J_γ": report.sail_revkl[0],
        "plain": report.plain.verdict, "prox": report.prox.verdict,
    }  # fmt: skip
    found = {name: verdict.outcome for name, verdict in verdicts.items() if verdict is not None}
    if found.get("J_γ") is Outcome.REFUTED:
        assert found["J"] is Outcome.REFUTED  # J = J_γ + γ KL, and the KL is convex
    if Outcome.REFUTED in (found.get("plain"), found.get("prox")):
        assert found["J_γ"] is Outcome.REFUTED
    if report.gamma > report.thresholds.relative:
        assert all(found[name] is Outcome.HOLDS for name in found if name != "J")
    star = report.thresholds.instance
    if star is not None and star > report.gamma:
        assert found["J_γ"] is not Outcome.HOLDS
    if report.mu:
        for pl in (report.plain, report.prox):
            assert pl.constant is None or pl.constant >= report.mu * (1 - 1e-6)
    for verdict in verdicts.values():
        if verdict is not None and verdict.witness is not None:
            assert verdict.witness.replay()
