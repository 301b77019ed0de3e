"""Large payloads in the bucket, beside the lake. In and out: `storage.blobs`.

The name is known when all of it has come: so it is uploaded in parts under a name of its own, and then copied by the
server, which shows an object whole or not at all.
"""

import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import uuid4

import obstore

from headwater.config_stack import S3
from headwater.errors import Unavailable
from headwater.failpoints import passing
from storage.blobs import FOLDER, INCOMING, NoBlob, Opened, Stored, path_of
from storage.s3_client import as_os_error, connect, make_bucket

_PART = 8 * 2**20
"""Bytes of a part; S3 wants 5 MiB at least."""
_PARTS = 2
"""Parts under way at once, beside the one being filled."""
_PIECE = 2**20
_KEY = f"{FOLDER}/.signing-key"


class _S3Upload:
    """See `Upload`."""

    def __init__(self, store: Any, path: str, writer: "obstore.AsyncWritableFile") -> None:
        self._store = store
        self._path = path
        self._writer = writer
        self._hash = sha256()
        self._size = 0
        self.closed = False

    async def write(self, piece: bytes) -> None:
        self._hash.update(piece)
        with _as_unavailable():
            self._size += await self._writer.write(piece)

    async def finish(self) -> Stored:
        with _as_unavailable():
            await self._writer.close()
            self.closed = True
            name = self._hash.hexdigest()
            passing("blobs.unnamed")
            await obstore.copy_async(self._store, self._path, path_of(name))
        return Stored(name, self._size)

    async def abort(self) -> None:
        """Take back the parts that are there."""
        ended = Unavailable("not finished")
        await self._writer.__aexit__(type(ended), ended, None)


class S3Blobs:
    """See `BlobStore`. Nothing is sent before it is asked to; the first upload makes the bucket, if it is not there."""

    def __init__(self, config: S3) -> None:
        self._config = config
        self._store = connect(config)
        self._known = False

    @asynccontextmanager
    async def upload(self) -> AsyncGenerator[_S3Upload, None]:
        """See `BlobStore`."""
        if not self._known:
            with _as_unavailable():
                await make_bucket(self._config)
            self._known = True
        path = f"{INCOMING}/{uuid4().hex}"
        writer = obstore.open_writer_async(self._store, path, buffer_size=_PART, max_concurrency=_PARTS)
        begun = _S3Upload(self._store, path, writer)
        try:
            yield begun
        except Unavailable:
            self._known = False  # the server may have come back empty
            raise
        finally:
            await self._drop(begun, path)

    async def _drop(self, begun: _S3Upload, path: str) -> None:
        """Leave nothing; what can't be removed now is swept later, and parts by the bucket's own rule."""
        with suppress(OSError), as_os_error():
            if begun.closed:
                await obstore.delete_async(self._store, path)
            else:
                await begun.abort()

    async def open(self, name: str) -> Opened:
        """See `BlobStore`."""
        try:
            with _as_unavailable():
                found = await obstore.get_async(self._store, path_of(name))
        except FileNotFoundError:
            raise NoBlob("there is no blob of that name") from None
        return Opened(found.meta["size"], _pieces(found))

    async def link(self, name: str, seconds: float) -> str:
        """See `BlobStore`. The server checks it, and not whether the object is there."""
        with _as_unavailable():
            return await obstore.sign_async(self._store, "GET", path_of(name), timedelta(seconds=seconds))

    async def secret(self) -> bytes:
        """See `BlobStore`: made by whoever asks first."""
        with _as_unavailable():
            with suppress(FileNotFoundError):
                return await self._read_key()
            await make_bucket(self._config)
            with suppress(FileExistsError):
                await obstore.put_async(self._store, _KEY, os.urandom(32), mode="create", use_multipart=False)
            return await self._read_key()

    async def _read_key(self) -> bytes:
        found = await obstore.get_async(self._store, _KEY)
        return bytes(await found.bytes_async())

    async def remove(self, name: str) -> None:
        """See `BlobStore`."""
        with _as_unavailable(), suppress(FileNotFoundError), as_os_error():
            await obstore.delete_async(self._store, path_of(name))

    async def sweep(self, age: float) -> int:
        """See `BlobStore`."""
        with _as_unavailable():
            try:
                with as_os_error():
                    found = await obstore.list_with_delimiter_async(self._store, INCOMING)
            except FileNotFoundError:  # no bucket yet: the first upload makes it
                return 0
            gone = [one["path"] for one in found["objects"] if one["last_modified"].timestamp() < time.time() - age]
            if gone:
                await obstore.delete_async(self._store, gone)
            return len(gone)


async def _pieces(found: Any) -> AsyncIterator[bytes]:
    with _as_unavailable():
        async for piece in found.stream(min_chunk_size=_PIECE):
            yield bytes(piece)


@contextmanager
def _as_unavailable() -> Generator[None]:
    """An object that is not there stays a `FileNotFoundError`."""
    try:
        with as_os_error():
            yield
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError as error:
        raise Unavailable(f"blobs: {error}") from error
