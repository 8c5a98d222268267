"""Metrics of a run for TensorBoard, beside ``metrics.csv``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sailtheory.extras import require_extra

__all__ = ["Mirror"]

FOLDER = "tensorboard"


class Mirror:
    """Writes rows that have reached the disk as scalars into ``RUN/tensorboard``.

    Args:
        folder: Folder of the run.
        step: Step from which a resumed run goes on: what TensorBoard was shown beyond it
            is withdrawn.

    Raises:
        MissingExtra: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, step: int | None) -> None:
        require_extra("rl", "torch", "tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        purge = None if step is None else step + 1
        self._writer = SummaryWriter(str(folder / FOLDER), purge_step=purge)

    def write(self, rows: Iterable[tuple[int, str, float | int | str]]) -> None:
        """Show rows; text has no curve and is left out."""
        for step, name, value in rows:
            if not isinstance(value, str):
                self._writer.add_scalar(name, value, step)
        self._writer.flush()
