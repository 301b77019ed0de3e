"""MQTT.js, paho (Python and Go), aiomqtt, gmqtt, unmodified, over every transport they know."""

import pytest

from tests.clients.kit import CLIENTS, Client, Gateway

WAYS = [
    pytest.param(client, transport, version, id=f"{client.name}-{transport}-{version}")
    for client in CLIENTS
    for transport, version in client.ways
]
EACH = [pytest.param(client, client.ways[0][1], id=client.name) for client in CLIENTS]


@pytest.mark.parametrize(("client", "transport", "version"), WAYS)
async def test_what_is_acknowledged_is_logged_and_whoever_listens_hears_it(
    here: Gateway, client: Client, transport: str, version: int
) -> None:
    """Over TLS the client's certificate says who it is."""
    async with here.driven(client, transport, version, count=40, listen="devices/pump-7/#", expect=40) as driver:
        await driver.says("done")
    messages = await here.messages()
    assert sorted(message.seq or 0 for message in messages) == list(range(40))
    assert {message.device for message in messages} == {"pump-7"}
    assert {shown.cn for shown in here.door.shown} == ({"pump-7"} if transport in {"tls", "wss"} else set())
    heard = [line for line in driver.said if line.startswith("heard")]
    assert len(heard) == 40


@pytest.mark.parametrize(("client", "version"), EACH)
async def test_a_cut_connection_is_made_anew_nothing_is_lost_and_what_is_sent_again_keeps_its_id(
    here: Gateway, client: Client, version: int
) -> None:
    async with here.driven(client, "tcp", version, count=200, clean=False) as driver:
        await driver.says("half")
        assert here.cut() == 1
        await driver.says("done")
    once = {message.id: message.seq or 0 for message in await here.messages()}
    assert sorted(once.values()) == list(range(200))


@pytest.mark.parametrize(("client", "version"), EACH)
async def test_what_came_while_it_was_away_is_there_when_it_comes_back(
    here: Gateway, client: Client, version: int
) -> None:
    """The power goes, messages come, the power is back: the session hears them all, in order."""
    async with here.driven(client, "tcp", version, listen="commands/#", expect=1000, clean=False) as driver:
        await driver.says("ready")
        await here.publish("commands/a", b"0")
        assert await driver.says("heard") == "heard 0"
        driver.kill()
    for number in range(1, 4):
        await here.publish("commands/a", b"%d" % number)
    async with here.driven(client, "tcp", version, listen="commands/#", expect=3, clean=False) as driver:
        while await driver.says("heard") != "heard 3":
            pass
    heard = [line for line in driver.said if line.startswith("heard") and line != "heard 0"]  # it may say that again
    assert heard == ["heard 1", "heard 2", "heard 3"]
