"""Pass rates from tables, logs of TRL and runs: what is taken, what is said, what is refused."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("pyarrow", reason="the extra data is not installed")
import pyarrow as pa
from pyarrow import parquet

from sailtheory import InputError
from sailtheory.rewards.read import read_pass_rates


def table(tmp_path, text, name="log.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_table_of_counts(tmp_path):
    found = read_pass_rates(table(tmp_path, "prompt,samples,correct\na,16,3\nb,4,0\n"))
    assert found.prompts == ("a", "b")
    assert found.samples.tolist() == [16, 4]
    assert found.mean.tolist() == [3 / 16, 0]
    assert found.binary
    assert "samples and correct" in found.notes[0]


def test_a_row_a_sample(tmp_path):
    rows = "step,prompt,reward\n0,a,1\n0,b,0\n0,a,0\n1,a,1\n1,b,\n"
    found = read_pass_rates(table(tmp_path, rows))
    assert found.samples.tolist() == [3, 1]
    assert found.total.tolist() == [2, 0]
    assert any("1 sample(s) without a reward" in note for note in found.notes)
    assert any("steps 0 to 1" in note and "π_ref" in note for note in found.notes)
    early = read_pass_rates(table(tmp_path, rows), steps=(0, 1))
    assert early.samples.tolist() == [2, 1]


def test_real_rewards_are_seen_to_be_real(tmp_path):
    found = read_pass_rates(table(tmp_path, "id,reward\na,1\na,0.25\nb,-2\n"))
    assert not found.binary
    assert (found.lowest, found.highest) == (-2, 1)


def test_a_log_of_trl(tmp_path):
    """The columns that TRL's GRPOTrainer writes with ``log_completions``."""
    messages = [{"role": "user", "content": "2 + 2?"}]
    for step, rewards in ((1, [1.0, 0.0]), (2, [1.0, None])):
        columns = {
            "step": [step] * 2, "prompt": [messages] * 2, "completion": [messages] * 2,
            "accuracy_reward": rewards, "advantage": [0.7, -0.7],
        }  # fmt: skip
        (tmp_path / "completions").mkdir(exist_ok=True)
        parquet.write_table(
            pa.table(columns), tmp_path / "completions" / f"completions_{step:05d}.parquet"
        )
    for place in (tmp_path, tmp_path / "completions"):
        found = read_pass_rates(place)
        assert found.prompts == (json.dumps(messages),)
        assert found.samples.tolist() == [3]
        assert found.total.tolist() == [2]
        assert "accuracy_reward" in found.notes[0]
    one = read_pass_rates(tmp_path / "completions" / "completions_00002.parquet")
    assert one.samples.tolist() == [1]


def test_a_run_of_ours(tmp_path):
    rows = [{"step": 0, "prompt": "p", "completion": "x", "rewards": {"exact": float(k % 2)}}
            for k in range(5)]  # fmt: skip
    (tmp_path / "record").mkdir()
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "record" / "completions.jsonl").write_text(lines)
    found = read_pass_rates(tmp_path)
    assert found.samples.tolist() == [5]
    assert found.total.tolist() == [2]


REFUSED = [
    ("", "empty"),
    ("a,b\n1,2\n", "--prompt NAME"),
    ("prompt,samples,correct\na,0,0\n", "samples = 0"),
    ("prompt,samples,correct\na,4,5\n", "correct = 5"),
    ("prompt,samples,correct\na,4,1.5\n", "correct = 1.5"),
    ("prompt,samples,correct\na,4,-1\n", "-1"),
    ("prompt,samples,correct\na,4,1\na,4,1\n", "one row"),
    ("prompt,samples,correct\n,4,1\n", "missing"),
    ("prompt,samples,correct\na,4\n", "2 cells"),
    ("prompt,text\na,hello\n", "--reward NAME"),
    ("prompt,exact,style\na,1,0.5\n", "--reward NAME"),
    ("prompt,reward\na,good\n", "good"),
    ("prompt,reward\na,inf\n", "inf"),
    ("prompt,reward\na,\n", "no sample"),
]


@pytest.mark.parametrize(("text", "named"), REFUSED)
def test_what_is_refused(tmp_path, text, named):
    with pytest.raises(InputError) as caught:
        read_pass_rates(table(tmp_path, text))
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_columns_that_are_named(tmp_path):
    path = table(tmp_path, "key,exact,style\na,1,0.5\nb,0,0.25\n")
    assert read_pass_rates(path, prompt="key", reward="exact").binary
    assert not read_pass_rates(path, prompt="key", reward="style").binary
    with pytest.raises(InputError, match="prompt = task"):
        read_pass_rates(path, prompt="task", reward="exact")
    with pytest.raises(InputError, match="reward = length"):
        read_pass_rates(path, prompt="key", reward="length")
    with pytest.raises(InputError, match="steps = 0:1"):
        read_pass_rates(path, prompt="key", reward="exact", steps=(0, 1))
    with pytest.raises(InputError, match="no such file"):
        read_pass_rates(tmp_path / "other.csv")


@pytest.mark.parametrize("name", ["pass_rate", "accuracy"])
def test_a_rate_is_not_taken_for_a_reward(tmp_path, name):
    (tmp_path / "g.csv").write_text(f"prompt,{name}\na,0.5\nb,0.25\n")
    with pytest.raises(InputError, match=f"{name}: a rate does not say of how many samples"):
        read_pass_rates(tmp_path / "g.csv")
