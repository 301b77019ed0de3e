"""Debian's mosquitto_pub and mosquitto_sub, unmodified: certificates, and a connection that is cut."""

import asyncio
import shutil
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from tests.certificates import Pair
from tests.clients.kit import SECONDS, TOPIC, Gateway, missing
from tests.ingest.mqtt.kit import until


@asynccontextmanager
async def tool(name: str, *arguments: object) -> AsyncGenerator[Process, None]:
    """Run one; it does not outlive the block."""
    if shutil.which(name) is None:
        missing(f"{name} is not installed: apt-get install -y --no-install-recommends mosquitto-clients")
    process = await asyncio.create_subprocess_exec(name, *map(str, arguments), stdout=PIPE, stderr=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def published(*arguments: object) -> tuple[int | None, str]:
    async with tool("mosquitto_pub", "-q", 1, "-t", TOPIC, "-m", '{"fields":{"n":1}}', *arguments) as process:
        _, said = await asyncio.wait_for(process.communicate(), SECONDS)
        return process.returncode, said.decode()


def secure(here: Gateway, shown: Pair | None) -> tuple[object, ...]:
    """Options for the listener with TLS."""
    more = () if shown is None else ("--cert", shown.certificate, "--key", shown.key)
    return ("-h", "localhost", "-p", here.port("tls"), "--cafile", here.fleet.servers.certificate, *more)


@pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])
async def test_a_certificate_is_who_it_is_and_no_other_gets_through(here: Gateway, version: str) -> None:
    assert await published("-V", version, *secure(here, here.fleet.pump)) == (0, "")
    (message,) = await here.messages()
    assert message.device == "pump-7"
    for shown in (here.fleet.foreign, None):
        code, said = await published("-V", version, *secure(here, shown))
        assert code not in {0, None}, said
    other = here.fleet.devices.issue("pump-8")
    await published("-V", version, *secure(here, other))
    assert len(await here.messages()) == 1


async def test_mosquitto_sub_comes_back_after_a_cut_and_hears_on(here: Gateway) -> None:
    broker = here.mqtt._broker  # pyright: ignore[reportPrivateUsage]
    listening = ("-h", "localhost", "-p", here.port("tcp"), "-q", 1, "-t", "devices/#", "-C", 2, "-v")
    async with tool("mosquitto_sub", *listening) as listener:
        await until(lambda: broker.router.subscriptions.count == 1)
        assert await published("-h", "localhost", "-p", here.port("tcp")) == (0, "")
        assert listener.stdout is not None
        first = await asyncio.wait_for(listener.stdout.readline(), SECONDS)
        assert here.cut() == 1
        await until(lambda: broker.router.subscriptions.count == 0)
        await until(lambda: broker.router.subscriptions.count == 1)
        assert await published("-h", "localhost", "-p", here.port("tcp")) == (0, "")
        rest, _ = await asyncio.wait_for(listener.communicate(), SECONDS)
    assert first == rest == f'{TOPIC} {{"fields":{{"n":1}}}}\n'.encode()
