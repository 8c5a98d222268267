"""C09–C14, C19 and C20: how much is tried, and the numbers of docs/theory.md."""

import re

import numpy as np
import pytest

from proofs_check.arguments import relative_path
from proofs_check.claims import (
    c11_relative_curvature,
    c12_strong_concavity,
    c13_pl,
    c14_projection,
    c19_bias,
    c20_price,
)
from proofs_check.evidence.argument import Step, Tally, argue, certain_sign, refute
from proofs_check.evidence.battery import skewed
from sailtheory import SAIL, examples
from sailtheory.claims import run
from sailtheory.theory import bounds
from sailtheory.verdict import Evidence, Outcome, Strength, conclude
from tests.support.claims import QUICK, up_to_a_refutation, verdict_of


def _instances(claim_id, start):
    for evidence in verdict_of(claim_id).evidence:
        if evidence.kind == "sampled" and evidence.detail.startswith(start):
            return int(re.search(r"(\d+) instances", evidence.detail)[1])
    raise AssertionError(f"no evidence begins with {start!r}")


@pytest.mark.parametrize(
    "start",
    ["∇²J_x ⪯ K_x", "∇²J ⪯ (max", "∇²J ⪯ K_B F̄:", "(i) sharp", "(i) 1.5Z", "(i) β(1.5D",
     "(ii)", "(iii)", "(iv)", "∇²J ⪰ −K⁻", "−J_x ≤"],
)  # fmt: skip
def test_c11_and_each_corollary_hold_on_4000_instances(start):
    assert _instances("C11", start) >= 4000


# --- the numbers of docs/theory.md ---------------------------------------------------------


def test_c13_numbers():
    found = c13_pl.boundary_numbers(QUICK)
    assert found["mu"] == pytest.approx(0.782, abs=5e-4)
    assert found["smoothness"] == pytest.approx(1.880, abs=5e-4)
    assert found["plain"] == pytest.approx(987, abs=0.5)
    assert found["prox"] == pytest.approx(2.40, abs=5e-3)
    assert found["increase"] == pytest.approx(0.0024, abs=5e-5)
    assert found["mapping"] == pytest.approx(0.0015, abs=5e-5)
    assert found["relative_bound"] > 1.0  # γ = 1 is not covered by C12


def test_c14_numbers():
    problem = c14_projection.instance()
    smallest, _ = c14_projection.smallest_gradient(problem, QUICK)
    assert smallest == pytest.approx(0.003489, abs=5e-7)
    stops = c14_projection.ascend(SAIL(problem), QUICK, 300)
    assert stops.trap == pytest.approx([-1.453, -1.375], abs=1e-3)
    assert SAIL(problem).value(stops.trap) == pytest.approx(-0.6899, abs=5e-5)
    assert SAIL(problem).value(stops.best) == pytest.approx(-0.66875, abs=5e-6)
    _, low, high = stops.share
    assert low < 0.22 < high
    assert c14_projection.gradient_floor(problem, 1e-3) > 0


def test_c11b_numbers():
    witness = verdict_of("C11b").witness
    assert witness.data["bound"] == pytest.approx(1.92, abs=5e-3)
    assert witness.data["bound"] + witness.value >= 5.80  # vᵀF̄v = 1


def test_c12b_is_about_the_instance_of_theory():
    objective, at = c12_strong_concavity.off_span()
    assert at.gamma == pytest.approx(2.5)
    assert at.gamma > at.relative > 0
    assert objective.problem.span.dimension == 1


def test_c20_shows_the_trade_off():
    price = c20_price.trade_off(QUICK, 4)
    assert price.free > 4 * price.threshold > 0
    assert price.free > 30 * price.guarantee > 0


def test_c20_variance_of_mean_preference_by_hand():
    problem = examples.load("c08-kl-policy-ref")  # uniform, y₁ wins: p̄ = 3/4, 1/4
    assert c20_price.reference_variance(problem) == pytest.approx(1 / 16)


def test_c19_expansion_is_second_order():
    ratios = np.array(c19_bias.expansion_ratios(QUICK))
    assert np.abs(ratios - 1) == pytest.approx(0.043 * np.array([1, 0.1, 0.01]), rel=0.1)


def test_segment_inside_rejects_a_segment_that_leaves():
    from sailtheory import SAILRevKL

    objective = SAILRevKL(relative_path.two_prompts(), 2.0)
    assert relative_path.segment_inside(objective, np.array([0.1, 0.0]))
    assert not relative_path.segment_inside(objective, np.array([-0.1, 0.0]))


# --- the machinery can fail ------------------------------------------------------------------


def test_an_argument_with_a_failing_step_does_not_conclude():
    def broken() -> bool:
        raise ValueError("no")

    good = Step("exact", "fine", lambda: True)
    false = Step("exact", "false", lambda: False)
    assert conclude(argue("all", [good, false])).outcome is Outcome.UNDECIDED
    assert conclude(argue("all", [good])).strength is Strength.PROVED
    with pytest.raises(ValueError, match="no"):  # an error of the check is no verdict
        conclude(argue("all", [good, Step("exact", "broken", broken)]))


def test_a_tally_asks_ball_arithmetic_about_every_kind_of_excess():
    from flint import arb

    problem = skewed("0.5", beta=0.1, radius=1.0)

    def confirm(excess: str):
        def found(i: int) -> Evidence:
            return refute(problem, np.zeros(1), "x", 1.0, lambda: arb(excess))

        return found

    tie, wrong, undefined = Tally("tie"), Tally("wrong"), Tally("none")
    tie.add(np.array([1.0, 2.0]), np.array([1.0 - 1e-16, 3.0]), confirm("-1e-17"))
    wrong.add(np.array([1.0]), np.array([0.5]), confirm("1e-40"))
    undefined.add(np.array([np.nan]), np.array([0.5]), confirm("1"))
    assert tie.evidence().outcome is Outcome.HOLDS
    assert wrong.evidence().outcome is Outcome.REFUTED
    assert undefined.evidence().outcome is Outcome.UNDECIDED


def test_certain_sign_gives_up_on_zero():
    from flint import arb

    assert certain_sign(lambda: arb(2).sqrt() ** 2 - 2) == 0
    assert certain_sign(lambda: arb(2).sqrt() - arb("1.41421356237309504880168872420969807")) == 1


MUTATIONS = {  # of formulas: test_mutants_operators.py
    "sharp": (bounds, "sharp_curvature", lambda f: lambda *a: 0.9 * f(*a)),
    "lower": (bounds, "lower_curvature", lambda f: lambda *a: 0.9 * f(*a)),
    "pointwise": (bounds, "pointwise_relative_bound", lambda f: lambda *a: 0.7 * f(*a)),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutated_formula_changes_the_verdict_of_c11(monkeypatch, name):
    module, attribute, change = MUTATIONS[name]
    monkeypatch.setattr(module, attribute, change(getattr(module, attribute)))
    verdict = run(up_to_a_refutation(c11_relative_curvature.CLAIMS[0]), QUICK).verdict
    assert (verdict.outcome, verdict.strength) != (Outcome.HOLDS, Strength.PROVED)
