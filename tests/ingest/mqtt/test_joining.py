"""Between CONNECT and CONNACK: what happens while the log has not said who has the session."""

from ingest.mqtt.packets import Connack, Connect
from ingest.mqtt.properties import Properties
from ingest.mqtt.reasons import ReasonCode as R
from tests.ingest.mqtt.kit import endpoint, until, will

HOUR = Properties(session_expiry_interval=3600)


async def test_who_loses_its_rights_meanwhile_is_not_let_in() -> None:
    async with endpoint() as here:
        token = here.door.add("d1")
        here.log.gate.clear()
        client = await here.client()
        client.send(Connect(5, "c", username="d1", password=token.encode(), properties=HOUR))
        await until(lambda: here.broker.plane.pressure.count)
        here.door.known.clear()
        here.door.change("d1")
        here.log.gate.set()
        await client.closed()
        await until(lambda: not here.broker.connections and not here.broker.joining)
        assert not here.broker.plane.owner.live


async def test_whoever_is_let_in_is_not_counted_as_joining_any_more() -> None:
    async with endpoint() as here:
        await here.connected("c", properties=HOUR)
        assert not here.broker.joining


async def test_the_will_of_who_was_told_no_is_never_sent() -> None:
    async with endpoint() as here:
        watcher = await here.connected("w")
        await watcher.subscribe("#", qos=1)
        here.log.reading.clear()
        client = await here.client()
        client.send(Connect(5, "c", properties=HOUR, will=will()))
        await until(lambda: here.broker.plane.pressure.count == 0 and here.log.entries.get("sessions"))
        here.after(11)
        assert (await client.expect(Connack)).code is R.SERVER_UNAVAILABLE
        here.log.reading.set()
        await until(lambda: not here.broker.plane.table.held and here.broker.plane.table.sessions)
        await here.connected("c", clean=True)
        await watcher.nothing()
