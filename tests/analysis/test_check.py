"""check and frontier: verdicts, constants, degenerate problems."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from sailtheory import BradleyTerry, InputError, PreferenceProblem, SAILRevKL, examples
from sailtheory.analysis.check import check, theorem_threshold
from sailtheory.analysis.frontier import frontier
from sailtheory.landscape import Domain, Search, concavity, gamma_star, largest_curvature_on
from sailtheory.landscape.fisher import least_fisher
from sailtheory.report.words import modulus, summary, times

KEYS = {
    "schema": None,
    "version": None,
    "seed": None,
    "problem": {
        "prompts", "responses", "dimension", "span_dimension", "beta", "radius",
        "feature_norm", "feature_diameter", "z_max",
    },
    "gamma": None,
    "concavity": {"sail", "sail_revkl"},
    "relative_curvature": {"lower", "theta", "search", "upper"},
    "thresholds": {"instance", "per_prompt", "data", "relative", "closed_form", "absolute"},
    "strengths": {"instance", "per_prompt", "data", "relative", "closed_form", "absolute"},
    "prompts": {"lower", "upper", "upper_for_99_percent", "worst"},
    "pl": {"plain", "prox"},
    "constants": {"mu", "smoothness", "k_minus"},
    "maximiser": {"theta", "value", "on_boundary", "kl_ref_policy", "win_rate", "gain"},
    "online_dpo": {"thresholds", "strengths", "monotone", "earned"},
}  # fmt: skip


@pytest.fixture(scope="module")
def report():
    return check(examples.load("bradley-terry"), gamma=1.0)


def test_json_has_the_stable_names(report):
    data = report.as_dict()
    assert set(data) == set(KEYS)
    for key, names in KEYS.items():
        if names is not None:
            assert set(data[key]) == names
    for part in data["concavity"].values():
        assert set(part) == {"verdict", "strength", "max_eigenvalue", "theta"}
    for part in data["pl"].values():
        assert set(part) == {"verdict", "strength", "constant", "theta"}
    json.dumps(data, allow_nan=False)


def test_thresholds_are_ordered_and_defined_as_stated(report):
    t = report.thresholds
    problem = report.problem
    assert 0 < t.instance < t.per_prompt < t.data < t.relative < t.closed_form
    beta, radius = float(problem.beta), float(problem.radius)
    offset = np.linalg.norm(problem.ref_params)
    closed = beta * (1.5 * problem.feature_diameter * (radius + offset) + 4)
    assert t.closed_form == pytest.approx(closed, rel=1e-14)
    assert report.gamma_star.value == t.instance
    top = report.sail[1].value
    decay = np.exp(-problem.feature_diameter * radius) * least_fisher(Domain(problem))
    assert t.absolute == pytest.approx(top / decay, rel=1e-12)


def test_mu_is_a_strong_concavity_modulus(report):
    # C12: every eigenvalue of ∇²J_γ on C lies below −μ
    assert report.mu > 0
    objective = SAILRevKL(report.problem, report.gamma)
    worst = largest_curvature_on(objective, Search(Domain(report.problem), "full"))
    assert worst.value <= -report.mu
    assert report.plain.constant >= report.mu
    assert report.prox.constant >= report.mu


def test_verdicts_below_between_and_above_the_thresholds():
    problem = examples.load("bradley-terry")
    star, k_b = 0.0724, theorem_threshold(problem)
    certified = check(problem, k_b).thresholds.per_prompt
    found = {
        gamma: check(problem, gamma).as_dict()["concavity"]["sail_revkl"]
        for gamma in (0.0, star * 0.99, star * 1.01, certified, k_b * 1.01)
    }
    expected = [("refuted", "proved"), ("refuted", "proved"), ("holds", "supported"),
                ("holds", "certified"), ("holds", "proved")]  # fmt: skip
    assert [(f["verdict"], f["strength"]) for f in found.values()] == expected


def test_summary_names_need_theorem_and_price(report):
    words = summary(report)
    assert "14 times what this problem needs" in words
    assert "1.4 times what the theorem asks" in words
    assert "γ ≥ 0.133 is certified to suffice" in words
    assert "from 0.122 (γ = 0) to 0.00792" in words


def test_a_ratio_near_one_is_not_rounded_to_one():
    assert [times(r) for r in (1.03, 1.4, 12.3)] == ["1.030 times", "1.4 times", "12 times"]


def test_gamma_defaults_to_the_closed_form():
    report = check(examples.load("c04-one-winner"))
    assert report.gamma == report.thresholds.closed_form
    assert not report.gamma_given


@pytest.mark.parametrize("gamma", [-1.0, float("nan"), float("inf")])
def test_bad_gamma_is_refused(gamma):
    with pytest.raises(InputError, match="gamma"):
        check(examples.load("c04-one-winner"), gamma)


def one_prompt(features, preferences, **extra):
    options = {"beta": 0.1, "radius": 1.0} | extra
    return PreferenceProblem(features=[features], preferences=[preferences], **options)


@pytest.mark.parametrize(
    "problem",
    [
        one_prompt([[1.0, 2.0]], [[0.5]]),
        one_prompt([[1.0, 2.0], [1.0, 2.0]], [[0.5, 0.9], [0.1, 0.5]]),
    ],
    ids=["one response", "equal features"],
)
def test_nothing_to_optimise_is_null_not_zero(problem):
    data = check(problem).as_dict()
    assert data["problem"]["span_dimension"] == 0
    for part in (*data["concavity"].values(), *data["pl"].values()):
        assert set(part.values()) == {None}
    for key in ("relative_curvature", "thresholds", "constants"):
        assert set(data[key].values()) == {None}
    assert data["maximiser"]["gain"] == 0
    assert "nothing to optimise" in summary(check(problem))
    curve = frontier(problem, count=5)
    assert curve.instance is None and curve.relative is None
    assert {(p.concave, p.guaranteed) for p in curve.points} == {(None, False)}


def test_zero_radius():
    data = check(one_prompt([[1.0], [0.0]], [[0.5, 1], [0, 0.5]], radius=0)).as_dict()
    # m = 2 at a uniform reference: J'' = −(β²/2)F, so γ* = −β²/2 (C04)
    assert data["relative_curvature"]["lower"] == pytest.approx(-0.005, rel=1e-12)
    assert data["pl"]["plain"]["constant"] is None
    assert data["maximiser"]["theta"] == [0.0]


def test_overflow_is_told_and_not_warned_of(recwarn):
    """C10's threshold grows as e^{DB}, C12's modulus falls as e^{−DB}."""
    report = check(one_prompt([[1.0], [0.0]], [[0.5, 1], [0, 0.5]], radius=1000))
    assert report.thresholds.absolute == np.inf and report.mu == 0
    assert "0 in float64" in modulus(report)
    assert not [w for w in recwarn if issubclass(w.category, RuntimeWarning)]


def test_one_point_is_concave():
    """m = 2, p₁₂ = 1, θ_ref off the centre: J'' > 0 at c, but C has no other point."""
    report = check(one_prompt([[1.0], [0.0]], [[0.5, 1], [0, 0.5]], radius=0, base=[[1, 3]]), 0.0)
    assert report.gamma_star.value > 0
    assert report.sail[0].outcome.value == "holds" and report.sail[0].strength.value == "proved"


def test_a_witness_lies_in_the_domain():
    """Far from 0, float64 misses the sphere by 4e-5: γ* is 0.12104632, and 0.12104790 there."""
    far = one_prompt([[1.0, -1.0], [0.0, 0.0]], [[0.5, 1], [0, 0.5]], radius=0.3, base=[[1, 3]],
                     center=[1e12, 1e12], ref_params=[1e12, 1e12])  # fmt: skip
    assert check(far, gamma=0.121047).sail_revkl[0].outcome.value != "refuted"
    found = check(far, gamma=0.12).sail_revkl
    assert found[0].outcome.value == "refuted"
    offset = [Fraction(float(t)) - 10**12 for t in found[1].theta]
    assert sum(x * x for x in offset) <= Fraction(3, 10) ** 2


def test_lambda_max_is_that_of_the_hessian():
    """Also where the verdict rests on the point of γ*, whose value is another quantity."""
    hidden = PreferenceProblem(
        features=[[[0, 0], [1, 0], [0, 1]]], preferences=[BradleyTerry([0, 1, 2])],
        base=[[1, 1, 1e-40]], beta=0.1, radius=1,
    )  # fmt: skip
    objective, star = SAILRevKL(hidden, 0.18), gamma_star(hidden)
    along = replace(star, value=-1.0, direction=np.array([1.0, 0.0]))  # where it bends down
    verdict, point = concavity(objective, along, [star])
    assert verdict.outcome.value == "refuted" and star.value > 0.18
    assert abs(point.value) < 1e-13  # as the Hessian's, whose second row is about 1e-40


def test_gamma_star_below_zero():
    # equal preferences: J = −E log cosh(z/2) − log 2 bends down near the reference
    report = check(one_prompt([[1.0], [0.0]], [[0.5, 0.5], [0.5, 0.5]], beta=1.0, radius=0.3), 0.1)
    assert report.thresholds.instance < 0
    assert report.thresholds.absolute == 0
    assert report.sail[0].outcome.value == "holds"
    assert "no point was found where J itself is not concave" in summary(report)


def test_duplicate_responses_change_nothing_but_the_base():
    p = [[0.5, 0.9], [0.1, 0.5]]
    single = one_prompt([[1.0], [0.0]], p, base=[[2, 1]])
    twice = one_prompt([[1.0], [1.0], [0.0]], [[0.5, 0.5, 0.9], [0.5, 0.5, 0.9], [0.1, 0.1, 0.5]])
    # a duplicate of equal standing is not the same J (its tie with itself is a fair coin on
    # both), but here z = 0 and p = ½ for that pair, as for a response with itself
    first, second = check(single, 0.1).as_dict(), check(twice, 0.1).as_dict()
    assert first["relative_curvature"]["lower"] == pytest.approx(
        second["relative_curvature"]["lower"], rel=1e-9
    )
    assert first["maximiser"]["win_rate"] == pytest.approx(second["maximiser"]["win_rate"])


def test_zero_weight_prompts_do_not_count():
    p = [[0.5, 0.9], [0.1, 0.5]]
    both = PreferenceProblem(
        features=[[[1.0], [0.0]], [[9.0], [-9.0]]],
        preferences=[p, p],
        weights=[1, 0],
        beta=0.1,
        radius=1,
    )
    alone = one_prompt([[1.0], [0.0]], p)
    assert check(both, 0.1).as_dict()["thresholds"] == check(alone, 0.1).as_dict()["thresholds"]


def test_frontier_is_the_curve_of_maximisers():
    problem = examples.load("bradley-terry")
    curve = frontier(problem, tolerance=0.02, count=8)
    gammas = [p.gamma for p in curve.points]
    assert gammas == sorted(gammas)
    assert {0.0, curve.instance, curve.relative} <= set(gammas)
    for p in curve.points:
        assert p.concave == (p.gamma >= curve.instance)
        assert p.guaranteed == (p.gamma >= curve.relative)
        assert p.kl_ref_policy <= np.log(2) / max(p.gamma, 1e-12)  # C20
    lost = curve.points[0].win_rate - curve.affordable.win_rate
    assert 0.019 < lost <= 0.02
    json.dumps(curve.as_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("arguments", "message"), [({"tolerance": -0.1}, "tolerance"), ({"count": 2}, "points")]
)
def test_frontier_refuses_bad_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        frontier(examples.load("c04-one-winner"), **arguments)
