"""Constants of online DPO's field (C29, C36) against brute force and by each other."""

from __future__ import annotations

import numpy as np
import pytest
from flint import arb

from sailtheory import InputError
from sailtheory.numeric.numbers import FLOAT64, arb_numbers
from sailtheory.theory import field_bound
from sailtheory.theory.averaged_bound import path_factor

GRID = [(beta, z) for beta in (0.02, 0.3, 2.0, 30.0) for z in (0.0, 0.2, 3.0, 40.0)]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def worst(beta, z_range, offset, p=1.0):
    """2b + 2β² sup[u²/(4b) − σ'(z)] on a fine grid."""
    z = np.linspace(-z_range, z_range, 4001)
    inner = (p - sigmoid(z)) ** 2 / (4 * offset) - sigmoid(z) * sigmoid(-z)
    return 2 * offset + 2 * beta**2 * inner.max()


@pytest.mark.parametrize(("beta", "z"), GRID)
def test_the_closed_form_is_the_least_over_offsets(beta, z):
    found = float(field_bound.field_bound(FLOAT64, beta, z))
    best = min(worst(beta, z, beta * share) for share in np.geomspace(0.1, 2, 200))
    assert found - 1e-12 * beta <= best <= found + 2e-3 * (beta + beta**2)
    assert worst(beta, z, beta * sigmoid(z) / 2) == pytest.approx(found, abs=1e-11 * beta**2)
    assert found <= field_bound.field_limit(beta) == 2 * beta


@pytest.mark.parametrize(("beta", "z"), GRID)
def test_it_grows_with_the_range_and_lies_in_its_balls(beta, z):
    more = float(field_bound.field_bound(FLOAT64, beta, z + 0.1))
    assert more > float(field_bound.field_bound(FLOAT64, beta, z)) - 1e-12 * beta
    xp = arb_numbers()
    ball = field_bound.field_bound(xp, arb(beta), arb(z))
    assert abs(ball - float(field_bound.field_bound(FLOAT64, beta, z))) < 1e-13 * (beta + beta**2)


@pytest.mark.parametrize("beta", [0.02, 0.3, 2.0, 30.0])
def test_with_own_preferences_it_is_the_worst_of_the_pairs(beta):
    rng = np.random.default_rng(int(100 * beta))
    for _ in range(12):
        q = rng.uniform(-0.5, 0.5, size=(1, 3))
        middle, width = rng.normal(size=(1, 3)), 10 ** rng.uniform(-2, 1)
        low, high = middle - width, middle + width
        (found,) = field_bound.field_data_bound(beta, q, low, high)
        grids = [np.linspace(a, b, 601) for a, b in zip(low[0], high[0], strict=True)]

        def bound(b, grids=grids, q=q):
            inner = [
                ((p + 0.5 - sigmoid(z)) ** 2 / (4 * b) - sigmoid(z) * sigmoid(-z)).max()
                for p, z in zip(q[0], grids, strict=True)
            ]
            return 2 * b + 2 * beta**2 * max(inner)

        best = min(bound(beta * b) for b in np.geomspace(1e-3, 1, 150))
        reach = max(abs(low).max(), abs(high).max())
        closed = float(field_bound.field_bound(FLOAT64, beta, reach))
        assert found <= closed + 1e-11 * (beta + beta**2)
        assert min(best, closed) - 1e-3 * (beta + beta**2) <= found
        assert found <= min(best + 0.03 * beta, closed) + 1e-9 * (1 + beta**2)


@pytest.mark.parametrize("beta", [0.02, 0.3, 5.0])
def test_two_responses_are_bounded_on_their_own_interval(beta):
    """Σ and products written out: η = 2βu(π₂ − π₁) − 2β²σ', z = βt, π₁ = σ(odds + t)."""
    rng = np.random.default_rng(int(100 * beta))
    q, odds = rng.uniform(-0.5, 0.5, 60), rng.normal(size=60) * 2
    middle, width = rng.normal(size=60) * beta, beta * 10 ** rng.uniform(-2, 0.7, 60)
    low, high = middle - width, middle + width
    found = field_bound.field_two_bound(beta, q, odds, low, high, np.zeros(60))
    z = low + (high - low) * np.linspace(0, 1, 4001)[:, None]
    first = sigmoid(odds + z / beta)
    u, slope = q + 0.5 - sigmoid(z), sigmoid(z) * sigmoid(-z)
    exact = (2 * beta * u * (1 - 2 * first) - 2 * beta**2 * slope).max(0)
    assert (exact <= found).all()
    assert (found - exact <= 0.15 * beta * width / beta + 1e-9).all()
    wide = field_bound.field_two_bound(beta, q, odds, low, high, np.full(60, 1e-3))
    assert (wide >= found + 7e-3 * beta).all()


def test_ties_in_a_small_range_need_almost_nothing():
    z = np.full((1, 1), 0.01)
    (found,) = field_bound.field_data_bound(0.1, np.zeros((1, 1)), -z, z)
    assert found < 0.001 < field_bound.field_bound(FLOAT64, 0.1, 0.01)


def test_the_turning_is_bounded_for_any_antisymmetric_payoff():
    """2β‖√π u √π‖ on centred scores, without the code of the package."""
    rng = np.random.default_rng(3)
    reached = []
    for trial in range(200):
        m = int(rng.integers(2, 9))
        policy = rng.dirichlet(np.full(m, rng.choice([0.2, 1.0, 50.0])))
        u = np.triu(np.ones((m, m)) if trial % 2 else np.sign(rng.normal(size=(m, m))), 1)
        u = (u - u.T) / 2
        root = np.sqrt(policy)
        centre = np.eye(m) - np.outer(root, root)
        norm = np.linalg.norm(centre @ (root[:, None] * u * root) @ centre, 2)
        reached.append(2 * norm)
        if m == 2:
            assert norm < 1e-12
    bound = float(field_bound.field_turning_bound(FLOAT64, 1.0, 0.0, np.pi))
    assert bound == pytest.approx(2 / np.pi)
    assert 0.8 * bound < max(reached) <= bound


def test_projected_steps_are_those_of_a_gradient_where_nothing_turns():
    m, ell, d = 0.3, 2.0, 1.5
    flat = float(field_bound.monotone_smoothness(FLOAT64, m, ell, 0.0, d))
    assert flat == pytest.approx(ell * d**2 / 4, rel=1e-14)
    turned = float(field_bound.monotone_smoothness(FLOAT64, m, ell, 0.5, d))
    assert turned == pytest.approx(d**2 / 4 * (ell**0.5 + 0.5 / m**0.5) ** 2, rel=1e-14)


def test_cocoercivity_of_any_matrix_with_such_parts():
    rng = np.random.default_rng(8)
    for _ in range(200):
        r = int(rng.integers(2, 6))
        basis = np.linalg.qr(rng.normal(size=(r, r)))[0]
        m, ell, a = 0.1, 1.0 + rng.random(), float(rng.random())
        even = basis @ np.diag(rng.uniform(m, ell, r)) @ basis.T
        odd = rng.normal(size=(r, r))
        odd -= odd.T
        odd *= a / np.linalg.norm(odd, 2)
        root = np.linalg.qr(rng.normal(size=(r, r)))[0] @ np.diag(rng.uniform(0, 1, r))
        whole = root @ (even + odd) @ root.T  # F̃ = root rootᵀ ⪯ 1 = D²/4 at D = 2
        smooth = float(field_bound.monotone_smoothness(FLOAT64, m, ell, a, 2.0))
        x = rng.normal(size=r)
        assert x @ whole @ x * smooth >= ((whole @ x) ** 2).sum() * (1 - 1e-12)


def test_mirror_constants():
    assert field_bound.implicit_contraction(1.0, 3.0) == 0.75
    phi = float(path_factor(FLOAT64, 2.0))
    found = field_bound.explicit_mirror_constant(FLOAT64, 0.5, 2.0, 0.25, phi)
    grown = np.exp(0.25)
    assert float(found) == pytest.approx(4 * grown * (1 + grown) / phi, rel=1e-14)


@pytest.mark.parametrize(
    "call",
    [
        lambda: field_bound.field_limit(0.0),
        lambda: field_bound.field_bound(FLOAT64, 1.0, -1.0),
        lambda: field_bound.field_lower(FLOAT64, -1.0, 1.0),
        lambda: field_bound.field_turning_bound(FLOAT64, 1.0, np.inf, np.pi),
        lambda: field_bound.payoff_field_bound(1.0, 0.0, 1.0),
        lambda: field_bound.monotone_smoothness(FLOAT64, 0.0, 1.0, 0.0, 1.0),
        lambda: field_bound.implicit_contraction(0.0, 1.0),
        lambda: field_bound.explicit_mirror_constant(FLOAT64, 1.0, 1.0, -1.0, 0.5),
    ],
)
def test_outside_the_domain_is_refused(call):
    with pytest.raises(InputError):
        call()
