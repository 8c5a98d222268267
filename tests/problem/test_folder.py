"""Problem folders: what is written is what is read, and nothing half or changed is read."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from sailtheory import BradleyTerry, InputError, PreferenceProblem
from sailtheory.cli import main
from sailtheory.numeric.numbers import FLOAT64
from sailtheory.problem import problem_file
from sailtheory.problem.folder import ProblemFolder
from sailtheory.problem.folder_write import write_folder
from sailtheory.report import html_problem

SIZES = [3, 2, 3, 4, 2, 3]
OFFSETS = np.concatenate([[0], np.cumsum(SIZES)])


def data(**changes):
    """A good folder's arguments; None removes one."""
    rng = np.random.default_rng(0)
    rows = OFFSETS[-1]
    good = {
        "features": rng.normal(size=(rows, 3)).astype(np.float32), "offsets": OFFSETS,
        "rewards": rng.normal(size=rows), "beta": 0.5, "radius": 2.0,
        "weights": np.arange(1.0, 7), "base": rng.uniform(1, 2, size=rows),
        "center": np.array([0.1, 0, 0]), "ref_params": np.array([0, 0.2, 0]),
        "ids": ["a", "b", "c", "d", "e\n\ud83d", "ü"],
    }  # fmt: skip
    return {key: value for key, value in (good | changes).items() if value is not None}


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "p", **data())


def matrices(counts=False):
    rng = np.random.default_rng(1)
    out = []
    for m in SIZES:
        w = rng.integers(1, 9, size=(m, m)) * (1 - np.eye(m))
        out.append(w if counts else np.where(w + w.T > 0, w / np.maximum(w + w.T, 1), 0.5))
    return out


def test_the_problem_is_that_of_the_same_numbers(folder):
    given = data()
    parts = [slice(a, b) for a, b in itertools.pairwise(OFFSETS)]
    direct = PreferenceProblem(
        features=[given["features"][s] for s in parts],
        preferences=[BradleyTerry(given["rewards"][s]) for s in parts],
        base=[given["base"][s] for s in parts],
        **{key: given[key] for key in ("beta", "radius", "weights", "center", "ref_params")},
    )
    loaded = problem_file.load(folder.path)
    for one, two in zip(direct.blocks(), loaded.blocks(), strict=True):
        for a, b in zip(one, two, strict=True):
            assert np.array_equal(a, b)
    assert loaded.z_max == direct.z_max
    assert loaded.features[0].dtype == np.float32
    assert np.shares_memory(loaded.features[0], loaded.features[5].base)
    assert folder.ids() == given["ids"]


@pytest.mark.parametrize("kind", ["rewards", "matrices"])
@pytest.mark.parametrize("budget", [1, 300, 10**6])
def test_chunks_are_the_blocks_in_parts(tmp_path, kind, budget):
    changes = {} if kind == "rewards" else {"rewards": None, "preferences": matrices()}
    folder = write_folder(tmp_path / "p", **data(**changes))
    blocks = {len(b.log_base[0]): b for b in problem_file.load(folder.path).blocks()}
    seen = []
    for chunk in folder.chunks(budget):
        assert chunk.features.dtype == np.float32
        assert chunk.preference.dtype == chunk.log_base.dtype == np.float64
        block = blocks[chunk.features.shape[1]]
        at = np.searchsorted(block.prompts, chunk.prompts)
        wide = chunk.features.astype(float)
        assert np.array_equal(wide - wide[:, :1], block.features[at])
        assert np.array_equal(chunk.preference, block.preference[at])
        assert np.array_equal(chunk.log_base, block.log_base[at])
        assert chunk.weights == pytest.approx(block.weights[at], rel=1e-15)
        seen += chunk.prompts.tolist()
        size = sum(a.nbytes for a in chunk)
        assert size <= budget or len(chunk.prompts) == 1
    assert seen == sorted(range(6), key=lambda x: (SIZES[x], x))


def resident():
    """Bytes of this process in memory; None where the system does not say."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * 4096 if statm.is_file() else None


def test_chunks_that_were_read_do_not_stay_in_memory(tmp_path):
    features = np.ones((1 << 14, 1 << 9), np.float32)  # 32 MB
    features[::2] = 2
    offsets = np.arange(0, len(features) + 1, 2)
    folder = write_folder(tmp_path / "p", features=features, offsets=offsets, beta=1, radius=1,
                          rewards=np.zeros(len(features)))  # fmt: skip
    folder.verify()
    held, before, most = [], resident(), 0
    for chunk in folder.chunks(1 << 20):
        assert chunk.features.sum() == 1.5 * chunk.features.size
        held.append(chunk.features[0])
        most = max(most, (resident() or 0) - (before or 0))
    assert most < 8 << 20
    assert all(phi[:, 0].tolist() == [2, 1] for phi in held)  # read again


def test_float32_differences_are_not_rounded(tmp_path):
    features = np.array([[1.0], [1e-8], [3.0]], dtype=np.float32)
    folder = write_folder(tmp_path / "p", features=features, offsets=[0, 3], beta=1, radius=1,
                          rewards=[0, 1, 2])  # fmt: skip
    block = problem_file.load(folder.path).blocks()[0]
    assert block.features[0, 1, 0] == float(np.float32(1e-8)) - 1.0


def test_rows_written_block_by_block(tmp_path):
    whole = write_folder(tmp_path / "a", **data())
    rows = data()["features"]
    parts = write_folder(
        tmp_path / "b", **data(features=(rows[i : i + 5] for i in range(0, 17, 5)))
    )
    assert whole.header["files"] == parts.header["files"]


def test_counts_and_matrices(tmp_path):
    given = data(rewards=None, preferences=matrices(), counts=matrices(counts=True))
    folder = write_folder(tmp_path / "p", **given)
    assert np.array_equal(folder.matrices("counts", np.array([0, 2, 5]))[1], given["counts"][2])
    q = problem_file.load(folder.path).preferences[3].centred(FLOAT64)
    assert q == pytest.approx(given["preferences"][3] - 0.5, abs=1e-15)


def test_saved_problems_come_back(tmp_path, folder):
    problem = problem_file.load(folder.path)
    problem_file.save(problem, tmp_path / "again")
    again = ProblemFolder.open(tmp_path / "again")
    for name, array in folder.arrays.items():
        assert np.array_equal(array, again.arrays[name])
    assert problem_file.dumps(problem) == problem_file.dumps(problem_file.load(again.path))


def test_commands_take_a_folder(tmp_path, capsys):
    place = str(tmp_path / "p")
    write_folder(place, features=[[1.0], [0.0]] * np.ones((2, 1)), offsets=[0, 2], beta=0.5,
                 radius=1.0, rewards=[1, 0])  # fmt: skip
    assert main(["frontier", place, "--points", "5"]) == 0
    assert "affords" in capsys.readouterr().out
    assert main(["rates", place]) == 2
    assert "a number is expected with a problem file" in capsys.readouterr().err
    assert main(["check", str(tmp_path)]) == 2
    assert "Is a directory without problem.json" in capsys.readouterr().err


def test_pages_do_not_repeat_a_large_problem(folder, monkeypatch):
    problem = problem_file.load(folder.path)
    assert html_problem.problem_file(problem) == problem_file.dumps(problem)
    monkeypatch.setattr(html_problem, "_MOST_NUMBERS", 50)
    assert html_problem.problem_file(problem).endswith("its 51 features are not repeated here.\n")


def edit_header(folder, **changes):
    header = json.loads((folder / "problem.json").read_text())
    header.update(changes)
    (folder / "problem.json").write_text(json.dumps(header))


def cut(name):
    def act(folder):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-4])

    return act  # fmt: skip


def flip(name):
    def act(folder):
        content = bytearray((folder / name).read_bytes())
        content[-1] ^= 1
        (folder / name).write_bytes(content)

    return act  # fmt: skip


def replaced(name, array, **options):
    """Another array, with the size in the header that it has."""

    def act(folder):
        np.save(folder / f"{name}.npy", array, **options)
        header = json.loads((folder / "problem.json").read_text())
        header["files"][f"{name}.npy"]["bytes"] = (folder / f"{name}.npy").stat().st_size
        (folder / "problem.json").write_text(json.dumps(header))

    return act  # fmt: skip


def other_ids(folder):
    content = b"1\n" * 6
    (folder / "ids.txt").write_bytes(content)
    header = json.loads((folder / "problem.json").read_text())
    digest = hashlib.sha256(content).hexdigest()
    header["files"]["ids.txt"] = {"bytes": len(content), "sha256": digest}
    (folder / "problem.json").write_text(json.dumps(header))


DAMAGE = {
    "features cut": (cut("features.npy"), "features.npy = 328 bytes: 332 are expected"),
    "rewards cut": (cut("rewards.npy"), "truncated"),
    "ids cut": (cut("ids.txt"), "truncated"),
    "features flipped": (flip("features.npy"), "digests differ"),
    "rewards flipped": (flip("rewards.npy"), "digests differ"),
    "offsets flipped": (flip("offsets.npy"), "digests differ"),
    "no features": (lambda f: (f / "features.npy").unlink(), "No such file"),
    "other schema": (lambda f: edit_header(f, schema="x/1"), "schema = x/1"),
    "more prompts": (lambda f: edit_header(f, prompts=7), "6 prompts of 17"),
    "fewer rows": (lambda f: edit_header(f, rows=16), "6 prompts of 17"),
    "other dimension": (lambda f: edit_header(f, dimension=4), "shape (17, 3): (17, 4)"),
    "prompts true": (lambda f: edit_header(f, prompts=True), "an integer ≥ 1"),
    "beta text": (lambda f: edit_header(f, beta="0.1"), "problem.json beta = 0.1"),
    "beta nan": (lambda f: edit_header(f, beta=-1), "beta = -1"),
    "report": (lambda f: edit_header(f, report=[1]), "problem.json report = [1]: an object"),
    "files": (lambda f: edit_header(f, files=[1]), "problem.json files = [1]"),
    "rows huge": (lambda f: edit_header(f, rows=10**400), "6 prompts of 17"),
    "radius huge": (lambda f: edit_header(f, radius=10**400), "radius = "),
    "ids of numbers": (other_ids, "a JSON string on each line"),
    "path outside": (lambda f: edit_header(f, files={"../x.npy": {}}), "../x.npy"),
    "objects": (
        replaced("features", np.array([{}]), allow_pickle=True), "not a readable NPY"),
    "complex": (replaced("features", np.zeros((17, 3), complex)), "dtype complex128"),
    "not JSON": (lambda f: (f / "problem.json").write_text("{"), "not valid JSON"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_folders_are_refused(folder, name):
    act, expected = DAMAGE[name]
    act(folder.path)
    with pytest.raises(InputError) as error:
        problem_file.load(folder.path)
    assert expected in str(error.value)


NAN = np.where(np.arange(51).reshape(17, 3) == 20, np.nan, 1.0)
UNPAIRED = [np.full((m, m), 0.6) for m in SIZES]
BAD = {
    "nan": (data(features=NAN), "features[6][2] = nan"),
    "inf32": (data(features=np.full((17, 3), np.inf, np.float32)), "features[0][0] = inf"),
    "nan later": (data(features=iter([np.ones((5, 3)), NAN[5:]])), "features[6][2] = nan"),
    "complex": (data(features=np.ones((17, 3)) * 1j), "complex128"),
    "objects": (data(features=np.full((17, 3), None)), "of object"),
    "no broadcast": (data(features=np.ones((1, 3))), "6 of 1, as the header says"),
    "flat": (data(features=np.ones(17)), "shape (17,)"),
    "columns differ": (data(features=iter([np.ones((5, 3)), np.ones((12, 2))])), "2 columns"),
    "rewards short": (data(rewards=np.ones(16)), "rewards = shape (16,): (17,) is expected"),
    "rewards broadcast": (data(rewards=1.0), "rewards = shape ()"),
    "none": (data(rewards=None), "exactly one of rewards.npy and preferences.npy"),
    "both": (data(preferences=matrices()), "exactly one of rewards.npy and preferences.npy"),
    "unpaired": (data(rewards=None, preferences=UNPAIRED), "preferences of prompt 1 [0][0]"),
    "above 1": (data(rewards=None, preferences=[1.5 * p for p in matrices()]), "a probability"),
    "wins negative": (data(counts=[-p for p in matrices(counts=True)]), "a number of wins ≥ 0"),
    "wins over itself": (data(counts=UNPAIRED), "a win over itself"),
    "weight 0": (data(weights=np.array([1, 0, 1, 1, 1, 1])), "weights[1] = 0.0"),
    "base 0": (data(base=np.zeros(17)), "base[0] = 0.0"),
    "beta": (data(beta=float("nan")), "beta = nan"),
    "beta 0": (data(beta=0), "beta = 0"),
    "radius": (data(radius=-1), "radius = -1"),
    "ids": (data(ids=["a"]), "ids.txt = 1 lines: 6 are expected"),
    "offsets": (data(offsets=[0, 3, 3, 17]), "increasing integers"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_arrays_are_not_written(tmp_path, name):
    arguments, expected = BAD[name]
    with pytest.raises(InputError) as error:
        write_folder(tmp_path / "p", **arguments)
    assert expected in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_only_a_problem_folder_is_replaced(tmp_path, folder):
    assert write_folder(folder.path, **data(beta=0.25)).beta == 0.25
    assert [path.name for path in tmp_path.iterdir()] == ["p"]
    mine = tmp_path / "mine"
    mine.mkdir()
    write_folder(mine, **data())  # an empty one
    shutil.rmtree(mine)
    mine.mkdir()
    (mine / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match="a new or empty folder"):
        write_folder(mine, **data())
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="not a file"):
        write_folder(tmp_path / "file", **data())
    assert (mine / "thesis.tex").read_text() == "x"


def test_a_failure_leaves_the_old_folder(folder):
    def rows():
        yield np.ones((5, 3))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_folder(folder.path, **data(features=rows()))
    assert np.array_equal(ProblemFolder.open(folder.path).features, data()["features"])
    assert [path.name for path in folder.path.parent.iterdir()] == ["p"]
