"""One process at a time: a lock that the system lets go of when its holder ends, also by `kill -9`."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from headwater.errors import ConfigError


@contextmanager
def process_lock(path: Path, what: str) -> Generator[None, None, None]:
    """Hold the lock file; raises `ConfigError` naming the process that has `what`. The file itself stays."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise ConfigError(f"cannot write in the folder {path.parent}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(handle, 32).decode("ascii", "replace").strip() or "unknown"
            raise ConfigError(f"{what} is in use by another process (pid {owner}); stop that one first") from None
        os.ftruncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        yield
    finally:
        os.close(handle)
