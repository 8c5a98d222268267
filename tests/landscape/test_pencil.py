"""The largest curvature at a point: by a root, by Cholesky and by products, against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from flint import arb
from scipy.linalg import eigh

from sailtheory import BradleyTerry, KLRefPolicy, PreferenceProblem, SAILRevKL
from sailtheory.landscape import Domain, Search, maximise, pencil
from sailtheory.landscape.bfgs import ascend
from sailtheory.landscape.maximiser import newton_distance
from sailtheory.numeric.balls import BALLS
from sailtheory.numeric.numbers import arb_numbers
from sailtheory.objectives import curvature_sign as sign_module
from sailtheory.objectives.curvature_sign import curvature_sign
from sailtheory.problem import blocks as blocks_module
from sailtheory.theory import pair_form

ENGINES = {
    "root": (512, 1 << 30, 1 << 30), "Cholesky": (512, 0, 1 << 30), "float32": (512, 0, 0),
    "products": (0, 0, 0),
}  # fmt: skip


def data_set(prompts=40, responses=3, dimension=12, seed=0, dtype=np.float64):
    """A problem like a preference data set: embeddings, rewards, some ties."""
    rng = np.random.default_rng(seed)
    phi = rng.normal(size=(prompts, responses, dimension)).astype(dtype)
    rewards = np.round(phi @ rng.normal(size=dimension), 1)
    return PreferenceProblem(
        features=phi,
        preferences=[BradleyTerry(r) for r in rewards],
        beta=0.3,
        radius=1.5,
        ref_params=0.05 * rng.normal(size=dimension),
        weights=rng.uniform(0.1, 1, prompts).tolist(),
    )


def points(problem, count=3):
    rng = np.random.default_rng(1)
    theta = rng.normal(size=(count, problem.dimension))
    return theta / np.linalg.norm(theta, axis=1, keepdims=True)


@pytest.fixture(params=ENGINES)
def engine(request, monkeypatch):
    for name, value in zip(("DENSE", "_ROOT", "_SINGLE"), ENGINES[request.param], strict=True):
        monkeypatch.setattr(pencil, name, value)


@pytest.mark.parametrize("shape", [(40, 3, 30), (12, 3, 40), (40, 3, 8)])
@pytest.mark.usefixtures("engine")
def test_engines_find_the_eigenvalue_of_the_pencil(shape):
    """With 12 prompts of 3 responses, S has dimension 24 of 40; of 8, points are solved at once."""
    problem = data_set(*shape)
    domain, objective = Domain(problem), SAILRevKL(problem, 0.1)
    theta = points(problem)
    basis = problem.span.basis
    value, v = pencil.largest_relative_curvature(objective, domain, theta)
    steepest, u = pencil.largest_curvature(objective, domain, theta)
    for i, point in enumerate(theta):
        h = basis.T @ objective.hessian(point) @ basis
        f = basis.T @ KLRefPolicy(problem).hessian(point) @ basis
        assert value[i] == pytest.approx(eigh(h, f, eigvals_only=True)[-1], rel=1e-6)
        assert steepest[i] == pytest.approx(np.linalg.eigvalsh(h)[-1], rel=1e-6)
        assert v[i] @ KLRefPolicy(problem).hessian(point) @ v[i] == pytest.approx(1)
        assert v[i] @ objective.hessian(point) @ v[i] == pytest.approx(value[i], rel=1e-6)
        assert np.linalg.norm(u[i]) == pytest.approx(1)
    assert np.linalg.norm(v - problem.span.project(v)) < 1e-9 * np.linalg.norm(v)


def test_a_nearly_singular_fisher_matrix_goes_to_its_root(monkeypatch):
    """Cholesky alone would answer with the rounding of F̄."""
    problem = data_set().replace(radius=400)
    domain, objective = Domain(problem), SAILRevKL(problem, 0.1)
    theta = 400 * points(problem)
    expected, _ = pencil.largest_relative_curvature(objective, domain, theta)
    monkeypatch.setattr(pencil, "_ROOT", 0)
    found, _ = pencil.largest_relative_curvature(objective, domain, theta)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("radius", [1.5, 30])
def test_directions_of_float32_have_curvatures_of_float64(radius, monkeypatch):
    """Never above the eigenvalue; where F̄ is nearly singular, float64 takes over."""
    problem = data_set(40, 3, 30).replace(radius=radius)
    domain, objective = Domain(problem), SAILRevKL(problem, 0.1)
    theta = radius * points(problem)
    monkeypatch.setattr(pencil, "_ROOT", 0)
    expected, _ = pencil.largest_relative_curvature(objective, domain, theta)
    monkeypatch.setattr(pencil, "_SINGLE", 0)
    products, used = pair_form.laplacian_all, []
    monkeypatch.setattr(
        pair_form, "laplacian_all", lambda w, phi: used.append(w.dtype) or products(w, phi)
    )
    found, _ = pencil.largest_relative_curvature(objective, domain, theta)
    assert np.dtype(np.float32) in used
    assert (np.dtype(np.float64) in used) == (radius > 2)
    assert found == pytest.approx(expected, rel=1e-9)
    assert (found <= expected * (1 + 1e-13)).all()


@pytest.mark.usefixtures("engine")
def test_flattest_directions_are_the_top_eigenvectors():
    problem = data_set(40, 3, 30)
    domain, objective = Domain(problem), SAILRevKL(problem, 1.0)
    theta = points(problem)[0]
    lines = pencil.flattest(objective, domain, theta, 3)
    h = domain.reduce_matrix(objective.hessian(theta))
    top = np.linalg.eigh(h)[1][:, -3:]
    assert np.linalg.svd(lines @ top, compute_uv=False).min() == pytest.approx(1, abs=1e-6)


def test_products_and_forms_agree_with_the_hessian():
    problem = data_set()
    theta, v = points(problem), points(problem, 6)[3:]
    for objective in (SAILRevKL(problem, 0.4), KLRefPolicy(problem)):
        hessian = objective.hessian(theta)
        image = (hessian @ v[..., None])[..., 0]
        np.testing.assert_allclose(objective.hessian_product(theta, v), image, rtol=1e-10)
        np.testing.assert_allclose(objective.curvature(theta, v), (v * image).sum(1), rtol=1e-9)


def test_a_problem_of_many_blocks_is_the_same_problem(monkeypatch):
    whole = data_set(seed=3)
    theta, v = points(whole), points(whole, 6)[3:]
    expected = SAILRevKL(whole, 0.4)
    monkeypatch.setattr(blocks_module, "_LARGEST", 100)
    split = data_set(seed=3)
    assert [len(block.prompts) for block in split.blocks()] == [2] * 20
    objective = SAILRevKL(split, 0.4)
    for name, given in (("value", ()), ("gradient", ()), ("hessian", ()), ("curvature", (v,)),
                        ("curvature_gradient", (v,))):  # fmt: skip
        found, known = (
            getattr(objective, name)(theta, *given),
            getattr(expected, name)(theta, *given),
        )
        np.testing.assert_allclose(found, known, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_sign_from_scalars_is_that_of_the_whole(dtype, monkeypatch):
    """Once each sign; and 0 next to the curvature's zero, where the features decide."""
    problem = data_set(dtype=dtype)
    theta = points(problem, 1)[0]
    balance, v = pencil.largest_relative_curvature(SAILRevKL(problem, 0), Domain(problem), theta)
    assert balance > 0
    for few, affordable in ((1 << 30, 1 << 30), (0, 1 << 30), (0, 0)):
        monkeypatch.setattr(sign_module, "_FEW", few)
        monkeypatch.setattr(sign_module, "_AFFORDABLE", affordable)
        for factor, sign in ((0.9, 1), (1.1, -1), (1 - 1e-9, 1), (1 + 1e-9, -1)):
            assert curvature_sign(SAILRevKL(problem, float(balance) * factor), theta, v) == sign
    assert curvature_sign(SAILRevKL(problem, float(balance)), theta, v) == 0


def test_balls_of_float64_enclose_what_arb_finds():
    """Rewards and matrices, base measures and weights that float64 does not store exactly."""
    rng = np.random.default_rng(1)
    phi = rng.normal(size=(4, 3, 2)).round(1)
    matrix = [[0.5, 0.7, 0.1], [0.3, 0.5, 0.9], [0.9, 0.1, 0.5]]
    for preferences in ([BradleyTerry([0.1, 0.7, -0.3])] * 4, [matrix] * 4,
                        [BradleyTerry([0.1, 0.7, -0.3]), *[matrix] * 3]):  # fmt: skip
        problem = PreferenceProblem(
            features=phi, preferences=preferences, beta=0.3, radius=2, base=[[0.1, 0.7, 0.2]] * 4,
            weights=[0.1, 0.3, 0.7, 1], ref_params=[0.1, -0.3],
        )  # fmt: skip
        theta, v = rng.normal(size=(2, 2))
        objective = SAILRevKL(problem, 0.4)
        found = []
        for xp in (BALLS, arb_numbers()):
            scalars = sign_module._Scalars(problem, theta, v, xp)
            at, along = (sign_module._unit(xp, i) for i in (0, 2))
            found.append(objective.on(scalars).curvature(at, along))
        balls, exact = found
        assert arb(float(balls.lower)) <= exact <= arb(float(balls.upper))
        assert balls.rad < 1e-13


def test_scalars_enclose_features_far_from_zero():
    """The radius covers the shift by the first response: here it costs 12 digits."""
    problem = data_set(prompts=5)
    far = [phi + 1e6 for phi in problem.features]
    moved = problem.replace(features=far)
    theta, v = points(problem, 2)
    scalars = sign_module._Scalars(moved, theta, v, arb_numbers())
    (block,) = scalars.blocks(scalars.xp)
    exact = [
        [sum(scalars.xp.asarray(phi[k] - phi[0]) * scalars.xp.asarray(v)) for k in range(3)]
        for phi in map(lambda a: a.astype(object), moved.features)
    ]
    for balls, values in zip(block.features[..., 2], exact, strict=True):
        assert all(ball.contains(value) for ball, value in zip(balls, values, strict=True))


def quadratic_fall(size):
    rng = np.random.default_rng(0)
    scales = np.geomspace(1, 100, size)
    top = rng.normal(size=size) / size**0.5
    return scales, top


@pytest.mark.parametrize("size", [6, 600])
def test_ascent_of_many_dimensions_remembers_updates_alone(size):
    scales, top = quadratic_fall(size)
    start = np.zeros((2, size))
    value = lambda x: -((x - top) ** 2 @ scales) / 2  # noqa: E731
    x, reached = ascend(value, lambda x: -(x - top) * scales, start, value(start), 4.0, 400, 1e-15)
    np.testing.assert_allclose(x, np.broadcast_to(top, x.shape), atol=1e-5)
    assert reached.max() > -1e-8


@pytest.mark.parametrize("radius", [0.05, 30.0])
def test_newton_by_products_finds_what_the_dense_system_finds(radius, monkeypatch):
    problem = data_set().replace(radius=radius, ref_params=np.zeros(12))
    objective = SAILRevKL(problem, 2.0)
    dense = maximise(objective, Search(Domain(problem)))
    monkeypatch.setattr("sailtheory.landscape.maximiser.DENSE", 0)
    found = maximise(objective, Search(Domain(problem)))
    assert dense.on_boundary is found.on_boundary is (radius < 1)
    np.testing.assert_allclose(found.theta, dense.theta, atol=1e-8)
    domain = Domain(problem)
    assert newton_distance(objective, domain, domain.coordinates(found.theta)) < 1e-7


@pytest.mark.parametrize("place", [0.5, 1.0])
def test_a_newton_step_by_products_is_the_dense_one(place, monkeypatch):
    """Inside the ball, and on the sphere where the gradient points outward."""
    problem = data_set().replace(radius=0.05, ref_params=np.zeros(12))
    domain, objective = Domain(problem), SAILRevKL(problem, 2.0)
    slope = objective.gradient(np.zeros(12))
    x = place * 0.05 * (slope + 0.1 * np.roll(slope, 1))
    x *= place * 0.05 / np.linalg.norm(x)
    dense = newton_distance(objective, domain, x)
    monkeypatch.setattr("sailtheory.landscape.maximiser.DENSE", 0)
    assert newton_distance(objective, domain, x) == pytest.approx(dense, rel=1e-6)
