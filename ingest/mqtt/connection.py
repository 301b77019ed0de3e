"""One MQTT connection: which part gets which packet.

In: bytes from a transport. Out: packets handed to the parts that know them (`entering`, `inbound`, `outbox`,
`subscribing`), and word to whoever sends more than it may. How it begins is in `entering`, how it ends in `life`.
"""

import asyncio
from typing import Final, cast

from ingest.mqtt import encoding, subscribing
from ingest.mqtt.entering import Entering
from ingest.mqtt.lasting import KeptSession
from ingest.mqtt.life import Client, State
from ingest.mqtt.packets import (
    Auth,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Subscribe,
    Unsubscribe,
)
from ingest.mqtt.reasons import ReasonCode
from ingest.mqtt.stream import QUOTA
from ingest.mqtt.subscriptions import Grant
from ingest.quotas import Meter

_SHORTEST = 0.01
"""Seconds that a pause lasts at least."""

_LIVE: Final = State.LIVE
_PINGRESP: Final = b"\xd0\0"


class Connection(Entering):
    """Made by the server for each transport."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        if self._state > _LIVE:
            return
        self._heard = self._broker.clock()
        client, reader, taken, count = self._client, self._reader, 0, 0
        if client is not None and reader.rest is None and self._state is _LIVE:
            taken, count = client.inbound.straight(data)
        if taken < len(data) and self._state <= _LIVE:
            count += self._read(data[taken:] if taken else data)
        if self._meter is not None:
            self._pay(count, len(data), self._meter)
        if reader.broken is not None and self._state is not State.JOINING:
            self._refuse(reader.broken)

    def _read(self, data: bytes) -> int:
        """What has to be taken apart; returns how many PUBLISHes it was."""
        found, client = self._reader.feed(data), self._client
        if not self._reader.plain or client is None:
            self._take(found)
            return sum(type(packet) is Publish for packet in found)
        client.inbound.take(cast("list[Publish]", found))
        return len(found)

    def _take(self, packets: list[Packet]) -> None:
        """Packets of every kind, in their order; PUBLISHes that stand together go together."""
        publishes: list[Publish] = []
        for at, packet in enumerate(packets):
            if self._state is State.JOINING:
                self._early += packets[at:]
                return
            if type(packet) is Publish:
                publishes.append(packet)
                continue
            if publishes and self._client is not None:
                self._client.inbound.take(publishes)
                publishes = []
            if self._state > State.LIVE:
                return
            if self._client is not None:
                self._handle(packet, self._client)
            elif type(packet) is Connect:
                self._connect(packet)
        if publishes and self._client is not None:
            self._client.inbound.take(publishes)

    def _handle(self, packet: Packet, client: Client) -> None:
        outbox, version = client.session.outbox, client.terms.version
        match packet:
            case Pingreq():
                self._stream.send(_PINGRESP)
            case Puback() | Pubcomp():
                outbox.acknowledged(packet.packet_id)
            case Pubrec() if packet.code < ReasonCode.UNSPECIFIED_ERROR:
                outbox.received(packet.packet_id)
            case Pubrec():
                outbox.acknowledged(packet.packet_id)
            case Pubrel():
                client.inbound.released(packet.packet_id)
            case Subscribe():
                done = subscribing.subscribe(packet, client.session, self._broker)
                self._answer_once_kept(encoding.encode(done.answer, version), client, done.wants)
            case Unsubscribe():
                ended = subscribing.unsubscribe(packet, client.session, self._broker, version)
                self._answer_once_kept(encoding.encode(ended, version), client, [])
            case Disconnect():
                self._disconnect(packet, client)
            case Auth():
                self.end(ReasonCode.PROTOCOL_ERROR, "there is no enhanced authentication")
            case _:  # the reader lets nothing else through
                self.end(ReasonCode.PROTOCOL_ERROR, "a client does not send this")

    def _answer_once_kept(self, answer: bytes, client: Client, wants: list[tuple[str, Grant]]) -> None:
        """Answer when the log has the session as it is now, where others must know it; then what is retained."""
        session = client.session

        def say() -> None:
            if len(answer) > client.terms.packet_limit:
                self.end(ReasonCode.PACKET_TOO_LARGE, "the answer is larger than the packets you take")
                return
            self._stream.send(answer)
            subscribing.send_retained(wants, session, self._broker)
            subscribing.send_commands(session, self._broker)

        def saved(ok: bool) -> None:  # noqa: FBT001 - a callback
            if ok:
                say()
            else:
                self.end(ReasonCode.SERVER_BUSY, "the log cannot take it now; send again")

        if isinstance(session, KeptSession):
            self._broker.plane.owner.save(session, saved)
        else:
            say()

    def _pay(self, count: int, size: int, meter: Meter) -> None:
        """Count what a read has brought; if it was more than its sender may send, the next one comes later."""
        wait = meter.took(count, size, self._broker.clock())
        if wait:
            if not self._stream.paused & QUOTA and self._state is State.LIVE:
                self._stream.pause(QUOTA)
                self._broker.metrics.throttled.labels("mqtt").inc()
            asyncio.get_running_loop().call_later(max(wait, _SHORTEST), self._paid, meter)

    def _paid(self, meter: Meter) -> None:
        """It may send again, unless more has come meanwhile."""
        if self._stream.paused & QUOTA:
            self._heard = self._broker.clock()
            wait = meter.took(0, 0, self._heard)  # looked at once: a second look may find it paid for
            if wait:
                asyncio.get_running_loop().call_later(max(wait, _SHORTEST), self._paid, meter)
            else:
                self._stream.resume(QUOTA)
