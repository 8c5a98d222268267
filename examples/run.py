"""Run the notebooks: ``python -m examples.run [NAME …]`` executes them and keeps what they show.

Needs the extra ``dev``. A cell that fails ends the run, and its notebook stays as it was.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from sailtheory.storage.files import write_text

FOLDER = Path(__file__).parent
SECONDS = 300
"""That a cell may take."""


def notebooks() -> list[Path]:
    """All of them, by name."""
    return sorted(FOLDER.glob("*.ipynb"))


def execute(path: Path) -> nbformat.NotebookNode:
    """A notebook with its outputs, run in an empty folder.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=SECONDS, resources=resources).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when it ran says nothing
    return notebook


def main() -> None:
    """Execute and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="without .ipynb; default all")
    names = parser.parse_args().names
    for path in notebooks():
        if not names or path.stem in names:
            write_text(nbformat.writes(execute(path)) + "\n", path)
            print(path.name)


if __name__ == "__main__":
    main()
