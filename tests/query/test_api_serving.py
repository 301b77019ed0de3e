"""How the API serves: health, metrics, who may ask, limits, the page's files, its schema, and faults."""

import asyncio
import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from headwater.config import Config, Http
from headwater.errors import Unavailable
from headwater.metrics import Metrics
from query import answers
from query.flow import Flow, FlowAnswer
from query.flow_share import Counting
from query.health import HealthAnswer
from tests.query.conftest import MODELS, Api, open_api
from tests.query.fakes import MemoryLake, MemoryLog
from tests.query.shapes import fits
from tests.storage.factory import message


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
    monkeypatch.setattr("query.replies.MOST_QUESTIONS", 2)
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
