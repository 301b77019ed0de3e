"""`headwater simulate`: devices that are not there, over real connections, as they behave.

In: a family, how many, how often. Out: MQTT messages (QoS 1), and what was sent and acknowledged. Each connection has
its own clock and its own bad luck, if asked.
"""

import asyncio
import time
from contextlib import AsyncExitStack
from random import Random
from typing import NamedTuple

import click

from headwater.commands.mqtt_sender import MqttSender, connected
from headwater.commands.simulated import SENDERS, senders
from headwater.commands.simulated.sender import Said, Sender
from headwater.quantities import parse_duration
from ingest.mqtt.packets import Will


class Luck(NamedTuple):
    """How things go wrong: seconds a clock may be off; shares of messages; seconds of silence before a burst."""

    drift: float
    loss: float
    repeated: float
    burst: float


class Counts:
    """What was done, of all senders."""

    def __init__(self) -> None:
        self.sent = self.lost = self.repeated = self.connected = 0


@click.command()
@click.option(
    "--family", type=click.Choice(sorted(SENDERS)), default="native", show_default=True, help="What they are."
)
@click.option("--devices", type=click.IntRange(1, 100_000), default=10, show_default=True, help="How many.")
@click.option(
    "--rate",
    type=click.FloatRange(0.0001, 1000),
    default=0.1,
    show_default=True,
    help="Times a second that each of them speaks.",
)
@click.option("--for", "length", default="1m", show_default=True, help="How long, such as 90s or 1h.")
@click.option("--mqtt", "address", default="127.0.0.1:1883", show_default=True, help="Where to: HOST:PORT.")
@click.option("--token", envvar="HEADWATER_TOKEN", default="", help="A device's token or an API key, for all of them.")
@click.option("--drift", default="0s", show_default=True, help="How far their clocks may be off.")
@click.option("--loss", type=click.FloatRange(0, 1), default=0.0, help="The share of messages that never leave.")
@click.option("--duplicates", type=click.FloatRange(0, 1), default=0.0, help="The share that is sent twice.")
@click.option("--burst", default="0s", help="Now and then silent for so long; then all of it at once.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed, the same devices and luck.")
def simulate(
    *, family: str, devices: int, rate: float, length: str, address: str, token: str, drift: str, loss: float,
    duplicates: float, burst: str, seed: int,
) -> None:  # fmt: skip
    """Send what devices of a family send, each over its own connection, or that of its hub.

    \b
    headwater simulate --family tasmota --devices 1000 --rate 0.2
    headwater simulate --family zigbee2mqtt --devices 60 --drift 2m --loss 0.01 --duplicates 0.01 --burst 30s
    """
    try:
        seconds = parse_duration(length)
        luck = Luck(parse_duration(drift), loss, duplicates, parse_duration(burst))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    made = senders(family, devices, seed)
    counts = Counts()
    click.echo(f"{devices} devices on {len(made)} connections, {devices * rate:g} a second, for {length}", err=True)
    began = time.monotonic()
    try:
        asyncio.run(_all(made, address, token, rate, seconds, luck, counts, seed))
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
    took = max(0.001, time.monotonic() - began)
    click.echo(
        f"{counts.sent} messages sent and acknowledged in {took:.1f} s ({counts.sent / took:.0f}/s); "
        f"{counts.repeated} of them repeated, {counts.lost} lost on the way"
    )


async def _all(
    made: list[Sender], address: str, token: str, rate: float, seconds: float, luck: Luck, counts: Counts, seed: int
) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for number, sender in enumerate(made):
                chance = Random(f"{seed} luck {number}")  # noqa: S311 - not for secrets
                group.create_task(_Run(sender, address, token, rate, luck, counts, chance).run(seconds))
    except* click.ClickException as errors:
        raise errors.exceptions[0] from None


class _Run:
    """One connection's life."""

    def __init__(
        self, sender: Sender, address: str, token: str, rate: float, luck: Luck, counts: Counts, chance: Random
    ) -> None:
        self._sender = sender
        self._address = address
        self._token = token
        self._every = 1 / (rate * sender.devices)
        self._luck = luck
        self._counts = counts
        self._chance = chance
        self._off = chance.uniform(-luck.drift, luck.drift)
        self._kept: list[Said] = []
        self._silent_until = 0.0

    async def run(self, seconds: float) -> None:
        """Say hello, and then speak for so long."""
        sender, chance = self._sender, self._chance
        will = sender.will
        last = None if will is None else Will(will.topic, will.payload, 1, will.retain)
        await asyncio.sleep(chance.uniform(0, min(self._every, 5.0)))
        async with AsyncExitStack() as stack:
            mqtt = await stack.enter_async_context(connected(self._address, sender.client_id, self._token, last))
            for one in sender.hello(self._now()):
                await self._publish(mqtt, one)
            await mqtt.drain()
            device, due = 0, time.monotonic()
            end = due + seconds
            while time.monotonic() < end:
                for one in sender.say(device, self._now()):
                    await self._send(mqtt, one)
                device = (device + 1) % sender.devices
                due = max(due + self._every * chance.uniform(0.8, 1.2), time.monotonic() - 5)
                pause = min(due, end) - time.monotonic()
                if pause > 0:
                    if pause > 0.05:
                        await mqtt.drain()
                    await asyncio.sleep(max(0.0, min(due, end) - time.monotonic()))
            await self._let_go(mqtt)

    def _now(self) -> float:
        return time.time() + self._off

    async def _send(self, mqtt: MqttSender, one: Said) -> None:
        luck, chance, now = self._luck, self._chance, time.monotonic()
        if chance.random() < luck.loss:
            self._counts.lost += 1
            return
        if luck.burst and now >= self._silent_until:
            await self._let_go(mqtt)
            if chance.random() < 0.1:
                self._silent_until = now + luck.burst
        self._kept.append(one)
        if now >= self._silent_until:
            await self._let_go(mqtt)

    async def _let_go(self, mqtt: MqttSender) -> None:
        kept, self._kept = self._kept, []
        for one in kept:
            await self._publish(mqtt, one)
            if self._chance.random() < self._luck.repeated:
                self._counts.repeated += 1
                await self._publish(mqtt, one)

    async def _publish(self, mqtt: MqttSender, one: Said) -> None:
        await mqtt.publish(one.topic, one.payload, retain=one.retain)
        self._counts.sent += 1
