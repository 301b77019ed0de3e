"""Where the lake's bytes are: the one place that knows it is a folder here. An S3 bucket is a second class like this.

In: paths relative to the lake ("messages/day=2026-11-21/….parquet") and bytes. Out: durable files. All of it blocks,
and raises `OSError`.
"""

import asyncio
import json
import os
import re
import shutil
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from itertools import chain
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from deltalake import DeltaTable

from headwater.errors import ConfigError
from storage.arrow import pa
from storage.lake_errors import as_unavailable
from storage.listed import Listed
from storage.scratch import Scratch
from storage.sqlite_file import sync_folder

LOG = "_delta_log"
LAST_CHECKPOINT = f"{LOG}/_last_checkpoint"
_HIDDEN = ".tmp-"
_UNREADABLE = re.compile(r"%[0-9A-Fa-f]{2}")
_SCRATCH = ".scratch"
_SURELY_LEFT = 3600.0
"""Seconds: a hidden file of this age belongs to nobody that is still writing it."""


class LakeFiles(Protocol):
    """What the lake asks of a place to keep files. On return what was put is durable, its name included."""

    scratch: Path
    """A local folder of this process for what does not fit into memory; it goes when the process does."""

    remakes: bool
    """Whether tables that are gone are made again: in a bucket yes; a folder may be a disk that is not mounted."""

    def put(self, path: str, data: memoryview | bytes) -> None:
        """Write a file that nobody refers to yet."""
        ...

    def put_new(self, path: str, data: bytes) -> None:
        """Write it whole unless it is there: then `FileExistsError`. Of several rivals one wins."""
        ...

    def adopt(self, path: str, local: Path) -> None:
        """Move a file from the scratch folder to where it shall stay."""
        ...

    def read(self, path: str) -> bytes:
        """All of it; `FileNotFoundError` if it is not there."""
        ...

    def source(self, path: str) -> AbstractContextManager[Any]:
        """The file as pyarrow reads it, piece by piece."""
        ...

    def list(self, folder: str) -> Sequence[Listed]:
        """The files of a folder, not those below it; none if there is no such folder."""
        ...

    def remove(self, paths: Iterable[str]) -> None:
        """Remove those that are there."""
        ...

    def local(self, paths: Sequence[str]) -> AbstractContextManager[Sequence[str]]:
        """What DuckDB calls these data files, which never change: on this machine, and there for as long as it is held.

        `FileNotFoundError` where one is not there any more; of a folder, DuckDB finds out itself.
        """
        ...

    def delta(self, table: str) -> DeltaTable:
        """The table as `deltalake` loads it."""
        ...

    def checkpoint(self, table: str) -> None:
        """Sum the table's log up in a checkpoint, durably, so that opening it stays fast."""
        ...

    def probe(self) -> None:
        """Raise `OSError` unless a file could be put now."""
        ...


class LocalFiles:
    """The lake in a folder. Uses hard links for what must not overwrite, as `deltalake` does."""

    remakes = False

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._scratch = Scratch(self._root / _SCRATCH)
        self.scratch = self._scratch.path

    def open(self) -> None:
        """Make the folders; forget what processes have left here when they died. Raises `ConfigError`."""
        if _UNREADABLE.search(str(self._root)):
            raise ConfigError(
                f"{self._root}: `deltalake` cannot read a path with % and two hex digits; use another one"
            )
        self._root.mkdir(parents=True, exist_ok=True)
        sync_folder(self._root.parent)
        self._scratch.open()
        for left in chain(self._root.glob(f"*/{LOG}/{_HIDDEN}*"), self._root.glob(f"logs/*/*/{_HIDDEN}*")):
            with suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > _SURELY_LEFT:
                    left.unlink()

    def close(self) -> None:
        """Leave nothing in the scratch folder."""
        self._scratch.close()

    def put(self, path: str, data: memoryview | bytes) -> None:
        """See `LakeFiles`."""
        target = self._root / path
        self._make(target.parent)
        _write(target, data)
        sync_folder(target.parent)

    def put_new(self, path: str, data: bytes) -> None:
        """See `LakeFiles`. The bytes are on disk before the name is, so a power cut leaves all of it or nothing."""
        target = self._root / path
        self._make(target.parent)
        hidden = target.parent / f"{_HIDDEN}{uuid4().hex}"
        try:
            _write(hidden, data)
            os.link(hidden, target)
        finally:
            hidden.unlink(missing_ok=True)
        sync_folder(target.parent)

    def adopt(self, path: str, local: Path) -> None:
        """See `LakeFiles`."""
        target = self._root / path
        self._make(target.parent)
        _sync(local)
        local.rename(target)
        sync_folder(target.parent)

    def read(self, path: str) -> bytes:
        """See `LakeFiles`."""
        return (self._root / path).read_bytes()

    def source(self, path: str) -> AbstractContextManager[Any]:
        """See `LakeFiles`."""
        return pa.OSFile(str(self._root / path))

    def list(self, folder: str) -> Sequence[Listed]:
        """See `LakeFiles`."""
        found: list[Listed] = []
        with suppress(FileNotFoundError), os.scandir(self._root / folder) as items:
            for item in items:
                if item.is_file() and not item.name.startswith(_HIDDEN):
                    status = item.stat()
                    found.append(Listed(f"{folder}/{item.name}", status.st_size, status.st_mtime))
        return found

    def folders(self, folder: str) -> Sequence[str]:
        """The paths of the folders in a folder; none if there is no such folder. Raises `OSError`."""
        with suppress(FileNotFoundError), os.scandir(self._root / folder) as items:
            return [f"{folder}/{item.name}" for item in items if item.is_dir()]
        return []

    def drop(self, folder: str) -> None:
        """Remove a folder, if it is there, with the files in it. Raises `OSError`."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self._root / folder)

    def remove(self, paths: Iterable[str]) -> None:
        """See `LakeFiles`."""
        for path in paths:
            (self._root / path).unlink(missing_ok=True)

    def local(self, paths: Sequence[str]) -> AbstractContextManager[Sequence[str]]:
        """See `LakeFiles`."""
        return nullcontext([f"{self._root}/{path}" for path in paths])

    def delta(self, table: str) -> DeltaTable:
        """See `LakeFiles`."""
        return DeltaTable(self._root / table)

    def checkpoint(self, table: str) -> None:
        """See `LakeFiles`. Made beside the log and moved there when it is on disk: `deltalake` does not sync."""
        shadow = self.scratch / f"checkpoint-{uuid4().hex}"
        log = self._root / table / LOG
        try:
            (shadow / LOG).mkdir(parents=True)
            last = 0
            with suppress(FileNotFoundError):
                last = int(json.loads((log / "_last_checkpoint").read_bytes())["version"])
                shutil.copy(log / "_last_checkpoint", shadow / LOG)
            for item in log.iterdir():
                if item.name[:20].isdigit() and int(item.name[:20]) >= last:
                    os.link(item, shadow / LOG / item.name)
            before = {"_last_checkpoint", *(item.name for item in (shadow / LOG).iterdir())}
            DeltaTable(shadow).create_checkpoint()
            for made in (item for item in (shadow / LOG).iterdir() if item.name not in before):
                self.adopt(f"{table}/{LOG}/{made.name}", made)
            self.adopt(f"{table}/{LAST_CHECKPOINT}", shadow / LAST_CHECKPOINT)
        finally:
            shutil.rmtree(shadow, ignore_errors=True)

    def probe(self) -> None:
        """See `LakeFiles`."""
        path = self.scratch / f"probe-{uuid4().hex}"
        try:
            _write(path, b"?" * 4096)
        finally:
            path.unlink(missing_ok=True)

    def _make(self, folder: Path) -> None:
        """Make the folder and those above it, each durably; but never a lake that has gone."""
        if folder != self._root and not folder.is_dir():
            self._make(folder.parent)
            folder.mkdir(exist_ok=True)
            sync_folder(folder.parent)


@asynccontextmanager
async def open_files(root: Path) -> AsyncGenerator[LocalFiles, None]:
    """The lake's folder, made if need be; its scratch folder is gone below the yield. Raises `Unavailable`."""
    files = LocalFiles(root)
    try:
        with as_unavailable():
            await asyncio.to_thread(files.open)
        yield files
    finally:
        await asyncio.to_thread(files.close)


def _write(path: Path, data: memoryview | bytes) -> None:
    """A new file, on disk; a file half written is removed."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(handle, left) :]
        os.fsync(handle)
    except OSError:
        with suppress(OSError):
            path.unlink()
        raise
    finally:
        os.close(handle)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
