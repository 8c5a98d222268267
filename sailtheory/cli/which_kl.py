"""``sailtheory which-kl``: which KL a trainer of TRL has, with the settings that are given."""

from __future__ import annotations

from typing import Annotated

import typer

from sailtheory.cli.common import Json, Progress, console_for, require_outputs


def which_kl(
    method: Annotated[str, typer.Argument(help="grpo, rloo or online-dpo, of TRL as installed.")],
    settings: Annotated[
        list[str] | None, typer.Argument(help="Settings as TRL names them, NAME=VALUE.")
    ] = None,
    json: Json = None,
) -> None:
    """Which KL a trainer of TRL really has, and how it weighs against the reward.

    As in: sailtheory which-kl grpo beta=0.04 loss_type=dr_grpo use_bias_correction_kl=false
    """
    from sailtheory.extras import require_extra

    require_outputs(json=json)
    require_extra("torch", "torch")
    from sailtheory.auditing.small_trainer import parsed, trl_update, trl_version
    from sailtheory.report.expected_update import as_dict, distances, headline, sentences, table
    from sailtheory.report.json_file import write

    asked = parsed(settings or [])
    with Progress() as say:
        say("every batch of small models")
        found = trl_update(method, asked)
    told = " ".join(f"{name}={value}" for name, value in asked.items()) or "as it comes"
    console = console_for(json)
    console.print(headline(found, asked), markup=False)
    console.print(table(found, f"{found.method} of TRL {trl_version()}, {told}"))
    apart = distances(found)
    if apart is not None:
        console.print(apart)
    for sentence in sentences(found):
        console.print(sentence, markup=False)
    if json is not None:
        head = {"schema": "sailtheory.which-kl/1", "trl": trl_version(), "method": method}
        write({**head, "settings": asked, **as_dict(found)}, json)
