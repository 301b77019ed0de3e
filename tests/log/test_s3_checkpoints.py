"""Checkpoints on S3: answers that were lost, a server that hangs or has lost the bucket, objects that are none."""

from typing import Any
from uuid import uuid4

import obstore
import obstore.exceptions
import pytest

from headwater.config_stack import S3
from headwater.errors import Stale, Unavailable
from storage.contract import Checkpoint
from storage.s3_checkpoints import open_s3_checkpoints
from storage.s3_client import connect
from tests.services.proxy import proxied
from tests.services.server import Server
from tests.storage.s3_kit import at_port, delete_bucket, s3_of
from tests.taking import within


@pytest.fixture
def config(minio_server: Server) -> S3:
    return s3_of(minio_server)


def checkpoint(next_offset: int) -> Checkpoint:
    return Checkpoint("00d1ce", next_offset, 3, b"\x00state\xff")


def lose_answers(monkeypatch: pytest.MonkeyPatch, *, done: bool) -> list[str]:
    """The first put fails; if `done`, after it was done."""
    real, lost = obstore.put_async, list[str]()

    async def put(store: Any, path: str, *data: Any, **options: Any) -> object:
        if lost:
            return await real(store, path, *data, **options)
        lost.append(path)
        if done:
            await real(store, path, *data, **options)
        raise obstore.exceptions.GenericError("no answer")

    monkeypatch.setattr(obstore, "put_async", put)
    return lost


@pytest.mark.parametrize("done", [True, False])
async def test_a_save_whose_answer_was_lost_is_known_by_what_is_there(
    config: S3, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    async with open_s3_checkpoints(config) as checkpoints:
        version = ""
        for number in range(2):
            with monkeypatch.context() as patched:
                lost = lose_answers(patched, done=done)
                version = await checkpoints.save(0, checkpoint(number), version)
            assert len(lost) == 1
            assert await checkpoints.load(0) == (checkpoint(number), version)


async def test_a_save_that_nobody_knows_of_is_known_again_by_the_next(
    config: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bucket takes it and goes away before it says so, as one that is started again does."""
    async with open_s3_checkpoints(config) as one, open_s3_checkpoints(config) as other:
        version = await one.save(0, checkpoint(1), "")
        with monkeypatch.context() as patched:

            async def away(*_: object) -> object:
                raise obstore.exceptions.GenericError("away")

            lose_answers(patched, done=True)
            patched.setattr(obstore, "get_async", away)
            with pytest.raises(Unavailable):
                await one.save(0, checkpoint(2), version)
        with pytest.raises(Stale):
            await other.save(0, checkpoint(3), version)
        again = await one.save(0, checkpoint(4), version)
        assert await other.load(0) == (checkpoint(4), again)
        newer = await other.save(0, checkpoint(5), again)
        with pytest.raises(Stale):
            await one.save(0, checkpoint(6), again)
        assert await one.load(0) == (checkpoint(5), newer)


async def test_the_same_state_saved_by_a_rival_is_not_taken_for_ours(config: S3) -> None:
    async with open_s3_checkpoints(config) as one, open_s3_checkpoints(config) as other:
        version = await one.save(0, checkpoint(1), "")
        with pytest.raises(Stale):
            await other.save(0, checkpoint(1), "")
        again = await one.save(0, checkpoint(1), version)
        assert again != version, "no version comes back"
        with pytest.raises(Stale):
            await other.save(0, checkpoint(1), version)


@pytest.mark.parametrize("content", [b"", b"not one", b"\x81\xa6format\xb6headwater checkpoint 9"])
async def test_what_is_no_checkpoint_is_never_used_or_replaced_unseen(config: S3, content: bytes) -> None:
    async with open_s3_checkpoints(config) as checkpoints:
        obstore.put(connect(config), "checkpoints/00007", content)
        with pytest.raises(Unavailable, match=r"is not a checkpoint .* partition 7"):
            await checkpoints.load(7)
        with pytest.raises(Unavailable, match="is not a checkpoint"):
            await checkpoints.save(7, checkpoint(1), "")
        assert bytes(obstore.get(connect(config), "checkpoints/00007").bytes()) == content


async def test_a_server_that_refuses_or_hangs_is_unavailable_in_bounded_time(config: S3, minio_server: Server) -> None:
    async with proxied(minio_server.port) as proxy:
        near = at_port(config, proxy.port, 1)
        async with open_s3_checkpoints(near) as checkpoints:
            version = await checkpoints.save(0, checkpoint(1), "")
            for away in (proxy.hang, proxy.refuse):
                await away()
                with within(6):
                    with pytest.raises(Unavailable):
                        await checkpoints.load(0)
                    with pytest.raises(Unavailable):
                        await checkpoints.save(0, checkpoint(2), version)
                    with pytest.raises(Unavailable):
                        async with open_s3_checkpoints(near):
                            pass
            await proxy.serve()
            found, version = await checkpoints.load(0)
            assert found in (checkpoint(1), checkpoint(2)), "what hung may have been done"
            await checkpoints.save(0, checkpoint(3), version)


async def test_a_bucket_that_has_gone_has_no_checkpoints_and_is_made_again(minio_server: Server) -> None:
    config = s3_of(minio_server, bucket=f"tests-{uuid4().hex}")
    async with open_s3_checkpoints(config) as checkpoints:
        version = await checkpoints.save(0, checkpoint(1), "")
        await delete_bucket(config)
        assert await checkpoints.load(0) == (None, "")
        with pytest.raises(Stale):
            await checkpoints.save(0, checkpoint(2), version)
        version = await checkpoints.save(0, checkpoint(3), "")
        assert await checkpoints.load(0) == (checkpoint(3), version)
