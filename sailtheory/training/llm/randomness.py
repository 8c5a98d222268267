"""The global generators of Python, NumPy and torch: set from the seed, and kept from drifting.

What is drawn here has generators of its own. Adapters of peft, the sampler of the data, dropout
and rewards of the user draw from the global ones.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from transformers import enable_full_determinism, set_seed

from sailtheory.training.llm.config import SAILConfig

__all__ = ["randomness_preserved", "seed_everything"]


def seed_everything(args: SAILConfig) -> None:
    """Set them by ``seed``."""
    (enable_full_determinism if args.full_determinism else set_seed)(args.seed)


@contextmanager
def randomness_preserved() -> Iterator[None]:
    """They go on afterwards as if nothing had been drawn."""
    plain, array = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(plain)
        np.random.set_state(array)
