"""What every result can do: show itself in a notebook, fill a table, draw on axes."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["Shown"]


class Shown:
    """A result. How it looks is not its own matter: ``sailtheory.report.notebook`` knows."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({_looks().headline(self)})"

    def __str__(self) -> str:
        text: str = _looks().text(self)
        return text

    def _repr_html_(self) -> str:
        html: str = _looks().html(self)
        return html

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame`` of the numbers.

        Raises:
            MissingExtra: pandas is not installed.
        """
        return _looks().frame(self)

    def plot(self, ax: Any = None, **line: Any) -> Any:
        """Draw on axes of matplotlib.

        Args:
            ax: The axes; by default those of a new figure.
            line: Keyword arguments of the main line or marks, such as ``color`` or ``label``.

        Returns:
            The axes.

        Raises:
            InputError: A result that has nothing to draw.
        """
        return _looks().draw(self, ax, line)


def _looks() -> Any:
    # By name: results stand below the reports that show them.
    return import_module("sailtheory.report.notebook")
