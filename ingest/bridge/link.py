"""One connection to a broker, by gmqtt; the rest of the bridge sees only this.

In: where, and what to subscribe to. Out: PUBLISHes, each acknowledged to the broker when its coroutine returns, and
never if that has called `drop`. A link is one connection: an acknowledgement that comes late goes nowhere, and not to
the next connection, where its packet id may mean another message.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

import gmqtt
from gmqtt.mqtt.constants import MQTTv50, MQTTv311
from gmqtt.storage import PersistentStorage

from headwater.errors import Unavailable

KEEP_ALIVE = 30
_NOT_GRANTED = 0x80
_UNSUPPORTED = 0x84
_quiet = logging.getLogger("gmqtt")
_quiet.setLevel(logging.CRITICAL)  # what it has to say, the bridge says in a line of its own

Take = Callable[["Link", str, bytes, int], Awaitable[None]]
"""Link, topic, payload, QoS: returned = acknowledge it."""


class OldBroker(Unavailable):
    """It does not speak MQTT 5. `said`: in so many words; else it has closed the connection, as one that stops does."""

    def __init__(self, message: str, *, said: bool) -> None:
        super().__init__(message)
        self.said = said


class Broker(NamedTuple):
    """Where, and as whom. `session`: seconds it keeps what we have not read; `time`: seconds connecting may take."""

    host: str
    port: int
    client_id: str
    user: str
    password: str
    tls: ssl.SSLContext | None
    session: int
    in_flight: int
    time: float


class _Unacknowledged(PersistentStorage):
    """What was published and is not acknowledged. `latest`: the packet id of the latest."""

    def __init__(self) -> None:
        super().__init__()
        self.latest = 0
        self.waiting: dict[int, asyncio.Future[None]] = {}

    def push_message(self, mid: int, raw_package: bytes) -> None:
        """It was sent."""
        super().push_message(mid, raw_package)
        self.latest = mid

    def remove_message_by_mid(self, mid: int) -> None:
        """Its PUBACK is here."""
        super().remove_message_by_mid(mid)
        if (future := self.waiting.pop(mid, None)) is not None and not future.done():
            future.set_result(None)


class _Client(gmqtt.Client):
    """`older`: set when the broker has said that it speaks 3.1.1, as gmqtt would then on a new connection."""

    older: asyncio.Event

    async def reconnect(self, delay: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - gmqtt's signature
        """Never by itself: the bridge makes a new link."""
        if self._connection_state.protocol_version == MQTTv311:
            self.older.set()


class Link:
    """Use `linked`. `lost` is set when the connection has ended."""

    def __init__(self, broker: Broker, take: Take, *, five: bool) -> None:
        self.lost = asyncio.Event()
        self._broker = broker
        self._take = take
        self._five = five
        self._granted: asyncio.Future[Sequence[int]] = asyncio.get_running_loop().create_future()
        properties = {"session_expiry_interval": broker.session, "receive_maximum": broker.in_flight} if five else {}
        self._sent = _Unacknowledged()
        self._client: Any = _Client(
            broker.client_id, clean_session=False, optimistic_acknowledgement=False, logger=_quiet,
            persistent_storage=self._sent, **properties,
        )  # fmt: skip
        self._client.older = self._older = asyncio.Event()
        if broker.user:
            self._client.set_auth_credentials(broker.user, broker.password)
        self._client.on_message = self._on_message
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe

    async def connect(self) -> None:
        """Raises `Unavailable`, `OldBroker`."""
        broker = self._broker
        version = MQTTv50 if self._five else MQTTv311
        connecting = asyncio.ensure_future(
            self._client.connect(
                broker.host, broker.port, ssl=broker.tls or False, keepalive=KEEP_ALIVE, version=version
            )
        )
        ended, older = asyncio.ensure_future(self.lost.wait()), asyncio.ensure_future(self._older.wait())
        tasks = (connecting, ended, older)
        try:
            await asyncio.wait(tasks, timeout=broker.time, return_when=asyncio.FIRST_COMPLETED)
            if connecting.done():
                connecting.result()
            elif self._five and self._older.is_set():
                raise OldBroker(f"{broker.host}:{broker.port} does not speak MQTT 5", said=True)
            elif self._five and self.lost.is_set():
                raise OldBroker(f"{broker.host}:{broker.port} closes what begins with MQTT 5", said=False)
            else:
                raise Unavailable(f"{broker.host}:{broker.port} does not answer as a broker does")
        except gmqtt.MQTTConnectError as error:
            if self._five and error._code == _UNSUPPORTED:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - it has no other name
                raise OldBroker(f"{broker.host}:{broker.port} does not speak MQTT 5", said=True) from error
            raise Unavailable(f"{broker.host}:{broker.port}: {error}") from error
        except OSError as error:
            raise Unavailable(f"{broker.host}:{broker.port}: {error}") from error
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def subscribe(self, filters: Sequence[str]) -> None:
        """At QoS 1; raises `Unavailable` if one of them is not granted."""
        retained = 1 if self._five else 0  # only for a subscription that is new; 3.1.1 has no word for that
        wanted = [gmqtt.Subscription(name, qos=1, retain_handling_options=retained) for name in filters]
        self._client.subscribe(wanted)
        try:
            granted = await asyncio.wait_for(self._granted, self._broker.time)
        except TimeoutError:
            raise Unavailable(f"{self._broker.host}:{self._broker.port} does not answer a SUBSCRIBE") from None
        refused = [name for name, code in zip(filters, granted, strict=False) if code >= _NOT_GRANTED]
        if refused:
            raise Unavailable(f"{self._broker.host}:{self._broker.port} refuses subscriptions to {', '.join(refused)}")

    async def publish(self, topic: str, payload: bytes) -> None:
        """At QoS 1; returned = the broker has acknowledged it. Raises `Unavailable`."""
        if self.lost.is_set():
            raise Unavailable(f"{self._broker.host}:{self._broker.port} is gone")
        self._client.publish(topic, payload, qos=1)
        future = asyncio.get_running_loop().create_future()
        self._sent.waiting[self._sent.latest] = future
        try:
            await asyncio.wait_for(future, self._broker.time)
        except TimeoutError:
            raise Unavailable(f"{self._broker.host}:{self._broker.port} does not acknowledge") from None

    def rest(self, seconds: float) -> None:
        """Read nothing for so long; again while it rests changes nothing."""
        connection = self._client._connection  # noqa: SLF001 - gmqtt has no other way
        transport: asyncio.Transport | None = connection._transport if connection is not None else None  # noqa: SLF001
        if transport is not None and transport.is_reading():
            transport.pause_reading()
            asyncio.get_running_loop().call_later(seconds, self._read_on, transport)

    def _read_on(self, transport: asyncio.Transport) -> None:
        if not transport.is_closing():
            transport.resume_reading()

    def drop(self) -> None:
        """End the connection without a word: what is not acknowledged comes again, on the next one."""
        connection = self._client._connection  # noqa: SLF001 - gmqtt has no other way
        if connection is not None:
            connection._transport.abort()  # noqa: SLF001
        self.lost.set()

    async def close(self) -> None:
        """Say goodbye, if there is someone to say it to; the session stays."""
        with suppress(Exception):  # whatever is left of it
            async with asyncio.timeout(2):
                await self._client.disconnect()
        self.drop()

    async def _on_message(self, _: object, topic: str, payload: bytes, qos: int, __: object) -> int:
        await self._take(self, topic, bytes(payload), qos)
        return 0

    def _on_disconnect(self, *_: object) -> None:
        self.lost.set()

    def _on_subscribe(self, _: object, __: int, granted: Sequence[int], ___: object) -> None:
        if not self._granted.done():
            self._granted.set_result(granted)


@asynccontextmanager
async def linked(broker: Broker, filters: Sequence[str], take: Take, *, five: bool) -> AsyncGenerator[Link]:
    """A connection with its subscriptions. Raises `Unavailable`, `OldBroker`."""
    link = Link(broker, take, five=five)
    try:
        await link.connect()
        await link.subscribe(filters)
        yield link
    finally:
        await link.close()
