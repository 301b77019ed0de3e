"""The lake on S3: the same lake, its files in a bucket, and copies of what is read on this machine.

In: where, and how much a host may keep. Out: a `DeltaLake`, or a reader, whose threads have ended below the yield.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from headwater.config import Lake
from headwater.config_stack import S3
from storage.delta_lake import DeltaLake
from storage.lake_reader import DeltaLakeReader
from storage.s3_files import open_s3_files

CACHE_SIZE = 4 * 2**30
"""Bytes of copies on a host, where nothing else is said; what a running question reads comes on top."""


@asynccontextmanager
async def open_s3_lake(
    config: S3, log_id: str, lake: Lake, *, cache: Path, answer_time: float = 30.0, cache_size: int = CACHE_SIZE
) -> AsyncGenerator[DeltaLake, None]:
    """The lake in the bucket: bucket and tables are there above the yield.

    `cache`: a local folder that processes of a host may share. `answer_time`: seconds. Raises `Unavailable`.
    """
    async with open_s3_files(config, cache, cache_size) as files:
        opened = DeltaLake(files, log_id, answer_time, lake.vacuum_after)
        try:
            await opened.open()
            yield opened
        finally:
            await opened.close()


@asynccontextmanager
async def open_s3_lake_reader(
    config: S3, log_id: str, *, cache: Path, answer_time: float = 30.0, cache_size: int = CACHE_SIZE
) -> AsyncGenerator[DeltaLakeReader, None]:
    """A reader of the lake in the bucket, whether there are tables yet or not; makes nothing. Raises `Unavailable`."""
    async with open_s3_files(config, cache, cache_size, make=False) as files:
        reader = DeltaLakeReader(files, log_id, answer_time)
        try:
            yield reader
        finally:
            await reader.close()
