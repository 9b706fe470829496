"""The file of the output."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path
from typing import BinaryIO, Self

from msgspec import UNSET

from pool.cli.map.contents import Contents, read_contents
from pool.cli.map.records import Record, encode


class Unusable(Exception):
    """A file is not what it should be. Nothing in it was changed."""


class Output:
    """Only ever added to, by one run at a time, in whole lines.

    `earlier` is what was found in it; since then so many items were `added`, of
    which so many have `failed`. Raises `Unusable` if it cannot be opened, is no
    regular file, is the input, or is being written by another run.
    """

    def __init__(self, path: Path, source: BinaryIO) -> None:
        self._path = path
        self.earlier = Contents()
        self.added = self.failed = 0
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            self._fd = os.open(path, flags, 0o666)
        except OSError as error:
            raise Unusable(f"{path}: {error.strerror}") from None
        try:
            self._size = self._claim(source)
        except BaseException:
            os.close(self._fd)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    @property
    def is_begun(self) -> bool:
        """Whether there is anything in it."""
        return self._size > 0

    def recover(self, items: int) -> None:
        """Learn what is done of an input of so many lines; remove a last line that was cut off.

        Raises `Unusable` if it is not the output of an earlier run.
        """
        with open(self._fd, "rb", buffering=0, closefd=False) as file:
            try:
                self.earlier, self._size = read_contents(file, items)
            except ValueError as error:
                raise Unusable(f"{self._path} cannot be gone on with: {error}") from None
        os.ftruncate(self._fd, self._size)

    def write(self, records: list[Record]) -> None:
        """Add records. If that fails, with an `OSError`, none of them was added."""
        data = memoryview(encode(records))
        size = self._size + len(data)
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            os.ftruncate(self._fd, self._size)
            raise
        self._size = size
        self.added += len(records)
        self.failed += sum(record.error is not UNSET for record in records)

    def _claim(self, source: BinaryIO) -> int:
        """See that it is a file for us alone until it is closed; return its size."""
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            raise Unusable(f"{self._path} is no regular file")
        if os.path.samestat(status, os.fstat(source.fileno())):
            raise Unusable(f"{self._path} is the input, too")
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unusable(f"{self._path} is being written by another run") from None
        return os.fstat(self._fd).st_size
