"""What the registry's API says of a device beyond its token: groups, attributes, certificates, overlaps."""

from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from headwater.authority import Authority
from headwater.directory import Directory
from headwater.errors import Refused
from headwater.registry import Certificate
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


def shows(directory: Directory, fingerprint: str) -> str:
    try:
        return directory.identify_certificate(Certificate(fingerprint, ""), "registry").device
    except Refused:
        return ""


async def test_what_people_want_to_know_of_a_device_is_kept_and_changed(client: httpx.AsyncClient) -> None:
    await added(client, groups=["b", "a", "a"], attributes={"site": "north"}, asset="press-2")
    await client.patch("/devices/pump-7", json={"attributes": {"site": "south", "floor": "1"}, "disabled": False})
    device = (await client.get("/devices/pump-7")).json()
    assert device["groups"] == ["a", "b"]
    assert device["attributes"] == {"site": "south", "floor": "1"}
    assert device["asset"] == "press-2"
    audit = (await client.get("/audit")).json()["changes"][0]
    assert list(audit["changes"]) == ["attributes"]


async def test_after_a_rotation_with_an_overlap_both_tokens_are_good(client: httpx.AsyncClient, parts: Parts) -> None:
    old = (await added(client))["token"]
    new = (await client.post("/devices/pump-7/rotate", params={"overlap": 60})).json()["token"]
    came = [comes_in(parts[2], "pump-7", token) for token in (old, new)]
    assert [one.name for one in came if not isinstance(one, str)] == ["pump-7"] * 2
    await client.post("/devices/pump-7/rotate")
    for token in (old, new):
        assert comes_in(parts[2], "pump-7", token) == "bad_credentials"


async def test_a_device_is_known_by_its_certificates_until_they_are_revoked(
    client: httpx.AsyncClient, parts: Parts
) -> None:
    await added(client)
    issued = [Authority.new("CA").device("pump-7") for _ in range(2)]
    for one in issued:
        answer = await client.post("/devices/pump-7/certificates", json={"certificate": one.certificate.decode()})
        assert answer.status_code == 201
    first, second = (one.held.fingerprint for one in issued)
    device = (await client.get("/devices/pump-7")).json()
    assert [one["fingerprint"] for one in device["certificates"]] == [first, second]
    assert (shows(parts[2], first), shows(parts[2], second)) == ("pump-7", "pump-7")
    assert (await client.delete(f"/devices/pump-7/certificates/{first}")).status_code == 204
    assert (shows(parts[2], first), shows(parts[2], second)) == ("", "pump-7")
    again = await client.post("/devices/pump-7/certificates", json={"certificate": issued[0].certificate.decode()})
    assert problem(again)[0] == 409


async def test_what_is_no_certificate_is_told(client: httpx.AsyncClient) -> None:
    await added(client)
    answer = await client.post("/devices/pump-7/certificates", json={"certificate": "nonsense"})
    assert problem(answer) == (400, "bad_value")


async def test_a_device_that_is_removed_and_added_again_has_lost_its_certificates_for_good(
    client: httpx.AsyncClient, parts: Parts
) -> None:
    await added(client)
    old, kept = (Authority.new("CA").device("pump-7") for _ in range(2))
    for issued in (old, kept):
        await client.post("/devices/pump-7/certificates", json={"certificate": issued.certificate.decode()})
    await client.delete("/devices/pump-7")
    await added(client)
    for by in ("registry", "cn"):
        with pytest.raises(Refused):
            parts[2].identify_certificate(Certificate(old.held.fingerprint, "pump-7"), by)
    assert parts[2].identify_certificate(Certificate("0" * 64, "pump-7"), "cn").device == "pump-7"
