"""What the API answers: at once, in the documented shapes, to those who may ask, and in words where it cannot."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from headwater.config import Config, Http
from headwater.errors import Unavailable
from headwater.log import CANDIDATES, REJECTED
from headwater.message import Heard, Origin, Position
from headwater.metrics import Metrics
from query import answer_models, answers
from query.flow import Flow, FlowAnswer
from query.flow_share import Counting
from query.health import HealthAnswer
from tests.query.conftest import MODELS, Api, open_api
from tests.query.fakes import MemoryLake, MemoryLog
from tests.storage.factory import SECOND, T, candidate, message, rejected


def fits(model: type[BaseModel], answer: Any) -> None:
    """The answer has the documented shape: nothing missing, nothing undocumented."""
    parsed = model.model_validate(answer, strict=True, extra="forbid")
    assert parsed.model_dump(exclude_unset=True) == answer


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


async def test_the_flow_counts_rates_and_waiting(api: Api) -> None:
    api.metrics.received.labels("http").inc(10)
    api.metrics.accepted.labels("http").inc(7)
    api.metrics.rejected.labels("http", "bad_json").inc(2)
    api.metrics.rejected.labels("mqtt", "bad_json").inc(1)
    api.metrics.selected.labels("default").inc(3)
    api.metrics.written.labels("live", "messages").inc(5)
    await api.say(*[message(n) for n in range(4)])
    answer = await api.get("/api/v1/flow")
    fits(FlowAnswer, answer)
    assert (answer["received"], answer["accepted"], answer["rejected"]) == (10, 7, 3)
    assert answer["rejected_by_reason"] == {"bad_json": 3}
    store = answer["stores"]["live.messages"]
    assert (store["written"], store["waiting"], store["state"]) == (5, 4, "running")
    api.log.commits["live.messages", "messages"] = {n: len(api.log.entries["messages", n]) for n in range(3)}
    assert (await api.get("/api/v1/flow"))["stores"]["live.messages"]["waiting"] == 0


async def test_rates_are_over_the_last_seconds() -> None:
    at = [0.0]
    metrics = Metrics()
    counting = Counting(metrics, "up", clock=lambda: at[0])
    flow = Flow(MemoryLog(), counting)
    for _ in range(20):
        counting.look()
        metrics.received.labels("http").inc(50)
        at[0] += 1
    assert (await flow.answer())["rates"]["received"] == pytest.approx(50)


async def test_live_and_ready(api: Api) -> None:
    fits(HealthAnswer, await api.get("/healthz"))
    ready = await api.get("/readyz")
    assert ready == {"status": "ok", "checks": {"log": "ok", "live": "ok", "live.messages": "ok"}}


async def test_not_ready_says_which_part(api: Api) -> None:
    async def fails() -> None:
        raise Unavailable("the disk is full")

    api.log.down = True
    api.probes |= {"lake": fails}
    api.workers[0].move("resting", "live.sqlite: locked")
    checks = (await api.get("/readyz", 503))["checks"]
    assert checks == {
        "log": "the log is down",
        "live": "ok",
        "lake": "the disk is full",
        "live.messages": "resting: live.sqlite: locked",
    }


async def test_a_part_that_hangs_is_not_waited_for(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("query.health._SECONDS", 0.05)
    api.probes["lake"] = lambda: asyncio.sleep(60)
    assert "no answer" in (await api.get("/readyz", 503))["checks"]["lake"]


async def test_metrics_are_prometheus_text(api: Api) -> None:
    api.metrics.received.labels("http").inc()
    answer = await api.client.get("/metrics")
    assert 'headwater_received_total{transport="http"} 1.0' in answer.text


async def test_the_metrics_key_opens_the_metrics_and_nothing_else(tmp_path: Path) -> None:
    config = Config(http=Http(metrics_key=SecretStr("a-key-for-a-scraper")))
    async with open_api(tmp_path, config) as api:
        api.door.open = False
        key = {"Authorization": "Bearer a-key-for-a-scraper"}
        assert (await api.client.get("/metrics", headers=key)).status_code == 200
        await api.get("/api/v1/flow", 401, key)
        await api.get("/metrics", 401, {"Authorization": "Bearer another"})
        assert (await api.get("/metrics", 401))["error"] == "no_credentials"


@pytest.mark.parametrize("token", ["", "x"])
async def test_where_no_metrics_key_is_configured_none_opens_the_metrics(api: Api, token: str) -> None:
    api.door.open = False
    await api.get("/metrics", 401, {"Authorization": f"Bearer {token}"})


async def test_a_log_or_lake_that_is_down_is_503_and_healthz_still_lives(api: Api) -> None:
    await api.say(message(1))
    api.lake.down = True
    answer = await api.get("/api/v1/devices/pump-7/history", 503)
    assert answer == {"error": "unavailable", "detail": "the lake is down"}
    api.log.down = True
    assert (await api.get("/api/v1/devices/pump-7/latest", 503))["error"] == "unavailable"
    await api.get("/healthz")


@pytest.mark.parametrize("path", ["devices", "devices/pump-7/latest", "candidates", "rejected", "flow", "stream"])
async def test_without_a_credential_nothing_is_told(api: Api, path: str) -> None:
    api.door.open = False
    assert (await api.get(f"/api/v1/{path}", 401))["error"] == "no_credentials"
    bad = await api.get(f"/api/v1/{path}", 401, {"Authorization": "Bearer nonsense"})
    assert bad["error"] == "bad_credentials"
    device = await api.get(f"/api/v1/{path}", 403, {"Authorization": "Bearer device"})
    assert device["error"] == "not_authorized"


async def test_with_the_right_to_read_everything_is_told(api: Api) -> None:
    await api.say(message(1))
    api.door.open = False
    for path in ("devices", "devices/pump-7/latest", "candidates", "rejected", "flow"):
        await api.get(f"/api/v1/{path}", headers={"Authorization": "Bearer read"})


async def test_what_is_wrong_is_told_only_to_those_who_may_read(api: Api) -> None:
    api.door.open = False
    api.log.down = True
    assert (await api.get("/readyz", 503))["checks"] == {}
    assert (await api.get("/readyz", 503, {"Authorization": "Bearer read"}))["checks"]["log"] == "the log is down"


async def test_an_answer_that_takes_too_long_is_cut(tmp_path: Path) -> None:
    config = Config.model_validate({"query": {"time": 0.05}, "models": MODELS})
    async with open_api(tmp_path, config) as api:

        async def slow() -> None:
            await asyncio.sleep(60)

        api.lake.race = slow
        await api.say(message(1))
        assert (await api.get("/api/v1/devices/pump-7/history", 504))["error"] == "timeout"


async def test_too_many_questions_at_once_are_told_to_come_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("query.answering.MOST_QUESTIONS", 2)
    go_on = asyncio.Event()

    async def held() -> None:
        await go_on.wait()

    api.lake.race = held
    await api.say(message(1))
    asked = [asyncio.create_task(api.client.get("/api/v1/devices/pump-7/history")) for _ in range(2)]
    await asyncio.sleep(0.05)
    assert (await api.get("/api/v1/devices/pump-7/latest", 503))["error"] == "too_many_questions"
    go_on.set()
    assert [(await task).status_code for task in asked] == [200, 200]
    await api.get("/api/v1/devices/pump-7/latest")


async def test_a_large_page_is_the_same_as_small_ones(api: Api) -> None:
    await api.say(*[message(n) for n in range(1200)])
    large = await api.get("/api/v1/devices/pump-7/history?limit=1200")
    assert [one["seq"] for one in large["items"]] == list(reversed(range(1200)))
    assert large["next"] is None


async def test_names_that_look_like_markup_come_back_as_they_are(api: Api) -> None:
    evil = '<img src=x onerror="alert(1)">'
    await api.say(message(1, fields={evil: 1}, texts={"t": "</script><script>alert(1)</script>"}))
    answer = await api.client.get("/api/v1/devices/pump-7/latest")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json()["fields"][evil]["value"] == 1


async def test_the_page_and_its_files_need_nothing_from_elsewhere(api: Api) -> None:
    api.door.open = False  # the page itself tells nothing
    for path in ("/", "/docs"):
        page = await api.client.get(path)
        assert page.status_code == 200
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "unsafe" not in page.headers["content-security-policy"]
        assert "http://" not in page.text
        assert "https://" not in page.text
        names = [part.split('"')[0] for part in page.text.split('"/static/')[1:]]
        assert names
        for name in names:
            file = await api.client.get(f"/static/{name}")
            assert file.status_code == 200
            again = await api.client.get(f"/static/{name}", headers={"If-None-Match": file.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
    assert (await api.client.head("/")).status_code == 200


@pytest.mark.parametrize("name", ["nothing.js", "..%2F..%2Fapi.py", "%2e%2e/api.py", "__init__.py"])
async def test_only_the_pages_own_files_are_served(api: Api, name: str) -> None:
    assert (await api.client.get(f"/static/{name}")).status_code == 404


def static(name: str) -> str:
    return (Path(answers.__file__).parent / "static" / name).read_text("utf-8")


def test_the_page_never_writes_markup() -> None:
    for name in ("app.js", "api.js", "devices.js", "detail.js", "flow.js", "lines.js", "docs.js"):
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "srcdoc"):
            assert word not in static(name), f"{name} uses {word}"


async def test_the_schema_names_every_answer(api: Api) -> None:
    schema = await api.get("/openapi.json")
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            if "204" in operation["responses"]:
                continue
            content = operation["responses"]["200"]["content"]
            assert content, path
            if "application/json" in content:
                assert "$ref" in content["application/json"]["schema"], path
            assert operation["summary"], path
    shapes = json.dumps(schema)
    assert "HTTPValidationError" not in shapes
    assert "examples" in shapes


async def test_an_unexpected_fault_is_500_in_the_same_shape(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(MemoryLake, "history", broken)
    await api.say(message(1))
    answer = await api.get("/api/v1/devices/pump-7/history", 500)
    assert answer["error"] == "internal"
    assert "secret" not in answer["detail"]


async def test_other_methods_are_refused_in_words(api: Api) -> None:
    answer = await api.client.post("/api/v1/devices/pump-7/latest")
    assert (answer.status_code, answer.json()["error"]) == (405, "method_not_allowed")
