"""However TCP cuts a conversation into pieces, the answers are the same: heads that are remembered, and all others."""

import gzip
from itertools import pairwise
from typing import Any

import uvloop
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.ingest.http.support import MESSAGE, Reply, get, post, site, turns

REQUESTS = [
    post(MESSAGE),
    post(MESSAGE, "Authorization: Bearer good"),
    post(b'{"a":1}\n{"b":2}\n', "Content-Type: application/x-ndjson"),
    post(b'[{"a":"\r\n\r\n"},"bad"]'),
    post(MESSAGE, chunked=True),
    post(gzip.compress(MESSAGE, mtime=0), "Content-Encoding: gzip"),
    post(MESSAGE, "Authorization: Bearer wrong"),
    post(MESSAGE, "Idempotency-Key: once", target="/ingest/pump-7?decoder=native"),
    post(b""),
    get("/app"),
    get("/ingest"),
    post(b"body", target="/app"),
    post(b"body", "Connection: Upgrade", "Upgrade: h2c", target="/app"),
]


async def talk(pieces: list[bytes], count: int) -> tuple[list[Any], list[Any]]:
    async with site() as there:
        peer = await there.peer()
        for piece in pieces:
            peer.send(piece)
            await turns(1)
        replies = [shown(await peer.reply()) for _ in range(count)]
        return replies, [(taken.identity, taken.payloads, taken.key) for taken in there.intake.taken]


def shown(reply: Reply) -> Any:
    headers = {name: value for name, value in reply.headers.items() if name != "date"}
    return reply.status, headers, reply.body


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.sampled_from(range(len(REQUESTS))), min_size=1, max_size=6),
    st.lists(st.integers(1, 1500), max_size=8, unique=True),
)
@example([0, 0, 0], [])
@example([1, 0, 1], [len(REQUESTS[0]) + len(REQUESTS[1])])  # of two heads in one read, which is remembered?
@example([0, 0, 0, 3, 3], [len(REQUESTS[0]), 2 * len(REQUESTS[0]), 3 * len(REQUESTS[0])])
def test_any_cut_of_the_bytes_gives_the_same_answers(chosen: list[int], cuts: list[int]):
    whole = b"".join(REQUESTS[at] for at in chosen)
    ends = [0, *sorted(cut for cut in cuts if cut < len(whole)), len(whole)]
    pieces = [whole[start:end] for start, end in pairwise(ends)]
    expected = uvloop.run(talk([REQUESTS[at] for at in chosen], len(chosen)))
    assert uvloop.run(talk(pieces, len(chosen))) == expected
    assert [status for status, _, _ in expected[0]] == [EXPECTED[at] for at in chosen]


EXPECTED = [202, 202, 202, 202, 202, 202, 401, 202, 400, 200, 405, 200, 200]
