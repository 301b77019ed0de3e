"""The live stream: messages as they are durable, to go on from anywhere; slow clients wait for nobody and are told."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx
import pytest

from headwater import times
from headwater.config import Config
from query import stream as stream_module
from query.listener import Listener
from query.problems import Unanswerable
from query.stream import read_id, write_id
from tests.query.conftest import MODELS, Api, open_api, serving
from tests.query.fakes import MemoryLog
from tests.storage.factory import message


class Event(NamedTuple):
    name: str
    data: Any
    id: str


class Events:
    """What one client of the stream gets, event by event; comments are `comment`."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines

    async def next(self, *, comments: bool = False) -> Event:
        name, data, ident = "", None, ""
        async with asyncio.timeout(5):
            async for line in self._lines:
                if line.startswith(":") and comments:
                    return Event("comment", line[1:].strip(), "")
                key, _, value = line.partition(": ")
                match key:
                    case "event":
                        name = value
                    case "data":
                        data = json.loads(value)
                    case "id":
                        ident = value
                    case "" if name:
                        return Event(name, data, ident)
                    case _:
                        pass
        raise EOFError

    async def take(self, count: int) -> list[Event]:
        return [await self.next() for _ in range(count)]


@asynccontextmanager
async def listening(
    url: str, query: str = "", headers: Mapping[str, str] | None = None
) -> AsyncGenerator[Events, None]:
    async with (
        httpx.AsyncClient(timeout=5) as client,
        client.stream("GET", f"{url}/api/v1/stream{query}", headers=headers) as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        events = Events(answer.aiter_lines())
        assert (await events.next(comments=True)).data == "headwater"
        yield events


async def test_a_message_comes_as_soon_as_it_is_on_the_log(api: Api, url: str) -> None:
    await api.say(message(0))
    async with listening(url) as events:
        await api.say(message(1, texts={"t": "ä\n\u2028"}))
        event = await events.next()
        assert event.name == "message"
        assert (event.data["device"], event.data["seq"], event.data["texts"]) == ("pump-7", 1, {"t": "ä\n\u2028"})
        assert event.id.split(",")[0] == f"{event.data['partition']}:{event.data['offset']}"


async def test_only_the_devices_and_the_kind_asked_for(api: Api, url: str) -> None:
    async with listening(url, "?device=a&device=b&kind=beacon") as events:
        await api.say(
            message(1, "a"),
            message(2, "c", kind="beacon"),
            message(3, "b", kind="beacon"),
            message(4, "a", kind="beacon"),
        )
        assert {event.data["seq"] for event in await events.take(2)} == {3, 4}


async def test_a_client_that_comes_back_misses_nothing(api: Api, url: str) -> None:
    async with listening(url) as events:
        await api.say(*[message(n, device) for n in range(3) for device in ("a", "b", "pump-7")])
        last = (await events.take(4))[-1]
        seen = 4
    await api.say(*[message(n, device) for n in range(3, 5) for device in ("a", "b", "pump-7")])
    async with listening(url, headers={"Last-Event-ID": last.id}) as events:
        rest = await events.take(15 - seen)
        await api.say(message(9, "a"))
        assert (await events.next()).data["seq"] == 9
    per_device = {name: [e.data["seq"] for e in rest if e.data["device"] == name] for name in ("a", "b", "pump-7")}
    assert all(numbers == sorted(set(numbers)) and numbers[-1] == 4 for numbers in per_device.values())


async def test_a_client_of_one_device_goes_on_from_partition_and_offset(api: Api, url: str) -> None:
    async with listening(url, "?device=pump-7") as events:
        await api.say(message(0))
        last = (await events.next()).id
    assert last.count(":") == 1
    await api.say(message(1), message(1, "a"), message(2))
    for number in range(3):
        api.lake.commit("messages", number, 100)
    await api.tail.trim()
    async with listening(url, "?device=pump-7", {"Last-Event-ID": last}) as events:
        assert [event.data["seq"] for event in await events.take(2)] == [1, 2]


async def test_a_client_that_was_away_too_long_is_told(api: Api, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "_RESUMED_OF_DEVICES", 3)
    await api.say(*[message(n) for n in range(10)])
    number = next(n for n in range(3) if api.log.entries["messages", n])
    async with listening(url, "?device=pump-7", {"Last-Event-ID": f"{number}:0"}) as events:
        assert (await events.next())[:2] == ("dropped", {"dropped": 6})
        assert [event.data["seq"] for event in await events.take(3)] == [7, 8, 9]


@pytest.mark.parametrize("ident", ["x", "1", "1:2:3", "1:x", ",", "0:1,", "é:1"])
async def test_an_event_id_that_is_none_is_refused(api: Api, ident: str) -> None:
    answer = await api.get("/api/v1/stream", 400, [(b"Last-Event-ID", ident.encode("latin-1"))])
    assert answer["error"] == "bad_event_id"


def test_ids_say_where_each_partition_stands() -> None:
    assert write_id(2, {0: 5, 1: -1, 2: 7}) == "2:7,0:5,1:-1"
    assert read_id("2:7,0:5,1:-1") == {0: 5, 1: -1, 2: 7}
    assert read_id("") == {}
    assert write_id(99, dict.fromkeys(range(100), 1)) == "99:1"
    with pytest.raises(Unanswerable):
        read_id("a:b")


async def test_an_id_beyond_the_log_begins_now(api: Api, url: str) -> None:
    async with listening(url, headers={"Last-Event-ID": "0:999,1:999,2:999,77:3"}) as events:
        await api.say(message(1))
        assert (await events.next()).data["seq"] == 1


async def test_a_quiet_line_shows_that_it_lives(api: Api, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "HEARTBEAT", 0.02)
    async with listening(url) as events:
        assert (await events.next(comments=True)).data == "still here"
        await api.say(message(1))
        assert (await events.next()).name == "message"


async def test_a_rate_skips_and_says_how_many(api: Api, url: str) -> None:
    async with listening(url, "?rate=20") as events:
        await api.say(*[message(n) for n in range(50)])
        got, skipped = 0, 0
        while got + skipped < 50:
            event = await events.next()
            got += event.name == "message"
            skipped += event.data["skipped"] if event.name == "skipped" else 0
        assert got + skipped == 50
        assert skipped > got > 0


async def test_a_slow_client_misses_what_it_has_no_room_for_and_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("query.listener.MOST_ENTRIES", 3)
    log = MemoryLog()
    listener = Listener({})
    listener.offer([log.put("messages", message(n)) for n in range(10)])
    entries, dropped = await listener.take(0)
    assert ([entry.offset for entry in entries], dropped) == ([0, 1, 2], 7)
    assert await listener.take(0) == ([], 0)


async def test_what_waits_for_a_client_is_bounded_in_bytes() -> None:
    log = MemoryLog()
    listener = Listener({})
    listener.offer([log.put("messages", message(n, texts={"t": "x" * 2**20})) for n in range(5)])
    entries, dropped = await listener.take(0)
    assert (len(entries), dropped) == (2, 3)


async def test_the_number_of_streams_is_bounded(tmp_path: Any) -> None:
    config = Config.model_validate({"query": {"streams": 1}, "models": MODELS})
    async with open_api(tmp_path, config) as api, serving(api.app) as url:
        async with listening(url):
            assert (await api.get("/api/v1/stream", 503))["error"] == "too_many_streams"
        for _ in range(200):
            if not api.app.state.streams.count:
                break
            await asyncio.sleep(0.01)
        async with listening(url):
            assert api.app.state.streams.count == 1


async def test_a_stream_ends_when_its_owners_token_runs_out(api: Api, url: str) -> None:
    api.door.until = times.now() + 1_000_000
    async with listening(url, headers={"Authorization": "Bearer short"}) as events:
        await api.say(message(1))
        assert (await events.next()).name == "message"
        with pytest.raises(EOFError):
            await events.next()
    assert times.now() >= api.door.until
    assert api.door.watchers == []


async def test_a_stream_ends_when_its_owners_rights_change(api: Api, url: str) -> None:
    async with listening(url, headers={"Authorization": "Bearer read"}) as events:
        for changed in list(api.door.watchers):
            changed("someone else")
        await api.say(message(1))
        assert (await events.next()).name == "message"
        for changed in list(api.door.watchers):
            changed("reader")
        with pytest.raises(EOFError):
            await events.next()
    assert api.door.watchers == []


async def test_streams_end_when_the_program_stops(api: Api, url: str) -> None:
    async with listening(url) as events:
        api.app.state.streams.end()
        with pytest.raises(EOFError):
            await events.next()


async def test_a_client_that_reads_nothing_is_let_go(api: Api, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("query.events.SEND_SECONDS", 0.1)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # else the kernel takes up to 32 MB for it
    client.setblocking(False)
    with client:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", int(url.rpartition(":")[2])))
        await loop.sock_sendall(client, b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with asyncio.timeout(30):
            while api.app.state.streams.count == 0:
                await asyncio.sleep(0.01)
            turn = 0
            while api.app.state.streams.count:
                await api.say(*[message(turn, texts={"t": "x" * 100_000}) for _ in range(5)])
                await asyncio.sleep(0.005)
                turn += 1
