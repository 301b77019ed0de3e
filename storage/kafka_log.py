"""The log in Kafka, for many processes: `headwater.log.Log` on aiokafka.

In: the section `kafka`, topics to make or find, entries to append. Out: offsets that the configured number of brokers
have, subscriptions, readers. This file puts the parts together: appending, reading, groups.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from operator import itemgetter

from headwater.config_stack import Kafka
from headwater.errors import ConfigError, LogError, Unavailable
from headwater.log import Entry, Hooks, NewEntry, Offset, Offsets, Partition, Subscription, TopicSpec
from headwater.times import now
from storage.group_lag import GroupLag
from storage.kafka_client import Admin, new_admin, partition_of, started, within
from storage.kafka_log_append import Appender
from storage.kafka_log_member import Member, joined
from storage.kafka_log_reader import Reader
from storage.kafka_log_topics import log_id, prepare
from storage.kafka_membership import commits

_partition = itemgetter(0)


class KafkaLog:
    """Use `open_kafka_log`."""

    def __init__(
        self,
        config: Kafka,
        specs: Sequence[TopicSpec],
        identity: str,
        admin: Admin,
        reader: Reader,
        appender: Appender | None,
        session: float,
    ) -> None:
        self._config = config
        self._specs = {spec.name: spec for spec in specs}
        self._id = identity
        self._admin = admin
        self._reader = reader
        self._appender = appender
        self._session = session
        self._members: set[Member] = set()
        self._closed = False

    @property
    def id(self) -> str:
        """See `headwater.log.Log`."""
        return self._id

    def partitions(self, topic: str) -> int:
        """See `headwater.log.Log`."""
        return self._known(topic).partitions

    async def append(self, topic: str, entries: Sequence[NewEntry]) -> Sequence[Offset | LogError]:
        """See `headwater.log.Log`. Raises `ValueError` for a partition that the topic does not have."""
        count = self._known(topic).partitions
        if not entries:
            return []
        kinds = set(map(_partition, entries))
        if min(kinds) < 0 or max(kinds) >= count:
            raise ValueError(f"{topic} has the partitions 0 to {count - 1}, not {sorted(kinds)}")
        if self._appender is None:
            return [LogError("the log was opened for reading")] * len(entries)
        return await self._appender.append(topic, entries, kinds)

    @asynccontextmanager
    async def subscribe(
        self, topics: Sequence[str], group: str, hooks: Hooks | None = None
    ) -> AsyncGenerator[Subscription, None]:
        """See `headwater.log.Log`. Raises `Unavailable` where no broker answers."""
        for topic in topics:
            self._known(topic)
        self._check_open()
        async with joined(self._config, topics, group, hooks, self._session) as member:
            self._members.add(member)
            try:
                yield member
            finally:
                self._members.discard(member)

    async def read(
        self, topic: str, partition: Partition, start: Offset, *, follow: bool = False
    ) -> AsyncGenerator[Sequence[Entry], None]:
        """See `headwater.log.Log`."""
        self._known(topic)
        batches = self._reader.read(topic, partition, start, follow=follow)
        try:
            async for entries in batches:
                yield entries
        finally:
            await batches.aclose()

    async def ends(self, topic: str) -> Mapping[Partition, Offsets]:
        """See `headwater.log.Log`."""
        return await self._reader.ends(topic, range(self._known(topic).partitions))

    async def committed(self, group: str, topic: str) -> Mapping[Partition, Offset]:
        """See `headwater.log.Log`."""
        self._check_open()
        name = self._config.prefix + topic
        wanted = [partition_of(name, partition) for partition in range(self._known(topic).partitions)]
        asked = commits(self._admin, self._config.prefix + group, wanted)
        found = await within(self._config.request_time, asked, f"commits of group {group}")
        return {at.partition: offset for at, offset in found.items()}

    async def ping(self) -> None:
        """See `headwater.log.Log`: every partition has a leader, and a producer is connected."""
        self._check_open()
        names = [self._config.prefix + name for name in self._specs]
        topics = await within(self._config.request_time, self._admin.describe_topics(names), "kafka")
        for topic in topics:
            enough = all(
                part["leader"] >= 0 and len(part["isr"]) >= self._config.min_insync for part in topic["partitions"]
            )
            if topic["error_code"] or not enough:
                raise Unavailable(f"kafka: topic {topic['topic']} lacks leaders, or copies that are in step")
        if self._appender is not None:
            await self._appender.ready()

    async def maintain(self) -> None:
        """Nothing to do: brokers apply retention and compaction by themselves."""

    async def lags(self) -> Sequence[GroupLag]:
        """Where groups are behind, nearest to losing entries first; `share` goes by age only. Raises `Unavailable`."""
        self._check_open()
        prefix, time = self._config.prefix, self._config.request_time
        groups = await within(time, self._admin.list_consumer_groups(), "kafka: groups")
        ours = sorted(name[len(prefix) :] for name, *_ in groups if name.startswith(prefix))
        ends = {topic: await self.ends(topic) for topic in self._specs}
        found: list[GroupLag] = []
        for group in ours:
            for topic, offsets in ends.items():
                for partition, start in (await self.committed(group, topic)).items():
                    if start < offsets[partition].next:
                        found.append(await self._lag(group, topic, partition, start, offsets[partition]))
        return sorted(found, key=lambda lag: -lag.share)

    async def close(self) -> None:
        """Let go of all members and readers; appends that wait are still written."""
        self._closed = True
        for member in self._members:
            member.close(Unavailable("the log is closed"))
        if self._appender is not None:
            await self._appender.close()
        await self._reader.close()

    async def _lag(self, group: str, topic: str, partition: Partition, start: Offset, ends: Offsets) -> GroupLag:
        behind = ends.next - start
        if start < ends.first:
            return GroupLag(group, topic, partition, behind, 0.0, 1.0)
        age = 0.0
        batches = self.read(topic, partition, start)
        try:
            async for entries in batches:
                age = max(0.0, (now() - entries[0].time) / 1e6)
                break
        finally:
            await batches.aclose()
        retention = self._specs[topic].retention
        return GroupLag(group, topic, partition, behind, age, age / retention if retention else 0.0)

    def _known(self, topic: str) -> TopicSpec:
        spec = self._specs.get(topic)
        if spec is None:
            raise ConfigError(f"the log has no topic {topic!r}; it has {', '.join(sorted(self._specs))}")
        return spec

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the log is closed")


@asynccontextmanager
async def open_kafka_log(
    config: Kafka, topics: Sequence[TopicSpec], *, session: float = 30.0, produce: bool = True, make: bool = True
) -> AsyncGenerator[KafkaLog, None]:
    """Open the log, making the topics that are not there yet, if `make`.

    `session`: seconds of silence after which a member of a group loses its partitions; `produce` False: nothing is
    appended. Raises `ConfigError` (a topic has another number of partitions or copies), `Unavailable` (no broker
    answers: try again).
    """
    admin = new_admin(config)
    async with started(admin, config.request_time):
        await prepare(admin, config, topics, make=make)
        identity = await log_id(config, make=make)
        reader = Reader(config)
        appender = Appender(config, [spec.name for spec in topics]) if produce else None
        log = KafkaLog(config, topics, identity, admin, reader, appender, session)
        try:
            if appender is not None:
                await appender.ready()
            yield log
        finally:
            await log.close()
