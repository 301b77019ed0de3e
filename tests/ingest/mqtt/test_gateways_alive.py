"""Who counts as gone: a gateway that says nothing while others do, and never one that only this one cannot hear."""

from ingest.mqtt.packets import Publish
from tests.ingest.mqtt.kit import endpoint, until, will
from tests.ingest.mqtt.log_kit import LogOf, MemoryLog


async def test_clients_that_come_to_a_gateway_in_its_first_second_are_its_own() -> None:
    log = MemoryLog()
    async with endpoint(log, profile="stack") as elder:
        for _ in range(6):
            elder.after(5)  # it has been there for longer than a silence
        watcher = await elder.connected("w")
        await watcher.subscribe("#", qos=1)
        async with endpoint(log, profile="stack") as new:
            client = await new.connected("c", will=will())
            table = elder.broker.plane.table
            await until(lambda: new.broker.plane.gateway in table.held)
            elder.after(1)
            await until(lambda: not elder.broker.plane.pressure.count)
            await client.nothing()
            await watcher.nothing()


async def test_a_gateway_that_could_not_read_for_a_while_takes_nobody_for_gone() -> None:
    log = MemoryLog()
    view = LogOf(log)
    async with endpoint(log, profile="stack") as other, endpoint(view, profile="stack") as away:
        client = await other.connected("c", will=will())
        watcher = await away.connected("w")
        await watcher.subscribe("#", qos=1)
        for _ in range(2):
            for here in (other, away):
                here.after(5)
            await until(lambda: not any(here.broker.plane.pressure.count for here in (other, away)))
        view.dead = True
        for _ in range(6):
            other.after(5)
            away.after(5)
            await until(lambda: not any(here.broker.plane.pressure.count for here in (other, away)))
        view.dead = False
        away.after(1)
        await until(lambda: not any(here.broker.plane.pressure.count for here in (other, away)))
        sender = await other.connected("p")
        sender.publish(b"1")
        await sender.acknowledged(1)
        assert (await watcher.expect(Publish)).payload == b"1"
        await client.nothing()
