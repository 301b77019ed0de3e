"""`headwater replay`: recorded traffic through the real front door, as devices would send it.

In: recordings. Out: MQTT and HTTP messages with time stamps moved to the present, each gateway on its own connection.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from headwater.commands.client import ApiError, Client, asks
from headwater.commands.demo import HISTORY, HISTORY_DEVICE, WALK
from headwater.commands.mqtt_sender import MqttSender, connected
from headwater.commands.recording import Line, read

_HTTP_BATCH = 100
_HTTP_TRIES = 10
Advance = Callable[[int], None]


class Replay:
    """Sends lines; `speed` times as fast as recorded, 0 for as fast as it goes."""

    def __init__(self, client: Client, mqtt: str, senders: AsyncExitStack, token: str = "") -> None:
        self._client = client
        self._mqtt = mqtt
        self._stack = senders
        self._token = token
        self._senders: dict[str, MqttSender] = {}

    async def live(self, lines: Sequence[Line], speed: float, advance: Advance) -> None:
        """At the recorded pace times `speed`; the clock in each payload is the moment it is sent."""
        first, began = lines[0].t, time.time()
        for line in lines:
            due = began + (line.t - first) / speed
            pause = due - time.time()
            if pause > 0:
                await asyncio.sleep(pause)
            await self._send([line], [due])
            advance(1)
        await self.drain()

    async def history(self, lines: Sequence[Line], advance: Advance) -> None:
        """As fast as it goes, with clocks that end now."""
        shift = time.time() - lines[-1].t
        for start in range(0, len(lines), _HTTP_BATCH):
            batch = lines[start : start + _HTTP_BATCH]
            await self._send(batch, [line.t + shift for line in batch])
            advance(len(batch))
        await self.drain()

    async def drain(self) -> None:
        """Wait until every MQTT message is acknowledged."""
        for sender in self._senders.values():
            await sender.drain()

    async def _send(self, lines: Sequence[Line], clocks: Sequence[float]) -> None:
        bodies: dict[str, list[bytes]] = {}
        for line, clock in zip(lines, clocks, strict=True):
            if line.http:
                bodies.setdefault(line.http, []).append(line.at(clock))
            else:
                await (await self._sender(line.client)).publish(line.mqtt, line.at(clock))
        for path, payloads in bodies.items():
            await self._post(path, b"\n".join(payloads))

    async def _sender(self, client_id: str) -> MqttSender:
        sender = self._senders.get(client_id)
        if sender is None:
            sender = await self._stack.enter_async_context(connected(self._mqtt, client_id, self._token))
            self._senders[client_id] = sender
        return sender

    async def _post(self, path: str, body: bytes) -> None:
        post = partial(self._client.call, "POST", path, body=body, content_type="application/x-ndjson")
        for attempt in range(_HTTP_TRIES):
            try:
                await asyncio.to_thread(post)
            except ApiError as error:
                if error.status not in {429, 503} or attempt == _HTTP_TRIES - 1:
                    raise
                await asyncio.sleep(min(0.2 * 2**attempt, 5.0))
            else:
                return


@click.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--demo", is_flag=True, help="The shipped recordings: a meter's last two days, then a walking beacon.")
@click.option("--history", is_flag=True, help="As fast as it goes, with time stamps that end now.")
@click.option("--speed", type=click.FloatRange(min=0.001), default=1.0, show_default=True, help="Times as fast as recorded.")  # fmt: skip # noqa: E501
@click.option("--loop", is_flag=True, help="Begin again at the end, until Ctrl-C.")
@click.option("--mqtt", default="127.0.0.1:1883", show_default=True, help="Where MQTT listens.")
@asks
def replay(
    client: Client, files: tuple[Path, ...], demo: bool, history: bool, speed: float, loop: bool, mqtt: str
) -> None:
    """Send recorded traffic again, as if it happened now.

    \b
    headwater replay --demo
    headwater replay --speed 10 examples/data/beacon_walk.ndjson.gz
    headwater replay --history examples/data/household_meter.ndjson.gz
    """
    if bool(files) == demo:
        raise click.UsageError("name recordings, or use --demo")
    try:
        asyncio.run(_replay(client, files, demo=demo, history=history, speed=speed, loop=loop, mqtt=mqtt))
    except KeyboardInterrupt:
        raise SystemExit(130) from None


async def _replay(
    client: Client, files: tuple[Path, ...], *, demo: bool, history: bool, speed: float, loop: bool, mqtt: str
) -> None:
    async with AsyncExitStack() as senders:
        player = Replay(client, mqtt, senders, client.token)
        with _progress() as progress:
            if demo:
                if not await asyncio.to_thread(_is_known, client, HISTORY_DEVICE):  # once is enough for a past
                    await _play(player, progress, HISTORY, speed=0)
                files, loop = (WALK,), True
            while True:
                for file in files:
                    await _play(player, progress, file, speed=0 if history else speed)
                if not loop:
                    return


async def _play(player: Replay, progress: Progress, file: Path, *, speed: float) -> None:
    lines = await asyncio.to_thread(read, file)
    name = file.name.partition(".")[0].replace("_", " ")
    bar = progress.add_task(name, total=len(lines))
    advance = partial(progress.advance, bar)
    await (player.live(lines, speed, advance) if speed else player.history(lines, advance))
    progress.remove_task(bar)
    if not progress.console.is_terminal:
        click.echo(f"{name}: {len(lines)} messages sent and acknowledged", err=True)


def _is_known(client: Client, device: str) -> bool:
    try:
        client.call("GET", f"/api/v1/devices/{device}")
    except ApiError as error:
        if error.status == 404:
            return False
        raise
    return True


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), refresh_per_second=4)
