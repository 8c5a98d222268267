"""A film of the last actor; where it cannot be made, one line before any training."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from sailtheory import InputError
from sailtheory.cli import main
from sailtheory.runs.checkpoint import load_state, save_state
from sailtheory.storage.config import assignments
from sailtheory.training.control import film as filming
from sailtheory.training.control.settings import settings_of
from sailtheory.training.control.train import train

pytest.importorskip("dm_control", reason="the extra rl is not installed")
Image = pytest.importorskip("PIL.Image", reason="the extra rl is not installed")

SMALL = "steps=60 random_steps=40 evaluation_episodes=1 sac.width=8 sac.batch=8".split()


@pytest.fixture(scope="module")
def egl():
    try:
        filming.require_renderer("cheetah-run")
    except InputError as error:
        pytest.skip(str(error))


def test_an_episode_is_filmed(tmp_path, egl, monkeypatch):
    [folder] = train(settings_of("cheetah-run", "sac", 0, assignments(SMALL)), [5], tmp_path)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    seen = []

    class Watched(filming.Episodes):
        def step(self, action):
            taken = super().step(action)
            seen.append(taken.reward)
            return taken

    monkeypatch.setattr(filming, "Episodes", Watched)
    monkeypatch.setattr(filming, "RATE", 2)
    path = filming.film(folder)
    with Image.open(path) as film:
        assert film.size == (filming.WIDTH, filming.HEIGHT)
        assert 2 <= film.n_frames <= 21  # an episode of ten seconds; alike frames are one
        frames = []
        for k in range(film.n_frames):
            film.seek(k)
            frames.append(np.asarray(film.convert("RGB"), float))
    assert all(frame.std() > 5 for frame in frames)  # none is empty
    assert np.abs(frames[0] - frames[-1]).max() > 50  # and something moves
    # The episode is the one that was evaluated.
    returned = (folder / "metrics.csv").read_text().split("eval/return,")[1].split()[0]
    assert len(seen) == 1000 and sum(seen) == pytest.approx(float(returned), rel=1e-12)
    after = {p.name: p.read_bytes() for p in folder.iterdir() if p != path}
    assert before == after
    # A run on a GPU has a generator of another kind, which a film has no need of.
    [*_, last] = sorted(folder.glob("checkpoint-*.npz"))
    content = load_state(last)
    content["state"]["agent"]["generator"] = torch.zeros(16, dtype=torch.uint8)
    save_state(last, content)
    seen.clear()
    filming.film(folder)
    assert sum(seen) == pytest.approx(float(returned), rel=1e-12)


def test_what_cannot_be_filmed_is_one_line_before_training(tmp_path, capsys):
    options = ["--task", "Pendulum-v1", "--out", str(tmp_path / "out"), "--video"]
    assert main(["train", "control", *options]) == 2
    assert "video = Pendulum-v1: a MuJoCo task is expected" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_steps_are_told_once(tmp_path, capsys):
    options = ["--task", "cheetah-run", "--out", str(tmp_path / "out"), "--steps", "9"]
    assert main(["train", "control", *options, "--set", "steps=8"]) == 2
    assert "steps = 9: --steps or --set steps=..., not both" in capsys.readouterr().err


def test_missing_egl_is_one_line():
    code = (
        "import sys; sys.modules['OpenGL'] = None\n"
        "from sailtheory.cli import main\n"
        "sys.exit(main(['train', 'control', '--task', 'cheetah-run', '--out', 'x', '--video']))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert out.returncode == 2 and out.stderr.startswith("sailtheory: video = EGL: it cannot")
    assert out.stderr.count("\n") == 1


@pytest.mark.parametrize("device", ["cuda:7", "meta", "nowhere", ""])
def test_a_device_that_cannot_be_used_is_one_line(tmp_path, capsys, device):
    options = ["--task", "cheetah-run", "--out", str(tmp_path / "out"), "--device", device]
    assert main(["train", "control", *options]) == 2
    said = capsys.readouterr().err
    shown = device or "''"
    assert f"device = {shown}: a device that torch can use" in said and len(said) < 300
    assert not (tmp_path / "out").exists()
