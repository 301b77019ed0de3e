"""Large payloads in a folder of this machine. In and out: `storage.blobs`.

A piece is written by a thread; file and folder are on the disk before the name is.
"""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import ParamSpec, TypeVar
from uuid import uuid4

from headwater.errors import Unavailable
from headwater.failpoints import passing
from storage.blobs import FOLDER, INCOMING, NoBlob, Opened, Stored, path_of

P = ParamSpec("P")
R = TypeVar("R")

_PIECE = 2**18
_KEY = ".signing-key"


class _FolderUpload:
    """See `Upload`."""

    def __init__(self, root: Path, path: Path) -> None:
        self._root = root
        self._path = path
        self._file = path.open("xb")
        self._hash = sha256()
        self._size = 0

    async def write(self, piece: bytes) -> None:
        await _guarded(self._write, piece)

    async def finish(self) -> Stored:
        return await _guarded(self._finish)

    def drop(self) -> None:
        """Close it, and leave nothing."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _write(self, piece: bytes) -> None:
        self._hash.update(piece)
        self._size += self._file.write(piece)

    def _finish(self) -> Stored:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        name = self._hash.hexdigest()
        target = self._root / path_of(name)
        _make(target.parent, self._root)
        passing("blobs.unnamed")
        self._path.rename(target)
        _sync(target.parent)
        return Stored(name, self._size)


class FolderBlobs:
    """See `BlobStore`. `root`: the data folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @asynccontextmanager
    async def upload(self) -> AsyncGenerator[_FolderUpload, None]:
        """See `BlobStore`."""
        begun = await _guarded(self._begin)
        try:
            yield begun
        finally:
            await asyncio.to_thread(begun.drop)

    async def open(self, name: str) -> Opened:
        """See `BlobStore`."""
        path = self._root / path_of(name)
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            raise NoBlob("there is no blob of that name") from None
        except OSError as error:
            raise Unavailable(f"blobs: {error}") from error
        return Opened(size, _pieces(path))

    async def link(self, name: str, seconds: float) -> str:
        """See `BlobStore`: there is none but the API's."""
        del seconds
        path_of(name)
        return ""

    async def secret(self) -> bytes:
        """See `BlobStore`. Made when first asked for, readable by this user alone."""
        return await _guarded(self._secret)

    async def remove(self, name: str) -> None:
        """See `BlobStore`."""
        await _guarded(self._remove, self._root / path_of(name))

    async def sweep(self, age: float) -> int:
        """See `BlobStore`."""
        return await _guarded(self._sweep, age)

    def _begin(self) -> _FolderUpload:
        folder = self._root / INCOMING
        _make(folder, self._root)
        return _FolderUpload(self._root, folder / uuid4().hex)

    def _secret(self) -> bytes:
        path = self._root / FOLDER / _KEY
        with suppress(FileNotFoundError):
            return path.read_bytes()
        _make(path.parent, self._root)
        new = path.with_name(f"{_KEY}.{uuid4().hex}")
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(os.urandom(32))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another process was first: its key counts
            path.hardlink_to(new)
        new.unlink()
        _sync(path.parent)
        return path.read_bytes()

    def _remove(self, path: Path) -> None:
        with suppress(FileNotFoundError):
            path.unlink()
            _sync(path.parent)

    def _sweep(self, age: float) -> int:
        folder, removed = self._root / INCOMING, 0
        for path in folder.iterdir() if folder.is_dir() else ():
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < time.time() - age:
                    path.unlink()
                    removed += 1
        return removed


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    file = await _guarded(path.open, "rb")
    try:
        while piece := await _guarded(file.read, _PIECE):
            yield piece
    finally:
        file.close()


async def _guarded(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    try:
        return await asyncio.to_thread(work, *args, **kwargs)
    except OSError as error:
        raise Unavailable(f"blobs: {error}") from error


def _make(folder: Path, root: Path) -> None:
    """Make a folder below `root`; each that is new is on the disk when this returns."""
    if folder.is_dir():
        return
    if folder != root:
        _make(folder.parent, root)
    folder.mkdir(exist_ok=True)
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
