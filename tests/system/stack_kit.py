"""Words for tests of the stack: send numbered messages, ask for them, wait until they are where they belong."""

import json
import time
import urllib.error
import urllib.request
from typing import Any

from tests.system.foreign import read
from tests.system.stack import Stack
from tests.system.waiting import until

DEVICES = 12


_LATER = (503, 504)
_PATIENCE = 60


def get(stack: Stack, path: str) -> Any:
    """An answer of the API. Whoever is told to ask again later does so, for a minute."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{stack.asking}/api/v1/{path}", timeout=60) as reply:
                return json.loads(reply.read())
        except urllib.error.HTTPError as error:
            if error.code not in _LATER or time.monotonic() > deadline:
                raise
        time.sleep(0.5)


def rows(stack: Stack) -> list[Any]:
    """Rows of reports; not those of the gateways' own rates, which a run of some length has."""
    return [one for one in get(stack, "reports/rows?limit=5000")["items"] if one["device"].startswith("pump-")]


def message(n: int) -> dict[str, Any]:
    """Message number n. Those of a device are in the order of their numbers; each is selected, for its text changes."""
    return {"device": f"pump-{n % DEVICES}", "id": f"m{n}", "fields": {"n": n, "word": f"w{n}"}}


def send(stack: Stack, numbers: range) -> None:
    """Acknowledged on return."""
    body = "\n".join(json.dumps(message(n)) for n in numbers)
    request = urllib.request.Request(
        f"http://127.0.0.1:{stack.http}/ingest", body.encode(), {"Content-Type": "application/x-ndjson"}
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        assert json.loads(reply.read()) == {"accepted": len(numbers), "rejected": []}


def broker(stack: Stack) -> str:
    """HOST:PORT."""
    (server,) = json.loads(stack.settings["HEADWATER_KAFKA__SERVERS"])
    return server


def topic(stack: Stack, name: str) -> str:
    """Its full name."""
    return stack.settings["HEADWATER_KAFKA__PREFIX"] + name


def settled(stack: Stack, count: int, *, again: bool = False) -> None:
    """Each of the messages is in every store once, and the sums are right. `again`: some came to the log twice."""
    sent = set(range(count))
    until(lambda: newest(stack), {f"pump-{n % DEVICES}": n for n in range(count - DEVICES, count)})
    if not again:  # live state counts entries, not messages
        until(lambda: in_live(stack), count)

    def rolled() -> tuple[int, int]:
        items = get(stack, "reports/day?field=n&limit=5000")["items"]
        return sum(one["count"] for one in items), sum(int(one["sum"]) for one in items)

    until(rolled, (count, sum(sent)))
    assert sorted(one["fields"]["n"] for one in rows(stack)) == sorted(sent)
    until(
        lambda: sorted(one["message"]["fields"]["n"] for one in get(stack, "candidates?limit=5000")["items"]),
        sorted(sent),
    )
    found = get(stack, "search?q=pump&limit=5000")["items"]
    assert sorted(one["message"]["fields"]["n"] for one in found) == sorted(sent)
    assert [one["message"]["fields"]["n"] for one in get(stack, "search?q=word:w123")["items"]] == [123]
    history = [get(stack, f"devices/pump-{number}/history?limit=5000")["items"] for number in range(DEVICES)]
    assert sorted(one["fields"]["n"] for items in history for one in items) == sorted(sent)


def in_order(stack: Stack, name: str, count: int) -> None:
    """Of each device what came to the topic first time came in order, whatever came again; and all came."""
    seen: dict[str, dict[int, None]] = {}
    for entry in read(broker(stack), topic(stack, name)):
        if entry.key:
            said = json.loads(entry.value)
            said = said.get("message", said)
            seen.setdefault(said["device"], {})[said["fields"]["n"]] = None
    for numbers in seen.values():
        assert list(numbers) == sorted(numbers)
    assert sum(map(len, seen.values())) == count


def agreed(stack: Stack) -> None:
    """`headwater audit` finds the same in every store."""
    output, code = stack.audit()
    assert code == 0, output


def newest(stack: Stack) -> dict[str, int]:
    """Device → its newest number."""
    items = get(stack, "devices?limit=100")["items"]
    return {one["device"]: one["fields"]["n"]["value"] for one in items if one["device"].startswith("pump-")}


def in_live(stack: Stack) -> int:
    items = get(stack, "devices?limit=100")["items"]
    return sum(one["entries"] for one in items if one["device"].startswith("pump-"))


def in_reports(stack: Stack) -> int:
    return sum(one["count"] for one in get(stack, "reports/day?field=n&limit=5000")["items"])


def in_search(stack: Stack) -> int:
    return len(get(stack, "search?q=pump&limit=5000")["items"])
