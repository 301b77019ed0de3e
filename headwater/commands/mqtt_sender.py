"""A device's side of MQTT 3.1.1, QoS 1: sends in order, and again what was not acknowledged, until it is.

For `headwater replay` and `headwater simulate`.

In: topics and payloads. Out: nothing is reported sent before the other end has acknowledged it.
"""

import asyncio
import random
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import click

from ingest.mqtt.encoding import encode
from ingest.mqtt.packets import CONNACK, PUBACK, QOS_1, RETAIN, Connect, Disconnect, Publish, Will

_WINDOW = 50
_PATIENCE = 10.0
_TRIES = 12


class MqttSender:
    """One client. Use `connected`."""

    def __init__(self, address: str, client_id: str, token: str = "", will: Will | None = None) -> None:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
            raise click.ClickException(f"{address!r} is not HOST:PORT; give --mqtt like 127.0.0.1:1883")
        self._host, self._port = host.strip("[]"), int(port)
        self._client_id = client_id
        self._token = token
        self._will = will
        self._unacknowledged: deque[Publish] = deque()
        self._packet_id = 0
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.acknowledged = 0

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send it; waits while 50 are unacknowledged. Raises `ClickException` when there is no getting through."""
        while len(self._unacknowledged) >= _WINDOW:
            await self._acknowledgements()
        self._packet_id = self._packet_id % 65_535 + 1
        packet = Publish(topic, payload, QOS_1 | RETAIN if retain else QOS_1, self._packet_id)
        self._unacknowledged.append(packet)
        if self._writer is None:
            await self._connect()
        else:
            self._writer.write(encode(packet, 4))

    async def drain(self) -> None:
        """Wait until everything is acknowledged."""
        while self._unacknowledged:
            await self._acknowledgements()

    async def _acknowledgements(self) -> None:
        """Read at least one; a broken connection is made again, and everything unacknowledged sent again in order."""
        reader, writer = self._reader, self._writer
        if reader is None or writer is None:
            await self._connect()
            return
        try:
            async with asyncio.timeout(_PATIENCE):
                await writer.drain()
                first = await reader.readexactly(2)
                body = await reader.readexactly(first[1])
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            self._drop()
            return
        if first[0] == PUBACK and self._unacknowledged[0].packet_id == int.from_bytes(body[:2], "big"):
            self._unacknowledged.popleft()
            self.acknowledged += 1

    async def _connect(self) -> None:
        user = "" if self._token else self._client_id  # a token says whose it is
        connect = Connect(4, self._client_id, True, 0, user, self._token.encode() or None, self._will)
        for attempt in range(_TRIES):
            try:
                async with asyncio.timeout(_PATIENCE):
                    self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
                    self._writer.write(encode(connect, 4))
                    answer = await self._reader.readexactly(4)
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                self._drop()
                await asyncio.sleep(min(0.1 * 2**attempt, 5.0) * random.uniform(0.5, 1.0))  # noqa: S311
                continue
            if answer[0] != CONNACK or answer[3] != 0:
                self._drop()
                raise click.ClickException(f"{self._client_id} was refused by MQTT (return code {answer[3]})")
            self._writer.write(b"".join(encode(packet, 4) for packet in self._unacknowledged))
            return
        raise click.ClickException(f"nothing answers MQTT at {self._host}:{self._port}; is `headwater up` running?")

    def _drop(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None

    async def close(self) -> None:
        """Say goodbye, if there is someone to say it to."""
        if self._writer is not None:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(1):
                    self._writer.write(encode(Disconnect(), 4))
                    await self._writer.drain()
            self._writer.close()
            self._reader = self._writer = None


@asynccontextmanager
async def connected(
    address: str, client_id: str, token: str = "", will: Will | None = None
) -> AsyncGenerator[MqttSender]:
    """A sender that connects with its first message, and has everything acknowledged when the block ends well."""
    sender = MqttSender(address, client_id, token, will)
    try:
        yield sender
        await sender.drain()
    finally:
        await sender.close()
