"""What a run ran on: versions of libraries, processor, accelerators."""

from __future__ import annotations

import os
import platform
import sys
from functools import cache
from importlib import metadata
from typing import Any

__all__ = ["hardware", "libraries"]

_LIBRARIES = (
    "numpy", "scipy", "torch", "gymnasium", "mujoco", "dm-control", "metaworld",
    "transformers", "trl", "peft", "accelerate",
)  # fmt: skip


def libraries() -> dict[str, str]:
    """Versions of this library, of Python, and of the libraries installed that count."""
    from sailtheory import __version__

    found = {"sailtheory": __version__, "python": platform.python_version()}
    versions = {name: _version(name) for name in _LIBRARIES}
    return found | {name: version for name, version in versions.items() if version is not None}


@cache
def _version(name: str) -> str | None:
    """Of an installed library; read from its metadata once, which takes 10 ms."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def hardware() -> dict[str, Any]:
    """Processor, number of cores, threads of torch and accelerators, as far as known."""
    found: dict[str, Any] = {
        "system": platform.system(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
    }
    torch = sys.modules.get("torch")  # not worth importing for its own sake
    if torch is not None:
        cuda = torch.cuda
        found["threads"] = torch.get_num_threads()
        found["gpus"] = [cuda.get_device_name(i) for i in range(cuda.device_count())]
    return found


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [
                line.split(":", 1)[1].strip() for line in file if line.startswith("model name")
            ]
    except OSError:
        names = []
    return names[0] if names else platform.processor()
