"""``--objective`` with ``--divergence``: γ*, thresholds, certificates, rates, figures, refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from sailtheory import InputError, PreferenceProblem, certify, check, frontier, plots, rates, replay
from sailtheory.analysis.target_check import check_target
from sailtheory.cli import main
from sailtheory.convergence import prediction
from sailtheory.landscape import Domain, Search
from sailtheory.landscape.concavity import least_gamma_on
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.objectives.registry import target
from sailtheory.problem.problem_file import dumps
from sailtheory.report.notebook import headline
from sailtheory.theory.bounds import relative_bound
from sailtheory.theory.divergences import divergence, divergence_smoothness, divergence_terms
from tests.support.figure_checks import drawn, fewer_points

BETA, WINS, RARE = 0.25, 0.9, 0.01
D = {
    "chi2": lambda w: (w - 1) ** 2,
    "kl-policy": lambda w: w * np.log(w),
    "0.5*chi2+kl-ref": lambda w: (w - 1) ** 2 / 2 - np.log(w),
}


def problem(radius):
    return PreferenceProblem(
        features=[[[0.5], [-0.5]]], preferences=[[[0.5, WINS], [1 - WINS, 0.5]]], beta=BETA,
        radius=radius, base=[[RARE, 1]],
    )  # fmt: skip


def second(f, t, h=1e-4):
    """f″ by differences of fourth order, of a function typed afresh."""
    parts = -f(t - 2 * h) + 16 * f(t - h) - 30 * f(t) + 16 * f(t + h) - f(t + 2 * h)
    return parts / (12 * h * h)


def ratios(radius, d, ipo=False):
    """J″ and D″ on a grid of C; two responses whose log-odds move by t."""
    ref = np.array([RARE, 1]) / (1 + RARE)

    def policy(t):
        odds = np.stack([ref[0] * np.exp(t), ref[1] + 0 * t])
        return odds / odds.sum(0)

    def g(z):
        return -(((z - 0.5) / BETA) ** 2) if ipo else -np.log1p(np.exp(-z))

    def j(t):
        p, z = policy(t), BETA * t
        mixed = WINS * g(z) + (1 - WINS) * g(-z)
        return 2 * p[0] * p[1] * mixed + (p[0] ** 2 + p[1] ** 2) * g(0 * t)

    grid = np.linspace(-radius, radius, 2001)
    return second(j, grid), second(lambda t: ref @ d(policy(t) / ref[:, None]), grid)


def found(radius, name, objective="sail"):
    of = target(problem(radius), objective, divergence=name)
    return of, least_gamma_on(of.objective, of.penalty, Search(Domain(of.problem), "light", 0))


@pytest.mark.parametrize("name", D)
@pytest.mark.parametrize("objective", ["sail", "ipo"])
def test_gamma_star_is_the_largest_ratio(name, objective):
    of, star = found(0.4, name, objective)
    up, bend = ratios(0.4, D[name], objective == "ipo")
    assert bend.min() > 0
    assert star.value == pytest.approx((up / bend).max(), rel=1e-4)
    assert star.value <= of.bounds().relative


def test_beyond_the_radius_no_gamma_works_and_a_witness_says_so():
    of, star = found(3.0, "kl-policy")
    up, bend = ratios(3.0, D["kl-policy"])
    assert ((up > 0) & (bend < 0)).any() and star.value == np.inf
    assert of.bounds().least is None and "R = 3" in of.bounds().why
    made = certify(problem(3.0), divergence="kl-policy")
    assert (made.verdict, made.lower, made.gamma) == ("refuted", None, None)
    assert replay(made, problem(3.0)).valid
    wrong = replace(made, witness=(np.array([-1.0]), made.witness[1]))
    assert not replay(wrong, problem(3.0)).valid


def test_thresholds_are_k_over_c_and_a_smaller_one_does_not_replay():
    c = 4 * np.exp(-0.4) - 2
    made = certify(problem(0.4), objective="logistic", divergence="chi2")
    assert made.options == {"divergence": "chi2"}
    known = target(problem(0.4), "logistic").bounds()
    assert known.relative == pytest.approx(relative_bound(BETA, 0.1))
    assert float(made.gamma) == pytest.approx(known.data / c, rel=1e-6)
    assert made.verdict == "certified" and replay(made, problem(0.4)).valid
    small = replace(made, gamma=made.gamma * Fraction(999, 1000))
    assert not replay(small, problem(0.4)).valid
    assert not replay(replace(made, options={}, gamma=Fraction(1, 2)), problem(0.4)).valid


def test_a_report_is_proved_above_k_over_c_and_supported_where_c_is_numerical():
    of = target(problem(0.4), "logistic", divergence="chi2")
    report = check_target(of, effort="light")
    assert report.penalised[0].strength == "certified" and report.gamma == report.bounds.data
    report = check_target(of, report.bounds.relative, "light")
    assert report.penalised[0].strength == "proved"
    other = check_target(target(problem(0.4), "logistic", divergence="js"), 4.0, "light")
    assert other.bounds.least is None and "not by proof" in other.bounds.why
    assert other.penalised[0].strength == "supported"
    assert other.as_dict()["divergence"]["convexity"] > 0


@pytest.mark.parametrize("name", ["chi2", "chi2-ref", "0.5*chi2+kl-ref"])
def test_curvature_lies_between_the_constants(name):
    """cF ≤ D″ ≤ CF, J″ ≥ −K⁻D″."""
    known = target(problem(0.4), "logistic", divergence=name).bounds()
    up, bend = ratios(0.4, D.get(name, lambda w: 1 / w))
    fisher = ratios(0.4, lambda w: -np.log(w))[1]
    assert ((bend >= known.convexity * fisher) & (bend <= known.stiffness * fisher)).all()
    assert (up >= -known.lower * known.convexity * fisher).all()


def test_ascent_is_no_slower_than_predicted(monkeypatch):
    for size, to in (("_RUNS", 2), ("_STEPS", 400), ("_RECORDS", 40)):
        monkeypatch.setattr(prediction, size, to)
    predicted = rates(problem(0.4), 6.0, objective="logistic", divergence="chi2-ref")
    ratio = [m.worst_ratio for m in predicted.methods if m.worst_ratio is not None]
    assert len(ratio) == 3 and max(ratio) <= 1


@pytest.mark.parametrize("name", ["kl-ref", "chi2", "kl-policy", "chipo", "alpha=0.5", "entropy"])
def test_stiffness_is_reached_by_a_rare_response(name):
    made = divergence(name)
    law, w = np.array([1e-9, 1 - 1e-9]), np.exp(np.array([0.7, 0.0]))
    _, slope, bend, _ = made.parts(FLOAT64, np.log(w))
    top = float(divergence_smoothness(made, FLOAT64, np.float64(0.7)))
    assert top == pytest.approx((bend - law @ slope).max(), rel=1e-7)


def test_sums_add_up():
    whole, chipo = (target(problem(0.4), "sail", divergence=n).penalty
                    for n in ("0.5*chi2 + kl-policy", "chipo"))  # fmt: skip
    theta = np.array([0.3])
    np.testing.assert_allclose(whole.hessian(theta), chipo.hessian(theta), rtol=1e-13)
    np.testing.assert_allclose(whole.value(theta), chipo.value(theta), rtol=1e-12)
    mixed = target(problem(3.0), "sail", divergence="0.1*kl-policy+kl-ref")
    assert mixed.convexity == pytest.approx(0.8)  # KL(π_ref‖π_θ) rescues a little of the other
    assert target(problem(0.4), "sail", divergence="entropy").reach[0] >= 0.4 + np.log(100)
    for wrong in ("0*chi2", "x*chi2", "chi2+", "-1*chi2+js", "inf*chi2", "chi"):
        with pytest.raises(InputError):
            divergence_terms(wrong)


@pytest.mark.parametrize("kind", [name for name, kind in plots.KINDS.items() if kind.any_objective])
def test_figures(kind, monkeypatch):
    fewer_points(monkeypatch)
    data = plots.compute(kind, target(problem(0.4), "logistic", divergence="chi2"))
    assert "χ²(π_θ‖π_ref)" in json.dumps(data, ensure_ascii=False)
    assert drawn(data).axes


@pytest.fixture
def files(tmp_path):
    paths = tmp_path / "near.toml", tmp_path / "far.toml"
    for path, radius in zip(paths, (0.4, 3.0), strict=True):
        path.write_text(dumps(problem(radius)), encoding="utf-8")
    return tuple(map(str, paths))


def test_check_and_certificates(files, tmp_path, capsys):
    near, far = files
    page, out = tmp_path / "p.html", str(tmp_path / "c.json")
    both = ["--objective", "ipo", "--divergence", "chi2"]
    assert main(["check", near, *both, "--html", str(page)]) == 0
    assert "J − γD" in page.read_text(encoding="utf-8")
    assert "c(R) = 0.681 (proved, C38)" in capsys.readouterr().out
    assert main(["certify", near, *both, "--property", "gamma", "--out", out]) == 0
    assert main(["replay", out]) == 0
    assert "less γD" in capsys.readouterr().out
    assert main(["certify", far, "--divergence", "chi2", "--property", "gamma"]) == 1
    assert "no γ makes SAIL; D = χ²(π_θ‖π_ref) less γD concave" in capsys.readouterr().out


def test_frontier_and_refusals(files, tmp_path, capsys):
    _, far = files
    assert main(["frontier", far, "--divergence", "chi2", "--points", "5"]) == 0
    assert "γ* = none" in capsys.readouterr().out.replace("\n", " ")
    picture = ["plot", "curvature-map", far, "-o", str(tmp_path / "f.png")]
    for command in (["rates", far, "--gamma", "1"], ["check", far, "--jobs", "2"], picture):
        assert main([*command, "--divergence", "chi2"]) == 2
    says = capsys.readouterr().err
    assert says.count("chi2: one with a γ that is certain: C moves logits by R = 3") == 2
    assert says.count("\n") == 3


def test_kl_ref_by_its_name_is_sail_itself():
    assert type(check(problem(0.4), 1.0, divergence="kl-ref")).__name__ == "Report"
    assert type(frontier(problem(0.4), points=5, divergence="kl-ref")).__name__ == "Frontier"


def test_that_no_gamma_works_is_shown_in_python():
    report = check(problem(3.0), divergence="chi2", effort="light")
    assert "No γ works" in str(report) and "γ* = ∞" in report._repr_html_() + headline(report)
    assert report.as_dict()["thresholds"]["instance"] is None
    assert report.as_dict()["divergence"]["no_gamma_works"]
    assert report.plot() is not None
