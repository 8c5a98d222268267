"""Settings of accelerate for several processes: ``python -m sailtheory.training.llm.scale NAME``.

It prints the path of a file, for ``accelerate launch --config_file PATH SCRIPT``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sailtheory.errors import InputError

__all__ = ["config_file", "config_files", "main"]

_FOLDER = Path(__file__).with_name("accelerate")


def config_files() -> dict[str, Path]:
    """The files shipped, by name."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.yaml"))}


def config_file(name: str) -> Path:
    """One of them.

    Raises:
        InputError: An unknown name.
    """
    found = config_files()
    if name not in found:
        raise InputError("name", name, f"one of {', '.join(found)}")
    return found[name]


def main(arguments: list[str]) -> int:
    """Print the path; 2 where there is none."""
    try:
        print(config_file(" ".join(arguments)))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
