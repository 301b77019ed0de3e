"""The lake's bytes in a bucket: objects put whole, those that must not overwrite under a condition (If-None-Match).

In: paths relative to the lake and bytes. Out: durable objects. Data files that DuckDB reads are copied to a bounded
folder on this machine: they never change, and so every host reads them fast without an extension.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import obstore
from deltalake import DeltaTable

from headwater.config_stack import S3
from storage.arrow import pa
from storage.file_cache import FileCache
from storage.lake_errors import as_unavailable
from storage.lake_files import Listed
from storage.s3_client import as_os_error, connect, delta_options, make_bucket, pauses
from storage.scratch import Scratch

T = TypeVar("T")
_FOLDER = "lake"
_SCRATCH = ".scratch"
_PIECE = 8 * 2**20
_BUFFER = 2**20
_PROBE = ".probe"


class S3Files:
    """See `LakeFiles`. Use `open_s3_files`. The lake is the folder `lake` of the bucket, below `config.prefix`.

    `cache`: a local folder for at most `cache_size` bytes of copies; processes of a host may share it.
    """

    remakes = True

    def __init__(self, config: S3, cache: Path, cache_size: int) -> None:
        self._config = config
        prefix = "/".join(part for part in (config.prefix.strip("/"), _FOLDER) if part)
        place = config.model_copy(update={"prefix": prefix})
        self._uri = f"s3://{config.bucket}/{prefix}"
        self._store = connect(place)
        self._once = connect(place, retries=0)
        self._scratch = Scratch(cache / _SCRATCH)
        self.scratch = self._scratch.path
        self._cache = FileCache(cache / config.bucket / prefix.replace("/", "%"), self.scratch, cache_size, self._fetch)

    async def open(self) -> None:
        """Make the bucket, and the local folders. Raises `OSError`."""
        await asyncio.to_thread(self._scratch.open)
        async with asyncio.timeout(self._config.time):
            await make_bucket(self._config)

    def close(self) -> None:
        """Leave nothing in the scratch folder."""
        self._cache.close()
        self._scratch.close()

    def put(self, path: str, data: memoryview | bytes) -> None:
        """See `LakeFiles`."""
        unsigned = memoryview(data).cast("B")
        self._putting(lambda: obstore.put(self._store, path, unsigned, chunk_size=_PIECE))

    def put_new(self, path: str, data: bytes) -> None:
        """See `LakeFiles`. An attempt that nobody answered may have put it: so what is there is compared with ours."""
        waits = pauses(self._config.time)
        while True:
            try:
                return self._putting(lambda: obstore.put(self._once, path, data, mode="create", use_multipart=False))
            except FileExistsError:
                if self.read(path) == data:
                    return None
                raise
            except OSError:
                if (pause := next(waits, None)) is None:
                    raise
                time.sleep(pause)

    def adopt(self, path: str, local: Path) -> None:
        """See `LakeFiles`. What was made here is going to be read here."""
        self._putting(lambda: obstore.put(self._store, path, local, chunk_size=_PIECE))
        self._cache.keep(path, local)
        local.unlink(missing_ok=True)

    def read(self, path: str) -> bytes:
        """See `LakeFiles`."""
        with as_os_error():
            return bytes(obstore.get(self._store, path).bytes())

    def source(self, path: str) -> AbstractContextManager[Any]:
        """See `LakeFiles`. By ranges, and not through the cache: who reads all of a lake would empty it."""
        with as_os_error():
            return pa.PythonFile(_Ranges(obstore.open_reader(self._store, path, buffer_size=_BUFFER)), "r")

    def list(self, folder: str) -> Sequence[Listed]:
        """See `LakeFiles`."""
        try:
            with as_os_error():
                found = obstore.list_with_delimiter(self._store, folder)["objects"]
        except FileNotFoundError:
            return []
        return [Listed(one["path"], one["size"], one["last_modified"].timestamp()) for one in found]

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

    def probe(self) -> None:
        """See `LakeFiles`."""
        self._putting(lambda: obstore.put(self._store, _PROBE, b"?", use_multipart=False))

    def _putting(self, put: Callable[[], object]) -> None:
        """A put finds nothing missing but the bucket: a server that came back empty gets it again."""
        with as_os_error():
            try:
                put()
            except FileNotFoundError:
                asyncio.run(make_bucket(self._config))
                put()

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
async def open_s3_files(config: S3, cache: Path, cache_size: int) -> AsyncGenerator[S3Files, None]:
    """The lake's bucket, made if need be; its scratch folder is gone below the yield. Raises `Unavailable`."""
    files = S3Files(config, cache, cache_size)
    try:
        with as_unavailable():
            await files.open()
        yield files
    finally:
        files.close()
