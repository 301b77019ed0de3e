"""Where large payloads are kept: one `case` a profile. Here by itself, since a gateway needs no other store.

In: the configuration. Out: the place for them, and the upkeep of it.
"""

import asyncio
from contextlib import suppress

import structlog

from headwater.config import Config
from headwater.errors import Unavailable
from storage.blobs import BlobStore
from storage.folder_blobs import FolderBlobs
from storage.s3_blobs import S3Blobs

log = structlog.get_logger()

_EVERY = 3600.0


def blobs_of(config: Config) -> BlobStore:
    """The place; nothing is opened yet."""
    match config.profile:
        case "embedded":
            return FolderBlobs(config.data)
        case "stack":
            return S3Blobs(config.s3)


async def sweep_blobs(store: BlobStore, age: float, stop: asyncio.Event) -> None:
    """Now and every hour, remove what nobody finished in `age` seconds."""
    while not stop.is_set():
        try:
            await store.sweep(age)
        except Unavailable as error:
            log.warning("unfinished large payloads could not be removed; tried again in an hour", error=str(error))
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _EVERY)
