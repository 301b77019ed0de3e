"""What nobody read waits; once something reads it, it is sent on with its own time, once, however often that is asked."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from headwater.app.embedded import running
from headwater.config import Config
from headwater.errors import ConfigError
from ingest.decoders.mapping import read_mapping
from ingest.decoders.propose import propose, shape_of
from tests.decoders.platforms.kit import field

PATIENCE = 20
MAPPING = "{topics: ['plant/{device}/state'], time: when, fields: {temperature: t}}"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncGenerator[httpx.AsyncClient]:
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
        httpx.AsyncClient(base_url=f"http://{addresses.http}", timeout=PATIENCE) as asking,
    ):
        yield asking


async def until(ask: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(PATIENCE):
        while not (found := await ask()):
            await asyncio.sleep(0.02)
        return found


async def rejected(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    return (await client.get("/api/v1/rejected")).json()["items"]


async def history(client: httpx.AsyncClient, device: str) -> list[dict[str, Any]]:
    answer = await client.get(f"/api/v1/devices/{device}/history")
    return answer.json().get("items", [])


async def add_mapping(client: httpx.AsyncClient) -> None:
    body = {"name": "plant", "language": "mapping", "text": MAPPING}
    assert (await client.post("/api/v1/registry/decoders", json=body)).status_code == 201


async def retry(client: httpx.AsyncClient, **wanted: Any) -> dict[str, Any]:
    answer = await client.post("/api/v1/rejected/retry", json=wanted)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_it_waits_in_its_group_and_is_sent_on_once_with_its_own_time(client: httpx.AsyncClient) -> None:
    for n in (1, 2, 3):
        answer = await client.post(f"/ingest?topic=plant/p{n}/state", content=b'{"t": %d}' % n)
        assert answer.json()["rejected"][0]["reason"] == "no_decoder"
    await client.post("/ingest?topic=plant/p9/state", content=b"no json")
    waited = await until(lambda: rejected(client))
    groups = (await client.get("/api/v1/rejected/groups")).json()["groups"]

    assert [(group["reason"], group["shape"], group["count"]) for group in groups] == [
        ("no_decoder", "plant/+/state", 4)
    ]
    assert groups[0]["readable_by"] == ""
    assert (await retry(client))["sent"] == 0

    await add_mapping(client)
    tried = (await client.get("/api/v1/rejected/try", params={"id": waited[-1]["id"]})).json()
    assert (tried["decoder"], tried["messages"][0]["fields"]) == ("plant", {"temperature": 1})
    done = await retry(client, shape="plant/+/state")
    assert (done["sent"], done["messages"], done["still"]) == (3, 3, {"bad_json": 1})
    again = await retry(client)
    assert (again["sent"], again["still"]) == (0, {"bad_json": 1})

    (first,) = await until(lambda: history(client, "p1"))
    assert first["fields"] == {"temperature": 1}
    assert first["received"] == next(one["received"] for one in waited if one["topic"] == "plant/p1/state")
    assert len(await history(client, "p2")) == 1
    assert [one["topic"] for one in await rejected(client)] == ["plant/p9/state"]


async def test_what_nobody_reads_yet_does_not_stand_before_what_is_read_now(client: httpx.AsyncClient) -> None:
    await client.post("/ingest?topic=plant/p1/state", content=b'{"t": 1}')
    for n in range(3):
        await client.post(f"/ingest?topic=garden/g{n}/x", content=b"?")
    await until(lambda: rejected(client))
    await add_mapping(client)
    done = await retry(client, most=1)
    assert (done["sent"], done["left"], done["still"]) == (1, False, {"no_decoder": 3})


async def test_a_message_that_its_device_repeats_later_is_the_same_one(client: httpx.AsyncClient) -> None:
    data = b'{"t": 5, "when": "2026-11-21T07:40:00Z"}'
    await client.post("/ingest?topic=plant/p1/state", content=data)
    await until(lambda: rejected(client))
    await add_mapping(client)
    await retry(client)
    (sent,) = await until(lambda: history(client, "p1"))
    await client.post("/ingest?topic=plant/p1/state", content=data)
    await client.post("/ingest?topic=plant/p1/state", content=b'{"t": 6}')
    found = await until(lambda: _two(client))
    assert [one["fields"]["temperature"] for one in found].count(5) == 1
    assert sent["id"] in {one["id"] for one in found}


async def _two(client: httpx.AsyncClient) -> list[dict[str, Any]] | None:
    found = await history(client, "p1")
    return found if any(one["fields"]["temperature"] == 6 for one in found) else None


async def test_only_the_part_that_was_bad_is_sent_on(client: httpx.AsyncClient) -> None:
    mapping = "{device: id, each: '.', fields: {v: value}}"
    strict = {"name": "rows", "language": "mapping", "text": mapping}
    await client.post("/api/v1/registry/decoders", json=strict)
    rows = b'[{"id":"a","value":1},{"name":"b","value":2}]'
    answer = (await client.post("/ingest?decoder=rows", content=rows)).json()
    assert (answer["accepted"], len(answer["rejected"])) == (1, 1)
    await until(lambda: rejected(client))
    await client.post(
        "/api/v1/registry/decoders", json={**strict, "text": mapping.replace("device: id", "device: name")}
    )
    done = await retry(client)

    assert (done["sent"], done["messages"]) == (1, 1)
    (found,) = await until(lambda: history(client, "b"))
    assert found["fields"] == {"v": 2}
    assert len(await history(client, "a")) == 1


async def test_values_whose_names_came_only_later_are_sent_on_with_them(client: httpx.AsyncClient) -> None:
    """Data of Sparkplug before the node's birth: the API's own process learns the names from the log."""
    data = field(1, 1_763_700_000_000) + field(2, field(2, 5) + field(4, 10) + field(13, 2.5)) + field(3, 1)
    name = field(2, field(1, "Flow") + field(2, 5) + field(4, 10) + field(13, 1.5))
    birth = field(1, 1_763_700_001_000) + name + field(3, 0)
    answer = await client.post("/ingest?topic=spBv1.0/g/NDATA/edge", content=data)
    assert answer.json()["rejected"][0]["reason"] == "unknown_alias"
    await until(lambda: rejected(client))
    assert (await retry(client))["sent"] == 0

    assert (await client.post("/ingest?topic=spBv1.0/g/NBIRTH/edge", content=birth)).status_code == 202
    async with asyncio.timeout(PATIENCE):
        while (await retry(client))["sent"] == 0:
            await asyncio.sleep(0.05)
    found = [item["fields"] for item in await until(lambda: history(client, "edge")) if item["kind"] == "telemetry"]
    assert {"Flow": 2.5} in found


def test_topics_of_one_shape_differ_in_levels_with_digits() -> None:
    assert shape_of("plant/p17/state") == shape_of("plant/p4/state") == "plant/+/state"
    assert shape_of("z2m/0x00158d0001/x") == "z2m/+/x"


def test_a_draft_of_a_mapping_can_be_used_as_it_is() -> None:
    sample = b'{"meta":{"serial":"A-7","ts":1763700000},"air":{"temp":21.5},"gps":{"lat":52.1,"lng":4.3},"ok":true}'
    text = propose(["plant/p17/state", "plant/p4/state"], sample)
    family = read_mapping(text, "plant")
    assert family.topics == ("plant/{device}/state",)
    assert yaml.safe_load(text) == {
        "topics": ["plant/{device}/state"],
        "time": "meta.ts",
        "position": {"lat": "gps.lat", "lon": "gps.lng"},
        "fields": {"temp": "air.temp"},
        "rest": "keep",
    }
    assert "device: meta.serial" in propose([], sample)
    assert propose([], b"no json") == ""
    for odd in (b"[]", b"7", b'{"a b":{"c:d":1}}', b'[{"id":1,"x":{"y z":2}}]'):
        drafted = propose(["a/b"], odd)
        try:
            assert not drafted or read_mapping(drafted, "odd")
        except ConfigError as error:
            raise AssertionError(drafted) from error
