"""Certificates from the outside: verdicts, replay, tampering, interruption, bad input."""

from __future__ import annotations

import json
import time
from fractions import Fraction
from pathlib import Path

import joblib
import numpy as np
import pytest

from sailtheory import SAIL, InputError, PreferenceProblem, SAILRevKL, examples
from sailtheory.certificates import Budget, certify_concave, certify_gamma, certify_pl, load, replay
from sailtheory.certificates.branch import Statement, grow
from sailtheory.certificates.certificate import digest, parse
from sailtheory.certificates.cover import LEAF, OPEN, leaves, root
from sailtheory.certificates.refine import refine
from sailtheory.certificates.region import region
from sailtheory.certificates.saved import Cover
from sailtheory.cli import main
from sailtheory.landscape import Domain, Search, gamma_star, largest_curvature_on
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.objectives.sail import fisher
from sailtheory.problem.problem_file import save as save_problem
from tests.certificates.test_bounds import random_problem


@pytest.fixture(scope="module")
def problem():
    return random_problem(np.random.default_rng(11), d=2, m=3, n=2)


@pytest.fixture(scope="module")
def enclosure(problem):
    return certify_gamma(problem, 1e-4)


# --- verdicts -------------------------------------------------------------------------


def test_gamma_is_enclosed_around_what_search_finds(problem, enclosure):
    found = gamma_star(problem).value
    assert enclosure.verdict == "certified"
    assert enclosure.lower <= enclosure.gamma
    assert float(enclosure.lower) <= found + 1e-12 and found <= float(enclosure.gamma)
    assert enclosure.gamma - enclosure.lower <= Fraction(1.01e-4) * max(abs(found), 4e-4)
    assert replay(enclosure).valid


def test_exact_value_in_one_dimension():
    """J''/F on a grid of 20,001 points of an interval."""
    problem = examples.load("c04-weighted-reference")
    made = certify_gamma(problem, 1e-6)
    x = np.linspace(-float(problem.radius), float(problem.radius), 20001)[:, None]
    theta = region(problem).embed(FLOAT64, x)
    ratio = SAIL(problem).hessian(theta)[:, 0, 0] / fisher(problem, theta)[:, 0, 0]
    assert made.verdict == "certified"
    assert ratio.max() <= float(made.gamma)
    assert ratio.max() >= float(made.lower) - 1e-6 * abs(ratio.max())


@pytest.mark.parametrize("factor, verdict", [(0.99, "refuted"), (1.01, "certified")])
def test_concave_on_both_sides_of_gamma_star(problem, enclosure, factor, verdict):
    made = certify_concave(problem, float(enclosure.lower) * factor)
    assert made.verdict == verdict
    assert replay(made).valid
    assert replay(parse(made.as_dict())).valid


def test_a_modulus_bounds_pl_constants(problem, enclosure):
    gamma = 3 * float(enclosure.gamma) + 0.1
    made = certify_pl(problem, gamma, 0.05)
    assert made.verdict == "certified" and made.modulus > 0 and replay(made).valid
    objective, search = SAILRevKL(problem, gamma), Search(Domain(problem))
    worst = largest_curvature_on(objective, search)
    assert 0.94 * -worst.value <= float(made.modulus) <= -worst.value
    made = certify_pl(problem, float(enclosure.lower) * 0.9)
    assert made.verdict == "undecided" and "no spurious stop" in made.note and replay(made).valid


def test_a_spurious_stop_refutes_prox_pl():
    trap = examples.load("c14-spurious-stop")
    made = certify_pl(trap, 0)
    assert made.verdict == "refuted" and "plain PL is not refuted" in made.note
    assert replay(parse(made.as_dict())).valid
    np.testing.assert_allclose(made.witness.x, [-1.453, -1.375], atol=1e-3)
    data = made.as_dict()
    for changes in (
        {"witness": {"x": data["witness"]["x"], "better": data["witness"]["x"]}},
        {"witness": {"x": [-1.45, -1.37], "better": data["witness"]["better"]}},
        {"witness": {"x": [0.1, 0.1], "better": data["witness"]["better"]}},
        {"witness": {"x": data["witness"]["better"], "better": data["witness"]["x"]}},
        {"gamma": "1/10"},
        {"property": "concave"},
    ):
        assert not replay(parse(altered(data, **changes))).valid, changes


def test_an_interior_stop_refutes_plain_pl():
    """The outer two of three responses beat the middle one: J_γ has two interior maxima."""
    wells = PreferenceProblem(
        features=[[[0.0], [1.0], [2.0]]],
        preferences=[[[0.5, 1, 0.5], [0, 0.5, 0], [0.5, 1, 0.5]]],
        beta=0.05, radius=8, ref_params=[0.1], base=[[1, 1, 1]],
    )  # fmt: skip
    made = certify_pl(wells, 0.001)
    assert made.verdict == "refuted" and "interior" in made.note and replay(made).valid


@pytest.mark.parametrize("name", ["bradley-terry", "c14-spurious-stop", "c08-kl-policy-ref"])
def test_built_in_problems(name):
    made = certify_gamma(examples.load(name), 0.05)
    assert made.verdict == "certified", made.note
    assert replay(made).valid


def test_nothing_to_show_without_differences():
    flat = PreferenceProblem(
        features=[[[1, 0], [1, 0]]], preferences=[[[0.5, 0.7], [0.3, 0.5]]], beta=1, radius=1
    )
    for made in (certify_gamma(flat), certify_concave(flat, 0.1), certify_pl(flat, 0.1)):
        assert made.verdict == "certified" and "S = {0}" in made.note and replay(made).valid


def test_a_point_domain():
    made = certify_gamma(examples.load("c04-one-winner").replace(radius=0), 1e-6)
    exact = Fraction(37, 2700) / Fraction(2, 9)
    assert made.verdict == "certified" and made.lower <= exact <= made.gamma


@pytest.mark.parametrize("gap", [1e-2, 1e-4])
def test_nearly_dependent_features(gap):
    """F̄ is almost singular; float64 then has to look at it in coordinates where it is not."""
    one = random_problem(np.random.default_rng(0), d=2, m=3, n=2)
    near = [phi @ np.array([[1, 1], [0, gap]]) for phi in one.features]
    made = certify_gamma(one.replace(features=[np.round(phi, 7) for phi in near]), 1e-6)
    assert made.verdict == "certified" and replay(made).valid


@pytest.mark.parametrize("scale", [1e-6, 1e4])
def test_units_of_the_features_do_not_matter(scale):
    """γ* is invariant under φ → sφ, B → B/s, θ_ref → θ_ref/s at one β."""
    one = random_problem(np.random.default_rng(5), d=1, m=3)
    other = one.replace(
        features=[phi * scale for phi in one.features],
        radius=float(one.radius) / scale,
        ref_params=one.given_ref_params / scale,
    )
    first, second = certify_gamma(one, 1e-3), certify_gamma(other, 1e-3)
    assert abs(float(first.lower - second.lower)) <= 1e-6 * abs(float(first.lower))
    assert second.verdict == "certified"


# --- soundness -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_no_certificate_below_a_witness(seed):
    """γ a relative 1e-6 below a value that is attained."""
    rng = np.random.default_rng(seed)
    given = random_problem(rng, d=int(rng.integers(1, 3)), m=3, n=int(rng.integers(1, 3)))
    attained = gamma_star(given, "light", 0).value
    level = attained - 1e-6 * abs(attained)
    statement = Statement(region(given), Fraction(level))
    cover = refine(statement, Budget(time.monotonic() + 0.4))
    assert not cover.complete
    if level > 0:
        made = certify_concave(given, level, Budget(time.monotonic() + 0.4))
        assert made.verdict in ("refuted", "undecided")
        assert made.verdict == "undecided" or replay(made).valid


def altered(data, **changes):
    """The certificate with some entries changed and its digest made to agree."""
    changed = json.loads(json.dumps(data)) | changes
    return changed | {"digest": digest(changed)}


TAMPERED = {
    "a piece removed": lambda d: altered(d, cover=d["cover"][:-1], pieces=d["pieces"] - 1),
    "pieces merged": lambda d: altered(
        d, cover=d["cover"].replace("a..", ".", 1).replace("b..", ".", 1),
        pieces=d["cover"].replace("a..", ".", 1).replace("b..", ".", 1).count("."),
    ),
    "the whole cover one piece": lambda d: altered(d, cover=".", pieces=1),
    "a piece left open": lambda d: altered(
        d, cover=d["cover"][:-1] + "?", pieces=d["pieces"] - 1
    ),
    "a piece too many": lambda d: altered(d, cover=d["cover"] + ".", pieces=d["pieces"] + 1),
    "a coordinate that does not exist": lambda d: altered(d, cover="z.." , pieces=2),
    "no cover": lambda d: altered(d, cover=None, pieces=0),
    "upper bound lowered": lambda d: altered(d, gamma=str(Fraction(d["lower"]) - 1)),
    "upper bound just below": lambda d: altered(
        d, gamma=str(Fraction(d["lower"]) * Fraction(999, 1000))
    ),
    "lower bound raised": lambda d: altered(
        d, lower=str((Fraction(d["lower"]) + Fraction(d["gamma"])) / 2)
    ),
    "witness moved": lambda d: altered(
        d, witness=d["witness"] | {"x": [v * 0.5 for v in d["witness"]["x"]]}
    ),
    "witness outside C": lambda d: altered(
        d, witness=d["witness"] | {"x": [v * 1.01 for v in d["witness"]["x"]]}
    ),
    "no witness": lambda d: altered(d, witness=None),
    "direction turned": lambda d: altered(
        d, witness=d["witness"] | {"direction": d["witness"]["direction"][::-1]}
    ),
    "larger domain": lambda d: altered(
        d, problem=d["problem"].replace("radius = 0.6", "radius = 0.9")
    ),
    "another β": lambda d: altered(d, problem=d["problem"].replace("beta = 0.4", "beta = 0.8")),
    "radius shrunk": lambda d: altered(d, radius=d["radius"] * 0.9),
    "basis changed": lambda d: altered(d, basis=[["1", "0"], ["0", "0"]]),
    "a modulus": lambda d: altered(d, modulus="1/10"),
    "refuted by a modulus": lambda d: altered(
        d, verdict="refuted", property="concave", modulus="1000", cover=None, pieces=0, lower=None
    ),
    "refuted enclosure": lambda d: altered(d, verdict="refuted"),
    "undecided, bounds without evidence": lambda d: altered(
        d, verdict="undecided", lower="1000", witness=None
    ),
    "undecided, upper bound without a cover": lambda d: altered(
        d, verdict="undecided", gamma="-1000", cover="?", pieces=0
    ),
    "undecided, a cover without its γ": lambda d: altered(d, verdict="undecided", gamma=None),
    "property changed": lambda d: altered(d, property="concave"),
    "digest kept": lambda d: d | {"gamma": str(Fraction(d["gamma"]) + 1)},
    "unknown key": lambda d: altered(d, trust="me"),
    "negative bits": lambda d: altered(d, bits=-1),
}  # fmt: skip


@pytest.mark.parametrize("kind", TAMPERED)
def test_tampered_certificates_are_refused(enclosure, kind):
    data = enclosure.as_dict()
    changed = TAMPERED[kind](data)
    assert changed != data
    try:
        found = replay(parse(changed))
    except InputError:
        return
    assert not found.valid, found


def test_replay_does_not_believe_a_verdict(problem, enclosure):
    """A false statement with an honest-looking cover and an agreeing digest."""
    made = certify_concave(problem, float(enclosure.gamma) * 1.05)
    data = altered(made.as_dict(), gamma=str(enclosure.lower * Fraction(9, 10)))
    assert not replay(parse(data)).valid


# --- search -----------------------------------------------------------------------------


def test_the_tree_does_not_depend_on_budgets(problem, enclosure):
    statement = Statement(region(problem), enclosure.gamma)
    whole = grow(statement, [root(2)], 10**6, 1e9).words[0]
    word = OPEN
    for _ in range(1000):
        places = [i for i, _ in leaves(word, root(2)) if word[i] == OPEN]
        if not places:
            break
        boxes = [box for i, box in leaves(word, root(2)) if word[i] == OPEN]
        grown = grow(statement, boxes[-1:], 3, 1e9).words[0]
        word = word[: places[-1]] + grown + word[places[-1] + 1 :]
    assert word == whole and whole.count(LEAF) > 10


def test_points_are_the_doubles_they_are():
    """0.8 stores a number above 4/5, so it lies outside a ball of radius 4/5."""
    ball = PreferenceProblem(
        features=[[[0], [1]]], preferences=[[[0.5, 0.7], [0.3, 0.5]]], beta=1, radius="4/5"
    )
    assert not region(ball).contains(np.array([0.8]))
    assert region(ball).contains(np.array([np.nextafter(0.8, 0)]))


@pytest.mark.parametrize("text", ["NaN", "Infinity", '"\\ud800"'])
def test_json_that_is_no_json_is_one_line(enclosure, tmp_path, capsys, text):
    path = tmp_path / "c.json"
    enclosure.save(path)
    path.write_text(path.read_text().replace('"seconds": ', f'"note": {text}, "seconds": ', 1))
    assert main(["replay", str(path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_too_many_dimensions_are_refused():
    wide = PreferenceProblem(
        features=[np.eye(12)], preferences=[0.5 * np.ones((12, 12))], beta=1, radius=1
    )
    with pytest.raises(InputError, match="dimension 10"):
        certify_gamma(wide)


def test_processes_agree(problem, enclosure, monkeypatch):
    statement = Statement(region(problem), enclosure.gamma)
    alone = refine(statement, Budget()).word
    pools = []

    def counted(**settings):
        pools.append(settings["n_jobs"])
        return parallel(**settings)

    parallel = joblib.Parallel
    monkeypatch.setattr(joblib, "Parallel", counted)
    assert refine(statement, Budget(jobs=2)).word == alone
    assert not pools  # what is done in a moment starts no process
    monkeypatch.setattr("sailtheory.certificates.refine._ALONE", 0.0)
    monkeypatch.setattr("sailtheory.certificates.refine._FIRST", 16)
    monkeypatch.setattr("sailtheory.certificates.refine._TASK_BOXES", 2)
    assert refine(statement, Budget(jobs=2)).word == alone
    assert set(pools) == {2}


def test_wide_levels_are_tried_downwards_when_time_runs_out(problem, enclosure, monkeypatch):
    tried = []

    def limited(statement, budget):
        tried.append(float(statement.gamma / enclosure.lower))
        return refine(statement, Budget()) if tried[-1] > 3.5 else Cover(OPEN)

    monkeypatch.setattr("sailtheory.certificates.certify.refine", limited)
    made = certify_gamma(problem, 1e-3)
    assert tried == pytest.approx([1.001, 16, 8, 4, 2], rel=1e-6)
    assert made.verdict == "undecided" and "wider" in made.note
    assert made.lower <= enclosure.gamma < made.gamma
    assert float(made.gamma / made.lower) == pytest.approx(4)
    assert replay(made).valid


def test_time_runs_out():
    hard = random_problem(np.random.default_rng(2), d=4, m=5, n=2)
    made = certify_gamma(hard, 1e-6, Budget(time.monotonic() + 1))
    assert made.verdict == "undecided" and made.seconds < 30 and made.note
    assert replay(made).valid


# --- command line -----------------------------------------------------------------------


def test_commands(tmp_path, capsys, problem):
    source, out = tmp_path / "p.toml", tmp_path / "c.json"
    save_problem(problem, source)
    certify = ["certify", str(source), "--property"]
    assert main([*certify, "gamma", "--tol", "0.01", "--out", str(out)]) == 0
    assert "≤ γ* ≤" in capsys.readouterr().out
    assert main(["replay", str(out)]) == 0
    assert "valid: gamma certified" in capsys.readouterr().out
    assert not Path(str(out) + ".partial").exists()
    assert load(out).pieces > 1
    assert main([*certify, "concave", "--gamma", "0"]) == 1
    assert "opposite sign" in capsys.readouterr().out
    assert main([*certify, "concave", "--gamma", "1"]) == 0
    out.write_text(json.dumps(altered(json.loads(out.read_text()), cover=".", pieces=1)))
    assert main(["replay", str(out)]) == 1
    out.write_text(out.read_text()[:200])
    capsys.readouterr()
    assert main(["replay", str(out)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--property", "convex"],
        ["--property", "gamma", "--gamma", "1"],
        ["--property", "concave"],
        ["--property", "concave", "--gamma", "-1"],
        ["--property", "concave", "--gamma", "nan"],
        ["--property", "gamma", "--tol", "0"],
        ["--property", "gamma", "--tol", "x"],
        ["--property", "gamma", "--jobs", "0"],
        ["--property", "gamma", "--time-limit", "0"],
    ],
)
def test_bad_arguments_are_one_line(arguments, tmp_path, capsys, problem):
    source = tmp_path / "p.toml"
    save_problem(problem, source)
    assert main(["certify", str(source), *arguments]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
