"""Embeddings of all responses, written as they come, so that interrupted work goes on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sailtheory.errors import InputError
from sailtheory.preference_data.collect import Prompt
from sailtheory.preference_data.encoders import Encoder

__all__ = ["discard", "embed"]

_BLOCK = 256


def embed(
    prompts: Sequence[Prompt],
    name: str,
    out: Path,
    progress: Callable[[str], None] = lambda stage: None,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Features of all responses, in the order of the prompts.

    They are appended to a file beside ``out``. After an interruption the rows that are there are
    taken, if texts and model are the same; :func:`discard` removes them.

    Args:
        prompts: With their responses.
        name: ``minilm``, or a causal language model.
        out: The problem folder to be.
        progress: Called with a line after each block.

    Returns:
        (N, d) float32, mapped; and what to say of them.

    Raises:
        InputError: No such model, or the file cannot be written.
    """
    encoder = Encoder(name)
    texts = [(prompt.turns, text) for prompt in prompts for text in prompt.responses]
    key = hashlib.sha256(encoder.identity.encode())
    for turns, text in texts:
        key.update(json.dumps([turns, text]).encode())
    work = _place(out)
    rows, width = work / "rows.f32", encoder.dimension * 4
    try:
        work.mkdir(parents=True, exist_ok=True)
        done = _resumed(work, key.hexdigest(), width)
        with open(rows, "ab") as file:
            for first in range(done, len(texts), _BLOCK):
                progress(f"embedding, {first} of {len(texts)} responses")
                block = encoder.encode(texts[first : first + _BLOCK])
                if not np.isfinite(block).all():
                    raise InputError("embed", name, "a model whose hidden states are finite")
                file.write(block.tobytes())
                file.flush()
                os.fsync(file.fileno())
    except OSError as error:
        raise InputError("out", work, error.strerror or "it cannot be written") from None
    features = np.memmap(rows, dtype=np.float32, mode="r").reshape(len(texts), encoder.dimension)
    return features, encoder.about() | {"resumed_after": done}


def discard(out: Path) -> None:
    """Remove the file beside a folder that has its rows now."""
    shutil.rmtree(_place(out), ignore_errors=True)


def _place(out: Path) -> Path:
    return out.absolute().with_name(f".{out.absolute().name}.embedding")


def _resumed(work: Path, key: str, width: int) -> int:
    """How many whole rows of these texts and this model are there; the rest is cut off."""
    note, rows = work / "key", work / "rows.f32"
    if not note.is_file() or note.read_text() != key or not rows.is_file():
        rows.write_bytes(b"")
        note.write_text(key)
        return 0
    whole = rows.stat().st_size // width
    os.truncate(rows, whole * width)
    return int(whole)
