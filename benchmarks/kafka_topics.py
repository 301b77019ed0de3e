"""Topics of a benchmark's own: under a prefix of their own, and gone afterwards.

In: HOST:PORT of a broker. Out: a configuration; all topics under its prefix are deleted at the end.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import uuid4

from headwater.config_stack import Kafka
from storage.kafka_client import new_admin, started


@asynccontextmanager
async def own_topics(server: str) -> AsyncGenerator[Kafka]:
    """The section `kafka` for this broker, with a new prefix."""
    config = Kafka(servers=(server,), prefix=f"bench-{uuid4().hex[:8]}.")
    try:
        yield config
    finally:
        admin = new_admin(config)
        async with started(admin, config.request_time):
            names = [name for name in await admin.list_topics() if name.startswith(config.prefix)]
            await admin.delete_topics(names)
