"""``sailtheory rewards``: how large the KL must be, from measured pass rates."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from sailtheory.cli.common import Epsilon, Group, Json, Std, console_for, require_outputs
from sailtheory.errors import InputError

Method = Literal[
    "reward", "dr-grpo", "grpo", "dynamic-sampling", "arcsine", "log", "pass-at-k", "maxrl"
]


def rewards(
    log: Annotated[
        str, typer.Argument(help="A table (CSV, JSONL, Parquet), TRL's completions, or a run.")
    ],
    method: Annotated[Method, typer.Option(help="What the advantage is.")] = "grpo",
    group: Group = 8,
    std: Std = "sample",
    epsilon: Epsilon = 0.0,
    gamma: Annotated[float | None, typer.Option(help="The KL coefficient in use.")] = None,
    kl: Annotated[
        Literal["ref-policy", "policy-ref"],
        typer.Option(help="KL(π_ref‖π_θ) or KL(π_θ‖π_ref), of whole responses."),
    ] = "ref-policy",
    rho: Annotated[
        float | None, typer.Option(help="Largest prefix ratio of π_θ to π_ref that was measured.")
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="Column that names the prompt.")] = None,
    reward: Annotated[str | None, typer.Option(help="Column of rewards, one a sample.")] = None,
    steps: Annotated[str | None, typer.Option(help="A:B, samples of these steps only.")] = None,
    range_: Annotated[
        str | None, typer.Option("--range", help="LEAST,LARGEST reward, where not 0 and 1.")
    ] = None,
    confidence: Annotated[float, typer.Option(help="Of each prompt's interval.")] = 0.95,
    json: Json = None,
) -> None:
    """How large the KL of training with rewards must be, and what it leaves to learn."""
    from sailtheory.report.json_file import write
    from sailtheory.report.rewards import print_assessment
    from sailtheory.rewards.assess import Settings, assess
    from sailtheory.rewards.read import read_pass_rates

    require_outputs(log, json=json)
    between = _pair("steps", steps, ":", "A:B with integers A < B")
    asked = Settings(
        method, group, std, epsilon, gamma, kl, rho, confidence,
        _pair("range", range_, ",", "LEAST,LARGEST with LEAST < LARGEST"),
    )  # fmt: skip
    if between is not None and any(end != int(end) for end in between):
        raise InputError("steps", steps, "A:B with integers A < B is expected")
    taken = None if between is None else (int(between[0]), int(between[1]))
    found = assess(read_pass_rates(log, prompt, reward, taken), asked)
    print_assessment(console_for(json), found)
    if json is not None:
        write(found.as_dict(), json, compact=True)


def _pair(name: str, given: str | None, mark: str, accepted: str) -> tuple[float, float] | None:
    """Two numbers, the smaller first."""
    if given is None:
        return None
    try:
        low, high = (float(part) for part in given.split(mark))
    except ValueError:
        raise InputError(name, given, f"{accepted} is expected") from None
    if not -float("inf") < low < high < float("inf"):
        raise InputError(name, given, f"{accepted} is expected")
    return low, high
