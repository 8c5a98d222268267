"""Which rate an arm of the SmolLM2 study is tested at."""

from __future__ import annotations

from studies.smollm_online.tuned import tuned_rates


def trial(arm, rate, curve):
    return {"arm": arm, "rate": rate, "curve": [list(range(len(curve))), curve]}


def test_the_best_end_decides_and_of_equal_rates_the_smallest():
    runs = [
        trial("a", 1e-3, [9, 9, 1, 1]), trial("a", 1e-4, [0, 0, 2, 2]),
        trial("a", 3e-4, [0, 0, 1, 3]),
        trial("b", 1e-4, [0, 0, 0, 0]), trial("b", 1e-3, [0, 0, 1, 1]),
    ]  # fmt: skip
    assert tuned_rates(runs, 2) == {"a": 1e-4, "b": 1e-3}
