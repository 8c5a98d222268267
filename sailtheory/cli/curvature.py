"""``sailtheory curvature``: a saved neural policy."""

from __future__ import annotations

from typing import Annotated

import typer

from sailtheory.cli.common import require_outputs


def curvature(
    config: Annotated[str, typer.Argument(help="A TOML file that names policy, data and beta.")],
    json: Annotated[str, typer.Option("--json", help="Write to this file; - for stdout.")] = "-",
    plot: Annotated[
        str | None, typer.Option("--plot", help="Draw it: FILE.png, FILE.svg or FILE.pdf.")
    ] = None,
) -> None:
    """Curvature of a saved network policy on saved preference data, as JSON."""
    from sailtheory.curvature.command import run
    from sailtheory.report.json_file import write

    require_outputs(config, json=json, plot=plot)
    if plot is not None:
        from sailtheory.plots.style import check_target

        check_target(plot)
    found = run(config)
    write(found, json)
    if plot is not None:
        from sailtheory.plots import save
        from sailtheory.plots.curvature import draw

        save(draw(found), plot)
