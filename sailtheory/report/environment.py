"""What a result was made with."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

__all__ = ["environment"]

_LIBRARIES = ("numpy", "scipy", "sympy", "mpmath", "python-flint", "torch")


def environment() -> dict[str, str]:
    """Versions of sailtheory, of Python and of the libraries that results rest on."""
    from sailtheory import __version__

    found = {
        "sailtheory": __version__,
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}".strip(),
    }
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
