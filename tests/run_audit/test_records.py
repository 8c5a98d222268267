"""Our records and TRL's folders: what settings decide, what was measured, what cannot be told."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from sailtheory import InputError
from sailtheory.cli import main
from sailtheory.run_audit.audit import audit
from sailtheory.run_audit.read import read_run
from sailtheory.run_audit.records import of_record
from sailtheory.run_audit.standing import Standing
from sailtheory.runs.read import Record
from sailtheory.runs.write import Run
from sailtheory.storage.safetensors import Safetensors

HOLDS, VIOLATED, UNKNOWN = Standing
GOOD = {
    "method": "online-dpo", "seed": 0, "beta": [0.1], "kl_coef": 0.25, "policy_kl_coef": 0.0,
    "kl_estimator": "ref-samples", "score_weight": 0.0, "preference": "expectation",
    "tune": "full", "max_new_tokens": 8, "ref_model": "m", "r": 0.0, "p": 0.0, "g": 1.0,
    "optim": "sgd", "max_steps": 2,
}  # fmt: skip
CONTROL = {
    "method": "sail-revkl", "seed": 0, "task": "walker-walk", "kl_coef": 0.25, "sail.beta": 0.1,
    "reference.since": 100, "reference.every": None, "reference.radius": 2.0, "steps": 1000,
}  # fmt: skip
ROWS = [(1, "loss/total", "0.7"), (2, "loss/total", "0.6")]
FAR = [
    (500, "reference/distance", "1.5"), (900, "reference/distance", "2.5"),
    (500, "reference/step", "100.0"), (900, "reference/step", "100.0"), (90, "reward/fit", "1"),
]  # fmt: skip
ANEW = [*FAR, (950, "reference/step", "300.0")]


def lines(config, rows=ROWS, **changes):
    record = Record(Path("run"), config | changes, (), None, True, {}, list(rows))
    return audit(of_record(record))


def test_a_language_run_that_keeps_to_the_theory():
    found = lines(GOOD)
    assert found.violated == ()
    holding = {line.key for line in found.lines if line.standing is HOLDS}
    assert holding == {"reference", "preferences", "divergence", "score", "threshold", "finite"}
    for line in found.lines:
        assert line.standing is HOLDS or "log" in line.why or "--arm" in line.why


@pytest.mark.parametrize(
    ("key", "standing", "why", "changes"),
    [
        ("threshold", VIOLATED, "0.2 ≤ 2β = 0.2", {"kl_coef": 0.2}),
        ("threshold", HOLDS, "> 2β = 0.2", {"beta": 0.1}),
        ("threshold", UNKNOWN, "needs a B", {"method": "sail-dpr", "score_weight": 1.0}),
        ("divergence", VIOLATED, "no penalty", {"kl_coef": 0.0}),
        ("divergence", VIOLATED, "token-proxy", {"kl_estimator": "token-proxy"}),
        ("divergence", VIOLATED, "C33", {"policy_kl_coef": 0.1}),
        ("divergence", HOLDS, "importance", {"kl_estimator": "importance"}),
        ("score", VIOLATED, "score_weight = 0.2", {"score_weight": 0.2}),
        ("score", HOLDS, "J is not the reward", {"score_weight": 1.0}),
        ("score", HOLDS, "absent", {}),
        ("preferences", UNKNOWN, "a share 0.7", {"g": 0.3}),
        ("preferences", VIOLATED, "C06", {"p": 1.0, "g": 0.0}),
        ("linear", UNKNOWN, "tune = lora", {"tune": "lora"}),
        ("step", VIOLATED, "adamw", {"optim": "adamw_torch"}),
    ],
)
def test_each_line_of_a_language_run(key, standing, why, changes):
    line = lines(GOOD, **changes)[key]
    assert line.standing is standing and why in line.why


@pytest.mark.parametrize(
    ("key", "standing", "why", "rows", "changes"),
    [
        ("reference", HOLDS, "taken at step 100", FAR, {}),
        ("reference", VIOLATED, "at step 100 and anew at step 300", ANEW, {}),
        ("reference", UNKNOWN, "no π_ref was taken: pebble", ROWS, {"method": "pebble"}),
        ("preferences", HOLDS, "not fitted anew", FAR, {}),
        ("preferences", VIOLATED, "anew at step 700", [*FAR, (700, "reward/fit", "2")], {}),
        ("ball", VIOLATED, "2.5 > B = 2 at step 900", FAR, {}),
        ("ball", HOLDS, "B = 3", FAR, {"reference.radius": 3.0}),
        (
            "ball",
            HOLDS,
            "seen is 2.5, at step 900, and other lines take it as B; looked at 2",
            FAR,
            {"reference.radius": None},
        ),
        ("divergence", HOLDS, "in closed form", FAR, {}),
        ("divergence", VIOLATED, "sail has no penalty", FAR, {"method": "sail"}),
        ("score", HOLDS, "weight 1", FAR, {}),
        ("score", HOLDS, "absent", FAR, {"sail.score": 0.0, "sail.weight": 0.5}),
        ("score", VIOLATED, "of no objective", FAR, {"sail.score": 0.5, "sail.weight": 0.5}),
        ("divergence", HOLDS, "γ = 0.5,", FAR, {"sail.score": 0.0, "sail.weight": 0.5}),
        ("threshold", HOLDS, "γ = 0.5 > 2β = 0.2", FAR, {"sail.score": 0.0, "sail.weight": 0.5}),
        ("preferences", VIOLATED, "every update", FAR, {"sail.value": "critic"}),
        ("linear", UNKNOWN, "ActorProbe", FAR, {}),
    ],
)
def test_each_line_of_a_control_run(key, standing, why, rows, changes):
    line = lines(CONTROL, rows, **changes)[key]
    assert line.standing is standing and why in line.why


@pytest.mark.parametrize("text", ["nan", "inf", "broken"])
def test_numbers_that_are_none_are_named_with_their_step(text):
    line = lines(GOOD, [*ROWS, (7, "kl/kl_ref_policy", text)])["finite"]
    assert (
        line.standing is VIOLATED and line.why == f"kl/kl_ref_policy = {text} at or before step 7"
    )
    assert lines(GOOD, [])["finite"].standing is UNKNOWN


def test_other_records_are_refused():
    other = Record(Path("run"), {"method": "sac"}, (), None, True, {}, [])
    with pytest.raises(InputError, match=r"neither SAILTrainer's nor .* log the run with AuditLog"):
        of_record(other)


def test_the_command_on_our_record(tmp_path, capsys):
    run = Run.create(tmp_path / "run", GOOD | {"kl_coef": 0.0}, declared=[])
    run.log(1, {"loss/total": 0.7})
    run.finish()
    out = tmp_path / "audit.json"
    assert main(["audit", str(tmp_path / "run"), "--json", str(out)]) == 1
    shown = capsys.readouterr().out
    assert "not measurable" in shown and "violated" in shown and "holds" in shown
    data = json.loads(out.read_text(encoding="utf-8"))
    assert [line["standing"] for line in data["assumptions"]].count("violated") == 2
    assert main(["audit", str(tmp_path / "none")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def safetensors(path, tensors, kind="F32"):
    """As https://github.com/huggingface/safetensors describes the format."""
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, array in tensors.items():
        raw = array.astype("<f4").tobytes()
        raw = b"".join(raw[k + 2 : k + 4] for k in range(0, len(raw), 4)) if kind == "BF16" else raw
        place = [len(body), len(body) + len(raw)]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": place}
        body += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def trl_folder(folder, history=({"step": 1, "loss": 0.7, "beta": 0.1},), moved=(0.0, 3.0, 5.0)):
    state = {"log_history": list(history), "global_step": 30, "train_batch_size": 4}
    for step, far in enumerate(moved, 1):
        place = folder / f"checkpoint-{10 * step}"
        place.mkdir(parents=True)
        (place / "trainer_state.json").write_text(json.dumps(state), "utf-8")
        weights = {"lora_A": np.array([[far, 0.0]]), "lora_B": np.array([1.0])}
        safetensors(place / "adapter_model.safetensors", weights)
    return folder


def test_a_folder_of_trl(tmp_path):
    trace = read_run(trl_folder(tmp_path / "out"))
    found = audit(trace)
    assert found.violated == ()
    assert (
        "seen is 5, at step 30, and other lines take it as B; looked at 2 of 30 updates"
        in found["ball"].why
    )
    assert "1 tensors were trained, such as lora_A" in found["linear"].why
    assert trace.facts.beta == 0.1 and trace.spent == {
        "updates": 30.0, "prompts a device in a batch": 4.0}  # fmt: skip
    assert any("was not opened" in note for note in trace.notes)
    assert any("from checkpoint-10" in note for note in trace.notes)
    assert all("AuditCallback" in found[key].why for key in ("reference", "linear", "threshold"))


def test_a_loss_that_is_none_in_a_folder_of_trl(tmp_path):
    rows = [{"step": 1, "loss": 0.7}, {"step": 4, "grad_norm": float("nan")}]
    folder = tmp_path / "out"
    trl_folder(folder)
    state = {"log_history": rows, "global_step": 30}
    (folder / "trainer_state.json").write_text(json.dumps(state), "utf-8")
    line = audit(read_run(folder))["finite"]
    assert line.standing is VIOLATED and line.why == "grad_norm = nan at or before step 4"


def test_nothing_is_unpickled(tmp_path):
    """A checkpoint of pytorch_model.bin alone is left out, and that is said."""
    folder = trl_folder(tmp_path / "out")
    for path in folder.glob("*/*.safetensors"):
        path.rename(path.with_name("pytorch_model.bin"))
    trace = read_run(folder)
    assert trace.points == () and any("unpickled" in note for note in trace.notes)
    assert "two checkpoints" in audit(trace)["ball"].why


@pytest.mark.parametrize("kind", ["F32", "BF16"])
def test_safetensors_are_read_as_their_library_writes_them(kind, tmp_path):
    values = {"a": np.array([[1.5, -2.0], [0.25, 3.0]]), "b": np.array([7.0])}
    safetensors(tmp_path / "w.safetensors", values, kind)
    file = Safetensors(tmp_path / "w.safetensors")
    assert file.names == ["a", "b"]
    assert all(np.array_equal(file.read(name), values[name]) for name in values)


def test_the_library_agrees(tmp_path):
    library = pytest.importorskip("safetensors.torch", reason="the extra llm is not installed")
    torch = pytest.importorskip("torch")
    tensors = {"x": torch.randn(3, 2).bfloat16(), "y": torch.randn(4).double(),
               "z": torch.arange(3), "s": torch.tensor(2.0)}  # fmt: skip
    library.save_file(tensors, tmp_path / "w.safetensors")
    file = Safetensors(tmp_path / "w.safetensors")
    assert file.names == ["s", "x", "y"]  # whole numbers are no weights
    for name in ("x", "y"):
        assert np.array_equal(file.read(name), tensors[name].double().numpy())


@pytest.mark.parametrize("cut", [0, 4, 20, -4])
def test_damaged_weights_are_one_line(cut, tmp_path):
    safetensors(tmp_path / "w.safetensors", {"a": np.ones((2, 2))})
    whole = (tmp_path / "w.safetensors").read_bytes()
    (tmp_path / "w.safetensors").write_bytes(whole[:cut])
    with pytest.raises(InputError, match="not readable safetensors"):
        Safetensors(tmp_path / "w.safetensors")


@pytest.mark.parametrize("content", ["[]", "{}", '{"log_history": [1]}', "not JSON"])
def test_a_damaged_state_is_one_line(content, tmp_path, capsys):
    (tmp_path / "trainer_state.json").write_text(content, "utf-8")
    assert main(["audit", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
