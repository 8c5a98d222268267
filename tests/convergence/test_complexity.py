"""N(ε): what is measured on curves of known growth, and on a problem."""

import numpy as np
import pytest

from sailtheory import BradleyTerry, PreferenceProblem
from sailtheory.convergence import complexity, sample_complexity
from sailtheory.convergence.complexity import Design, _Curve
from sailtheory.errors import InputError


def small(**changes) -> PreferenceProblem:
    rng = np.random.default_rng(1)
    arguments = {
        "features": rng.normal(size=(2, 4, 2)) / 1.4,
        "preferences": [BradleyTerry(2 * rng.normal(size=4)) for _ in range(2)],
        "beta": 0.1,
        "radius": 1,
    }
    return PreferenceProblem(**(arguments | changes))


def test_an_accuracy_counts_once_it_is_kept():
    samples = np.array([0.0, 10, 20, 30, 40])
    gap = np.array([1.0, 1e-2, 1e-1, 1e-3, 1e-4])[:, None]
    needed = _Curve({}, 1.0, samples, gap).needed(np.array([2.0, 1e-1, 1e-2, 1e-4, 1e-5]))
    # Below 1e-2 at 10 pairs, but above it again at 20: the way down from 1e-1 to 1e-3 counts.
    np.testing.assert_allclose(needed, [0, 20, 25, 40, np.inf])


FIRST = 4.3e-3  # about the first gap of small() at γ = 0.05


class _Run:
    def __init__(self, samples, gap):
        self.samples, self.gap = samples, gap


def planted(floor):
    """A method whose mean gap is exp(−t/20) + floor(N), with spread over its runs."""

    def run(batch, steps, record, rngs):
        t = np.unique([*range(0, steps + 1, record), steps])
        mean = FIRST * (np.exp(-t / 20) + floor(batch))
        spread = np.array([rng.gamma(25.0) / 25 for rng in rngs])
        samples = np.repeat((t * batch)[:, None], len(rngs), axis=1)
        return _Run(samples, mean[:, None] * spread)

    return lambda *_: iter([complexity._Setting({}, 1.0, run)])


@pytest.mark.parametrize("a", [1.0, 2.0, 3.0])
def test_a_planted_exponent_is_found_and_another_is_excluded(monkeypatch, a):
    monkeypatch.setattr(complexity, "_settings", planted(lambda n: n ** (-1 / a)))
    design = Design(runs=64, above=1.0, decades=1.5, points=13, growth=2**0.5)
    (found,) = sample_complexity(small(), 0.05, design=design, methods=["SAIL-RevKL"])
    # The number of steps grows with log(1/ε) only in part: the two models enclose a.
    low, high = found.slopes["power-log"][1], found.slopes["power"][2]
    assert low < a < high
    assert high < a + 1 and low > a - 1
    assert found.slopes["power"][2] - found.slopes["power"][1] < 0.2


def test_a_problem_gives_about_one_and_the_same_numbers_again():
    design = Design(runs=16, points=7)
    first, again = (
        sample_complexity(small(), 0.45, design=design, methods=["SAIL-RevKL"], seed=3)[0]
        for _ in range(2)
    )
    assert first.as_dict() == again.as_dict()
    assert len(first.eps) == 7 and all(np.diff(first.samples) > 0)
    assert 0.5 < first.slopes["power-log"][0] < first.slopes["power"][0] < 1.6


def test_what_is_refused():
    with pytest.raises(InputError, match="methods"):
        sample_complexity(small(), 0.1, methods=["nest"])


def test_nothing_is_measured_where_the_start_is_the_maximiser():
    assert sample_complexity(small(preferences=[np.full((4, 4), 0.5)] * 2), 0.1) == ()


def test_no_slope_where_no_resample_reaches_the_accuracy():
    """Only the mean of exactly these runs does: a JSON file could not hold its nan."""
    gap = np.array([[1.0, 1.0], [1e-9, 1e-3], [1e-9, 1e-3]])
    curve = _Curve({}, 1.0, np.array([0.0, 10, 20]), gap)
    draws = iter([[1, 1]] * 400)
    rng = type("Twice", (), {"integers": lambda self, *a, **k: next(draws)})()
    gaps = np.array([6e-4, 5.5e-4, 5.2e-4])
    assert complexity._slopes([curve], gaps, gaps, rng) == {}
