"""Everything a peer can do too much of, too slowly or wrongly: each gets its answer, and the next good request works."""

import asyncio
import tracemalloc

import pytest

from ingest.http.connection import LINGER
from ingest.http.protocol import HEAD_SIZE
from tests.ingest.http.support import MESSAGE, ONE, FakeIntake, get, post, site, turns, until

MIB = 2**20


@pytest.mark.parametrize("target", ["/ingest", "/app"])
async def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(target: str):
    async with site() as there:
        peer = await there.peer()
        peer.send(post(b"x" * (MIB + 1), target=target)[:200])
        reply = await peer.reply()
        assert (reply.status, reply.json["error"], reply.headers["connection"]) == (413, "too_large", "close")
        assert await peer.ended() == b""


async def test_a_body_as_large_as_allowed_is_taken():
    async with site() as there:
        body = b'{"x":"' + b"x" * (MIB - 8) + b'"}'
        assert len(body) == MIB
        assert (await there.ask(post(body))).status == 202


@pytest.mark.parametrize("target", ["/ingest", "/app"])
@pytest.mark.parametrize("chunked", [True, False])
async def test_a_byte_too_many_is_refused(target: str, chunked: bool):
    async with site() as there:
        reply = await there.ask(post(b"x" * (MIB + 1), target=target, chunked=chunked))
        assert (reply.status, reply.json["error"]) == (413, "too_large")
        await until(lambda: there.app.gone == len(there.app.begun))
        assert there.intake.taken == []


@pytest.mark.parametrize("header", ["Authorization: Bearer wrong", "Content-Encoding: br"])
async def test_a_body_nobody_wants_is_bounded_too(header: str):
    async with site() as there:
        assert (await there.ask(post(b"x" * (MIB + 1), header, chunked=True))).status == 413


@pytest.mark.parametrize("target", ["/ingest", "/app"])
@pytest.mark.parametrize("chunked", [True, False])
async def test_ten_megabytes_are_refused_in_bounded_memory_and_the_sender_can_read_why(target: str, chunked: bool):
    async with site() as there:
        peer = await there.peer()
        request = post(b"x" * 10 * MIB, target=target, chunked=chunked)
        tracemalloc.start()
        for at in range(0, len(request), MIB // 4):
            peer.send(request[at : at + MIB // 4])
            await asyncio.wait_for(peer.writer.drain(), 10)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        reply = await peer.reply()
        assert (reply.status, reply.json["error"]) == (413, "too_large")
        assert peak < 8 * MIB
        assert there.intake.taken == []


async def test_the_answer_to_too_much_comes_after_the_answers_before_it():
    intake = FakeIntake()
    intake.held = True
    async with site(intake) as there:
        peer = await there.peer()
        peer.send(post(MESSAGE), post(b"x" * 2 * MIB)[:200])
        assert await peer.nothing()
        there.pass_time(LINGER + 1)
        intake.settle()
        assert [(await peer.reply()).status for _ in range(2)] == [202, 413]


async def test_who_goes_on_sending_after_the_answer_is_cut_off_in_time():
    async with site(http__body_time="10s") as there:
        peer = await there.peer()
        peer.send(post(b"x" * 2 * MIB)[:200])
        assert (await peer.reply()).status == 413
        for _ in range(10):
            peer.send(b"x")
            await turns(3)
            there.pass_time(1.1)
        await until(lambda: there.connections == 0)


async def test_who_is_quiet_after_the_answer_is_cut_off():
    async with site() as there:
        peer = await there.peer()
        peer.send(post(b"x" * 2 * MIB)[:200])
        assert (await peer.reply()).status == 413
        there.pass_time(LINGER + 0.1)
        await until(lambda: there.connections == 0)


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /ing",
        b"POST /ingest HTTP/1.1\r\nHost: lo",
        post(MESSAGE)[:-1],
        post(MESSAGE, target="/app")[:-1],
        post(MESSAGE, chunked=True)[:-1],
    ],
)
async def test_a_request_that_takes_too_long_to_arrive_is_ended(sent: bytes):
    async with site(http__body_time="10s", http__idle="1h") as there:
        peer = await there.peer()
        for byte in sent:
            peer.send(bytes([byte]))
        await turns()
        there.pass_time(9)
        assert await peer.nothing()
        there.pass_time(2)
        reply = await peer.reply()
        assert (reply.status, reply.json["error"], reply.headers["connection"]) == (408, "too_slow", "close")
        assert await peer.ended() == b""
        assert there.intake.taken == []
        assert (await there.ask(post(MESSAGE))).status == 202


async def test_an_app_that_waits_for_a_slow_body_is_told_that_nobody_is_there():
    async with site(http__body_time="10s") as there:
        peer = await there.peer()
        peer.send(post(b"body", target="/app")[:-1])
        await until(lambda: there.app.begun == ["/app"])
        there.pass_time(11)
        assert (await peer.reply()).status == 408
        await until(lambda: there.app.gone == 1)


async def test_time_is_not_counted_while_the_app_does_not_read():
    async with site(http__body_time="10s") as there:
        peer = await there.peer()
        peer.send(get("/wait"), post(b"x" * 900_000, target="/app"))
        await turns()
        there.pass_time(11)
        there.app.go.set()
        assert (await peer.reply()).body == b"GET /wait "
        assert (await peer.reply()).status == 200


async def test_an_answered_request_whose_body_never_ends_is_closed():
    async with site(http__body_time="10s") as there:
        peer = await there.peer()
        peer.send(post(b"body", target="/early")[:-1])
        assert (await peer.reply()).status == 200
        there.pass_time(11)
        assert await peer.ended() == b""


@pytest.mark.parametrize("before", [b"", post(MESSAGE), get("/app"), b"\r\n\r\n"])
async def test_a_quiet_connection_is_closed(before: bytes):
    async with site(http__idle="10s", http__body_time="1h") as there:
        peer = await there.peer()
        peer.send(before)
        if before.strip():
            await peer.reply()
        await until(lambda: there.connections == 1)
        there.pass_time(9)
        assert await peer.nothing()
        there.pass_time(2)
        assert await peer.ended() == b""


async def test_a_connection_that_waits_for_the_log_or_the_app_is_not_quiet():
    intake = FakeIntake()
    intake.held = True
    async with site(intake, http__idle="10s") as there:
        peer, other = await there.peer(), await there.peer()
        peer.send(post(MESSAGE))
        other.send(get("/wait"))
        await until(lambda: bool(intake.receipts) and bool(there.app.begun))
        there.pass_time(100)
        intake.settle()
        there.app.go.set()
        assert (await peer.reply()).status == 202
        assert (await other.reply()).status == 200


async def test_limits_of_time_hold_by_the_servers_own_clock():
    async with site(http__body_time="0.2s", real_time=True) as there:
        peer = await there.peer()
        peer.send(b"POST /ingest HTTP/1.1\r\n")
        assert (await peer.reply()).status == 408


async def test_who_does_not_read_the_answers_is_not_read_and_then_cut_off():
    async with site(http__idle="10s") as there:
        there.intake.at_once = True
        peer = await there.peer()
        reader: asyncio.StreamReader = peer.reader
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        body = b"\n".join([b"bad"] * 1000)
        for _ in range(200):
            peer.send(post(body, "Content-Type: application/x-ndjson"))
        await turns(200)
        assert len(there.intake.taken) < 200
        there.pass_time(11)
        await until(lambda: there.connections == 0)


async def test_more_connections_than_allowed_are_closed_at_once():
    async with site(http__connections=2) as there:
        first, second = await there.peer(), await there.peer()
        await until(lambda: there.connections == 2)
        third = await there.peer()
        third.send(post(MESSAGE))
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await third.reply()
        assert there.connections == 2
        for peer in (first, second):
            peer.send(post(MESSAGE))
            assert (await peer.reply()).json == ONE
        first.close()
        await until(lambda: there.connections == 1)
        assert (await there.ask(post(MESSAGE))).json == ONE


@pytest.mark.parametrize(
    "part", [b"x" * 100_000, b"X: " + b"y" * 100_000, b"A: b\r\n" * 20_000], ids=["method", "value", "lines"]
)
async def test_a_head_without_end_is_refused(part: bytes):
    async with site() as there:
        peer = await there.peer()
        peer.send(
            b"POST /ingest HTTP/1.1\r\nHost: localhost\r\nX: " if part[0] == 120 else b"POST /ingest HTTP/1.1\r\n"
        )
        for _ in range(5):
            peer.send(part)
        reply = await peer.reply()
        assert (reply.status, reply.json["error"]) == (431, "head_too_large")
        assert len(part) > HEAD_SIZE


async def test_trailers_and_chunk_extensions_without_end_are_refused():
    async with site(http__body_size="100KiB") as there:
        peer = await there.peer()
        head = b"POST /ingest HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        peer.send(head, b"2\r\n{}\r\n0\r\nX: ", b"y" * MIB)
        assert (await peer.reply()).status == 413
        other = await there.peer()
        other.send(head, b"2;", b"y" * MIB)
        assert (await other.reply()).status == 413


async def test_bodies_that_come_in_part_are_bounded_over_all_connections():
    async with site(ingest__waiting_size="1MiB") as there:
        peers = [await there.peer() for _ in range(12)]
        for peer in peers:
            peer.send(post(b"x" * MIB)[:100_000])
        await turns(50)
        refused = [peer for peer in peers if not await peer.nothing()]
        assert 1 <= len(refused) <= 3
        assert (await there.ask(post(MESSAGE))).status == 202
        for peer in peers:
            peer.vanish()
        await until(lambda: there.connections == 0)
        assert there.server._service.unfinished == 0  # pyright: ignore[reportPrivateUsage]


MALFORMED = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"CONNECT localhost:1883 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"POST ingest HTTP/1.1\r\n\r\n",
    b"POST /ingest HTTP/1.1\nContent-Length: 2\n\n{}",
    b"POST /ingest HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    b"POST /ingest HTTP/1.1\r\nContent-Length: -2\r\n\r\n{}",
    b"POST /ingest HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
    b"POST /ingest HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"POST /ingest HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
    b"POST /ingest HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    b"POST /app HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
    b"POST /ingest HTTP/1.1\r\nBad Header: x\r\n\r\n",
    b"GET /\xc3\x28 HTTP/1.1\r\n\r\n",
    b"nonsense\r\n\r\n",
]


@pytest.mark.parametrize("data", MALFORMED, ids=range(len(MALFORMED)))
async def test_what_is_not_http_is_refused_after_the_answers_before_it(data: bytes):
    async with site() as there:
        peer = await there.peer()
        peer.send(post(MESSAGE), data)
        assert (await peer.reply()).json == ONE
        reply = await peer.reply()
        assert (reply.status, reply.json["error"], reply.headers["connection"]) == (400, "bad_request", "close")
        assert await peer.ended() == b""
        assert there.intake.payloads == [MESSAGE]
        assert (await there.ask(post(MESSAGE))).json == ONE


async def test_a_length_that_lies_makes_two_requests_of_one():
    async with site() as there:
        peer = await there.peer()
        peer.send(post(b"{}{}").replace(b"Content-Length: 4", b"Content-Length: 2"))
        assert (await peer.reply()).json == ONE
        assert (await peer.reply()).status == 400
        assert there.intake.payloads == [b"{}"]


async def test_a_fault_of_ours_is_a_500_and_one_line_in_the_log(capsys: pytest.CaptureFixture[str]):
    class Broken(FakeIntake):
        def accept(self, *_: object, **__: object) -> None:
            raise LookupError("this should not be")

    async with site(Broken()) as there:
        reply = await there.ask(post(MESSAGE))
        assert (reply.status, reply.json["error"]) == (500, "internal")
    assert "LookupError" in capsys.readouterr().err


async def test_noise_on_the_line_is_not_worth_a_line_in_the_log(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
):
    async with site() as there:
        assert (await there.ask(b"nonsense\r\n\r\n")).status == 400
        assert (await there.ask(post(MESSAGE, "Connection: Upgrade", "Upgrade: h2c"))).status == 202
    assert capsys.readouterr().out == ""
    assert caplog.records == []
