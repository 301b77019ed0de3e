"""A sender over HTTP that is too fast is told when to come again; one whose address is blocked is not listened to."""

from typing import Any

import pytest

from tests.ingest.http.support import MESSAGE, ONE, Peer, Site, post, site, until

GOOD = "Authorization: Bearer good"
SLOW: dict[str, Any] = {"quotas__default__publishes": 10}


async def sends(there: Site, count: int) -> int:
    lines = b"\n".join([MESSAGE] * count)
    return (await there.ask(post(lines, GOOD, "Content-Type: application/x-ndjson"))).status


async def test_a_device_that_has_sent_too_much_is_told_when_to_come_again() -> None:
    async with site(**SLOW) as there:
        assert await sends(there, 50) == 202
        reply = await there.ask(post(MESSAGE, GOOD))
        assert (reply.status, reply.json["error"]) == (429, "over_quota")
        assert 4 <= int(reply.headers["retry-after"]) <= 8
        assert len(there.intake.payloads) == 50
        there.pass_time(4)
        assert (await there.ask(post(MESSAGE, GOOD))).json == ONE
        assert there.metrics.sample("throttled_total", transport="http") == 1


async def test_on_loopback_without_credentials_there_is_no_quota() -> None:
    async with site(**SLOW) as there:
        for _ in range(3):
            body = b"\n".join([MESSAGE] * 50)
            assert (await there.ask(post(body, "Content-Type: application/x-ndjson"))).status == 202


async def test_a_blocked_address_is_refused_and_its_connections_end() -> None:
    async with site() as there:
        peer = await there.peer()
        peer.send(post(MESSAGE))
        assert (await peer.reply()).json == ONE
        there.door.shut_out.add("127.0.0.1")
        there.door.change("127.0.0.0/8")
        assert await gone(peer)
        late = await there.peer()
        late.send(post(MESSAGE))
        assert await gone(late)
        await until(lambda: there.connections == 0)
        there.door.shut_out.clear()
        assert (await there.ask(post(MESSAGE))).json == ONE
        assert len(there.intake.payloads) == 2


async def gone(peer: Peer) -> bool:
    try:
        return await peer.ended() == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("count", [1, 10])
async def test_what_is_within_the_quota_is_taken(count: int) -> None:
    async with site(**SLOW) as there:
        assert await sends(there, count) == 202
