"""``sailtheory fetch``: language models that pip can install."""

from __future__ import annotations

from typing import Annotated

import typer

from sailtheory.cli.common import Progress
from sailtheory.extras import require_extra


def fetch(
    model: Annotated[
        str,
        typer.Argument(help="smollm2-135m (SmolLM2-135M-Instruct, 98 MB) or minilm (84 MB)."),
    ],
) -> None:
    """Install a small model into the cache: a language model, or an encoder for `problem --embed`.

    The cache is $SAILTHEORY_CACHE, or the user's cache folder.
    """
    from sailtheory.preference_data import encoders

    if model in encoders.SOURCES:
        with Progress() as stage:
            stage(f"fetching {encoders.SOURCES[model].note}")
            folder = encoders.fetch(model)
        print(f"{model}: {folder}")
        return
    require_extra("llm", "torch", "transformers", "gguf")
    from sailtheory.training.llm.fetch import SOURCES
    from sailtheory.training.llm.fetch import fetch as fetch_model

    with Progress() as stage:
        stage(f"fetching {SOURCES[model].note if model in SOURCES else model}")
        folder = fetch_model(model)
    print(f"{model}: {folder}")
