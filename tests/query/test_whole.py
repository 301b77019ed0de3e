"""The API of the whole program: what was acknowledged is in every answer at once, and once, while the lake commits."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from headwater.app.embedded import running
from headwater.config import Config
from headwater.times import now


@pytest.fixture
async def client(tmp_path: Path) -> AsyncGenerator[httpx.AsyncClient, None]:
    """The program in this process, with a lake that commits all the time."""
    config = Config.model_validate(
        {
            "data": tmp_path,
            "http": {"listen": "127.0.0.1:0"},
            "mqtt": {"listen": "127.0.0.1:0"},
            "lake": {"flush_every": 0.05},
        }
    )
    async with (
        running(config) as addresses,
        httpx.AsyncClient(base_url=f"http://{addresses.http}", timeout=20) as asking,
    ):
        yield asking


async def until(ask: Callable[[], Awaitable[Any]]) -> Any:
    """What it gives once that is something."""
    async with asyncio.timeout(20):
        while not (found := await ask()):
            await asyncio.sleep(0.02)
        return found


async def get(client: httpx.AsyncClient, path: str) -> Any:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def history(client: httpx.AsyncClient, order: str, limit: int) -> list[int]:
    found: list[int] = []
    cursor = ""
    while True:
        page = await get(client, f"/api/v1/devices/meter/history?order={order}&limit={limit}&cursor={cursor}")
        found += [item["seq"] for item in page["items"]]
        if not (cursor := page["next"]):
            return found


async def test_every_message_is_in_each_answer_once_while_the_lake_commits(client: httpx.AsyncClient) -> None:
    sent, began = 0, now() // 1000
    for turn in range(12):
        lines = "\n".join(
            f'{{"device": "meter", "at": {began + n}, "seq": {n}, "fields": {{"n": {n}}}}}'
            for n in range(sent, sent + 40)
        )
        answer = await client.post("/ingest", content=lines, headers={"Content-Type": "application/x-ndjson"})
        assert answer.json() == {"accepted": 40, "rejected": []}
        sent += 40
        latest = await get(client, "/api/v1/devices/meter/latest")
        assert (latest["fields"]["n"]["value"], latest["entries"]) == (sent - 1, sent)
        order = ("asc", "desc")[turn % 2]
        found = await history(client, order, (60, 100, 1000)[turn % 3])
        assert sorted(found) == list(range(sent))
        await asyncio.sleep(0.02 * (turn % 4))


async def test_candidates_and_rejected_are_there_before_and_after_they_are_in_the_lake(
    client: httpx.AsyncClient,
) -> None:
    await client.post("/ingest/pump", content=b'{"fields": {"a": 1}}')
    assert (await client.post("/ingest/pump", content=b'{"fields": tru}')).status_code == 400
    for _ in range(2):
        items = await until(lambda: _candidates(client))
        assert [item["message"]["fields"] for item in items] == [{"a": 1}]
        (rejected,) = (await get(client, "/api/v1/rejected"))["items"]
        assert (rejected["reason"], rejected["payload"]) == ("bad_json", '{"fields": tru}')
        await until(lambda: _written(client))
    assert (await get(client, "/api/v1/flow"))["rejected_by_reason"] == {"bad_json": 1}


async def _candidates(client: httpx.AsyncClient) -> list[Any]:
    return (await get(client, "/api/v1/devices/pump/candidates"))["items"]


async def _written(client: httpx.AsyncClient) -> bool:
    flow = await get(client, "/api/v1/flow")
    return not any(store["waiting"] for store in flow["stores"].values())


async def _ready(client: httpx.AsyncClient) -> Any:
    answer = await client.get("/readyz")
    return answer.json()["checks"] if answer.status_code == 200 else None


async def test_it_is_ready(client: httpx.AsyncClient) -> None:
    assert set((await until(lambda: _ready(client))).values()) == {"ok"}
