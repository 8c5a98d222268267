"""Which assumptions of the theory hold along a training run: what a run shows, line by line."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sailtheory.run_audit.callback import AuditCallback
    from sailtheory.run_audit.recorder import AuditLog

__all__ = ["AuditCallback", "AuditLog"]

_WHERE = {"AuditCallback": "callback", "AuditLog": "recorder"}


def __getattr__(name: str) -> Any:
    """What records a run needs torch, what reads a log does not: imported when asked for."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
