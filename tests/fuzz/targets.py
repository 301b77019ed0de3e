"""What is held to, whatever is said: the laws that a round of the fuzzer checks.

In: a `random.Random`. Out: nothing, or an `AssertionError` (or whatever else was raised, which is a fault as well).
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from random import Random
from typing import Final

from ingest.mqtt.connection import Connection
from ingest.mqtt.encoding import encode
from ingest.mqtt.frames import BadFrame, FrameReader
from ingest.mqtt.packets import Connack, Connect, Disconnect, Packet, Pingreq, Pingresp, Puback, Publish
from ingest.mqtt.reader import CONNECT_SIZE, Reader
from ingest.mqtt.reasons import ReasonCode
from tests.fuzz import talks
from tests.ingest.mqtt.kit import Endpoint, endpoint, until
from tests.ingest.mqtt.test_any_talk import Pipe
from tests.ingest.mqtt.test_frames import masked

LIMIT = 4096
_R = ReasonCode
UNREADABLE: Final = {
    _R.MALFORMED_PACKET, _R.PROTOCOL_ERROR, _R.UNSUPPORTED_PROTOCOL_VERSION, _R.TOPIC_NAME_INVALID,
    _R.TOPIC_FILTER_INVALID, _R.TOPIC_ALIAS_INVALID, _R.PACKET_TOO_LARGE, _R.QUOTA_EXCEEDED,
}  # fmt: skip
"""Why the reader may refuse, as docs/mqtt.md says."""

ENDED: Final = UNREADABLE | {
    _R.RECEIVE_MAXIMUM_EXCEEDED, _R.SESSION_TAKEN_OVER, _R.RETAIN_NOT_SUPPORTED, _R.KEEP_ALIVE_TIMEOUT,
    _R.NOT_AUTHORIZED, _R.SERVER_BUSY,
}  # fmt: skip
"""Why a connection may be ended, likewise."""


def reader(random: Random) -> None:
    """The reader says packets or a documented reason, the same in any cut, and keeps no more than a packet."""
    version = random.choice((4, 5))
    data = talks.connect(random, version) + talks.talk(random, version)
    if random.random() < 0.3:
        data = talks.mutated(random, data)
    whole, pieces = Reader(LIMIT, LIMIT // 2, 16), Reader(LIMIT, LIMIT // 2, 16)
    expected, found = whole.feed(data), list[Packet]()
    for piece in talks.cut(random, data):
        found += pieces.feed(piece)
        assert pieces.waiting <= max(LIMIT, CONNECT_SIZE) + 5
    assert found == expected
    assert (pieces.broken and pieces.broken.code) == (whole.broken and whole.broken.code)
    assert whole.broken is None or whole.broken.code in UNREADABLE, whole.broken


def frames(random: Random) -> None:
    """The frame reader gives bytes or a reason, the same in any cut."""
    data = b"".join(
        masked(random.choice((2, 2, 2, 8, 9, 10, 0, 1)), random.randbytes(random.choice((0, 5, 125, 200))),
               fin=random.random() < 0.9)
        for _ in range(random.randrange(1, 5))
    )  # fmt: skip
    if random.random() < 0.5:
        data = talks.mutated(random, data)
    assert _frames(data, [data]) == _frames(data, talks.cut(random, data))


def _frames(data: bytes, pieces: list[bytes]) -> tuple[bytes, list[bytes], bool, int]:
    reader, found, code = FrameReader(), b"", 0
    try:
        for piece in pieces:
            found += reader.feed(piece)
    except BadFrame as error:
        return b"", [], False, error.code  # what came before it in the same piece is given up with it
    return found, reader.pings, reader.closed, code


class Site:
    """An endpoint with one well-behaved client, who must notice nothing of all others."""

    def __init__(self, here: Endpoint) -> None:
        self.here = here
        here.intake.at_once = True
        self._said = 0
        self._good, self._pipe = self.line()
        self._good.data_received(encode(Connect(5, "the-good-one", keep_alive=0), 5))
        self._reader = Reader(2**20, 2**20, peer="server", version=5)
        assert isinstance(self._hears()[0], Connack)

    def line(self) -> tuple[Connection, Pipe]:
        connection, pipe = Connection(self.here.broker), Pipe()
        connection.connection_made(pipe)
        return connection, pipe

    def _hears(self) -> list[Packet]:
        data, self._pipe.written = self._pipe.written, b""
        return self._reader.feed(data)

    async def round(self, random: Random) -> None:
        """A few clients say what they like, in turns; then the good one is served as ever."""
        clients = [self._client(random) for _ in range(random.randrange(1, 4))]
        for _ in range(12):
            connection, pipe, pieces, _ = random.choice(clients)
            if pieces and not pipe.closing and pipe.reading:
                connection.data_received(pieces.pop(0))
            if random.random() < 0.2:
                await asyncio.sleep(0)
            if random.random() < 0.05:
                self.here.intake.full = True
        await asyncio.sleep(0)
        for connection, pipe, _, version in clients:
            if version:
                self._check_heard(pipe.written, version)
            connection.connection_lost(None)
        self.here.intake.relieve()
        await self._check_good()
        self.here.intake.accepted.clear()

    def _client(self, random: Random) -> tuple[Connection, Pipe, list[bytes], int]:
        """Its version is 0 where nobody can tell."""
        version = random.choice((4, 5))
        greeting = talks.connect(random, version)
        pieces = [greeting, *talks.cut(random, talks.talk(random, version))]
        if random.random() < 0.1:
            pieces[0] = talks.mutated(random, greeting)
            version = 0  # it may be another now
        return *self.line(), pieces, version

    def _check_heard(self, written: bytes, version: int) -> None:
        """All that was said to it is MQTT, and its end has a documented reason."""
        reader = Reader(2**20, 2**20, 64, "server", version)
        packets = reader.feed(written)
        if packets and isinstance(packets[0], Connack) and packets[0].code:
            return
        assert reader.broken is None, (reader.broken, written)
        for packet in packets:
            assert not isinstance(packet, Disconnect) or packet.code in ENDED, packet

    async def _check_good(self) -> None:
        self._said = self._said % 60_000 + 1
        self._good.data_received(
            encode(Publish("devices/d9/telemetry", b"{}", 2, self._said), 5) + encode(Pingreq(), 5)
        )
        await asyncio.sleep(0)  # answers of a turn go out together, at its end
        heard = self._hears()
        assert [type(packet) for packet in heard] == [Puback, Pingresp], heard
        assert heard[0] == Puback(self._said)

    async def check_left(self) -> None:
        """Nothing is left of those who are gone, as soon as the log has what they said before they went."""
        broker = self.here.broker
        assert len(broker.connections) == 1
        if broker.held:
            await until(lambda: not broker.held)


@asynccontextmanager
async def site() -> AsyncGenerator[Site, None]:
    async with endpoint(in_flight=5, keep_alive="1000d", subscriptions=4, sessions=0) as here:
        yield Site(here)
