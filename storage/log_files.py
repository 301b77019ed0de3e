"""What the program says and who changed what, as files in the lake's place: gzip of JSON lines, in a folder a day.

In: lines, and a name that is theirs alone. Out: `logs/service/date=YYYY-MM-DD/….jsonl.gz` and `logs/audit/date=…`. A
file is there whole or not at all, and never changes. Whoever opens one needs nothing of Headwater: see decision 013.
"""

import gzip
import zlib
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

from storage.listed import Listed

SERVICE = "logs/service"
AUDIT = "logs/audit"
ENDING = ".jsonl.gz"
_DAY = "date="


class LogFiles(Protocol):
    """What is asked of a place: a folder here, or one in a bucket. All of it blocks, and raises `OSError`."""

    def put_new(self, path: str, data: bytes) -> None:
        """Write it whole unless it is there: then `FileExistsError`. Of several rivals one wins."""
        ...

    def read(self, path: str) -> bytes:
        """All of it."""
        ...

    def list(self, folder: str) -> Sequence[Listed]:
        """The files of a folder; none if there is no such folder."""
        ...

    def folders(self, folder: str) -> Sequence[str]:
        """The paths of the folders in a folder; none if there is no such folder."""
        ...

    def drop(self, folder: str) -> None:
        """Remove a folder, if it is there, with the files in it."""
        ...


def path_of(folder: str, day: str, name: str) -> str:
    """Where the file of that day (`YYYY-MM-DD`) and name is."""
    return f"{folder}/{_DAY}{day}/{name}{ENDING}"


def day_of(time: int) -> str:
    """Microseconds → `YYYY-MM-DD` in UTC."""
    return datetime.fromtimestamp(time // 1_000_000, UTC).strftime("%Y-%m-%d")


def put_lines(files: LogFiles, path: str, lines: Sequence[bytes]) -> bool:
    """Write the lines, each with its line end. False: there is a file of that name, with other content."""
    data = gzip.compress(b"".join(lines), 6, mtime=0)
    try:
        files.put_new(path, data)
    except FileExistsError:
        return files.read(path) == data
    return True


def read_lines(files: LogFiles, path: str) -> list[bytes]:
    """The lines of a file. Raises `OSError`, also for one that is not whole."""
    data = files.read(path)
    try:
        return gzip.decompress(data).splitlines()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise OSError(f"{path} is damaged: {error}") from error


def drop_days(files: LogFiles, folder: str, kept: float, time: int) -> list[str]:
    """Drop the days that ended more than `kept` seconds before `time` (microseconds); returns their folders."""
    gone: list[str] = []
    for path in files.folders(folder):
        with suppress(ValueError):  # a folder that is not ours
            day = date.fromisoformat(path.rpartition(_DAY)[2])
            end = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
            if end.timestamp() + kept < time / 1e6:
                files.drop(path)
                gone.append(path)
    return gone
