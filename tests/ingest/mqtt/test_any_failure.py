"""Whatever happens to gateways and connections, in whatever order: a session misses nothing, and hears it in order."""

import asyncio
import random
from contextlib import AsyncExitStack

import pytest

from ingest.mqtt.packets import Disconnect, Pingresp, Puback, Publish
from ingest.mqtt.properties import Properties
from tests.ingest.mqtt.kit import Client, Endpoint, endpoint, until
from tests.ingest.mqtt.log_kit import LogOf, MemoryLog

STEPS = 60


class World:
    """Two gateways, a sender at each, and one session that moves between them."""

    def __init__(self, seed: int, stack: AsyncExitStack) -> None:
        self.random = random.Random(seed)
        self.log = MemoryLog()
        self.sent = 0
        self.heard: list[int] = []
        self.client: Client | None = None
        self.gateways: list[tuple[Endpoint, LogOf, Client]] = []
        self._stack = stack

    async def start(self, version: int) -> None:
        for _ in range(2):
            await self.add()
        self.version = version
        await self.connect()
        assert self.client is not None
        await self.client.subscribe("devices/#", qos=self.random.choice([1, 2]))
        await until(lambda: all(here.broker.plane.table.wanted.count for here, _, _ in self.gateways))

    async def add(self) -> None:
        view = LogOf(self.log)
        here = await self._stack.enter_async_context(endpoint(view, profile="stack", in_flight=6))
        self.gateways.append((here, view, await here.connected(f"sender{len(self.log.entries)}{id(view)}")))

    async def kill(self) -> None:
        """Nothing it knows gets to the log any more, and its connections are gone."""
        here, view, _ = self.gateways.pop(self.random.randrange(2))
        view.dead = True
        if self.client is not None and self.client in here.clients:
            self.client = None
        for connection in list(here.broker.connections):
            connection.abort()
        await self.add()

    async def publish(self) -> None:
        _, _, sender = self.random.choice(self.gateways)
        count = self.random.randint(1, 6)
        sender.publish(*[b"%d" % n for n in range(self.sent, self.sent + count)])
        await sender.acknowledged(count)
        self.sent += count

    async def connect(self) -> None:
        """At any gateway, also while it is connected to one."""
        here, _, _ = self.random.choice(self.gateways)
        client = await here.client(self.version)
        given = Properties()
        if self.version == 5:
            most = self.random.choice([1, 3, 100])  # so that much waits behind what is under way
            given = Properties(session_expiry_interval=3600, receive_maximum=most)
        await client.connect("s", clean=False, properties=given)
        self.client = client

    async def leave(self) -> None:
        if self.client is not None:
            if self.random.random() < 0.5:
                self.client.send(Disconnect())
            self.client.writer.close()
            self.client = None

    async def hear(self, share: float = 0.5) -> None:
        """What is there; such a share of it is acknowledged."""
        client = self.client
        if client is None:
            return
        client.send_bytes(b"\xc0\0")
        while not isinstance(packet := await client.packet(), Pingresp):
            if packet is None or isinstance(packet, Disconnect):
                self.client = None
                return
            if isinstance(packet, Publish):
                self.heard.append(int(packet.payload))
                if self.random.random() < share:
                    client.send(Puback(packet.packet_id))

    async def second(self) -> None:
        for here, _, _ in self.gateways:
            here.after(1)
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("seed", range(12))
async def test_nothing_acknowledged_is_missed_and_all_is_heard_in_order(seed: int) -> None:
    async with AsyncExitStack() as stack:
        world = World(seed, stack)
        await world.start(4 + seed % 2)
        steps = [world.publish, world.hear, world.second, world.connect, world.leave, world.kill]
        for _ in range(STEPS):
            (step,) = world.random.choices(steps, [6, 6, 3, 2, 1, 0.5])
            await step()
        await world.connect()
        deadline = asyncio.get_running_loop().time() + 5
        while len(set(world.heard)) < world.sent:
            assert asyncio.get_running_loop().time() < deadline, set(range(world.sent)).difference(world.heard)
            await world.hear(1.0)
            await asyncio.sleep(0.002)
        first = list(dict.fromkeys(world.heard))
        assert first == list(range(world.sent))
