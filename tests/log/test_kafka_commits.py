"""What a broker says of a whole group when it is asked for commits is an error, and not that there are none."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any
from uuid import uuid4

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.commit import OffsetFetchRequest, OffsetFetchResponse_v3

from headwater.config_stack import Kafka
from headwater.errors import Unavailable
from storage.kafka_log import KafkaLog, open_kafka_log
from tests.log.kit import TOPIC, put, take, topic, values
from tests.services.server import Server

LIMIT = 30.0
LOADING, MOVED, NO_RIGHT = 14, 16, 30


@pytest.fixture
async def log(kafka_server: Server) -> AsyncGenerator[KafkaLog, None]:
    """Of three entries, group "g" has committed the first."""
    servers = (f"127.0.0.1:{kafka_server.port}",)
    config = Kafka(servers=servers, prefix=f"c{uuid4().hex[:12]}.", request_time=5, replication=1)
    async with asyncio.timeout(LIMIT), open_kafka_log(config, [topic(1)]) as opened:
        await put(opened, 0, "a", "b", "c")
        async with opened.subscribe([TOPIC], "g") as member:
            await member.commit((await take(member, 3))[:1])
        yield opened


class Coordinator:
    """Answers requests for commits with these error codes, one after the other, as brokers do for a whole group."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *codes: int) -> None:
        self.codes = list(codes)
        real: Any = AIOKafkaClient.send

        async def send(client: AIOKafkaClient, node: int, request: object, **options: Any) -> object:
            if isinstance(request, OffsetFetchRequest) and self.codes:
                return OffsetFetchResponse_v3(0, [], self.codes.pop(0))
            return await real(client, node, request, **options)

        monkeypatch.setattr(AIOKafkaClient, "send", send)


@pytest.mark.parametrize("code", [LOADING, MOVED, NO_RIGHT])
async def test_who_asks_for_a_groups_commits_is_told_that_it_cannot_be_asked(
    log: KafkaLog, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    coordinator = Coordinator(monkeypatch, code)
    with pytest.raises(Unavailable):
        await log.committed("g", TOPIC)
    assert not coordinator.codes
    assert await log.committed("g", TOPIC) == {0: 1}


@pytest.mark.parametrize("code", [LOADING, MOVED])
async def test_a_member_whose_coordinator_is_loading_or_has_moved_goes_on_where_its_group_was(
    log: KafkaLog, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    coordinator = Coordinator(monkeypatch, code)
    async with log.subscribe([TOPIC], "g") as member:
        assert values(await take(member, 2)) == ["b", "c"]
    assert not coordinator.codes
