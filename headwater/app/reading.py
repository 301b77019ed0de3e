"""The log and the lake opened to be read only: nothing is made, no group is joined. The stores are in `backends`.

In: the configuration, and the id of the log that the lake's ledgers are about. Out: readers, closed below the yield.
Openers raise `Unavailable` where a server is away, and `ConfigError` where there is nothing to read.
"""

import tempfile
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from headwater.app.events import topics
from headwater.config import Config
from headwater.errors import ConfigError
from headwater.log import ReadableLog
from storage.kafka_log import open_kafka_log
from storage.lake_reader import DeltaLakeReader, open_lake_reader
from storage.s3_lake import open_s3_lake_reader
from storage.sqlite_log_reader import open_log_readonly


def read_events(config: Config) -> AbstractAsyncContextManager[ReadableLog]:
    """The log."""
    match config.profile:
        case "embedded":
            return open_log_readonly(config.data / "log.sqlite")
        case "stack":
            return open_kafka_log(config.kafka, topics(config.log), produce=False, make=False)


@asynccontextmanager
async def read_lake(config: Config, log_id: str) -> AsyncGenerator[DeltaLakeReader, None]:
    """The role lake."""
    time = config.query.time
    match config.profile:
        case "embedded":
            if not (config.data / "lake").is_dir():
                raise ConfigError(f"there is no lake in {config.data}")
            async with open_lake_reader(config.data / "lake", log_id, answer_time=time) as lake:
                yield lake
        case "stack":
            with tempfile.TemporaryDirectory(prefix="headwater-") as folder:
                async with open_s3_lake_reader(config.s3, log_id, cache=Path(folder), answer_time=time) as lake:
                    yield lake
