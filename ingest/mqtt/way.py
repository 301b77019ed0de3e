"""The way of one topic: what looks like the PUBLISH before it is not taken apart again.

In: bytes as they were read. Out: the payloads and answers of the PUBLISHes that stand at the beginning, as long as they
are plain and on the same topic, which nearly all of a device's are; what comes behind is for `ingest.mqtt.reader`.
"""

from typing import Final

from ingest.contract import Source
from ingest.mqtt.packets import PUBACK, PUBLISH, QOS_1
from ingest.mqtt.wire import write_text

PUBACKED: Final = PUBACK << 24 | 2 << 16
"""A PUBACK that says SUCCESS, but for its packet id; see `encoding.words`."""
_PUBLISH_1: Final = PUBLISH | QOS_1


class Way:
    """`most`: the longest PUBLISH, but for its first bytes, that it is meant for."""

    __slots__ = ("_back", "_most", "_prefix", "source")

    def __init__(self, topic: str, source: Source, version: int, most: int) -> None:
        self._prefix = write_text(topic)
        self._back = 3 if version == 5 else 2  # bytes between topic and payload: packet id, and no properties
        self._most = most
        self.source = source

    def read(self, data: bytes) -> tuple[list[bytes], list[int], int]:
        """Payloads, their PUBACKs, and where the first packet begins that is anything else."""
        payloads: list[bytes] = []
        answers: list[int] = []
        prefix, back, most, end = self._prefix, self._back, self._most, len(data)
        beside, at = len(prefix) + back, 0
        while end - at > beside and data[at] == _PUBLISH_1:
            size = data[at + 1]
            start = at + 2
            if size >= 0x80:
                more = data[start]
                if not 0 < more < 0x80:
                    break
                size = size & 0x7F | more << 7
                start += 1
            stop, body = start + size, start + beside
            if not body <= stop <= end or size > most or not data.startswith(prefix, start):
                break
            packet_id = data[body - back] << 8 | data[body - back + 1]
            if not packet_id or (back == 3 and data[body - 1]):
                break
            payloads.append(data[body:stop])
            answers.append(PUBACKED | packet_id)
            at = stop
        return payloads, answers, at
