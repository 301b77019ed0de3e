"""Starting and stopping: what is in flight is answered, what comes later is told to come again, nothing is left open."""

import asyncio
import socket
from typing import Any

import pytest

from headwater.config import load
from headwater.errors import ConfigError
from headwater.metrics import Metrics
from ingest.http.server import open_http
from ingest.listening import listen
from tests.ingest.http.support import MESSAGE, ONE, App, FakeDoor, FakeIntake, get, post, site, until


async def test_in_flight_is_answered_and_new_messages_are_sent_away():
    intake = FakeIntake()
    intake.held = True
    async with site(intake) as there:
        waiting, late, reader = [await there.peer() for _ in range(3)]
        waiting.send(post(MESSAGE))
        await until(lambda: len(intake.receipts) == 1)
        there.server.stop_accepting()
        late.send(post(MESSAGE))
        reply = await late.reply()
        assert (reply.status, reply.json["error"]) == (503, "stopping")
        assert int(reply.headers["retry-after"]) >= 5
        reader.send(get("/still"))
        assert (await reader.reply()).status == 200
        intake.settle()
        assert (await waiting.reply()).json == ONE


async def test_closing_waits_for_answers_and_closes_quiet_connections():
    intake = FakeIntake()
    intake.held = True
    async with site(intake) as there:
        waiting, quiet, asking, halfway = [await there.peer() for _ in range(4)]
        waiting.send(post(MESSAGE))
        asking.send(get("/wait"))
        halfway.send(post(MESSAGE)[:-5])
        await until(lambda: there.connections == 4 and bool(intake.receipts) and bool(there.app.begun))
        closing = asyncio.create_task(there.server.close())
        assert await quiet.ended() == b""
        intake.settle()
        there.app.go.set()
        halfway.send(MESSAGE[-5:])
        replies = [await peer.reply() for peer in (waiting, asking, halfway)]
        assert [reply.status for reply in replies] == [202, 200, 503]
        assert [reply.headers["connection"] for reply in replies] == ["close"] * 3
        await asyncio.wait_for(closing, 2)
        assert there.connections == 0
        with pytest.raises(ConnectionRefusedError):
            await there.peer()


async def test_an_app_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ingest.http.server.GRACE", 0.1)
    async with site() as there:
        peer = await there.peer()
        peer.send(get("/wait"))
        await until(lambda: bool(there.app.begun))
        await asyncio.wait_for(there.server.close(), 3)
        assert there.connections == 0


async def test_a_stream_is_ended_without_a_word_in_the_log(caplog: pytest.LogCaptureFixture):
    class Stream(App):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                await super().__call__(scope, receive, send)
                return
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
            while (await receive())["type"] != "http.disconnect":
                pass
            self.gone += 1

    async with site(app=Stream()) as there:
        peer = await there.peer()
        peer.send(get("/stream"))
        assert (await peer.reply()).headers["transfer-encoding"] == "chunked"
        await asyncio.wait_for(there.server.close(), 2)
        assert there.app.gone == 1
        assert caplog.records == []


async def test_stopping_asks_the_door_for_nothing_more():
    async with site() as there:
        assert there.door.watchers
        await there.server.close()
        assert there.door.watchers == []


async def test_an_address_in_use_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        config = load(environment={}, http__listen=address)
        with pytest.raises(ConfigError, match=address):
            async with open_http(config, App(), FakeIntake(), FakeDoor(), Metrics()):
                pass


async def test_an_app_that_does_not_start_is_a_clear_error():
    class Broken(App):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "lifespan.startup.failed", "message": "no"})

    config = load(environment={}, http__listen="127.0.0.1:0")
    with pytest.raises(ConfigError, match="did not start"):
        async with open_http(config, Broken(), FakeIntake(), FakeDoor(), Metrics()):
            pass


async def test_the_address_has_the_real_port_and_localhost_means_both_families():
    async with site(http__listen="localhost:0") as there:
        assert there.server.address == f"localhost:{there.server.port}"
        assert there.server.port > 0
        assert (await there.ask(post(MESSAGE))).json == ONE


@pytest.mark.parametrize("address", ["no.such.host.invalid:0", "203.0.113.1:0"])
def test_an_address_that_is_not_ours_is_named(address: str):
    with pytest.raises(ConfigError, match="cannot listen"):
        listen(address, "http.listen")


@pytest.mark.skipif(not socket.has_ipv6, reason="there is no IPv6 here")
async def test_ipv6_is_written_in_brackets():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("there is no IPv6 here")
    async with site(http__listen="[::1]:0") as there:
        assert there.server.address == f"[::1]:{there.server.port}"
        assert (await there.ask(post(MESSAGE))).json == ONE
        assert there.intake.taken[0].source.peer == "::1"
