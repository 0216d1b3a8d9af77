"""Journal: rows of numbers on a disk as they come, one line each: a kill loses one at most.

    line 1   JSON: what the rows belong to
    others   base64 of: kind (1 byte), numbers (float64, little-endian), CRC-32 of both (4 bytes)

What a kill or a full disk has cut is cut off; a line that a disk has changed is passed over.
"""

import base64
import binascii
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from sac_ros.errors import UserError, WriteError

CRC_BYTES = 4
Row = tuple[int, np.ndarray]  # kind, 0 to 255, and numbers, float64


class Journal:
    """An open journal.  What is added has left this process when `add` returns."""

    def __init__(self, path: Path, owner: Mapping[str, object]) -> None:
        """Open or create the journal of an owner.  Raises UserError for another one's."""
        self._path = path
        self._header = json.dumps(owner).encode() + b'\n'
        self.damaged = 0  # lines that were passed over by `rows`
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._begin()
        except OSError as error:
            raise UserError(f'cannot open journal {path}: {error.strerror}') from error

    def rows(self) -> Iterator[Row]:
        """Read the rows that are there, oldest first."""
        with open(self._path, 'rb') as file:
            file.readline()
            for line in file:
                row = _row(line)
                if row is None:
                    self.damaged += 1
                else:
                    yield row

    def add(self, kind: int, numbers: np.ndarray) -> None:
        """Write a row behind the others.  Raises WriteError."""
        line = _line(kind, numbers)
        try:
            written = os.pwrite(self._file, line, self._end)
            if written < len(line):  # full: what fits was written, and the rest says why
                written += os.pwrite(self._file, line[written:], self._end + written)
        except OSError as error:
            raise WriteError(f'cannot write {self._path}: {error.strerror}') from error
        self._end += written

    def sync(self) -> None:
        """Have it on the disk itself, so that a power cut loses nothing.  Raises WriteError."""
        try:
            os.fsync(self._file)
        except OSError as error:
            raise WriteError(f'cannot write {self._path}: {error.strerror}') from error

    def close(self) -> None:
        """Close it."""
        os.close(self._file)

    def _begin(self) -> None:
        """Find the end of the last whole line, and cut off what is behind it."""
        data = self._path.read_bytes()
        if not data.startswith(self._header):
            if data and not self._header.startswith(data):
                found = data[:200].split(b'\n')[0].decode(errors='replace')
                raise UserError(
                    f'{self._path} is no journal of this contract: it begins with {found!r}'
                )
            data = self._header
            os.pwrite(self._file, data, 0)
        self._end = data.rindex(b'\n') + 1
        os.ftruncate(self._file, self._end)


def _line(kind: int, numbers: np.ndarray) -> bytes:
    data = bytes([kind]) + numbers.astype('<f8').tobytes()
    return base64.b64encode(data + zlib.crc32(data).to_bytes(CRC_BYTES, 'little')) + b'\n'


def _row(line: bytes) -> Row | None:
    """Return the row in a line, or None if it is not what was written."""
    try:
        content = base64.b64decode(line, validate=False)
    except binascii.Error:
        return None
    data, crc = content[:-CRC_BYTES], content[-CRC_BYTES:]
    if len(data) % 8 != 1 or zlib.crc32(data).to_bytes(CRC_BYTES, 'little') != crc:
        return None
    return data[0], np.frombuffer(data, '<f8', offset=1)
