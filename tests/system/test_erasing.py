"""A device is forgotten everywhere, whatever is killed meanwhile; all others keep what they have."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from tests.system.program import Program
from tests.system.waiting import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

GONE, STAYS = "badge-7", "badge-8"
PICTURE, SHARED = b"\x01" * 5000, b"\x02" * 5000
SETTINGS = {"HEADWATER_LAKE__FLUSH_EVERY": "300ms", "HEADWATER_LAKE__MAINTAIN_EVERY": "1h"}
TABLES = ("messages", "readings", "candidates", "rejected")
STEPS = ("erase.stores", "erase.blobs", "lake.erasing", "lake.erased", "erase.done")


def ask(program: Program, path: str, body: bytes | None = None, method: str | None = None, **headers: str) -> Any:
    request = urllib.request.Request(program.url + path, body, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.loads(reply.read() or b"null")


def status(program: Program, path: str) -> int:
    try:
        with urllib.request.urlopen(program.url + path, timeout=30) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code


def says(program: Program, device: str, first: int, count: int) -> None:
    """Each message is selected, for its text changes."""
    lines = [
        {"device": device, "id": f"m{n}", "fields": {"n": n, "door": f"door{n}"}, "position": {"lat": 50.0, "lon": 8.0}}
        for n in range(first, first + count)
    ]
    body = "\n".join(map(json.dumps, lines)).encode()
    assert ask(program, "/ingest", body, **{"Content-Type": "application/x-ndjson"})["accepted"] == count


def lives(program: Program, device: str) -> None:
    """Something of every kind that is kept of a device."""
    says(program, device, 0, 30)
    own = PICTURE if device == GONE else b"\x03" * 5000
    for picture in (own, SHARED):
        ask(program, f"/ingest/{device}/blob", picture, **{"Content-Type": "image/jpeg"})
    with pytest.raises(urllib.error.HTTPError):
        ask(program, f"/ingest/{device}", b"not json")
    shadow = json.dumps({"desired": {"name": device}}).encode()
    ask(program, f"/api/v1/devices/{device}/shadow", shadow, "PATCH", **{"Content-Type": "application/json"})
    command = json.dumps({"name": "open"}).encode()
    ask(program, f"/api/v1/devices/{device}/commands", command, **{"Content-Type": "application/json"})


def kept(program: Program, device: str) -> dict[str, int]:
    """How much there is of the device, wherever one can ask."""
    asked = {
        "history": f"devices/{device}/history?limit=1000",
        "candidates": f"devices/{device}/candidates?limit=1000",
        "search": f"search?q={device}&limit=1000",
        "words": "search?q=door:door7&limit=1000",
        "rows": f"reports/rows?device={device}&limit=1000",
        "minutes": f"reports/minute?device={device}&limit=1000",
        "days": f"reports/day?device={device}&limit=1000",
        "rejected": f"rejected?device={device}&limit=1000",
    }
    found: dict[str, int] = {}
    for what, path in asked.items():
        try:
            items = program.get(f"/api/v1/{path}")["items"]
        except urllib.error.HTTPError as error:
            if error.code != 404:  # that: nobody has heard of it
                raise
            items = []
        found[what] = len([one for one in items if device in json.dumps(one)])
    found["live"] = status(program, f"/api/v1/devices/{device}/latest") == 200
    found["shadow"] = status(program, f"/api/v1/devices/{device}/shadow") == 200
    found["commands"] = len(program.get(f"/api/v1/devices/{device}/commands")["items"])
    return found


def passes(program: Program) -> int:
    return int(program.get(f"/api/v1/registry/erasures/{GONE}")["passes"])


def settled(program: Program) -> dict[str, int]:
    """What is kept of the one that stays, when all that was said has arrived."""
    until(lambda: [kept(program, STAYS)[what] for what in ("candidates", "search", "rows")], [32, 32, 32], 60)
    return kept(program, STAYS)


def test_a_device_is_forgotten_by_all_stores_whatever_is_killed_on_the_way(tmp_path: Path) -> None:
    program = Program(tmp_path / "data", SETTINGS)
    program.start(failpoints=f"{STEPS[0]}=kill")
    try:
        program.run("devices", "add", GONE, "--attribute", "person=Ada")
        for device in (GONE, STAYS):
            lives(program, device)
        before = settled(program)
        until(lambda: kept(program, GONE), before, 60)
        assert all(before.values()), before
        program.run("devices", "erase", GONE, "--yes")
        assert program.wait_exit(60) == -9
        for step in STEPS[1:]:
            program.start(failpoints=f"{step}=kill")
            assert program.wait_exit(60) == -9, step
        program.start()
        until(lambda: passes(program), 1, 60)
        left = kept(program, GONE)
        assert not any(left.values()), left
        assert kept(program, STAYS) == before
        assert blobs(program) == 2  # its own is gone, the shared one and that of the other are not
        assert status(program, f"/api/v1/registry/devices/{GONE}") == 404
        assert "1" in program.run("devices", "erasures")
        assert program.stop() == 0
        assert {table: in_lake(program, table) for table in TABLES} == {table: {STAYS} for table in TABLES}
        program.start()
        program.run("devices", "add", GONE)  # the next one who has it
        says(program, GONE, 100, 5)
        until(lambda: [kept(program, GONE)[what] for what in ("history", "candidates", "rows")], [5, 5, 5], 30)
        until(lambda: waiting(program), 0, 30)
        said = program.run("audit", "--data", str(program.data))
        assert "nothing missing, nothing extra" in said
    finally:
        program.kill()


def waiting(program: Program) -> int:
    """Entries that stores have yet to take."""
    return sum(one["waiting"] for one in program.get("/api/v1/flow")["stores"].values())


def in_lake(program: Program, table: str) -> set[str]:
    """Devices that have rows there, as another engine reads it."""
    found: Any = DeltaTable(program.data / "lake" / table)
    return set(found.to_pyarrow_table(columns=["device"])["device"].to_pylist())


def blobs(program: Program) -> int:
    return len([path for path in (program.data / "blobs" / "sha256").rglob("*") if path.is_file()])
