"""The command line as a user types it: output, exit codes, one line for bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sailtheory import examples
from sailtheory.cli import COMMANDS as EXAMPLES
from sailtheory.cli import main
from sailtheory.problem.problem_file import dumps
from sailtheory.problem.problem_file import load as load_problem


@pytest.fixture
def problem_file(tmp_path):
    path = tmp_path / "problem.toml"
    path.write_text(examples.text("c04-weighted-reference"), encoding="utf-8")
    return str(path)


def test_example_prints_a_file_that_loads(capsys, tmp_path):
    for name in examples.names():
        assert main(["example", name]) == 0
        path = tmp_path / f"{name}.toml"
        path.write_text(capsys.readouterr().out, encoding="utf-8")
        assert dumps(load_problem(path)) == dumps(examples.load(name))
    assert main(["example"]) == 0
    assert capsys.readouterr().out.split() == examples.names()


def test_examples_cover_the_instances_of_the_theory():
    names = " ".join(examples.names())
    for part in ("c04-w", "c04-o", "c08", "c13", "c14", "c22", "averaged", "off-span",
                 "bradley-terry", "tabular", "ragged", "large"):  # fmt: skip
        assert part in names
    large = examples.load("large")
    assert (large.prompts, set(large.responses), large.dimension) == (64, {16}, 32)


def test_check_json_to_standard_output_is_only_json(capsys, problem_file):
    assert main(["check", problem_file, "--gamma", "0.05", "--json", "-"]) == 0
    out, err = capsys.readouterr()
    data = json.loads(out)
    assert data["gamma"] == 0.05
    assert data["concavity"]["sail"]["verdict"] == "refuted"
    assert "How large must γ be?" in err


def test_check_exits_0_whatever_the_verdict(capsys, problem_file):
    for gamma in ("0", "0.05", "1"):
        assert main(["check", problem_file, "--gamma", gamma]) == 0
    assert "refuted (proved)" in capsys.readouterr().out


def test_check_writes_json_and_repeats_itself(problem_file, tmp_path):
    texts = []
    for name in ("a.json", "b.json"):
        target = tmp_path / name
        assert main(["check", problem_file, "--json", str(target), "--seed", "4"]) == 0
        texts.append(target.read_text(encoding="utf-8"))
    assert texts[0] == texts[1]
    assert json.loads(texts[0])["seed"] == 4


def test_frontier(capsys, problem_file):
    assert main(["frontier", problem_file, "--points", "6", "--json", "-"]) == 0
    out, err = capsys.readouterr()
    data = json.loads(out)
    assert len(data["points"]) == 6
    assert "affords γ ≤" in err


def test_verify_exit_code_and_json(capsys, tmp_path):
    target = tmp_path / "ledger.json"
    assert main(["verify", "--claims", "C04,C05", "--json", str(target)]) == 0
    out = capsys.readouterr().out
    assert "C04" in out and "refuted" in out
    data = json.loads(target.read_text(encoding="utf-8"))
    assert [claim["id"] for claim in data["claims"]] == ["C04", "C05", "C05b"]
    for claim in data["claims"]:
        assert set(claim) == {
            "id", "title", "verdict", "strength", "expected", "evidence", "seconds",
        }  # fmt: skip
        assert claim["verdict"] == claim["expected"]
        assert all({"kind", "detail"} <= set(piece) for piece in claim["evidence"])


def test_verify_exits_1_when_a_verdict_differs(monkeypatch, capsys):
    from sailtheory.theory import formulas

    right = formulas.cross_curvature
    monkeypatch.setattr(formulas, "cross_curvature", lambda *a: -right(*a))
    assert main(["verify", "--claims", "C02,C03"]) == 1
    assert "differ" in capsys.readouterr().out


BAD = {
    "missing file": (["check", "nowhere.toml"], "file = nowhere.toml"),
    "wrong suffix": (["check", "problem.json"], "file = problem.json"),
    "no argument": (["check"], "Missing argument"),
    "unknown command": (["prove"], "prove"),
    "unknown option": (["check", "{}", "--fast"], "--fast"),
    "gamma text": (["check", "{}", "--gamma", "big"], "gamma = big"),
    "gamma nan": (["check", "{}", "--gamma", "nan"], "gamma = nan"),
    "gamma negative": (["check", "{}", "--gamma=-0.1"], "gamma = -0.1"),
    "effort": (["check", "{}", "--effort", "max"], "effort = max"),
    "seed text": (["check", "{}", "--seed", "x"], "seed = x"),
    "seed negative": (["check", "{}", "--seed=-3"], "seed = -3"),
    "json folder": (["check", "{}", "--json", "no/such/folder.json"], "json = no/such"),
    "example": (["example", "nope"], "example = nope"),
    "claim": (["verify", "--claims", "C99"], "claims = C99"),
    "empty claims": (["verify", "--claims", ""], "claims ="),
    "verify effort": (["verify", "--effort", "slow"], "effort = slow"),
    "tolerance": (["frontier", "{}", "--tolerance", "2"], "tolerance = 2"),
    "points": (["frontier", "{}", "--points", "1"], "points = 1"),
    "many points": (["frontier", "{}", "--points", "10001"], "points = 10001"),
    "no gamma": (["check", "{}", "--gamma", ""], "gamma = '': "),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_exit_code_2(name, capsys, problem_file):
    arguments, message = BAD[name]
    assert main([a.replace("{}", problem_file) for a in arguments]) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert err.count("\n") == 1
    assert out == ""


TYPED = {
    "verify": "effort seed jobs",
    "check": "gamma effort seed",
    "frontier": "tolerance points effort seed",
    "certify": "property gamma tol time-limit jobs",
    "rates": "gamma seed",
    "plot": "gamma seed",
    "compare": "effect seed",
    "train control": "steps",
    "train llm": "method kl-coef tune seed steps",
}


@pytest.mark.parametrize(
    ("command", "option"), [(c, o) for c, options in TYPED.items() for o in options.split()]
)
def test_what_is_no_number_or_no_choice_is_named_with_its_option(command, option, capsys):
    assert main([*command.split(), f"--{option}", "non\nsense"]) == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"sailtheory: {option} = non sense: ")
    assert err.count("\n") == 1 and out == ""


RANGES = {
    "verify": ["--jobs=0", "--seed=-1"],
    "check": ["--gamma=-0.1", "--gamma=nan"],
    "frontier": ["--tolerance=-1", "--tolerance=1.5", "--points=4", "--points=10001"],
    "certify": ["--jobs=0", "--jobs=1025", "--tol=1e-13", "--tol=1.5"],
    "rates": ["--gamma=-1"],
    "plot": ["--gamma=nan", "--seed=-1"],
    "compare": ["--seed=-1"],
    "train control": ["--steps=0"],
    "train llm": ["--kl-coef=-0.5", "--kl-coef=nan", "--seed=-1"],
}


@pytest.mark.parametrize(
    ("command", "word"), [(c, word) for c, words in RANGES.items() for word in words]
)
def test_what_is_out_of_range_is_named_with_its_option(command, word, capsys):
    assert main([*command.split(), word]) == 2
    out, err = capsys.readouterr()
    option, _, value = word[2:].partition("=")
    assert err.startswith(f"sailtheory: {option} = {value}: ")
    assert err.count("\n") == 1 and out == ""


def completed(words):
    """What bash would offer for the last of these words."""
    done = subprocess.run(
        [sys.executable, "-m", "sailtheory"], capture_output=True, text=True, check=False,
        env=os.environ | {"_SAILTHEORY_COMPLETE": "complete_bash", "COMP_WORDS": words,
                          "COMP_CWORD": str(len(words.split(" ")) - 1)},
    )  # fmt: skip
    return done.stdout.split()


def test_shells_complete_commands_choices_and_names():
    assert completed("sailtheory f") == ["frontier", "fetch"]
    assert completed("sailtheory check p.toml --effort ") == ["quick", "full"]
    assert completed("sailtheory example c22") == [
        name for name in examples.names() if name.startswith("c22")
    ]
    assert "self-preference" in completed("sailtheory plot s")


COMMANDS = {
    "check": ("{problem}",), "frontier": ("{problem}",), "rates": ("{problem}", "--gamma", "1"),
    "verify": (), "compare": ("{folder}/none", "{folder}/neither"), "curvature": ("{problem}",),
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_output_that_cannot_be_written_is_refused_before_the_work(command, problem_file, tmp_path,
                                                                  monkeypatch, capsys):  # fmt: skip
    def work(*_, **__):
        raise AssertionError("work before the output was checked")

    monkeypatch.setattr("sailtheory.problem.problem_file.load", work)
    monkeypatch.setattr("sailtheory.claims.run_all", work)
    words = [w.format(problem=problem_file, folder=tmp_path) for w in COMMANDS[command]]
    for option, wrong in (("--json", tmp_path / "none" / "a"), ("--json", tmp_path)):
        assert main([command, *words, option, str(wrong)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"json = {wrong}" in line


def test_two_outputs_in_one_file_are_refused(problem_file, tmp_path, capsys):
    target = str(tmp_path / "a")
    assert main(["check", problem_file, "--json", target, "--html", target]) == 2
    assert "another file than that of json" in capsys.readouterr().err
    assert main(["check", problem_file, "--json", "/dev/null", "--html", "/dev/null"]) == 0


def test_malformed_file_is_one_line(capsys, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text("beta = 0.1\nradius = -1\n[[prompts]]\nfeatures=[[1],[0]]\nrewards=[0,1]\n")
    assert main(["check", str(path)]) == 2
    assert capsys.readouterr().err == "sailtheory: radius = -1.0: a radius ≥ 0 is required\n"


def test_installed_command_and_light_import():
    code = (
        "import sys, sailtheory; "
        "heavy = {'torch', 'sympy', 'matplotlib', 'jinja2'} & set(sys.modules);"
        "sys.exit(len(heavy))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    shown = subprocess.run(
        [sys.executable, "-m", "sailtheory", "--version"], capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert shown.stdout == "sailtheory 0.2.0\n"


@pytest.mark.parametrize(
    "words",
    [
        ("check", "{}", "--json", "{}"),
        ("frontier", "{}", "--json", "{}"),
        ("certify", "{}", "--property", "gamma", "--out", "{}"),
        ("rates", "{}", "--gamma", "1", "--json", "{}"),
        ("plot", "price", "{}", "-o", "price.svg", "--data", "{}"),
    ],
    ids=lambda words: words[0],
)
def test_no_output_replaces_the_problem(words, problem_file, capsys):
    before = Path(problem_file).read_bytes()
    assert main([word.format(problem_file) for word in words]) == 2
    assert "another file than that of what is read is expected" in capsys.readouterr().err
    assert Path(problem_file).read_bytes() == before


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=lambda example: example.split()[1])
def test_help_has_an_example_whose_options_exist(example, capsys):
    name, *rest = example.split()[1:]
    assert main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Example: sailtheory {name}" in " ".join(shown.split())
    for word in rest:
        if word.startswith("--"):
            assert word in shown


def test_help_explains_the_symbols(capsys):
    assert main(["--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for symbol in ("J_γ:", "γ*:", "ḡ:", "K_B:", "β:"):
        assert symbol in shown
