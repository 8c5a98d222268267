"""PreferenceProblem: derived quantities, exact structure, degenerate input, refusals."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from sailtheory import (
    SAIL,
    BradleyTerry,
    InputError,
    KLRefPolicy,
    PreferenceMatrix,
    PreferenceProblem,
)
from sailtheory.numeric.exact import exact_array, is_typed, read_array, read_number, to_fraction
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.objectives.sail import fisher
from sailtheory.problem.preferences import probabilities
from tests.support.instances import ordinary

HALF = [[0.5, 0.5], [0.5, 0.5]]


def problem(features, **arguments) -> PreferenceProblem:
    """A problem with indifferent preferences unless told otherwise."""
    ties = [np.full((len(phi), len(phi)), 0.5) for phi in features]
    defaults = {"preferences": ties, "beta": 0.5, "radius": 2}
    return PreferenceProblem(**({"features": features} | defaults | arguments))


# --- derived quantities ----------------------------------------------------------------


def test_diameter_norm_and_z_max_against_brute_force():
    rng = np.random.default_rng(0)
    for seed in range(10):
        instance = ordinary(seed, prompts=3)
        p = instance.problem()
        d = p.dimension
        c = rng.normal(size=d)
        p = problem(p.features, center=c, ref_params=c + 0.1, radius=1.7, beta=0.3)
        gaps = [a - b for phi in p.features for a in phi for b in phi]
        assert p.feature_diameter == pytest.approx(max(map(np.linalg.norm, gaps)), rel=1e-14)
        norms = [np.linalg.norm(a) for phi in p.features for a in phi]
        assert p.feature_norm == pytest.approx(max(norms), rel=1e-14)
        reach = max((c - p.ref_params) @ g + 1.7 * np.linalg.norm(g) for g in gaps)
        assert p.z_max == pytest.approx(0.3 * reach, rel=1e-12)
        # No point of C has a larger margin, and some point of C attains it.
        widest = max(gaps, key=lambda g: (c - p.ref_params) @ g + 1.7 * np.linalg.norm(g))
        best = c + 1.7 * widest / np.linalg.norm(widest)
        assert p.contains(best)
        assert 0.3 * (best - p.ref_params) @ widest == pytest.approx(p.z_max, rel=1e-12)
        for _ in range(50):
            v = p.span.project(rng.normal(size=d))
            theta = c + v / np.linalg.norm(v) * 1.7 * rng.random()
            assert max(0.3 * (theta - p.ref_params) @ g for g in gaps) <= p.z_max * (1 + 1e-12)


def test_policy_is_a_softmax_with_base():
    phi, base, theta = np.array([[1.0, 2], [0, 1], [-1, 3]]), [1, 2, 5], np.array([0.3, -0.4])
    p = problem([phi, phi[:2]], base=[base, None])
    mass = np.array(base) * np.exp(phi @ theta)
    np.testing.assert_allclose(p.policy(theta)[0], mass / mass.sum(), rtol=1e-14)
    np.testing.assert_allclose(p.policy(theta)[1].sum(), 1, rtol=1e-15)
    assert p.policy(np.zeros((4, 5, 2)))[0].shape == (4, 5, 3)
    policy = mass / mass.sum()
    covariance = phi.T @ np.diag(policy) @ phi - np.outer(policy @ phi, policy @ phi)
    alone = problem([phi], base=[base])
    np.testing.assert_allclose(fisher(alone, theta), covariance, rtol=1e-13, atol=1e-15)


def test_ragged_prompts_keep_their_order():
    sizes = [3, 2, 4, 2, 1]
    rng = np.random.default_rng(2)
    features = [rng.normal(size=(m, 2)) for m in sizes]
    p = problem(features, weights=[1, 2, 3, 4, 5])
    assert p.responses == tuple(sizes)
    assert [len(pi) for pi in p.policy(np.zeros(2))] == sizes
    theta = rng.normal(size=2)
    alone = [SAIL(problem([phi])).value(theta) for phi in features]
    np.testing.assert_allclose(SAIL(p).prompt_values(theta), alone, rtol=1e-13)
    assert SAIL(p).value(theta) == pytest.approx(np.dot(alone, np.arange(1, 6) / 15), rel=1e-13)
    hessians = np.tensordot(p.weights, SAIL(p).prompt_hessians(theta), axes=1)
    np.testing.assert_allclose(hessians, SAIL(p).hessian(theta), rtol=1e-12, atol=1e-15)


def test_repr_is_one_line():
    text = repr(problem([[[1, 0], [0, 1]], [[1, 2]]]))
    assert text == "PreferenceProblem(prompts=2, responses=1..2, dimension=2, beta=0.5, radius=2)"


# --- the span S ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("features", "rank", "exact"),
    [
        ([[[1, 0], [0, 1]]], 1, True),
        ([[[1, 0], [0, 1], [0, 0]]], 2, True),
        ([[[1, 1], [1, 1]]], 0, True),
        ([[[1, 2, 3]]], 0, True),
        # Dependent only exactly: the second column is a third of the first.
        ([[["1/3", "1/9"], [1, "1/3"], [0, 0], ["2/7", "2/21"]]], 1, True),
        # Decimals whose float64 differences are not dependent.
        ([[[100.1, 300.3], [100.2, 300.6], [100.4, 301.2], [100.8, 302.4]]], 1, True),
        # Independent, though by less than rounding.
        ([[[1, 1], [0, 1e-30], [0, 0]]], 2, True),
        # Each prompt has rank 1, together 2.
        ([[[1, 0], [0, 0]], [[0, 2], [0, 1]]], 2, True),
        # Computed numbers: numerically dependent.
        ([np.outer([0.0, 1.0, np.pi], [np.sqrt(2), np.e]) + 1e3 * np.pi], 1, False),
    ],
)
def test_rank(features, rank, exact):
    span = problem(features).span
    assert (span.dimension, span.exact) == (rank, exact)
    assert span.is_full == (rank == span.basis.shape[0])
    np.testing.assert_allclose(span.basis.T @ span.basis, np.eye(rank), atol=1e-14)


def test_projection_onto_the_span():
    p = problem([np.eye(3)], ref_params=[1.0, 2.0, 6.0], center=[0.5, 0.5, 0.5], radius=9)
    np.testing.assert_allclose(p.ref_params, [-1.5, -0.5, 3.5])  # the mean moves to center's
    assert p.notes == ["ref_params: projected onto center + S; no policy changes"]
    given = np.array([1.0, 2.0, 6.0])
    for a, b in zip(p.policy(p.ref_params), p.policy(given), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)
    v = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(p.span.project(p.span.project(v)), p.span.project(v), atol=1e-15)
    assert p.contains(p.ref_params)
    assert not p.contains(given)  # off c + S
    assert list(p.contains(np.array([p.ref_params, [0.5, 0.5, 20.0]]))) == [True, False]


def test_projection_decides_membership_of_the_ball():
    # 8 units away along S^⊥, at distance 0 after projection.
    far = problem([np.eye(2)], ref_params=[8.0, 8.0], radius=0.5)
    np.testing.assert_allclose(far.ref_params, 0, atol=1e-14)
    with pytest.raises(InputError, match="ref_params"):
        problem([np.eye(2)], ref_params=[8.0, -8.0], radius=0.5)


# --- degenerate input --------------------------------------------------------------------


@pytest.mark.parametrize("features", [[[[1.0, 2.0]]], [[[1, 2], [1, 2]]], [[[0, 0]], [[3, 3]]]])
def test_trivial_span(features):
    p = problem(features, ref_params=[5.0, 5.0], radius=0)
    assert p.span.dimension == 0
    assert p.z_max == 0
    assert p.feature_diameter == 0
    np.testing.assert_array_equal(p.ref_params, p.center)
    theta = np.array([0.3, 0.4])
    for objective in (SAIL(p), KLRefPolicy(p)):
        np.testing.assert_array_equal(objective.gradient(theta), 0)
        np.testing.assert_array_equal(objective.hessian(theta), 0)
    assert SAIL(p).value(theta) == pytest.approx(-np.log(2))


def test_duplicate_responses_count_as_one_of_double_base():
    phi = np.array([[1.0, 0], [0, 1], [0, 1]])
    p3 = np.array([[0.5, 0.8, 0.8], [0.2, 0.5, 0.5], [0.2, 0.5, 0.5]])
    twice = problem([phi], preferences=[p3])
    once = problem([phi[:2]], preferences=[p3[:2, :2]], base=[[1, 2]])
    theta = np.array([0.7, -0.2])
    for method in ("value", "gradient", "hessian"):
        found, expected = (getattr(SAIL(p), method)(theta) for p in (twice, once))
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-16)


def test_zero_radius():
    p = problem([[[1, 0], [0, 1], [0, 0]]], ref_params=[1, 1], center=[1, 1], radius=0)
    assert p.z_max == 0
    assert p.contains([1.0, 1.0])
    assert not p.contains([1.0, 1.001])


def test_zero_weight_prompts_are_left_out():
    features = [[[1, 0], [0, 0]], [[0, 5], [0, 0]], [[2, 0], [0, 0]]]
    p = problem(features, weights=[1, 0, 3])
    assert p.prompts == 2
    assert p.span.dimension == 1  # the only one with a second direction has weight 0
    assert p.feature_diameter == 2
    np.testing.assert_allclose(p.weights, [0.25, 0.75])
    assert p.notes == [
        "weights: they sum to 4 and were normalised",
        "weights: 1 prompt(s) of weight 0 are left out",
    ]
    rest = problem([features[0], features[2]], weights=[0.25, 0.75])
    assert rest.notes == []
    theta = np.array([0.2, 0.9])
    np.testing.assert_array_equal(SAIL(p).hessian(theta), SAIL(rest).hessian(theta))


def test_no_weights_means_equal_ones_without_a_note():
    p = problem([[[1], [0]], [[2], [0]]])
    assert p.notes == []
    np.testing.assert_array_equal(p.weights, [0.5, 0.5])


# --- exact numbers ------------------------------------------------------------------------


def test_typed_and_computed_floats():
    assert is_typed(0.1) and is_typed(-1e-300) and is_typed(123456789012.0)
    assert not is_typed(0.1 + 0.2) and not is_typed(np.pi)
    assert to_fraction(0.1, "x") == Fraction(1, 10)
    assert to_fraction(0.1 + 0.2, "x") == Fraction(0.1 + 0.2)
    assert to_fraction(np.float32(0.5), "x") == to_fraction(np.int8(1), "x") / 2


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (0.1, 0.1),
        ("0.1", 0.1),
        (Decimal("0.1"), 0.1),
        (Fraction(1, 4), 0.25),
        (" -7/2 ", -3.5),
        ("1/3", Fraction(1, 3)),
        (2**60 + 1, Fraction(2**60 + 1)),
        ("0.1000000000000000000001", Fraction(10**21 + 1, 10**22)),
        ("1e300", 1e300),
    ],
)
def test_read_number(given, read):
    found = read_number(given, "x")
    assert found == read and type(found) is type(read)


def test_read_array():
    assert read_array([[1, "1/2"], [0.25, Decimal(3)]], "x", 2).dtype == np.float64
    mixed = read_array([1, "1/3"], "x", 1)
    assert mixed.dtype == object
    assert list(exact_array(mixed)) == [1, Fraction(1, 3)]
    source = np.array([1.0, 2.0])
    copy = read_array(source, "x", 1)
    source[0] = 9
    assert copy[0] == 1


def test_fractions_and_floats_make_the_same_float64_problem():
    a = problem([[["1/3", 0], [0, "2/3"]]], beta="1/7", radius="1/2")
    b = problem([[[1 / 3, 0], [0, 2 / 3]]], beta=1 / 7, radius=0.5)
    theta = np.array([0.1, 0.2])
    np.testing.assert_array_equal(SAIL(a).hessian(theta), SAIL(b).hessian(theta))
    assert a.beta == Fraction(1, 7)


def test_preference_models():
    rewards = [0.0, 1.0, -2.0]
    p = probabilities(BradleyTerry(rewards))
    for k, a in enumerate(rewards):
        for j, b in enumerate(rewards):
            assert p[k, j] == pytest.approx(1 / (1 + np.exp(b - a)), rel=1e-14)
    q = PreferenceMatrix([[0.5, 1], [0, 0.5]]).centred(FLOAT64)
    np.testing.assert_array_equal(q, [[0, 0.5], [-0.5, 0]])
    loose = PreferenceMatrix([[0.5, 0.7], [0.3 + 1e-10, 0.5]]).centred(FLOAT64)
    np.testing.assert_array_equal(loose, -loose.T)  # antisymmetric whatever the rounding


# --- refusals ------------------------------------------------------------------------------


GOOD = {"features": [[[1, 0], [0, 1]]], "preferences": [HALF], "beta": 0.5, "radius": 2}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": []}, "prompts = []"),
        ({"features": 5}, "features = 5"),
        ({"features": "abc"}, "features = abc"),
        ({"features": {0: [[1]]}}, "features = {0: [[1]]}"),
        ({"features": np.eye(2)}, "features = shape (2, 2)"),
        ({"features": [[1, 2]]}, "prompts[0].features = shape (2,)"),
        ({"features": [[[]]]}, "prompts[0].features = shape (1, 0)"),
        ({"features": [[[1, 2], [3]]]}, "prompts[0].features = rows of lengths [1, 2]"),
        ({"features": [[[1, 2], 3]]}, "prompts[0].features = rows of lengths"),
        ({"features": [[np.zeros((2, 2)), np.zeros((2, 3))]]}, "prompts[0].features = ragged"),
        ({"features": [[[[1], [2]], [[1, 2], [3, 4]]]]}, "prompts[0].features[0][0] = [1]"),
        ({"features": [[[1, None], [0, 1]]]}, "prompts[0].features[0][1] = None"),
        ({"features": [[[1, True], [0, 1]]]}, "prompts[0].features[0][1] = True"),
        ({"features": [[[1, "x"], [0, 1]]]}, "prompts[0].features[0][1] = x"),
        ({"features": [np.array([[1, np.inf], [0, 1]])]}, "prompts[0].features[0][1] = inf"),
        ({"features": [np.eye(2, dtype=bool)]}, "prompts[0].features[0][0] = True"),
        ({"features": [np.eye(2) * 1j]}, "prompts[0].features[0][0] = 1j"),
        ({"features": [np.eye(2) * 1e200]}, "prompts[0].features = 1e+200"),
        ({"features": [np.eye(2), np.eye(3)], "preferences": [HALF, np.full((3, 3), 0.5)]},
         "prompts[1].features = 3 columns"),
        ({"preferences": None}, "preferences = None"),
        ({"preferences": np.array(0.5)}, "preferences = 0.5"),
        ({"preferences": [HALF, HALF]}, "preferences = 2 entries"),
        ({"preferences": [None]}, "prompts[0].preferences = None"),
        ({"preferences": [[[0.5, 0.5]]]}, "prompts[0].preferences = shape (1, 2)"),
        ({"preferences": [[[0.5, 1.2], [-0.2, 0.5]]]}, "prompts[0].preferences[0][1] = 1.2"),
        ({"preferences": [[[0.5, 0.7], [0.7, 0.5]]]}, "= 1.4: p₁₂ + p₂₁ = 1"),
        ({"preferences": [[[0.6, 0.5], [0.5, 0.4]]]}, "preferences[0][0] = 1.2"),
        ({"preferences": [BradleyTerry([1, 2, 3])]}, "prompts[0].rewards = 3 responses"),
        ({"beta": 0}, "beta = 0.0: β > 0"),
        ({"beta": -1}, "beta = -1.0: β > 0"),
        ({"beta": "1/0"}, "beta = 1/0"),
        ({"beta": float("nan")}, "beta = nan"),
        ({"beta": [0.1]}, "beta = [0.1]"),
        ({"beta": True}, "beta = True"),
        ({"beta": 10**5000}, "beta = a int too long to show"),
        ({"beta": "1e-400"}, "beta = 1e-400: the number must fit float64"),
        ({"beta": 1e80}, "beta = 1e+80: a number from 1e-50"),
        ({"radius": -0.5}, "radius = -0.5"),
        ({"radius": Decimal("Infinity")}, "radius = Infinity"),
        ({"radius": 1e60}, "radius = 1e+60"),
        ({"ref_params": [1, 2, 3]}, "ref_params = 3 entries: 2 are expected"),
        ({"ref_params": [[1, 2]]}, "ref_params = shape (1, 2)"),
        ({"ref_params": [9, -9]}, "must lie in the ball of radius 2"),
        ({"center": 0}, "center = shape ()"),
        ({"weights": [1, 2]}, "weights = 2 entries"),
        ({"weights": [-1]}, "prompts[0].weight = -1.0"),
        ({"weights": [0]}, "weights = all zero"),
        ({"weights": 1.0}, "weights = 1.0"),
        ({"weights": {1}}, "weights = {1}"),
        ({"base": [[1, 0]]}, "prompts[0].base[1] = 0.0"),
        ({"base": [[1, 2, 3]]}, "prompts[0].base = 3 entries"),
        ({"base": [[1, -2]]}, "prompts[0].base[1] = -2.0"),
        ({"base": [[1, "1e-400"]]}, "prompts[0].base[1] = 1e-400"),
        ({"base": []}, "base = 0 entries"),
    ],
)  # fmt: skip
def test_bad_arguments(change, message):
    with pytest.raises(InputError) as caught:
        PreferenceProblem(**(GOOD | change))
    assert message in str(caught.value)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 300


def test_deep_nesting_is_refused_before_it_is_followed():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    for change in ({"features": [deep]}, {"ref_params": deep}, {"beta": deep}, {"weights": deep}):
        with pytest.raises(InputError):
            PreferenceProblem(**(GOOD | change))


def test_arguments_are_named():
    with pytest.raises(TypeError):
        PreferenceProblem([[[1], [0]]], [HALF], 0.5, 2)  # type: ignore[misc]
