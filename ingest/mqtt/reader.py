"""From a byte stream to packets: the incremental reader, and the one place where a PUBLISH is taken apart.

In: bytes, cut anywhere. Out: the packets that are complete. Sizes are checked in the fixed header, before a body is
there, so a reader never keeps more than one packet of the allowed size.
"""

from typing import Final, Literal

from ingest.mqtt import decoding, packets, properties, topics, wire
from ingest.mqtt.packets import Packet, Publish
from ingest.mqtt.properties import NONE, In, Properties
from ingest.mqtt.reasons import MalformedPacket, ReasonCode

CONNECT_SIZE = 2**16
"""The largest CONNECT: it is kept for strangers."""

_NAMES = 256
"""Topic names kept decoded and checked for a connection: a device has a few, a gateway some for each child."""

_NO_TOPIC: Final = b"\0\0"

_SECTIONS, _SECTION_SIZE = 16, 512
"""Property sections kept as read for a connection, and up to which size: devices say the same each time."""

_NEVER, _PUBLISH_0, _PUBLISH, _OTHER = 0, 1, 2, 3


def _table(*others: int) -> bytes:
    """First byte → what to do with it; `_NEVER` where type or flags are not allowed."""
    table = bytearray(256)
    for flags in (0, packets.RETAIN):
        table[packets.PUBLISH | flags] = _PUBLISH_0
        for dup in (0, packets.DUP):
            table[packets.PUBLISH | flags | dup | packets.QOS_1] = _PUBLISH
            table[packets.PUBLISH | flags | dup | packets.QOS_2] = _PUBLISH
    for first in (packets.PUBACK, packets.PUBREC, packets.PUBREL, packets.PUBCOMP, packets.DISCONNECT, *others):
        table[first] = _OTHER
    return bytes(table)


_TABLES: Final = {
    "client": _table(packets.CONNECT, packets.SUBSCRIBE, packets.UNSUBSCRIBE, packets.PINGREQ, packets.AUTH),
    "server": _table(packets.CONNACK, packets.SUBACK, packets.UNSUBACK, packets.PINGRESP, packets.AUTH),
}
_BEFORE_CONNECT: Final = bytes(_OTHER if first == packets.CONNECT else _NEVER for first in range(256))


class Reader:
    """Reads what a peer sends. A client begins with CONNECT, which says the version.

    `limit`: the largest packet; `payload_limit`: the largest payload of a PUBLISH; `aliases`: the topic alias maximum
    that the peer was told. `version` is 0 until known. After `broken` is set nothing more is read. `plain`: what was
    read last is PUBLISHes alone. `rest`: what has come of a packet that is not complete; None if there is none.
    """

    __slots__ = (
        "_alias_maximum", "_aliases", "_bound", "_kinds", "_known", "_limit", "_names", "_need", "_payload_limit",
        "_peer", "_prefix", "_sections", "broken", "plain", "rest", "version",
    )  # fmt: skip

    def __init__(
        self, limit: int, payload_limit: int, aliases: int = 0, peer: Literal["client", "server"] = "client",
        version: int = 0,
    ) -> None:  # fmt: skip
        self._limit = limit
        self._payload_limit = payload_limit
        self.version = version
        self.broken: MalformedPacket | None = None
        self.plain = True
        self._peer = peer
        self._kinds = _TABLES[peer] if version else _BEFORE_CONNECT
        self._bound = payload_limit if version else CONNECT_SIZE - 5  # sizes up to here need no second look
        self._alias_maximum = aliases
        self._aliases: dict[int, str] | None = None
        self._names: dict[bytes, str] = {}
        self._prefix, self._known = _NO_TOPIC, None
        self._sections: dict[bytes, Properties] | None = None
        self.rest: bytearray | None = None
        self._need = 0

    @property
    def waiting(self) -> int:
        """Bytes of the packet that is not complete yet."""
        return len(self.rest) if self.rest is not None else 0

    def narrow(self, limit: int, payload_limit: int) -> None:
        """Take less from now on; called when the CONNECT has been read."""
        self._limit = limit
        self._payload_limit = self._bound = payload_limit

    def feed(self, data: bytes) -> list[Packet]:
        """The packets that are complete with `data`. What came before a broken packet is returned; see `broken`."""
        found: list[Packet] = []
        self.plain = True
        if self.broken is not None:
            return found
        rest = self.rest
        if rest is not None:
            rest += data
            if len(rest) < self._need:
                return found
            data = bytes(rest)
            self.rest = None
        try:
            at = self._read(data, found)
        except MalformedPacket as error:
            self.broken = error
        else:
            if at < len(data):
                self.rest = bytearray(memoryview(data)[at:])
        return found

    def _read(self, data: bytes, found: list[Packet]) -> int:  # noqa: C901, PLR0912, PLR0915  a call a message is dear
        """Read all complete packets; returns where the incomplete one begins, and notes how many bytes it needs."""
        at, end = 0, len(data)
        kinds, bound, five = self._kinds, self._bound, self.version == 5
        names, payload_limit = self._names, self._payload_limit
        prefix, known = self._prefix, self._known
        append = found.append
        while at < end:
            first = data[at]
            kind = kinds[first]
            if not kind:
                raise self._unexpected(first)
            if end - at < 2:
                self._need = 2
                break
            size = data[at + 1]
            start = at + 2
            if size >= 0x80:
                if start < end and 0 < data[start] < 0x80:  # two bytes: what most messages have
                    size = size & 0x7F | data[start] << 7
                    start += 1
                elif end - at < 5 and min(data[start:end], default=0x80) >= 0x80:  # it goes on
                    self._need = end - at + 1
                    break
                else:
                    size, start = wire.read_variable(data, at + 1, end)
            if size > bound:
                self._check_size(size)
            stop = start + size
            if stop > end:
                self._need = stop - at
                break
            at = stop
            if kind == _OTHER:
                self.plain = False
                append(self._other(first, data, start, stop))
                kinds, bound, five = self._kinds, self._bound, self.version == 5
                continue
            if size < 2:
                raise wire.malformed("a PUBLISH without a topic")
            if data.startswith(prefix, start):  # most peers name the same topic again
                body = start + len(prefix)
            else:
                body = start + 2 + (data[start] << 8 | data[start + 1])
                prefix = data[start:body]
                known = names.get(prefix)
            packet_id = 0
            if kind == _PUBLISH:
                body += 2
                if body > stop:
                    raise wire.malformed("a PUBLISH is cut short")
                packet_id = data[body - 2] << 8 | data[body - 1]
                if not packet_id:
                    raise wire.against_protocol("a packet identifier is not 0")
            given = NONE
            if five:
                if body < stop and not data[body]:
                    body += 1
                else:
                    given, body = self._given(data, body, stop)
            if body > stop:
                raise wire.malformed("a PUBLISH is cut short")
            if size > payload_limit and stop - body > payload_limit:
                raise MalformedPacket(ReasonCode.PACKET_TOO_LARGE, f"a payload has {payload_limit} bytes at most")
            if known is None or (given is not NONE and given.topic_alias is not None):
                topic = self._topic(prefix, given)
                known = names.get(prefix)
            else:
                topic = known
            append(Publish(topic, data[body:stop], first & 15, packet_id, given))
        self._prefix, self._known = prefix, known
        return at

    def _unexpected(self, first: int) -> MalformedPacket:
        if not self.version:
            return wire.against_protocol("the first packet is not a CONNECT")
        return wire.malformed(f"a packet of type {first >> 4} with flags {first & 15} has no place here")

    def _check_size(self, size: int) -> None:
        limit = self._limit if self.version else CONNECT_SIZE
        if size + 5 > limit:
            raise MalformedPacket(ReasonCode.PACKET_TOO_LARGE, f"{size} bytes in a packet, {limit} are allowed")

    def _other(self, first: int, data: bytes, start: int, stop: int) -> Packet:
        if first != packets.CONNECT:
            return decoding.READ[first](data, start, stop, self.version)
        if self.version:
            raise wire.against_protocol("a second CONNECT")
        name, level, at = decoding.read_protocol(data, start, stop)
        self.version = 5 if level >= 5 else 4
        if name != "MQTT" or level not in {4, 5}:
            raise MalformedPacket(
                ReasonCode.UNSUPPORTED_PROTOCOL_VERSION, f"{name[:16]!r} level {level} is not spoken here"
            )
        self._kinds = _TABLES[self._peer]
        self._bound = self._payload_limit
        return decoding.read_connect(data, at, stop, self.version)

    def _given(self, data: bytes, at: int, stop: int) -> tuple[Properties, int]:
        """The properties of a PUBLISH and where they end; from memory if the same bytes came before."""
        size, start = wire.read_variable(data, at, stop)
        section = data[at : start + size]
        if self._sections is None:
            self._sections = {}
        given = self._sections.get(section)
        if given is None:
            given, _ = properties.read(data, at, stop, In.PUBLISH)
            if given.subscription_identifiers and self._peer == "client":
                raise wire.against_protocol("a client's PUBLISH has no subscription identifier")
            if len(section) <= _SECTION_SIZE:
                if len(self._sections) >= _SECTIONS:
                    self._sections.clear()
                self._sections[section] = given
        return given, start + size

    def _topic(self, prefix: bytes, given: Properties) -> str:
        """The topic of a PUBLISH that is not yet known, or stands behind an alias, or gives itself one.

        `prefix`: the name with its length before it.
        """
        alias = given.topic_alias
        if alias is not None and alias > self._alias_maximum:
            raise MalformedPacket(ReasonCode.TOPIC_ALIAS_INVALID, f"the topic alias maximum is {self._alias_maximum}")
        if prefix == _NO_TOPIC and alias is not None:
            topic = self._aliases.get(alias) if self._aliases is not None else None
            if topic is None:
                raise wire.against_protocol(f"topic alias {alias} is not known")
            return topic
        topic = self._names.get(prefix)
        if topic is None:
            topic = wire.decode_text(prefix[2:])
            topics.check_name(topic)
            if len(self._names) >= _NAMES:
                self._names.clear()
            self._names[prefix] = topic
        if alias is not None:
            if self._aliases is None:
                self._aliases = {}
            self._aliases[alias] = topic
        return topic
