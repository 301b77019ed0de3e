"""A lake table at one version: its files with the range of their rows, and the ledgers.

In: `add` actions of a Delta log, as JSON or as `deltalake` lists them. Out: `DataFile`s, and which of them may hold
what a question asks for.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import unquote

from headwater.times import SECOND
from storage.arrow import Rows, pc
from storage.lake_schema import DAY, Table

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLI = 1000


class DataFile(NamedTuple):
    """A Parquet file of a table and the range of its rows; `time` in microseconds; None: not known.

    `path` is relative to the table; `modified`: when it was written, seconds since 1970.
    """

    path: str
    day: str
    size: int
    rows: int
    modified: float
    device: tuple[str, str] | None = None
    time: tuple[int, int] | None = None

    def joined(self, more: "DataFile") -> "DataFile":
        """The same file with more rows."""
        return self._replace(
            rows=self.rows + more.rows, device=_around(self.device, more.device), time=_around(self.time, more.time)
        )

    def may_hold(self, device: str | None, start: int | None, end: int | None) -> bool:
        """Whether rows of the device with start <= time < end can be in it."""
        if device is not None and self.device is not None and not self.device[0] <= device <= self.device[1]:
            return False
        if self.time is None:
            return True
        return (end is None or self.time[0] < end) and (start is None or self.time[1] >= start)


class Snapshot(NamedTuple):
    """The table at one version. `transactions`: Delta app id → version, which is what ledgers are kept in."""

    version: int
    files: Mapping[str, DataFile]
    transactions: Mapping[str, int]
    table_id: str

    def ledger(self, log_id: str, topic: str) -> dict[int, int]:
        """Partition → highest position applied, for this log."""
        prefix = f"{log_id}/{topic}/"
        return {
            int(app[len(prefix) :]): position for app, position in self.transactions.items() if app.startswith(prefix)
        }


def described(table: Table, path: str, day: str, size: int, rows: Rows, modified: float) -> DataFile:
    """A file that is going to hold these rows."""
    device = pc.min_max(rows["device"])
    time = pc.min_max(rows[table.stamp].cast("int64"))
    return DataFile(
        path,
        day,
        size,
        rows.num_rows,
        modified,
        (device["min"].as_py(), device["max"].as_py()),
        (time["min"].as_py(), time["max"].as_py()),
    )


def add_action(table: Table, file: DataFile, *, data: bool) -> dict[str, Any]:
    """The Delta action that adds it; `data`: it brings rows that were not there."""
    stats: dict[str, Any] = {"numRecords": file.rows, "minValues": {}, "maxValues": {}, "nullCount": {}}
    if file.device is not None:
        stats["minValues"]["device"], stats["maxValues"]["device"] = file.device
        stats["nullCount"]["device"] = 0
    if file.time is not None:
        # The protocol has milliseconds here: the range is widened to whole ones.
        low, high = file.time[0] // _MILLI * _MILLI, -(-file.time[1] // _MILLI) * _MILLI
        stats["minValues"][table.stamp], stats["maxValues"][table.stamp] = _written(low), _written(high)
        stats["nullCount"][table.stamp] = 0
    return {
        "add": {
            "path": file.path,
            "partitionValues": {DAY: file.day},
            "size": file.size,
            "modificationTime": int(file.modified * 1000),
            "dataChange": data,
            "stats": json.dumps(stats, ensure_ascii=False, separators=(",", ":")),
        }
    }


def from_action(table: Table, add: Mapping[str, Any]) -> DataFile:
    """What an `add` action of a commit says; other engines may leave statistics out."""
    stats = json.loads(add.get("stats") or "{}")
    low, high = stats.get("minValues", {}), stats.get("maxValues", {})
    return _file(
        unquote(add["path"]),
        add["partitionValues"][DAY],
        add["size"],
        stats.get("numRecords", 0),
        add["modificationTime"],
        (low.get("device"), high.get("device")),
        (_read(low.get(table.stamp)), _read(high.get(table.stamp))),
    )


def from_row(table: Table, row: Mapping[str, Any]) -> DataFile:
    """What `deltalake` says of a file (`get_add_actions(flatten=True)`)."""
    stamps = (row.get(f"min.{table.stamp}"), row.get(f"max.{table.stamp}"))
    return _file(
        row["path"],
        str(row[f"partition.{DAY}"]),
        row["size_bytes"],
        row.get("num_records") or 0,
        row["modification_time"],
        (row.get("min.device"), row.get("max.device")),
        (_micros(stamps[0]), _micros(stamps[1])),
    )


def _file(
    path: str,
    day: str,
    size: int,
    rows: int,
    modified: int,
    device: tuple[str | None, str | None],
    time: tuple[int | None, int | None],
) -> DataFile:
    return DataFile(path, day, size, rows, modified / 1000, _both(*device), _both(*time))


def _around(one: Any, other: Any) -> Any:
    return one and other and (min(one[0], other[0]), max(one[1], other[1]))


def _both(low: Any, high: Any) -> Any:
    return None if low is None or high is None else (low, high)


def _written(micros: int) -> str:
    moment = datetime.fromtimestamp(micros // SECOND, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{micros % SECOND // _MILLI:03d}Z"


def _read(stamp: str | None) -> int | None:
    return None if stamp is None else _micros(datetime.fromisoformat(stamp))


def _micros(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    gap = moment - _EPOCH
    return (gap.days * 86_400 + gap.seconds) * SECOND + gap.microseconds
