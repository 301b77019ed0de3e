"""The registry over HTTP: tokens are shown once, a change is in force with its answer, and only administrators make one."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from headwater.credentials import digest
from headwater.directory import Directory
from headwater.errors import Refused
from headwater.registry import ApiKey, Device, Identity
from query.asking import is_local
from storage.sqlite_registry import SqliteRegistry
from tests.query.registry_app import registry_app

BASE = "/api/v1/registry"
LOCAL = "http://127.0.0.1:8080"
Parts = tuple[FastAPI, SqliteRegistry, Directory]


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncGenerator[Parts, None]:
    async with registry_app(tmp_path, models=("default", "pump")) as parts:
        yield parts


@pytest.fixture
async def client(parts: Parts) -> AsyncGenerator[httpx.AsyncClient, None]:
    async with asking(parts[0]) as client:
        yield client


def asking(app: FastAPI, url: str = LOCAL, peer: str = "127.0.0.1", **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(peer, 40_000))
    return httpx.AsyncClient(transport=transport, base_url=url + BASE, headers=headers)


def problem(response: httpx.Response) -> tuple[int, str]:
    body = response.json()
    assert set(body) == {"error", "detail"}
    assert body["detail"]
    return response.status_code, body["error"]


async def added(client: httpx.AsyncClient, name: str = "pump-7", **more: Any) -> dict[str, Any]:
    response = await client.post("/devices", json={"name": name, **more})
    assert response.status_code == 201, response.text
    return response.json()


def comes_in(directory: Directory, name: str, token: str) -> Identity | str:
    try:
        return directory.identify(name, token, loopback=False)
    except Refused as error:
        return error.reason


# Devices


async def test_a_device_that_was_added_can_come_in_at_once_with_the_token_shown_once(
    client: httpx.AsyncClient, parts: Parts
):
    response = await client.post("/devices", json={"name": "gw-1", "model": "pump", "speaks_for": ["tag-*", "b", "b"]})
    body = response.json()
    token = body.pop("token")
    assert response.status_code == 201
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["etag"] == '"1"'
    assert body.pop("changed").endswith("Z")
    told = {name: value for name, value in body.items() if value}
    assert told == {"name": "gw-1", "model": "pump", "speaks_for": ["b", "tag-*"], "version": 1}
    identity = comes_in(parts[2], "gw-1", token)
    assert isinstance(identity, Identity)
    assert identity.may_send_for("tag-5")
    later = await client.get("/devices/gw-1")
    assert "token" not in later.text
    assert token not in (await client.get("/devices")).text
    stored = await parts[1].device("gw-1")
    assert stored is not None
    assert stored.token == digest(token)


async def test_devices_come_in_pages(client: httpx.AsyncClient):
    for name in ("c", "a", "b"):
        await added(client, name)
    first = (await client.get("/devices", params={"limit": 2})).json()
    assert ([device["name"] for device in first["devices"]], first["next"]) == (["a", "b"], "b")
    second = (await client.get("/devices", params={"limit": 2, "after": first["next"]})).json()
    assert ([device["name"] for device in second["devices"]], second["next"]) == (["c"], None)


async def test_a_disabled_device_is_refused_with_the_answer_and_let_in_again(client: httpx.AsyncClient, parts: Parts):
    token = (await added(client))["token"]
    off = await client.patch("/devices/pump-7", json={"disabled": True})
    assert (off.status_code, off.json()["disabled"], off.headers["etag"]) == (200, True, '"2"')
    assert comes_in(parts[2], "pump-7", token) == "disabled"
    await client.patch("/devices/pump-7", json={"disabled": False})
    assert isinstance(comes_in(parts[2], "pump-7", token), Identity)


async def test_a_new_token_ends_the_old_one_with_the_answer(client: httpx.AsyncClient, parts: Parts):
    old = (await added(client))["token"]
    response = await client.post("/devices/pump-7/rotate")
    new = response.json()["token"]
    assert response.headers["cache-control"] == "no-store"
    assert new != old
    assert comes_in(parts[2], "pump-7", old) == "bad_credentials"
    assert isinstance(comes_in(parts[2], "pump-7", new), Identity)


async def test_a_removed_device_is_unknown_with_the_answer_and_its_name_is_free(
    client: httpx.AsyncClient, parts: Parts
):
    token = (await added(client))["token"]
    assert (await client.delete("/devices/pump-7")).status_code == 204
    assert comes_in(parts[2], "pump-7", token) == "bad_credentials"
    assert problem(await client.get("/devices/pump-7")) == (404, "not_found")
    assert problem(await client.delete("/devices/pump-7")) == (404, "not_found")
    assert (await added(client))["version"] == 3
    assert comes_in(parts[2], "pump-7", token) == "bad_credentials"


async def test_what_is_left_out_of_a_change_stays(client: httpx.AsyncClient):
    await added(client, model="pump", speaks_for=["a"])
    body = (await client.patch("/devices/pump-7", json={"speaks_for": []})).json()
    assert (body["model"], body["speaks_for"], body["version"]) == ("pump", [], 2)
    body = (await client.patch("/devices/pump-7", json={})).json()
    assert body["version"] == 2


async def test_a_change_can_insist_on_the_version_it_has_seen(client: httpx.AsyncClient):
    seen = {"if-match": (await client.get("/devices/" + (await added(client))["name"])).headers["etag"]}
    assert (await client.patch("/devices/pump-7", json={"model": "pump"}, headers=seen)).status_code == 200
    late = await client.patch("/devices/pump-7", json={"model": "default"}, headers=seen)
    assert problem(late) == (412, "precondition_failed")
    assert problem(await client.delete("/devices/pump-7", headers=seen)) == (412, "precondition_failed")
    assert problem(await client.post("/devices/pump-7/rotate", headers=seen)) == (412, "precondition_failed")
    assert problem(await client.delete("/devices/pump-7", headers={"if-match": "x"})) == (412, "precondition_failed")
    assert (await client.delete("/devices/pump-7", headers={"if-match": "*"})).status_code == 204


async def test_a_name_that_is_taken_is_a_conflict(client: httpx.AsyncClient):
    await added(client)
    assert problem(await client.post("/devices", json={"name": "pump-7"})) == (409, "conflict")
    assert problem(await client.post("/keys", json={"name": "pump-7", "roles": ["read"]})) == (409, "conflict")


async def test_of_many_who_add_the_same_name_one_gets_a_token(client: httpx.AsyncClient):
    responses = await asyncio.gather(*(client.post("/devices", json={"name": "x"}) for _ in range(10)))
    assert sorted(response.status_code for response in responses) == [201] + [409] * 9


@pytest.mark.parametrize("name", ["", "a/b", "+", "#", "a b", ".a", "ä", "x" * 129, "anonymous", "a\u0000"])
async def test_a_name_that_no_device_can_have_is_refused(client: httpx.AsyncClient, name: str):
    assert problem(await client.post("/devices", json={"name": name})) == (400, "bad_device")
    assert problem(await client.post("/keys", json={"name": name, "roles": ["read"]})) == (400, "bad_device")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{", (422, "invalid")),
        (b"[]", (422, "invalid")),
        (b"{}", (422, "invalid")),
        (b'{"name":7}', (422, "invalid")),
        (b'{"name":"a","token":"mine"}', (422, "invalid")),
        (b'{"name":"a","speaks_for":"b"}', (422, "invalid")),
        (b'{"name":"a","speaks_for":["b/c"]}', (400, "bad_device")),
        (b'{"name":"a","speaks_for":["b*c"]}', (400, "bad_device")),
        (b'{"name":"a","model":"boat"}', (400, "bad_value")),
        (b"\xff", (400, "bad_request")),
        (b"[" * 10_000, (400, "bad_request")),
    ],
)
async def test_bad_input_is_told_what_is_wrong_and_the_next_request_works(
    client: httpx.AsyncClient, body: bytes, expected: tuple[int, str]
):
    headers = {"content-type": "application/json"}
    assert problem(await client.post("/devices", content=body, headers=headers)) == expected
    await added(client)


async def test_what_does_not_exist_and_what_cannot_be_done_have_the_same_shape(client: httpx.AsyncClient):
    assert problem(await client.get("/nothing")) == (404, "not_found")
    assert problem(await client.put("/devices")) == (405, "method_not_allowed")
    assert problem(await client.get("/devices", params={"limit": "0"})) == (422, "invalid")
    assert problem(await client.delete("/keys/nobody")) == (404, "not_found")


# Keys


async def test_a_key_works_at_once_is_shown_once_and_ends_at_once(client: httpx.AsyncClient, parts: Parts):
    response = await client.post("/keys", json={"name": "ops", "roles": ["read", "admin", "read"]})
    token = response.json()["token"]
    assert (response.status_code, response.headers["cache-control"]) == (201, "no-store")
    assert response.json()["roles"] == ["admin", "read"]
    async with asking(parts[0], "https://example.org", "203.0.113.9", authorization=f"Bearer {token}") as remote:
        listed = await remote.get("/keys")
        assert [key["name"] for key in listed.json()["keys"]] == ["ops"]
        assert token not in listed.text
        assert (await remote.delete("/keys/ops")).status_code == 204
        assert problem(await remote.get("/keys")) == (401, "bad_credentials")


@pytest.mark.parametrize("roles", [[], ["root"], "admin", None])
async def test_a_key_has_roles_that_exist(client: httpx.AsyncClient, roles: object):
    assert problem(await client.post("/keys", json={"name": "ops", "roles": roles})) == (422, "invalid")


# The audit trail


async def test_the_trail_says_who_it_was_newest_first_in_pages(client: httpx.AsyncClient, parts: Parts):
    token = (await client.post("/keys", json={"name": "ops", "roles": ["admin"]})).json()["token"]
    async with asking(parts[0], authorization=f"Bearer {token}") as ops:
        await added(ops)
        await ops.patch("/devices/pump-7", json={"model": "pump"})
    first = (await client.get("/audit", params={"limit": 2})).json()
    assert [(e["actor"], e["kind"], e["name"], e["action"]) for e in first["changes"]] == [
        ("ops", "device", "pump-7", "change"),
        ("ops", "device", "pump-7", "add"),
    ]
    assert first["changes"][0]["changes"] == {"model": ["", "pump"]}
    rest = (await client.get("/audit", params={"limit": 2, "before": first["next"]})).json()
    assert [(e["actor"], e["name"], e["before"], e["after"]) for e in rest["changes"]] == [("anonymous", "ops", 0, 1)]
    assert rest["next"] is None


# Who may


ROUTES = [
    ("GET", "/decoders"),
    ("POST", "/decoders"),
    ("GET", "/decoders/a"),
    ("DELETE", "/decoders/a"),
    ("GET", "/devices"),
    ("POST", "/devices"),
    ("GET", "/devices/a"),
    ("PATCH", "/devices/a"),
    ("DELETE", "/devices/a"),
    ("POST", "/devices/a/rotate"),
    ("POST", "/devices/a/certificates"),
    ("DELETE", "/devices/a/certificates/" + 64 * "0"),
    ("POST", "/devices/a/erase"),
    ("GET", "/erasures"),
    ("GET", "/erasures/a"),
    ("POST", "/import"),
    ("GET", "/groups"),
    ("POST", "/groups"),
    ("GET", "/groups/a"),
    ("PATCH", "/groups/a"),
    ("DELETE", "/groups/a"),
    ("GET", "/claims"),
    ("POST", "/claims"),
    ("GET", "/claims/a"),
    ("DELETE", "/claims/a"),
    ("GET", "/addresses"),
    ("POST", "/addresses"),
    ("DELETE", "/addresses/192.0.2.0/24"),
    ("GET", "/keys"),
    ("POST", "/keys"),
    ("DELETE", "/keys/a"),
    ("GET", "/audit"),
]


async def test_every_route_is_for_administrators_only(parts: Parts):
    app, registry, directory = parts
    reader = await registry.put_key(ApiKey("reader", digest("hw_k_r"), ("ingest", "read")))
    device = await registry.put_device(Device("a", digest("hw_d_a")))
    assert await directory.applied(reader)
    assert await directory.applied(device)
    for token, expected in (
        ("hw_k_r", (403, "not_authorized")),
        ("hw_d_a", (403, "not_authorized")),
        ("hw_k_wrong", (401, "bad_credentials")),
        ("", (401, "no_credentials")),
    ):
        headers = {"authorization": f"Bearer {token}"} if token else {}
        async with asking(app, "https://example.org", "203.0.113.9", **headers) as remote:
            for method, path in ROUTES:
                response = await remote.request(method, path, json={})
                assert problem(response) == expected, (method, path)
                assert ("www-authenticate" in response.headers) == (expected[0] == 401)


def test_the_list_of_routes_above_is_complete():
    given = {"{name}": "a", "{fingerprint}": 64 * "0", "{address:path}": "192.0.2.0/24"}
    paths: set[tuple[str, str]] = set()
    for method, path in _routes():
        for mark, value in given.items():
            path = path.replace(mark, value)  # noqa: PLW2901 - made of it
        paths.add((method, path))
    assert paths == {(method, BASE + path) for method, path in ROUTES}


def _routes() -> set[tuple[str, str]]:
    from query.registry_routers import registry_routers  # noqa: PLC0415

    routers = registry_routers(None, None)  # type: ignore[arg-type]
    routes = [route for router in routers for route in router.routes if route.path.startswith(BASE)]  # type: ignore[attr-defined]
    return {(method, route.path) for route in routes for method in route.methods}  # type: ignore[attr-defined]


@pytest.mark.parametrize("authorization", ["Basic YTpi", "Bearer", "Bearer ", "hw_k_x", "", "Bearer hw_k_wrong"])
async def test_a_wrong_credential_is_never_taken_for_nobody_on_loopback(parts: Parts, authorization: str):
    async with asking(parts[0], authorization=authorization) as client:
        assert problem(await client.get("/devices")) == (401, "bad_credentials")


@pytest.mark.parametrize(
    ("url", "peer", "headers"),
    [
        (LOCAL, "192.168.1.5", {}),
        (LOCAL, "127.0.0.1", {"x-forwarded-for": "203.0.113.9"}),
        (LOCAL, "127.0.0.1", {"forwarded": "for=203.0.113.9"}),
        (LOCAL, "127.0.0.1", {"origin": "https://evil.example"}),
        (LOCAL, "127.0.0.1", {"origin": "null"}),
        (LOCAL, "127.0.0.1", {"origin": "http://127.0.0.1:9999"}),
        (LOCAL, "127.0.0.1", {"origin": "http://[::1"}),
        ("http://rebound.example:8080", "127.0.0.1", {}),
        (LOCAL, "127.0.0.1", {"host": "[::1"}),
    ],
)
async def test_only_someone_on_this_machine_who_speaks_for_themselves_is_trusted_for_that(
    parts: Parts, url: str, peer: str, headers: dict[str, str]
):
    async with asking(parts[0], url, peer, **headers) as client:
        assert problem(await client.get("/devices")) == (401, "no_credentials")


@pytest.mark.parametrize(
    ("url", "peer", "headers"),
    [
        (LOCAL, "127.0.0.1", {}),
        ("http://localhost:8080", "::1", {"origin": "http://localhost:8080"}),
        ("http://[::1]:8080", "::1", {}),
        (LOCAL, "::ffff:127.0.0.1", {}),
        (LOCAL, "127.0.0.2", {"origin": LOCAL}),
    ],
)
async def test_on_loopback_nobody_needs_a_credential(parts: Parts, url: str, peer: str, headers: dict[str, str]):
    async with asking(parts[0], url, peer, **headers) as client:
        assert (await client.get("/devices")).status_code == 200


async def test_where_it_is_configured_everyone_needs_one_on_loopback_too(tmp_path: Path):
    async with registry_app(tmp_path, anonymous="never") as (app, _, _), asking(app) as client:
        assert problem(await client.get("/devices")) == (401, "no_credentials")


async def test_someone_without_an_address_is_not_local():
    from starlette.requests import Request  # noqa: PLC0415

    assert not is_local(Request({"type": "http", "headers": [], "client": None}))


async def test_the_description_of_the_api_is_complete(client: httpx.AsyncClient, parts: Parts):
    paths = parts[0].openapi()["paths"]
    for path, methods in paths.items():
        for method, operation in methods.items():
            assert operation["security"], (method, path)
            assert operation["responses"]["4XX"]["content"]["application/json"]["schema"]["$ref"].endswith("/Problem")
            assert "422" not in operation["responses"]
