"""Commands and shadows over HTTP: who may, what is answered, and a device that has nothing but HTTP."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from tests.query.control_app import ControlApp, control_app

REBOOT = {"name": "reboot", "arguments": {"delay": 5}}


@pytest.fixture
async def parts() -> AsyncGenerator[ControlApp, None]:
    async with control_app() as parts:
        yield parts


@pytest.fixture
async def admin(parts: ControlApp) -> AsyncGenerator[httpx.AsyncClient, None]:
    async with parts.asking("admin") as client:
        yield client


async def ordered(admin: httpx.AsyncClient, device: str = "pump-7", **more: Any) -> dict[str, Any]:
    answer = await admin.post(f"/{device}/commands", json=REBOOT | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_device_without_mqtt_fetches_its_commands_and_answers(
    parts: ControlApp, admin: httpx.AsyncClient
) -> None:
    made = await ordered(admin, expires=60)
    assert (made["state"], made["by"], made["arguments"]) == ("queued", "admin", {"delay": 5})
    for token in ("token-pump-7", "token-gateway"):
        async with parts.asking(token) as device:
            (found,) = (await device.get("/pump-7/commands?state=queued")).json()["items"]
            assert found == made
    async with parts.asking("token-pump-7") as device:
        answer = await device.post(f"/pump-7/commands/{made['id']}/reply", content=b'{"ok": true}')
        assert (answer.status_code, answer.json()["state"], answer.json()["answer"]) == (200, "answered", {"ok": True})
        assert (await device.get("/pump-7/commands?state=queued")).json() == {"items": []}
        again = await device.post(f"/pump-7/commands/{made['id']}/reply", content=b"2")
        assert again.json() == answer.json()
    assert (await admin.get(f"/pump-7/commands/{made['id']}")).json() == answer.json()


async def test_whoever_waits_gets_the_answer_when_it_comes(parts: ControlApp, admin: httpx.AsyncClient) -> None:
    made = await ordered(admin)
    waiting = asyncio.create_task(admin.get(f"/pump-7/commands/{made['id']}?wait=15"))
    async with parts.asking("token-pump-7") as device:
        await device.post(f"/pump-7/commands/{made['id']}/reply", content=b"")
    answer = (await asyncio.wait_for(waiting, 5)).json()
    assert (answer["state"], answer["answer"]) == ("answered", None)


@pytest.mark.parametrize(
    ("token", "method", "path", "allowed"),
    [
        ("reader", "GET", "/pump-7/commands", True),
        ("reader", "POST", "/pump-7/commands", False),
        ("token-pump-7", "POST", "/pump-7/commands", False),
        ("token-pump-8", "GET", "/pump-7/commands", False),
        ("token-pump-8", "POST", "/pump-7/commands/c/reply", False),
        ("reader", "POST", "/pump-7/commands/c/reply", False),
        ("token-gateway", "POST", "/pump-7/commands/c/reply", True),
        ("reader", "GET", "/pump-7/shadow", True),
        ("token-pump-8", "GET", "/pump-7/shadow", False),
        ("reader", "PATCH", "/pump-7/shadow", False),
        ("token-pump-8", "PATCH", "/pump-7/shadow", False),
        ("token-gateway", "PATCH", "/pump-7/shadow", True),
        ("token-pump-7", "DELETE", "/pump-7/shadow", False),
    ],
)
async def test_each_may_do_what_is_theirs(
    parts: ControlApp, admin: httpx.AsyncClient, token: str, method: str, path: str, allowed: bool
) -> None:
    await ordered(admin, id="c")
    await admin.patch("/pump-7/shadow", json={"reported": {"a": 1}})
    bodies: dict[str, Any] = {"POST": REBOOT, "PATCH": {"reported": {"a": 1}}}
    async with parts.asking(token) as client:
        answer = await client.request(method, path, json=bodies.get(method))
    assert answer.status_code == (200 if allowed else 403), answer.text


async def test_the_same_command_again_makes_no_second_one(admin: httpx.AsyncClient) -> None:
    made = await ordered(admin, id="mine")
    again = await admin.post("/pump-7/commands", json=REBOOT | {"id": "mine"})
    assert (again.status_code, again.json()) == (200, made)
    other = await admin.post("/pump-7/commands", json={"name": "stop", "id": "mine"})
    assert (other.status_code, other.json()["error"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("/no:%20/commands", REBOOT, 400, "bad_device"),
        ("/pump-7/commands", {"name": "a b"}, 400, "bad_value"),
        ("/pump-7/commands", {"name": "a", "arguments": "x" * 9000}, 400, "too_large"),
        ("/pump-7/commands", {"name": "a", "expires": 0}, 422, "invalid"),
        ("/pump-7/commands", {"name": "a", "id": "a/b"}, 400, "bad_id"),
        ("/pump-7/commands", {"name": "a", "other": 1}, 422, "invalid"),
        ("/pump-7/commands/none/reply", {}, 404, "unknown_command"),
    ],
)
async def test_what_cannot_be_done_says_why(
    admin: httpx.AsyncClient, path: str, body: Any, status: int, error: str
) -> None:
    answer = await admin.post(path, json=body)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


async def test_an_expired_command_says_so_and_takes_no_answer(parts: ControlApp, admin: httpx.AsyncClient) -> None:
    made = await ordered(admin, expires=60)
    parts.clock.now += 60
    assert (await admin.get("/pump-7/commands?state=expired")).json()["items"][0]["id"] == made["id"]
    answer = await admin.post(f"/pump-7/commands/{made['id']}/reply", content=b"1")
    assert (answer.status_code, answer.json()["error"]) == (409, "expired")


async def test_a_device_that_answers_nothing_gets_only_so_many(admin: httpx.AsyncClient) -> None:
    await asyncio.gather(*(ordered(admin, id=f"c{at}") for at in range(100)))
    answer = await admin.post("/pump-7/commands", json=REBOOT)
    assert (answer.status_code, answer.json()["error"]) == (429, "over_quota")
    await ordered(admin, "pump-8")


async def test_without_the_log_nothing_is_taken(parts: ControlApp, admin: httpx.AsyncClient) -> None:
    parts.log.failing = True
    for answer in (
        await admin.post("/pump-7/commands", json=REBOOT),
        await admin.patch("/pump-7/shadow", json={"desired": {"a": 1}}),
    ):
        assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")


async def test_a_shadow_is_changed_read_and_deleted(parts: ControlApp, admin: httpx.AsyncClient) -> None:
    assert (await admin.get("/pump-7/shadow")).json()["error"] == "no_shadow"
    await admin.patch("/pump-7/shadow", json={"desired": {"speed": 1200, "mode": "eco"}})
    async with parts.asking("token-pump-7") as device:
        answer = await device.patch("/pump-7/shadow", json={"reported": {"speed": 900, "mode": "eco"}})
    found = answer.json()
    assert (found["version"], found["delta"], answer.headers["ETag"]) == (2, {"speed": 1200}, '"2"')
    assert (await admin.get("/pump-7/shadow")).json() == found
    found = (await admin.patch("/pump-7/shadow", json={"desired": {"speed": None}})).json()
    assert (found["desired"], found["delta"]) == ({"mode": "eco"}, {})
    found = (await admin.patch("/pump-7/shadow", json={"desired": None})).json()
    assert (found["desired"], found["reported"]) == ({}, {"speed": 900, "mode": "eco"})
    assert (await admin.delete("/pump-7/shadow")).status_code == 204
    assert (await admin.get("/pump-7/shadow")).status_code == 404
    assert (await admin.delete("/pump-7/shadow")).status_code == 204
    assert (await admin.patch("/pump-7/shadow", json={"desired": {"a": 1}, "version": 0})).json()["version"] == 6


async def test_a_change_meant_for_another_version_is_a_conflict(admin: httpx.AsyncClient) -> None:
    for body, headers, status in (
        ({"version": 0}, {}, 200),
        ({"version": 0}, {}, 409),
        ({"version": 1}, {}, 200),
        ({}, {"If-Match": '"1"'}, 409),
        ({}, {"If-Match": '"2"'}, 200),
        ({}, {"If-Match": "x"}, 400),
    ):
        answer = await admin.patch("/pump-7/shadow", json={"desired": {"a": 1}} | body, headers=headers)
        assert answer.status_code == status, answer.text


async def test_a_shadow_has_8_kib_and_its_change_says_something(admin: httpx.AsyncClient) -> None:
    for body, error in (({"desired": {"a": "x" * 8192}}, "too_large"), ({}, "no_fields"), ({"other": 1}, "invalid")):
        assert (await admin.patch("/pump-7/shadow", json=body)).json()["error"] == error
