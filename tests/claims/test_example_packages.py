"""Papers as packages: their entry points, what `verify` says of them, and how cases are tried."""

from __future__ import annotations

import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest
from flint import arb

from proofs_check.evidence.cases import Case, certain_excess, flat_at, tabular, tried
from sailtheory import DPO
from sailtheory.claims import GROUP, expectations
from sailtheory.cli import main
from sailtheory.verdict import Outcome

ROOT = Path(__file__).parents[2] / "examples" / "claims"
PAPERS = {"dpo": (5, 26), "ipo": (5, 21), "nash_md": (3, 13)}
PROBLEM = tabular([np.full((2, 2), 0.5)], [[1, 1]], 1.0)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """All packages, by their metadata on the path."""
    for name in PAPERS:
        project = tomllib.loads((ROOT / name / "pyproject.toml").read_text("utf-8"))["project"]
        metadata = tmp_path / f"{project['name']}-{project['version']}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        )
        lines = [f"{k} = {v}" for k, v in project["entry-points"][GROUP].items()]
        (metadata / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
    monkeypatch.syspath_prepend(str(tmp_path))


def test_there_are_the_packages_that_are_tested():
    assert {p.parent.name for p in ROOT.glob("*/pyproject.toml")} == {*PAPERS}


def test_the_command_finds_them_by_their_entry_points(installed, capsys):
    found = {entry.name: entry.load()() for entry in entry_points(group=GROUP)}
    for name, counts in PAPERS.items():
        claims = found[f"{name}_claims"]
        planted = [(c.id, wrong.name) for c in claims for wrong in c.planted]
        assert (len(claims), len(planted)) == counts
        assert len({*planted}) == len(planted)
        assert len({wrong.statement for c in claims for wrong in c.planted}) == len(planted)
    assert main(["verify", "--claims", "DPO01,IPO05,NASHMD03"]) == 0
    assert "All 3 verdicts are as expected" in " ".join(capsys.readouterr().out.split())


def test_the_pages_count_them():
    claims, planted = (sum(pair) for pair in zip(*PAPERS.values(), strict=True))
    page = (ROOT.parents[1] / "docs/your-own-theorem.md").read_text("utf-8")
    assert f"They have {claims} claims and {planted} planted falsehoods" in page
    changes = (ROOT.parents[1] / "CHANGELOG.md").read_text("utf-8")
    assert f"with {planted} planted" in " ".join(changes.split())


def case(*entries):
    return Case(PROBLEM, np.zeros(2), lambda: np.array([arb(e) for e in entries], dtype=object))


def test_cases_are_decided_by_certain_signs_alone():
    assert tried("", [case(-1), case("0 +/- 1e-30")]).outcome is Outcome.HOLDS
    assert tried("", [case(-1), case(-1, "1 +/- .5")]).outcome is Outcome.REFUTED
    assert tried("", []).outcome is Outcome.UNDECIDED
    assert tried("", [case(-1), case(-1, "nan")]).outcome is Outcome.UNDECIDED
    assert tried("", [case("nan", 1)]).outcome is Outcome.REFUTED
    assert certain_excess(np.array([arb("0 +/- 9"), arb("1 +/- .5")], dtype=object)) > 0
    assert tried("", [flat_at(DPO(PROBLEM), np.zeros(2))]).outcome is Outcome.HOLDS
    assert tried("", [flat_at(DPO(PROBLEM), np.array([1.0, 0]))]).witness.replay()


def test_a_verdict_that_there_is_not_is_refused(tmp_path, monkeypatch):
    (tmp_path / "bad_claims").mkdir()
    (tmp_path / "bad_claims/__init__.py").write_text("")
    (tmp_path / "bad_claims/expected.toml").write_text(
        '[X01]\nverdict = "true"\nstrength = "proved"'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValueError, match="true"):
        expectations("bad_claims")
