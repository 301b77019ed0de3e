"""Commands and shadows over MQTT: to whom, when, how often; what devices say to them; on two gateways."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from headwater.command import make
from ingest.contract import Receipt
from ingest.mqtt.packets import QOS_1, Puback, Publish
from ingest.mqtt.properties import Properties
from ingest.mqtt.reasons import ReasonCode as R
from tests.ingest.mqtt.kit import Client, Endpoint, endpoint, until
from tests.ingest.mqtt.log_kit import LogOf, MemoryLog

DEVICE = "pump-7"
TOPIC = f"devices/{DEVICE}/commands/c"
MINE = f"devices/{DEVICE}/commands/+"


@pytest.fixture
async def here() -> AsyncGenerator[Endpoint, None]:
    async with endpoint(commands=True) as made:
        for name in (DEVICE, "other"):
            made.door.add(name)
        made.door.add("gateway", "pump-*")
        yield made


async def device(here: Endpoint, name: str = DEVICE, version: int = 5, client_id: str = "", **more: Any) -> Client:
    return await here.connected(client_id or name, version, username=name, password=f"token-{name}".encode(), **more)


def order(here: Endpoint, ident: str = "c", seconds: float = 60) -> None:
    control = here.control
    control.order(DEVICE, ident, make("reboot", {"delay": 5}, seconds, "me", control.wall()), Receipt(control))


def state(here: Endpoint, ident: str = "c") -> str:
    command = here.control.commands.get(DEVICE, ident)
    return "" if command is None else command.state(here.control.wall())


async def reaches(here: Endpoint, wanted: str, ident: str = "c") -> None:
    await until(lambda: state(here, ident) == wanted)


async def publish(client: Client, topic: str, payload: object, packet_id: int = 9) -> R:
    client.send(
        Publish(topic, payload if isinstance(payload, bytes) else json.dumps(payload).encode(), QOS_1, packet_id)
    )
    while True:
        packet = await client.packet()
        if isinstance(packet, Puback):
            return packet.code


async def test_a_command_goes_to_its_device_and_its_answer_comes_back(here: Endpoint, version: int) -> None:
    client = await device(here, version=version)
    await client.subscribe(MINE, qos=1)
    order(here)
    heard = await client.expect(Publish)
    assert (heard.topic, heard.qos) == (TOPIC, 1)
    assert json.loads(heard.payload) == {
        "id": "c", "name": "reboot", "arguments": {"delay": 5}, "expires": (here.control.wall() + 60_000_000) // 1000
    }  # fmt: skip
    if version == 5:
        given = heard.properties
        assert (given.response_topic, given.correlation_data) == (f"{TOPIC}/reply", b"c")
        assert (given.message_expiry_interval, given.content_type) == (60, "application/json")
    await reaches(here, "sent")
    client.send(Puback(heard.packet_id))
    await reaches(here, "acknowledged")
    assert await publish(client, f"{TOPIC}/reply", {"ok": True}) is R.SUCCESS
    command = here.control.commands.get(DEVICE, "c")
    assert command is not None
    assert (state(here), bytes(command.answer)) == ("answered", b'{"ok":true}')
    assert here.intake.accepted == []


async def test_a_device_that_was_away_gets_what_waits_when_it_subscribes_once(here: Endpoint) -> None:
    for ident in ("c", "d", "short"):
        order(here, ident, 10 if ident == "short" else 60)
    await reaches(here, "queued", "short")
    here.after(10)
    client = await device(here)
    await client.subscribe(MINE, qos=1)
    heard = [await client.expect(Publish) for _ in range(2)]
    assert [one.topic[-1] for one in heard] == ["c", "d"]
    await client.subscribe(MINE, qos=1)
    await client.subscribe(f"devices/{DEVICE}/#", qos=1)
    await client.nothing()
    client.send(Puback(heard[0].packet_id))
    await reaches(here, "acknowledged")
    await client.close()
    again = await device(here)
    await again.subscribe(MINE, qos=1)
    assert (await again.expect(Publish)).topic[-1] == "d"
    await again.nothing()
    assert state(here, "short") == "expired"


async def test_a_session_that_lasts_gets_it_when_it_comes_back_without_subscribing(here: Endpoint) -> None:
    lasting: dict[str, Any] = {"clean": False, "properties": Properties(session_expiry_interval=3600)}
    client = await device(here, **lasting)
    await client.subscribe(MINE, qos=1)
    order(here)
    await client.expect(Publish)
    await client.close()
    await until(lambda: not here.broker.connections)
    order(here, "d")
    await reaches(here, "queued", "d")
    again = await device(here, **lasting)
    heard = [await again.expect(Publish) for _ in range(2)]
    assert [one.topic[-1] for one in heard] == ["c", "d"]
    for one in heard:
        again.send(Puback(one.packet_id))
    await reaches(here, "acknowledged", "d")
    await again.nothing()


async def test_a_gateway_device_gets_commands_of_its_children_and_answers_for_them(here: Endpoint) -> None:
    order(here)
    gateway, other = await device(here, "gateway"), await device(here, "other")
    await gateway.subscribe(MINE, qos=1)
    assert (await other.subscribe(MINE)).codes[0] is R.NOT_AUTHORIZED
    heard = await gateway.expect(Publish)
    gateway.send(Puback(heard.packet_id))
    await reaches(here, "acknowledged")
    assert await publish(other, f"{TOPIC}/reply", 1) is R.NOT_AUTHORIZED
    assert await publish(gateway, f"{TOPIC}/reply", 1) is R.SUCCESS
    assert state(here) == "answered"


async def test_who_only_watches_hears_commands_and_changes_nothing(here: Endpoint) -> None:
    watcher = await here.connected("watcher")
    await watcher.subscribe("devices/+/commands/#", qos=1)
    order(here)
    heard = await watcher.expect(Publish)
    watcher.send(Puback(heard.packet_id))
    await watcher.nothing()
    assert state(here) == "queued"
    client = await device(here)
    await client.subscribe(MINE, qos=0)
    assert (await client.expect(Publish)).qos == 0
    await reaches(here, "sent")
    assert await publish(client, f"{TOPIC}/reply", {}) is R.SUCCESS
    assert (await watcher.expect(Publish)).topic == f"{TOPIC}/reply"


async def test_a_client_without_a_credential_on_this_machine_may_stand_for_a_device_by_its_topic(
    here: Endpoint,
) -> None:
    client = await here.connected("anyone")
    await client.subscribe(MINE, qos=1)
    order(here)
    client.send(Puback((await client.expect(Publish)).packet_id))
    await reaches(here, "acknowledged")


@pytest.mark.parametrize(
    ("topic", "payload", "code"),
    [
        (f"{TOPIC}/reply", b"{", R.PAYLOAD_FORMAT_INVALID),
        (f"{TOPIC}/reply", b'"' + b"x" * 9000 + b'"', R.QUOTA_EXCEEDED),
        (f"devices/{DEVICE}/commands/unknown/reply", b"1", R.PAYLOAD_FORMAT_INVALID),
        ("devices/other/commands/c/reply", b"1", R.NOT_AUTHORIZED),
        ("devices/other/shadow/update", b"{}", R.NOT_AUTHORIZED),
    ],
)
async def test_what_is_no_answer_is_rejected_and_changes_nothing(
    here: Endpoint, topic: str, payload: bytes, code: R
) -> None:
    order(here)
    await reaches(here, "queued")
    client = await device(here)
    assert await publish(client, topic, payload) is code
    assert state(here) == "queued"


async def test_an_answer_is_acknowledged_after_the_log_has_it(here: Endpoint) -> None:
    order(here)
    await reaches(here, "queued")
    client = await device(here)
    here.log.gate.clear()
    client.send(Publish(f"{TOPIC}/reply", b"1", QOS_1, 9))
    await client.nothing()
    here.log.gate.set()
    await client.expect(Puback)
    assert state(here) == "answered"
    order(here, "d")
    await reaches(here, "queued", "d")
    here.log.failing = True
    client.send(Publish(f"devices/{DEVICE}/commands/d/reply", b"1", QOS_1, 10))
    assert (await client.disconnected()).code is R.SERVER_BUSY
    here.log.failing = False


async def test_a_command_reaches_the_device_at_the_other_gateway_and_the_next_one_when_that_is_gone() -> None:
    log = MemoryLog()
    first_log = LogOf(log)
    async with (
        endpoint(first_log, profile="stack", commands=True) as first,
        endpoint(log, profile="stack", commands=True) as second,
    ):
        for gateway in (first, second):
            gateway.door.add(DEVICE)
        client = await device(first)
        await client.subscribe(MINE, qos=1)
        order(second)
        await client.expect(Publish)
        await reaches(second, "sent")
        first_log.dead = True
        again = await device(second, client_id="another")
        await again.subscribe(MINE, qos=1)
        again.send(Puback((await again.expect(Publish)).packet_id))
        assert await publish(again, f"{TOPIC}/reply", "done") is R.SUCCESS
        assert state(second) == "answered"


async def test_a_shadow_tells_a_device_what_it_shall_be_until_it_is(here: Endpoint) -> None:
    topic = f"devices/{DEVICE}/shadow"
    client = await device(here)
    await client.subscribe(f"{topic}/update/+", f"{topic}/get/+", qos=1)

    async def heard(where: str) -> Any:
        packet = await client.expect(Publish)
        client.send(Puback(packet.packet_id))
        assert packet.topic == f"{topic}/{where}"
        return json.loads(packet.payload)

    client.send(Publish(f"{topic}/get", b""))
    assert (await heard("get/rejected"))["error"] == "no_shadow"
    client.send(Publish(f"{topic}/update", b'{"reported":{"speed":900},"token":"t"}'))
    said = await heard("update/accepted")
    assert (said["version"], said["reported"], said["token"]) == (1, {"speed": 900}, "t")
    admin = await here.connected("admin")
    assert await publish(admin, f"{topic}/update", {"desired": {"speed": 1200}}) is R.SUCCESS
    assert (await heard("update/accepted"))["version"] == 2
    assert await heard("update/delta") == {"version": 2, "delta": {"speed": 1200}}
    client.send(Publish(f"{topic}/update", b'{"reported":{"speed":1200},"version":1,"token":"u"}'))
    said = await heard("update/rejected")
    assert (said["error"], said["token"]) == ("conflict", "u")
    for nonsense in (b"{", b'{"reported":{"speed":"\xff"}}'):
        client.send(Publish(f"{topic}/update", nonsense))
        assert (await heard("update/rejected"))["error"] == "bad_json"
    client.send(Publish(f"{topic}/update", b'{"reported":{"speed":1200},"version":2}'))
    assert (await heard("update/accepted"))["delta"] == {}
    client.send(Publish(f"{topic}/get", b""))
    assert (await heard("get/accepted"))["version"] == 3
    await client.nothing()


async def test_many_changes_of_one_device_are_all_acknowledged_in_order(here: Endpoint) -> None:
    client = await device(here)
    for number in range(1, 51):
        body = json.dumps({"reported": {f"n{number}": number}}).encode()
        client.send(Publish(f"devices/{DEVICE}/shadow/update", body, QOS_1, number))
    assert await client.acknowledged(50) == list(range(1, 51))
    assert len(here.control.shadows.table.get(DEVICE).reported) == 50


@pytest.mark.parametrize("pattern", [MINE, f"devices/{DEVICE}/commands/#", "devices/+/commands/c", "+/+/commands/+"])
async def test_commands_are_not_shared_and_who_asks_is_told(here: Endpoint, version: int, pattern: str) -> None:
    watcher = await here.connected("watcher", version)
    refused = R.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED if version == 5 else R.UNSPECIFIED_ERROR
    assert (await watcher.subscribe(f"$share/g/{pattern}", qos=1)).codes == (refused,)
    assert (await watcher.subscribe(pattern, qos=1)).codes == (R.GRANTED_QOS_1,)


async def test_replies_are_shared_and_a_wider_group_hears_no_commands(here: Endpoint) -> None:
    worker = await here.connected("worker")
    both = await worker.subscribe("$share/g/devices/+/commands/+/reply", "$share/h/devices/#", qos=1)
    assert both.codes == (R.GRANTED_QOS_1, R.GRANTED_QOS_1)
    client = await device(here)
    await client.subscribe(MINE, qos=1)
    order(here)
    client.send(Puback((await client.expect(Publish)).packet_id))
    await reaches(here, "acknowledged")
    await worker.nothing()
    assert await publish(client, f"{TOPIC}/reply", {"ok": True}) is R.SUCCESS
    heard = [(await worker.expect(Publish)).topic for _ in range(2)]  # each group once
    assert heard == [f"{TOPIC}/reply"] * 2
