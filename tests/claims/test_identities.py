"""C01–C08 and C21: what is proved, and the machinery that it rests on."""

import numpy as np
import pytest
import sympy
import torch
from flint import arb, ctx
from mpmath import mp

from proofs_check.__main__ import is_refuted, main
from proofs_check.claims import (
    c03_reference_hessian,
    c21_reduction,
)
from proofs_check.evidence.instances import random_points, random_problem
from proofs_check.symbolic import differential_field, jets
from proofs_check.symbolic.identities import Identity, decide, establish
from proofs_check.symbolic.rational import UnknownFunctionError
from proofs_check.symbolic.settings import Balls, Symbolic
from proofs_check.trials.witnesses import hessian_at_reference, is_negative_definite, rationals
from sailtheory import IPO, SAIL, KLPolicyRef, KLRefPolicy, SelfPreferenceSAIL, examples
from sailtheory.claims import Context, run
from sailtheory.verdict import Outcome, Strength, conclude
from tests.support.claims import QUICK, details_of, verdict_of


@pytest.mark.parametrize("claim_id", ["C01", "C02", "C03", "C06", "C07", "C08", "C21"])
def test_identities_are_proved_for_two_prompts_three_responses_two_dimensions(claim_id):
    details = details_of(claim_id, "symbolic")
    assert sum("(n=2, m=3, d=2)" in detail for detail in details) >= 3


@pytest.mark.parametrize(
    ("claim_id", "number"),
    [
        ("C04", "57/3200"),
        ("C04", "37/2700"),
        ("C04", "1/2700"),
        ("C05", "57/3200"),
        ("C08b", "sech²(1)(1 − 2 tanh 1)"),
    ],
)
def test_exact_numbers(claim_id, number):
    exact = [e for e in verdict_of(claim_id).evidence if e.kind == "exact"]
    assert any(number in e.detail and e.strength is Strength.PROVED for e in exact)


@pytest.mark.parametrize("seed", [1, 2])
def test_another_seed_gives_the_same_verdict(seed):
    for claim in (*c03_reference_hessian.CLAIMS, *c21_reduction.CLAIMS):
        assert run(claim, Context("quick", seed)).verdict.strength is Strength.PROVED
        for wrong in claim.planted:
            assert is_refuted(conclude(wrong.check(Context("quick", seed))))


# --- evidence that fails ------------------------------------------------------------------


def test_sides_of_different_shapes_are_not_compared():
    lopsided = Identity(
        "1 = (1, 1)", lambda at: (at.theta[0] * 0, at.theta * 0), quick=((1, 2, 2),)
    )
    with pytest.raises(ValueError, match="shapes"):
        list(decide(lopsided, {}, QUICK))


def test_an_identity_that_no_trial_refutes_is_still_not_proved_when_false():
    def nearly(at):
        off = at.theta[0] * 0 + 1
        return off, off if isinstance(at, Balls) else off + at.theta[0]

    gathered = establish([Identity("1 = 1 + θ₁", nearly)], QUICK, "nearly")
    verdict = conclude(gathered)
    assert verdict.outcome is Outcome.UNDECIDED
    assert any("not proved" in e.detail for e in verdict.evidence)


# --- the differential field ------------------------------------------------------------------


def substitute(element, field, values):
    """An element at numbers, by replacing each symbol with the function it stands for."""
    total = mp.mpf(0)
    for numerator, low in element.parts.values():
        term = evaluate(numerator, values)
        for factor, exponent in low:
            term /= evaluate(field.factors[factor][0], values) ** exponent
        total += term
    return total


def evaluate(polynomial, values):
    total = mp.mpf(0)
    for powers, c in polynomial.to_dict().items():
        term = mp.mpf(int(c.p)) / int(c.q)
        for value, power in zip(values, powers, strict=True):
            term *= value ** int(power)
        total += term
    return total


@pytest.fixture(scope="module")
def assignment():
    """Values of all symbols of a (1, 2, 1) field at a point, by their definitions."""

    def at(theta, field):
        names = [str(name) for name in field._context.names()]
        rng = np.random.default_rng(5)
        free = {name: mp.mpf(int(rng.integers(1, 9))) / 8 for name in names}
        t, r, b = theta, free["r0"], free["b"]
        phi = [free["f0_0_0"], free["f0_1_0"]]
        nu = [free["u0_0"], free["u0_1"]]
        values = dict(free)
        values["t0"], values["l2"] = t, mp.log(2)
        for k in (0, 1):
            values[f"W0_{k}"] = mp.exp(t * phi[k] + nu[k])
            values[f"V0_{k}"] = mp.exp(r * phi[k] + nu[k])
            values[f"E0_{k}"] = mp.exp(b * (t - r) * phi[k])
        values["LW0"] = mp.log(values["W0_0"] + values["W0_1"])
        values["LV0"] = mp.log(values["V0_0"] + values["V0_1"])
        z = b * (t - r) * (phi[0] - phi[1])
        values["C0_0_1"] = mp.log(mp.cosh(z / 2))
        return [values[name] for name in names]

    return at


@pytest.mark.parametrize("kind", [SAIL, SelfPreferenceSAIL, IPO, KLRefPolicy, KLPolicyRef])
def test_the_derivation_is_the_derivative_of_the_functions(kind, assignment):
    """The field's ∂ against numerical differentiation of what its symbols stand for."""
    setting = Symbolic(1, 2, 1)
    field = setting.field
    value = setting.objective(kind).value(setting.theta)
    slope = setting.value_gradient(kind)[0]
    with mp.workdps(40):
        at = mp.mpf(3) / 7
        numeric = mp.diff(lambda t: substitute(value, field, assignment(t, field)), at)
        exact = substitute(slope, field, assignment(at, field))
        assert abs(numeric - exact) < mp.mpf(10) ** -15
        assert abs(exact) > mp.mpf(10) ** -10


def test_zero_is_decided_and_nonzero_is_not_taken_for_zero():
    field = differential_field.Field(1, 2, 1)
    xp, x = field.numbers, field.theta[0]
    z = (field.features[0, 0] - field.features[0, 1]) @ (field.theta - field.ref) * field.beta
    share = xp.sigmoid(z)
    assert (share + xp.sigmoid(-z) - 1).is_zero()
    assert (xp.tanh(z / 2) - (2 * share - 1)).is_zero()
    assert ((1 / (x + 1) - 1 / (x - 1)) * (x * x - 1) + 2).is_zero()
    assert not (share - xp.sigmoid(-z)).is_zero()
    assert not (share * 10**30 - share * (10**30 + 1)).is_zero()


def test_functions_without_a_symbol_are_refused():
    field = differential_field.Field(1, 2, 1)
    with pytest.raises(UnknownFunctionError):
        field.numbers.exp(field.theta * 7)
    with pytest.raises(UnknownFunctionError):
        field.numbers.log(1 / (field.theta + 1))
    with pytest.raises(ZeroDivisionError):
        field.theta[0] / (field.theta[0] * 0)


def test_sums_of_several_prompts_vanish_only_together():
    field = differential_field.Field(2, 2, 1)
    first, second = (
        field.numbers.exp(field.features[x, 0] @ field.theta + field.log_base[x, 0]) for x in (0, 1)
    )
    assert (1 / first + 1 / second - (first + second) / (first * second)).is_zero()
    assert not (1 / first + 1 / second).is_zero()


# --- power series over balls -----------------------------------------------------------------


@pytest.mark.parametrize("kind", [SAIL, SelfPreferenceSAIL, IPO, KLRefPolicy, KLPolicyRef])
def test_series_enclose_what_automatic_differentiation_finds(kind):
    rng = np.random.default_rng(8)
    problem = random_problem(rng, dimension=3, radius=1.0, beta=0.7)
    theta = random_points(rng, problem, 1)[0]
    objective = kind(problem)
    tensor = torch.tensor(theta)
    slope = torch.func.grad(objective.value)(tensor).numpy()
    curvature = torch.func.hessian(objective.value)(tensor).numpy()
    with ctx.workprec(128):
        setting = Balls(problem, theta, 0)
        first = np.array([float(e) for e in setting.value_gradient(kind)])
        second = np.array([[float(e) for e in row] for row in setting.value_hessian(kind)])
    scale = 1e3 * np.finfo(float).eps * (1 + np.abs(curvature).max())
    assert np.abs(first - slope).max() <= scale
    assert np.abs(second - curvature).max() <= scale


def test_curvature_of_a_combination_is_the_combination():
    problem = examples.load("c08-kl-policy-ref")
    at, along = np.array([0.3]), np.ones(1)
    parts = [jets.curvature_along(kind(problem), at, along) for kind in (SAIL, KLPolicyRef)]
    whole = jets.curvature_along(SAIL(problem) - 2 * KLPolicyRef(problem), at, along)
    assert abs(whole - (parts[0] - 2 * parts[1])) < arb("1e-12")


# --- exact arithmetic at the reference ---------------------------------------------------------


def test_rational_hessian_at_the_reference():
    found = hessian_at_reference(
        rationals(["1/4", "3/4"]), rationals([[1], [0]]), rationals([[0, "1/2"], ["-1/2", 0]]),
        rationals("1/10")[()],
    )  # fmt: skip
    assert str(found[0, 0]) == "57/3200"


def test_definiteness_is_exact():
    assert is_negative_definite(rationals([[-2, 1], [1, -2]]))
    assert not is_negative_definite(rationals([[-1, 1], [1, -1]]))
    assert not is_negative_definite(rationals([["-1/1000000000000000", 0], [0, "1/10"]]))


def test_the_criterion_is_sylvester_on_a_hyperplane():
    """Four responses, one w > 0: the boundary case Σ π/w = 0 is singular, not definite."""
    pi, w = [sympy.Rational(1, 4)] * 4, [1, -3, -3, -3]
    basis = sympy.Matrix([[-1, -1, -1], *sympy.eye(3).tolist()])
    assert sum(p / x for p, x in zip(pi, w, strict=True)) == 0
    projected = sympy.eye(4) - sympy.ones(4, 4) / 4
    form = projected.T * sympy.diag(*[p * x for p, x in zip(pi, w, strict=True)]) * projected
    assert (basis.T * form * basis).det() == 0


# --- the command -----------------------------------------------------------------------------


def test_command_prints_the_ledger(capsys):
    assert main(["C04", "C21"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["C04", "refuted", "proved"], ["C21", "holds", "proved"],
    ]  # fmt: skip


def test_command_counts_planted_falsehoods(capsys):
    assert main(["C03", "--planted"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "planted 5, refuted 5, missed 0"


def test_command_refuses_an_unknown_claim(capsys):
    assert main(["C77"]) == 2
    assert "C77" in capsys.readouterr().err


def test_a_missed_falsehood_ends_with_1(capsys, monkeypatch):
    from dataclasses import replace

    from proofs_check import __main__ as command
    from sailtheory.claims import Falsehood

    truth = Falsehood("true", "not false at all", lambda _: iter([]))
    claim = replace(c03_reference_hessian.CLAIMS[0], planted=(truth,))
    monkeypatch.setattr(command, "all_claims", lambda: [claim])
    assert main(["C03", "--planted"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "planted 1, refuted 0, missed 1"
