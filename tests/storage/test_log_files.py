"""Log files in a folder and in a bucket: whole, never overwritten, dropped by day, and readable by others."""

from pathlib import Path

import duckdb
import pytest

from storage.log_files import SERVICE, LogFiles, drop_days, path_of, put_lines, read_lines
from tests.services.server import Server
from tests.storage.log_kit import bucket, contents, local, paths

_DAY = 86_400
_NOON = round(1_763_726_400 * 1e6)  # 2025-11-21T12:00:00Z


@pytest.fixture(params=["folder", "bucket"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> LogFiles:
    if request.param == "folder":
        return local(tmp_path)
    server: Server = request.getfixturevalue("minio_server")
    return bucket(server)


def test_a_file_is_written_once_and_again_only_with_the_same_content(files: LogFiles):
    path = path_of(SERVICE, "2025-11-21", "one")
    assert put_lines(files, path, [b'{"a":1}\n', b'{"a":2}\n'])
    assert put_lines(files, path, [b'{"a":1}\n', b'{"a":2}\n']), "a try whose answer was lost"
    assert not put_lines(files, path, [b'{"a":3}\n']), "the name is taken"
    assert read_lines(files, path) == [b'{"a":1}', b'{"a":2}']
    assert paths(files, SERVICE) == ["logs/service/date=2025-11-21/one.jsonl.gz"]


def test_days_are_dropped_when_they_ended_longer_ago_than_is_kept(files: LogFiles):
    for day in ("2025-11-18", "2025-11-19", "2025-11-20", "2025-11-21"):
        for name in ("one", "two"):
            put_lines(files, path_of(SERVICE, day, name), [b"{}\n"])
    assert drop_days(files, SERVICE, 1.4 * _DAY, _NOON) == [f"{SERVICE}/date=2025-11-18", f"{SERVICE}/date=2025-11-19"]
    assert drop_days(files, SERVICE, 1.4 * _DAY, _NOON) == []
    assert len(paths(files, SERVICE)) == 4
    assert drop_days(files, SERVICE, 0, _NOON) == [f"{SERVICE}/date=2025-11-20"]
    assert {path.split("/")[2] for path in paths(files, SERVICE)} == {"date=2025-11-21"}


def test_where_nothing_was_written_there_is_nothing(files: LogFiles):
    assert contents(files, SERVICE) == []
    assert drop_days(files, SERVICE, 0, _NOON) == []


def test_a_damaged_file_is_an_error(files: LogFiles):
    path = path_of(SERVICE, "2025-11-21", "one")
    files.put_new(path, b"\x1f\x8b half a file")
    with pytest.raises(OSError, match=r"one\.jsonl\.gz"):
        read_lines(files, path)


def test_other_engines_read_the_folder_as_one_table(tmp_path: Path):
    files = local(tmp_path)
    put_lines(files, path_of(SERVICE, "2025-11-20", "one"), [b'{"event":"a","level":"error"}\n'])
    put_lines(files, path_of(SERVICE, "2025-11-21", "two"), [b'{"event":"b","level":"info","port":1}\n'])
    found = duckdb.execute(
        f"SELECT date::VARCHAR, event, port FROM read_json('{tmp_path}/lake/logs/service/*/*.jsonl.gz', "
        "hive_partitioning = true, union_by_name = true) ORDER BY event"
    ).fetchall()
    assert found == [("2025-11-20", "a", None), ("2025-11-21", "b", 1)]
