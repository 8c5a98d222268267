"""Every notebook runs from its first cell to its last, and the guide names it."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

pytest.importorskip("nbclient", reason="nbclient is not installed")
from nbclient.exceptions import CellExecutionError

from examples import run

PAGE = (Path(__file__).parents[2] / "docs" / "notebooks.md").read_text(encoding="utf-8")


def shown(cell):
    """What a cell shows, but what it prints: kinds of output alone."""
    return [each.output_type for each in cell.outputs if each.output_type != "stream"]


@pytest.mark.parametrize("path", run.notebooks(), ids=lambda path: path.stem)
def test_it_runs_and_is_named(path):
    pytest.importorskip("pandas", reason="the extra peers is not installed")
    pytest.importorskip("trl", reason="the extra peers is not installed")
    made = run.execute(path)
    written = nbformat.read(path, as_version=4)
    for new, old in zip(made.cells, written.cells, strict=True):
        if old.cell_type == "code":
            assert shown(new) == shown(old), old.source
    assert f"examples/{path.name}" in PAGE


def test_a_cell_that_fails_is_told(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    nbformat.write(notebook, tmp_path / "bad.ipynb")
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        run.execute(tmp_path / "bad.ipynb")
