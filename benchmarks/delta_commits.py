"""What `deltalake` does with commits that meet, and what a commit costs: the facts behind docs/decisions/010.

Run: `python -m benchmarks.delta_commits [--commits N]`. Prints one line a fact, as the installed version behaves.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction
from deltalake import __version__ as version
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, RemoveAction

from storage.arrow import pa, pq
from storage.lake_files import LocalFiles
from storage.lake_log import TableLog
from storage.lake_schema import DAY, REJECTED_TABLE

_DAY = "2025-11-21"
_SCHEMA = pa.schema([("device", pa.string()), (DAY, pa.date32())])
_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
_COMMITTED, _REFUSED = "committed", "CommitFailedError"


def table(folder: Path) -> DeltaTable:
    return DeltaTable.create(folder, _SCHEMA, partition_by=[DAY])


def added(folder: Path, name: str) -> AddAction:
    path = folder / f"{DAY}={_DAY}" / f"{name}.parquet"
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table({"device": ["a"]}), path)
    stats = json.dumps({"numRecords": 1})
    return AddAction(
        f"{DAY}={_DAY}/{path.name}",
        path.stat().st_size,
        {DAY: _DAY},
        time.time_ns() // 10**6,
        data_change=True,
        stats=stats,
    )


def removed(path: str) -> RemoveAction:
    return RemoveAction(path, False, time.time_ns() // 10**6, 1, {DAY: _DAY})  # noqa: FBT003 -- the library's order


def commit(
    at: DeltaTable, actions: Sequence[AddAction | RemoveAction], ledger: dict[str, int], retries: int | None = None
) -> str:
    properties = CommitProperties(
        max_commit_retries=retries, app_transactions=[Transaction(app, position) for app, position in ledger.items()]
    )
    try:
        at.create_write_transaction(
            list(actions), "append", _SCHEMA, [DAY], commit_properties=properties, post_commithook_properties=_HOOKS
        )
    except CommitFailedError:
        return _REFUSED
    return _COMMITTED


def same_app_id_at_once(folder: Path) -> str:
    table(folder)
    one, other = DeltaTable(folder), DeltaTable(folder)
    commit(one, [added(folder, "one")], {"p0": 10})
    return commit(other, [added(folder, "other")], {"p0": 10, "p1": 3})


def same_version_later(folder: Path) -> str:
    table(folder)
    commit(DeltaTable(folder), [added(folder, "one")], {"p0": 10})
    return commit(DeltaTable(folder), [added(folder, "again")], {"p0": 10})


def two_that_replace(folder: Path, retries: int | None) -> str:
    """Two rewrites of the same file from the same version; then how many rows of one there are."""
    table(folder)
    commit(DeltaTable(folder), [added(folder, "old")], {})
    one, other = DeltaTable(folder), DeltaTable(folder)
    old = f"{DAY}={_DAY}/old.parquet"
    commit(one, [removed(old), added(folder, "new1")], {}, retries)
    second = commit(other, [removed(old), added(folder, "new2")], {}, retries)
    return f"{second}; the row is there {len(DeltaTable(folder).file_uris())} times"


def torn_commit(folder: Path, data: bytes) -> str:
    """The table when its newest commit has only these bytes, as after a power cut."""
    table(folder)
    commit(DeltaTable(folder), [added(folder, "one")], {"p0": 10})
    (folder / "_delta_log" / f"{2:020d}.json").write_bytes(data)
    try:
        return f"opens, at version {DeltaTable(folder).version()}"
    except DeltaError as error:
        return f"does not open: {str(error).splitlines()[0]}"


def syncs(folder: Path) -> str:
    """How often the library asks the disk to keep what it committed."""
    if shutil.which("strace") is None:
        return "not measured: no strace here"
    program = f"from benchmarks.delta_commits import *; same_version_later(Path({str(folder)!r}))"
    trace = folder.with_suffix(".trace")
    command = ["strace", "-f", "-o", str(trace), "-e", "trace=fsync,fdatasync,linkat", sys.executable, "-c", program]
    subprocess.run(command, check=True)
    lines = trace.read_text().splitlines()
    links = sum("linkat(" in line and "_delta_log" in line for line in lines)
    return f"{sum('sync(' in line for line in lines)} fsync for {links} commits"


def cost(folder: Path, commits: int) -> str:
    """CPU time of a commit, and of seeing it, so many commits after the last checkpoint."""
    library = table(folder / "library")
    before = time.process_time()
    for number in range(commits):
        add = AddAction(f"{DAY}={_DAY}/{number}.parquet", 1, {DAY: _DAY}, 0, data_change=True, stats='{"numRecords":1}')
        commit(library, [add], {"p0": number}, retries=0)
        library.update_incremental()
    theirs = (time.process_time() - before) / commits
    files = LocalFiles(folder / "ours")
    files.open()
    log = TableLog(files, REJECTED_TABLE)
    log.create(0)
    before = time.process_time()
    for number in range(commits):
        at = log.latest()
        if at is not None:
            log.commit(at, "WRITE", transactions={"p0": number})
    ours = (time.process_time() - before) / commits
    files.close()
    return f"{1000 * theirs:.1f} ms with the library, {1000 * ours:.2f} ms (and its fsyncs) with storage/lake_log.py"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commits", type=int, default=50, help="as many as the lake lets come between checkpoints")
    commits: int = parser.parse_args().commits
    half = b'{"commitInfo":{"timestamp":1}}\n{"add":{"path":"da'
    facts: list[tuple[str, Callable[[Path], str]]] = [
        ("a commit with an app id that another one has moved since this table was loaded", same_app_id_at_once),
        ("a commit with the app id and version of one that is there already", same_version_later),
        ("two commits that replace the same file at once, the library retrying", lambda at: two_that_replace(at, None)),
        ("the same with max_commit_retries=0", lambda at: two_that_replace(at, 0)),
        ("fsync", syncs),
        ("a table whose newest commit is empty", lambda at: torn_commit(at, b"")),
        ("a table whose newest commit is half there", lambda at: torn_commit(at, half)),
        (f"CPU time of a commit, {commits} of them without a checkpoint", lambda at: cost(at, commits)),
    ]
    print(f"deltalake {version}")
    with tempfile.TemporaryDirectory() as folder:
        for number, (what, found) in enumerate(facts):
            print(f"- {what}: {found(Path(folder) / str(number))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
