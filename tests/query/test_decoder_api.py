"""Decoders over HTTP: what can be used is added and in force, what can't is refused with the reason."""

from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from headwater.directory import Directory
from tests.query.registry_app import registry_app
from tests.query.test_registry_api import asking, problem

MAPPING = "{topics: ['house/{device}/up'], fields: {t: temp}}"


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncGenerator[tuple[httpx.AsyncClient, Directory]]:
    async with registry_app(tmp_path) as (app, _, directory), asking(app) as client:
        yield client, directory


async def test_a_mapping_is_added_replaced_listed_shown_and_removed(parts: tuple[httpx.AsyncClient, Directory]) -> None:
    client, directory = parts
    body = {"name": "house", "language": "mapping", "text": MAPPING}
    made = await client.post("/decoders", json=body)
    again = await client.post("/decoders", json={**body, "text": MAPPING.replace("temp", "t"), "models": ["h-1"]})

    assert (made.status_code, again.status_code) == (201, 201)
    assert made.json()["topics"] == ["house/{device}/up"]
    assert again.json()["version"] == 2
    assert [(one.name, one.models) for one in directory.decoders()] == [("house", ("h-1",))]
    listed = (await client.get("/decoders")).json()["decoders"]
    assert [listed[0]["name"], listed[0]["language"], listed[0]["text"]] == ["house", "mapping", None]
    assert (await client.get("/decoders/house")).json()["text"] == MAPPING.replace("temp", "t")
    assert (await client.delete("/decoders/house")).status_code == 204
    assert directory.decoders() == []
    assert (await client.get("/decoders/house")).status_code == 404


@pytest.mark.parametrize(("text", "said"), [("topics: 7", "topics"), ("{", "YAML"), ("{device: [", "YAML")])
async def test_what_cannot_be_used_is_not_added(
    parts: tuple[httpx.AsyncClient, Directory], text: str, said: str
) -> None:
    client, directory = parts
    answer = await client.post("/decoders", json={"name": "house", "language": "mapping", "text": text})
    assert answer.status_code in {400, 422}
    assert said in answer.json()["detail"]
    assert directory.decoders() == []


async def test_the_trail_has_its_hash_and_not_the_whole_text(parts: tuple[httpx.AsyncClient, Directory]) -> None:
    client, _ = parts
    text = MAPPING + "\n# " + "x" * 5000
    await client.post("/decoders", json={"name": "house", "language": "mapping", "text": text})
    await client.post("/decoders", json={"name": "house", "language": "mapping", "text": text + "y"})
    found = (await client.get("/audit")).text
    assert "sha256:" in found
    assert "xxxxxx" not in found
    assert problem(await client.get("/decoders/none"))[0] == 404
