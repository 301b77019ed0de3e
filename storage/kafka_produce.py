"""Produce requests and their answers as bytes: Kafka's protocol, API 0, version 7 (brokers from 2.1 on).

In: batches of partitions. Out: what an aiokafka connection sends, and the partitions' answers. aiokafka's own goes
through a schema field by field, which costs more than anything else in a request of a few messages. Source: the
protocol's published description, and `tests/storage/test_kafka_produce.py`, which compares with aiokafka's.
"""

import struct
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import NamedTuple

from headwater.errors import Unavailable
from headwater.log import Offset, TopicPartition

API = 0
VERSION = 7
_ALL_COPIES = -1

_header = struct.Struct(">hhih").pack
_head = struct.Struct(">hhii").pack
_topic = struct.Struct(">h").pack
_count = struct.Struct(">i").pack
_batch = struct.Struct(">ii").pack
_partition = struct.Struct(">ihqqq")
_int = struct.Struct(">i").unpack_from
_short = struct.Struct(">h").unpack_from


class Landed(NamedTuple):
    """A partition's answer. `code` 0: the batch is in the log from `offset` on; else one of Kafka's error codes."""

    code: int
    offset: Offset


class _Header(NamedTuple):
    """What the connection asks of a header, sent or received."""

    correlation_id: int
    data: bytes

    def encode(self) -> bytes:
        return self.data


class Answers:
    """What the connection makes of an answer's body."""

    @staticmethod
    def decode(data: BytesIO) -> Mapping[TopicPartition, Landed]:
        """All partitions of an answer, without its header. Raises `struct.error` if it is cut off."""
        body = data.read()
        found: dict[TopicPartition, Landed] = {}
        (topics,) = _int(body, 0)
        at = 4
        for _ in range(topics):
            (size,) = _short(body, at)
            topic = body[at + 2 : at + 2 + size].decode()
            at += 2 + size
            (partitions,) = _int(body, at)
            at += 4
            for _ in range(partitions):
                partition, code, offset, _, _ = _partition.unpack_from(body, at)
                found[TopicPartition(topic, partition)] = Landed(code, offset)
                at += _partition.size
        return found


class Produce:
    """One request for several partitions, acks=all, in the shape that an aiokafka connection takes.

    `milliseconds`: how long the broker waits for the other copies.
    """

    API_KEY = API
    API_VERSION = VERSION
    RESPONSE_TYPE = Answers

    def __init__(self, batches: Sequence[tuple[TopicPartition, bytes]], milliseconds: int) -> None:
        topics: dict[str, list[tuple[int, bytes]]] = {}
        for (topic, partition), data in batches:
            topics.setdefault(topic, []).append((partition, data))
        self._topics = topics
        self._milliseconds = milliseconds

    def prepare(self, versions: Mapping[int, tuple[int, int]]) -> "Produce":
        """`versions`: what the broker says it takes. Raises `Unavailable` if this version is not among them."""
        least, most = versions.get(API, (0, 0))
        if not least <= VERSION <= most:
            raise Unavailable(f"the broker takes Produce {least} to {most}, and Headwater speaks {VERSION} (Kafka 2.1)")
        return self

    def build_request_header(self, correlation_id: int, client_id: str) -> _Header:
        """Version 1 of a request's header."""
        name = client_id.encode()
        return _Header(correlation_id, _header(API, VERSION, correlation_id, len(name)) + name)

    def encode(self) -> bytes:
        """What comes after the header."""
        parts: list[bytes] = [_head(-1, _ALL_COPIES, self._milliseconds, len(self._topics))]
        for topic, batches in self._topics.items():
            name = topic.encode()
            parts += _topic(len(name)), name, _count(len(batches))
            for partition, data in batches:
                parts += _batch(partition, len(data)), data
        return b"".join(parts)

    def parse_response_header(self, data: BytesIO) -> _Header:
        """Version 0 of an answer's header."""
        return _Header(_int(data.read(4), 0)[0], b"")
