"""A place for large payloads, on disk and in a real bucket: whole or not at all, one object for one content."""

import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from headwater.errors import Unavailable
from storage.blobs import BlobStore, NoBlob
from storage.folder_blobs import FolderBlobs
from storage.s3_blobs import S3Blobs
from tests.services.proxy import proxied
from tests.services.server import Server
from tests.storage.s3_kit import at_port, s3_of
from tests.taking import within

SWEEP = bytes(range(251)) * 80_000  # 20 MB: three parts


async def put(store: BlobStore, data: bytes, piece: int = 2**18) -> str:
    async with store.upload() as upload:
        for start in range(0, len(data), piece):
            await upload.write(data[start : start + piece])
        stored = await upload.finish()
    assert stored.size == len(data)
    return stored.hash


async def read(store: BlobStore, name: str) -> bytes:
    found = await store.open(name)
    data = b"".join([piece async for piece in found.pieces])
    assert len(data) == found.size
    return data


class Laws:
    """What both places promise."""

    @pytest.fixture
    def store(self) -> BlobStore:
        raise NotImplementedError

    async def test_what_was_put_is_read_under_its_hash(self, store: BlobStore) -> None:
        name = await put(store, SWEEP)
        assert name == sha256(SWEEP).hexdigest()
        assert await read(store, name) == SWEEP
        assert await put(store, SWEEP) == name
        assert await read(store, await put(store, b"x")) == b"x"

    async def test_what_was_not_finished_is_not_there(self, store: BlobStore) -> None:
        with suppress(ZeroDivisionError):
            async with store.upload() as upload:
                await upload.write(SWEEP)
                raise ZeroDivisionError
        with pytest.raises(NoBlob):
            await store.open(sha256(SWEEP).hexdigest())
        assert await store.sweep(-60) == 0

    async def test_what_was_removed_is_not_there_and_can_come_again(self, store: BlobStore) -> None:
        name = await put(store, SWEEP)
        for _ in range(2):
            await store.remove(name)
        with pytest.raises(NoBlob):
            await read(store, name)
        assert await read(store, await put(store, SWEEP)) == SWEEP

    async def test_the_secret_is_one(self, store: BlobStore) -> None:
        assert len(await store.secret()) == 32
        assert await store.secret() == await store.secret()


class TestFolder(Laws):
    @pytest.fixture
    def store(self, tmp_path: Path) -> BlobStore:
        return FolderBlobs(tmp_path)

    async def test_what_was_left_behind_is_swept_when_it_is_old(self, store: BlobStore, tmp_path: Path) -> None:
        left = tmp_path / "blobs" / "incoming" / "left"
        left.parent.mkdir(parents=True)
        left.write_bytes(b"half")
        assert await store.sweep(3600) == 0
        assert await store.sweep(-1) == 1
        assert not left.exists()


class TestBucket(Laws):
    @pytest.fixture
    def store(self, minio_server: Server) -> BlobStore:
        return S3Blobs(s3_of(minio_server))

    async def test_where_there_is_no_bucket_yet_nothing_is_swept(self, minio_server: Server) -> None:
        nowhere = s3_of(minio_server).model_copy(update={"bucket": f"none-{time.time_ns()}"})
        assert await S3Blobs(nowhere).sweep(-1) == 0

    async def test_a_link_reads_from_the_bucket_itself(self, store: BlobStore) -> None:
        link = await store.link(await put(store, b"clip"), 60)
        async with httpx.AsyncClient(timeout=10) as client:
            assert (await client.get(link)).content == b"clip"
            assert (await client.get(link.partition("?")[0])).status_code == 403

    async def test_a_bucket_that_is_away_is_said_in_time(self, minio_server: Server) -> None:
        async with proxied(minio_server.port) as proxy:
            store = S3Blobs(at_port(s3_of(minio_server), proxy.port, 2))
            await put(store, b"before")
            await proxy.hang()
            with within(10), pytest.raises(Unavailable):
                await put(store, SWEEP)
            await proxy.serve()
            assert await read(store, await put(store, b"after")) == b"after"
