"""Rows from JSONL, JSON, CSV and Parquet files, saved data sets and the hub, each with its place.

A file that is cut off, or that is not what it says, is refused: it never counts as whole.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from sailtheory.errors import InputError
from sailtheory.extras import require_extra
from sailtheory.storage.readers import DuplicateError, once, parse_json

__all__ = ["read_rows"]

Rows = Iterator[tuple[str, Any]]

_TEXT = (".jsonl", ".ndjson", ".json", ".csv", ".tsv")
_LONGEST_CELL = 1 << 30


def read_rows(source: str | Path, split: str | None = None, config: str | None = None) -> Rows:
    """The rows of a data set, each with its place for messages.

    Args:
        source: A file (.jsonl, .json, .csv, .tsv, each also .gz; .parquet), a folder that
            ``datasets`` saved, or the name of a data set of the hub.
        split: Of a saved data set with several, or of the hub (default ``train``).
        config: Of a data set of the hub that has several.

    Raises:
        InputError: In one line, with the place.
        MissingExtra: Parquet, saved data sets and the hub need the extra ``data``.
    """
    path = Path(source)
    if path.is_dir():
        return _saved(path, split)
    if not path.exists() and path.suffix not in (*_TEXT, ".gz", ".parquet"):
        return _hub(str(source), split or "train", config)
    for option, value in (("split", split), ("config", config)):
        if value is not None:
            raise InputError(option, value, "none: a file is taken as a whole")
    if path.suffix == ".parquet":
        return _parquet(path)
    kind = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if kind not in _TEXT:
        accepted = f"a file that ends in {', '.join(_TEXT)}, one of these with .gz, or in .parquet"
        raise InputError("data", source, accepted)
    return _csv(path) if kind in (".csv", ".tsv") else _json(path)


# --- text ---------------------------------------------------------------------


def _opened(path: Path) -> IO[bytes]:
    try:
        file = open(path, "rb")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError("data", path, reason) from None
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    if path.suffix == ".gz" and not packed:
        file.close()
        raise InputError("data", path, "a gzip file is expected, as its name says")
    return gzip.open(file) if packed else file  # type: ignore[return-value]


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, unpacked, without a byte order mark; a damaged one is refused."""
    with _opened(path) as file:
        try:
            for number, line in enumerate(file):
                yield line.removeprefix(b"\xef\xbb\xbf") if number == 0 else line
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError("data", path, f"truncated or damaged gzip: {error}") from None
        except OSError as error:
            raise InputError("data", path, error.strerror or str(error)) from None


def _json(path: Path) -> Rows:
    lines = _lines(path)
    for number, line in enumerate(lines, 1):
        if number == 1 and path.suffixes[0] == ".json" and line.lstrip().startswith(b"["):
            yield from _json_list(path, b"".join([line, *lines]))
            return
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = parse_json(line.decode("utf-8"), finite=False)
        except DuplicateError as error:
            raise InputError("data", where, str(error)) from None
        except (ValueError, RecursionError) as error:
            whole = line.endswith(b"\n")
            reason = f"not JSON: {error}" if whole else "truncated: the last line is not complete"
            raise InputError("data", where, reason) from None
        yield where, row


def _json_list(path: Path, content: bytes) -> Rows:
    try:
        rows = parse_json(content.decode("utf-8"), finite=False)
    except (ValueError, RecursionError) as error:
        raise InputError("data", path, f"not a JSON list of objects: {error}") from None
    yield from ((f"{path}[{place}]", row) for place, row in enumerate(rows))


def _csv(path: Path) -> Rows:
    csv.field_size_limit(_LONGEST_CELL)
    decoded = (_decoded(line, path, number) for number, line in enumerate(_lines(path), 1))
    first = next(decoded, "")
    delimiter = max(",;\t|", key=lambda mark: len(next(csv.reader([first], delimiter=mark), [])))
    reader = csv.reader(_chained(first, decoded), delimiter=delimiter, strict=True)
    names: list[str] = []
    number = 0
    try:
        for cells in reader:
            if not names:
                names = [name.strip() for name in cells]
                once(names)
            elif cells:
                number += 1
                where = f"{path} row {number}"
                if len(cells) != len(names):
                    found = f"{len(cells)} cells"
                    accepted = f"{len(names)} are expected, as the header has"
                    raise InputError(where, found, accepted)
                yield where, {n: c if c else None for n, c in zip(names, cells, strict=True)}
    except csv.Error as error:
        accepted = f"not CSV, or truncated: {error}"
        raise InputError("data", f"{path}:{reader.line_num}", accepted) from None
    except DuplicateError as error:
        raise InputError("data", path, f"column {error}") from None


def _chained(first: str, rest: Iterable[str]) -> Iterator[str]:
    if first:
        yield first
    yield from rest


def _decoded(line: bytes, path: Path, number: int) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("data", f"{path}:{number}", f"not UTF-8 text: {error}") from None


# --- tables -------------------------------------------------------------------


def _parquet(path: Path) -> Rows:
    require_extra("data", "pyarrow")
    import pyarrow.parquet as parquet

    try:
        content = path.read_bytes() if path.stat().st_size < 1 << 20 else None
        file = parquet.ParquetFile(path if content is None else io.BytesIO(content))
    except OSError as error:
        raise InputError("data", path, _reason(error)) from None
    except Exception as error:  # what pyarrow raises on damaged files
        raise InputError("data", path, f"truncated, or not Parquet: {_reason(error)}") from None
    number = 0
    batches = file.iter_batches(batch_size=256)
    while True:
        try:
            batch = next(batches, None)
            rows = [] if batch is None else batch.to_pylist()
        except Exception as error:
            raise InputError("data", path, f"truncated, or not Parquet: {_reason(error)}") from None
        if batch is None:
            break
        for row in rows:
            number += 1
            yield f"{path} row {number}", row
    if number != file.metadata.num_rows:
        accepted = f"{file.metadata.num_rows} are expected, as the file says"
        raise InputError("data", f"{number} rows in {path}", accepted)


def _saved(path: Path, split: str | None) -> Rows:
    require_extra("data", "datasets")
    from datasets import DatasetDict, load_from_disk

    try:
        found = load_from_disk(str(path))
    except Exception as error:  # what the library raises on damaged folders
        accepted = f"a data set that `save_to_disk` wrote is expected ({_reason(error)})"
        raise InputError("data", path, accepted) from None
    if isinstance(found, DatasetDict):
        if split not in found:
            accepted = f"--split, one of {', '.join(found)}, is expected"
            raise InputError("split", split, accepted)
        found = found[split]
    elif split is not None:
        raise InputError("split", split, "none: this data set has no splits")
    return _numbered(found, str(path))


def _hub(name: str, split: str, config: str | None) -> Rows:
    require_extra("data", "datasets")
    from datasets import load_dataset

    try:
        found = load_dataset(name, config, split=split)
    except Exception as error:  # whatever the library and the network may raise
        accepted = (
            "a file, a folder of a saved data set, or a data set of the hub that can be found: "
            f"run `hf download {name} --repo-type dataset` where there is a network "
            f"({_reason(error)})"
        )
        raise InputError("data", name, accepted) from None
    return _numbered(found, name)


def _numbered(rows: Any, source: str) -> Rows:
    """Rows of a data set; one cut short is not taken for whole."""
    number = 0
    try:
        for row in rows:
            number += 1
            yield f"{source} row {number}", row
    except (OSError, ValueError) as error:
        raise InputError("data", f"{source} row {number + 1}", _reason(error)) from None
    if number != len(rows):
        raise InputError("data", f"{number} rows in {source}", f"{len(rows)} are expected")


def _reason(error: BaseException) -> str:
    return " ".join((getattr(error, "strerror", None) or str(error)).split())[:160]
