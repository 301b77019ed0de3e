"""`headwater audit` names what is missing or extra, whichever store it was taken from; and says when all is well."""

import json
import sqlite3
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from deltalake import DeltaTable

from tests.system.program import Program

pytestmark = pytest.mark.process

_GHOST = "INSERT INTO device SELECT 'ghost', replace(state, 'd-4', 'ghost') FROM device WHERE device = 'd-4'"


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Program]:
    """A data folder with fifty messages of five devices, some rejected ones, and no process on it."""
    program = Program(tmp_path / "data", {"HEADWATER_LAKE__FLUSH_EVERY": "500ms"})
    program.start()
    lines = [
        {"device": f"d-{number % 5}", "id": f"m-{number}", "seq": number, "fields": {"value": number}}
        for number in range(50)
    ]
    body = "\n".join([*map(json.dumps, lines), '{"device": "d-0"}']).encode()
    request = urllib.request.Request(f"{program.url}/ingest", body, {"Content-Type": "application/x-ndjson"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        assert json.loads(reply.read())["accepted"] == 50
    assert "nothing missing, nothing extra" in program.run("audit")
    assert program.stop() == 0
    yield program
    program.kill()


def test_without_a_process_the_same_is_found(stopped: Program):
    said = stopped.run("audit", "--patience", "1")
    assert "messages: log and lake: 50 compared, 0 missing, 0 extra" in said
    assert "rejected: log and lake: 1 compared, 0 missing, 0 extra" in said


def test_a_message_taken_from_the_lake_is_named(stopped: Program):
    DeltaTable(str(stopped.data / "lake" / "messages")).delete("id = 'm-17'")
    said = stopped.run("audit", "--patience", "1", ok=False)
    assert "missing: message m-17 of device d-2 in the lake" in said
    assert "NOT CLEAN" in said


def test_a_candidate_taken_from_the_lake_is_named(stopped: Program):
    table = DeltaTable(str(stopped.data / "lake" / "candidates"))
    identifier = table.to_pyarrow_table(columns=["id"])["id"][0].as_py()
    table.delete(f"id = '{identifier}'")
    assert f"missing: {identifier} of candidates in the lake" in stopped.run("audit", "--patience", "1", ok=False)


def test_a_rejected_message_taken_from_the_lake_is_named(stopped: Program):
    DeltaTable(str(stopped.data / "lake" / "rejected")).delete("reason = 'no_fields'")
    assert "of rejected in the lake" in stopped.run("audit", "--patience", "1", ok=False)


def test_a_device_taken_from_the_live_state_is_named(stopped: Program):
    with sqlite3.connect(stopped.data / "live.sqlite") as live:
        assert live.execute("DELETE FROM device WHERE device = 'd-3'").rowcount == 1
    assert "missing: device d-3 in the live state" in stopped.run("audit", "--patience", "1", ok=False)


def test_what_only_the_live_state_has_is_extra(stopped: Program):
    with sqlite3.connect(stopped.data / "live.sqlite") as live:
        assert live.execute(_GHOST).rowcount == 1
    assert "extra: live value of value of device ghost: no message m-49 anywhere" in stopped.run(
        "audit", "--patience", "1", ok=False
    )
