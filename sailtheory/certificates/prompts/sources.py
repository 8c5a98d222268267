"""A problem file or folder as a source of prompts."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import cast

from sailtheory.errors import InputError
from sailtheory.problem.problem_file import load
from sailtheory.problem.reduced import ProblemPrompts, PromptSource

__all__ = ["open_source"]

_FOLDERS = "sailtheory.problem.folder"


def open_source(path: str | Path) -> PromptSource:
    """The prompts of a problem file, or of a folder of memory-mapped arrays.

    Raises:
        InputError: There is no such problem, or it states bad data.
    """
    if not Path(path).is_dir():
        return ProblemPrompts(load(path))
    if find_spec(_FOLDERS) is None:
        raise InputError("file", path, "a .toml or .npz file is expected, not a folder")
    return cast(PromptSource, import_module(_FOLDERS).ProblemFolder.open(path))
