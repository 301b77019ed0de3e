"""What tests of lasting sessions share: a client that has one, one that has gone, and what it hears.

In: an endpoint. Out: clients, their messages acknowledged.
"""

from typing import Any

from ingest.mqtt.packets import (
    Disconnect,
    Puback,
    Publish,
)
from ingest.mqtt.properties import Properties
from ingest.mqtt.reasons import ReasonCode as R
from tests.ingest.mqtt.kit import Client, Endpoint, until

TOPIC = "devices/d1/telemetry"
HOUR = 3600


async def lasting(here: Endpoint, version: int = 5, client_id: str = "s", **more: Any) -> tuple[Client, bool]:
    """A client whose session lasts an hour, and whether it was there before."""
    client = await here.client(version)
    given = Properties(session_expiry_interval=HOUR) if version == 5 else Properties()
    connack = await client.connect(client_id, clean=False, properties=given, **more)
    assert connack.code is R.SUCCESS
    return client, connack.session_present


async def away(here: Endpoint, *filters: str, version: int = 5, qos: int = 1) -> None:
    """A session with subscriptions whose client has gone."""
    client, present = await lasting(here, version)
    assert not present
    await client.subscribe(*filters or ("#",), qos=qos)
    client.send(Disconnect())
    await client.closed()
    await gone(here)


async def gone(here: Endpoint) -> None:
    """The log has it that no session is connected."""
    await until(lambda: not here.broker.plane.table.held)


async def hear(client: Client, count: int) -> list[bytes]:
    """So many messages, acknowledged."""
    payloads: list[bytes] = []
    for _ in range(count):
        heard = await client.expect(Publish)
        payloads.append(heard.payload)
        if heard.qos == 1:
            client.send(Puback(heard.packet_id))
    return payloads
