"""Arms that may be compared, and the published faults that forbid it."""

from __future__ import annotations

import json

import pytest

from sailtheory import InputError
from sailtheory.cli import main
from sailtheory.compare.arms import diff
from sailtheory.runs.read import read_record
from sailtheory.runs.write import Run
from tests.support.training_instances import write_run

REVKL = {"method": "pebble-revkl", "kl_coef": 1e-4}


def pair(tmp_path, change=None, first=None, **options):
    """A ``pebble`` run and a ``pebble-revkl`` run that differs in ``change`` besides."""
    a = write_run(tmp_path / "a", first, level=100)
    b = write_run(tmp_path / "b", REVKL | (change or {}), **({"level": 120} | options))
    return diff([a, b])


def test_declared_differences_are_accepted(tmp_path):
    found = pair(tmp_path, {"seed": 7})
    found.require()
    assert [d.key for d in found.allowed] == ["kl_coef"]
    assert (found.refused, found.same, found.unread, found.versions) == ((), (), (), ())
    assert list(found.arms) == ["pebble", "pebble-revkl"]


@pytest.mark.parametrize(
    "change, key",
    [
        ({"steps": 401}, "steps"),
        ({"max_feedback": 270}, "max_feedback"),
        ({"sac": {"rate": 3e-4}}, "sac.rate"),
        ({"sac": {"rate": 5e-4, "tau": 0.005}}, "sac.tau"),
        ({"kl_limit": 0.01}, "kl_limit"),
        ({"task": "cheetah-run"}, "task"),
        ({"steps": 400.0}, "steps"),
    ],
)
def test_any_other_difference_is_named(tmp_path, change, key):
    found = pair(tmp_path, change)
    assert [d.key for d in found.refused] == [key]
    with pytest.raises(InputError, match=f"runs differ in = {key}: .*cannot be compared"):
        found.require()


def test_every_differing_key_is_named(tmp_path):
    found = pair(tmp_path, {"steps": 401, "max_feedback": 270})
    with pytest.raises(InputError, match="steps, max_feedback"):
        found.require()


def test_a_key_that_only_another_method_declares_is_refused(tmp_path):
    a = write_run(tmp_path / "a", declared=())
    b = write_run(tmp_path / "b", {"method": "sail"}, declared=())
    c = write_run(tmp_path / "c", REVKL)
    diff([a, b, c]).require()
    d = write_run(tmp_path / "d", {"method": "sail", "kl_coef": 2e-4, "seed": 1}, declared=())
    assert [x.key for x in diff([a, c, d]).refused] == ["kl_coef"]
    assert diff([c, d]).refused == ()  # one that declares it may differ


def test_equal_settings_but_unequal_spending_are_refused(tmp_path):
    """The published arms used 250 to 300 labels for the same task."""
    found = pair(tmp_path, spent=270)
    assert [str(d) for d in found.refused] == [
        f"spent/feedback: 250 ({tmp_path}/a); 270 ({tmp_path}/b)"
    ]
    assert pair(tmp_path / "unfinished", spent=270, finish=False).refused == ()


def test_two_names_of_one_algorithm_by_what_is_read(tmp_path):
    """As published: a KL limit set where nothing reads it."""
    read = ("steps", "max_feedback", "kl_coef", "sac.rate", "seed", "task")
    a = write_run(tmp_path / "a", {"seed": 0}, read=read, declared=("kl_limit",))
    b = write_run(tmp_path / "b", {"method": "trpo", "kl_limit": 0.01, "seed": 1}, read=read,
                  declared=("kl_limit",))  # fmt: skip
    found = diff([a, b])
    assert found.same == ("pebble and trpo are one algorithm: nothing reads method, kl_limit",)
    assert found.unread == ("pebble: kl_limit", "trpo: kl_limit")
    b = write_run(tmp_path / "c", {"method": "trpo", "kl_limit": 0.01, "seed": 1},
                  read=(*read, "kl_limit"), declared=("kl_limit",))  # fmt: skip
    assert diff([a, b]).same == ()


def test_two_names_of_one_algorithm_by_what_they_measure(tmp_path):
    """As published: a loss term without gradient makes "sail" the same as "pebble"."""
    runs = [write_run(tmp_path / f"a{s}", {"seed": s}) for s in (0, 1)]
    runs += [write_run(tmp_path / f"b{s}", {"seed": s, "method": "sail"}) for s in (0, 1)]
    words = "pebble and sail measured the same numbers, bit for bit (seed 0, 1)"
    assert diff(runs).same == (words,)
    runs[-1] = write_run(tmp_path / "c", {"seed": 1, "method": "sail"}, level=100.0001)
    assert diff(runs).same == ()


@pytest.mark.parametrize(
    ("rows", "same"),
    [
        ([(1, 0.0), (2, 0.0)], False),  # a divergence that no step has moved
        ([(1, 0.25), (2, 0.0)], False),  # measured before the first update
        ([(1, 0.25), (2, "v1.5")], False),
        ([(1, 0.25), (2, float("nan"))], False),  # which is no number that was measured
        ([(1, 0.25), (2, float("inf"))], False),
        ([(1, 0.0), (2, 0.25)], True),
        ([(1, 0.0), (2, 1e-5)], True),
    ],
)
def test_equal_numbers_count_where_they_could_differ(tmp_path, rows, same):
    runs = []
    for method in ("sft", "dpo"):
        run = Run.create(tmp_path / method, {"method": method, "seed": 0})
        for step, value in rows:
            run.log(step, {"kl": value, "spent/updates": step, f"loss/{method}": 0.5 / step})
        run.finish()
        runs.append(read_record(tmp_path / method))
    assert bool(diff(runs).same) is same


def test_arms_of_one_method_and_repeated_seeds(tmp_path):
    runs = [
        write_run(tmp_path / f"{s}{k}", {"seed": s, "method": "dpr", "kl_coef": k})
        for s in (0, 1)
        for k in (0.01, 0.1)
    ]
    found = diff(runs)
    assert list(found.arms) == ["dpr (kl_coef=0.01)", "dpr (kl_coef=0.1)"]
    assert [len(arm) for arm in found.arms.values()] == [2, 2]
    again = write_run(tmp_path / "again", {"seed": 1, "method": "dpr", "kl_coef": 0.1})
    assert [d.key for d in diff([*runs, again]).refused] == ["seed (twice in dpr (kl_coef=0.1))"]
    with pytest.raises(InputError, match="each run once"):
        diff([runs[0], runs[0]])
    with pytest.raises(InputError, match="at least two"):
        diff(runs[:1])


def test_versions_are_noted(tmp_path):
    a = write_run(tmp_path / "a")
    write_run(tmp_path / "b", REVKL)
    path = tmp_path / "b/run.json"
    record = json.loads(path.read_text())
    record["libraries"]["numpy"] = "1.0"
    path.write_text(json.dumps(record))
    found = diff([a, read_record(tmp_path / "b")])
    assert [d.key for d in found.versions] == ["numpy"] and not found.refused


def test_command(tmp_path, capsys):
    pair(tmp_path / "good")
    pair(tmp_path / "bad", {"steps": 401})
    assert main(["train", "diff", f"{tmp_path}/good/a", f"{tmp_path}/good/b"]) == 0
    output = capsys.readouterr().out
    assert "kl_coef" in output and "may be compared" in output
    assert main(["train", "diff", f"{tmp_path}/bad/a", f"{tmp_path}/bad/b"]) == 1
    output = capsys.readouterr().out
    assert "steps" in output and "cannot be compared" in output
    assert main(["train", "diff", f"{tmp_path}/bad/a", f"{tmp_path}/absent"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
