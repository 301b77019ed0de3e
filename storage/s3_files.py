"""The lake's bytes in a bucket: objects put whole, those that must not overwrite under a condition (If-None-Match).

In: paths relative to the lake and bytes. Out: durable objects. Data files that DuckDB reads are copied to a bounded
folder on this machine: they never change, and so every host reads them fast without an extension.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import obstore
from deltalake import DeltaTable

from headwater.config_stack import S3
from storage.arrow import pa
from storage.file_cache import FileCache
from storage.lake_errors import as_unavailable
from storage.s3_client import as_os_error, delta_options, make_bucket
from storage.s3_objects import S3Objects
from storage.scratch import Scratch

T = TypeVar("T")
_SCRATCH = ".scratch"
_PIECE = 8 * 2**20
_BUFFER = 2**20


class S3Files(S3Objects):
    """See `LakeFiles`. Use `open_s3_files`. The lake is the folder `lake` of the bucket, below `config.prefix`.

    `cache`: a local folder for at most `cache_size` bytes of copies; processes of a host may share it.
    """

    remakes = True

    def __init__(self, config: S3, cache: Path, cache_size: int) -> None:
        super().__init__(config)
        self._uri = f"s3://{config.bucket}/{self._prefix}"
        self._scratch = Scratch(cache / _SCRATCH)
        self.scratch = self._scratch.path
        copies = cache / config.bucket / self._prefix.replace("/", "%")
        self._cache = FileCache(copies, self.scratch, cache_size, self._fetch)

    async def open(self, *, make: bool = True) -> None:
        """Make the bucket, if `make`, and the local folders. Raises `OSError`."""
        await asyncio.to_thread(self._scratch.open)
        if make:
            await make_bucket(self._config)

    def close(self) -> None:
        """Leave nothing in the scratch folder."""
        self._cache.close()
        self._scratch.close()

    def adopt(self, path: str, local: Path) -> None:
        """See `LakeFiles`. What was made here is going to be read here."""
        self._putting(lambda: obstore.put(self._store, path, local, chunk_size=_PIECE))
        self._cache.keep(path, local)
        local.unlink(missing_ok=True)

    def source(self, path: str) -> AbstractContextManager[Any]:
        """See `LakeFiles`. By ranges, and not through the cache: who reads all of a lake would empty it."""
        with as_os_error():
            return pa.PythonFile(_Ranges(obstore.open_reader(self._store, path, buffer_size=_BUFFER)), "r")

    def remove(self, paths: Iterable[str]) -> None:
        """See `LakeFiles`."""
        gone = list(paths)
        for path in gone:
            self._cache.drop(path)
        if gone:
            with as_os_error():
                obstore.delete(self._store, gone)

    def local(self, paths: Sequence[str]) -> AbstractContextManager[Sequence[str]]:
        """See `LakeFiles`."""
        return self._cache.held(paths)

    def delta(self, table: str) -> DeltaTable:
        """See `LakeFiles`."""
        return DeltaTable(f"{self._uri}/{table}", storage_options=delta_options(self._config))

    def checkpoint(self, table: str) -> None:
        """See `LakeFiles`. An object is there whole or not at all, and `_last_checkpoint` is put last."""
        self.delta(table).create_checkpoint()

    def _fetch(self, path: str, target: Path) -> None:
        with as_os_error():
            result = obstore.get(self._store, path)
            size = 0
            with target.open("wb") as file:
                for piece in result.stream(min_chunk_size=_BUFFER):
                    size += file.write(piece)
        if size != result.meta["size"]:
            raise OSError(f"{path}: {size} of {result.meta['size']} bytes came")


class _Ranges:
    """An object as pyarrow reads it: obstore's reader, with its errors as `OSError`."""

    closed = False

    def __init__(self, reader: "obstore.ReadableFile") -> None:
        self._reader = reader

    def read(self, size: int = -1) -> bytes:
        with as_os_error():
            return bytes(self._reader.read(None if size < 0 else size))

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._reader.seek(offset, whence)

    def tell(self) -> int:
        return self._reader.tell()

    def size(self) -> int:
        return self._reader.size

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._reader.close()


@asynccontextmanager
async def open_s3_files(
    config: S3, cache: Path, cache_size: int, *, make: bool = True
) -> AsyncGenerator[S3Files, None]:
    """The lake's bucket, made if `make`; the scratch folder is gone below the yield. Raises `Unavailable`."""
    files = S3Files(config, cache, cache_size)
    try:
        with as_unavailable():
            await files.open(make=make)
        yield files
    finally:
        files.close()
