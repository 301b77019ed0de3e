"""A connection that came in by a short-lived token ends with it."""

import pytest

from headwater import times
from headwater.registry import Identity
from ingest.mqtt.reasons import ReasonCode
from tests.ingest.mqtt.kit import endpoint


@pytest.mark.parametrize("clean", [True, False])
async def test_it_is_told_and_closed_when_the_token_expires(clean: bool) -> None:
    async with endpoint() as made:
        until = times.now() + 300_000
        made.door.known["short"] = Identity(name="page", subscribe=("chat/#",), until=until)
        client = await made.connected("c1", password=b"short", clean=clean)
        assert (await client.subscribe("chat/1", "orders/1")).codes == (0, ReasonCode.NOT_AUTHORIZED)
        assert (await client.disconnected()).code is ReasonCode.NOT_AUTHORIZED
        assert times.now() >= until
