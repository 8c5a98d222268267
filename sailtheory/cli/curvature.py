"""``sailtheory curvature``: a saved neural policy."""

from __future__ import annotations

from typing import Annotated

import typer


def curvature(
    config: Annotated[str, typer.Argument(help="A TOML file that names policy, data and beta.")],
    json: Annotated[str, typer.Option("--json", help="Write to this file; - for stdout.")] = "-",
) -> None:
    """Curvature of a saved network policy on saved preference data, as JSON."""
    from sailtheory.curvature.command import run
    from sailtheory.report.json_file import write

    write(run(config), json)
