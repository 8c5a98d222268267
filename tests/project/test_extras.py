"""What the core does without the libraries of the extras, and how the rest refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sailtheory import InputError, examples
from sailtheory.extras import MissingExtra, require_extra

ROOT = Path(__file__).parents[2]
BLOCKED = """
import sys
from importlib.machinery import PathFinder

def find(name, path=None, target=None, found=PathFinder.find_spec):
    return None if name.partition(".")[0] in MISSING else found(name, path, target)

PathFinder.find_spec = find
"""
EXTRAS = {
    "torch", "gymnasium", "mujoco", "dm_control", "metaworld", "tensorboard", "pyarrow",
    "transformers", "peft", "accelerate", "datasets", "gguf", "safetensors", "vaderSentiment",
}  # fmt: skip
NEEDS_TORCH = (
    "sailtheory.policies", "sailtheory.curvature", "sailtheory.training.control",
    "sailtheory.training.llm", "sailtheory.training.pairs", "sailtheory.auditing",
    "sailtheory.run_audit.callback", "sailtheory.run_audit.drawn",
    "sailtheory.run_audit.measure", "sailtheory.run_audit.recorder",
    "sailtheory.report.expected_update",
)  # fmt: skip


def without(libraries, code, *arguments, cwd=None):
    """Run code in a process in which these libraries cannot be imported."""
    blocked = BLOCKED.replace("MISSING", repr(set(libraries)))
    return subprocess.run(
        [sys.executable, "-c", blocked + code, *arguments], capture_output=True, text=True,
        check=False, cwd=cwd, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def command(libraries, *arguments, cwd=None):
    code = "from sailtheory.cli import main\nsys.exit(main(sys.argv[1:]))"
    return without(libraries, code, *arguments, cwd=cwd)


def test_every_module_is_imported_or_names_the_extra():
    code = """
import importlib, json, pathlib, traceback
found = {}
for package in ("sailtheory", "proofs_check"):
    root = pathlib.Path(importlib.import_module(package).__file__).parent
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root.parent).with_suffix("").parts
        if parts[-1] == "__main__":
            continue
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        try:
            importlib.import_module(name)
        except Exception as error:
            found[name] = [type(error).__name__, str(error)]
print(json.dumps(found))
"""
    done = without(EXTRAS, code)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    refused = {kind for kind, _ in found.values()}
    assert refused == {"MissingExtra"}, found
    assert {message for _, message in found.values()} == {
        f"torch = not installed: pip install 'sailtheory[{extra}]'"
        for extra in ("torch", "rl", "llm")
    }
    strangers = [name for name in found if not name.startswith(NEEDS_TORCH)]
    assert strangers == []


COMMANDS = {
    "curvature": (["curvature", "c.toml"], "torch", "torch"),
    "train control": (["train", "control", "--task", "walker-walk", "--out", "o"], "torch", "rl"),
    "train llm": (["train", "llm", "--model", "m", "--data", "prompts", "--out", "o"], "torch",
                  "llm"),
    "fetch": (["fetch", "smollm2-135m"], "torch", "llm"),
    "which-kl": (["which-kl", "grpo"], "torch", "torch"),
    "train export": (["train", "export", "run"], "pyarrow", "rl"),
    "problem": (["problem", "d.parquet", "--features", "e", "--suggest"], "pyarrow", "data"),
    "problem of the hub": (["problem", "a/b", "--features", "e", "--suggest"], "datasets", "data"),
    "problem --embed": (["problem", "d.jsonl", "--embed", "minilm", "--suggest"], "torch", "embed"),
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_without_its_extra_is_one_line(name, tmp_path):
    arguments, library, extra = COMMANDS[name]
    done = command(EXTRAS, *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        f"sailtheory: {library} = not installed: pip install 'sailtheory[{extra}]'\n"
    )
    assert done.stdout == "" and list(tmp_path.iterdir()) == []


def test_tensors_and_numbers_in_torch_name_the_extra(tmp_path):
    torch = pytest.importorskip("torch", reason="the extra torch is not installed")
    from sailtheory.runs.checkpoint import save_state

    save_state(tmp_path / "state", {"a": torch.zeros(2)})
    for call in (
        "from sailtheory.numeric.numbers import torch_numbers\ntorch_numbers()",
        "from sailtheory.runs.checkpoint import load_state\nload_state('state')",
    ):
        done = without({"torch"}, call, cwd=tmp_path)
        last = done.stderr.splitlines()[-1]
        assert last.endswith("torch = not installed: pip install 'sailtheory[torch]'"), last


def test_require_extra():
    require_extra("torch", "json", "numpy")
    with pytest.raises(MissingExtra, match="numpie") as caught:
        require_extra("rl", "numpy", "numpie")
    assert isinstance(caught.value, ImportError) and isinstance(caught.value, InputError)
    assert (caught.value.name, caught.value.field) == ("numpie", "numpie")


@pytest.fixture
def problem(tmp_path):
    path = tmp_path / "problem.toml"
    path.write_text(examples.text("c04-weighted-reference"), encoding="utf-8")
    return path.name


def test_the_core_commands_work_without_every_extra(tmp_path, problem):
    for arguments in (
        ["check", problem, "--gamma", "0.1", "--json", "a.json", "--html", "a.html"],
        ["plot", "price", problem, "--out", "price.svg"],
        ["verify", "--claims", "C04"],
    ):
        done = command(EXTRAS, *arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
