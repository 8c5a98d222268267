"""Metrics of a run as Parquet, beside ``metrics.csv``.

Columns: ``step`` (int64), ``name`` (text, dictionary-encoded), ``value`` (float64, null where
the value is no number) and ``text`` (null where it is one), in the order logged. The
file's metadata hold the content of ``run.json`` under ``sailtheory.run``, so that a file that
was moved still tells what it measured.
"""

from __future__ import annotations

import io
from pathlib import Path

from sailtheory.extras import require_extra
from sailtheory.runs.layout import RUN
from sailtheory.runs.read import read_record
from sailtheory.storage.files import write_bytes

__all__ = ["require_parquet", "write_parquet"]

FILE = "metrics.parquet"
KEY = b"sailtheory.run"


def require_parquet() -> None:
    """Refuse, before work is spent, where the library is missing.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    require_extra("rl", "pyarrow")


def write_parquet(folder: str | Path) -> Path:
    """Write the metrics of a run, finished or not, as ``RUN/metrics.parquet``.

    Args:
        folder: Of the run.

    Returns:
        The file, written atomically.

    Raises:
        InputError: No run there, a damaged one, or a file that cannot be written.
        MissingExtra: pyarrow is not installed.
    """
    require_parquet()
    import pyarrow as pa
    from pyarrow import parquet

    record = read_record(folder)
    folder, rows = record.folder, record.rows
    numbers = [_number(value) for _, _, value in rows]
    table = pa.table(
        {
            "step": pa.array([step for step, _, _ in rows], pa.int64()),
            "name": pa.array([name for _, name, _ in rows], pa.string()).dictionary_encode(),
            "value": pa.array(numbers, pa.float64()),
            "text": pa.array(
                [v if n is None else None for n, (_, _, v) in zip(numbers, rows, strict=True)],
                pa.string(),
            ),
        },
        metadata={KEY: (folder / RUN).read_bytes()},
    )
    content = io.BytesIO()
    parquet.write_table(table, content)
    write_bytes(content.getvalue(), folder / FILE, "parquet")
    return folder / FILE


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
