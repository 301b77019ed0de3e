"""The topics as Kafka has them: made where they are missing, compared with the configuration where they are there.

In: topic specifications, the section `kafka`. Out: partition counts, and the log's id. The id is the first entry of the
topic `headwater-log-id`, which keeps everything for ever: processes that start at the same time all write one, and all
take the one with the lowest offset.
"""

import asyncio
import os
from collections.abc import Sequence
from typing import Any, cast

import aiokafka.admin  # pyright: ignore[reportMissingTypeStubs] there are none
import aiokafka.admin.config_resource  # pyright: ignore[reportMissingTypeStubs]

from headwater.config_stack import Kafka
from headwater.errors import ConfigError, LogError, Unavailable
from headwater.log import NewEntry, TopicSpec
from headwater.saying import get_logger
from storage.kafka_client import ENTRY_SIZE, Admin, new_consumer, partition_of, started, within
from storage.kafka_log_append import Appender

LOG_ID = "headwater-log-id"
_NO_ERROR, _EXISTS = 0, 36
_MISTAKES = {17: "the name", 29: "the rights", 37: "the partitions", 38: "the replication", 40: "the configuration"}
_SEGMENT = 512 * 2**20
_COMPACTED = 64 * 2**20


async def prepare(admin: Admin, config: Kafka, specs: Sequence[TopicSpec], *, make: bool = True) -> None:
    """Make what is missing, or refuse that too; refuse what differs. Raises `ConfigError`, `Unavailable`."""
    _check(specs)
    if make and config.replication == 1:
        get_logger().warning(
            "kafka.replication is 1: one copy of each entry, so a broker's lost disk is lost data",
            brokers=config.servers,
        )
    await _make(admin, config, [*specs, TopicSpec(LOG_ID, 1)], make=make)
    await _await_leaders(admin, config, specs)
    await _compare_insync(admin, config, specs)


async def log_id(config: Kafka, *, make: bool = True) -> str:
    """The log's id, made now if there is none and `make`. Raises `Unavailable`."""
    found = await _first_id(config)
    if found is None and make:
        await _write_id(config, os.urandom(8).hex())
        found = await _first_id(config)
    if found is None:
        raise Unavailable(f"kafka: topic {config.prefix}{LOG_ID} does not give back what was written to it")
    return found


def _check(specs: Sequence[TopicSpec]) -> None:
    for spec in specs:
        if spec.compact and (spec.retention is not None or spec.retention_size is not None):
            raise ConfigError(f"topic {spec.name} keeps the newest entry of each key: it can have no retention")


async def _make(admin: Admin, config: Kafka, specs: Sequence[TopicSpec], *, make: bool) -> None:
    # All topics are listed: to ask for one by name makes it, with the broker's defaults.
    there = await within(config.request_time, admin.list_topics(), "kafka: topics")
    missing = {config.prefix + spec.name for spec in specs}.difference(there)
    if missing and not make:
        raise ConfigError(f"kafka has no topic {min(missing)}: is kafka.prefix right, and was anything ever started?")
    made = cast("Any", aiokafka.admin.NewTopic)
    new = [
        made(
            name=config.prefix + spec.name,
            num_partitions=spec.partitions,
            replication_factor=config.replication,
            topic_configs=_settings(spec, config),
        )
        for spec in specs
        if config.prefix + spec.name in missing
    ]
    if not new:
        return
    response = await within(config.request_time * 2, admin.create_topics(new), "kafka: new topics")
    for name, code, *rest in response.topic_errors:
        if code in _MISTAKES:
            raise ConfigError(f"kafka refuses {_MISTAKES[code]} of topic {name}: {rest[0] if rest else code}")
        if code not in (_NO_ERROR, _EXISTS):  # another process may just have made it
            raise Unavailable(f"kafka: topic {name} could not be made: {rest[0] if rest else code}")


def _settings(spec: TopicSpec, config: Kafka) -> dict[str, str]:
    settings = {
        "cleanup.policy": "compact" if spec.compact else "delete",
        "min.insync.replicas": str(config.min_insync),
        "max.message.bytes": str(ENTRY_SIZE),
        "message.timestamp.type": "CreateTime",
        "retention.ms": "-1" if spec.retention is None else str(int(spec.retention * 1000)),
    }
    if spec.compact:
        # What is replaced goes from closed segments only, and each start reads all that is left.
        settings["segment.bytes"] = str(max(2 * ENTRY_SIZE, _COMPACTED))
        settings["segment.ms"] = str(3_600_000)
        settings["min.cleanable.dirty.ratio"] = "0.2"
    if spec.retention_size is not None:
        share = max(1, spec.retention_size // spec.partitions)
        settings["retention.bytes"] = str(share)
        # Retention drops whole segments, so they have to be small beside it.
        settings["segment.bytes"] = str(max(2 * ENTRY_SIZE, min(_SEGMENT, share // 8)))
    return settings


async def _await_leaders(admin: Admin, config: Kafka, specs: Sequence[TopicSpec]) -> None:
    """A topic that was just made has no leaders at first; then compare what is there with what is asked for."""
    wanted = {config.prefix + spec.name: spec for spec in specs}
    without: list[str] = []
    for pause in (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6):
        await asyncio.sleep(pause)
        found = await within(config.request_time, admin.describe_topics(list(wanted)), "kafka: topics")
        for topic in found:
            if topic["error_code"] == _NO_ERROR:
                _compare(topic, wanted[topic["topic"]], config)
        without = [topic["topic"] for topic in found if not _led(topic)]
        if not without:
            return
    raise Unavailable(f"kafka: {', '.join(without)} has partitions without a leader")


def _led(topic: dict[str, Any]) -> bool:
    return topic["error_code"] == _NO_ERROR and all(part["leader"] >= 0 for part in topic["partitions"])


def _compare(topic: dict[str, Any], spec: TopicSpec, config: Kafka) -> None:
    parts = topic["partitions"]
    if len(parts) != spec.partitions:
        raise ConfigError(
            f"topic {topic['topic']} was made with {len(parts)} partitions, and {spec.partitions} are configured: "
            "set log.partitions back, or choose another kafka.prefix"
        )
    copies = min(len(part["replicas"]) for part in parts)
    if copies < config.replication:
        raise ConfigError(
            f"topic {topic['topic']} has {copies} copies of each entry, and kafka.replication asks for "
            f"{config.replication}: reassign its partitions, or set kafka.replication back"
        )


async def _compare_insync(admin: Admin, config: Kafka, specs: Sequence[TopicSpec]) -> None:
    kinds = aiokafka.admin.config_resource
    made, kind = cast("Any", kinds.ConfigResource), cast("Any", kinds.ConfigResourceType).TOPIC
    wanted = [made(kind, config.prefix + spec.name, {"min.insync.replicas": None}) for spec in specs]
    for response in await within(config.request_time, admin.describe_configs(wanted), "kafka: topics"):
        for code, _, _, name, entries in response.resources:
            for key, value, *_ in entries:
                if code == _NO_ERROR and key == "min.insync.replicas" and int(value) != config.min_insync:
                    raise ConfigError(
                        f"topic {name} has min.insync.replicas {value}, and kafka.min_insync is {config.min_insync}: "
                        "change the one or the other"
                    )


async def _first_id(config: Kafka) -> str | None:
    at = partition_of(config.prefix + LOG_ID, 0)
    consumer = new_consumer(config)
    async with started(consumer, config.request_time):
        consumer.assign([at])
        first = (await within(config.request_time, consumer.beginning_offsets([at]), "kafka: log id"))[at]
        after = (await within(config.request_time, consumer.end_offsets([at]), "kafka: log id"))[at]
        if after == first:
            return None
        consumer.seek(at, first)
        wait = int(config.request_time * 1000)
        found = await within(
            config.request_time * 2, consumer.getmany(at, timeout_ms=wait, max_records=1), "kafka: log id"
        )
        if at not in found:
            raise Unavailable("kafka: the log's id could not be read")
        return (found[at][0].value or b"").decode()


async def _write_id(config: Kafka, value: str) -> None:
    appender = Appender(config, [LOG_ID])
    try:
        await appender.ready()
        (result,) = await appender.append(LOG_ID, [NewEntry(0, b"log-id", value.encode())], {0})
    finally:
        await appender.close()
    if isinstance(result, LogError):
        raise Unavailable(f"kafka: the log's id could not be written: {result}")
