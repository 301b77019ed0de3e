"""What the API answers: at once, in the documented shapes, to those who may ask, and in words where it cannot."""

from typing import Any

import pytest

from headwater.log import CANDIDATES, REJECTED
from headwater.message import Heard, Origin, Position
from query import answer_models
from tests.query.conftest import Api
from tests.query.shapes import fits
from tests.storage.factory import SECOND, T, candidate, message, rejected


async def test_latest_is_there_at_once_before_the_live_store_has_it(api: Api) -> None:
    await api.say(message(1, fields={"voltage": 647, "on": True}, texts={"state": "ok"}))
    answer = await api.get("/api/v1/devices/pump-7/latest")
    fits(answer_models.LatestAnswer, answer)
    assert answer["fields"]["voltage"] == {
        "value": 647,
        "time": "2025-11-21T04:40:02Z",
        "received": "2025-11-21T04:40:02.020Z",
        "unit": "V",
    }
    assert answer["fields"]["on"]["value"] is True
    assert answer["texts"]["state"]["value"] == "ok"
    assert answer["entries"] == 1


async def test_latest_is_the_same_whatever_part_of_it_is_applied(api: Api) -> None:
    here = Position(lat=48.1, lon=11.5)
    said = [
        message(3, fields={"a": 3}, position=here, heard_by=[Heard(gateway="g1", rssi=-70.5)], via="gw"),
        message(1, fields={"a": 1, "b": 1}, position=Position(lat=0.5, lon=0.5)),
        message(2, texts={"b": "two"}, fields={}),
    ]
    seen: list[Any] = []
    for one in said:
        await api.say(one)
    seen.append(await api.get("/api/v1/devices/pump-7/latest"))
    await api.write_live()
    seen.append(await api.get("/api/v1/devices/pump-7/latest"))
    assert seen[0] == seen[1]
    assert seen[0]["fields"]["a"]["value"] == 3
    assert seen[0]["texts"]["b"]["value"] == "two"
    assert (seen[0]["entries"], seen[0]["via"]) == (3, "gw")
    assert seen[0]["position"] == {"lat": 48.1, "lon": 11.5, "alt": None, "accuracy": None}


async def test_devices_come_in_pages_by_name(api: Api) -> None:
    await api.say(*[message(1, name) for name in ("b", "a", "a-2", "c")])
    await api.write_live()
    first = await api.get("/api/v1/devices?limit=3")
    fits(answer_models.DevicePage, first)
    assert ([one["device"] for one in first["items"]], first["next"]) == (["a", "a-2", "b"], "b")
    second = await api.get("/api/v1/devices?limit=3&after=b")
    assert ([one["device"] for one in second["items"]], second["next"]) == (["c"], None)
    assert [one["device"] for one in (await api.get("/api/v1/devices?prefix=a"))["items"]] == ["a", "a-2"]


async def test_a_device_tells_its_model_and_fields(api: Api) -> None:
    await api.say(message(1, fields={"voltage": 5, "extra": 1.5}))
    answer = await api.get("/api/v1/devices/pump-7")
    fits(answer_models.DeviceAnswer, answer)
    assert answer["model"] == "pump"
    assert [(one["name"], one["type"], one["unit"]) for one in answer["fields"]] == [
        ("extra", "number", None),
        ("state", "text", None),
        ("voltage", "number", "V"),
    ]


@pytest.mark.parametrize("path", ["", "/latest", "/history", "/candidates"])
async def test_a_device_that_never_sent_is_unknown(api: Api, path: str) -> None:
    answer = await api.get(f"/api/v1/devices/nobody{path}", 404)
    assert answer["error"] == "unknown_device"
    assert "nobody" in answer["detail"]


async def test_history_pages_through_lake_and_log(api: Api) -> None:
    await api.say(*[message(n, texts={"t": "x"} if n == 2 else {}) for n in range(7)])
    for number in range(3):
        api.lake.commit("messages", number, 3)
    found: list[Any] = []
    cursor = ""
    while True:
        page = await api.get(f"/api/v1/devices/pump-7/history?limit=2&order=asc&cursor={cursor}")
        fits(answer_models.HistoryPage, page)
        found += page["items"]
        if not (cursor := page["next"]):
            break
    assert [one["seq"] for one in found] == list(range(7))
    only = await api.get("/api/v1/devices/pump-7/history?field=t")
    assert [(one["seq"], one["fields"], one["texts"]) for one in only["items"]] == [(2, {}, {"t": "x"})]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("from=2025-11-21T04:40:02Z&to=2025-11-21T04:40:06Z", [2, 1]),
        (f"from={(T + 2 * SECOND) // 1000}&to={(T + 6 * SECOND) // 1000}", [2, 1]),
        ("from=2025-11-21T05:40:04+01:00", [3, 2]),
        ("from=2025-11-21T05:40:04%2B01:00", [3, 2]),
        ("to=2025-11-21T04:40:00.000001Z", [0]),
        ("from=2030-01-01", []),
        ("limit=1", [3]),
        ("limit=1&order=asc", [0]),
    ],
)
async def test_history_of_a_time(api: Api, query: str, expected: list[int]) -> None:
    await api.say(*[message(n) for n in range(4)])
    answer = await api.get(f"/api/v1/devices/pump-7/history?{query}")
    assert [one["seq"] for one in answer["items"]] == expected


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("devices/pump-7/history?from=yesterday", 400, "bad_time"),
        ("devices/pump-7/history?to=99999999999999999999", 400, "bad_time"),
        ("devices/pump-7/history?from=2026-01-02&to=2026-01-01", 400, "bad_time"),
        ("devices/pump-7/history?cursor=xyz", 400, "bad_cursor"),
        ("devices/pump-7/history?limit=0", 422, "invalid"),
        ("devices/pump-7/history?limit=1e3", 422, "invalid"),
        ("devices/pump-7/history?limit=10001", 400, "too_many_rows"),
        ("devices/pump-7/history?order=up", 422, "invalid"),
        ("devices?prefix=" + "a" * 200, 422, "invalid"),
        ("devices/" + "a" * 200 + "/latest", 422, "invalid"),
        ("rejected?reason=because", 422, "invalid"),
        ("rejected?limit=1000&bytes=100000", 400, "too_large"),
        ("rejected?bytes=-1", 422, "invalid"),
        ("stream?rate=0", 422, "invalid"),
        ("nothing", 404, "not_found"),
    ],
)
async def test_a_bad_question_is_told_what_is_wrong_with_it(api: Api, path: str, status: int, error: str) -> None:
    answer = await api.get(f"/api/v1/{path}", status)
    assert set(answer) == {"error", "detail"}
    assert answer["error"] == error
    assert answer["detail"]


async def test_candidates_of_a_device_and_of_all(api: Api) -> None:
    await api.say(message(1), message(1, "b"))
    for one in (candidate(1), candidate(2), candidate(1, "b")):
        api.log.put(CANDIDATES, one)
    await api.log.grown()
    own = await api.get("/api/v1/devices/pump-7/candidates")
    fits(answer_models.CandidatePage, own)
    assert [one["time"] for one in own["items"]] == ["2025-11-21T04:40:04Z", "2025-11-21T04:40:02Z"]
    page = await api.get("/api/v1/candidates?limit=2&order=asc")
    rest = await api.get(f"/api/v1/candidates?limit=2&order=asc&cursor={page['next']}")
    assert len(page["items"] + rest["items"]) == 3
    assert rest["next"] is None
    assert own["items"][0]["message"]["id"] == message(2).id


async def test_rejected_shows_the_reason_and_the_bytes(api: Api) -> None:
    api.log.put(REJECTED, rejected(1, device="pump-7", payload=b'{"a": tru}', size=10))
    api.log.put(REJECTED, rejected(2, payload=b"\xff" * 2000, size=2000, origin=Origin(1, 2, 3)))
    await api.log.grown()
    answer = await api.get("/api/v1/rejected?bytes=10")
    fits(answer_models.RejectedPage, answer)
    binary, text = answer["items"]
    assert (text["payload"], text["payload_base64"], text["size"]) == ('{"a": tru}', None, 10)
    assert (binary["payload"], binary["payload_base64"]) == ("\ufffd" * 10, "/////////////w==")
    assert [one["device"] for one in (await api.get("/api/v1/rejected?device=pump-7"))["items"]] == ["pump-7"]
