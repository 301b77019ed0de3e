"""Finding: candidates by word, field, place and time, devices near a place, rollups and rows; what is fresh is in it."""

import json
from base64 import urlsafe_b64encode

import pytest

from headwater.log import CANDIDATES, MESSAGES
from headwater.message import Candidate, Position
from storage.contract import ORIGIN_BITS, Record
from tests.query.conftest import Api
from tests.storage.factory import candidate, message


async def select(api: Api, *found: Candidate, stored: bool = True) -> None:
    """As the selector does; `stored`: the search store has taken them."""
    for one in found:
        api.log.put(CANDIDATES, one)
    await api.log.grown()
    if stored:
        await api.stores.search.write([_record(one) for one in found])


def _record(one: Candidate) -> Record:
    position = one.origin.offset << ORIGIN_BITS | one.origin.n
    return Record(CANDIDATES, one.origin.partition, one.origin.offset, position, one)


async def found(api: Api, query: str) -> list[int]:
    return [item["message"]["seq"] for item in (await api.get(f"/api/v1/search?{query}"))["items"]]


def off(n: int, **parts: object) -> Candidate:
    return candidate(n, message=message(n, "pump-7", texts={"state": "Off" if n % 2 else "On"}, **parts))


async def test_words_and_fields_find_newest_first(api: Api) -> None:
    await select(api, *[off(n) for n in range(6)])
    assert await found(api, "q=off") == [5, 3, 1]
    assert await found(api, "q=pump%20state:ON") == [4, 2, 0]
    assert await found(api, "q=of*&order=asc") == [1, 3, 5]
    assert await found(api, "q=nothing") == []


async def test_what_the_store_has_not_taken_yet_is_found_too(api: Api) -> None:
    await select(api, *[off(n) for n in range(4)])
    await select(api, *[off(n) for n in range(4, 8)], stored=False)
    assert await found(api, "q=off") == [7, 5, 3, 1]


async def test_pages_go_on_where_they_ended(api: Api) -> None:
    await select(api, *[off(n) for n in range(9)])
    first = await api.get("/api/v1/search?q=pump&limit=5")
    rest = await api.get(f"/api/v1/search?q=pump&limit=5&cursor={first['next']}")
    assert [item["message"]["seq"] for page in (first, rest) for item in page["items"]] == list(range(8, -1, -1))
    assert rest["next"] is None


async def test_a_place_narrows_the_search(api: Api) -> None:
    here, there = Position(48.0, 11.0), Position(49.0, 11.0)
    await select(api, off(1, position=here), off(3, position=there), off(5))
    await select(api, off(7, position=here), off(9, position=there), stored=False)
    assert await found(api, "q=off&lat=48&lon=11&radius=1000") == [7, 1]


async def test_questions_that_make_no_sense_are_told_so(api: Api) -> None:
    assert (await api.get('/api/v1/search?q="', 400))["error"] == "bad_query"
    assert (await api.get("/api/v1/search?q=a&lat=1", 400))["error"] == "bad_place"
    assert (await api.get("/api/v1/search?q=a&cursor=x", 400))["error"] == "bad_cursor"
    await api.get("/api/v1/search", 422)
    await api.get("/api/v1/near?lat=91&lon=0&radius=1", 422)
    await api.get("/api/v1/reports/week", 422)


async def test_devices_near_a_place_are_there_nearest_first(api: Api) -> None:
    await api.say(
        message(1, "a", position=Position(48.001, 11.0)),
        message(1, "b", position=Position(48.0001, 11.0)),
        message(1, "c", position=Position(50.0, 11.0)),
        message(1, "7"),
    )
    await api.write_live()
    items = (await api.get("/api/v1/near?lat=48&lon=11&radius=500"))["items"]
    assert [(item["device"], round(item["distance"])) for item in items] == [("b", 11), ("a", 111)]


async def test_rollups_and_rows_can_be_paged(api: Api) -> None:
    messages = [message(n, fields={"x": n + 0.1}) for n in range(40)]  # two seconds apart: two minutes
    await api.stores.reports.write([Record(MESSAGES, 0, n, n, one) for n, one in enumerate(messages)])
    minutes = (await api.get("/api/v1/reports/minute?device=pump-7&field=x"))["items"]
    assert sum(item["count"] for item in minutes) == 40
    assert sum(float(item["sum"]) for item in minutes) == sum(range(40)) + 4
    assert (minutes[0]["min"], minutes[-1]["last"], minutes[-1]["max"]) == (0.1, 39.1, 39.1)
    rows = await api.get("/api/v1/reports/rows?limit=30")
    more = await api.get(f"/api/v1/reports/rows?limit=30&cursor={rows['next']}")
    assert [item["seq"] for page in (rows, more) for item in page["items"]] == list(range(40))
    one = await api.get("/api/v1/reports/minute?limit=1")
    other = await api.get(f"/api/v1/reports/minute?limit=1&cursor={one['next']}")
    assert [*one["items"], *other["items"]] == minutes[:2]
    assert (await api.get(f"/api/v1/reports/hour?cursor={one['next']}", 400))["error"] == "bad_cursor"


@pytest.mark.parametrize(
    ("path", "kind", "order", "key"),
    [
        ("reports/rows", "rows", "asc", [2**63, 1, "a", "b"]),
        ("reports/minute", "reports", "minute", [10**30, "a", "b"]),
        ("devices/pump-7/candidates", "candidates", "desc", [-(2**70), "a"]),
    ],
)
async def test_a_cursor_with_a_number_that_no_store_has_is_refused(
    api: Api, path: str, kind: str, order: str, key: list[object]
) -> None:
    cursor = urlsafe_b64encode(json.dumps([kind, "log-1", order, key]).encode()).decode().rstrip("=")
    assert (await api.get(f"/api/v1/{path}?cursor={cursor}", 400))["error"] == "bad_cursor"


async def test_pages_of_rows_have_every_device_that_said_the_same_id_at_the_same_moment(api: Api) -> None:
    said = [message(1, device, id="1") for device in ("a", "b", "c")]
    await api.stores.reports.write([Record(MESSAGES, 0, n, n, one) for n, one in enumerate(said)])
    found: list[str] = []
    path = "/api/v1/reports/rows?limit=1"
    cursor: str | None = ""
    while cursor is not None:
        page = await api.get(f"{path}&cursor={cursor}")
        found += [item["device"] for item in page["items"]]
        cursor = page.get("next")
    assert found == ["a", "b", "c"]


async def test_candidates_come_from_documents_and_from_the_lake_where_these_have_not_all(api: Api) -> None:
    some = [candidate(n) for n in range(4)]
    await api.stores.documents.write([_record(one) for one in some])
    path = "/api/v1/candidates?limit=3"
    assert [item["id"] for item in (await api.get(path))["items"]] == [one.id for one in some[:0:-1]]
    assert api.lake.asked == 0
    assert (await api.get("/api/v1/candidates?limit=4"))["items"] == []  # the lake has none
    assert api.lake.asked == 1
