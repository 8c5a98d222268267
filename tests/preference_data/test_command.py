"""``sailtheory problem`` from a file to a folder, its report, and its refusals in one line."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sailtheory import InputError
from sailtheory.cli import main
from sailtheory.problem import problem_file
from sailtheory.problem.folder import ProblemFolder
from tests.support.preference_rows import COMPARED, completion, write_jsonl

GOOD = ("--features", "e", "--beta", "0.1", "--radius", "2", "--temperature", "2")
RNG = np.random.default_rng(0)
TRUTH = np.array([1.0, -0.5, 0.25, 0])
NOISE = np.array([0, 0, 0, 1.0])


def rows(n=30, m=3):
    """Scores that are linear in the first three of four features."""
    for i in range(n):
        phi = np.round(RNG.normal(size=(m, 4)), 3)
        texts = [f"answer {k}" for k in range(m)]
        yield {"id": f"id{i}", "prompt": f"Q{i}", "responses": texts,
               "scores": (5 + 2 * phi @ TRUTH).tolist(), "e": phi.tolist()}  # fmt: skip


@pytest.fixture
def data(tmp_path):
    return str(write_jsonl(tmp_path / "d.jsonl", rows()))


def run(capsys, *arguments):
    code = main(["problem", *map(str, arguments)])
    out = capsys.readouterr()
    return code, out.out, out.err.strip()


def test_a_folder_with_the_numbers_of_the_data(data, tmp_path, capsys):
    out = tmp_path / "p"
    code, told, err = run(capsys, data, *GOOD, "--out", out, "--json", tmp_path / "r.json")
    assert (code, err) == (0, "")
    given = [json.loads(line) for line in open(data)]
    folder = ProblemFolder.open(out)
    assert folder.ids() == [row["id"] for row in given]
    assert np.array_equal(folder.features, np.concatenate([row["e"] for row in given]))
    assert folder.arrays["rewards"] == pytest.approx(np.concatenate(
        [row["scores"] for row in given]) / 2)  # fmt: skip
    report = folder.report
    assert {"schema": "sailtheory.import/1"} | report == json.loads(
        (tmp_path / "r.json").read_text()
    )
    problem = problem_file.load(out)
    measured = report["data"]
    assert measured["rank"] == problem.span.dimension == 4
    assert measured["feature_norm"] == pytest.approx(problem.feature_norm)
    assert measured["feature_diameter"] == pytest.approx(problem.feature_diameter)
    gaps = np.concatenate([np.abs(np.subtract.outer(r, r))[np.triu_indices(3, 1)]
                           for r in np.split(folder.arrays["rewards"], 30)])  # fmt: skip
    assert measured["gaps"]["1"] == pytest.approx(gaps.max())
    assert measured["gaps"]["0.5"] == pytest.approx(np.quantile(gaps, 0.5, method="nearest"))
    assert measured["share_sure"] == pytest.approx((gaps > np.log(19)).mean())
    assert measured["pairs"] == 90 and measured["responses"] == {"3": 30}
    for words in ("format scores (as detected)", "direction: scores: higher is better",
                  "T = 2, given", "S has dimension 4", "90 pairs of responses: 0 ties",
                  "Left out: nothing", f"written to {out}"):  # fmt: skip
        assert words in told.replace("\n", ""), words


def test_what_is_left_out_is_told_and_kept_in_the_folder(tmp_path, capsys):
    uf = [
        {
            "instruction": f"Q{i}",
            "completions": [
                completion("a", 9) | {"e": [0.0, i]},
                completion("b", 10, fine=1.25) | {"e": [1, i]},
                completion("c", 3) | {"e": [2, i]},
                completion(None, 3) | {"e": [3, i]},
            ],
        }
        for i in (1, 2)
    ]
    uf.append({"instruction": "R", "completions": []})
    data = write_jsonl(tmp_path / "uf.jsonl", uf)
    code, told, _ = run(capsys, data, *GOOD, "--out", tmp_path / "p")
    assert code == 0
    flat = " ".join(told.split())
    assert "2 responses │ overall_score is 10" in flat and "1 was meant" in flat.replace("│ ", "")
    assert "2 responses │ the response is null" in flat
    assert "1 rows │ a prompt without responses" in flat
    folder = ProblemFolder.open(tmp_path / "p")
    assert {entry["count"] for entry in folder.report["dropped"]} == {1, 2}
    assert folder.report["data"]["rank"] == 1


def test_rewards_of_a_verifier_are_none_of_bradley_terry(data, tmp_path, capsys):
    given = [{"prompt": f"Q{i}", "response": f"a{k}", "reward": int(k == i), "e": [k, i * k]}
             for i in range(2) for k in range(3)]  # fmt: skip
    given.append(given[0])  # drawn twice
    source, out = write_jsonl(tmp_path / "r.jsonl", iter(given)), tmp_path / "p"
    common = (source, "--features", "e", "--radius", "2", "--out", out)
    code, told, err = run(capsys, *common, "--response-rewards")
    assert (code, err) == (0, "")
    for words in ("never Bradley-Terry's", "rewards are 0 and 1; all alike in 0 prompts",
                  "π_ref is uniform over the distinct ones"):  # fmt: skip
        assert words in told.replace("\n", ""), words
    loaded = problem_file.load(out, preferences=False)
    assert [r.tolist() for r in loaded.response_rewards] == [[1, 0, 0], [0, 1, 0]]
    assert not loaded.states_preferences
    with pytest.raises(InputError, match="rewards of responses alone"):
        problem_file.load(out)
    for more, said in (
        (("--beta", "0.1", "--temperature", "1"), "--response-rewards beside it"),
        (("--response-rewards", "--temperature", "1"), "--response-rewards makes none"),
        (("--response-rewards", "--beta", "1"), "which no β sees"),
    ):
        code, _, err = run(capsys, *common, *more)
        assert code == 2 and said in err and len(err.splitlines()) == 1, err
    compared = write_jsonl(tmp_path / "c.jsonl", iter([COMPARED["trl"]]))
    code, _, err = run(capsys, compared, *common[1:], "--response-rewards")
    assert code == 2 and "comparisons" in err


def test_counts_are_kept_beside_what_was_estimated_from_them(tmp_path, capsys):
    compared = [COMPARED["trl"] | {"x": [1, 0], "y": [0, 1]}] * 3
    compared.append(COMPARED["trl"] | {"chosen": "b", "rejected": "a", "x": [0, 1], "y": [1, 0]})
    data = write_jsonl(tmp_path / "d.jsonl", compared)
    code, told, _ = run(capsys, data, "--features", "x,y", "--beta", 1, "--radius", 1,
                        "--out", tmp_path / "p")  # fmt: skip
    assert code == 0 and "p is the share of comparisons won" in told
    folder = ProblemFolder.open(tmp_path / "p")
    assert np.array_equal(folder.matrices("counts", np.array([0]))[0], [[0, 3], [1, 0]])
    assert folder.arrays["preferences"].tolist() == [0.5, 0.75, 0.25, 0.5]
    assert folder.report["data"]["gaps"]["1"] == pytest.approx(np.log(3))


def test_certain_preferences_have_no_finite_gap(tmp_path, capsys):
    data = write_jsonl(tmp_path / "d.jsonl", [COMPARED["trl"] | {"x": [1], "y": [0]}])
    code, told, _ = run(capsys, data, "--features", "x,y", "--beta", 1, "--radius", 1,
                        "--confidence", 1, "--out", tmp_path / "p")  # fmt: skip
    assert code == 0 and "largest ∞ (p is 0 or 1)" in told
    assert ProblemFolder.open(tmp_path / "p").report["data"]["gaps"]["1"] is None


def test_a_temperature_fitted_on_a_second_file(data, tmp_path, capsys):
    held_out = [{"prompt": row["prompt"], "response_a": "answer 0", "response_b": "answer 1",
                 "wins_a": wins, "wins_b": 4 - wins}
                for row, wins in zip(map(json.loads, open(data)), [3, 1, 2] * 10, strict=True)
                if (row["scores"][0] > row["scores"][1]) == (wins > 1)]  # fmt: skip
    other = write_jsonl(tmp_path / "held.jsonl", held_out)
    options = [*GOOD[:-1], "fit", "--out", tmp_path / "p"]
    code, told, _ = run(capsys, data, *options, "--comparisons", other)
    assert code == 0 and f"fitted on {4 * len(held_out)} comparisons" in told.replace("\n", "")
    assert ProblemFolder.open(tmp_path / "p").header["temperature"]["comparisons"] > 0


REFUSED = {
    "no out": ((*GOOD,), "out = not given: --out is expected"),
    "no beta": (("--features", "e", "--radius", "2", "--out", "p"), "beta = not given"),
    "no features": (GOOD[2:], "features = neither: one of --features and --embed"),
    "both": ((*GOOD, "--embed", "minilm"), "features = both"),
    "no temperature": (GOOD[:-2], "--temperature T (T points of score are odds of e)"),
    "temperature text": ((*GOOD[:-1], "warm"), "temperature = warm: a number, or fit"),
    "temperature nan": ((*GOOD[:-1], "nan"), "temperature = nan: a number, or fit"),
    "temperature 0": ((*GOOD[:-1], "0"), "temperature = 0.0: a number > 0"),
    "beta 0": ((*GOOD[:2], "--beta", "0", *GOOD[4:]), "beta = 0.0: a number from"),
    "format": ((*GOOD, "--format", "dpo"), "format = dpo: one of"),
    "policy": ((*GOOD, "--policy", "x.npy"), "--suggest beside it"),
    "no policy": ((*GOOD, "--suggest", "--policy", "x.npy"), "policy = x.npy: No such file"),
    "no column": (("--features", "emb", *GOOD[2:]), "emb = missing: this column"),
    "no file": (("--features", "emb.npy", *GOOD[2:]), "features = emb.npy: No such file"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_are_one_line_and_leave_nothing(name, data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options, expected = REFUSED[name]
    out = () if name == "no out" or "--out" in options else ("--out", "p")
    code, told, err = run(capsys, data, *options, *out)
    assert (code, told) == (2, "") and expected in err and "\n" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["d.jsonl"]


def test_nothing_else_is_replaced(data, tmp_path, capsys):
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "thesis.tex").write_text("x")
    code, _, err = run(capsys, data, *GOOD, "--out", tmp_path / "p")
    assert code == 2 and "a new or empty folder, or a problem folder" in err
    assert (tmp_path / "p" / "thesis.tex").read_text() == "x"


def test_a_problem_folder_is_replaced_only_on_request(data, tmp_path, capsys):
    out = tmp_path / "p"
    assert run(capsys, data, *GOOD, "--out", out)[0] == 0
    before = (out / "problem.json").read_bytes()
    other = (*GOOD[:3], "0.2", *GOOD[4:], "--out", out)
    code, _, err = run(capsys, data, *other)
    assert code == 2 and "--force to replace the problem folder there" in err
    assert (out / "problem.json").read_bytes() == before
    assert run(capsys, data, *other, "--force")[0] == 0 and ProblemFolder.open(out).beta == 0.2


def test_what_is_left_out_is_named_by_its_row(tmp_path, capsys):
    given = list(rows(6))
    for i in (1, 4):
        given[i]["scores"][2] = "high"
    path = write_jsonl(tmp_path / "d.jsonl", given)
    code, told, _ = run(capsys, path, *GOOD, "--out", tmp_path / "p")
    assert code == 0
    assert "no finite number: d.jsonl:2 has 'high', d.jsonl:5 has 'high'" in " ".join(told.split())
    given[3]["e"][1] = [1.0, 2.0]
    path = write_jsonl(tmp_path / "d.jsonl", given)
    _, _, err = run(capsys, path, *GOOD, "--out", tmp_path / "q")
    assert "d.jsonl:4 e = a vector of 2: 4 numbers are expected" in err


def test_center_and_reference(data, tmp_path, capsys):
    np.save(tmp_path / "c.npy", np.array([0.5, 0, 0, 0]))
    options = ("--center", tmp_path / "c.npy", "--ref-params", tmp_path / "c.npy")
    assert run(capsys, data, *GOOD, *options, "--out", tmp_path / "p")[0] == 0
    problem = problem_file.load(tmp_path / "p")
    assert problem.center[0] == problem.ref_params[0] == 0.5


def test_a_guide_from_data_that_are_linear(data, tmp_path, capsys):
    np.save(tmp_path / "theta.npy", 10 * TRUTH)
    code, told, _ = run(capsys, data, *GOOD[:2], *GOOD[-2:], "--suggest", "--json",
                        tmp_path / "s.json", "--policy", tmp_path / "theta.npy")  # fmt: skip
    assert code == 0 and "What the best fit asks for" in told
    found = json.loads((tmp_path / "s.json").read_text())
    assert found["best"]["norm"] == pytest.approx(np.linalg.norm(TRUTH), rel=0.1)
    assert found["best"]["accuracy"] == 1.0
    loss = [fit["loss"] for fit in found["fits"]]
    assert loss == sorted(loss) and found["best"] == found["fits"][0]
    at = {row["beta"]: row for row in found["radii"]}
    assert at[0.1]["radius"] == pytest.approx(10 * at[1.0]["radius"])
    assert at[0.1]["z_max"] == pytest.approx(found["best"]["norm"] * found["feature_diameter"])
    assert found["policy"][0]["radius"] == pytest.approx(10 * np.linalg.norm(TRUTH))
    assert not list(tmp_path.glob("problem*"))
    # β and B were not given, so nothing is said of any.
    assert found["given"] is None and "that are given" not in told
    assert "nothing is written" in told and "written to" not in told


def test_a_guide_from_a_folder_has_the_threshold_of_check(data, tmp_path, capsys):
    from sailtheory.analysis.check import theorem_threshold

    run(capsys, data, *GOOD, "--out", tmp_path / "p")
    code, _, _ = run(capsys, tmp_path / "p", "--suggest", "--json", tmp_path / "s.json")
    found = json.loads((tmp_path / "s.json").read_text())
    problem = problem_file.load(tmp_path / "p")
    assert code == 0
    assert found["given"]["k_b"] == pytest.approx(theorem_threshold(problem), rel=1e-6)
    assert found["given"]["z_max"] == pytest.approx(problem.z_max)
    np.save(tmp_path / "theta.npy", np.ones(3))
    _, _, err = run(capsys, tmp_path / "p", "--suggest", "--policy", tmp_path / "theta.npy")
    assert "policy = shape (3,): (4,), as the features, is expected" in err
