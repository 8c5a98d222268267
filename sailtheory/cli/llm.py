"""``sailtheory train llm``: language models."""

from __future__ import annotations

import logging
import os
import socket
import sys
import warnings
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import typer

from sailtheory.errors import InputError
from sailtheory.extras import require_extra


def llm(
    model: Annotated[str, typer.Option(help="smollm2-135m, a folder, or a name of the hub.")],
    data: Annotated[str, typer.Option(help="FILE.jsonl, a data set of the hub, or prompts.")],
    out: Annotated[str, typer.Option(help="Folder of the run.")],
    method: Annotated[
        Literal["sft", "dpo", "online-dpo", "sail-ddp", "sail-dpp", "sail-dpr"] | None,
        typer.Option(help="The loss."),
    ] = None,
    kl_coef: Annotated[
        float | None, typer.Option(min=0, help="γ, the weight of KL(π_ref‖π_θ).")
    ] = None,
    policy_kl_coef: Annotated[
        float | None, typer.Option(min=0, help="The weight of KL(π_θ‖π_ref).")
    ] = None,
    tune: Annotated[
        Literal["lora", "last-block", "full"] | None, typer.Option(help="What is trained.")
    ] = None,
    reward: Annotated[
        str | None,
        typer.Option(
            help="kind-and-brief (the default), vader, length:WORDS, keywords:A,B, format:REGEX "
            "or a classifier."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of everything random.")] = None,
    steps: Annotated[int | None, typer.Option(help="Updates; default whole epochs.")] = None,
    split: Annotated[
        str | None, typer.Option(help="Of a data set of the hub; of prompts, train or held-out.")
    ] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, such as learning_rate=5e-6.")
    ] = None,
    config: Annotated[str | None, typer.Option(help="A TOML file of settings.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what is there.")] = False,
) -> None:
    """Train a language model by SFT, DPO, SAIL or SAIL-RevKL.

    Files are JSONL in TRL's, UltraFeedback's or PKU-SafeRLHF's format; `prompts` is a shipped
    list. Settings that are not named have the defaults of SAILConfig. The trained model lies in
    OUT/model, the record of the run in OUT/record.
    """
    from sailtheory.storage.config import assignments
    from sailtheory.storage.readers import read_toml

    named: dict[str, Any] = {
        "model": model, "data": data, "method": method, "kl_coef": kl_coef,
        "policy_kl_coef": policy_kl_coef, "tune": tune, "reward": reward, "seed": seed,
        "split": split,
    }  # fmt: skip
    given = [read_toml(config)] if config is not None else []
    given.append(assignments(change or []))
    for key in named:
        if any(key in source for source in given):
            raise InputError(key, "set", f"the option --{key.replace('_', '-')}")
    require_extra("llm", "torch", "transformers", "accelerate", "peft")
    chosen = {key: value for key, value in (named | {"steps": steps}).items() if value is not None}
    with warnings.catch_warnings():
        _quietly()
        from sailtheory.training.llm.train import choices, train

        print(f"done: {train(choices(*given, chosen), out, resume=resume, say=_note)}")


def _note(line: str) -> None:
    print(f"sailtheory: note: {line}", file=sys.stderr)


def _quietly() -> None:
    """No hub asked again and again without a network, no bars outside a terminal, plain warnings.

    What is changed of warnings holds until the ``catch_warnings`` around the call ends.
    """
    hub = urlsplit(os.environ.get("HF_ENDPOINT") or "https://huggingface.co").hostname
    try:
        socket.getaddrinfo(hub, None)
    except OSError:
        os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    from transformers.utils import logging as progress

    if not sys.stderr.isatty():
        progress.disable_progress_bar()  # type: ignore[no-untyped-call]
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    warnings.showwarning = _one_line
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    logging.getLogger("transformers.modeling_utils").addFilter(_no_table)


def _no_table(record: logging.LogRecord) -> bool:
    """Not the table of weights that a model lacks: it is refused, in one line."""
    return "LOAD REPORT" not in str(record.msg)


def _one_line(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning as a user reads it: without the line of source that gave it."""
    print(f"sailtheory: warning: {' '.join(str(message).split())}", file=sys.stderr)
