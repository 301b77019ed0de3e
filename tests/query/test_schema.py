"""Any request that the schema allows gets an answer that the schema describes; none that it forbids gets 200 or 500."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import positive_data_acceptance

from headwater.log import CANDIDATES, REJECTED
from tests.query.conftest import open_api, serving
from tests.storage.factory import candidate, message, rejected

# Left out: that whatever the schema allows is accepted. Times, cursors and the largest `limit` are checked in words.

ENDLESS = "/api/v1/stream"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An API with some data, in a thread of its own."""
    ready, stop = threading.Event(), threading.Event()
    found: list[str] = []

    async def serve(folder: Path) -> None:
        async with open_api(folder) as api, serving(api.app) as url:
            await api.say(*[message(n, device) for n in range(5) for device in ("7", "pump-7")])
            await api.write_live()
            api.log.put(CANDIDATES, candidate(1))
            api.log.put(REJECTED, rejected(1))
            command = {"name": "reboot", "id": "known", "expires": 3600}
            assert (await api.client.post("/api/v1/devices/pump-7/commands", json=command)).status_code == 201
            await api.client.post("/api/v1/devices/pump-7/commands/known/reply", json={"ok": True})
            shadow = await api.client.patch("/api/v1/devices/pump-7/shadow", json={"desired": {"speed": 1200}})
            assert shadow.status_code == 200
            api.door.open = False
            found.append(url)
            ready.set()
            while not stop.is_set():
                await asyncio.sleep(0.02)

    thread = threading.Thread(target=lambda: asyncio.run(serve(tmp_path_factory.mktemp("api"))))
    thread.start()
    assert ready.wait(20)
    try:
        yield found[0]
    finally:
        stop.set()
        thread.join(20)


def test_requests_and_answers_are_as_the_schema_says(served: str) -> None:
    schema = schemathesis.openapi.from_url(f"{served}/openapi.json")
    answered: set[tuple[str, int]] = set()
    operations: Any = schema.get_all_operations()
    for operation in operations:
        one = operation.ok()
        if one.path == ENDLESS:
            continue

        @settings(
            max_examples=10,
            deadline=None,
            derandomize=True,
            suppress_health_check=(HealthCheck.too_slow, HealthCheck.filter_too_much),
        )
        @given(case=one.as_strategy(), known=st.booleans())
        def check(case: Any, known: bool) -> None:
            if known and "device" in case.path_parameters:
                case.path_parameters["device"] = "pump-7"
                if "ident" in case.path_parameters:
                    case.path_parameters["ident"] = "known"
            case.headers["Authorization"] = "Bearer read" if case.method == "GET" else "Bearer admin"
            answered.add((case.path, case.call_and_validate(excluded_checks=[positive_data_acceptance]).status_code))

        check()
    paths = {path for path, _ in answered}
    assert len(paths) >= 10
    assert paths == {path for path, status in answered if status == 200}, answered
