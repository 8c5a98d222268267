"""``python -m docs.generate.trainer``: renew the tables of docs/llm-training.md from the code.

Each stands between ``<!-- NAME -->`` and ``<!-- end -->``; the rest of the page is written by hand.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

from sailtheory.storage.files import write_text
from sailtheory.training.llm import adapters, formats, losses
from sailtheory.training.llm.config import Settings
from sailtheory.training.llm.transformers_settings import TRANSFORMERS_UNSUPPORTED
from sailtheory.training.llm.trl_settings import TRL_UNSUPPORTED

PAGE = Path(__file__).parents[1] / "llm-training.md"
_SHOWN = (
    "method", "beta", "score_weight", "kl_coef", "policy_kl_coef", "kl_estimator",
    "learning_rate", "num_train_epochs", "per_device_train_batch_size",
    "gradient_accumulation_steps", "save_steps", "seed", "tune", "temperature", "max_new_tokens",
    "log_kl_steps", "log_completions_steps", "router_aux_loss_coef", "disable_dropout",
)  # fmt: skip
_BLOCK = re.compile(r"<!-- ([\w-]+) -->\n.*?<!-- end -->\n", re.S)


def tables() -> dict[str, str]:
    """All of them by name, as Markdown."""
    return {
        "methods": _methods(),
        "defaults": _defaults(),
        "formats": _formats(),
        "adapters": textwrap.fill(", ".join(adapters.KINDS), 96) + "\n",
        "refused-of-trl": _refused(TRL_UNSUPPORTED),
        "refused-of-transformers": _refused(TRANSFORMERS_UNSUPPORTED),
    }


def renewed(page: str) -> str:
    """A page with its tables as the code has them now."""
    found = tables()
    return _BLOCK.sub(lambda block: f"<!-- {block[1]} -->\n{found[block[1]]}<!-- end -->\n", page)


def names(page: str) -> list[str]:
    """The tables that a page has, in order."""
    return [block[1] for block in _BLOCK.finditer(page)]


def _defaults() -> str:
    given = Settings()
    rows = ((f"`{name}`", f"`{getattr(given, name)}`") for name in _SHOWN)
    return _table(("setting", "default"), rows)


def _methods() -> str:
    rows = ((f"`{name}`", losses.WHAT[name]) for name in losses.METHODS)
    return _table(("method", "what it follows"), rows)


def _formats() -> str:
    lines = [line for line in str(formats.__doc__).splitlines() if line.startswith("|")]
    return "\n".join(lines).replace("``", "`") + "\n"


def _refused(settings: dict[str, tuple[tuple[Any, ...], str]]) -> str:
    rows = (
        (f"`{name}`", " or ".join(f"`{value}`" for value in values), reason)
        for name, (values, reason) in sorted(settings.items())
    )
    shown = ((name, values, reason.removeprefix("not offered: ")) for name, values, reason in rows)
    return _table(("setting", "accepted", "any other value is refused, because"), shown)


def _table(head: tuple[str, ...], rows: Any) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    write_text(renewed(PAGE.read_text(encoding="utf-8")), PAGE)
