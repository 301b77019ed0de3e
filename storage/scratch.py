"""A folder of this process for what does not fit into memory; it goes when the process does, however it ends.

In: the folder that all processes of a kind share. Out: an own one in it. A lock file beside each says that its process
lives: folders whose lock is free are removed by the next process that comes.
"""

import fcntl
import os
import shutil
from pathlib import Path
from uuid import uuid4

_LOCK = ".lock"


class Scratch:
    """`open`, then `path` is there until `close`."""

    def __init__(self, folder: Path) -> None:
        self._mine = f"{os.getpid()}-{uuid4().hex}"
        self.path = folder / self._mine
        self._lock: int | None = None

    def open(self) -> None:
        """Make it; forget what processes have left here when they died. Raises `OSError`."""
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(self.path.with_suffix(".new"))
        self.path.with_suffix(".new").rename(self.path.with_suffix(_LOCK))
        for lock in self.path.parent.glob(f"*{_LOCK}"):
            if lock.stem != self._mine and (handle := _locked(lock)) is not None:
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                lock.unlink(missing_ok=True)
                os.close(handle)

    def close(self) -> None:
        """Leave nothing there."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            self.path.with_suffix(_LOCK).unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None


def _locked(path: Path) -> int | None:
    """An open handle that holds the file's lock until it is closed, or the process dies; None if another one has it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle
