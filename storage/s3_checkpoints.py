"""The selector's checkpoints on S3: one object a partition, replaced only by who has seen the one that is there.

In: a partition's checkpoint and the version it replaces. Out: the new version, which is the object's ETag; or `Stale`
for whoever came second. A random token within each object tells one's own from others': so a save that nobody answered
is known by reading back.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import msgspec
import obstore
from obstore.store import S3Store

from headwater.config_stack import S3
from headwater.errors import Stale, Unavailable
from storage.contract import Checkpoint
from storage.s3_client import as_os_error, connect, make_bucket, pauses

if TYPE_CHECKING:
    from obstore import PutMode

_FOLDER = "checkpoints"


class _Kept(msgspec.Struct, tag_field="format", tag="headwater checkpoint 1"):
    """An object's content."""

    token: bytes
    partition: int
    log_id: str
    next_offset: int
    rule_version: int
    state: bytes


_UNSURE = 8
"""Saves of a partition in a row of which it is remembered that they may have succeeded."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Kept).decode


class S3Checkpoints:
    """Use `open_s3_checkpoints`. Each call takes at most about `config.time` seconds."""

    def __init__(self, config: S3) -> None:
        self._config = config
        self._reads = connect(config)
        self._writes = connect(config, retries=0)
        self._unsure: dict[int, list[bytes]] = {}  # tokens of saves that may be there or not, by partition

    async def load(self, partition: int) -> tuple[Checkpoint | None, str]:
        """See `storage.contract.Checkpoints`. Raises `Unavailable`, also for an object that is no checkpoint."""
        with _as_unavailable(partition):
            async with asyncio.timeout(self._config.time):
                kept, version = await self._read(partition)
        if kept is None:
            return None, ""
        return Checkpoint(kept.log_id, kept.next_offset, kept.rule_version, kept.state), version

    async def save(self, partition: int, checkpoint: Checkpoint, expected: str) -> str:
        """See `storage.contract.Checkpoints`. Raises `Stale`, `Unavailable`: then it may be there or not."""
        token = os.urandom(16)
        data = _encode(
            _Kept(
                token,
                partition,
                checkpoint.log_id,
                checkpoint.next_offset,
                checkpoint.rule_version,
                checkpoint.state,
            )
        )
        unsure = self._unsure.setdefault(partition, [])
        try:
            with _as_unavailable(partition):
                async with asyncio.timeout(self._config.time):
                    version = await self._put(partition, data, token, expected)
        except (Unavailable, asyncio.CancelledError):
            unsure[:] = [*unsure[1 - _UNSURE :], token]
            raise
        unsure.clear()
        return version

    async def _put(self, partition: int, data: bytes, token: bytes, expected: str) -> str:
        waits = pauses(self._config.time)
        while True:
            try:
                with as_os_error():
                    return await _put(self._writes, _path(partition), data, expected)
            except OSError as error:
                problem = error
            if isinstance(problem, FileNotFoundError):
                await make_bucket(self._config)
            # It may have been put although we were not told so, and the next attempt may then have been refused.
            kept, version = await self._read(partition)
            if kept is not None and kept.token == token:
                return version
            if kept is not None and kept.token in self._unsure[partition]:
                expected = version  # an earlier save of ours, of which we were not told: nobody else has written since
            if version != expected:
                raise Stale(f"partition {partition}: another owner has written a checkpoint since ours")
            if (pause := next(waits, None)) is None:
                raise problem
            await asyncio.sleep(pause)

    async def _read(self, partition: int) -> tuple[_Kept | None, str]:
        path = _path(partition)
        try:
            with as_os_error():
                result = await obstore.get_async(self._reads, path)
                data = bytes(await result.bytes_async())
        except FileNotFoundError:
            return None, ""
        try:
            kept = _decode(data)
        except msgspec.MsgspecError as error:
            raise Unavailable(
                f"{self._config.bucket}/{path} is not a checkpoint ({error}): restore it; or remove it, "
                f"and partition {partition} is selected anew from the log"
            ) from error
        if kept.partition != partition:
            raise Unavailable(f"{self._config.bucket}/{path} is the checkpoint of partition {kept.partition}")
        return kept, result.meta["e_tag"] or ""


async def _put(store: S3Store, path: str, data: bytes, expected: str) -> str:
    mode: PutMode = {"e_tag": expected} if expected else "create"
    done = await obstore.put_async(store, path, data, mode=mode, use_multipart=False)
    return done["e_tag"] or ""


def _path(partition: int) -> str:
    return f"{_FOLDER}/{partition:05d}"


@contextmanager
def _as_unavailable(partition: int) -> Generator[None]:
    try:
        yield
    except OSError as error:  # a TimeoutError is one
        raise Unavailable(f"the checkpoint of partition {partition}: {error or 'no answer in time'}") from error


@asynccontextmanager
async def open_s3_checkpoints(config: S3) -> AsyncGenerator[S3Checkpoints, None]:
    """The checkpoints in the bucket, which is made if need be. Raises `Unavailable`."""
    try:
        await make_bucket(config)
    except OSError as error:
        raise Unavailable(f"the selector's checkpoints: {str(error) or 'no answer in time'}") from error
    yield S3Checkpoints(config)
