"""The machine-checked theorems: sources, record, ledger lines; and, where Coq is, Coq itself.

Without Coq the tests of the last part are skipped, unless SAILTHEORY_REQUIRE_COQ is set.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from proofs_check.expected import _table
from proofs_check.formal import build, coverage, evidence, mutants
from sailtheory import SAIL, BradleyTerry, PreferenceProblem, bounds, examples
from sailtheory.certify import formal
from sailtheory.claims import Context, registered, run, select
from sailtheory.cli import main
from sailtheory.objectives import KLRefPolicy, SAILRevKL
from sailtheory.verdict import Outcome, Strength

COQ = shutil.which("coqc")
REQUIRED = bool(os.environ.get("SAILTHEORY_REQUIRE_COQ"))
needs_coq = pytest.mark.skipif(not COQ and not REQUIRED, reason="no coqc: Coq was not asked")


# --- without Coq -------------------------------------------------------------------------------


def test_record_is_of_these_sources():
    assert build.is_current()
    assert set(build.recorded()["axioms"]) <= build.ALLOWED
    assert build.recorded()["theorems"] == build.stated()


@pytest.mark.parametrize("path", build.sources(), ids=lambda path: path.name)
def test_no_source_leaves_anything_unproved(path):
    assert build.gaps(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Lemma a : 0 = 1. Admitted.", ["Admitted"]),
        ("Axiom a : False.", ["Axiom"]),
        ("Section S.\nVariable x : nat.\nEnd S.", []),
        ("Section S.\nEnd S.\nVariable x : nat.", ["Variable outside a section"]),
        ("Hypothesis x : False.", ["Hypothesis outside a section"]),
        ("Proof. admit. Abort.", ["admit", "Abort"]),
        ("(* Admitted (* nested *) Axiom *) Lemma a : True.", []),
    ],
)
def test_gaps_are_found(text, found):
    assert build.gaps(text) == found


def test_every_named_theorem_is_stated_and_every_claim_is_spoken_of():
    stated = {f"{file[:-2]}.{name}" for file, names in build.stated().items() for name in names}
    for claim, found in coverage().items():
        assert set(found.theorems) <= stated, claim
        assert found.theorems or found.words, claim
    assert set(_table()) <= set(coverage())


def test_ledger_names_theorem_and_file_and_what_is_left():
    line = evidence("C11")
    assert (line.outcome, line.strength, line.kind) == (
        Outcome.UNDECIDED,
        Strength.PROVED,
        "formal",
    )
    for part in ("every n, m, d", "C11_K_B", "C11_relative_curvature.v", "left to words"):
        assert part in line.detail
    assert evidence("C18") is None
    found = run(select(registered(), ["C07"])[0], Context("quick", 0)).verdict
    assert [e.detail for e in found.evidence if e.kind == "formal"] == [evidence("C07").detail]


def test_changed_source_is_not_called_machine_checked(tmp_path, monkeypatch):
    for path in build.sources():
        shutil.copy(path, tmp_path)
    monkeypatch.setattr(build, "SOURCES", tmp_path)
    assert build.is_current()
    with (tmp_path / "Sums.v").open("a") as file:
        file.write("\n")
    assert not build.is_current()
    line = evidence("C11")
    assert line.strength is Strength.SUPPORTED
    assert line.detail.startswith("NOT machine-checked")


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda m: f"{m.file}:{m.new.strip()[:40]}")
def test_mutant_is_false_by_its_witness(mutant):
    assert mutants.mutate(mutant) != (build.SOURCES / f"{mutant.file}.v").read_text("utf-8")
    assert mutants.is_false(mutant)


def test_there_are_thirty_mutants():
    assert len(mutants.MUTANTS) >= 30


@pytest.mark.parametrize("name", ["bradley-terry", "ragged", "c13-boundary-maximiser", "tabular"])
def test_constants_are_above_the_bound_and_close(name):
    problem = examples.load(name)
    found = formal.constants(problem)
    exact = bounds.relative_bound(float(problem.beta), problem.z_max_above)
    assert float(found.margin) >= problem.z_max_above
    assert exact <= found.curvature <= exact * (1 + 1e-6) + 1e-6


def test_low_gamma_is_undecided_with_the_constant_named(tmp_path, capsys):
    path = tmp_path / "p.toml"
    examples.load("bradley-terry").save(path)
    arguments = [
        "certify",
        str(path),
        "--property",
        "concave",
        "--gamma",
        "0.5",
        "--formal",
        str(tmp_path / "f"),
    ]
    assert main(arguments) == 3
    assert "γ = 0.5 is not above K = 0.69" in capsys.readouterr().out
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--property", "pl", "--gamma", "1"], "pl"),
        (["--property", "gamma"], "gamma"),
        (["--property", "concave", "--gamma", "x"], "gamma"),
        (["--property", "concave", "--gamma", "-1"], "gamma"),
        (["--property", "concave", "--gamma", "1", "--out", "c.json"], "out"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, arguments, names):
    path = tmp_path / "p.toml"
    examples.load("bradley-terry").save(path)
    assert main(["certify", str(path), *arguments, "--formal", str(tmp_path / "f")]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert names in lines[0]


def test_without_coq_the_file_is_written_and_not_called_checked(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(formal.shutil, "which", lambda name: None)
    path = tmp_path / "p.toml"
    examples.load("bradley-terry").save(path)
    arguments = [
        "certify",
        str(path),
        "--property",
        "concave",
        "--gamma",
        "1",
        "--formal",
        str(tmp_path),
    ]
    assert main(arguments) == 3
    assert "NOT checked: Coq is missing" in capsys.readouterr().out
    assert "Theorem certificate" in (tmp_path / "certificate.v").read_text("utf-8")


# --- with Coq ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def library():
    assert COQ, "SAILTHEORY_REQUIRE_COQ is set, but there is no coqc"
    folder = Path("build/formal").resolve()
    build.compile_into(folder)
    return folder


def coqc(folder: Path, text: str, library: Path) -> subprocess.CompletedProcess[str]:
    (folder / "Test.v").write_text(text, encoding="utf-8")
    command = ["coqc", "-q", "-w", "none", "-Q", str(library), "Sail", "Test.v"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


SMALL = {
    "two-prompts": PreferenceProblem(
        features=[[[1, 0], ["1/3", "1/2"]], [[0, 1], ["-1/2", 1]]],
        preferences=[[["1/2", "3/4"], ["1/4", "1/2"]], BradleyTerry([1, "1/3"])],
        beta="1/10", radius=2, weights=[1, 2], base=[[1, 2], [1, 3]],
        ref_params=["1/4", 0], center=[0, "1/5"],
    ),
    "one-winner": examples.load("c04-one-winner"),
}  # fmt: skip

GOAL = """Goal Rabs ({term} - {value}) <= 1 / 10^9.
Proof. unfold P, D, th; evaluate. Qed.
"""


@needs_coq
@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SMALL))
def test_coq_evaluates_its_definitions_to_the_production_values(name, library, tmp_path):
    problem = SMALL[name]
    d = problem.dimension
    theta = [Fraction(3, 10), Fraction(-7, 10)][:d]
    gamma, at = Fraction(3, 5), np.array([float(x) for x in theta])
    objective = SAILRevKL(problem, float(gamma))
    values = {
        "mean_J P th": float(SAIL(problem).value(at)),
        "mean_KL P th": float(KLRefPolicy(problem).value(at)),
        f"J_gamma P ({gamma}) th": float(objective.value(at)),
    }
    gradient, hessian, fisher = objective.gradient(at), objective.hessian(at), problem.fisher(at)
    for i in range(d):
        unit = f"(fun i => if Nat.eqb i {i} then 1 else 0)"
        values[f"gradient P (regularised P (sail P) ({gamma})) th {i}"] = float(gradient[i])
        values[f"fisher_form P th {unit}"] = float(fisher[i, i])
        for j in range(i, d):
            values[f"hessian P (regularised P (sail P) ({gamma})) th {i} {j}"] = float(
                hessian[i, j]
            )
    goals = "".join(
        GOAL.format(term=term, value="({} / {})".format(*Fraction(value).as_integer_ratio()))
        for term, value in values.items()
    )  # fmt: skip
    entries = " ".join(f"| {i}%nat => ({x})" for i, x in enumerate(theta))
    text = (
        "From Coq Require Import Reals QArith Qreals List.\n"
        "From Sail Require Import Numbers Prompt Problem Objectives Certificate.\n"
        "Import ListNotations. Open Scope R_scope.\n"
        f"Definition D : data := {formal.coq_data(problem)}.\nDefinition P := problem_of D.\n"
        f"Definition th (i : nat) : R := match i with {entries} | _ => 0 end.\n{goals}"
    )
    done = coqc(tmp_path, text, library)
    assert done.returncode == 0, done.stderr
    wrong = text.replace(
        "th (i : nat) : R := match i with | 0%nat => (3/10)",
        "th (i : nat) : R := match i with | 0%nat => (2/10)",
    )
    assert wrong != text
    assert coqc(tmp_path, wrong, library).returncode != 0


@needs_coq
@pytest.mark.slow
@pytest.mark.parametrize("name", ["ragged"])
def test_certificate_is_accepted_and_an_altered_one_is_not(
    name, library, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(formal, "library", lambda: library)
    problem = examples.load(name)
    path = tmp_path / "p.toml"
    problem.save(path)
    gamma = str(round(bounds.relative_bound(float(problem.beta), problem.z_max_above) * 1.02, 6))
    arguments = [
        "certify",
        str(path),
        "--property",
        "concave",
        "--gamma",
        gamma,
        "--formal",
        str(tmp_path),
    ]
    assert main(arguments) == 0, capsys.readouterr()
    assert "Coq accepts" in capsys.readouterr().out
    text = (tmp_path / "certificate.v").read_text("utf-8")
    found = formal.constants(problem)
    for old, new in (
        (
            f"Definition Z : Q := ({found.margin.numerator} #",
            f"Definition Z : Q := ({found.margin.numerator // 2} #",
        ),
        ("gamma : R := (", "gamma : R := (1 / 10) * ("),
    ):
        assert old in text
        assert coqc(tmp_path, text.replace(old, new), library).returncode != 0


@needs_coq
@pytest.mark.slow
def test_a_theorem_on_a_foreign_axiom_is_refused(library, tmp_path, monkeypatch):
    shutil.copytree(library, tmp_path / "built")
    for path in build.sources():
        shutil.copy(path, tmp_path)
    (tmp_path / "Wrong.v").write_text(
        "From Coq Require Import Description.\n"
        "Theorem wrong : forall P : nat -> Prop, (exists! n, P n) -> {n : nat | P n}.\n"
        "Proof. exact (fun P => constructive_definite_description P). Qed.\n"
    )
    monkeypatch.setattr(build, "SOURCES", tmp_path)
    with pytest.raises(build.NotBuilt, match="constructive_definite_description"):
        build.check(tmp_path / "built", 2)


@needs_coq
def test_record_names_the_coq_that_is_asked():
    assert (
        json.loads(build.RECORD.read_text("utf-8"))["coq"].split(".")[0]
        == build.version().split(".")[0]
    )
