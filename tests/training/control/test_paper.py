"""``sailtheory train control --paper``: what it resolves to, against the paper's table."""

from __future__ import annotations

import pytest

from sailtheory.cli import main
from sailtheory.training.control import train as training
from sailtheory.training.control.methods import METHODS

# Numbers of the papers' tables, written out here; budgets are those of the PEBBLE arm.
COMMON = {
    "steps": 400_000, "random_steps": 1000, "entropy_steps": 900, "reset_updates": 100,
    "evaluate_every": 10_000, "evaluation_episodes": 10, "kl_coef": 1e-4,
    "sac": {"width": 1024, "depth": 2, "batch": 512, "discount": 0.99, "polyak": 0.005,
            "temperature": 0.1, "temperature_rate": 1e-4},
    "reward": {"members": 3, "width": 256, "depth": 3, "rate": 3e-4, "accuracy": 0.97},
    "feedback": {"queries": 10, "segment": 50, "sampling": "disagreement", "candidates": 10},
    "teacher": {"rationality": None, "mistake": 0.0},
    "reference": {"since": 5000, "every": 50_000, "radius": None},
}  # fmt: skip
DM = {"sac": {"actor_rate": 5e-4, "critic_rate": 5e-4}, "reward": {"epochs": 50}}
TASKS = {
    "walker-walk": ([4, 5, 6], DM | {"feedback": {"maximum": 250, "every": 2000}}),
    "walker-stand": ([7, 8, 9], DM | {"feedback": {"maximum": 250, "every": 2000}}),
    "cheetah-run": ([4, 5, 6], DM | {"feedback": {"maximum": 250, "every": 2000}}),
    "door-open": (
        [10, 11, 12],
        {"sac": {"actor_rate": 3e-4, "critic_rate": 3e-4}, "reward": {"epochs": 10},
         "feedback": {"maximum": 900, "every": 500}},
    ),
}  # fmt: skip


@pytest.fixture
def trained(monkeypatch):
    """What would be trained: (settings, seeds, folder)."""
    found = []

    def note(settings, seeds, out, **_):
        found.append((settings, seeds, out))
        return [out / f"seed-{seed}" for seed in seeds]

    monkeypatch.setattr(training, "train", note)
    return found


def holds(settings, wanted):
    for key, value in wanted.items():
        found = getattr(settings, key)
        if isinstance(value, dict):
            holds(found, value)
        else:
            assert found == value, key


@pytest.mark.parametrize("method", METHODS)
def test_all_tasks_with_the_papers_numbers(trained, tmp_path, method):
    out = str(tmp_path)
    assert main(["train", "control", "--paper", "--method", method, "--out", out]) == 0
    assert {settings.task for settings, _, _ in trained} == set(TASKS)
    for settings, seeds, folder in trained:
        wanted_seeds, own = TASKS[settings.task]
        assert seeds == wanted_seeds and settings.method == method
        assert folder == tmp_path / settings.task / method
        wanted = COMMON
        if method.startswith("sail"):  # no arm of the paper's: its π_ref is its own
            wanted = COMMON | {"reference": COMMON["reference"] | {"every": 2000}}
        holds(settings, wanted)
        holds(settings, own)


def test_one_of_its_tasks(trained, tmp_path):
    arguments = ["train", "control", "--paper", "--task", "door-open", "--out", str(tmp_path)]
    assert main(arguments) == 0
    assert [(s.task, seeds) for s, seeds, _ in trained] == [("door-open", [10, 11, 12])]


def test_without_paper_seed_0_of_the_named_task_in_the_folder_itself(trained, tmp_path):
    arguments = ["train", "control", "--task", "walker-walk", "--out", str(tmp_path)]
    assert main([*arguments, "--steps", "7", "--set", "sac.width=8"]) == 0
    [(settings, seeds, out)] = trained
    assert (seeds, out, settings.steps, settings.sac.width) == ([0], tmp_path, 7, 8)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ([], "task"),
        (["--paper", "--seeds", "0:3"], "seeds"),
        (["--paper", "--steps", "5"], "--steps"),
        (["--paper", "--set", "sac.width=3"], "--set"),
        (["--paper", "--task", "Pendulum-v1"], "task"),
    ],
)
def test_what_is_refused(trained, tmp_path, capsys, arguments, field):
    assert main(["train", "control", "--out", str(tmp_path / "x"), *arguments]) == 2
    message = capsys.readouterr().err
    assert field in message and message.count("\n") == 1
    assert trained == [] and not (tmp_path / "x").exists()
