"""Answers come in the order of the requests, whether the route or the app makes them, and nothing overtakes a POST."""

from typing import Any

import pytest

from ingest.http.connection import LINE_PAUSE, TURNS
from tests.ingest.http.support import MESSAGE, ONE, App, FakeIntake, get, post, site, turns, until


async def test_a_mix_of_requests_in_one_piece_is_answered_in_order():
    async with site() as there:
        peer = await there.peer()
        peer.send(
            post(b'{"n":1}'),
            get("/first"),
            post(b'[{"n":2},"bad"]', chunked=True),
            post(b'{"n":3}'),
            post(b"body", target="/second"),
            get("/ingest"),
            get("/third"),
            post(b'{"n":4}'),
        )
        replies = [await peer.reply() for _ in range(8)]
        assert [reply.status for reply in replies] == [202, 200, 202, 202, 200, 405, 200, 202]
        assert replies[1].body == b"GET /first "
        assert replies[2].json["rejected"][0]["index"] == 1
        assert replies[4].body == b"POST /second body"
        assert replies[6].body == b"GET /third "
        assert there.intake.payloads == [b'{"n":1}', b'{"n":2}', b'"bad"', b'{"n":3}', b'{"n":4}']


async def test_the_app_is_not_asked_before_the_message_ahead_is_logged():
    intake = FakeIntake()
    intake.held = True
    async with site(intake) as there:
        peer = await there.peer()
        peer.send(post(MESSAGE), get("/latest"))
        assert await peer.nothing()
        assert there.app.begun == []
        intake.settle()
        assert (await peer.reply()).json == ONE
        assert (await peer.reply()).body == b"GET /latest "


async def test_a_message_is_not_taken_before_the_app_has_answered_what_is_ahead():
    async with site() as there:
        peer = await there.peer()
        peer.send(get("/wait"), post(MESSAGE), post(b"{}", "Content-Encoding: gzip"), get("/after"))
        assert await peer.nothing()
        assert there.app.begun == ["/wait"]
        assert there.intake.taken == []
        there.app.go.set()
        assert [(await peer.reply()).status for _ in range(4)] == [200, 202, 400, 200]
        assert there.intake.payloads == [MESSAGE]


async def test_each_message_waits_for_the_app_right_before_it():
    async with site() as there:
        peer = await there.peer()
        peer.send(get("/wait"), post(b'{"n":1}'), get("/later"), post(b'{"n":2}'))
        there.app.go.set()
        assert [(await peer.reply()).status for _ in range(2)] == [200, 202]
        assert await peer.nothing()
        assert there.intake.payloads == [b'{"n":1}']
        there.app.later.set()
        assert [(await peer.reply()).status for _ in range(2)] == [200, 202]


async def test_receipts_settled_out_of_order_are_answered_in_order():
    intake = FakeIntake()
    intake.held = True
    async with site(intake) as there:
        peer = await there.peer()
        peer.send(post(b'["bad"]'), post(b"[{},{}]"), post(b"{}"))
        await until(lambda: len(intake.receipts) == 3)
        first, *others = intake.receipts
        intake.receipts = others
        intake.settle()
        assert await peer.nothing()
        intake.receipts = [first]
        intake.settle()
        assert [(await peer.reply()).json["accepted"] for _ in range(3)] == [0, 2, 1]


async def test_a_release_in_the_midst_of_accepting_answers_nothing_too_early():
    class Eager(FakeIntake):
        def accept(self, identity: Any, source: Any, payloads: Any, receipt: Any, key: str = "") -> None:
            receipt.owner.release()
            super().accept(identity, source, payloads, receipt, key)

    async with site(Eager()) as there:
        peer = await there.peer()
        peer.send(get("/wait"), post(b"{}"), post(b"[{},{}]"))
        await turns()
        there.app.go.set()
        assert (await peer.reply()).status == 200
        assert [(await peer.reply()).json["accepted"] for _ in range(2)] == [1, 2]


async def test_many_requests_in_one_piece_are_all_answered():
    async with site() as there:
        peer = await there.peer()
        count = 3 * LINE_PAUSE
        peer.send(*[post(b'{"n":%d}' % n) for n in range(count)])
        assert {(await peer.reply()).status for _ in range(count)} == {202}
        assert there.intake.payloads == [b'{"n":%d}' % n for n in range(count)]


async def test_a_peer_that_sends_without_end_is_not_read_while_answers_are_due():
    intake = FakeIntake()
    intake.held = True
    async with site(intake) as there:
        peer = await there.peer()
        request = post(b'{"x":"%b"}' % (b"x" * 100_000))
        for _ in range(400):
            peer.send(request)
        await turns(100)
        assert LINE_PAUSE <= len(intake.taken) < LINE_PAUSE + 20
        intake.held = False
        intake.settle()
        assert {(await peer.reply()).status for _ in range(400)} == {202}


async def test_more_requests_to_the_app_than_a_line_may_hold_end_the_connection_after_their_answers():
    async with site() as there:
        peer = await there.peer()
        peer.send(*[get(f"/{n}") for n in range(TURNS + 10)])
        for n in range(TURNS):
            assert (await peer.reply()).body == f"GET /{n} ".encode()
        assert await peer.ended() == b""


async def test_an_answer_of_the_app_before_its_request_is_over_does_not_upset_the_order():
    async with site() as there:
        peer = await there.peer()
        request = post(b"x" * 1000, target="/early")
        peer.send(request[:500])
        assert (await peer.reply()).body == b"POST /early "
        peer.send(request[500:], post(MESSAGE), get("/next"))
        assert (await peer.reply()).json == ONE
        assert (await peer.reply()).body == b"GET /next "


async def test_continue_is_sent_when_the_request_is_next_and_not_before():
    intake = FakeIntake()
    intake.held = True
    async with site(intake) as there:
        peer = await there.peer()
        head, body = post(MESSAGE, "Expect: 100-continue")[: -len(MESSAGE)], MESSAGE
        peer.send(post(b"{}"), head)
        assert await peer.nothing()
        intake.settle()
        assert (await peer.reply()).status == 202
        assert (await peer.reply()).status == 100
        peer.send(body[:9])
        await turns()
        peer.send(body[9:])
        await until(lambda: len(intake.receipts) == 1)
        intake.settle()
        assert (await peer.reply()).json == ONE


async def test_continue_is_sent_by_the_app_too():
    async with site() as there:
        peer = await there.peer()
        request = post(b"body", "Expect: 100-continue", target="/app")
        peer.send(request[:-4])
        assert (await peer.reply()).status == 100
        peer.send(request[-4:])
        assert (await peer.reply()).body == b"POST /app body"


@pytest.mark.parametrize("header", ["Authorization: Bearer wrong", "Content-Encoding: br"])
async def test_who_waits_for_continue_in_vain_is_told_at_once(header: str):
    async with site() as there:
        peer = await there.peer()
        peer.send(post(MESSAGE, header, "Expect: 100-continue")[: -len(MESSAGE)])
        reply = await peer.reply()
        assert reply.status in {401, 415}
        assert reply.headers["connection"] == "close"
        assert await peer.ended() == b""


@pytest.mark.parametrize("chunked", [True, False])
async def test_an_offer_to_upgrade_is_ignored(chunked: bool):
    offer = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"]
    async with site() as there:
        peer = await there.peer()
        peer.send(
            post(MESSAGE, *offer, chunked=chunked), post(b"body", *offer, target="/app", chunked=chunked), get("/")
        )
        assert (await peer.reply()).json == ONE
        assert (await peer.reply()).body == b"POST /app body"
        assert (await peer.reply()).body == b"GET / "


async def test_trailers_change_nothing():
    async with site() as there:
        request = post(MESSAGE, "Authorization: Bearer good", chunked=True)
        reply = await there.ask(request[:-2], b"Authorization: Bearer wrong\r\nIdempotency-Key: late\r\n\r\n")
        assert reply.status == 202
        assert there.intake.taken[0].key == ""
        request = post(MESSAGE, chunked=True, target="/app")
        assert (await there.ask(request[:-2], b"X-Late: 1\r\n\r\n")).status == 200
        assert b"x-late" not in dict(there.app.scope["headers"])


async def test_a_peer_that_is_gone_is_reported_to_every_app_that_answers_it():
    class Listening(App):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                await super().__call__(scope, receive, send)
                return
            while (await receive())["type"] != "http.disconnect":
                pass
            self.gone += 1

    async with site(app=Listening()) as there:
        peer = await there.peer()
        peer.send(get("/stream"), get("/next"), post(MESSAGE))
        await turns()
        peer.close()
        await until(lambda: there.app.gone == 1)
        assert there.intake.taken == []
