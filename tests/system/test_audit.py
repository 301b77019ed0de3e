"""`headwater audit` names what is missing or extra, whichever store it was taken from; and says when all is well."""

import json
import shutil
import sqlite3
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest
from deltalake import DeltaTable

from tests.system.program import Program

pytestmark = pytest.mark.process

_GHOST = "INSERT INTO device SELECT 'ghost', replace(state, 'd-4', 'ghost') FROM device WHERE device = 'd-4'"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with fifty messages of five devices, all of them candidates, some rejected ones; no process on it."""
    settings = {"HEADWATER_LAKE__FLUSH_EVERY": "500ms", "HEADWATER_SELECTION__CHECKPOINT_EVERY": "500ms"}
    program = Program(tmp_path_factory.mktemp("filled") / "data", settings)
    try:
        program.start()
        fields = [{"value": number, "word": f"w{number}"} for number in range(50)]
        lines = [
            {"device": f"d-{number % 5}", "id": f"m-{number}", "seq": number, "fields": said}
            for number, said in enumerate(fields)
        ]
        body = "\n".join([*map(json.dumps, lines), '{"device": "d-0"}']).encode()
        request = urllib.request.Request(f"{program.url}/ingest", body, {"Content-Type": "application/x-ndjson"})
        with urllib.request.urlopen(request, timeout=30) as reply:
            assert json.loads(reply.read())["accepted"] == 50
        settled = program.run("audit")
        assert "nothing missing, nothing extra" in settled
        assert program.stop() == 0
    finally:
        program.kill()
    return program.data


@pytest.fixture
def stopped(filled: Path, tmp_path: Path) -> Program:
    """A copy of it."""
    shutil.copytree(filled, tmp_path / "data")
    return Program(tmp_path / "data")


def test_without_a_process_the_same_is_found_and_nothing_is_written(stopped: Program):
    before = contents(stopped.data)
    said = stopped.run("audit", "--patience", "1")
    assert "messages: log and lake: 50 compared, 0 missing, 0 extra" in said
    assert "rejected: log and lake: 1 compared, 0 missing, 0 extra" in said
    for store in ("documents", "search"):
        assert f"{store}: candidates: 50 compared, 0 missing, 0 extra" in said
    assert "reports: rows: 50 compared, 0 missing, 0 extra" in said
    assert contents(stopped.data) == before


def test_what_was_taken_from_the_lake_is_named(stopped: Program):
    DeltaTable(str(stopped.data / "lake" / "messages")).delete("id = 'm-17'")
    DeltaTable(str(stopped.data / "lake" / "rejected")).delete("reason = 'no_fields'")
    table = DeltaTable(str(stopped.data / "lake" / "candidates"))
    identifier = table.to_pyarrow_table(columns=["id"])["id"][0].as_py()
    table.delete(f"id = '{identifier}'")
    said = stopped.run("audit", "--patience", "1", ok=False)
    assert "missing: message m-17 of device d-2 in the lake; on the log at partition " in said
    assert "of rejected in the lake" in said
    assert f"missing: {identifier} of candidates in the lake" in said
    assert "NOT CLEAN" in said


def test_what_was_taken_from_the_other_stores_is_named(stopped: Program):
    change(stopped, "live", "DELETE FROM device WHERE device = 'd-3'")
    change(stopped, "documents", "DELETE FROM candidate WHERE id = '{}'", one := candidate(stopped, 11))
    change(stopped, "search", "DELETE FROM candidate WHERE id = '{}'", other := candidate(stopped, 12))
    change(stopped, "reports", "DELETE FROM report_row WHERE id = 'm-22'")
    change(stopped, "reports", "DELETE FROM report_hour WHERE device = 'd-1'")
    change(stopped, "reports", "UPDATE report_day SET total = '5' WHERE device = 'd-2'")
    said = stopped.run("audit", "--patience", "1", ok=False)
    assert "missing: device d-3 in the live state" in said
    assert f"missing: candidate {one} in documents; on the log at partition " in said
    assert f"missing: candidate {other} in search; on the log at partition " in said
    assert "missing: message m-22 of device d-2 in the rows of the reports; on the log at partition " in said
    assert " of value of device d-1: count 10, sum 235" in said
    assert " of value of device d-2 is count 10, sum 5; its messages give count 10, sum 245" in said
    assert said.count("missing: ") == 5
    assert said.count("wrong: ") == 1


def test_what_only_one_store_has_is_extra(stopped: Program):
    change(stopped, "live", _GHOST)
    for store, columns in (
        ("documents", "device, 'ghost', time, revision, body"),
        ("search", "NULL, 'ghost', revision, time, lat, lon, json"),
    ):
        change(stopped, store, f"INSERT INTO candidate SELECT {columns} FROM candidate LIMIT 1")
    change(
        stopped,
        "reports",
        "INSERT INTO report_row SELECT device, 'ghost', received, time, body FROM report_row LIMIT 1",
    )
    change(stopped, "reports", "UPDATE report_minute SET device = 'ghost' WHERE device = 'd-4'")
    said = stopped.run("audit", "--patience", "1", ok=False)
    assert "extra: live value of value of device ghost: no message m-49 anywhere" in said
    assert "extra: candidate ghost in documents; it is nowhere else" in said
    assert "extra: candidate ghost in search; it is nowhere else" in said
    assert "extra: row of message ghost of device " in said
    assert " of value of device ghost: count " in said
    assert " of value of device d-4: count " in said


def test_an_older_revision_and_a_store_that_is_gone_are_told(stopped: Program):
    change(stopped, "documents", "UPDATE candidate SET revision = -1 WHERE id = '{}'", one := candidate(stopped, 11))
    (stopped.data / "search.sqlite").unlink()
    said = stopped.run("audit", "--patience", "1", ok=False)
    assert f"wrong: candidate {one} in documents is revision -1; the newest is 0" in said
    assert "BAD  search: candidates: not compared: " in said
    assert said.count("BAD") == 2
    assert not (stopped.data / "search.sqlite").exists()


def contents(folder: Path) -> dict[str, bytes]:
    """All files but those in which SQLite's readers meet."""
    names = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal")))
    return {str(path): path.read_bytes() for path in names}


def change(program: Program, store: str, statement: str, *values: str) -> None:
    with closing(sqlite3.connect(program.data / f"{store}.sqlite")) as file, file:
        assert file.execute(statement.format(*values)).rowcount > 0


def candidate(program: Program, number: int) -> str:
    """The id of the number-th candidate."""
    with closing(sqlite3.connect(program.data / "documents.sqlite")) as file:
        return file.execute("SELECT id FROM candidate ORDER BY id LIMIT 1 OFFSET ?", (number,)).fetchone()[0]
