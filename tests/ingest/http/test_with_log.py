"""The whole way in: curl, the real intake, the SQLite log. What is answered 202 is on the log."""

import asyncio
import gzip
import json
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from headwater.config import load
from headwater.log import MESSAGES, REJECTED, TopicSpec
from headwater.message import Message, RejectedMessage, decode_message, decode_rejected
from headwater.metrics import Metrics
from ingest.intake import LogIntake
from storage.sqlite_log import SqliteLog, open_log
from tests.ingest.http.support import Site, post, site, turns

FLAT = '{"client_id":1,"device_id":7,"voltage":647,"temperature":110,"sequence":400}'


@asynccontextmanager
async def logged(folder: Path) -> AsyncGenerator[tuple[Site, SqliteLog], None]:
    config = load(environment={}, data=str(folder))
    topics = [TopicSpec(MESSAGES, 2), TopicSpec(REJECTED, 2)]
    async with (
        open_log(folder / "log.sqlite", topics) as log,
        LogIntake(log, config, Metrics(), lambda _: "") as intake,
        site(intake) as there,
    ):
        yield there, log


async def values(log: SqliteLog, topic: str) -> list[bytes]:
    found: list[bytes] = []
    for partition in range(log.partitions(topic)):
        async for entries in log.read(topic, partition, 0):
            found += [entry.value for entry in entries if entry.value is not None]
    return found


async def messages(log: SqliteLog) -> list[Message]:
    return [decode_message(value) for value in await values(log, MESSAGES)]


async def quarantined(log: SqliteLog) -> list[RejectedMessage]:
    return [decode_rejected(value) for value in await values(log, REJECTED)]


async def curl(there: Site, *arguments: str, target: str = "/ingest") -> tuple[int, Any]:
    assert shutil.which("curl"), "curl is needed: scripts/test installs it on Debian"
    url = f"http://{there.server.address}{target}"
    process = await asyncio.create_subprocess_exec(
        "curl", "-s", "-m", "10", "-w", "\n%{http_code}", *arguments, url, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    text, _, status = out.decode().rpartition("\n")
    return int(status), json.loads(text)


async def test_curl_sends_the_flat_form_as_a_form(tmp_path: Path):
    async with logged(tmp_path) as (there, log):
        assert await curl(there, "-d", FLAT) == (202, {"accepted": 1, "rejected": []})
        (message,) = await messages(log)
        assert (message.device, message.seq, message.fields["voltage"]) == ("7", 400, 647)


async def test_curl_sends_a_batch_packed_and_with_continue(tmp_path: Path):
    lines = "\n".join(json.dumps({"device": f"d{n}", "fields": {"n": n}}) for n in range(500))
    packed = tmp_path / "batch.gz"
    packed.write_bytes(gzip.compress(lines.encode()))
    options = ["-H", "Content-Type: application/x-ndjson", "-H", "Content-Encoding: gzip", "-H", "Expect: 100-continue"]
    async with logged(tmp_path) as (there, log):
        assert (await curl(there, *options, "--data-binary", f"@{packed}"))[1]["accepted"] == 500
        assert {message.fields["n"] for message in await messages(log)} == set(range(500))


async def test_curl_offering_http_2_is_understood(tmp_path: Path):
    async with logged(tmp_path) as (there, log):
        assert (await curl(there, "--http2", "-d", FLAT))[0] == 202
        assert len(await messages(log)) == 1


async def test_curl_sending_ten_megabytes_reads_why_not(tmp_path: Path):
    large = tmp_path / "large"
    large.write_bytes(b"x" * 10_000_000)
    async with logged(tmp_path) as (there, _):
        for header in ("Expect:", "Expect: 100-continue", "Transfer-Encoding: chunked"):
            status, answer = await curl(there, "-H", header, "--data-binary", f"@{large}")
            assert (status, answer["error"]) == (413, "too_large")


async def test_a_partly_good_batch_is_split_between_the_topics(tmp_path: Path):
    body = b'[{"device":"a","fields":{"n":1}},{"device":"b"},{"device":"c","fields":{"n":"x"},"mistake":1}]'
    async with logged(tmp_path) as (there, log):
        reply = await there.ask(post(body))
        assert (reply.status, reply.json["accepted"]) == (202, 1)
        assert [item["index"] for item in reply.json["rejected"]] == [1, 2]
        assert [message.device for message in await messages(log)] == ["a"]
        kept = await quarantined(log)
        assert sorted(item.reason for item in kept) == sorted(item["reason"] for item in reply.json["rejected"])
        assert {item.transport for item in kept} == {"http"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"not json", "bad_json"),
        (b'{"device":"x","fields":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001, "too_deep"),
        (b'{"device":"x","fields":{"a":"\xff"}}', "bad_encoding"),
        (b'[[{"device":"x"}]]', "bad_shape"),
    ],
)
async def test_bad_messages_are_named_and_kept(tmp_path: Path, body: bytes, reason: str):
    async with logged(tmp_path) as (there, log):
        reply = await there.ask(post(body))
        assert (reply.status, reply.json["rejected"][0]["reason"]) == (400, reason)
        assert [item.reason for item in await quarantined(log)] == [reason]


@pytest.mark.parametrize("device", ["a/b", "%23", "a%2Fb", "%ff", "x" * 5000])
async def test_a_device_that_cannot_be_is_rejected_like_one_in_a_payload(tmp_path: Path, device: str):
    async with logged(tmp_path) as (there, _):
        reply = await there.ask(post(b'{"fields":{"a":1}}', target=f"/ingest/{device}"))
        assert (reply.status, reply.json["rejected"][0]["reason"]) == (400, "bad_device")


async def test_an_unknown_decoder_is_rejected(tmp_path: Path):
    async with logged(tmp_path) as (there, _):
        reply = await there.ask(post(b"1", target="/ingest/x?decoder=none-such"))
        assert (reply.status, reply.json["rejected"][0]["reason"]) == (400, "unknown_decoder")


async def test_a_retry_with_its_key_is_one_message(tmp_path: Path):
    async with logged(tmp_path) as (there, log):
        for _ in range(3):
            reply = await there.ask(post(b'{"device":"a","fields":{"n":1}}', "Idempotency-Key: 0b6c"))
            assert (reply.status, reply.json) == (202, {"accepted": 1, "rejected": []})
        assert [message.id for message in await messages(log)] == ["0b6c"]


async def test_a_pipeline_of_one_device_is_logged_in_order(tmp_path: Path):
    async with logged(tmp_path) as (there, log):
        peer = await there.peer()
        peer.send(*[post(b'{"device":"a","seq":%d,"fields":{"n":%d}}' % (n, n)) for n in range(300)])
        for _ in range(300):
            assert (await peer.reply()).status == 202
        assert [message.seq for message in await messages(log)] == list(range(300))


async def test_everything_accepted_before_a_stop_is_answered_and_logged(tmp_path: Path):
    async with logged(tmp_path) as (there, log):
        peers = [await there.peer() for _ in range(20)]
        for n, peer in enumerate(peers):
            peer.send(post(b'{"device":"a","fields":{"n":%d}}' % n))
        await turns(2)
        there.server.stop_accepting()
        await there.intake.drain(5)
        replies = [await peer.reply() for peer in peers]
        accepted = [n for n, reply in enumerate(replies) if reply.status == 202]
        assert {reply.status for reply in replies} <= {202, 503}
        await there.server.close()
        assert sorted(message.fields["n"] for message in await messages(log)) == accepted
