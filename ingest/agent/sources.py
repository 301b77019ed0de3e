"""Where an agent's lines come from: standard input, files that grow and are rotated, a local MQTT broker.

In: bytes. Out: lines in the buffer, each with its position; read on from there after a kill. While the buffer has no
room nothing is read: files wait where they are, a broker keeps what is not acknowledged, a pipe's writer waits.
"""

import asyncio
import os
import random
import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from headwater.errors import Unavailable
from headwater.saying import get_logger
from ingest.agent.buffer import Buffer, NoRoom
from ingest.agent.lines import buffered, names_device, passed_on
from ingest.agent.place import Place, next_file
from ingest.bridge.link import Broker, Link, OldBroker, linked
from ingest.decoders.families import built_in

log = get_logger()

_TOPICS = built_in()
_READ = 2**18
_LONGEST = 2**20
_PAUSE = 0.2
_QUIET = 5
"""So many looks in a row at a file that was replaced bring nothing: it is over."""


async def keep(buffer: Buffer, lines: Sequence[bytes], source: str = "", position: str = "") -> None:
    """Returns when they are durable; waits for room, and for a disk that takes nothing."""
    said = False
    while True:
        try:
            return await asyncio.to_thread(buffer.add, lines, source, position)
        except NoRoom:
            await asyncio.sleep(_PAUSE)
        except sqlite3.OperationalError as error:
            if not said:
                log.warning("the agent's buffer can't be written", error=str(error))
            said = True
            await asyncio.sleep(_PAUSE)


async def read_stdin(buffer: Buffer, stdin: int = 0) -> None:
    """Until its end."""
    rest = b""
    while data := await asyncio.to_thread(os.read, stdin, _READ):
        whole, _, rest = (rest + data).rpartition(b"\n")
        if len(rest) > _LONGEST:  # never a line that could be taken
            whole, rest = rest, b""
        await keep(buffer, _lines(whole))
    await keep(buffer, _lines(rest))


def _lines(data: bytes) -> list[bytes]:
    now = time.time_ns() // 1_000_000
    return [buffered(line, now) for line in data.split(b"\n") if line.strip()]


class Tail:
    """One file by its name, as `tail -F` follows it: also when it is replaced, or cut to nothing."""

    def __init__(self, path: Path, buffer: Buffer) -> None:
        self._path = path
        self._buffer = buffer
        self._source = f"file {path.absolute()}"

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop."""
        while not stop.is_set():
            place = Place.read(self._buffer.position(self._source))
            found = next_file(self._path, place)
            if found is not None:
                file, offset = found
                with file:
                    await self._follow(file, offset, place, stop)
            await _rest(stop)

    async def _follow(self, file: BinaryIO, offset: int, place: Place | None, stop: asyncio.Event) -> None:
        """Read it to the end, and on, until another has its name. `place`: where reading had come to before."""
        inode, quiet = os.fstat(file.fileno()).st_ino, 0
        while not stop.is_set():
            over = self._replaced(inode) and quiet >= _QUIET  # its writer may go on a little after it was renamed
            if os.fstat(file.fileno()).st_size < offset:
                offset = 0  # it was cut to nothing
            file.seek(offset)
            data = await asyncio.to_thread(file.read, _READ)
            if len(data) == _READ and b"\n" not in data:
                data += await asyncio.to_thread(file.read, _LONGEST - _READ)
            end = data.rfind(b"\n") + 1
            if not end and (len(data) == _LONGEST or over):
                end = len(data)
            quiet += 1
            if end:
                quiet = 0
                offset += end
                place = Place.of(file, offset, place)
                await keep(self._buffer, _lines(data[:end]), self._source, str(place))
            elif over:
                return
            else:
                await _rest(stop)

    def _replaced(self, inode: int) -> bool:
        try:
            return self._path.stat().st_ino != inode
        except OSError:
            return False


class Mqtt:
    """A local broker. What it sends is acknowledged to it when it is in the buffer."""

    def __init__(self, broker: Broker, filters: Sequence[str], buffer: Buffer) -> None:
        self._broker = broker
        self._filters = filters
        self._buffer = buffer
        self._coming: list[bytes] = []
        self._kept: asyncio.Future[None] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop; connects again whenever the broker is away."""
        five, said = True, False
        while not stop.is_set():
            try:
                async with linked(self._broker, self._filters, self._take, five=five) as link:
                    said = False
                    ended = [asyncio.ensure_future(event.wait()) for event in (link.lost, stop)]
                    await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
                    for task in ended:
                        task.cancel()
            except OldBroker:
                five = False
            except Unavailable as error:
                if not said:
                    log.warning("the agent waits for its broker", error=str(error))
                said = True
            await _rest(stop, random.uniform(0.3, 1.0))  # noqa: S311

    async def _take(self, _: Link, topic: str, payload: bytes, __: int) -> None:
        """What comes in one turn is kept in one transaction."""
        source = _TOPICS.source(topic)
        now = time.time_ns() // 1_000_000
        native = source.decoder == "native" or (not source.decoder and names_device(payload))
        if native and payload.strip():  # an empty line is none, and would never be taken
            self._coming.append(buffered(payload, now, source.device, again=True))
        else:
            self._coming.append(passed_on(topic, payload, now))
        before = self._kept
        if before is None or before.done():
            self._kept = asyncio.ensure_future(self._keep())
        while self._kept is not None and not self._kept.done():
            await asyncio.shield(self._kept)

    async def _keep(self) -> None:
        while self._coming:
            lines, self._coming = self._coming, []
            await keep(self._buffer, lines)


async def _rest(stop: asyncio.Event, seconds: float = _PAUSE) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
