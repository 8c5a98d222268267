"""The machine-checked theorems: sources, record, ledger lines; and, where Coq is, Coq itself.

Without Coq the tests of the last part are skipped, unless SAILTHEORY_REQUIRE_COQ is set.
"""

from __future__ import annotations

import html
import json
import shutil
from fractions import Fraction

import numpy as np
import pytest

from proofs_check.formal import build, coverage, evidence, mutants
from sailtheory import SAIL, BradleyTerry, PreferenceProblem, examples
from sailtheory.certificates import formal
from sailtheory.claims import Context, expectations, registered, run, select
from sailtheory.cli import main
from sailtheory.objectives.sail import KLRefPolicy, SAILRevKL
from sailtheory.objectives.sail import fisher as fisher_of
from sailtheory.report.text import add_result, ledger_table
from sailtheory.verdict import Outcome, Strength
from tests.support.coq import compiled, coqc, needs_coq

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
    assert set(expectations("proofs_check")) <= set(coverage())


def test_ledger_names_theorem_and_file_and_what_is_left():
    line = evidence("C11")
    assert (line.outcome, line.strength, line.kind) == (
        Outcome.UNDECIDED,
        Strength.PROVED,
        "formal",
    )
    for part in ("every n, m, d", "C11_K_B", "C11_relative_curvature.v", "left to words"):
        assert part in line.detail
    words = evidence("C18")
    assert (words.outcome, words.strength) == (Outcome.UNDECIDED, Strength.SUPPORTED)
    assert words.detail == "not machine-checked; left to words: all of it"
    assert evidence("P01") is None
    found = run(select(registered(), ["C07"])[0], Context("quick", 0)).verdict
    assert [e.detail for e in found.evidence if e.kind == "formal"] == [evidence("C07").detail]


def test_every_claim_of_the_ledger_says_what_is_machine_checked():
    for claim in expectations("proofs_check"):
        found, line = coverage()[claim], evidence(claim)
        for theorem in found.theorems:
            file, name = theorem.split(".")
            assert name in line.detail, theorem
            assert f"{file}.v" in line.detail, theorem
        assert found.words in line.detail, claim


def test_every_output_of_verify_names_theorem_file_and_words(tmp_path):
    page, data = tmp_path / "v.html", tmp_path / "v.json"
    outputs = ["--json", str(data), "--html", str(page)]
    assert main(["verify", "--claims", "C05b", "--jobs", "1", *outputs]) == 0
    (claim,) = json.loads(data.read_text("utf-8"))["claims"]
    details = [e["detail"] for e in claim["evidence"] if e["kind"] == "formal"]
    assert details == [evidence("C05b").detail]
    assert details[0] in html.unescape(page.read_text("utf-8"))
    for part in ("every n, m, d", "C03 in C03_reference_hessian.v", "left to words: the criterion"):
        assert part in details[0]
    table = ledger_table()
    add_result(table, run(select(registered(), ["C05b"])[0], Context("quick", 0)))
    (cell,) = table.columns[4].cells
    assert cell.splitlines()[1] == details[0]


def test_every_named_theorem_is_instantiated():
    named = {name.split(".")[1] for found in coverage().values() for name in found.theorems}
    assert build.instances() == named


def test_instance_that_does_not_use_its_theorem_is_not_counted(tmp_path, monkeypatch):
    (tmp_path / "Instances.v").write_text(
        "Definition instance_C01 := ltac:(holds (C01 Q1 V1)).\n"
        "Definition instance_C02 := ltac:(holds (C02_other Q1)).\n"
        "(* Definition instance_C03 := ltac:(holds (C03 Q1)). *)\n"
        "Definition instance_C04 := C04 Q1.\n"
        "Theorem instance_C05 : exists x, x = 1.\nProof. exists 1; reflexivity. Qed.\n"
        "Theorem instance_C06 : 1 = 1.\nProof.\n  exact (C06 P P_valid).\nQed.\n"
    )
    monkeypatch.setattr(build, "SOURCES", tmp_path)
    assert build.instances() == {"C01", "C06"}


AXIOMS = """Axioms:
ClassicalDedekindReals.sig_not_dec : forall P : Prop, {~ ~ P} + {~ P}
Somewhere.far_away.an_axiom_with_a_name_so_long_that_its_type_does_not_fit_beside_it
  : forall P : nat -> Prop,
    (forall n : nat, {P n} + {~ P n}) -> {n : nat | ~ P n} + {forall n : nat, P n}
loop is assumed to be guarded.
Classical_Prop.classic : forall P : Prop, P \\/ ~ P
"""


def test_every_axiom_is_read_however_it_is_printed():
    assert build.axiom_names(AXIOMS) == [
        "ClassicalDedekindReals.sig_not_dec",
        "Classical_Prop.classic",
        "Somewhere.far_away.an_axiom_with_a_name_so_long_that_its_type_does_not_fit_beside_it",
        "loop",
    ]
    assert build.axiom_names("Closed under the global context\n") == []
    for printed in ("", "Axioms:\n", "Error.\n", "Error.\nAxioms:\nx : nat\n"):
        with pytest.raises(build.NotBuilt):
            build.axiom_names(printed)


def test_changed_source_is_not_called_machine_checked(tmp_path, monkeypatch):
    for path in (*build.sources(), build.SOURCES / "claims.toml"):
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


# --- with Coq ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def library():
    return compiled()


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
@pytest.mark.parametrize("name", ["two-prompts"])  # half a minute each
def test_coq_evaluates_its_definitions_to_the_production_values(name, library, tmp_path):
    problem = SMALL[name]
    d = problem.dimension
    theta = [Fraction(3, 10), Fraction(-7, 10)][:d]
    gamma, at = Fraction(3, 5), np.array([float(x) for x in theta])
    objective = SAILRevKL(problem, float(gamma))
    J_gamma = f"(regularised P (sail P) ({gamma}))"
    i, unit = d - 1, f"(fun i => if Nat.eqb i {d - 1} then 1 else 0)"
    values = {
        f"gradient P {J_gamma} th {i}": objective.gradient(at)[i],
        f"fisher_form P th {unit}": fisher_of(problem, at)[i, i],
    }
    if name == "two-prompts":
        values["mean_J P th"] = SAIL(problem).value(at)
        values["mean_KL P th"] = KLRefPolicy(problem).value(at)
        values[f"hessian P {J_gamma} th 0 {i}"] = objective.hessian(at)[0, i]
    else:
        values[f"J_gamma P ({gamma}) th"] = objective.value(at)
    goals = "".join(
        GOAL.format(term=term, value="({} / {})".format(*float(value).as_integer_ratio()))
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
@pytest.mark.parametrize(
    ("term", "accepted"),
    [
        ("C12 P P_valid 1 threshold1", True),
        ("C12 P P_valid 1", False),
        ("C11 Q1 V1 x1 unit0 (1 / 10) b11 h11 margins1", False),
        ("C04", True),
    ],
)
def test_an_instance_with_a_premise_left_is_refused(term, accepted, library, tmp_path):
    text = (
        "From Coq Require Import Reals.\nFrom Sail Require Import C04_concavity "
        "C11_relative_curvature C12_strong_concavity Instances Instances_each.\n"
        f"Open Scope R_scope.\nDefinition one := ltac:(holds ({term})).\n"
    )
    assert (coqc(tmp_path, text, library).returncode == 0) is accepted


@needs_coq
def test_a_theorem_on_a_foreign_axiom_is_refused(tmp_path, monkeypatch):
    """Beside one that is allowed; a folder of two theorems, of which Coq accepts both."""
    (tmp_path / "Right.v").write_text(
        "Require Import Reals.\nTheorem right : (1 + 1 = 2)%R.\nProof. reflexivity. Qed.\n"
    )
    wrong = tmp_path / "Wrong.v"
    monkeypatch.setattr(build, "SOURCES", tmp_path)
    assert build.check(tmp_path / "built", 2)["theorems"] == {"Right.v": ["right"]}
    wrong.write_text(
        "From Coq Require Import Description.\n"
        "Theorem wrong : forall P : nat -> Prop, (exists! n, P n) -> {n : nat | P n}.\n"
        "Proof. exact (fun P => constructive_definite_description P). Qed.\n"
    )
    with pytest.raises(build.NotBuilt, match="constructive_definite_description"):
        build.check(tmp_path / "built", 2)


@needs_coq
def test_record_names_the_coq_that_is_asked():
    assert (
        json.loads(build.RECORD.read_text("utf-8"))["coq"].split(".")[0]
        == build.version().split(".")[0]
    )
