"""Words for tests of the stack: send numbered messages, ask for them, wait until they are where they belong."""

import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any

from tests.system.stack import Stack

DEVICES = 12


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


def settled(stack: Stack, count: int) -> None:
    """Each of the messages is in every store once, and the sums are right."""
    sent = set(range(count))

    until(lambda: in_live(stack), count)
    newest = {one["device"]: one["fields"]["n"]["value"] for one in get(stack, "devices?limit=100")["items"]}
    assert newest == {f"pump-{n % DEVICES}": n for n in range(count - DEVICES, count)}

    def rolled() -> tuple[int, int]:
        items = get(stack, "reports/day?field=n&limit=1000")["items"]
        return sum(one["count"] for one in items), sum(int(one["sum"]) for one in items)

    until(rolled, (count, sum(sent)))
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


def in_live(stack: Stack) -> int:
    return sum(one["entries"] for one in get(stack, "devices?limit=100")["items"])


def in_reports(stack: Stack) -> int:
    return sum(one["count"] for one in get(stack, "reports/day?field=n&limit=1000")["items"])


def in_search(stack: Stack) -> int:
    return len(get(stack, "search?q=pump&limit=1000")["items"])
