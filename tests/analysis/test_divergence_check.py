"""``check --divergence``: thresholds, refutations beyond the radius, strengths, what is printed."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

from sailtheory import PreferenceProblem
from sailtheory.analysis.divergence_check import check_divergence
from sailtheory.cli import app
from sailtheory.errors import InputError
from sailtheory.objectives.registry import target
from sailtheory.problem.problem_file import dumps
from sailtheory.theory.bounds import relative_bound


def problem(radius):
    return PreferenceProblem(
        features=[[[0.5], [-0.5]]], preferences=[[[0.5, 0.9], [0.1, 0.5]]], beta=0.25,
        radius=radius, base=[[0.01, 1]],
    )  # fmt: skip


def test_within_the_radius_the_threshold_is_k_over_c():
    found = check_divergence(target(problem(0.4), "logistic"), "chi2")
    c = 4 * np.exp(-0.4) - 2
    assert found.convexity == pytest.approx(c, rel=1e-9) and found.convexity <= c
    assert found.threshold == pytest.approx(relative_bound(0.25, 0.1) / c, rel=1e-6)
    verdict, worst = found.verdict
    assert (verdict.outcome, verdict.strength) == ("holds", "proved") and worst.value < 0
    assert found.least >= found.convexity


def test_beyond_it_no_threshold_is_named_and_a_large_gamma_is_refuted():
    found = check_divergence(target(problem(3.0)), "kl-policy", gamma=50.0)
    assert (
        found.threshold == np.inf and found.convexity < 0 and found.as_dict()["threshold"] is None
    )
    assert found.verdict[0].outcome == "refuted" and found.verdict[0].witness.replay()


def test_what_is_numerical_is_supported_at_most():
    found = check_divergence(target(problem(0.4), "logistic"), "js")
    assert found.verdict[0].strength == "supported"


def test_entropy_counts_the_reference():
    assert check_divergence(target(problem(0.4)), "entropy").reach >= 0.4 + np.log(100)


def test_the_command(tmp_path):
    path = tmp_path / "p.toml"
    path.write_text(dumps(problem(0.4)), encoding="utf-8")
    shown = CliRunner().invoke(app, ["check", str(path), "--divergence", "chi2-ref"]).output
    assert "∇²D ⪰ c(R)F̄ with c(R) = 1.449 (proved, C38)" in shown
    with pytest.raises(InputError):
        check_divergence(target(problem(0.4)), "chi2", gamma=-1.0)
