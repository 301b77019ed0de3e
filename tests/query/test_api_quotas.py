"""Who asks the API too often is told when to come again; everyone else goes on."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from headwater.config_quotas import Quotas as Limits
from headwater.credentials import digest
from headwater.registry import ApiKey
from ingest.quotas import Quotas
from tests.query.registry_app import registry_app
from tests.query.test_registry_api import Parts, asking, problem


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


CLOCK = Clock()


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncGenerator[Parts, None]:
    async with registry_app(tmp_path) as made:
        for name in ("one", "other"):
            assert await made[2].applied(await made[1].put_key(ApiKey(name, digest(f"hw_k_{name}"), ("admin",))))
        made[0].state.quotas = Quotas(Limits(requests=0.25, claims=0.1), CLOCK)
        yield made


async def test_a_key_has_its_rate_and_others_theirs(parts: Parts) -> None:
    async with (
        asking(parts[0], authorization="Bearer hw_k_one") as one,
        asking(parts[0], authorization="Bearer hw_k_other") as other,
        asking(parts[0]) as nobody,
    ):
        assert [(await one.get("/devices")).status_code for _ in range(3)] == [200, 200, 429]
        late = await one.get("/devices")
        assert problem(late) == (429, "over_quota")
        assert 1 <= int(late.headers["retry-after"]) <= 4
        assert (await other.get("/devices")).status_code == 200
        assert all([(await nobody.get("/devices")).status_code == 200 for _ in range(10)])
        CLOCK.now += 4
        assert (await one.get("/devices")).status_code == 200


async def test_what_is_refused_for_who_they_are_counts_for_nobody(parts: Parts) -> None:
    async with asking(parts[0], authorization="Bearer wrong") as stranger:
        assert [(await stranger.get("/devices")).status_code for _ in range(5)] == [401] * 5


async def test_devices_that_come_by_claims_from_one_address_have_a_rate(parts: Parts) -> None:
    url = "http://127.0.0.1:8080/api/v1/provision"
    async with (
        asking(parts[0], peer="203.0.113.9", authorization="Bearer hw_c_wrong") as one,
        asking(parts[0], peer="203.0.113.10", authorization="Bearer hw_c_wrong") as other,
    ):
        assert problem(await one.post(url, json={"name": "a"})) == (401, "bad_credentials")
        late = await one.post(url, json={"name": "a"})
        assert problem(late) == (429, "over_quota")
        assert 1 <= int(late.headers["retry-after"]) <= 10
        assert problem(await other.post(url, json={"name": "a"})) == (401, "bad_credentials")
