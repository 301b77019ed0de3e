"""Groups, blocked addresses, assets and imports over HTTP, and what this process goes by afterwards."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest

from headwater.registry import ApiKey, Device
from tests.query.registry_app import registry_app
from tests.query.test_registry_api import Parts, added, asking, comes_in, problem


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncGenerator[Parts, None]:
    async with registry_app(tmp_path, models=("default", "pump")) as parts:
        yield parts


@pytest.fixture
async def client(parts: Parts) -> AsyncGenerator[httpx.AsyncClient, None]:
    async with asking(parts[0]) as client:
        yield client


async def test_devices_of_a_group_may_what_its_rules_say_from_the_answer_on(
    client: httpx.AsyncClient, parts: Parts
) -> None:
    token = (await added(client, groups=["line-3"]))["token"]
    made = await client.post("/groups", json={"name": "line-3", "publish": ["plant/{group}/{device}/#"]})
    assert made.status_code == 201
    identity = parts[2].identify("pump-7", token, loopback=False)
    assert identity.publish == ("plant/line-3/pump-7/#",)

    changed = await client.patch("/groups/line-3", json={"quota": "slow"}, headers={"if-match": made.headers["etag"]})
    assert changed.json()["publish"] == ["plant/{group}/{device}/#"]
    assert parts[2].identify("pump-7", token, loopback=False).quota == "slow"
    stale = await client.patch("/groups/line-3", json={"quota": ""}, headers={"if-match": made.headers["etag"]})
    assert stale.status_code == 412

    assert [one["name"] for one in (await client.get("/groups")).json()["groups"]] == ["line-3"]
    await client.delete("/groups/line-3")
    assert (await client.get("/groups/line-3")).status_code == 404
    assert parts[2].identify("pump-7", token, loopback=False).publish == ()


@pytest.mark.parametrize("rule", ["a/#/b", "a/{who}/b", "", "a+/b"])
async def test_a_topic_rule_that_makes_no_sense_is_refused(client: httpx.AsyncClient, rule: str) -> None:
    assert problem(await client.post("/groups", json={"name": "g", "publish": [rule]})) == (400, "bad_value")


async def test_devices_are_listed_by_group_and_by_asset(client: httpx.AsyncClient) -> None:
    for name, group, asset in (("a", "g", "press-2"), ("b", "h", "press-2"), ("c", "g", "")):
        await added(client, name, groups=[group], asset=asset)
    found = (await client.get("/devices", params={"group": "g"})).json()["devices"]
    assert [one["name"] for one in found] == ["a", "c"]
    found = (await client.get("/devices", params={"group": "g", "asset": "press-2"})).json()["devices"]
    assert [one["name"] for one in found] == ["a"]


async def test_assets_are_what_devices_say_they_are_parts_of(client: httpx.AsyncClient) -> None:
    for name, asset in (("b", "press/2"), ("a", "press/2"), ("c", "oven")):
        await added(client, name, asset=asset)
    async with _at(client, "/api/v1") as api:
        assert (await api.get("/assets")).json()["items"] == [
            {"name": "oven", "devices": ["c"], "count": 1},
            {"name": "press/2", "devices": ["a", "b"], "count": 2},
        ]
        page = (await api.get("/assets", params={"limit": 1})).json()
        assert page["next"] == "oven"
        assert [one["name"] for one in (await api.get("/assets", params={"after": "oven"})).json()["items"]] == [
            "press/2"
        ]
        await client.patch("/devices/a", json={"asset": "oven"})
        await client.delete("/devices/b")
        assert (await api.get("/assets/press/2")).status_code == 404
        assert (await api.get("/assets/oven")).json()["devices"] == ["a", "c"]


def _at(client: httpx.AsyncClient, base: str) -> httpx.AsyncClient:
    transport = client._transport  # pyright: ignore[reportPrivateUsage]
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080" + base)


async def test_an_address_is_blocked_until_it_is_let_in_again(client: httpx.AsyncClient, parts: Parts) -> None:
    made = await client.post("/addresses", json={"address": "192.0.2.77/24", "reason": "floods"})
    assert problem(made) == (400, "bad_value")  # host bits set: which of both was meant?
    made = await client.post("/addresses", json={"address": "192.0.2.0/24", "reason": "floods"})
    assert (made.status_code, made.json()["until"]) == (201, None)
    assert parts[2].blocked("192.0.2.9")
    assert [one["address"] for one in (await client.get("/addresses")).json()["addresses"]] == ["192.0.2.0/24"]
    assert (await client.delete("/addresses/192.0.2.0/24")).status_code == 204
    assert not parts[2].blocked("192.0.2.9")
    assert (await client.delete("/addresses/192.0.2.0/24")).status_code == 404


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0/0", "::/0", "::1", "127.0.0.0/8", "localhost", ""])
async def test_nobody_is_shut_out_of_their_own_machine(client: httpx.AsyncClient, address: str) -> None:
    assert problem(await client.post("/addresses", json={"address": address})) == (400, "bad_value")


# Imports


async def imported(client: httpx.AsyncClient, *devices: dict[str, Any], **more: Any) -> dict[str, Any]:
    response = await client.post("/import", json={"devices": devices, **more})
    assert response.status_code == 200, response.text
    return response.json()


def counts(answer: dict[str, Any]) -> tuple[int, int, int]:
    return answer["added"], answer["changed"], answer["unchanged"]


async def test_an_import_adds_and_changes_and_a_second_one_changes_nothing(
    client: httpx.AsyncClient, parts: Parts
) -> None:
    token = (await added(client, "a", asset="oven", model="pump"))["token"]
    listed = ({"name": "a", "groups": ["g"]}, {"name": "b", "attributes": {"site": "north"}})
    assert counts(await imported(client, *listed, dry_run=True)) == (1, 1, 0)
    assert (await client.get("/devices/b")).status_code == 404
    assert counts(await imported(client, *listed)) == (1, 1, 0)
    assert counts(await imported(client, *listed)) == (0, 0, 2)
    device = (await client.get("/devices/a")).json()
    assert (device["groups"], device["asset"], device["model"]) == (["g"], "oven", "pump")
    assert comes_in(parts[2], "a", token)
    assert len((await client.get("/audit")).json()["changes"]) == 3


async def test_what_an_import_cannot_take_is_named_and_the_rest_is_taken(
    client: httpx.AsyncClient, parts: Parts
) -> None:
    await parts[1].put_key(ApiKey("ops", "", ("read",)))
    answer = await imported(
        client, {"name": "ops"}, {"name": "a/b"}, {"name": "a"}, {"name": "a"}, {"name": "c", "model": "none"}
    )
    assert [(one["index"], one["reason"]) for one in answer["rejected"]] == [
        (0, "bad_device"),
        (1, "bad_device"),
        (3, "bad_value"),
        (4, "bad_value"),
    ]
    assert answer["added"] == 1


async def test_new_devices_get_tokens_where_asked_for(client: httpx.AsyncClient, parts: Parts) -> None:
    await imported(client, {"name": "a"})
    answer = await imported(client, {"name": "a"}, {"name": "b"}, tokens=True)
    assert list(answer["tokens"]) == ["b"]
    assert parts[2].identify("b", answer["tokens"]["b"], loopback=False).device == "b"
    assert comes_in(parts[2], "a", "") == "no_credentials"


async def test_who_changes_a_device_meanwhile_is_not_overwritten_blindly(
    client: httpx.AsyncClient, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = parts[1]
    await registry.put_device(Device("a"))
    find, turns = registry.find_all, iter((True,))

    async def slow(kind: Any, names: Any) -> Any:
        found = await find(kind, names)
        if next(turns, False):
            await registry.put_device(Device("a", asset="oven"))
        return found

    monkeypatch.setattr(registry, "find_all", slow)
    assert counts(await imported(client, {"name": "a", "groups": ["g"]})) == (0, 1, 0)
    device = (await client.get("/devices/a")).json()
    assert (device["asset"], device["groups"]) == ("oven", ["g"])
