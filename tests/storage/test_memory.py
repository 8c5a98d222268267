"""Work that would not fit is refused with the estimate; what is free is read, not guessed."""

from __future__ import annotations

import numpy as np
import pytest

from sailtheory import BradleyTerry, PreferenceProblem
from sailtheory.errors import InputError
from sailtheory.landscape import Domain, Search
from sailtheory.storage import memory


def test_what_is_free_is_what_the_machine_and_the_container_leave(tmp_path, monkeypatch):
    for name, text in (("info", "MemTotal: 9000 kB\nMemAvailable:    5000 kB\n"),
                       ("max", "3000000\n"), ("current", "1000000\n")):  # fmt: skip
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "info")
    monkeypatch.setattr(memory, "_LIMITS", (tmp_path / "max", tmp_path / "current"))
    assert memory.free_memory() == 2_000_000
    (tmp_path / "max").write_text("max\n")
    assert memory.free_memory() == 5000 * 1024
    (tmp_path / "info").unlink()
    assert memory.free_memory() > 5000 * 1024  # of the machine as a whole


def test_too_large_a_problem_is_refused_before_it_is_searched(monkeypatch):
    rng = np.random.default_rng(0)
    phi = rng.normal(size=(100, 4, 300))
    problem = PreferenceProblem(
        features=phi, preferences=[BradleyTerry(r) for r in phi[..., 0]], beta=1, radius=1
    )
    domain = Domain(problem)
    Search(domain)
    monkeypatch.setattr(memory, "_LITTLE", 0)
    monkeypatch.setattr(memory, "free_memory", lambda: 2**20)
    with pytest.raises(InputError, match=r"100 prompts of 300 features.*0.0 GiB are free"):
        Search(domain)
