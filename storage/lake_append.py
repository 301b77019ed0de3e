"""One batch into one table: its files first, then the commit that makes them count, whoever else writes.

In: a batch and the table as it is. Out: rows and ledger at one version of the table. Only the version after the one
whose ledger filtered the batch is tried, so what a rival has committed meanwhile is seen before anything is.
"""

import random
import time
from collections.abc import Callable
from contextlib import suppress
from uuid import uuid4

from headwater.errors import Unavailable
from storage.contract import Record
from storage.lake_batch import Batch
from storage.lake_files import LakeFiles
from storage.lake_log import Conflict, TableLog
from storage.lake_schema import DAY
from storage.lake_snapshot import DataFile, Snapshot, described

TRIES = 50
_PAUSE = 0.005
FRESH = 1800.0
"""Seconds that a file may wait for its commit. Vacuum removes files that nobody refers to after an hour at least."""


class Append:
    """`prepare`, then `commit`. `look`: the table's newest version."""

    def __init__(
        self, files: LakeFiles, log: TableLog, batch: Batch, log_id: str, look: Callable[[TableLog], Snapshot]
    ) -> None:
        self._files = files
        self.log = log
        self._batch = batch
        self._log_id = log_id
        self._look = look
        self._at: Snapshot | None = None
        self._records: list[Record] = []
        self.ledger: dict[int, int] = {}
        """With the batch in it: the table's, once `commit` has returned."""
        self._written: list[DataFile] = []
        self._prepared = 0.0

    def prepare(self) -> None:
        """Write the files of what is new to the table, durably; nothing refers to them yet."""
        self._at = at = self._look(self.log)
        records, self.ledger = self._batch.new_to(at.ledger(self._log_id, self.log.table.topic))
        if records == self._records and time.monotonic() - self._prepared < FRESH:
            return
        self.drop()
        self._records, self._prepared = records, time.monotonic()
        if records:
            for day, rows in self._batch.rows(self.log.table, records).items():
                data = self.log.table.bytes(rows)
                path = f"{DAY}={day}/{uuid4().hex}.parquet"
                file = described(self.log.table, path, day, data.nbytes, rows, time.time())
                self._files.put(self._path(file), data)
                self._written.append(file)

    def commit(self) -> int:
        """Make it count; returns how many records were new. Raises `Unavailable` after losing too many races."""
        for attempt in range(TRIES):
            if self._at is None or not self._records:
                return 0
            topic = self.log.table.topic
            moved = {f"{self._log_id}/{topic}/{partition}": at_most for partition, at_most in self.ledger.items()}
            try:
                self.log.commit(self._at, "WRITE", add=self._written, transactions={**self._at.transactions, **moved})
            except Conflict:
                time.sleep(random.random() * _PAUSE * min(attempt + 1, 20))  # noqa: S311 -- not for secrets
                self.prepare()
            else:
                self._written = []
                return len(self._records)
        raise Unavailable(f"{self.log.table.name}: {TRIES} others came first")

    def drop(self) -> None:
        """Remove files that were written for nothing. Only before the commit was tried, or when it surely failed."""
        with suppress(OSError):
            self._files.remove([self._path(file) for file in self._written])
        self._written = []

    def _path(self, file: DataFile) -> str:
        return f"{self.log.table.name}/{file.path}"
