"""Where large payloads are kept: one `case` a profile. Here by itself, since a gateway needs no other store.

A bucket's client is loaded when the first large payload comes, whose bucket is made then too: 20 ms of this process.

In: the configuration. Out: the place for them, and the upkeep of it.
"""

import asyncio
from contextlib import suppress
from functools import partial

from headwater.app.when_asked import when_asked
from headwater.config import Config
from headwater.config_stack import S3
from headwater.errors import Unavailable
from headwater.saying import get_logger
from storage.blobs import BlobStore
from storage.folder_blobs import FolderBlobs

log = get_logger()

_EVERY = 3600.0


def blobs_of(config: Config) -> BlobStore:
    """The place; nothing is opened yet."""
    match config.profile:
        case "embedded":
            return FolderBlobs(config.data)
        case "stack":
            return when_asked(partial(_in_bucket, config.s3))


def _in_bucket(config: S3) -> BlobStore:
    from storage.s3_blobs import S3Blobs  # noqa: PLC0415 - see above

    return S3Blobs(config)


async def sweep_blobs(store: BlobStore, age: float, stop: asyncio.Event) -> None:
    """Now and every hour, remove what nobody finished in `age` seconds."""
    while not stop.is_set():
        try:
            await store.sweep(age)
        except Unavailable as error:
            log.warning("unfinished large payloads could not be removed; tried again in an hour", error=str(error))
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _EVERY)
