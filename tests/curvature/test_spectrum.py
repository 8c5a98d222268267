"""Density, trace, diagonal; the monitor; the command."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from sailtheory import InputError
from sailtheory.curvature import (
    CurvatureMonitor,
    HessianOperator,
    diagonal,
    extremal,
    random_vector,
    spectral_density,
    trace,
)
from sailtheory.curvature.command import run
from sailtheory.policies import CandidateData, CandidateObjective, MLPPolicy

F64 = torch.float64


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def spectrum(size=300, seed=0):
    """A symmetric matrix with a known spectrum: a few large eigenvalues and a bulk."""
    values = torch.cat([
        torch.tensor([50.0, 30.0, -20.0], dtype=F64),
        torch.linspace(-1, 1, size - 3, dtype=F64),
    ])  # fmt: skip
    q, _ = torch.linalg.qr(torch.randn(size, size, generator=generator(seed), dtype=F64))
    return q @ torch.diag(values) @ q.mT, values


def test_largest_eigenvalue_to_a_thousandth_in_sixty_products():
    for seed in range(3):
        matrix, values = spectrum(1000, seed)
        low, high = extremal(
            lambda v, a=matrix: a @ v, random_vector(values, generator(seed)), tolerance=1e-3
        )
        assert high.products <= 60
        assert abs(high.value - values.max()) <= 1e-3 * values.max()
        assert abs(low.value - values.min()) <= 1e-3 * values.max()


def test_rank_one_and_zero_operators_end_at_once():
    u = torch.randn(50, generator=generator(), dtype=F64)
    low, high = extremal(lambda v: u * (u @ v), random_vector(u, generator(1)))
    assert abs(high.value - float(u @ u)) < 1e-10 * float(u @ u)
    assert abs(low.value) < 1e-10 * float(u @ u) and high.products <= 6
    low, high = extremal(lambda v: 0 * v, random_vector(u, generator(1)))
    assert low.value == high.value == 0 and high.converged


def test_trace_diagonal_and_density():
    matrix, values = spectrum()
    product = lambda v: matrix @ v  # noqa: E731
    found = [trace(product, values, generator(s), products=60) for s in range(20)]
    exact = float(values.sum())
    for estimate in found:
        assert abs(estimate.value - exact) < 6 * estimate.error
    mean = sum(e.value for e in found) / 20
    assert abs(mean - exact) < 5 * max(e.error for e in found) / 20**0.5
    # Hutch++ takes the large eigenvalues out: Hutchinson's error would be over 10.
    assert max(e.error for e in found) < 6
    rows = torch.stack([diagonal(product, values, generator(s), products=90) for s in range(24)])
    error = rows.std(0) / 40**0.5
    assert ((rows.mean(0) - matrix.diag()).abs() < 6 * error).all()
    density = spectral_density(product, values, generator(), probes=30, steps=60)
    assert abs(density.weights.sum() - 1) < 1e-12 and density.weights.min() >= 0
    second = float((values**2).sum()) / 300
    assert abs(density.moment(2) - second) < 0.25 * second
    inside = (np.abs(density.nodes) < 1.01) @ density.weights
    assert abs(inside - 297 / 300) < 0.01
    assert abs(density.nodes.max() - 50) < 1e-6
    grid = np.linspace(-30, 60, 4001)
    assert abs(np.trapezoid(density.smoothed(grid, 0.3), grid) - 1) < 1e-6


def test_small_operators_are_exact():
    matrix, values = spectrum(12)
    found = trace(lambda v: matrix @ v, values, generator(), products=60)
    assert abs(found.value - float(values.sum())) < 1e-10 and found.error < 1e-10


def test_bad_arguments_are_named():
    v = torch.ones(5, dtype=F64)
    same = lambda x: x  # noqa: E731
    for action, field in [
        (lambda: trace(same, v, generator(), products=3), "products"),
        (lambda: diagonal(same, v, generator(), products=3), "products"),
        (lambda: spectral_density(same, v, generator(), probes=0), "probes"),
        (lambda: trace(same, v, generator(), products=7.5), "products"),
        (lambda: spectral_density(same, v, generator(), probes=2.5), "probes"),
        (lambda: spectral_density(same, v, generator(), steps=math.nan), "steps"),
        (lambda: spectral_density(same, v[:0], generator()), "dimension"),
        (lambda: trace(same, v[:0], generator()), "dimension"),
        (lambda: spectral_density(same, v, generator()).smoothed(np.ones(2), 0.0), "width"),
        (lambda: spectral_density(same, v, generator()).smoothed(np.ones(2), math.inf), "width"),
        (lambda: spectral_density(same, v, generator()).smoothed([math.nan], 1.0), "grid"),
        (lambda: spectral_density(same, v, generator()).moment(-1), "power"),
        (lambda: CurvatureMonitor(small(), share=0.0), "share"),
    ]:
        with pytest.raises(InputError, match=field):
            action()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda x: x * math.nan,
        lambda x: x / 0,
        lambda x: torch.where(torch.arange(len(x)) == 1, math.nan, x),
        lambda x: x[:2],
        lambda x: x.float(),
    ],
    ids=["nan", "inf", "one", "short", "float32"],
)
@pytest.mark.parametrize(
    "estimate",
    [
        lambda a, v: spectral_density(a, v, generator(), steps=1),
        lambda a, v: spectral_density(a, v, generator()),
        lambda a, v: trace(a, v, generator()),
        lambda a, v: diagonal(a, v, generator()),
        lambda a, v: extremal(a, torch.ones_like(v)),
    ],
    ids=["one step", "density", "trace", "diagonal", "extremal"],
)
def test_products_that_are_no_vectors_of_numbers(estimate, spoil):
    with pytest.raises(InputError, match="product"):
        estimate(spoil, torch.zeros(4, dtype=F64))


def small(seed=0, gamma=0.1):
    g = generator(seed)
    inputs = torch.randn(5, 3, 4, generator=g, dtype=F64)
    rewards = torch.randn(5, 3, generator=g, dtype=F64)
    policy = MLPPolicy(4, [6], generator=g)
    log_ref = policy.log_policy(inputs).detach()
    data = CandidateData(inputs, log_ref, rewards=rewards)
    return CandidateObjective(policy, data, beta=0.2, gamma=gamma)


class Clock:
    """Every reading is a tenth of a second after the one before; training takes a second."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 0.1
        return self.now


def test_monitor_in_a_loop_keeps_its_share_of_time():
    objective = small()
    clock = Clock()
    monitor = CurvatureMonitor(objective, share=0.05, clock=clock)
    optimiser = torch.optim.Adam(objective.policy.parameters(), lr=1e-2)
    for step in range(24):
        optimiser.zero_grad()
        (-objective.value()).backward()
        optimiser.step()
        clock.now += 1.0
        monitor(step)
        if monitor.records[1:]:
            assert monitor.time_share <= 0.05 + 1e-12
    assert 3 < len(monitor.records) < 24
    record = monitor.records[-1]
    subset = HessianOperator(objective).subset
    hessian = torch.func.hessian(lambda step: objective.value(subset.moved(step)))(
        torch.zeros(subset.size, dtype=F64)
    )
    fresh = monitor.measure()
    values = torch.linalg.eigvalsh(hessian)
    assert abs(fresh["lambda_max"] - values[-1]) < 1e-2 * abs(values).max()
    assert abs(fresh["lambda_min"] - values[0]) < 1e-2 * abs(values).max()
    assert record["distance"] > 0.1 and record["kl_ref_policy"] > 0
    assert record["kl_policy_ref"] != record["kl_ref_policy"]
    slope = torch.autograd.grad(objective.value(), list(objective.policy.parameters()))
    square = sum(float(s.square().sum()) for s in slope)
    assert abs(fresh["gradient_norm"] ** 2 - square) < 1e-12
    told = CurvatureMonitor(objective, best=float(objective.value()) + 0.5)
    assert abs(told.measure()["pl_ratio"] - square / 1.0) < 1e-12
    json.dumps(monitor.records)


def test_monitor_leaves_the_model_as_it_found_it():
    objective = small()
    objective.policy.train()
    before = [p.clone() for p in objective.policy.parameters()]
    CurvatureMonitor(objective)(0)
    assert objective.policy.training
    for p, q in zip(objective.policy.parameters(), before, strict=True):
        assert torch.equal(p, q) and p.grad is None and p.requires_grad


def saved(tmp_path, **changes):
    objective = small()
    objective.policy.save(tmp_path / "policy.npz")
    batch = objective.data.all
    arrays = {
        "inputs": batch.inputs.numpy(), "log_ref": batch.log_ref.numpy(),
        "preferences": batch.preference.numpy() + 0.5,
    } | changes.pop("arrays", {})  # fmt: skip
    np.savez(tmp_path / "data.npz", **{k: v for k, v in arrays.items() if v is not None})
    fields = {"policy": "policy.npz", "data": "data.npz", "beta": 0.2, "gamma": 0.1} | changes
    lines = [f"{k} = {json.dumps(v)}" for k, v in fields.items() if v is not None]
    (tmp_path / "c.toml").write_text("\n".join(lines))
    return objective, tmp_path / "c.toml"


def test_command_reports_and_is_reproducible(tmp_path):
    objective, config = saved(tmp_path)
    found = run(config)
    json.dumps(found, allow_nan=False)
    _, high = extremal(HessianOperator(objective), torch.ones(37, dtype=F64) + 0.1)
    assert found["parameters"] == 37
    assert abs(found["eigenvalues"]["highest"]["value"] - high.value) < 1e-6
    top = found["eigenvalues"]["highest"]
    assert abs(top["second_difference"] - top["value"]) < 1e-6
    assert found == run(config)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"beta": None}, "beta"), ({"beta": "x"}, "beta"), ({"beta": -1.0}, "beta"),
        ({"policy": "none.npz"}, "policy"), ({"data": "none.npz"}, "data"),
        ({"unknown": 1}, "unknown"), ({"chunk": -1}, "chunk"), ({"divergence": "x"}, "divergence"),
        ({"arrays": {"preferences": None}}, "preferences"),
        ({"arrays": {"log_ref": np.full((5, 3), math.nan)}}, "log_ref"),
        ({"arrays": {"inputs": np.ones((5, 3, 9))}}, "inputs"),
        ({"arrays": {"inputs": np.full((5, 3, 4), "a")}}, "data"),
        ({"arrays": {"extra": np.ones(2)}}, "data"),
    ],
)  # fmt: skip
def test_command_names_bad_input(tmp_path, changes, field):
    _, config = saved(tmp_path, **changes)
    with pytest.raises(InputError, match=field):
        run(config)


def test_the_command_prints_json(tmp_path, capsys):
    from sailtheory.cli import main

    _, config = saved(tmp_path)
    assert main(["curvature", str(config)]) == 0
    assert json.loads(capsys.readouterr().out)["parameters"] == 37
    assert main(["curvature", str(tmp_path / "none.toml")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_command_draws_what_it_reports(tmp_path, capsys):
    from sailtheory.cli import main
    from sailtheory.plots.curvature import draw
    from tests.support.figure_checks import collisions

    _, config = saved(tmp_path)
    assert main(["curvature", str(config), "--plot", str(tmp_path / "c.svg")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "<svg" in (tmp_path / "c.svg").read_text(encoding="utf-8")
    figure = draw(found)
    figure.draw_without_rendering()
    assert collisions(figure) == []
    left, right = figure.axes
    assert any(f"{found['eigenvalues']['highest']['value']:.3g}" in text.get_text()
               for text in left.get_legend().get_texts())  # fmt: skip
    damped = next(line for line in right.lines if line.get_label() == "damped")
    assert sorted(damped.get_ydata()) == sorted(found["relative"]["damped"].values())
    assert main(["curvature", str(config), "--plot", str(tmp_path / "c.gif")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
