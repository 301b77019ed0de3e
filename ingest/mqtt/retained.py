"""Retained messages: the newest of each topic that asked for it, in the memory of every gateway.

In: entries of topic `retained` (key: the MQTT topic), in the order of the log. Out: for a filter, the messages that a
new subscriber gets. All gateways read the same entries by the same bounds, so all have the same messages.
Source: OASIS MQTT 5.0, sections 3.3.1.3 and 3.3.1.4.
"""

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush

import msgspec

from headwater.log import Entry
from headwater.saying import get_logger
from headwater.times import SECOND
from ingest.mqtt.packets import RETAIN, Publish
from ingest.mqtt.properties import NONE, Properties
from ingest.mqtt.state import handed_on

_EACH = 500
"""What a retained message costs beside its topic and payload, about."""

log = get_logger()


class RetainedMessage(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An entry's value. `at`: when it came, microseconds since 1970 UTC. `sender`: see `state.key_of`."""

    payload: bytes
    qos: int
    at: int
    sender: str
    properties: Properties = NONE

    def expired(self, now: int) -> bool:
        """Its message expiry interval is over."""
        interval = self.properties.message_expiry_interval
        return interval is not None and self.at + interval * SECOND <= now

    def publish(self, topic: str, now: int) -> Publish:
        """As it goes out now: what is left of its expiry interval is counted."""
        given, interval = self.properties, self.properties.message_expiry_interval
        if interval is not None:
            left = max(1, interval - (now - self.at) // SECOND)
            given = msgspec.structs.replace(given, message_expiry_interval=left)
        return Publish(topic, self.payload, self.qos << 1 | RETAIN, 0, given)


encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(RetainedMessage).decode


def value_of(publish: Publish, now: int, sender: str) -> bytes | None:
    """The entry's value for a PUBLISH with RETAIN; None, which forgets the topic, where its payload is empty."""
    if not publish.payload:
        return None
    return encode(RetainedMessage(publish.payload, publish.qos, now, sender, handed_on(publish.properties)))


class _Node:
    __slots__ = ("below", "message")

    def __init__(self) -> None:
        self.below: dict[str, _Node] = {}
        self.message: RetainedMessage | None = None


class Retained:
    """`most` messages of `most_size` bytes, about; what is beyond is not kept. `count`, `size`: what there is."""

    def __init__(self, most: int, most_size: int) -> None:
        self.count = self.size = 0
        self._most = most
        self._most_size = most_size
        self._root = _Node()
        self._said = False
        self._due: list[tuple[int, str]] = []  # when a message expires, and its topic: one look each
        self._noted: set[str] = set()

    def has_room(self, publish: Publish) -> bool:
        """Whether it would be kept, or is there to make room."""
        if not publish.payload:
            return True
        known = self.get(publish.topic)
        return self._fits(known, _cost(publish.topic, publish.payload) - (_cost_of(publish.topic, known)))

    def apply(self, entry: Entry) -> None:
        """Take what came on the log."""
        topic = entry.key.decode()
        if entry.value is None:
            self._remove(topic)
        else:
            self._put(topic, _decode(entry.value))

    def get(self, topic: str) -> RetainedMessage | None:
        """The message of this topic."""
        node = self._root
        for level in topic.split("/"):
            found = node.below.get(level)
            if found is None:
                return None
            node = found
        return node.message

    def topics(self, pattern: str) -> Iterator[str]:
        """Those that fit a filter and have a message."""
        return _walk(self._root, None, pattern.split("/"), 0)

    def lapsed(self, now: int) -> list[str]:
        """Topics whose messages have expired since this was last asked."""
        found: list[str] = []
        while self._due and self._due[0][0] <= now:
            topic = heappop(self._due)[1]
            self._noted.discard(topic)
            kept = self.get(topic)
            if kept is None:
                continue
            if kept.expired(now):
                found.append(topic)
            else:
                self._note(topic, kept)
        return found

    def _note(self, topic: str, message: RetainedMessage) -> None:
        interval = message.properties.message_expiry_interval
        if interval is not None and topic not in self._noted:
            self._noted.add(topic)
            heappush(self._due, (message.at + interval * SECOND, topic))

    def _fits(self, known: RetainedMessage | None, more: int) -> bool:
        if self.size + more > self._most_size:
            return False
        return known is not None or self.count < self._most

    def _put(self, topic: str, message: RetainedMessage) -> None:
        known = self.get(topic)
        more = _cost(topic, message.payload) - _cost_of(topic, known)
        if not self._fits(known, more):
            if not self._said:
                self._said = True
                log.warning("more retained messages than mqtt.retained and mqtt.retained_size: not all are kept")
            self._remove(topic)
            return
        node = self._root
        for level in topic.split("/"):
            node = node.below.setdefault(level, _Node())
        node.message = message
        self._note(topic, message)
        self.count += known is None
        self.size += more

    def _remove(self, topic: str) -> None:
        path, levels = [self._root], topic.split("/")
        for level in levels:
            node = path[-1].below.get(level)
            if node is None:
                return
            path.append(node)
        if path[-1].message is None:
            return
        self.count -= 1
        self.size -= _cost_of(topic, path[-1].message)
        path[-1].message = None
        for level, parent, node in zip(reversed(levels), reversed(path[:-1]), reversed(path[1:]), strict=True):
            if node.message is not None or node.below:
                break
            del parent.below[level]


def _cost(topic: str, payload: bytes) -> int:
    return len(topic) + len(payload) + _EACH


def _cost_of(topic: str, known: RetainedMessage | None) -> int:
    return 0 if known is None else _cost(topic, known.payload)


def _walk(node: _Node, name: str | None, levels: Sequence[str], at: int) -> Iterator[str]:
    """Topics below a node, which is `name` (None: the root), that fit the levels of a filter from `at` on."""
    if at == len(levels):
        if node.message is not None and name is not None:
            yield name
        return
    level = levels[at]
    if level == "#":
        if node.message is not None and name is not None:  # `a/#` also fits `a`
            yield name
        names = list(node.below)
        deeper = at
    elif level == "+":
        names, deeper = list(node.below), at + 1
    else:
        names, deeper = ([level] if level in node.below else []), at + 1
    for below in names:
        if name is None and level in {"#", "+"} and below.startswith("$"):
            continue
        found = node.below.get(below)
        if found is not None:
            yield from _walk(found, below if name is None else f"{name}/{below}", levels, deeper)
