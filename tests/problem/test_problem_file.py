"""Problem files: exact round trips, and one line for every malformed TOML file."""

from __future__ import annotations

import os
from fractions import Fraction

import numpy as np
import pytest

from sailtheory import SAIL, BradleyTerry, InputError, PreferenceMatrix, PreferenceProblem, examples
from sailtheory.numeric.exact import exact_array
from sailtheory.problem.problem_file import dumps, loads
from sailtheory.problem.problem_file import load as load_problem
from sailtheory.problem.problem_file import save as save_problem
from tests.support.instances import ordinary, refusal

# --- round trips -----------------------------------------------------------------------


def ragged(kind: str) -> PreferenceProblem:
    """Problems with every field set, ragged, in computed floats or in fractions."""
    instance = ordinary(21, prompts=3, dimension=2, bradley_terry=kind == "rewards")
    if kind != "fractions":
        problem = instance.problem()
        return PreferenceProblem(
            features=problem.features, preferences=problem.preferences, base=problem.base,
            weights=problem.raw_weights, beta=1 / 3 + 1e-3, radius=np.pi,
            ref_params=[0.1, -0.1 - 1e-16], center=[0.30000000000000004, 1e-17],
        )  # fmt: skip
    return PreferenceProblem(
        features=[[["1/3", 1], [0, "2/7"]], [[1, 0], [0.1, "-1/9"], [5, 5]]],
        preferences=[[[0.5, "2/3"], ["1/3", 0.5]], BradleyTerry([1, "1/3", 0])],
        base=[["1/4", "3/4"], None],
        weights=["1/3", "2/3"],
        beta="1/10",
        radius="22/7",
        ref_params=["1/3", 0],
    )


def same(a: PreferenceProblem, b: PreferenceProblem) -> None:
    """Equal data, exactly: as numbers, as float64 arrays, and as fractions."""
    assert a.prompts == b.prompts
    assert (a.beta, a.radius, a.raw_weights) == (b.beta, b.radius, b.raw_weights)
    assert type(a.beta) is type(b.beta)
    pairs = [(a.center, b.center), (a.given_ref_params, b.given_ref_params)]
    pairs += list(zip(a.features, b.features, strict=True))
    for p, q in zip(a.preferences, b.preferences, strict=True):
        assert type(p) is type(q)
        field = "rewards" if isinstance(p, BradleyTerry) else "matrix"
        pairs.append((getattr(p, field), getattr(q, field)))
    for x, (p, q) in enumerate(zip(a.base, b.base, strict=True)):
        ones = np.ones(a.responses[x])
        pairs.append((ones if p is None else p, ones if q is None else q))
    for p, q in pairs:
        assert p.dtype == q.dtype
        assert (exact_array(p) == exact_array(q)).all()
    assert (a.span.dimension, a.span.exact) == (b.span.dimension, b.span.exact)


@pytest.mark.parametrize("kind", ["matrix", "rewards", "fractions"])
def test_toml_round_trip(tmp_path, kind):
    problem = ragged(kind)
    save_problem(problem, tmp_path / "p.toml")
    again = load_problem(tmp_path / "p.toml")
    same(problem, again)
    assert dumps(again) == dumps(problem)
    theta = np.array([0.3, -0.2])
    np.testing.assert_array_equal(SAIL(problem).hessian(theta), SAIL(again).hessian(theta))


@pytest.mark.parametrize("kind", ["matrix", "rewards"])
def test_npz_round_trip(tmp_path, kind):
    problem = ragged(kind)
    save_problem(problem, tmp_path / "p.npz")
    again = load_problem(str(tmp_path / "p.npz"))
    same(problem, again)
    theta = np.array([0.3, -0.2])
    np.testing.assert_array_equal(SAIL(problem).hessian(theta), SAIL(again).hessian(theta))


def test_extreme_numbers_survive_toml():
    numbers = [5e-324, 1e-300, 1e22, 123456789012345.0, -0.1, 2.0**-30, 1e-5, 9007199254740993]
    problem = PreferenceProblem(
        features=[[[x] for x in numbers]], preferences=[BradleyTerry(numbers)],
        beta=1e-6, radius=0.1 + 0.2,
    )  # fmt: skip
    same(problem, loads(dumps(problem)))


def test_computed_floats_stay_computed():
    """A float with 17 digits is a stored number: its rank is decided numerically."""
    phi = np.outer([0.0, 1.0, np.sqrt(3)], [np.sqrt(2), np.e])
    problem = PreferenceProblem(
        features=[phi], preferences=[np.full((3, 3), 0.5)], beta=1, radius=1
    )
    again = loads(dumps(problem))
    assert again.features[0].dtype == np.float64
    assert (again.span.dimension, again.span.exact) == (1, False)
    same(problem, again)


def test_defaults_and_decimals_of_a_file_written_by_hand():
    problem = loads(
        """
        beta = 0.1
        radius = 2
        [[prompts]]
        features = [[1, 0], ["1/3", 0], [0, 1]]
        rewards = [1.0, 0.0, -0.5]
        """
    )
    assert problem.beta == 0.1 and problem.radius == 2
    assert problem.features[0][1, 0] == Fraction(1, 3)
    np.testing.assert_array_equal(problem.ref_params, [0, 0])
    assert problem.base == (None,) and problem.notes == []


def test_weights_in_a_file_are_normalised_with_a_note():
    prompt = '[[prompts]]\nfeatures = [[1], [0]]\nrewards = [1, 0]\nweight = "3/2"\n'
    problem = loads("beta = 1\nradius = 1\n" + prompt + prompt)
    np.testing.assert_array_equal(problem.weights, [0.5, 0.5])
    assert problem.notes == ["weights: they sum to 3 and were normalised"]


def test_preference_model_of_ones_own_is_saved_as_its_matrix(tmp_path):
    class Ties:
        responses = 2

        def centred(self, xp):
            return xp.asarray([[0, 0], [0, 0]])

    problem = PreferenceProblem(features=[[[1], [0]]], preferences=[Ties()], beta=1, radius=1)
    for name in ("p.toml", "p.npz"):
        save_problem(problem, tmp_path / name)
        (model,) = load_problem(tmp_path / name).preferences
        assert isinstance(model, PreferenceMatrix)
        np.testing.assert_array_equal(model.matrix, np.full((2, 2), 0.5))


# --- saving ----------------------------------------------------------------------------


def test_save_is_atomic(tmp_path, monkeypatch):
    path = tmp_path / "p.toml"
    save_problem(ragged("fractions"), path)
    before = path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(InputError, match="No space left on device"):
        save_problem(ragged("matrix"), path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["p.toml"]


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("fractions", "p.npz", "NPZ holds"),
        ("matrix", "p.json", "a .toml or .npz file is expected"),
        ("matrix", "absent/p.toml", "No such file or directory"),
    ],
)
def test_save_refuses(tmp_path, kind, name, message):
    with pytest.raises(InputError, match=message):
        save_problem(ragged(kind), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


# --- malformed TOML ----------------------------------------------------------------------


TOP = "beta = 0.5\nradius = 2\n"
PROMPT = "[[prompts]]\nfeatures = [[1, 0], [0, 1]]\nrewards = [1, 0]\n"
TABLE = "[[prompts]]\nfeatures = [[1, 0], [0, 1]]\npreferences = "

BAD_TOML = {
    "empty": ("", "prompts = missing"),
    "truncated": ((TOP + PROMPT)[:-5], "not valid TOML"),
    "truncated string": (TOP + 'center = ["1/', "not valid TOML"),
    "not TOML": ("{json: true}", "not valid TOML"),
    "duplicate key": ("beta = 1\nbeta = 2\n", "not valid TOML"),
    "no beta": ("radius = 1\n" + PROMPT, "beta = missing"),
    "no radius": ("beta = 1\n" + PROMPT, "radius = missing"),
    "no prompts": (TOP, "prompts = missing: this key is required"),
    "empty prompts": (TOP + "prompts = []", "prompts = []"),
    "prompts not tables": (TOP + "prompts = [1, 2]", "[[prompts]] tables are expected"),
    "prompts a number": (TOP + "prompts = 3", "[[prompts]] tables are expected"),
    "prompts one table": (TOP + PROMPT.replace("[[prompts]]", "[prompts]"), "prompts = dict"),
    "unknown key": (TOP + "gamma = 1\n" + PROMPT, "gamma = unknown key: one of beta"),
    "unknown prompt key": (TOP + PROMPT + "reward = [1]", "prompts[0].reward = unknown key"),
    "key with a newline": (TOP + '"a\\nb" = 1\n' + PROMPT, "a b = unknown key"),
    "key with an escape": (TOP + '"\\u001b[31m" = 1\n' + PROMPT, "[31m = unknown key"),
    "beta zero": ("beta = 0\nradius = 2\n" + PROMPT, "beta = 0.0: β > 0"),
    "beta negative": ("beta = -0.5\nradius = 2\n" + PROMPT, "beta = -0.5: β > 0"),
    "beta nan": ("beta = nan\nradius = 2\n" + PROMPT, "beta = NaN: a finite number"),
    "beta inf": ("beta = inf\nradius = 2\n" + PROMPT, "beta = Infinity: a finite number"),
    "beta huge exponent": ("beta = 1e999999999\nradius = 2\n" + PROMPT, "beta = 1E+999999999"),
    "beta tiny exponent": ("beta = 1e-999999999\nradius = 2\n" + PROMPT, "beta = 1E-999999999"),
    "beta absurd exponent": (
        "beta = 1e99999999999999999999\nradius = 2\n" + PROMPT, "not valid TOML"),
    "beta digits and exponent": (
        "beta = 1.2345678901234e999\nradius = 2\n" + PROMPT, "beta = inf: a finite number"),
    "beta subnormal": ("beta = 1e-310\nradius = 2\n" + PROMPT, "beta = 1e-310"),
    "beta boolean": ("beta = true\nradius = 2\n" + PROMPT, "beta = True"),
    "beta date": ("beta = 2024-01-01\nradius = 2\n" + PROMPT, "beta = 2024-01-01"),
    "beta list": ("beta = [0.5]\nradius = 2\n" + PROMPT, "beta = ["),
    "beta table": ("beta = {a = 1}\nradius = 2\n" + PROMPT, "beta = {'a': 1}"),
    "beta code": (
        "beta = \"__import__('os').getcwd()\"\nradius = 2\n" + PROMPT, "beta = __import__('os')"),
    "beta zero denominator": ('beta = "1/0"\nradius = 2\n' + PROMPT, "beta = 1/0"),
    "beta 5000 hex digits": (
        "beta = 0x" + "f" * 5000 + "\nradius = 2\n" + PROMPT, "beta = a int too long to show"),
    "radius negative": ("beta = 1\nradius = -1\n" + PROMPT, "radius = -1.0: a radius ≥ 0"),
    "ref_params outside": (TOP + "ref_params = [3, 0]\n" + PROMPT, "must lie in the ball"),
    "ref_params length": (TOP + "ref_params = [1]\n" + PROMPT, "ref_params = 1 entries: 2 are"),
    "ref_params string": (TOP + 'ref_params = "ab"\n' + PROMPT, "ref_params = ab"),
    "center length": (TOP + "center = [0, 0, 0]\n" + PROMPT, "center = 3 entries"),
    "center nan": (TOP + "center = [0, nan]\n" + PROMPT, "center[1] = NaN"),
    "features missing": (TOP + "[[prompts]]\nrewards = [1]", "prompts[0].features = missing"),
    "features ragged": (
        TOP + PROMPT.replace("[0, 1]", "[0]"), "prompts[0].features = rows of lengths [1, 2]"),
    "features flat": (TOP + PROMPT.replace("[[1, 0], [0, 1]]", "[1, 0]"), "shape (2,)"),
    "features without columns": (
        TOP + PROMPT.replace("[[1, 0], [0, 1]]", "[[], []]"), "shape (2, 0)"),
    "features without rows": (TOP + PROMPT.replace("[[1, 0], [0, 1]]", "[]"), "shape (0,)"),
    "features code": (
        TOP + PROMPT.replace("[1, 0]]", "").replace("[[1,", "[['__import__(1)',"),
        "prompts[0].features[0][0] = __import__(1)"),
    "features of other width": (
        TOP + PROMPT + PROMPT.replace("[[1, 0], [0, 1]]", "[[1], [0]]"),
        "prompts[1].features = 1 columns: 2 columns"),
    "nesting bomb": (TOP + PROMPT + "base = " + "[" * 30 + "]" * 30, "at most 4 levels"),
    "deep nesting bomb": (TOP + PROMPT + "base = " + "[" * 9999 + "]" * 9999, "not valid TOML"),
    "both": (TOP + PROMPT + "preferences = [[0.5]]", "prompts[0] = preferences and rewards"),
    "neither": (TOP + TABLE[: TABLE.index("preferences")], "prompts[0] = no preferences"),
    "p above 1": (TOP + TABLE + "[[0.5, 1.5], [-0.5, 0.5]]", "preferences[0][1] = 1.5"),
    "p unpaired": (TOP + TABLE + "[[0.5, 0.9], [0.2, 0.5]]", "p₁₂ + p₂₁ = 1 is required"),
    "p diagonal": (TOP + TABLE + "[[1, 0.5], [0.5, 0]]", "preferences[0][0] = 2.0"),
    "p not square": (TOP + TABLE + "[[0.5, 0.5]]", "preferences = shape (1, 2)"),
    "p too small": (TOP + TABLE + "[[0.5]]", "prompts[0].preferences = 1 responses: 2"),
    "p string": (TOP + TABLE + '[[0.5, "a"], [0, 0.5]]', "prompts[0].preferences[0][1] = a"),
    "rewards length": (TOP + PROMPT.replace("[1, 0]\n", "[1]\n"), "rewards = 1 responses"),
    "rewards inf": (TOP + PROMPT.replace("[1, 0]\n", "[-inf, 0]\n"), "rewards[0] = -Infinity"),
    "rewards nested": (TOP + PROMPT.replace("[1, 0]\n", "[[1, 0]]\n"), "rewards = shape (1, 2)"),
    "weight negative": (TOP + PROMPT + "weight = -1", "prompts[0].weight = -1.0"),
    "weight all zero": (TOP + PROMPT + "weight = 0", "weights = all zero"),
    "weight boolean": (TOP + PROMPT + "weight = false", "prompts[0].weight = False"),
    "weight list": (TOP + PROMPT + "weight = [1]", "prompts[0].weight = [1]"),
    "base zero": (TOP + PROMPT + "base = [1, 0]", "prompts[0].base[1] = 0.0: a positive"),
    "base negative": (TOP + PROMPT + "base = [-1, 1]", "prompts[0].base[0] = -1.0"),
    "base length": (TOP + PROMPT + "base = [1]", "prompts[0].base = 1 entries: 2 are"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_TOML)
def test_malformed_toml(tmp_path, name):
    text, expected = BAD_TOML[name]
    (tmp_path / "p.toml").write_text(text)
    assert expected in refusal(tmp_path / "p.toml")


def test_not_utf8(tmp_path):
    (tmp_path / "p.toml").write_bytes((TOP + PROMPT).encode() + b"# caf\xe9\n")
    assert "not UTF-8 text" in refusal(tmp_path / "p.toml")


def test_no_such_file_directory_and_suffix(tmp_path):
    assert "No such file or directory" in refusal(tmp_path / "absent.toml")
    (tmp_path / "d.toml").mkdir()
    assert "Is a directory" in refusal(tmp_path / "d.toml")
    (tmp_path / "p.txt").write_text(TOP + PROMPT)
    assert "a .toml or .npz file is expected" in refusal(tmp_path / "p.txt")
    assert "null" in refusal("a\0b.toml")


def test_every_truncation_of_a_file_is_a_problem_or_one_line(tmp_path):
    text = dumps(ragged("fractions"))
    for end in range(0, len(text), 7):
        try:
            loads(text[:end])
        except InputError as error:
            assert str(error).isprintable()


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path):
    path = tmp_path / "marked.toml"
    path.write_bytes(b"\xef\xbb\xbf" + examples.text("bradley-terry").encode())
    assert dumps(load_problem(path)) == dumps(examples.load("bradley-terry"))


def test_a_number_below_float64_is_said_to_be_that():
    text = "beta = 1E-400\nradius = 1\n[[prompts]]\nfeatures = [[0]]\nrewards = [0]\n"
    with pytest.raises(InputError, match="beta = 1E-400: the number must fit float64"):
        loads(text)
