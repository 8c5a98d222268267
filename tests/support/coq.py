"""Coq for the tests: whether it is there, the compiled theorems, a text given to it.

Without Coq its tests are skipped, unless SAILTHEORY_REQUIRE_COQ is set.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from proofs_check.formal import build

COQ = shutil.which("coqc")
REQUIRED = bool(os.environ.get("SAILTHEORY_REQUIRE_COQ"))
needs_coq = pytest.mark.skipif(not COQ and not REQUIRED, reason="no coqc: Coq was not asked")


def compiled() -> Path:
    """The folder of the compiled theorems."""
    assert COQ, "SAILTHEORY_REQUIRE_COQ is set, but there is no coqc"
    folder = Path("build/formal").resolve()
    build.compile_into(folder)
    return folder


def coqc(folder: Path, text: str, library: Path) -> subprocess.CompletedProcess[str]:
    """What Coq says of a text."""
    (folder / "Test.v").write_text(text, encoding="utf-8")
    command = ["coqc", "-q", "-w", "none", "-Q", str(library), "Sail", "Test.v"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
