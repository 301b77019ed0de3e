"""Short-lived tokens: never more than their key may do, never longer than they say."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from headwater import times
from headwater.credentials import digest
from headwater.directory import Directory
from headwater.errors import Refused
from headwater.passes import PREFIX, read
from headwater.registry import ApiKey, Identity, Role, Signer
from headwater.signatures import sign
from tests.query.registry_app import registry_app
from tests.query.test_registry_api import Parts, asking, problem

URL = "http://127.0.0.1:8080/api/v1/tokens"


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncGenerator[Parts, None]:
    async with registry_app(tmp_path) as parts:
        for name, roles in KEYS.items():
            assert await parts[2].applied(await parts[1].put_key(ApiKey(name, digest("hw_k_" + name), roles)))
        yield parts


KEYS: dict[str, tuple[Role, ...]] = {"reader": ("read",), "both": ("ingest", "read"), "ops": ("admin",)}


async def asks(parts: Parts, key: str, **body: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with asking(parts[0], **headers) as client:
        return await client.post(URL, json=body)


async def token(parts: Parts, key: str = "hw_k_both", **body: Any) -> str:
    answer = await asks(parts, key, **body)
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()["token"]


def comes(directory: Directory, given: str, name: str = "") -> Identity | str:
    try:
        return directory.identify(name, given, loopback=True)
    except Refused as error:
        return error.reason


async def test_it_is_good_for_what_was_asked_and_no_more(parts: Parts) -> None:
    given = await token(parts, devices=["pump-7"], publish=["chat/#"], subscribe=["orders/+"], seconds=60)
    identity = comes(parts[2], given)
    assert isinstance(identity, Identity)
    assert (identity.publish, identity.subscribe, identity.roles) == (("chat/#",), ("orders/+",), ())
    assert identity.may_send_for("pump-7")
    assert not identity.may_send_for("pump-8")
    assert comes(parts[2], given, "both") == identity
    assert comes(parts[2], given, "reader") == "bad_credentials"
    assert 0 < identity.until - times.now() <= 60_000_000


async def test_nobody_gets_more_than_the_key_has_and_only_keys_get_any(parts: Parts) -> None:
    for key, body in (
        ("hw_k_reader", {"roles": ["ingest"]}),
        ("hw_k_reader", {"roles": ["admin"]}),
        ("hw_k_reader", {"publish": ["a"]}),
        ("hw_k_reader", {"devices": ["a"]}),
        (await token(parts, roles=["read"]), {"roles": ["read"]}),
        ("", {"roles": ["read"]}),
    ):
        assert problem(await asks(parts, key, **body)) == (403, "not_authorized"), body
    assert problem(await asks(parts, "hw_k_wrong", roles=["read"])) == (401, "bad_credentials")
    assert problem(await asks(parts, "hw_k_ops")) == (400, "bad_value")
    assert (await asks(parts, "hw_k_ops", roles=["read"], seconds=3601)).status_code == 422


async def test_it_opens_the_api_and_ends_with_its_key(parts: Parts) -> None:
    given = await token(parts, "hw_k_ops", roles=["admin"])
    async with asking(parts[0], authorization=f"Bearer {given}") as client:
        assert (await client.get("/devices")).status_code == 200
    async with asking(parts[0], authorization="Bearer hw_k_ops") as client:
        await client.delete("/keys/ops")
    assert comes(parts[2], given) == "bad_credentials"


async def test_it_may_not_do_what_its_key_may_no_longer_do(parts: Parts) -> None:
    given = await token(parts, roles=["ingest", "read"], publish=["chat/#"])
    assert await parts[2].applied(await parts[1].put_key(ApiKey("both", digest("hw_k_both"), ("read",))))
    identity = comes(parts[2], given)
    assert isinstance(identity, Identity)
    assert (identity.roles, identity.publish) == (("read",), ())


async def test_it_expires(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    given = await token(parts, roles=["read"], seconds=60)
    monkeypatch.setattr(parts[2], "_wall", lambda: times.now() + 61_000_000)
    assert comes(parts[2], given) == "bad_credentials"


async def test_what_nobody_known_has_signed_is_refused(parts: Parts) -> None:
    given = await token(parts, roles=["read"])
    body = given.removeprefix(PREFIX)
    for wrong in (
        given[:-1],
        PREFIX,
        PREFIX + "é",
        PREFIX + "A" * 9000,
        PREFIX + body[:40] + "B" + body[41:],
        given + "A",
    ):
        assert comes(parts[2], wrong) == "bad_credentials", wrong[:60]

    assert comes(parts[2], sign(read(given)[0], Ed25519PrivateKey.generate())) == "bad_credentials"


async def test_the_private_half_is_nowhere_and_old_places_are_used_again(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await token(parts, roles=["read"])
    await token(parts, roles=["read"])
    (signer,) = await parts[1].page(Signer)
    assert len(bytes.fromhex(signer.public)) == 32
    monkeypatch.setattr("query.token_api.now", lambda: times.now() + 26 * 3600 * 1_000_000)
    await token(parts, roles=["read"])
    (again,) = await parts[1].page(Signer)
    assert (again.name, again.public != signer.public) == (signer.name, True)
    assert comes(parts[2], first) == "bad_credentials"
