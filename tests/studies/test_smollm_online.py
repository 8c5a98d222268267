"""Which rate an arm of the SmolLM2 study is tested at."""

from __future__ import annotations

from studies.render import read
from studies.smollm_online.page import page, same
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


def test_a_killed_run_is_compared_number_by_number():
    data = read("smollm_online/evidence.json")
    killed = data.pop("killed")
    assert same(killed, data["runs"]) and "kill -9" not in page(data)
    other = killed | {"rewards": [*killed["rewards"][:-1], 9.0]}
    assert not same(other, data["runs"])
    text = page(data | {"killed": other})
    assert "did not end" in text and "goes on after" not in text
