"""A table's Delta log: which files make the table at a version, and the ledger; and how the next version is committed.

In: files that are on disk, to add; files to remove; the ledger. Out: one JSON file, put whole at exactly the next
version or not at all (`Conflict`), so that two writers never both believe in their ledger. `docs/decisions/010` says
why this one step is not left to `deltalake`, which loads tables, makes checkpoints and tidies the log.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import msgspec
from deltalake import Schema

from headwater import __version__
from headwater.times import now
from storage.arrow import pa, pq
from storage.lake_files import LAST_CHECKPOINT, LOG, LakeFiles
from storage.lake_schema import DAY, Table
from storage.lake_snapshot import DataFile, Snapshot, add_action, from_action, from_row

_CHECKPOINT_FILE = re.compile(r"/(\d{20})\.checkpoint(\..+)?\.parquet$")
_COMMIT_FILE = re.compile(r"/(\d{20})\.json$")
_CONFIGURATION = {"delta.logRetentionDuration": "interval 1 days"}
"""Commits older than that, and summed up in a checkpoint, go. Nobody holds on to a version for so long."""
CHECKPOINT_EVERY = 50
"""Commits. Loading a table costs about a quarter of a millisecond for each commit since the last checkpoint."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Conflict(Exception):
    """Someone else has committed this version, or the table is not what it was. Look again, and decide again."""


class TableLog:
    """One table's log, followed commit by commit. For one thread at a time."""

    def __init__(self, files: LakeFiles, table: Table) -> None:
        self._files = files
        self._at: Snapshot | None = None
        self.table = table

    def create(self, kept: float) -> None:
        """Make the table unless it is there. `kept`: seconds that any engine's vacuum leaves replaced files alone."""
        if self._exists():
            return
        metadata = {
            "id": str(uuid4()),
            "format": {"provider": "parquet", "options": {}},
            "schemaString": Schema.from_arrow(self.table.schema.append(pa.field(DAY, pa.date32()))).to_json(),
            "partitionColumns": [DAY],
            "createdTime": now() // 1000,
            "configuration": _CONFIGURATION | {"delta.deletedFileRetentionDuration": f"interval {kept:.0f} seconds"},
        }
        actions = [{"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}, {"metaData": metadata}]
        try:
            self._files.put_new(self._commit_path(0), _lines("CREATE TABLE", actions))
        except FileExistsError:
            return

    def forget(self) -> None:
        """Begin anew with what is on disk, at the next look."""
        self._at = None

    def latest(self) -> Snapshot | None:
        """The newest version there is; None where there is no table. Raises `OSError`, `DeltaError`."""
        at = self._at
        if at is not None and (last := self._last_checkpoint()) <= at.version and self._stands(at.version, last):
            self._at = self._followed(at)
        else:
            self._at = self._load() if self._exists() else None
        return self._at

    def commit(
        self,
        at: Snapshot,
        operation: str,
        *,
        add: Sequence[DataFile] = (),
        remove: Iterable[DataFile] = (),
        transactions: Mapping[str, int],
    ) -> Snapshot:
        """Make the version after `at`, durably. Raises `Conflict`: nothing was committed; `OSError`: not known.

        `operation` "WRITE" brings rows, "DELETE" takes some away; others only move them. All transactions stand in
        every commit, so that the newest one alone gives the ledger.
        """
        version = at.version + 1
        moment, data = now() // 1000, operation in {"WRITE", "DELETE"}
        actions: list[dict[str, Any]] = [add_action(self.table, file, data=data) for file in add]
        actions += [_removed(file, moment, data=data) for file in remove]
        actions += [{"txn": {"appId": app, "version": at_most}} for app, at_most in sorted(transactions.items())]
        try:
            self._files.put_new(self._commit_path(version), _lines(operation, actions))
        except FileExistsError:
            raise Conflict from None
        if not self._follows(at.version):
            # A process that slept until this version was tidied away has put it back, below the checkpoint.
            self._files.remove([self._commit_path(version)])
            self.forget()
            raise Conflict
        self._at = _after(self.table, at, actions)
        return self._at

    def checkpoint_if_due(self) -> None:
        """Sum the log up if it has become long. Raises `OSError`, `DeltaError`."""
        if self._at is not None and self._at.version - max(0, self._last_checkpoint()) >= CHECKPOINT_EVERY:
            self._files.checkpoint(self.table.name)

    def tidy(self) -> None:
        """Remove commits that a checkpoint has summed up and nobody needs any more."""
        self._files.delta(self.table.name).cleanup_metadata()

    def unreferenced(self, hours: int) -> list[str]:
        """Files in the table's folders that no version of the last `hours` refers to, and that are older than that."""
        table = self._files.delta(self.table.name)
        found = table.vacuum(retention_hours=hours, dry_run=True, enforce_retention_duration=False, full=True)
        return [f"{self.table.name}/{unquote(path)}" for path in found]

    def _commit_path(self, version: int) -> str:
        return f"{self.table.name}/{LOG}/{version:020d}.json"

    def _exists(self) -> bool:
        return any(
            _COMMIT_FILE.search(file.path) or _CHECKPOINT_FILE.search(file.path)
            for file in self._files.list(f"{self.table.name}/{LOG}")
        )

    def _follows(self, version: int) -> bool:
        """Whether this version is still there to be followed by another one."""
        return self._stands(version, self._last_checkpoint())

    def _stands(self, version: int, last_checkpoint: int) -> bool:
        return last_checkpoint == version or self._read(version) is not None

    def _last_checkpoint(self) -> int:
        try:
            return int(_decode(self._files.read(f"{self.table.name}/{LAST_CHECKPOINT}"))["version"])
        except FileNotFoundError:
            return -1

    def _read(self, version: int) -> list[dict[str, Any]] | None:
        try:
            data = self._files.read(self._commit_path(version))
        except FileNotFoundError:
            return None
        return [_decode(line) for line in data.splitlines() if line]

    def _followed(self, at: Snapshot) -> Snapshot:
        while (actions := self._read(at.version + 1)) is not None:
            at = _after(self.table, at, actions)
        return at

    def _load(self) -> Snapshot:
        table = self._files.delta(self.table.name)
        version = table.version()
        rows = pa.table(table.get_add_actions(flatten=True)).to_pylist()
        files = {file.path: file for file in (from_row(self.table, row) for row in rows)}
        return self._followed(Snapshot(version, files, self._transactions(version), str(table.metadata().id)))

    def _transactions(self, version: int) -> dict[str, int]:
        """All app ids, of the newest commit that has them all, else of a checkpoint and the commits since."""
        newer: list[dict[str, int]] = []
        while (actions := self._read(version)) is not None:
            newer.append(_transactions_in(actions))
            if any(action.get("commitInfo", {}).get("transactions") == "all" for action in actions):
                break
            version -= 1
        else:
            newer.append(self._checkpointed(version))
        found: dict[str, int] = {}
        for transactions in reversed(newer):
            found |= transactions
        return found

    def _checkpointed(self, version: int) -> dict[str, int]:
        names = [
            (_CHECKPOINT_FILE.search(file.path), file.path) for file in self._files.list(f"{self.table.name}/{LOG}")
        ]
        usable = [(int(match[1]), path) for match, path in names if match is not None and int(match[1]) <= version]
        newest = max((number for number, _ in usable), default=-1)
        found: dict[str, int] = {}
        for path in (path for number, path in usable if number == newest):
            column = pq.read_table(pa.BufferReader(self._files.read(path)), columns=["txn"])["txn"]
            found |= {txn["appId"]: txn["version"] for txn in column.to_pylist() if txn is not None}
        return found


def _after(table: Table, at: Snapshot, actions: Sequence[Mapping[str, Any]]) -> Snapshot:
    files = dict(at.files)
    for action in actions:
        if "remove" in action:
            files.pop(unquote(action["remove"]["path"]), None)
    for action in actions:
        if "add" in action:
            file = from_action(table, action["add"])
            files[file.path] = file
    return Snapshot(at.version + 1, files, {**at.transactions, **_transactions_in(actions)}, at.table_id)


def _transactions_in(actions: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    return {action["txn"]["appId"]: action["txn"]["version"] for action in actions if "txn" in action}


def _removed(file: DataFile, moment: int, *, data: bool) -> dict[str, Any]:
    return {
        "remove": {
            "path": file.path,
            "deletionTimestamp": moment,
            "dataChange": data,
            "extendedFileMetadata": True,
            "partitionValues": {DAY: file.day},
            "size": file.size,
        }
    }


def _lines(operation: str, actions: Iterable[Mapping[str, Any]]) -> bytes:
    info = {
        "timestamp": now() // 1000,
        "operation": operation,
        "operationParameters": {},
        "engineInfo": f"headwater/{__version__}",
        "transactions": "all",
    }
    return b"\n".join(_encode(action) for action in ({"commitInfo": info}, *actions)) + b"\n"
