"""``certify --formal``: a Coq file for one problem, by K_B, by K_data or by ḡ."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest

from sailtheory import SAIL, PreferenceProblem, examples
from sailtheory.certificates import formal
from sailtheory.certificates.formal_prompts import largest, prompt_bounds
from sailtheory.cli import main
from sailtheory.objectives.sail import fisher
from sailtheory.problem.problem_file import loads
from sailtheory.problem.problem_file import save as save_problem
from sailtheory.theory import bounds
from tests.support.coq import compiled, coqc, needs_coq


@pytest.mark.parametrize("name", ["bradley-terry", "ragged", "c13-boundary-maximiser", "tabular"])
def test_constants_are_above_the_bound_and_close(name):
    problem = examples.load(name)
    found = formal.constants(problem)
    exact = bounds.relative_bound(float(problem.beta), problem.z_max_above)
    assert float(found.margin) >= problem.z_max_above
    assert exact <= found.curvature <= exact * (1 + 1e-6) + 1e-6


def ragged():
    """The example without its prompt of five responses, which takes Coq half a minute."""
    whole = examples.text("ragged").split("[[prompts]]")
    return loads("[[prompts]]".join(whole[:3]))


def formally(tmp_path, problem, gamma, folder="f"):
    path = tmp_path / "p.toml"
    save_problem(problem, path)
    where = ["--formal", str(tmp_path / folder)]
    return ["certify", str(path), "--property", "concave", "--gamma", str(gamma), *where]


def test_low_gamma_is_undecided_with_the_constant_named(tmp_path, capsys):
    assert main(formally(tmp_path, examples.load("bradley-terry"), 0.5)) == 3
    assert "γ = 0.5 is not above K_data = 0.536" in capsys.readouterr().out
    assert not (tmp_path / "f").exists()


def relative_curvatures(problem, points=200, seed=0):
    """λ_max(∇²J_x, F_x) at points of C, prompt by prompt: none may exceed a prompt's bound."""
    rng = np.random.default_rng(seed)
    for x in range(problem.prompts):
        features = problem.features[x].astype(float)
        one = PreferenceProblem(
            features=[features], preferences=[problem.preferences[x]], beta=problem.beta,
            radius=problem.radius, base=None if problem.base[x] is None else [problem.base[x]],
            ref_params=problem.given_ref_params, center=problem.center,
        )  # fmt: skip
        basis = np.linalg.svd(features - features[0])[2][: len(features) - 1]
        found = []
        for _ in range(points):
            w = basis.T @ rng.standard_normal(len(basis))
            at = problem.center.astype(float) + float(problem.radius) * min(
                1.0, 1.3 * rng.random()
            ) * w / (np.linalg.norm(w))
            h, f = basis @ SAIL(one).hessian(at) @ basis.T, basis @ fisher(one, at) @ basis.T
            found.append(np.linalg.eigvals(np.linalg.solve(f, h)).real.max())
        yield max(found)


@pytest.mark.parametrize("name", ["c04-weighted-reference", "c13-boundary-maximiser", "tabular"])
def test_bounds_by_prompt_are_above_every_curvature_and_at_most_k_b(name):
    problem = examples.load(name)
    found = prompt_bounds(problem, 0.0)
    assert largest(found) <= formal.constants(problem).curvature + 1e-6
    for bound, seen in zip(found, relative_curvatures(problem), strict=True):
        assert seen <= bound.curvature
        if bound.responses == 2:
            assert seen >= bound.curvature - 1e-6


@pytest.mark.parametrize(
    ("name", "constant"), [("c04-weighted-reference", "ḡ"), ("tabular", "K_data")]
)
def test_gamma_just_below_the_constant_by_prompt_is_refused(name, constant, tmp_path, capsys):
    problem = examples.load(name)
    gamma = round(largest(prompt_bounds(problem, 0.0)) * 0.9999, 9)
    assert main(formally(tmp_path, problem, gamma)) == 3
    assert f"is not above {constant} = " in capsys.readouterr().out
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
    save_problem(examples.load("bradley-terry"), path)
    assert main(["certify", str(path), *arguments, "--formal", str(tmp_path / "f")]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert names in lines[0]


def test_without_coq_the_file_is_written_and_not_called_checked(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(formal.shutil, "which", lambda name: None)
    assert main(formally(tmp_path, examples.load("bradley-terry"), 1)) == 3
    assert "NOT checked: Coq is missing" in capsys.readouterr().out
    assert "Theorem certificate" in (tmp_path / "f" / "certificate.v").read_text("utf-8")


# --- with Coq ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def library():
    return compiled()


@needs_coq
@pytest.mark.parametrize("name", ["c13-boundary-maximiser"])
def test_certificate_is_accepted_and_an_altered_one_is_not(
    name, library, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(formal, "library", lambda: library)
    problem = examples.load(name)
    gamma = round(bounds.relative_bound(float(problem.beta), problem.z_max_above) * 1.02, 6)
    assert main(formally(tmp_path, problem, gamma)) == 0, capsys.readouterr()
    assert "Coq accepts" in capsys.readouterr().out
    text = (tmp_path / "f" / "certificate.v").read_text("utf-8")
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
@pytest.mark.parametrize(
    ("problem", "constant"),
    [(examples.load("c04-weighted-reference"), "ḡ"), (ragged(), "K_data")],
    ids=["c04-weighted-reference", "ragged"],
)
def test_certificate_by_prompt_is_accepted_below_k_b_and_an_altered_one_is_not(
    problem, constant, library, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(formal, "library", lambda: library)
    needed = largest(prompt_bounds(problem, 0.0))
    gamma = round(needed * 1.02, 6)
    assert gamma < bounds.relative_bound(float(problem.beta), problem.z_max_above)
    assert main(formally(tmp_path, problem, gamma)) == 0, capsys.readouterr()
    out = capsys.readouterr().out
    assert "Coq accepts" in out
    assert f"{constant} = " in out
    text = (tmp_path / "f" / "certificate.v").read_text("utf-8")
    text = text.replace("Print Assumptions certificate.", "")
    below = "({} / {})".format(*Fraction(str(round(needed * 0.99, 6))).as_integer_ratio())
    edits = [(r"Definition gamma : R := \(.*\)", f"Definition gamma : R := {below}")]
    edits += [(r"(two_below D 0 U_0|pairs 3 \(pair_below D 1 U_1 \S+ / \d+\)) \(\d+", r"\1 (1")]
    if constant == "ḡ":
        edits += [(r"(Definition U_0 : [^;]*; \()(\d+)", r"\g<1>0")]
        edits += [(r"Definition K : R := \(.*\)", f"Definition K : R := {below}")]
    for old, new in edits:
        altered = re.sub(old, new, text)
        assert altered != text, old
        assert coqc(tmp_path, altered, library).returncode != 0, old
