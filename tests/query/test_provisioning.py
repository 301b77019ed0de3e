"""Devices that add themselves by a claim: as many as it says, by the names it says, as long as it says."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI

from headwater import times
from headwater.authority import Authority
from headwater.credentials import digest
from headwater.errors import Refused
from headwater.registry import ApiKey, Certificate
from query.problems import answer_errors
from query.registry_routers import registry_routers
from tests.query.registry_app import registry_app
from tests.query.test_registry_api import Parts, asking, comes_in, problem
from tests.query.test_registry_commands import at, program, works

URL = "https://gw.example.org/api/v1/provision"


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncGenerator[Parts, None]:
    authority = Authority.new("CA")
    (tmp_path / "ca.pem").write_bytes(authority.certificate)
    (tmp_path / "ca-key.pem").write_bytes(authority.key)
    async with registry_app(tmp_path, "never", registry__ca=str(tmp_path)) as parts:
        yield parts


@pytest.fixture
async def admin(parts: Parts) -> AsyncGenerator[httpx.AsyncClient, None]:
    assert await parts[2].applied(await parts[1].put_key(ApiKey("ops", digest("hw_k_a"), ("admin",))))
    async with asking(parts[0], authorization="Bearer hw_k_a") as client:
        yield client


async def claimed(admin: httpx.AsyncClient, **more: Any) -> str:
    body = {"name": "LINE-3", "names": "pump-*", "uses": 2, **more}
    response = await admin.post("/claims", json=body)
    assert response.status_code == 201, response.text
    assert response.headers["cache-control"] == "no-store"
    return response.json()["code"]


async def provisions(parts: Parts, code: str, name: str = "pump-7", **more: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {code}"} if code else {}
    async with asking(parts[0], peer="203.0.113.9", **headers) as device:
        return await device.post(URL, json={"name": name, **more})


async def test_a_device_adds_itself_and_comes_in_with_what_the_claim_gives(
    parts: Parts, admin: httpx.AsyncClient
) -> None:
    code = await claimed(admin, groups=["line-3"])
    assert code.startswith("hw_c_")
    answer = await provisions(parts, code)
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    identity = comes_in(parts[2], "pump-7", answer.json()["token"])
    assert not isinstance(identity, str)
    assert identity.device == "pump-7"
    device = (await admin.get("/devices/pump-7")).json()
    assert device["groups"] == ["line-3"]
    assert (await admin.get("/claims/LINE-3")).json()["uses"] == 1
    changes = (await admin.get("/audit")).json()["changes"][:2]
    assert [(one["actor"], one["kind"], one["name"], one["action"]) for one in changes] == [
        ("claim LINE-3", "device", "pump-7", "add"),
        ("claim LINE-3", "claim", "LINE-3", "change"),
    ]
    assert code not in (await admin.get("/claims")).text


async def test_of_many_at_once_no_more_than_it_says_get_in(parts: Parts, admin: httpx.AsyncClient) -> None:
    code = await claimed(admin, uses=3)
    answers = await asyncio.gather(*(provisions(parts, code, f"pump-{n}") for n in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [403] * 5
    assert all("used up" in answer.json()["detail"] for answer in answers if answer.status_code == 403)
    assert len((await admin.get("/devices")).json()["devices"]) == 3


async def test_two_processes_share_the_last_use(parts: Parts, admin: httpx.AsyncClient) -> None:
    code = await claimed(admin, uses=1)
    apps = [FastAPI() for _ in range(2)]
    for app in apps:
        app.state.door = parts[2]
        for router in registry_routers(parts[1], parts[2]):
            app.include_router(router)
        answer_errors(app)
    both = [(app, parts[1], parts[2]) for app in apps]
    answers = await asyncio.gather(*(provisions(one, code, f"pump-{n}") for n, one in enumerate(both)))
    assert sorted(answer.status_code for answer in answers) == [201, 403]


async def test_what_the_claim_is_not_for_is_refused_and_uses_nothing(parts: Parts, admin: httpx.AsyncClient) -> None:
    code = await claimed(admin)
    assert problem(await provisions(parts, code, "valve-7")) == (403, "not_authorized")
    assert problem(await provisions(parts, code, "pump/7")) == (400, "bad_device")
    assert problem(await provisions(parts, "hw_c_wrong")) == (401, "bad_credentials")
    assert problem(await provisions(parts, "")) == (401, "bad_credentials")
    assert problem(await provisions(parts, "hw_k_a")) == (401, "bad_credentials")
    await provisions(parts, code)
    assert problem(await provisions(parts, code)) == (409, "conflict")
    assert (await admin.get("/claims/LINE-3")).json()["uses"] == 1
    await admin.delete("/claims/LINE-3")
    assert problem(await provisions(parts, code, "pump-8")) == (401, "bad_credentials")


async def test_an_expired_claim_is_refused(
    parts: Parts, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = await claimed(admin, seconds=60)
    monkeypatch.setattr("ingest.provisioning.now", lambda: times.now() + 61_000_000)
    answer = await provisions(parts, code)
    assert (answer.status_code, "expired" in answer.json()["detail"]) == (403, True)


def asked(name: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


async def test_a_device_gets_its_certificate_for_a_key_that_never_left_it(
    parts: Parts, admin: httpx.AsyncClient
) -> None:
    code = await claimed(admin)
    assert problem(await provisions(parts, code, request=asked("pump-8"))) == (400, "bad_value")
    answer = (await provisions(parts, code, request=asked("pump-7"))).json()
    certificate = x509.load_pem_x509_certificate(answer["certificate"].encode())
    assert certificate.issuer == x509.load_pem_x509_certificate(answer["ca"].encode()).subject
    shown = Certificate(certificate.fingerprint(hashes.SHA256()).hex(), "pump-7")
    assert parts[2].identify_certificate(shown, "registry").device == "pump-7"


async def test_a_claims_certificate_provisions_and_does_nothing_else(parts: Parts, admin: httpx.AsyncClient) -> None:
    issued = Authority.new("CA").device("LINE-3")
    await claimed(admin, certificate=issued.certificate.decode())
    shown = Certificate(issued.held.fingerprint, "LINE-3")

    async def over_tls(scope: Any, receive: Any, send: Any) -> None:
        scope.setdefault("state", {})["certificate"] = shown
        await parts[0](scope, receive, send)

    assert (await provisions((over_tls, *parts[1:]), "")).status_code == 201  # type: ignore[arg-type]
    for by in ("registry", "cn"):
        with pytest.raises(Refused, match="for provisioning alone"):
            parts[2].identify_certificate(shown, by)


async def test_the_command_line_makes_lists_and_removes_claims(tmp_path: Path) -> None:
    async with program(tmp_path) as (url, _):
        headwater = at(url)
        added = await headwater("claims", "add", "LINE-3", "--names", "pump-*", "--uses", "5", "--group", "line-3")
        code = added.stdout.strip()
        async with httpx.AsyncClient() as device:
            headers = {"authorization": f"Bearer {code}", "content-type": "application/json"}
            answer = await device.post(f"{url}/api/v1/provision", headers=headers, content='{"name":"pump-7"}')
        assert answer.status_code == 201
        listed = (await works(headwater("claims", "list"))).split("\t")
        assert (listed[:3], listed[5]) == (["LINE-3", "pump-*", "4"], "line-3\n")
        await works(headwater("claims", "remove", "LINE-3"))
        assert await works(headwater("claims", "list")) == ""
