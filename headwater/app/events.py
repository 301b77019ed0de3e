"""Which log there is, and what is on it: one `case` a profile, whose library is loaded there.

In: the configuration. Out: an open log, closed below the yield. Raises `Unavailable` where the brokers are away.
"""

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, TypeAlias

from headwater.config import Config, LogConfig
from headwater.log import (
    CANDIDATES,
    COMMANDS,
    LEARNED,
    MESSAGES,
    REGISTRY,
    REJECTED,
    RETAINED,
    ROUTED,
    SESSIONS,
    SHADOWS,
    STATUS,
    TopicSpec,
)

if TYPE_CHECKING:
    from storage.kafka_log import KafkaLog
    from storage.sqlite_log import SqliteLog

_TOLD = TopicSpec(STATUS, 1, retention=600, retention_size=64 * 2**20)
"""What the processes of the stack tell each other: only the latest matters, so little is kept."""

Events: TypeAlias = "SqliteLog | KafkaLog"


def topics(config: LogConfig) -> list[TopicSpec]:
    """What is on the log. Candidates go to the partition number of their source, so they have as many."""

    def kept(name: str) -> TopicSpec:
        return TopicSpec(name, config.partitions, config.retention, config.retention_size)

    newest = [TopicSpec(name, 1, compact=True) for name in (REGISTRY, RETAINED, SESSIONS, COMMANDS, SHADOWS, LEARNED)]
    routed = TopicSpec(ROUTED, 1, config.routed, config.routed_size)
    return [kept(MESSAGES), kept(CANDIDATES), kept(REJECTED), *newest, routed]


def open_events(config: Config) -> AbstractAsyncContextManager[Events]:
    """The log."""
    match config.profile:
        case "embedded":
            from storage.sqlite_log import open_log  # noqa: PLC0415 - see above

            return open_log(config.data / "log.sqlite", topics(config.log), session=config.log.session)
        case "stack":
            from storage.kafka_log import open_kafka_log  # noqa: PLC0415 - see above

            return open_kafka_log(config.kafka, [*topics(config.log), _TOLD], session=config.log.session)
