"""The mutants that are counted, their list of equivalent ones, and the script on a few."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter

import pytest

from tests.support import mutate
from tests.support.mutants import mutants

SOURCE = '''"""Not a - b."""
import math

HALF = 0.5  # a - b


def f(a: int, b: int = 2) -> int:
    """Nor this: a < b."""
    if not a <= b and a:
        return -max(a * b, a.lower)
    while a:
        a -= b[-1]
    return a - b if a is None else f"{a - b}"
'''


def changes(tmp_path, source):
    path = tmp_path / "source.py"
    path.write_text(source)
    found = mutants(path, "source.py")
    for mutant in found:
        compile(mutant.applied(source), "source.py", "exec")
        assert mutant.applied(source) != source
    return found


def test_every_change_of_one_token(tmp_path):
    found = {(m.function, m.kind, m.before, m.after) for m in changes(tmp_path, SOURCE)}
    line = {
        "half": "HALF = 0.5 # a - b",
        "if": "if not a <= b and a:",
        "max": "return -max(a * b, a.lower)",
        "while": "while a:",
        "step": "a -= b[-1]",
        "last": 'return a - b if a is None else f"{a - b}"',
    }
    assert found == {
        ("", "number", line["half"], "HALF = 1.0 # a - b"),
        ("", "number", line["half"], "HALF = 0.25 # a - b"),
        ("", "number", "def f(a: int, b: int = 2) -> int:", "def f(a: int, b: int = 3) -> int:"),
        ("", "number", "def f(a: int, b: int = 2) -> int:", "def f(a: int, b: int = 1) -> int:"),
        ("f", "truth", line["if"], "if a <= b and a:"),
        ("f", "comparison", line["if"], "if not a < b and a:"),
        ("f", "comparison", line["if"], "if not a >= b and a:"),
        ("f", "truth", line["if"], "if not a <= b or a:"),
        ("f", "dropped", line["if"], "if (not a <= b):"),
        ("f", "dropped", line["if"], "if (a):"),
        ("f", "sign", line["max"], "return max(a * b, a.lower)"),
        ("f", "name", line["max"], "return -min(a * b, a.lower)"),
        ("f", "name", line["max"], "return -max(a * b, a.upper)"),
        ("f", "arguments", line["max"], "return -max(a.lower, a * b)"),
        ("f", "operator", line["max"], "return -max(a / b, a.lower)"),
        ("f", "dropped", line["max"], "return -max((a), a.lower)"),
        ("f", "kept", line["max"], "return -max((b), a.lower)"),
        ("f", "truth", line["while"], "while (not a):"),
        ("f", "operator", line["step"], "a += b[-1]"),
        ("f", "number", line["step"], "a -= b[1]"),
        ("f", "number", line["step"], "a -= b[-2]"),
        ("f", "number", line["step"], "a -= b[-0]"),
        ("f", "sum", line["last"], 'return a + b if a is None else f"{a - b}"'),
        ("f", "dropped", line["last"], 'return (a) if a is None else f"{a - b}"'),
        ("f", "kept", line["last"], 'return (-(b)) if a is None else f"{a - b}"'),
        ("f", "comparison", line["last"], 'return a - b if a is not None else f"{a - b}"'),
    }


def test_changes_across_lines_and_beyond_ascii(tmp_path):
    source = "γ = 1\nx = [\n    ('γ', γ) + (\n        2 * γ,\n    ),\n]\n"
    found = changes(tmp_path, source)
    dropped = [m for m in found if m.kind == "kept" and m.line == 3]
    assert [(m.before, m.after) for m in dropped] == [
        ("('γ', γ) + ( 2 * γ, ),", "(( 2 * γ, )),"),
    ]
    assert {m.after for m in found if m.kind == "coefficient"} == {"3 * γ,", "1 * γ,"}


def test_every_equivalent_mutant_exists_and_has_a_reason():
    everything = mutate.population()
    assert len(everything) > 4000 and len({m.file for m in everything}) == len(mutate.TESTS)
    for entry in mutate.equivalents():
        assert entry["reason"], entry
        spoken_of = {m.after for m in everything if mutate.matches(entry, m)}
        assert spoken_of, f"no mutant is {entry}"
        assert set(entry.get("after", spoken_of)) == spoken_of, entry
    assert max(Counter(str(entry) for entry in mutate.equivalents()).values(), default=1) == 1


def test_a_mutant_that_no_test_notices_has_survived(monkeypatch):
    mutant = mutate.population()[0]
    for said, status, outcome in (
        (mutate.SURVIVED, 0, "survived"),
        ("tests/test_x.py::test_y", 0, "killed"),
        ("", signal.SIGXCPU, "out of time"),
        ("", signal.SIGSEGV, "killed"),
    ):
        assert mutate._found(mutant, said, status)["outcome"] == outcome
    listed = {key: getattr(mutant, key) for key in ("file", "function", "before")}
    monkeypatch.setattr(mutate, "equivalents", lambda: [listed | {"reason": "it is"}])
    assert mutate._found(mutant, mutate.SURVIVED, 0) == {"outcome": "equivalent", "by": "it is"}
    assert mutate._found(mutant, "tests/test_x.py::test_y", 0)["outcome"] == "killed"
    monkeypatch.setattr(mutate, "equivalents", lambda: [listed | {"reason": "x", "after": ["x"]}])
    assert mutate._found(mutant, mutate.SURVIVED, 0)["outcome"] == "survived"


@pytest.mark.parametrize(
    "killed, late, left, share", [(8, 1, 1, 0.9), (0, 0, 0, 1.0), (1, 0, 3, 0.25)]
)
def test_the_share_leaves_out_equivalent_mutants(killed, late, left, share):
    outcomes = ["killed"] * killed + ["out of time"] * late + ["survived"] * left
    said, found = mutate.summary([{"outcome": o} for o in [*outcomes, "equivalent", "equivalent"]])
    n = len(outcomes)
    assert found == share and said == (
        f"killed {killed + late} of {n} ({100 * share:.1f} %; {late} out of time), "
        f"equivalent 2, survived {left}"
    )


def test_the_script_on_six_mutants(tmp_path):
    out = tmp_path / "mutants.json"
    sample = ["--sample", "6", "--seed", "1", "--only", "remainder", "--out", str(out)]
    ran = subprocess.run(
        [sys.executable, "-m", "tests.support.mutate", *sample], capture_output=True, text=True,
        cwd=mutate.ROOT, env=os.environ | {"PYTHONPATH": str(mutate.ROOT)},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"^killed 6 of 6 \(.*\), equivalent 0, survived 0$", ran.stdout, re.M)
    data = json.loads(out.read_text())
    assert len(data["mutants"]) == data["sample"] == 6
    assert all("remainder" in each["file"] and each["by"] for each in data["mutants"])


def test_a_run_goes_on_from_what_was_killed(tmp_path, monkeypatch):
    """As long as the mutated files are the same; survivors are tried again."""
    drawn = mutate.population()[:3]
    listed = [{key: getattr(m, key) for key in mutate.SHOWN} for m in drawn]
    found = [{"outcome": o, "by": "x", "seconds": 1.0} for o in ("killed", "survived", "killed")]
    mutants_ = [a | b for a, b in zip(listed, found, strict=True)]
    out = tmp_path / "out.json"
    out.write_text(json.dumps({"sources": mutate._sources(), "mutants": mutants_}))
    assert mutate._kept(out, drawn) == {drawn[0]: found[0], drawn[2]: found[2]}
    assert mutate._kept(out, drawn[:1]) == {drawn[0]: found[0]}
    assert mutate._kept(None, drawn) == mutate._kept(tmp_path / "none", drawn) == {}
    monkeypatch.setattr(mutate, "_sources", lambda: "others")
    assert mutate._kept(out, drawn) == {}


def test_the_tests_that_are_named_exist():
    """A name that is gone would stop the run only when its turn comes."""
    for file in mutate.TESTS:
        assert (mutate.ROOT / "sailtheory" / file).is_file(), file
        for name in mutate.killers(f"sailtheory/{file}"):
            path, _, test = name.partition("::")
            assert f"def {test}" in (mutate.ROOT / path).read_text(encoding="utf-8"), name
