"""What ends a series of gaps: 0, rounding, or the best value of the run itself."""

from __future__ import annotations

import numpy as np
import pytest
from flint import ctx

from sailtheory import InputError, SAILRevKL, examples
from sailtheory.ascent import constants, mirror_ascent, projected_ascent
from sailtheory.cli import main
from sailtheory.convergence import fit_rate
from sailtheory.convergence.gaps import gaps_to
from sailtheory.convergence.prediction import predict
from sailtheory.landscape import Domain, Search, largest_curvature_on, maximise
from sailtheory.numeric.numbers import arb_numbers
from sailtheory.objectives.sail_target import SAILTarget

T = np.arange(1.0, 401.0)
EPS = np.finfo(float).eps


def noise(seed: int, sigma: float, n: int) -> np.ndarray:
    return np.exp(sigma * np.random.default_rng(seed).normal(size=n))


# --- a gap of 0 -------------------------------------------------------------------------


@pytest.mark.parametrize("n", [25, 50, 400])
@pytest.mark.parametrize("zeros", [1, 3])
@pytest.mark.parametrize(
    "model, name, truth, decay",
    [
        ("linear", "q", 0.5, lambda t: 0.5**t),
        ("linear", "q", 0.9, lambda t: 3 * 0.9**t),
        ("power", "a", 1.5, lambda t: 2 * t**-1.5),
    ],
)
def test_zeros_at_the_end_leave_what_precedes(model, name, truth, decay, n, zeros):
    gaps = np.append(decay(T[:n]), np.zeros(zeros))
    fit = fit_rate(gaps)
    assert fit.model == model
    low, high = fit.intervals[name]
    assert low <= truth <= high
    # Least squares of n exact logarithms: condition ≲ n in scaled columns.
    assert fit.parameters[name] == pytest.approx(truth, rel=1e3 * n * EPS)
    if gaps[n - 1] > 1e-7 * gaps[0]:  # far above rounding: every gap before the 0 counts
        assert fit.window[1] == n - 1
        assert fit.reason.endswith(f"from iteration {n + 1} on gaps are 0 and unused")
    assert "unused" in fit.reason and "\n" not in fit.reason


def test_noise_before_a_zero():
    gaps = np.append(0.9 ** T[:100] * noise(1, 0.1, 100), 0)
    fit = fit_rate(gaps)
    low, high = fit.intervals["q"]
    assert fit.model == "linear" and low <= 0.9 <= high
    # σ/√(Σ(t − t̄)²) for 100 points is 3.5e-4 in log q.
    assert fit.parameters["q"] == pytest.approx(0.9, rel=4 * 3.5e-4)


@pytest.mark.parametrize("decay", [0.9**T, 0.97**T, T**-1.5], ids=["0.9", "0.97", "power"])
@pytest.mark.parametrize("n", [50, 100])
@pytest.mark.parametrize("sigma", [0.0, 0.1])
def test_gaps_to_the_best_value_of_the_run_itself_decide_nothing(decay, n, sigma):
    """Each lacks that value's gap, so that the fit of what precedes would be wrong."""
    gaps = decay[:n] * noise(7, sigma, n)
    stop = int(gaps.argmin()) + 1
    own = gaps[:stop] - gaps[stop - 1]
    assert fit_rate(own).model == "undecided"


@pytest.mark.parametrize(
    "gaps, place",
    [
        ([1, 0.5, 0.25, 0, 0.0625, 0.03], 3),
        ([0, 1, 0.5], 0),
        (np.where(T == 200, 0, 0.97**T), 199),
    ],
)
def test_a_zero_in_the_midst_is_refused_by_name(gaps, place):
    with pytest.raises(InputError, match="only the end may be 0") as caught:
        fit_rate(gaps)
    assert caught.value.field == f"gaps[{place}]" and "\n" not in str(caught.value)


def test_a_zero_in_the_midst_of_a_file(tmp_path, capsys):
    path = tmp_path / "s.csv"
    path.write_text("gap\n1\n0.5\n0\n0.125\n")
    assert main(["rates", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("sailtheory: gaps[2] = 0: a gap > 0")


def test_nothing_but_zeros_is_undecided():
    fit = fit_rate(np.zeros(50))
    assert fit.model == "undecided" and fit.window == (0, 0) and "0 usable gaps" in fit.reason


# --- rounding ---------------------------------------------------------------------------


@pytest.mark.parametrize("best", [-0.6917, 2.5, 1.0])
def test_gaps_that_rest_on_rounding_are_the_end_and_no_floor(best):
    """Differences of values, of which float64 holds 16 digits; no gap need be exactly 0."""
    gaps = np.abs(best - (best - 0.8**T))
    gaps[gaps == 0] = np.spacing(abs(best))
    fit = fit_rate(gaps)
    assert (fit.model, fit.decay) == ("linear", "linear")
    low, high = fit.intervals["q"]
    assert low <= 0.8 <= high and high - low < 1e-3
    assert "near rounding and unused" in fit.reason
    # 0.8^t meets eps |J| at t = 36/0.223, and a thousand times that 31 iterations before.
    assert 100 < fit.window[1] < 140


def test_a_floor_above_rounding_stays_a_floor():
    fit = fit_rate((0.8**T + 1e-9) * noise(2, 0.05, 400))
    assert fit.model == "floor"
    assert fit.parameters["floor"] == pytest.approx(1e-9, rel=4 * 0.05 / np.sqrt(200))


def test_accurate_gaps_below_the_rounding_of_the_first_are_used():
    fit = fit_rate(0.8**T)
    assert fit.window[1] == 399 and "unused" not in fit.reason


# --- gaps of ascent, by ball arithmetic ---------------------------------------------------


@pytest.fixture(scope="module")
def bradley_terry():
    problem = examples.load("bradley-terry")
    objective = SAILRevKL(problem, 1.0)
    return objective, maximise(objective, Search(Domain(problem), "quick", 0))


def exact_gaps(objective, maximiser, path):
    """J(θ*) − J(θ) at these float64 points, from 400 bits."""
    with ctx.workprec(400):
        xp = arb_numbers()
        top = objective.value(xp.asarray(maximiser))
        return np.array([float((top - objective.value(xp.asarray(p))).mid()) for p in path])


def test_small_gaps_agree_with_ball_arithmetic(bradley_terry):
    objective, best = bradley_terry
    direction = np.array([0.6, -0.8])
    path = best.theta + 10.0 ** -np.arange(0.0, 14.0)[:, None] * direction
    path = path[[objective.problem.contains(p) for p in path]]
    found = gaps_to(objective, best.theta, best.stationarity, best.value, path)
    truth = exact_gaps(objective, best.theta, path)
    assert (np.abs(found.value - truth) <= found.blur + 1e-6 * truth).all()
    assert truth[-1] < 1e-26 and found.blur[-1] < 0.02 * truth[-1]
    plain = best.value - objective.value(path)
    assert abs(plain[-1] - truth[-1]) > 100 * abs(found.value[-1] - truth[-1])


@pytest.fixture(scope="module")
def found(bradley_terry):
    return predict(SAILTarget(bradley_terry[0].problem), 1.0)


def test_the_readme_example_gives_the_rates_of_its_ascent(bradley_terry, found):
    """Against the slowest mode at θ*, the theorem, and gaps of the same runs in ball arithmetic."""
    objective, best = bradley_terry
    theory, domain = constants(objective), Domain(objective.problem)
    start = domain.embed(domain.starts(8, np.random.default_rng(0))[-8:])
    search = Search(domain, "quick", 0)
    steps = [1 / theory.smooth, 1 / largest_curvature_on(-1.0 * objective, search).value]
    runs = [projected_ascent(objective, start, step=s, steps=400, record=1).path for s in steps]
    runs.append(mirror_ascent(objective, start, steps=400).path)
    lowest = np.linalg.eigvalsh(-objective.hessian(best.theta))[0]
    slowest_mode = [(1 - lowest * step) ** 2 for step in steps]

    for i, (method, path) in enumerate(zip(found.methods, runs, strict=True)):
        fit = method.fit
        assert (fit.model, fit.decay) == ("linear", "linear")
        low, high = fit.intervals["q"]
        assert fit.parameters["q"] <= high <= method.predicted
        assert high - low < 0.01 * fit.parameters["q"]
        first, last = fit.window
        ends = [exact_gaps(objective, best.theta, path[t]) for t in (first, last)]
        contraction = (ends[1] / ends[0]) ** (1 / (last - first))
        assert ((low <= contraction) & (contraction <= high)).any()
        if i < 2:
            assert low <= slowest_mode[i] <= high


def test_the_readme_example_on_the_command_line(found, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sailtheory.convergence.prediction.predict", lambda *_: found)
    path = tmp_path / "problem.toml"
    path.write_text(examples.text("bradley-terry"), encoding="utf-8")
    assert main(["rates", str(path), "--gamma", "1", "--no-samples"]) == 0
    out = capsys.readouterr().out
    assert out.count("linear, q = 0.") == 3 and "undecided" not in out
    assert "Fits use the gaps that rounding leaves: up to steps " in out
