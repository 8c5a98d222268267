"""A file that only grows, of which as much counts as a checkpoint remembers.

What is appended reaches the disk before the checkpoint that counts it. Going back to a
checkpoint cuts the file to the length it had then, whose checksum must be the one
remembered; whatever a failed or killed attempt has left lies behind and is written over.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path

from sailtheory.errors import InputError

__all__ = ["AppendOnlyFile"]


class AppendOnlyFile:
    """Bytes in a file, made by :meth:`cut`.

    Args:
        path: The file.
        field: What errors call it.
        header: Its first bytes; without any, the file is only made when it is needed.

    Attributes:
        end: Bytes that count; None before :meth:`cut`.
        crc: Their CRC-32.
    """

    def __init__(self, path: Path, field: str, header: bytes = b"") -> None:
        self.path, self.field, self.header = path, field, header
        self.end: int | None = None
        self.crc = 0

    def content(self) -> bytes:
        """The bytes that count.

        Raises:
            InputError: The file holds fewer, or cannot be read.
        """
        return self._read(self.end or 0)

    def check(self, end: int, crc: int) -> None:
        """Refuse a file whose first ``end`` bytes have another checksum than ``crc``.

        Raises:
            InputError: They have, or there are fewer.
        """
        if zlib.crc32(self._read(end)) != crc:
            raise InputError(self.field, self.path, "not what the checkpoint knows")

    def cut(self, end: int, crc: int) -> None:
        """Keep the first ``end`` bytes, whose checksum is ``crc``; with 0, begin anew.

        Raises:
            InputError: The file cannot be written.
        """
        try:
            if end:
                os.truncate(self.path, end)
            elif self.header:
                self.path.write_bytes(self.header)
                end, crc = len(self.header), zlib.crc32(self.header)
            else:
                self.path.unlink(missing_ok=True)
        except OSError as error:
            raise self._failed(error, "it cannot be written") from None
        self.end, self.crc = end, crc

    def append(self, content: bytes) -> None:
        """Write behind the bytes that count, and wait until the disk holds it.

        Raises:
            InputError: No space left, for example; nothing more counts then.
        """
        assert self.end is not None
        if not content:
            return
        try:
            with open(self.path, "r+b" if self.end else "wb") as file:
                file.seek(self.end)
                file.write(content)
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise self._failed(error, "it cannot be written") from None
        self.end, self.crc = self.end + len(content), zlib.crc32(content, self.crc)

    def _read(self, end: int) -> bytes:
        if not end:
            return b""
        try:
            with open(self.path, "rb") as file:
                content = file.read(end)
        except OSError as error:
            raise self._failed(error, "it cannot be read") from None
        if len(content) != end:
            raise InputError(self.field, self.path, "not what the checkpoint knows")
        return content

    def _failed(self, error: OSError, otherwise: str) -> InputError:
        return InputError(self.field, self.path, error.strerror or otherwise)
