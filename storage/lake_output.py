"""New files of one table and day, written piece by piece, for what many files become.

In: sorted rows, a batch at a time. Out: files of about the asked size, on disk, with the range of their rows.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from storage.arrow import Rows, pq
from storage.lake_files import LakeFiles
from storage.lake_schema import DAY, ROW_GROUP, Table
from storage.lake_snapshot import DataFile, described

COMPACT = "compact-"
"""What the names of files begin with that hold one row an id of all that a closed day had."""


class Output:
    """`inputs`: what is going to be in it, for an even size of files. `kind`: what names begin with."""

    def __init__(
        self, files: LakeFiles, table: Table, day: str, inputs: Sequence[DataFile], file_size: int, kind: str
    ) -> None:
        self._files = files
        self._table = table
        self._day = day
        self._kind = kind
        pieces = max(1, sum(file.size for file in inputs) // max(1, file_size))
        rows = -(-sum(file.rows for file in inputs) // pieces)
        self._most_rows = max(1, -(-rows // ROW_GROUP)) * ROW_GROUP
        self._writer: Any = None
        self._local: Path = files.scratch / "none"
        self._so_far: DataFile | None = None
        self._made: list[DataFile] = []

    def write(self, rows: Rows) -> None:
        """The next rows, in order."""
        while rows.num_rows:
            room = self._most_rows - (self._so_far.rows if self._so_far else 0)
            self._put(rows.slice(0, room))
            rows = rows.slice(room)

    def close(self) -> list[DataFile]:
        """The files, durable."""
        self._finish()
        return self._made

    def discard(self) -> None:
        """Remove what was written."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._local.unlink(missing_ok=True)
        self._files.remove(f"{self._table.name}/{file.path}" for file in self._made)

    def _put(self, rows: Rows) -> None:
        if self._writer is None:
            self._local = self._files.scratch / f"{uuid4().hex}.parquet"
            self._writer = pq.ParquetWriter(self._local, self._table.schema, **self._table.parquet())
        self._writer.write_table(rows, row_group_size=ROW_GROUP)
        path = f"{DAY}={self._day}/{self._kind}{self._local.name}"
        part = described(self._table, path, self._day, 0, rows, time.time())
        self._so_far = part if self._so_far is None else self._so_far.joined(part)
        if self._so_far.rows >= self._most_rows:
            self._finish()

    def _finish(self) -> None:
        if self._writer is None or self._so_far is None:
            return
        self._writer.close()
        self._writer = None
        made = self._so_far._replace(size=self._local.stat().st_size, modified=time.time())
        self._files.adopt(f"{self._table.name}/{made.path}", self._local)
        self._made.append(made)
        self._so_far = None
