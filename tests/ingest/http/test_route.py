"""What the ingest route answers: the documented replies, over real sockets."""

import gzip
import json
import tracemalloc

import pytest

from headwater.errors import Unavailable
from headwater.registry import ANONYMOUS
from tests.ingest.http.support import DEVICE, MESSAGE, ONE, FakeIntake, get, post, site, turns, until

AUTHORIZED = "Authorization: Bearer good"


async def test_one_object_is_accepted():
    async with site() as there:
        reply = await there.ask(post(MESSAGE))
        assert (reply.status, reply.json) == (202, ONE)
        assert reply.headers["content-type"] == "application/json"
        assert "GMT" in reply.headers["date"]
        assert "server" not in reply.headers
        assert there.intake.payloads == [MESSAGE]


async def test_a_form_is_taken_for_the_json_that_it_holds():
    async with site() as there:
        reply = await there.ask(post(MESSAGE, "Content-Type: application/x-www-form-urlencoded"))
        assert reply.status == 202
        assert there.intake.taken[0].source.content_type == "application/x-www-form-urlencoded"


async def test_an_array_is_accepted_in_part_and_the_others_are_named_by_their_index():
    async with site() as there:
        reply = await there.ask(post(b'[{"a":1}, "bad", {"a": 2}, "<bad_shape>"]'))
        assert reply.status == 202
        assert reply.json == {
            "accepted": 2,
            "rejected": [
                {"index": 1, "reason": "bad_json", "detail": "detail of 1"},
                {"index": 3, "reason": "bad_shape", "detail": "detail of 3"},
            ],
        }
        assert there.intake.payloads == [b'{"a":1}', b'"bad"', b'{"a": 2}', b'"<bad_shape>"']


async def test_lines_are_counted_without_the_blank_ones():
    async with site() as there:
        body = b'\n{"a":1}\r\n\r\n  \nbad\n{"a":2}\n'
        reply = await there.ask(post(body, "Content-Type: application/x-ndjson; charset=utf-8"))
        assert reply.status == 202
        assert [item["index"] for item in reply.json["rejected"]] == [1]
        assert there.intake.payloads == [b'{"a":1}', b"bad", b'{"a":2}']


async def test_gzip_is_unpacked():
    async with site() as there:
        reply = await there.ask(post(gzip.compress(MESSAGE), "Content-Encoding: GZIP"))
        assert (reply.status, there.intake.payloads) == (202, [MESSAGE])


async def test_a_chunked_body_is_put_together():
    async with site() as there:
        assert (await there.ask(post(MESSAGE, chunked=True))).json == ONE
        assert there.intake.payloads == [MESSAGE]


@pytest.mark.parametrize(
    ("body", "status"), [(b"bad", 400), (b'[{"x":"<not_authorized>"}]', 403), (b'{"x":"<too_large>"}', 413)]
)
async def test_nothing_valid_is_an_error_with_the_same_body(body: bytes, status: int):
    async with site() as there:
        reply = await there.ask(post(body))
        assert reply.status == status
        assert reply.json["accepted"] == 0
        assert len(reply.json["rejected"]) == 1


async def test_at_most_a_thousand_rejections_are_listed_and_all_are_counted():
    async with site() as there:
        reply = await there.ask(post(b"\n".join([b"{}", *[b"bad"] * 1500]), "Content-Type: application/x-ndjson"))
        assert reply.status == 202
        assert len(reply.json["rejected"]) == 1000
        assert reply.json["rejected_total"] == 1500


@pytest.mark.parametrize("body", [b"", b" \r\n", b"[]", b"[ ]"])
async def test_no_message_is_an_error(body: bytes):
    async with site() as there:
        reply = await there.ask(post(body))
        assert (reply.status, reply.json["error"]) == (400, "empty")
        assert there.intake.taken == []


async def test_device_and_decoder_come_from_the_target():
    async with site() as there:
        assert (await there.ask(post(b"21.5", target="/ingest/tank%3A1?decoder=plain"))).status == 202
        (taken,) = there.intake.taken
        assert (taken.source.transport, taken.source.device, taken.source.decoder) == ("http", "tank:1", "plain")
        assert taken.source.peer == "127.0.0.1"


async def test_another_decoder_gets_the_body_as_it_is():
    async with site() as there:
        for body in (b" [1, 2]\n", b'{"a":1}\n{"b":2}'):
            await there.ask(post(body, target="/ingest/x?decoder=foreign"))
        await there.ask(post(b"1\n2", "Content-Type: application/x-ndjson", target="/ingest/x?decoder=foreign"))
        assert [taken.payloads for taken in there.intake.taken] == [[b" [1, 2]\n"], [b'{"a":1}\n{"b":2}'], [b"1", b"2"]]


async def test_a_content_type_of_one_format_chooses_its_decoder_where_nothing_else_does():
    async with site() as there:
        await there.ask(post(b'[{"n":"a"}]', "Content-Type: application/senml+json; charset=utf-8"))
        await there.ask(post(b"[1]", "Content-Type: application/senml+json", target="/ingest/x?decoder=native"))
        await there.ask(post(b"\xa1\x61a\x01", "Content-Type: application/cbor", target="/ingest/x"))
        said = [(taken.source.decoder, taken.payloads) for taken in there.intake.taken]
        assert said == [("senml", [b'[{"n":"a"}]']), ("native", [b"1"]), ("telegraf_binary", [b"\xa1\x61a\x01"])]


async def test_the_headers_by_which_owntracks_names_a_phone_reach_its_decoder_as_parameters():
    async with site() as there:
        whose = ("X-Limit-U: jane doe", "X-Limit-D: phone")
        for target in ("/ingest?decoder=owntracks", "/ingest?decoder=owntracks&u=joe", "/ingest/x"):
            await there.ask(post(MESSAGE, *whose, target=target))
        queries = [taken.source.query for taken in there.intake.taken]
        assert queries == ["decoder=owntracks&u=jane+doe&d=phone", "decoder=owntracks&u=joe&d=phone", ""]


async def test_the_source_is_one_object_while_the_target_is_one():
    async with site() as there:
        peer = await there.peer()
        for target in ("/ingest", "/ingest", "/ingest/x", "/ingest/x"):
            peer.send(post(MESSAGE, target=target))
            assert (await peer.reply()).status == 202
        first, second, third, fourth = (taken.source for taken in there.intake.taken)
        assert first is second
        assert third is fourth
        assert first != third


async def test_the_idempotency_key_reaches_the_intake():
    async with site() as there:
        assert (await there.ask(post(MESSAGE, "Idempotency-Key: order 66"))).status == 202
        assert there.intake.taken[0].key == "order 66"


@pytest.mark.parametrize("key", [b"", b"x" * 65, b"a\xc2\x85b", b"\xff", b"a\tb"])
async def test_a_key_that_can_be_no_id_is_an_error(key: bytes):
    async with site() as there:
        request = b"POST /ingest HTTP/1.1\r\nIdempotency-Key: %b\r\nContent-Length: 2\r\n\r\n{}" % key
        reply = await there.ask(request)
        assert (reply.status, reply.json["error"]) == (400, "bad_id")
        assert there.intake.taken == []


async def test_who_sends_is_asked_once_a_connection_and_again_when_rights_change():
    async with site() as there:
        peer = await there.peer()
        for _ in range(3):
            peer.send(post(MESSAGE, AUTHORIZED))
            assert (await peer.reply()).status == 202
        assert there.door.asked == [("good", True)]
        assert there.intake.taken[0].identity is DEVICE
        there.door.change()
        there.door.refusals["good"] = there.door.refusals["disabled"]
        peer.send(post(MESSAGE, AUTHORIZED))
        assert (await peer.reply()).status == 403


async def test_another_token_on_the_same_connection_is_another_sender():
    async with site() as there:
        peer = await there.peer()
        for header, status in ((AUTHORIZED, 202), ("Authorization: Bearer stolen", 401), ("X: y", 202)):
            peer.send(post(MESSAGE, header))
            assert (await peer.reply()).status == status
        assert [taken.identity for taken in there.intake.taken] == [DEVICE, ANONYMOUS]


@pytest.mark.parametrize(
    ("header", "status", "error"),
    [
        ("Authorization: Bearer wrong", 401, "bad_credentials"),
        ("Authorization: Basic Z29vZDo=", 401, "bad_credentials"),
        ("Authorization: Bearer ", 401, "bad_credentials"),
        ("Authorization: Bearer disabled", 403, "disabled"),
        ("Authorization: Bearer greedy", 429, "over_quota"),
    ],
)
async def test_who_may_not_send_is_told_so_and_counted(header: str, status: int, error: str):
    async with site() as there:
        reply = await there.ask(post(MESSAGE, header))
        assert (reply.status, reply.json["error"]) == (status, error)
        assert ("www-authenticate" in reply.headers) == (status == 401)
        assert ("retry-after" in reply.headers) == (status == 429)
        assert there.metrics.sample("refused_total", transport="http", reason=error) == 1
        assert there.intake.taken == []


async def test_a_door_that_cannot_tell_is_no_refusal():
    async with site() as there:
        there.door.refusals["good"] = Unavailable("the registry cannot be seen")
        reply = await there.ask(post(MESSAGE, AUTHORIZED))
        assert (reply.status, reply.json["error"]) == (503, "unavailable")
        assert int(reply.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    "headers",
    [
        ["X-Forwarded-For: 10.0.0.9"],
        ["Forwarded: for=10.0.0.9"],
        ["Origin: http://elsewhere.example"],
        ["Origin: null"],
        ["Sec-Fetch-Site: cross-site"],
        ["Sec-Fetch-Site: same-site"],
    ],
)
async def test_nobody_is_trusted_for_a_proxy_or_a_browser_on_this_machine(headers: list[str]):
    async with site() as there:
        reply = await there.ask(post(MESSAGE, *headers))
        assert (reply.status, reply.json["error"]) == (401, "no_credentials")
        assert (await there.ask(post(MESSAGE, AUTHORIZED, *headers))).status == 202


async def test_who_is_trusted_is_decided_for_each_request_of_a_connection():
    async with site() as there:
        peer = await there.peer()
        for headers, status in (([], 202), (["Forwarded: for=10.0.0.9"], 401), ([], 202), (["Origin: http://x"], 401)):
            peer.send(post(MESSAGE, *headers))
            assert (await peer.reply()).status == status


async def test_a_page_of_this_server_may_send():
    async with site() as there:
        assert (await there.ask(post(MESSAGE, "Origin: http://localhost"))).status == 202
        assert (await there.ask(post(MESSAGE, "Sec-Fetch-Site: same-origin"))).status == 202


async def test_a_picture_in_a_page_of_another_site_sends_nothing():
    """It is fetched with GET, and without Origin."""
    picture = "GET /ingest?decoder=osmand&id=1&lat=1&lon=2 HTTP/1.1\r\nHost: 127.0.0.1\r\n{}\r\n"
    async with site() as there:
        reply = await there.ask(picture.format("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n").encode())
        assert (reply.status, reply.json["error"]) == (401, "no_credentials")
        assert (await there.ask(picture.format("Sec-Fetch-Site: none\r\n").encode())).status == 202


async def test_no_header_allows_pages_of_other_sites_to_read():
    async with site() as there:
        reply = await there.ask(post(MESSAGE, AUTHORIZED, "Origin: http://elsewhere.example"))
        assert not [name for name in reply.headers if name.startswith("access-control")]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_other_methods_are_not_allowed(method: str):
    async with site() as there:
        reply = await there.ask(get("/ingest/x", method))
        assert (reply.status, reply.json["error"], reply.headers["allow"]) == (405, "method_not_allowed", "POST")


async def test_head_gets_no_body_and_the_connection_goes_on():
    async with site() as there:
        peer = await there.peer()
        peer.send(get("/ingest", "HEAD"))
        assert (await peer.reply(bodiless=True)).status == 405
        peer.send(post(MESSAGE))
        assert (await peer.reply()).status == 202


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd"])
async def test_an_unknown_content_coding_is_refused(encoding: str):
    async with site() as there:
        reply = await there.ask(post(MESSAGE, f"Content-Encoding: {encoding}"))
        assert (reply.status, reply.json["error"]) == (415, "unsupported_encoding")
        assert reply.headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize("body", [b"no gzip", gzip.compress(MESSAGE)[:-9], gzip.compress(MESSAGE) + b"more", b""])
async def test_broken_gzip_is_refused(body: bytes):
    async with site() as there:
        reply = await there.ask(post(body, "Content-Encoding: gzip"))
        assert (reply.status, reply.json["error"]) == (400, "bad_encoding")


async def test_a_gzip_bomb_is_refused_and_the_connection_goes_on():
    async with site() as there:
        peer = await there.peer()
        bomb = post(gzip.compress(bytes(100_000_000)), "Content-Encoding: gzip")
        tracemalloc.start()
        peer.send(bomb)
        reply = await peer.reply()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (reply.status, reply.json["error"]) == (413, "too_large")
        assert peak < 5_000_000
        peer.send(post(MESSAGE))
        assert (await peer.reply()).status == 202


async def test_a_transfer_coding_that_is_not_known_is_refused():
    async with site() as there:
        reply = await there.ask(b"POST /ingest HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")
        assert reply.status == 501


@pytest.mark.parametrize("name", ["Authorization", "Idempotency-Key", "Content-Type"])
async def test_a_header_that_counts_and_is_there_twice_is_refused(name: str):
    async with site() as there:
        reply = await there.ask(post(MESSAGE, f"{name}: Bearer good", f"{name}: Bearer bad"))
        assert (reply.status, reply.json["error"]) == (400, "bad_request")


async def test_a_full_intake_asks_to_send_later():
    async with site() as there:
        there.intake.full = True
        reply = await there.ask(post(MESSAGE))
        assert (reply.status, reply.json["error"]) == (503, "busy")
        assert 1 <= int(reply.headers["retry-after"]) <= 2
        there.intake.full = False
        assert (await there.ask(post(MESSAGE))).status == 202


@pytest.mark.parametrize("at_once", [True, False])
async def test_what_the_log_did_not_take_is_to_be_sent_again(at_once: bool):
    async with site() as there:
        there.intake.failing, there.intake.at_once = True, at_once
        reply = await there.ask(post(b'[{}, {}, "bad"]'))
        assert (reply.status, reply.json["error"]) == (503, "unavailable")
        assert 2 <= int(reply.headers["retry-after"]) <= 4


async def test_duplicates_that_settle_at_once_are_answered_at_once():
    async with site() as there:
        there.intake.at_once = True
        assert (await there.ask(post(MESSAGE))).json == ONE


async def test_the_answer_waits_for_the_log():
    intake = FakeIntake()
    intake.held = True
    async with site(intake) as there:
        peer = await there.peer()
        peer.send(post(MESSAGE))
        assert await peer.nothing()
        intake.settle()
        assert (await peer.reply()).json == ONE


@pytest.mark.parametrize("reset", [True, False])
async def test_a_peer_that_is_gone_before_the_answer_leaves_nothing_behind(reset: bool):
    intake = FakeIntake()
    intake.held = True
    async with site(intake) as there:
        peer = await there.peer()
        peer.send(post(MESSAGE))
        await until(lambda: len(intake.receipts) == 1)
        assert there.connections == 1
        if reset:
            peer.vanish()
            await until(lambda: there.connections == 0)
        else:
            peer.close()
        intake.settle()
        await until(lambda: there.connections == 0)
        assert (await there.ask(get("/other"))).status == 200


async def test_a_peer_that_has_said_all_still_gets_its_answer():
    intake = FakeIntake()
    intake.held = True
    async with site(intake) as there:
        peer = await there.peer()
        peer.send(post(MESSAGE))
        peer.writer.write_eof()
        await turns()
        intake.settle()
        assert json.loads((await peer.ended()).rpartition(b"\r\n")[2]) == ONE


async def test_a_connection_asked_to_close_is_closed_after_the_answer():
    async with site() as there:
        peer = await there.peer()
        peer.send(post(MESSAGE, "Connection: close"), post(b"late"))
        reply = await peer.reply()
        assert (reply.status, reply.headers["connection"]) == (202, "close")
        assert await peer.ended() == b""
        assert there.intake.payloads == [MESSAGE]


@pytest.mark.parametrize("headers", [b"", b"Connection: keep-alive\r\n", b"Expect: 100-continue\r\n"])
async def test_http_1_0_gets_one_answer_and_no_interim_one(headers: bytes):
    async with site() as there:
        peer = await there.peer()
        peer.send(b"POST /ingest HTTP/1.0\r\n" + headers + b"Content-Length: 2\r\n\r\n{}", post(b"late"))
        reply = await peer.reply()
        assert (reply.status, reply.headers["connection"]) == (202, "close")
        assert await peer.ended() == b""
        assert there.intake.payloads == [b"{}"]


async def test_the_target_may_be_in_absolute_form():
    async with site() as there:
        assert (await there.ask(post(MESSAGE, target="http://localhost:1/ingest/x?decoder=native"))).status == 202
        assert there.intake.taken[0].source.device == "x"


@pytest.mark.parametrize("target", ["/ingested", "/api/ingest", "/Ingest", "/", "/?/ingest"])
async def test_other_targets_are_the_apps(target: str):
    async with site() as there:
        reply = await there.ask(post(b"body", target=target))
        assert reply.body == f"POST {target.partition('?')[0]} body".encode()
        assert there.intake.taken == []
