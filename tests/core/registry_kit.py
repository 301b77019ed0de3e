"""What the registry's tests share: a log on disk with its topics, entries as they stand on topic `registry`."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from headwater.credentials import digest
from headwater.directory import Directory
from headwater.log import MESSAGES, REGISTRY, Entry, Log, TopicSpec
from headwater.message import Control, decode_control
from headwater.registry import ApiKey, Change, Device, decode_change, encode_change, key_of
from storage.sqlite_log import SqliteLog, open_log
from storage.sqlite_registry import SqliteRegistry, open_registry

PARTITIONS = 3


@asynccontextmanager
async def a_log(folder: Path, registry_partitions: int = 1) -> AsyncGenerator[SqliteLog, None]:
    topics = [TopicSpec(MESSAGES, PARTITIONS), TopicSpec(REGISTRY, registry_partitions, compact=True)]
    async with open_log(folder / "log.sqlite", topics) as log:
        yield log


@asynccontextmanager
async def a_registry(folder: Path) -> AsyncGenerator[SqliteRegistry, None]:
    async with open_registry(folder / "registry.sqlite") as registry:
        yield registry


def entry(change: Change, offset: int = 0) -> Entry:
    return Entry(REGISTRY, 0, offset, 0, key_of(change), encode_change(change))


def device_entry(name: str, version: int = 1, *, token: str = "", **more: object) -> Entry:
    return entry(Device(name, digest(token) if token else "", version=version, **more))  # type: ignore[arg-type]


def key_entry(name: str, version: int = 1, *, token: str, **more: object) -> Entry:
    return entry(ApiKey(name, digest(token), ("read",), version=version, **more))  # type: ignore[arg-type]


async def sent(log: Log) -> list[Change]:
    """All that topic `registry` has."""
    found: list[Change] = []
    for partition, (first, _) in (await log.ends(REGISTRY)).items():
        async for entries in log.read(REGISTRY, partition, first):
            found += [decode_change(entry.value or b"") for entry in entries]
    return found


async def controls(log: Log, partition: int) -> list[Control]:
    """The control entries of a partition of `messages`."""
    return [
        decode_control(entry.value or b"")
        async for entries in log.read(MESSAGES, partition, 0)
        for entry in entries
        if not entry.key
    ]


def ready(entries: Sequence[Entry] = (), **settings: object) -> Directory:
    """A directory that has read these entries and believes that they are all."""
    directory = Directory(**settings)  # type: ignore[arg-type]
    directory.apply(entries)
    directory.caught_up(float("inf"))
    return directory
