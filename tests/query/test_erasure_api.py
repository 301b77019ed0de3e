"""Forgetting a device, as administrators order it: one transaction, again whenever it is wanted, and told how far it is."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest

from headwater.credentials import digest
from headwater.registry import ApiKey, Erasure
from headwater.times import now
from tests.query.registry_app import registry_app
from tests.query.test_registry_api import Parts, added, asking, comes_in, problem


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncGenerator[Parts, None]:
    async with registry_app(tmp_path) as parts:
        yield parts


@pytest.fixture
async def client(parts: Parts) -> AsyncGenerator[httpx.AsyncClient, None]:
    async with asking(parts[0]) as client:
        yield client


async def erased(client: httpx.AsyncClient, name: str = "pump-7") -> dict[str, Any]:
    answer = await client.post(f"/devices/{name}/erase")
    assert answer.status_code == 202, answer.text
    return answer.json()


async def test_the_device_is_gone_with_the_answer_and_the_job_is_there(parts: Parts, client: httpx.AsyncClient) -> None:
    token = (await added(client, attributes={"person": "Ada"}))["token"]
    job = await erased(client)
    assert (job["passes"], job["due"]) == (0, job["before"])
    assert comes_in(parts[2], "pump-7", token) == "bad_credentials"
    assert problem(await client.get("/devices/pump-7")) == (404, "not_found")
    record = await parts[1].find(Erasure, "pump-7")
    assert record is not None
    assert now() < record.before <= now() + 5_000_000
    assert (await client.get("/erasures/pump-7")).json() == job
    assert (await client.get("/erasures")).json() == {"erasures": [job], "next": None}
    changes = (await client.get("/audit")).json()["changes"][:2]
    assert {(one["kind"], one["name"], one["action"]) for one in changes} == {
        ("device", "pump-7", "remove"), ("erasure", "pump-7", "add"),
    }  # fmt: skip


async def test_one_that_the_registry_does_not_know_can_be_erased_and_each_one_again(
    parts: Parts, client: httpx.AsyncClient
) -> None:
    await erased(client, "tag-1")
    done = await parts[1].find(Erasure, "tag-1")
    assert done is not None
    await parts[1].put(Erasure("tag-1", done.before, 0, 3))
    assert (await client.get("/erasures/tag-1")).json()["due"] is None
    again = await erased(client, "tag-1")
    assert again["passes"] == 0
    assert again["due"] is not None


async def test_only_administrators_may_and_only_what_can_be_a_device(parts: Parts, client: httpx.AsyncClient) -> None:
    assert await parts[2].applied(await parts[1].put_key(ApiKey("reader", digest("hw_k_r"), ("read", "ingest"))))
    async with asking(parts[0], authorization="Bearer hw_k_r") as reader:
        assert problem(await reader.post("/devices/pump-7/erase")) == (403, "not_authorized")
        assert problem(await reader.get("/erasures")) == (403, "not_authorized")
    assert problem(await client.post("/devices/+/erase")) == (400, "bad_device")
    assert problem(await client.get("/erasures/nobody")) == (404, "not_found")
