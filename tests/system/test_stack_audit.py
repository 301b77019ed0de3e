"""`headwater audit` on the stack: clean where all is well; else it names what was taken, falsified, or is away."""

import json
import urllib.request
from typing import Any

import pymysql
import pytest
from pymongo import MongoClient
from redis import Redis

from tests.system.program import free_port
from tests.system.stack import Stack
from tests.system.stack_kit import get, send, settled

pytestmark = [pytest.mark.process, pytest.mark.timeout(400)]
COUNT = 300


def test_what_was_taken_or_falsified_is_named_and_a_store_that_is_away(stack: Stack) -> None:
    for part in (stack.api(), stack.gateway(), stack.consumer()):
        part.wait_ready()
    for start in range(0, COUNT, 100):
        send(stack, range(start, start + 100))
    settled(stack, COUNT)
    said, code = stack.audit()
    assert (code, "BAD" in said, "nothing missing, nothing extra" in said) == (0, False, True), said
    assert f"messages: log and lake: {COUNT} compared, 0 missing, 0 extra" in said
    assert f"documents: candidates: {COUNT} compared, 0 missing, 0 extra" in said

    one, other = (candidate["id"] for candidate in get(stack, "candidates?limit=2")["items"])
    take_document(stack, one)
    take_found(stack, other)
    take_row_and_falsify_rollup(stack)
    take_device(stack)
    said, code = stack.audit(patience=1)
    assert code == 1
    assert f"missing: candidate {one} in documents; on the log at partition " in said
    assert f"missing: candidate {other} in search; on the log at partition " in said
    assert "missing: message m17 of device pump-5 in the rows of the reports; on the log at partition " in said
    assert " of n of device pump-7 is count 26, sum 3775; its messages give count 25, sum 3775" in said
    assert "missing: device pump-3 in the live state" in said
    assert said.count("missing: ") + said.count("wrong: ") + said.count("extra: ") == 5, said

    nowhere = f"127.0.0.1:{free_port()}"
    stack.settings |= {
        "HEADWATER_REDIS__URL": f"redis://{nowhere}/0",
        "HEADWATER_ELASTICSEARCH__URLS": f'["http://{nowhere}"]',
        "HEADWATER_S3__ENDPOINT": f"http://{nowhere}",
        "HEADWATER_S3__TIME": "2s",
    }
    said, code = stack.audit(patience=1)
    assert (code, not_compared(said)) == (1, ["live", "search", "messages", "candidates", "rejected"]), said
    assert f"missing: candidate {one} in documents" in said


def not_compared(said: str) -> list[str]:
    """What could not be."""
    return [line.split()[1].rstrip(":") for line in said.splitlines() if "not compared: " in line]


def take_document(stack: Stack, identifier: str) -> None:
    client: MongoClient[dict[str, Any]] = MongoClient(stack.settings["HEADWATER_MONGODB__URL"])
    with client:
        candidates = client[stack.settings["HEADWATER_MONGODB__DATABASE"]]["candidates"]
        assert candidates.delete_one({"id": identifier}).deleted_count == 1


def take_found(stack: Stack, identifier: str) -> None:
    server = stack.servers["elastic"]

    def ask(method: str, path: str) -> Any:
        request = urllib.request.Request(f"http://{server.host}:{server.port}/{path}", method=method)
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.loads(reply.read())

    found = ask("GET", f"{stack.settings['HEADWATER_ELASTICSEARCH__PREFIX']}-candidates/_search?q=_id:{identifier}")
    (hit,) = found["hits"]["hits"]
    assert ask("DELETE", f"{hit['_index']}/_doc/{identifier}?refresh=true")["result"] == "deleted"


def take_row_and_falsify_rollup(stack: Stack) -> None:
    server = stack.servers["mariadb"]
    database = stack.settings["HEADWATER_MARIADB__DATABASE"]
    with (
        pymysql.connect(
            host=server.host, port=server.port, user="root", database=database, autocommit=True
        ) as connection,
        connection.cursor() as cursor,
    ):
        assert cursor.execute("DELETE FROM report_row WHERE device = 'pump-5' AND id = 'm17'") == 1
        assert cursor.execute("UPDATE report_day SET n = n + 1 WHERE device = 'pump-7' AND field = 'n'") == 1


def take_device(stack: Stack) -> None:
    with Redis.from_url(stack.settings["HEADWATER_REDIS__URL"]) as redis:
        states = f"{{{stack.settings['HEADWATER_REDIS__PREFIX']}}}:live:states"
        assert redis.hdel(states, "pump-3") == 1
