"""Language models: the losses of SAIL and SAIL-RevKL, and a trainer. Needs ``sailtheory[llm]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sailtheory.extras import require_extra

if TYPE_CHECKING:
    from sailtheory.training.llm.config import SAILConfig
    from sailtheory.training.llm.trainer import SAILTrainer

__all__ = ["SAILConfig", "SAILTrainer"]

require_extra("llm", "torch")


def __getattr__(name: str) -> Any:
    """The two names are loaded on demand: losses alone need torch alone."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    require_extra("llm", "transformers", "accelerate")
    if name == "SAILConfig":
        from sailtheory.training.llm.config import SAILConfig

        return SAILConfig
    from sailtheory.training.llm.trainer import SAILTrainer

    return SAILTrainer
