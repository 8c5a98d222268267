"""A film of an evaluation episode, drawn by MuJoCo without a display (EGL)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sailtheory.errors import InputError
from sailtheory.runs.read import last_state, read_record
from sailtheory.storage.config import resolve
from sailtheory.storage.files import write_bytes
from sailtheory.training.control.learner import generator_of
from sailtheory.training.control.settings import Settings
from sailtheory.training.control.tasks import Episodes, make_task, mujoco_of
from sailtheory.training.control.train import Trainer

__all__ = ["HEIGHT", "WIDTH", "film", "require_renderer"]

WIDTH, HEIGHT = 320, 240
RATE = 25  # frames a second of simulated time, at most
_CAMERAS = ("side", "corner3")
"""Of dm_control's runners and of Meta-World; elsewhere the free camera follows the whole."""


def require_renderer(task: str) -> None:
    """Refuse, before hours of training, what could not be filmed after them.

    Raises:
        InputError: EGL is missing, or the task is not simulated by MuJoCo.
    """
    env = make_task(task)
    try:
        with _picture(env) as draw:
            draw()
    finally:
        env.close()


def film(folder: str | Path) -> Path:
    """Film the deterministic actor of a run's last checkpoint, in its first episode.

    The episode is the first one of the evaluation at that step.

    Args:
        folder: Of the run; it is only read, but for the film.

    Returns:
        ``RUN/episode-STEP.webp``, an animation that browsers show.

    Raises:
        InputError: No run there, a run without a checkpoint, no EGL, no MuJoCo task, or one
            of a module that is not imported yet.
    """
    folder = Path(folder)
    config = read_record(folder).config
    settings = replace(resolve(Settings, config), device="cpu")
    _require_imported(settings.task)
    step, state = last_state(folder)
    trainer = Trainer(settings, [settings.seed])
    trainer.agent.actor_network.flat[0].copy_(state["agent"]["actor"])
    episodes = Episodes(make_task(settings.task), generator_of(settings.seed, 4, step))
    frames, observation, due, ended = [], episodes.reset(), 0.0, False
    try:
        with _picture(episodes.env) as draw:
            _, data = mujoco_of(episodes.env)
            while not ended:
                if data.time >= due:
                    frames.append(draw())
                    due = max(due + 1 / RATE, data.time)
                x = torch.tensor(observation)[None, None]
                action = trainer.agent.act(x, deterministic=True)[0, 0].numpy()
                taken = episodes.step(action)
                observation, ended = taken.observation, taken.terminated or taken.truncated
            seconds = data.time / max(len(frames), 1)
    finally:
        trainer.close()
        episodes.env.close()
    path = folder / f"episode-{step}.webp"
    write_bytes(_animation(frames, seconds), path, "video")
    return path


def _require_imported(task: str) -> None:
    """Refuse a task whose module nobody has imported: a file does not choose what runs."""
    module, colon, _ = task.rpartition(":")
    if colon and module not in sys.modules:
        raise InputError("task", task, f"import {module} first, if you trust the run")


@contextmanager
def _picture(env: Any) -> Iterator[Any]:
    """A function that draws where an environment stands: () to (HEIGHT, WIDTH, 3) uint8."""
    model, data = mujoco_of(env)
    if model is None:
        raise InputError("video", env.spec.id if env.spec else env, "a MuJoCo task is expected")
    import mujoco

    # Simulating needs no renderer (MUJOCO_GL=disabled); so EGL is opened here, by itself.
    os.environ["PYOPENGL_PLATFORM"] = "egl"
    try:
        from mujoco.egl import GLContext

        context = GLContext(WIDTH, HEIGHT)
        context.make_current()
    except Exception as error:  # what PyOpenGL raises depends on what is missing
        reason = f"it cannot be opened ({type(error).__name__}: {error}); Debian: libegl1"
        raise InputError("video", "EGL", reason) from None
    try:
        scene = mujoco.MjvScene(model, maxgeom=10_000)
        scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0  # half the time, without a GPU
        canvas = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, canvas)
        camera, options = _camera(mujoco, model), mujoco.MjvOption()
        place, pixels = mujoco.MjrRect(0, 0, WIDTH, HEIGHT), np.zeros((HEIGHT, WIDTH, 3), np.uint8)

        def draw() -> np.ndarray:
            everything = mujoco.mjtCatBit.mjCAT_ALL
            mujoco.mjv_updateScene(model, data, options, None, camera, everything, scene)
            mujoco.mjr_render(place, scene, canvas)
            mujoco.mjr_readPixels(pixels, None, place, canvas)
            return pixels[::-1].copy()

        yield draw
        canvas.free()
    finally:
        context.free()


def _camera(mujoco: Any, model: Any) -> Any:
    camera = mujoco.MjvCamera()
    mujoco.mjv_defaultFreeCamera(model, camera)
    for name in _CAMERAS:
        number = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, name)
        if number >= 0:
            camera.type, camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, number
            break
    return camera


def _animation(frames: list[np.ndarray], seconds: float) -> bytes:
    """WebP of frames that are shown so long each."""
    import io

    from PIL import Image

    first, *rest = (Image.fromarray(frame) for frame in frames)
    content = io.BytesIO()
    first.save(
        content, "WEBP", save_all=True, append_images=rest, duration=round(1000 * seconds),
        quality=70, method=0, loop=0,
    )  # fmt: skip
    return content.getvalue()
