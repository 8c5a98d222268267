"""f', K, K⁻ and the path threshold of every method, against formulas typed afresh (C31)."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from flint import arb, ctx
from mpmath import mp, mpf, quad

from sailtheory import InputError
from sailtheory.numeric.numbers import FLOAT64, arb_numbers, sympy_numbers, torch_numbers
from sailtheory.theory import bernstein
from sailtheory.theory.reward_methods import METHODS, STDS, reward_method

RATES = (1e-9, 0.01, 0.1, 0.37, 0.5, 0.93, 1 - 1e-6)


def reference(name, group, std="population", epsilon=0):
    """f' at V in mpmath, as the table of docs/theory.md states it."""

    def deviation(k):
        over = group * group if std == "population" else group * (group - 1)
        return mp.sqrt(mpf(k * (group - k)) / over)

    def grpo(v):
        terms = (
            mp.binomial(group, k) * v ** (k - 1) * (1 - v) ** (group - k - 1)
            * mpf(k * (group - k)) / group**2 / (deviation(k) + epsilon)
            for k in range(1, group)
        )  # fmt: skip
        return sum(terms)

    return {
        "reward": lambda v: mpf(1),
        "dr-grpo": lambda v: 1 - mpf(1) / group,
        "grpo": grpo,
        "dynamic-sampling": lambda v: grpo(v) / (1 - v**group - (1 - v) ** group),
        "arcsine": lambda v: 1 / mp.sqrt(v * (1 - v)),
        "log": lambda v: 1 / v,
        "pass-at-k": lambda v: group * (1 - v) ** (group - 1),
        "maxrl": lambda v: (1 - (1 - v) ** group) / v,
    }[name]


def cases():
    return list(_cases())


def _cases():
    for name in METHODS:
        for group in (2, 3, 8, 16):
            for std in STDS if name in ("grpo", "dynamic-sampling") else STDS[:1]:
                yield name, group, std, 0
    yield from [("grpo", 8, std, 0.1) for std in STDS] + [("dynamic-sampling", 5, "sample", 0.25)]


@pytest.mark.parametrize(("name", "group", "std", "epsilon"), cases())
def test_slopes_are_those_of_the_table(name, group, std, epsilon):
    method, xp = reward_method(name, group, std, epsilon), arb_numbers()
    with mp.workdps(60), ctx.workprec(200):
        expected = reference(name, group, std, mpf(str(epsilon)))
        for v in RATES:
            exact = mpf(v)
            wanted = [expected(exact), mp.diff(expected, exact, 1), mp.diff(expected, exact, 2)]
            found = method.slopes(FLOAT64, np.array([v]), np.array([1 - v]))
            ball = method.slopes(xp, xp.asarray([v]), 1 - xp.asarray([v]))
            for want, got, enclosed in zip(wanted, found, ball, strict=True):
                size = 1 + abs(float(want))
                assert abs(float(got[0]) - float(want)) < 1e-8 * size
                assert abs(enclosed[0] - arb(mp.nstr(want, 40))) < arb("1e-18") * size
            assert float(found.first[0]) == pytest.approx(float(wanted[0]), rel=1e-9)


def sigmoid(t):
    return 1 / (1 + mp.exp(-t))


@pytest.mark.parametrize("name", METHODS)
def test_the_value_is_the_integral(name):
    method = reward_method(name, 5)
    slope = reference(name, 5)
    rates = np.array([1e-12, 0.02, 0.5, 0.98])
    values = method.value(FLOAT64, rates, 1 - rates)
    tensors = torch_numbers().asarray(rates)
    assert np.allclose(method.value(torch_numbers(), tensors, 1 - tensors), values, rtol=1e-12)
    for a, b, rise in zip(rates[:-1], rates[1:], np.diff(values), strict=True):
        ends = [mp.log(mpf(v) / (1 - mpf(v))) for v in (a, b)]
        exact = quad(lambda t: slope(sigmoid(t)) * sigmoid(t) * sigmoid(-t), ends)
        assert rise == pytest.approx(float(exact), rel=1e-9)


def test_where_there_is_no_closed_form_it_says_so():
    xp = arb_numbers()
    half = xp.asarray([0.5])
    with pytest.raises(InputError, match="arcsine"):
        reward_method("arcsine").value(xp, half, half)
    ball = reward_method("grpo", 4).value(xp, half, half)[0]
    assert abs(ball - float(reward_method("grpo", 4).value(FLOAT64, 0.5, 0.5))) < 1e-14


@pytest.mark.parametrize(("name", "group", "std", "epsilon"), cases())
def test_constants_are_suprema(name, group, std, epsilon):
    method = reward_method(name, group, std, epsilon)
    v = np.concatenate([np.geomspace(1e-6, 0.05, 2000), np.linspace(0.05, 1 - 1e-6, 6000)])
    path, turn = (form(FLOAT64, v, 1 - v) for form in (method.path, method.turn))
    back = v * method.slope(FLOAT64, v, 1 - v)
    size = 1e-9 * abs(path).max()
    assert (np.diff(path) <= size).all()
    assert (turn <= path + size).all()
    k, lower = method.threshold(FLOAT64), method.lower(FLOAT64)
    if k is None:
        assert path[0] > 100
    else:
        assert max(path.max(), turn.max()) == pytest.approx(float(k), rel=1e-4)
        assert path.max() <= float(k) * (1 + 1e-12)
    reached = np.maximum(back, -turn)
    if lower is None:
        assert reached[-1] > 100
    else:
        assert reached.max() == pytest.approx(float(lower), rel=1e-4)
    up_to = method.lower_up_to(FLOAT64, v, 1 - v)
    assert (np.maximum.accumulate(reached) <= up_to + 1e-9 * (1 + abs(up_to))).all()


def test_the_table_of_theory_md():
    table = {
        "reward": (1, 0.9, 1), "dr-grpo": (0.875, 0.7875, 0.875),
        "grpo": (7**0.5, 2.0949, 7**0.5), "dynamic-sampling": (None, 3.6783, None),
        "arcsine": (None, 3, None), "log": (None, 9, 1), "pass-at-k": (8, 3.4437, 1.3775),
        "maxrl": (8, 5.1258, 1),
    }  # fmt: skip
    for name, (k, path, lower) in table.items():
        method = reward_method(name, 8)
        for found, want in ((method.threshold(FLOAT64), k), (method.lower(FLOAT64), lower)):
            assert found == (None if want is None else pytest.approx(want, abs=1e-4))
        assert method.path(FLOAT64, 0.1, 0.9) == pytest.approx(path, abs=1e-4)
    sample = reward_method("grpo", 8, "sample")
    assert sample.threshold(FLOAT64) == pytest.approx(7 / 8**0.5, rel=1e-14)
    for std, closed in (("population", 7 / (7**0.5 + 0.8)), ("sample", 7 / (8**0.5 + 0.8))):
        found = reward_method("grpo", 8, std, 0.1).threshold(FLOAT64)
        assert found == pytest.approx(closed, rel=1e-14)


def test_expected_slopes_are_exact_in_symbols():
    xp, v = sympy_numbers(), sp.Symbol("v", positive=True)
    found = reward_method("maxrl", 4).slope(xp, v, 1 - v)
    assert sp.expand(found * v - (1 - (1 - v) ** 4)) == 0
    drawn = reward_method("dynamic-sampling", 3).slope(xp, v, 1 - v)
    assert sp.simplify(drawn - sp.sqrt(2) / (3 * v * (1 - v))) == 0


def test_polynomials_in_bernstein_form():
    b, v = [0.3, -1.0, 2.0, 0.7], np.linspace(0, 1, 7)
    direct = sum(c * float(mp.binomial(3, j)) * v**j * (1 - v) ** (3 - j) for j, c in enumerate(b))
    assert np.allclose(bernstein.evaluate(b, v, 1 - v), direct, atol=1e-15)
    whole = bernstein.evaluate(bernstein.antiderivative(b), v, 1 - v)
    assert np.allclose(bernstein.evaluate(bernstein.derivative(bernstein.antiderivative(b)), v,
                                          1 - v), direct, atol=1e-15)  # fmt: skip
    assert whole[0] == 0
    assert whole[-1] == pytest.approx(sum(b) / 4)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"name": "ppo"}, "method = ppo"), ({"name": "grpo", "group": 1}, "group = 1"),
        ({"name": "grpo", "std": "batch"}, "std = batch"), ({"name": "grpo", "group": 513}, "512"),
        ({"name": "grpo", "epsilon": -1.0}, "epsilon"), ({"name": "grpo", "group": 2.5}, "2.5"),
    ],
)  # fmt: skip
def test_what_is_refused(arguments, named):
    with pytest.raises(InputError, match=named):
        reward_method(**arguments)
