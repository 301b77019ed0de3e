"""QoS 2 across connections: what was with the log when a connection ended is taken once, however slow the log is."""

from ingest.mqtt.packets import DUP, QOS_2, Disconnect, Pubcomp, Publish, Pubrec, Pubrel
from ingest.mqtt.reasons import ReasonCode as R
from tests.ingest.mqtt.kit import Client, Endpoint, until
from tests.ingest.mqtt.session_kit import TOPIC, gone, lasting


async def cut_off(here: Endpoint, version: int = 5) -> None:
    """A QoS 2 message is with the intake when its connection ends."""
    client, _ = await lasting(here, version)
    here.intake.slow = True
    client.publish(b"1", qos=2, first_id=9)
    await until(lambda: here.intake.payloads)
    await client.close()
    await gone(here)


async def sent_again(client: Client) -> None:
    client.send(Publish(TOPIC, b"1", QOS_2 | DUP, 9))


async def released(client: Client) -> None:
    assert await client.expect(Pubrec) == Pubrec(9)
    client.send(Pubrel(9))
    assert await client.expect(Pubcomp) == Pubcomp(9)
    await client.nothing()


async def test_it_is_answered_on_the_next_connection_when_the_log_has_it(here: Endpoint, version: int) -> None:
    await cut_off(here, version)
    client, _ = await lasting(here, version)
    await sent_again(client)
    await client.nothing()
    here.intake.settle()
    await released(client)
    assert here.intake.payloads == [b"1"]


async def test_also_on_the_one_after_that(here: Endpoint) -> None:
    await cut_off(here)
    client, _ = await lasting(here)
    await sent_again(client)
    await client.nothing()
    await client.close()
    await gone(here)
    client, _ = await lasting(here)
    await sent_again(client)
    await client.nothing()
    here.intake.settle()
    await released(client)
    assert here.intake.payloads == [b"1"]


async def test_what_came_to_the_log_while_nobody_was_there_is_not_taken_again(here: Endpoint, version: int) -> None:
    await cut_off(here, version)
    here.intake.settle()
    client, _ = await lasting(here, version)
    await sent_again(client)
    await released(client)
    assert here.intake.payloads == [b"1"]


async def test_the_log_is_told_of_it_so_that_any_gateway_knows(here: Endpoint) -> None:
    await cut_off(here)
    here.intake.settle()
    here.after(1)
    (known,) = here.broker.plane.table.sessions.values()
    await until(lambda: known.state.received == (9,))
    client, _ = await lasting(here)
    await sent_again(client)
    await released(client)
    assert here.intake.payloads == [b"1"]


async def test_if_the_log_did_not_take_it_the_next_connection_sends_it_again(here: Endpoint) -> None:
    await cut_off(here)
    client, _ = await lasting(here)
    await sent_again(client)
    await client.nothing()
    here.intake.settle(failed=True)
    assert (await client.disconnected()).code is R.SERVER_BUSY
    client, _ = await lasting(here)
    here.intake.slow = False
    await sent_again(client)
    await released(client)
    assert here.intake.payloads == [b"1", b"1"]


async def test_what_failed_while_nobody_was_there_is_taken_when_it_comes_again(here: Endpoint) -> None:
    client, _ = await lasting(here)
    here.intake.slow = True
    client.publish(b"1", qos=2, first_id=9)
    client.send(Publish("devices/d1/state", b"2", QOS_2, 10))
    await until(lambda: len(here.intake.payloads) == 2)
    here.intake.settle(failed=True)
    assert (await client.disconnected()).code is R.SERVER_BUSY
    client, _ = await lasting(here)
    here.intake.slow = False
    await sent_again(client)
    await released(client)
    client.send(Publish("devices/d1/state", b"2", QOS_2 | DUP, 10))
    assert (await client.expect(Pubrec)).packet_id == 10


async def test_very_many_that_fail_at_once_end_the_connection_once(here: Endpoint) -> None:
    client, _ = await lasting(here)
    here.intake.slow = True
    for n in range(3000):
        client.publish(b"%d" % n, qos=0, topic=f"devices/d{n % 2}/telemetry")
    client.publish(b"1", qos=2, first_id=9)
    await until(lambda: len(here.intake.payloads) == 3001)
    here.intake.settle(failed=True)
    assert (await client.disconnected()).code is R.SERVER_BUSY


async def test_a_clean_start_begins_anew(here: Endpoint) -> None:
    await cut_off(here)
    here.intake.slow = False
    client = await here.client()
    assert not (await client.connect("s")).session_present
    client.publish(b"2", qos=2, first_id=9)
    assert await client.expect(Pubrec) == Pubrec(9)
    assert here.intake.payloads == [b"1", b"2"]
    client.send(Disconnect())
