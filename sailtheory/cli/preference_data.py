"""``sailtheory problem``: preference data become a problem folder."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from sailtheory.cli.common import Json, Progress, Seed, console_for, require_outputs
from sailtheory.errors import InputError


def problem(
    data: Annotated[
        str,
        typer.Argument(help="JSONL, CSV or Parquet, a saved data set, or a name of the hub."),
    ],
    out: Annotated[str | None, typer.Option(help="The problem folder to write.")] = None,
    beta: Annotated[float | None, typer.Option(help="β > 0.")] = None,
    radius: Annotated[float | None, typer.Option(help="B ≥ 0, around the centre.")] = None,
    features: Annotated[
        str | None,
        typer.Option(help="A column of embeddings (or one a response: A,B), or a .npy file."),
    ] = None,
    embed: Annotated[
        str | None,
        typer.Option(help="minilm, or a causal language model: its last hidden state."),
    ] = None,
    temperature: Annotated[
        str | None, typer.Option(help="Points of score that are odds of e; or fit.")
    ] = None,
    comparisons: Annotated[
        str | None, typer.Option(help="Held-out comparisons for --temperature fit.")
    ] = None,
    confidence: Annotated[
        str | None, typer.Option(help="How sure one label is, above 0.5; or fit.")
    ] = None,
    smoothing: Annotated[
        float | None, typer.Option(help="a of p = (w + a)/(w + w' + 2a) for counts.")
    ] = None,
    bradley_terry: Annotated[
        float | None,
        typer.Option(help="Fit rewards; s of their normal prior, inf for none."),
    ] = None,
    response_rewards: Annotated[
        bool,
        typer.Option("--response-rewards", help="Scores are rewards of training (GRPO): no β."),
    ] = False,
    format: Annotated[str | None, typer.Option(help="The data's format, not detected.")] = None,
    score: Annotated[str | None, typer.Option(help="Which score counts.")] = None,
    label: Annotated[str | None, typer.Option(help="Which label counts: better, safer.")] = None,
    split: Annotated[str | None, typer.Option(help="Of a data set that has several.")] = None,
    config: Annotated[str | None, typer.Option(help="Of a data set of the hub.")] = None,
    center: Annotated[str | None, typer.Option(help="An NPY file with c; default 0.")] = None,
    ref_params: Annotated[
        str | None, typer.Option(help="An NPY file with θ_ref; default 0.")
    ] = None,
    drop_bad: Annotated[
        bool, typer.Option("--drop-bad", help="Leave wrong rows out, and count them.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Read so many rows.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a problem folder at --out.")
    ] = False,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="A guide to β and B; DATA may be a problem folder.")
    ] = False,
    policy: Annotated[
        str | None, typer.Option(help="With --suggest: an NPY file of a trained policy's θ.")
    ] = None,
    json: Json = None,
    seed: Seed = 0,
) -> None:
    """Preference data become a problem folder, which every other command takes."""
    from sailtheory.preference_data.build import Request
    from sailtheory.preference_data.item import Choices
    from sailtheory.preference_data.preferences import Rule
    from sailtheory.preference_data.suggest import read_vector
    from sailtheory.problem.folder import ProblemFolder, is_folder

    require_outputs(data, json=json)
    if policy is not None and not suggest:
        raise InputError("policy", policy, "--suggest beside it is expected")
    theta = None if policy is None else read_vector(policy, "policy")
    if suggest and is_folder(data):
        _suggested(ProblemFolder.open(data), theta, seed, json, given=True)
        return
    if response_rewards and (suggest or beta is not None):
        name, found = ("suggest", True) if suggest else ("beta", beta)
        raise InputError(name, found, "none with --response-rewards, which no β sees")
    if not suggest or out is not None:
        _require(out=out, radius=radius, **({} if response_rewards else {"beta": beta}))
    if out is not None and is_folder(out) and not force:
        raise InputError("out", out, "a new place, or --force to replace the problem folder there")
    rule = Rule(
        temperature=_fittable(temperature, "temperature"),
        confidence=_fittable(confidence, "confidence"),
        smoothing=smoothing, bradley_terry=bradley_terry,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        request = Request(
            source=data, out=out or str(Path(scratch) / "problem"),
            beta=1.0 if beta is None else beta, radius=0.0 if radius is None else radius,
            features=features, embedder=embed, rule=rule, comparisons=comparisons, format=format,
            split=split, config=config, choices=Choices(score, label), drop_bad=drop_bad,
            limit=limit, response_rewards=response_rewards,
            center=None if center is None else read_vector(center, "center"),
            ref_params=None if ref_params is None else read_vector(ref_params, "ref-params"),
        )  # fmt: skip
        folder = _built(request, out, None if suggest else json)
        if suggest:
            given = beta is not None and radius is not None
            _suggested(folder, theta, seed, json, given)


def _built(request: Any, out: str | None, json: str | None) -> Any:
    from sailtheory.preference_data.build import build
    from sailtheory.report.json_file import write
    from sailtheory.report.preference_data import print_import

    with Progress() as progress:
        folder = build(request, progress)
    print_import(console_for(json), folder.report, out)
    if json is not None:
        write({"schema": "sailtheory.import/1"} | folder.report, json)
    return folder


def _suggested(folder: Any, theta: Any, seed: int, json: str | None, given: bool) -> None:
    from sailtheory.preference_data.suggest import suggest
    from sailtheory.report.json_file import write
    from sailtheory.report.preference_data import print_suggestion

    with Progress() as progress:
        progress("fitting")
        found = suggest(folder, seed, theta, given)
    print_suggestion(console_for(json), found)
    if json is not None:
        write(found, json)


def _require(**options: Any) -> None:
    for name, value in options.items():
        if value is None:
            raise InputError(name, "not given", f"--{name} is expected (or --suggest, a guide)")


def _fittable(text: str | None, name: str) -> Any:
    """A number, ``fit``, or None."""
    if text is None or text == "fit":
        return text
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise InputError(name, text, "a number, or fit, is expected")
    return number
