"""One golden run: the traffic sent to one installation, and everything that its API then answers.

In: where it takes messages and where it answers. Out: question → answer, as JSON; the same questions in every run.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote
from zlib import crc32

from tests.system.golden_traffic import Traffic
from tests.system.waiting import until

PARTITIONS = 4
"""As configured by default."""
CHUNK = 150
PAGE = 200

PLACES = {
    "munich": (48.3507, 11.7968, 900.0),
    "wide": (47.0, 12.0, 400_000.0),
    "half the Earth": (0.0, 0.0, 20_037_000.0),
    "nobody": (-60.0, 170.0, 5_000.0),
}
"""lat, lon, metres."""
SEARCHES = (
    "beacon1",
    "callsign:FCK211",
    "callsign:fck*",
    "kind:oddity",
    "öffnet",
    "sÜd-tür",
    'said:"süd-tür öffnet"',
    "filter 100",
    "日本語",
    "flag:true",
    "flag:1",
    "whole:21",
    "whole:21.0",
    "tiny:0.1",
    "large:9007199254740992",
    "dotted",
    "a.dotted",
    "rule:beacon",
    "first",
    "nothing-has-this",
)

Answers = dict[str, Any]


class Site(NamedTuple):
    """Base URLs."""

    sends: str
    asks: str


def get(site: Site, path: str) -> Any:
    with urllib.request.urlopen(f"{site.asks}/api/v1/{path}", timeout=60) as reply:
        return json.loads(reply.read())


def _post(url: str, body: bytes, kind: str) -> Any:
    request = urllib.request.Request(url, body, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.loads(reply.read())
    except urllib.error.HTTPError as error:
        with error:
            return {"status": error.code, **json.loads(error.read())}


def send(site: Site, sent: Traffic, end: int) -> list[Any]:
    """Everything, in order; what was replied. Last, one message to each partition: markers.

    What is sent again comes once to where it came first, and once to the API: another process, where there are several.
    """
    lines = [json.dumps(message) for message in sent.messages]
    replies = [_post_lines(site.sends, lines[at : at + CHUNK]) for at in range(0, len(lines), CHUNK)]
    repeated = [json.dumps(message) for message in sent.again]
    replies += [_post_lines(where, repeated) for where in (site.sends, site.asks)]
    for device, body in sent.foreign:
        replies.append(_post(f"{site.sends}/ingest/{device}?decoder=native", body, "application/json"))
    for topic, body in sent.real:
        replies.append(_post(f"{site.sends}/ingest?topic={quote(topic)}", body, "application/json"))
    for name in markers():
        marker = {"device": name, "id": "last", "at": end * 1000, "fields": {"marker": 1}}
        replies.append(_post_lines(site.sends, [json.dumps(marker)]))
    return replies


def _post_lines(where: str, lines: list[str]) -> Any:
    return _post(f"{where}/ingest", "\n".join(lines).encode(), "application/x-ndjson")


def markers() -> list[str]:
    """Device names, one for each partition."""
    names = [f"marker-{number}" for number in range(100)]
    return [next(name for name in names if crc32(name.encode()) % PARTITIONS == part) for part in range(PARTITIONS)]


def settled(site: Site) -> None:
    """Wait until every store has the markers: as each takes a partition in order, it has all that came before."""
    wanted = sorted(markers())
    until(lambda: sorted(one["device"] for one in get(site, "devices?prefix=marker-")["items"]), wanted)
    for path in ("reports/day?field=marker", "reports/rows?device={}", "candidates?limit=10000", "search?q=marker"):
        asked = [path.format(name) for name in wanted] if "{}" in path else [path]

        def there(asked: list[str] = asked) -> list[str]:
            items = [one for question in asked for one in get(site, question)["items"]]
            return sorted({one["device"] for one in items if one["device"].startswith("marker-")})

        until(there, wanted)


def flow(site: Site) -> Any:
    """The flow, once nothing waits any more."""

    def waiting() -> int:
        now = get(site, "flow")
        return now["waiting"] + now["selector"]["waiting"] + sum(one["waiting"] for one in now["stores"].values())

    until(waiting, 0)
    return get(site, "flow")


def ask(site: Site) -> Answers:
    """Every question. Pages are asked for one by one; here their items are together, with how many each page had."""
    return {question: _pages(site, question) for question in _questions(site)}


def _questions(site: Site) -> Iterator[str]:
    yield f"devices?limit={PAGE}"
    names = [one["device"] for one in get(site, "devices?limit=1000")["items"]]
    for name in names[::4]:
        yield f"devices/{quote(name)}"
        yield f"devices/{quote(name)}/latest"
        yield f"devices/{quote(name)}/history?limit={PAGE}"
        yield f"devices/{quote(name)}/candidates?limit={PAGE}"
    yield f"reports/rows?device=household-meter&limit={PAGE}"
    beacon = next(name for name in names if name.startswith("beacon1."))
    yield f"devices/{beacon}/history?limit=7&order=asc"
    yield "devices/household-meter/history?limit=10&field=voltage"
    yield f"candidates?limit={PAGE}"
    yield f"candidates?limit={PAGE}&order=asc"
    for words in (*SEARCHES, f"beacon1 {beacon.split('.')[1][:4]}*"):
        yield f"search?q={quote(words)}&limit={PAGE}"
    yield "search?q=beacon1&limit=29&order=asc"
    for name in ("munich", "wide"):
        yield f"search?q=first*&{_circle(name)}"
        yield f"search?q=aircraft&{_circle(name)}&limit={PAGE}"
    for name in PLACES:
        yield near(name)
    yield f"{near('half the Earth')}&limit=3"
    for period in ("minute", "hour", "day"):
        yield f"reports/{period}?limit={PAGE}"
        yield f"reports/{period}?field=rssi&device={beacon}&limit=13"
    yield f"reports/rows?limit={PAGE}"
    yield "rejected?limit=1000"
    yield "rejected?limit=1000&reason=out_of_range"
    yield "rejected?limit=1000&device=foreign-3&bytes=10"


def near(place: str) -> str:
    return f"near?{_circle(place)}"


def _circle(place: str) -> str:
    lat, lon, radius = PLACES[place]
    return f"lat={lat}&lon={lon}&radius={radius}"


def _pages(site: Site, question: str) -> Any:
    """The cursors themselves carry the log's id, so they are used and not kept."""
    answer = found = get(site, question)
    if "items" not in answer:
        return answer
    pages = [found["items"]]
    behind = "after" if question.startswith("devices?") else "cursor"
    while found.get("next") is not None:
        found = get(site, f"{question}&{behind}={quote(found['next'])}")
        pages.append(found["items"])
    return {"items": [item for items in pages for item in items], "pages": [len(items) for items in pages]}
