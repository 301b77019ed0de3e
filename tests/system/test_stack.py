"""The stack end to end: what a gateway acknowledged is in each of the five real stores, once, whoever dies meanwhile."""

import json
import signal
import time
import urllib.request
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from tests.services.server import Server
from tests.system.program import free_port
from tests.system.stack import Stack

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]
COUNT = 600
DEVICES = 12


@pytest.fixture
def stack(
    tmp_path: Path,
    kafka_server: Server,
    redis_server: Server,
    mongo_server: Server,
    elastic_server: Server,
    mariadb_server: Server,
    minio_server: Server,
) -> Generator[Stack, None, None]:
    servers = {
        "kafka": kafka_server,
        "redis": redis_server,
        "mongo": mongo_server,
        "elastic": elastic_server,
        "mariadb": mariadb_server,
        "minio": minio_server,
    }
    settings = {"HEADWATER_LAKE__FLUSH_EVERY": "500ms", "HEADWATER_LOG__SESSION": "6s"}
    made = Stack(tmp_path, servers, settings)
    yield made
    made.close()


def get(stack: Stack, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.asking}/api/v1/{path}", timeout=60) as reply:
        return json.loads(reply.read())


def send(stack: Stack, numbers: range) -> None:
    """Acknowledged on return. Messages of a device in the order of their numbers; each is selected, for its text changes."""
    lines = [{"device": f"pump-{n % DEVICES}", "id": f"m{n}", "fields": {"n": n, "word": f"w{n}"}} for n in numbers]
    body = "\n".join(map(json.dumps, lines))
    request = urllib.request.Request(
        f"http://127.0.0.1:{stack.http}/ingest", body.encode(), {"Content-Type": "application/x-ndjson"}
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        assert json.loads(reply.read()) == {"accepted": len(numbers), "rejected": []}


def until(what: Callable[[], object], wanted: object, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    found: object = None
    while time.monotonic() < deadline:
        try:
            found = what()
        except OSError as error:
            found = error
        if found == wanted:
            return
        time.sleep(0.3)
    assert found == wanted


def settled(stack: Stack) -> None:
    """Each of the messages is in every store once, and the sums are right."""
    sent = set(range(COUNT))

    def live() -> int:
        return sum(one["entries"] for one in get(stack, "devices?limit=100")["items"])

    until(live, COUNT)
    newest = {one["device"]: one["fields"]["n"]["value"] for one in get(stack, "devices?limit=100")["items"]}
    assert newest == {f"pump-{n % DEVICES}": n for n in range(COUNT - DEVICES, COUNT)}

    def rolled() -> tuple[int, int]:
        items = get(stack, "reports/day?field=n&limit=1000")["items"]
        return sum(one["count"] for one in items), sum(int(one["sum"]) for one in items)

    until(rolled, (COUNT, sum(sent)))
    assert sorted(one["fields"]["n"] for one in get(stack, "reports/rows?limit=1000")["items"]) == sorted(sent)
    until(
        lambda: sorted(one["message"]["fields"]["n"] for one in get(stack, "candidates?limit=1000")["items"]),
        sorted(sent),
    )
    found = get(stack, "search?q=pump&limit=1000")["items"]
    assert sorted(one["message"]["fields"]["n"] for one in found) == sorted(sent)
    assert [one["message"]["fields"]["n"] for one in get(stack, "search?q=word:w123")["items"]] == [123]
    history = [get(stack, f"devices/pump-{number}/history?limit=1000")["items"] for number in range(DEVICES)]
    assert sorted(one["fields"]["n"] for items in history for one in items) == sorted(sent)


def test_check_names_the_server_that_is_away_and_what_works(stack: Stack) -> None:
    output, code = stack.check()
    assert (output.count("FAILED"), code) == (0, 0), output
    stack.settings["HEADWATER_REDIS__URL"] = f"redis://127.0.0.1:{free_port()}/0"
    output, code = stack.check()
    assert code == 1
    assert any(line.startswith("FAILED  Redis") for line in output.splitlines())
    assert output.count("FAILED") == 1, output


def test_what_was_acknowledged_is_in_every_store_once_though_a_consumer_is_killed(stack: Stack) -> None:
    api, gateway = stack.api(), stack.gateway()
    consumers = [stack.consumer(), stack.consumer()]
    for part in (api, gateway, *consumers):
        part.wait_ready()
    for start in range(0, COUNT, 100):
        send(stack, range(start, start + 100))
        if start == 200:
            consumers[0].kill()
            consumers.append(stack.consumer())
    consumers[-1].wait_ready()
    settled(stack)
    for part in (gateway, *consumers[1:], api):
        assert part.stop() == 0, part.output.read_text()[-3000:]


def test_consumers_that_come_go_and_freeze_past_their_session_double_nothing(stack: Stack) -> None:
    """Twelve partitions, four consumers: one frozen while it writes and woken later, one killed, one that leaves, two new."""
    stack.settings["HEADWATER_LOG__PARTITIONS"] = "12"
    api, gateway = stack.api(), stack.gateway()
    consumers = [stack.consumer() for _ in range(4)]
    for part in (api, gateway, *consumers):
        part.wait_ready()
    for turn, start in enumerate(range(0, COUNT, 50)):
        send(stack, range(start, start + 50))
        match turn:
            case 2:
                consumers[0].send_signal(signal.SIGSTOP)
            case 4:
                consumers[1].kill()
                consumers.append(stack.consumer())
            case 6:
                assert consumers[2].stop() == 0
            case 8:
                time.sleep(7)  # past the session of the frozen one
                consumers[0].send_signal(signal.SIGCONT)
                consumers.append(stack.consumer())
            case _:
                time.sleep(0.3)
    settled(stack)
    for part in consumers[-2:]:
        part.wait_ready()
    for part in (gateway, consumers[0], *consumers[3:], api):
        assert part.stop() == 0, part.output.read_text()[-3000:]


def test_a_store_that_hangs_longer_than_every_time_out_hurts_only_itself(stack: Stack) -> None:
    """Each store frozen in turn while messages flow: the others have them at once, and it catches up when it is back."""
    times = ("REDIS__TIME", "MONGODB__TIME", "ELASTICSEARCH__TIME", "MARIADB__TIME", "S3__TIME", "QUERY__TIME")
    stack.settings |= {f"HEADWATER_{name}": "2s" for name in times}
    stack.settings |= {"HEADWATER_WORKERS__WRITE_TIME": "5s", "HEADWATER_WORKERS__RETRY_MOST": "2s"}
    parts = [stack.api(), stack.gateway(), stack.consumer(), stack.consumer()]
    for part in parts:
        part.wait_ready()
    asking: dict[str, Callable[[Stack], int]] = {"redis": in_live, "mariadb": in_reports, "elastic": in_search}
    sent = 0
    for away in ("redis", "mongo", "elastic", "mariadb", "minio"):
        stack.servers[away].freeze()
        try:
            for _ in range(4):
                send(stack, range(sent, sent + 30))
                sent += 30
                time.sleep(1.5)
            for name, count in asking.items():
                if name != away:
                    until(lambda count=count: count(stack), sent, seconds=20)
        finally:
            stack.servers[away].thaw()
    assert sent == COUNT
    settled(stack)
    for part in parts:
        assert part.stop() == 0, part.output.read_text()[-3000:]


def in_live(stack: Stack) -> int:
    return sum(one["entries"] for one in get(stack, "devices?limit=100")["items"])


def in_reports(stack: Stack) -> int:
    return sum(one["count"] for one in get(stack, "reports/day?field=n&limit=1000")["items"])


def in_search(stack: Stack) -> int:
    return len(get(stack, "search?q=pump&limit=1000")["items"])
