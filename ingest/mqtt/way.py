"""The way of one topic: how a read looks that is one whole PUBLISH on it, like nearly all of a device's.

In: bytes as they were read. Out: where their payload begins, without taking the packet apart; what looks otherwise is
for `ingest.mqtt.reader`.
"""

from typing import Final

from ingest.contract import Source
from ingest.mqtt.packets import PUBLISH, QOS_1
from ingest.mqtt.wire import write_text

_PUBLISH_1: Final = PUBLISH | QOS_1
_LONG = 130
"""Bytes of a PUBLISH from which on its length takes two of them, or more."""


class Way:
    """`back`: how far before the payload the packet identifier stands. `most`: the largest read it is meant for."""

    __slots__ = ("_most", "_prefix", "back", "source")

    def __init__(self, topic: str, source: Source, version: int, most: int) -> None:
        self._prefix = write_text(topic)
        self._most = most
        self.source = source
        self.back = 3 if version == 5 else 2

    def payload(self, data: bytes) -> int:
        """Where the payload begins; 0 unless this is one PUBLISH on the topic, with QoS 1 and without properties."""
        size = len(data)
        if data[0] != _PUBLISH_1 or not 7 <= size <= self._most:
            return 0
        if size < _LONG:
            at = 2
            whole = data[1] == size - 2
        else:
            at = 3
            whole = data[1] >= 0x80 and 0 < data[2] < 0x80 and data[1] & 0x7F | data[2] << 7 == size - 3
        if not whole or not data.startswith(self._prefix, at):
            return 0
        at += len(self._prefix)
        body = at + self.back
        if body > size or not data[at] | data[at + 1] or (self.back == 3 and data[at + 2]):
            return 0
        return body
