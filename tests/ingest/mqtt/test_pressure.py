"""Under pressure: a full intake, clients that send too much, clients that do not read. Bounded, in order, still alive."""

import asyncio
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from headwater.registry import Identity
from ingest.contract import Receipt, Source
from ingest.mqtt.held import HELD, Held, fitting
from ingest.mqtt.packets import Disconnect, Puback, Publish
from ingest.mqtt.reasons import ReasonCode as R
from tests.ingest.mqtt.kit import Client, Endpoint, endpoint, until

TOPIC = "devices/d1/telemetry"
LARGE = b"x" * 1000


async def test_while_the_intake_is_full_nothing_is_handed_over_and_pings_are_answered(
    here: Endpoint, version: int
) -> None:
    client = await here.connected(version=version)
    here.intake.full = True
    client.publish(b"1", b"2")
    client.publish(b"0", qos=0)
    await client.nothing()
    await client.nothing()
    assert here.intake.payloads == []
    here.intake.relieve()
    assert await client.acknowledged(2) == [1, 2]
    assert here.intake.payloads == [b"1", b"2", b"0"]


async def test_what_comes_while_something_is_held_back_waits_behind_it(here: Endpoint, version: int) -> None:
    client = await here.connected(version=version)
    here.intake.full = True
    client.publish(b"1")
    await client.nothing()
    here.intake.full = False  # and nobody has said so yet
    client.publish(b"2", first_id=2)
    assert await client.acknowledged(2) == [1, 2]
    assert here.intake.payloads == [b"1", b"2"]


async def test_those_who_wait_for_a_full_intake_are_served_in_their_order(here: Endpoint) -> None:
    clients = [await here.connected(f"c{number}") for number in range(4)]
    here.intake.full = True
    for number, client in enumerate(clients):
        client.publish(b"%d" % number)
        await client.nothing()
    here.intake.relieve()
    for client in clients:
        await client.acknowledged(1)
    assert here.intake.payloads == [b"0", b"1", b"2", b"3"]


async def test_an_intake_that_fills_up_again_is_waited_for_again(here: Endpoint) -> None:
    clients = [await here.connected(f"c{number}") for number in range(3)]
    here.intake.full = True
    for number, client in enumerate(clients):
        client.publish(b"%d" % number)
        await client.nothing()
    original = here.intake.accept

    def accept(identity: Identity, source: Source, payloads: Sequence[bytes], receipt: Receipt, key: str = "") -> None:
        original(identity, source, payloads, receipt, key)
        here.intake.full = True

    here.broker.accept = accept
    for number, client in enumerate(clients):
        assert here.intake.payloads == [b"%d" % earlier for earlier in range(number)]
        here.intake.relieve()
        await client.acknowledged(1)


async def test_beyond_a_bound_the_socket_is_not_read_and_later_it_is(here: Endpoint) -> None:
    client = await here.connected(version=4)
    here.intake.full = True
    count = HELD // len(LARGE) + 20
    client.publish(*[LARGE] * count, qos=0)
    await until(here.paused)
    held = here.broker.held
    assert HELD < held < HELD + 2**20
    client.publish(b"later", qos=0)
    here.intake.relieve()
    await client.nothing()
    assert here.intake.payloads == [LARGE] * count + [b"later"]
    assert not here.paused()
    assert here.broker.held == 0


async def test_a_3_1_1_client_that_floods_is_read_no_faster_than_it_is_acknowledged() -> None:
    async with endpoint(in_flight=10) as here:
        here.intake.slow = True
        client = await here.connected(version=4)
        total = 2000
        sending = asyncio.create_task(_flood(client, total))
        heard: list[int] = []
        most = 0
        while len(heard) < total:
            await until(lambda: here.intake.waiting)
            most = max(most, here.broker.held)
            fresh = len(here.intake.payloads) - len(heard)
            assert fresh <= 10
            here.intake.settle()
            heard += await client.acknowledged(fresh)
        await sending
        assert heard == [number % 65_535 + 1 for number in range(total)]
        assert here.intake.payloads == [b"%06d" % number + LARGE for number in range(total)]
        assert most < HELD + 2 * 2**20


async def _flood(client: Client, total: int) -> None:
    for number in range(total):
        client.send(Publish(TOPIC, b"%06d" % number + LARGE, 2, number % 65_535 + 1))
        await client.writer.drain()


async def test_the_bytes_that_all_connections_hold_back_are_bounded(here: Endpoint) -> None:
    here.broker.held_limit = 10_000
    client = await here.connected(version=4)
    here.intake.full = True
    client.publish(*[LARGE] * 12, qos=0)
    await until(here.paused)
    assert here.broker.held < HELD
    here.intake.relieve()
    await client.nothing()
    assert len(here.intake.payloads) == 12


async def test_a_client_we_do_not_read_is_not_closed_for_its_silence(here: Endpoint) -> None:
    client = await here.connected(version=4, keep_alive=10)
    here.intake.full = True
    client.publish(*[LARGE] * 100, qos=0)
    await until(here.paused)
    for _ in range(10):
        here.after(30)
    here.intake.relieve()
    await client.nothing()
    here.after(14)
    await client.nothing()


async def test_a_client_that_is_read_again_has_its_keep_alive_anew(here: Endpoint) -> None:
    client = await here.connected(version=4, keep_alive=10)
    here.intake.full = True
    client.publish(*[LARGE] * 100, qos=0)
    await until(here.paused)
    here.clock.now += 1000
    here.intake.relieve()
    assert not here.paused()
    here.server.sweep()
    await client.nothing()


async def test_what_goes_out_in_one_turn_is_bounded(here: Endpoint) -> None:
    subscriber = await here.connected()
    await subscriber.subscribe("#")
    for _ in range(1000):
        here.server.publish("a", b"x" * 100_000, qos=0)
    await until(lambda: here.metrics.sample("mqtt_undelivered_total", reason="slow") > 800)
    assert (await subscriber.expect(Publish)).topic == "a"


async def test_who_leaves_while_messages_are_held_back_loses_none(here: Endpoint, version: int) -> None:
    client = await here.connected(version=version)
    here.intake.full = True
    client.publish(b"1", b"2", qos=0)
    client.send(Disconnect())
    await until(lambda: not here.broker.sessions)
    assert here.intake.payloads == []
    here.intake.relieve()
    assert here.intake.payloads == [b"1", b"2"]
    await client.closed()


async def test_who_leaves_and_hangs_up_while_messages_are_held_back_loses_none(here: Endpoint) -> None:
    client = await here.connected(version=4)
    here.intake.full = True
    client.publish(b"1", b"2", qos=0)
    client.send(Disconnect())
    await client.writer.drain()
    client.writer.close()
    await until(lambda: not here.broker.connections)
    here.intake.relieve()
    assert here.intake.payloads == [b"1", b"2"]


async def test_what_is_held_back_for_one_who_vanishes_is_dropped(here: Endpoint) -> None:
    client = await here.connected()
    here.intake.full = True
    client.publish(b"1")
    await client.nothing()
    client.writer.close()
    await until(lambda: not here.broker.connections)
    here.intake.relieve()
    assert here.intake.payloads == []
    assert here.broker.held == 0


async def test_a_log_that_fails_ends_the_one_who_is_leaving_too(here: Endpoint) -> None:
    async with endpoint(in_flight=1) as one:
        one.intake.slow = True
        client = await one.connected(version=4)
        client.publish(b"1", b"2")
        client.send(Disconnect())
        await until(lambda: one.intake.payloads == [b"1"])
        one.intake.settle(failed=True)
        await client.closed()
        assert one.intake.payloads == [b"1"]
        assert one.broker.held == 0


async def test_a_leaving_client_whose_messages_are_never_taken_is_closed_at_last(here: Endpoint) -> None:
    client = await here.connected(version=4)
    here.intake.full = True
    client.publish(b"1", qos=0)
    client.send(Disconnect())
    await until(lambda: not here.broker.sessions)
    here.after(60)
    await client.closed()


async def test_a_client_that_does_not_read_is_closed() -> None:
    async with endpoint(write_buffer="16KiB", in_flight=65_535) as here:
        here.intake.reject = lambda _payload: "bad_json"
        here.intake.detail = "x" * 300
        client = await here.connected()
        client.pause()
        for _ in range(1000):
            client.publish(*[b"x"] * 60)
            try:
                await client.writer.drain()
            except ConnectionError:
                break
            if not here.broker.connections:
                break
        await until(lambda: here.metrics.sample("mqtt_closed_total", reason="slow") == 1)
        await until(lambda: not here.broker.connections)


async def test_a_subscriber_that_does_not_read_loses_qos_0_and_nobody_waits_for_it() -> None:
    async with endpoint(write_buffer="64KiB") as here:
        slow, quick, sender = (
            await here.connected("slow"),
            await here.connected("quick"),
            await here.connected("sender"),
        )
        await slow.subscribe("#")
        await quick.subscribe("#")
        slow.pause()
        payload = b"x" * 60_000
        for number in range(200):
            sender.send(Publish(TOPIC, payload, 2, number % 50 + 1))
            await sender.acknowledged(1)
            heard = await quick.expect(Publish)
            assert len(heard.payload) == 60_000
        assert here.metrics.sample("mqtt_undelivered_total", reason="slow") > 0
        assert here.metrics.sample("connections", transport="mqtt") == 3


async def test_a_subscriber_that_does_not_acknowledge_is_closed_beyond_its_queue(here: Endpoint) -> None:
    slow, sender = await here.connected("slow"), await here.connected("sender")
    await slow.subscribe("#", qos=1)
    count = 0
    while here.metrics.sample("mqtt_closed_total", reason="quota_exceeded") == 0:
        sender.publish(*[b"x"] * 50)
        await sender.acknowledged(50)
        count += 50
        assert count < 3000
    for _ in range(100):
        await slow.expect(Publish)
    assert (await slow.disconnected()).code is R.QUOTA_EXCEEDED


PUBLISHES = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 50)).map(lambda found: Publish("t", b"x" * found[1], 0, found[0])),
    max_size=200,
)


@given(st.lists(PUBLISHES, max_size=5), st.lists(st.integers(0, 10), max_size=40))
def test_what_is_held_comes_back_in_order_and_is_counted_rightly(came: list[list[Publish]], rooms: list[int]) -> None:
    held, expected, size = Held(), list[Publish](), 0
    for some in came:
        size += held.add(some)
        expected += some
    back: list[Publish] = []
    for room in [*rooms, *[1000] * 20]:
        portion, freed = held.portion(room)
        assert sum(1 for publish in portion if publish.packet_id) <= room
        size -= freed
        back += portion
        left = expected[len(back) :]
        assert (held.size, held.numbered, len(held)) == (size, sum(publish.packet_id for publish in left), len(left))
    assert back == expected
    assert held.size == 0


@given(PUBLISHES, st.integers(-3, 50))
def test_as_many_fit_as_have_room(publishes: list[Publish], room: int) -> None:
    count = fitting(publishes, room)
    assert sum(publish.packet_id for publish in publishes[:count]) <= max(room, 0)
    assert count == len(publishes) or (
        publishes[count].packet_id and sum(p.packet_id for p in publishes[: count + 1]) > room
    )


async def test_a_puback_of_every_kind_of_client_is_counted_off_its_window(here: Endpoint, version: int) -> None:
    subscriber = await here.connected("s", version)
    await subscriber.subscribe("#", qos=1)
    sender = await here.connected("p")
    for number in range(1, 301, 100):
        sender.publish(*[b"%d" % n for n in range(number, number + 100)], first_id=number)
        await sender.acknowledged(100)
        for expected in range(number, number + 100):
            heard = await subscriber.expect(Publish)
            assert heard.payload == b"%d" % expected
            subscriber.send(Puback(heard.packet_id))
