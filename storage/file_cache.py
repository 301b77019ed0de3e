"""Copies of files that never change, on this machine, bounded in bytes; shared by all processes of the host.

In: names, and how one is fetched. Out: paths that stay while they are held. A copy is complete before it has a name.
Who holds one has a hard link of its own to it: so whoever removes the longest unused ones disturbs nobody, and a
process that dies leaves its links in a scratch folder that goes.
"""

import os
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

_AT_ONCE = 8
_LOOK_AFTER = 20
"""The folder is looked through whenever this part of its bound has come in: it may grow by as much beyond it."""


class _Kept(NamedTuple):
    used: float
    size: int
    path: Path


class FileCache:
    """`fetch(name, target)` writes a file whole, or raises `OSError`. `scratch`: of this process, on the same disk."""

    def __init__(self, folder: Path, scratch: Path, most: int, fetch: Callable[[str, Path], None]) -> None:
        self._folder = folder
        self._scratch = scratch
        self._most = most
        self._fetch = fetch
        self._threads = ThreadPoolExecutor(_AT_ONCE, "lake-fetch")
        self._lock = threading.Lock()
        self._holders: dict[str, int] = {}
        self._came = 0
        self._looking = threading.Lock()

    def close(self) -> None:
        """What is being fetched is still fetched."""
        self._threads.shutdown(cancel_futures=True)

    @contextmanager
    def held(self, names: Sequence[str]) -> Generator[list[str]]:
        """Paths of these files, fetched where they are not here. Raises what `fetch` raises."""
        ours = list(dict.fromkeys(names))
        with self._lock:
            for name in ours:
                self._holders[name] = self._holders.get(name, 0) + 1
        try:
            missing = [name for name in ours if not self._link(name)]
            for _ in self._threads.map(self._bring, missing):
                pass
            if missing:
                self._tidy_if_due()
            yield [str(self._mine(name)) for name in names]
        finally:
            self._let_go(ours)

    def keep(self, name: str, local: Path) -> None:
        """Take a file of the scratch folder that is going to be asked for; it is as good as fetched."""
        with suppress(OSError):
            self._came += local.stat().st_size
            self._name(local, self._folder / name)
            self._tidy_if_due()

    def drop(self, name: str) -> None:
        """Nobody will ask for it again."""
        with suppress(OSError):
            (self._folder / name).unlink(missing_ok=True)

    def _mine(self, name: str) -> Path:
        return self._scratch / "held" / name

    def _link(self, name: str) -> bool:
        """Whether it is here; then it is held."""
        kept, mine = self._folder / name, self._mine(name)
        mine.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(kept, mine)
        except FileExistsError:
            return True
        except FileNotFoundError:
            return False
        with suppress(FileNotFoundError):
            os.utime(kept, ns=(time.time_ns(), kept.stat().st_mtime_ns))
        return True

    def _bring(self, name: str) -> None:
        part = self._scratch / f"{uuid4().hex}.part"
        try:
            self._fetch(name, part)
            with suppress(FileExistsError):
                os.link(part, self._mine(name))
            self._came += part.stat().st_size
            self._name(part, self._folder / name)
        finally:
            part.unlink(missing_ok=True)

    def _name(self, local: Path, kept: Path) -> None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        local.replace(kept)

    def _let_go(self, names: Sequence[str]) -> None:
        with self._lock:
            for name in names:
                self._holders[name] -= 1
                if not self._holders[name]:
                    del self._holders[name]
                    self._mine(name).unlink(missing_ok=True)

    def _tidy_if_due(self) -> None:
        if self._came >= self._most // _LOOK_AFTER and self._looking.acquire(blocking=False):
            try:
                self._came = 0
                self._tidy()
            finally:
                self._looking.release()

    def _tidy(self) -> None:
        """Remove the longest unused until the rest is within the bound."""
        kept: list[_Kept] = []
        for path in self._folder.glob("*/*/*.parquet"):
            with suppress(FileNotFoundError):
                status = path.stat()
                kept.append(_Kept(status.st_atime, status.st_size, path))
        total = sum(one.size for one in kept)
        for one in sorted(kept):
            if total <= self._most:
                return
            one.path.unlink(missing_ok=True)
            total -= one.size
