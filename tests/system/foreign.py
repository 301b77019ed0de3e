"""Another program on the installation's Kafka, in plain aiokafka: it reads topics, repeats entries, drops old ones.

In: a broker's address, topics by their full names. Out: entries as they stand there; copies of them as a producer's
retry or a zombie would leave them, verbatim and on the same partition.
"""

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import aiokafka  # pyright: ignore[reportMissingTypeStubs] there are none
import aiokafka.admin  # pyright: ignore[reportMissingTypeStubs]

TIME = 60.0
_HELD = 3
"""Groups of entries of a partition that a zombie sleeps through before it says the oldest of them again."""


class Entry(NamedTuple):
    partition: int
    offset: int
    timestamp: int
    key: bytes
    value: bytes


class Client:
    """A consumer of all partitions of the topics, from their beginning, in no group; and a producer."""

    def __init__(self, server: str, topics: Sequence[str]) -> None:
        self._server = server
        self._topics = topics

    async def __aenter__(self) -> Self:
        module: Any = aiokafka
        self._consumer = module.AIOKafkaConsumer(
            bootstrap_servers=self._server, auto_offset_reset="earliest", enable_auto_commit=False
        )
        self._producer = module.AIOKafkaProducer(bootstrap_servers=self._server, acks="all")
        await self._consumer.start()
        await self._producer.start()
        partitions = [
            module.TopicPartition(topic, number)
            for topic in self._topics
            for number in await self._producer.partitions_for(topic)
        ]
        self._consumer.assign(partitions)
        self._partitions = partitions
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()
        await self._producer.stop()

    async def ends(self) -> Mapping[tuple[str, int], int]:
        return await self._consumer.end_offsets(self._partitions)

    async def some(self) -> Mapping[tuple[str, int], list[Entry]]:
        found = await self._consumer.getmany(timeout_ms=200)
        return {
            at: [Entry(one.partition, one.offset, one.timestamp, one.key or b"", one.value or b"") for one in entries]
            for at, entries in found.items()
        }

    async def again(self, at: tuple[str, int], entries: Sequence[Entry]) -> list[int]:
        """Append copies, in this order; their offsets."""
        topic, partition = at
        sent = [
            await self._producer.send(
                topic, one.value, key=one.key or None, partition=partition, timestamp_ms=one.timestamp
            )
            for one in entries
        ]
        return [(await future).offset for future in sent]


class Repeater(threading.Thread):
    """Repeats every entry once until `halt`: at once, as a producer that missed the answer, or later, as a zombie.

    `copied`: topic → how many.
    """

    def __init__(self, server: str, topics: Sequence[str], seed: int) -> None:
        super().__init__(daemon=True)
        self._arguments = (server, topics)
        self._chance = random.Random(seed)
        self._halted = threading.Event()
        self._failure: BaseException | None = None
        self._mine: dict[tuple[str, int], set[int]] = {}
        self._held: dict[tuple[str, int], list[Sequence[Entry]]] = {}
        self.copied: Counter[str] = Counter()

    def halt(self) -> None:
        """Say all that is still held, and end."""
        self._halted.set()
        self.join(TIME)
        assert not self.is_alive()
        assert self._failure is None, self._failure

    def run(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:
            self._failure = error
            raise

    async def _run(self) -> None:
        async with Client(*self._arguments) as client:
            while not self._halted.is_set():
                for at, entries in (await client.some()).items():
                    mine = self._mine.setdefault(at, set())
                    if fresh := [entry for entry in entries if entry.offset not in mine]:
                        await self._take(client, at, fresh)
            for at, groups in self._held.items():
                for group in groups:
                    await self._say(client, at, group)

    async def _take(self, client: Client, at: tuple[str, int], entries: Sequence[Entry]) -> None:
        held = self._held.setdefault(at, [])
        if self._chance.random() < 0.5:
            await self._say(client, at, entries)
        else:
            held.append(entries)
        if len(held) > _HELD:
            await self._say(client, at, held.pop(0))

    async def _say(self, client: Client, at: tuple[str, int], entries: Sequence[Entry]) -> None:
        self._mine[at].update(await client.again(at, entries))
        self.copied[at[0]] += len(entries)


def read(server: str, topic: str) -> list[Entry]:
    """All that is on the topic now, each partition in its order."""
    return asyncio.run(asyncio.wait_for(_read(server, topic), TIME))


async def _read(server: str, topic: str) -> list[Entry]:
    found: list[Entry] = []
    async with Client(server, [topic]) as client:
        missing = {at: end for at, end in (await client.ends()).items() if end}
        while missing:
            for at, entries in (await client.some()).items():
                found += entries
                if at in missing and entries[-1].offset + 1 >= missing[at]:
                    del missing[at]
    return found


def drop_all(server: str, topics: Sequence[str]) -> None:
    """Let the topics forget all that is on them now, as retention does."""
    asyncio.run(asyncio.wait_for(_drop_all(server, topics), TIME))


async def _drop_all(server: str, topics: Sequence[str]) -> None:
    module: Any = aiokafka.admin
    async with Client(server, topics) as client:
        before = {at: module.RecordsToDelete(before_offset=end) for at, end in (await client.ends()).items()}
    admin = module.AIOKafkaAdminClient(bootstrap_servers=server)
    await admin.start()
    try:
        await admin.delete_records(before)
    finally:
        await admin.close()
