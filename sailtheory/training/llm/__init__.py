"""Language models: the losses of SAIL and SAIL-RevKL, and a trainer. Needs ``sailtheory[llm]``."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from sailtheory.errors import InputError

if TYPE_CHECKING:
    from sailtheory.training.llm.config import SAILConfig
    from sailtheory.training.llm.trainer import SAILTrainer

__all__ = ["SAILConfig", "SAILTrainer"]


def __getattr__(name: str) -> Any:
    """The two names are loaded on demand: losses alone need torch only."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for library in ("transformers", "accelerate"):
        if find_spec(library) is None:
            raise InputError(library, "not installed", "pip install sailtheory[llm]")
    if name == "SAILConfig":
        from sailtheory.training.llm.config import SAILConfig

        return SAILConfig
    from sailtheory.training.llm.trainer import SAILTrainer

    return SAILTrainer
