"""Where a file that grows and is rotated was read to, and which file is to be read next.

In: the position as the buffer keeps it, the folder that the file is in. Out: an open file at the place to go on from:
of files that were renamed and not read to their end the oldest, and then the one that has the name now.

A file is known by its inode and by bytes that were read of it, because disks give the inode of a deleted file to the
next one; a copy of it, made before it was cut to nothing, by those bytes alone.
"""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self
from zlib import crc32

_ROTATED = re.compile(r"[-._]?\d[-._:T\d]*")
"""How a file's name goes on when it has been rotated: a number or a date; not what was compressed, or is a lock."""

_MARKED = 256
"""Bytes at the beginning of what was read, and at its end, by which it is known again."""


class Place(NamedTuple):
    """`latest`: when any of what was read had last been written to, nanoseconds; `mark`: of bytes read."""

    inode: int
    offset: int
    latest: int
    mark: int

    @classmethod
    def of(cls, file: BinaryIO, offset: int, before: Self | None) -> Self:
        """Up to `offset` of this file, after what had been read `before`."""
        status = os.fstat(file.fileno())
        latest = max(status.st_mtime_ns, before.latest if before is not None else 0)
        return cls(status.st_ino, offset, latest, _mark(file, offset))

    @classmethod
    def read(cls, text: str) -> Self | None:
        """As `str` has written it; None if nothing was ever read."""
        return cls(*map(int, text.split())) if text else None

    def __str__(self) -> str:
        return " ".join(map(str, self))

    def is_in(self, file: BinaryIO) -> bool:
        """Whether this is the file, not cut since, or its copy."""
        return _mark(file, self.offset) == self.mark


def next_file(path: Path, place: Place | None) -> tuple[BinaryIO, int] | None:
    """The file to be read now, and from where; None if there is none yet."""
    with suppress(OSError):
        current = path.open("rb")
        if place is None:
            return current, 0
        if os.fstat(current.fileno()).st_ino == place.inode and place.is_in(current):
            return current, place.offset
        before = _left(path, place)
        if before is None:
            return current, 0
        current.close()
        return before
    return None


def _left(path: Path, place: Place) -> tuple[BinaryIO, int] | None:
    """The rest of the file that was being read, or else the oldest that was written to after all that was read."""
    unread: list[tuple[int, Path]] = []
    for other in path.parent.iterdir():
        if other.name == path.name or not other.name.startswith(path.name) or not other.is_file():
            continue
        with suppress(OSError):
            file = other.open("rb")
            status = os.fstat(file.fileno())
            known = place.is_in(file)
            if known and status.st_size > place.offset:
                return file, place.offset
            file.close()
            rotated = _ROTATED.fullmatch(other.name[len(path.name) :])
            if rotated and not known and status.st_size and status.st_mtime_ns > place.latest:
                unread.append((status.st_mtime_ns, other))
    return (min(unread)[1].open("rb"), 0) if unread else None


def _mark(file: BinaryIO, offset: int) -> int:
    number, most = file.fileno(), min(offset, _MARKED)
    return crc32(os.pread(number, most, offset - most), crc32(os.pread(number, most, 0)))
