"""The lake's tables: columns, order of rows, and how Parquet writes each column. All by day of arrival (UTC).

Out: a `Table` each for messages, readings, candidates, rejected. Encodings are chosen by measuring
(`benchmarks/lake_encodings.py`), and widely readable: DuckDB, pyarrow and arrow-rs are tried in the tests.
"""

from dataclasses import dataclass
from typing import Any

from headwater.log import CANDIDATES, MESSAGES, REJECTED
from storage.arrow import Rows, pa, pq

READINGS = "readings"
DAY = "day"
"""The column that tables are partitioned by: the date of `received`. It stands in the folders, not in the files."""

ROW_GROUP = 64 * 1024
"""Rows. A device's rows stand together, so a reader takes the one or two groups that have it; small ones cost size."""

STAMP = pa.timestamp("us", "UTC")
HEARD = pa.struct([("gateway", pa.string()), ("rssi", pa.float64()), ("snr", pa.float64())])
NUMBERS = pa.map_(pa.string(), pa.float64())
BOOLS = pa.map_(pa.string(), pa.bool_())
TEXTS = pa.map_(pa.string(), pa.string())
ORIGIN = pa.struct([("partition", pa.int32()), ("offset", pa.int64()), ("n", pa.int64())])

_SAID = [
    ("id", pa.string()),
    ("received", STAMP),
    ("at", STAMP),
    ("flag", pa.string()),
    ("kind", pa.string()),
    ("seq", pa.int64()),
    ("via", pa.string()),
    ("numbers", NUMBERS),
    ("bools", BOOLS),
    ("texts", TEXTS),
    ("lat", pa.float64()),
    ("lon", pa.float64()),
    ("alt", pa.float64()),
    ("accuracy", pa.float64()),
    ("heard_by", pa.list_(HEARD)),
    ("decoder", pa.string()),
    ("raw", pa.binary()),
]
_WHERE = [("partition", pa.int32()), ("offset", pa.int64())]
SAID = pa.struct([("device", pa.string()), ("time", STAMP), *_SAID])
"""A message within a candidate: the columns of `messages` without its place on the log."""


@dataclass(frozen=True)
class Table:
    """One table. `order`: how rows are sorted within a file. `topic`: whose entries it is made of.

    `identity`: rows that agree in these are one to the user; the first by `rank` (SQL) is it.
    """

    name: str
    topic: str
    schema: Any
    order: tuple[str, ...]
    identity: tuple[str, ...]
    rank: str
    dictionary: tuple[str, ...]
    encodings: dict[str, str]

    @property
    def stamp(self) -> str:
        """The column that says when: files are left aside by its range."""
        return "time" if "time" in self.schema.names else "received"

    def parquet(self) -> dict[str, Any]:
        """Options for pyarrow's Parquet writer."""
        return {
            "compression": "zstd",
            "compression_level": 1,
            "version": "2.6",
            "data_page_version": "1.0",
            "use_dictionary": list(self.dictionary),
            "column_encoding": self.encodings,
            "write_statistics": [name for name in ("device", "field", "time", "received") if name in self.schema.names],
            "store_schema": False,
        }

    def bytes(self, rows: Rows) -> memoryview:
        """The Parquet file of these rows."""
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, row_group_size=ROW_GROUP, **self.parquet())
        return memoryview(sink.getvalue())


# Times jitter by less than a page's spread: split into byte streams their high bytes vanish, and the times of a
# device's second and third reading repeat those of its first. Values repeat more than they drift.
_TIMES = "BYTE_STREAM_SPLIT"
_SAID_ENCODINGS = {
    "id": "DELTA_LENGTH_BYTE_ARRAY",
    "time": _TIMES,
    "received": _TIMES,
    "at": _TIMES,
    "seq": "DELTA_BINARY_PACKED",
    "lat": "BYTE_STREAM_SPLIT",
    "lon": "BYTE_STREAM_SPLIT",
    "raw": "DELTA_LENGTH_BYTE_ARRAY",
}
_SAID_DICTIONARY = (
    "device",
    "flag",
    "kind",
    "via",
    "decoder",
    "alt",
    "accuracy",
    *(f"{kind}.key_value.key" for kind in ("numbers", "bools", "texts")),
    *(f"{kind}.key_value.value" for kind in ("numbers", "texts")),
    *(f"heard_by.list.element.{part}" for part in ("gateway", "rssi", "snr")),
)
_WHERE_ENCODINGS = {"offset": "DELTA_BINARY_PACKED"}

MESSAGES_TABLE = Table(
    name=MESSAGES,
    topic=MESSAGES,
    schema=pa.schema([("device", pa.string()), ("time", STAMP), *_SAID, *_WHERE]),
    order=("device", "time", "partition", "offset"),
    identity=("device", "id"),
    rank='"partition", "offset"',
    dictionary=(*_SAID_DICTIONARY, "partition"),
    encodings=_SAID_ENCODINGS | _WHERE_ENCODINGS,
)
READINGS_TABLE = Table(
    name=READINGS,
    topic=MESSAGES,
    schema=pa.schema(
        [("device", pa.string()), ("field", pa.string()), ("time", STAMP), ("value", pa.float64()), *_WHERE]
    ),
    order=("device", "field", "time", "partition", "offset"),
    # A message's id would cost as much as all else together. Its place on the log says as much, and hardly anything.
    identity=("device", "field", "partition", "offset"),
    rank='"time"',
    dictionary=("device", "field", "value", "partition"),
    encodings={"time": _TIMES} | _WHERE_ENCODINGS,
)
CANDIDATES_TABLE = Table(
    name=CANDIDATES,
    topic=CANDIDATES,
    schema=pa.schema(
        [
            ("device", pa.string()),
            ("time", STAMP),
            ("id", pa.string()),
            ("rule", pa.string()),
            ("rule_version", pa.int64()),
            ("reasons", pa.list_(pa.string())),
            ("kind", pa.string()),
            ("revision", pa.int64()),
            ("origin", ORIGIN),
            ("message", SAID),
            *_WHERE,
        ]
    ),
    order=("device", "time", "partition", "offset"),
    identity=("device", "id"),
    rank='revision DESC, "partition", "offset"',
    dictionary=(
        *("device", "rule", "rule_version", "reasons.list.element", "kind", "revision"),
        *("origin.partition", "origin.n", "partition"),
        *(f"message.{path}" for path in _SAID_DICTIONARY),
    ),
    encodings={"id": "DELTA_LENGTH_BYTE_ARRAY", "time": _TIMES, "origin.offset": "DELTA_BINARY_PACKED"}
    | _WHERE_ENCODINGS
    | {f"message.{path}": encoding for path, encoding in _SAID_ENCODINGS.items()},
)
REJECTED_TABLE = Table(
    name=REJECTED,
    topic=REJECTED,
    schema=pa.schema(
        [
            ("device", pa.string()),
            ("received", STAMP),
            ("id", pa.string()),
            ("reason", pa.string()),
            ("detail", pa.string()),
            ("via", pa.string()),
            ("transport", pa.string()),
            ("topic", pa.string()),
            ("peer", pa.string()),
            ("decoder", pa.string()),
            ("size", pa.int64()),
            ("sha256", pa.string()),
            ("payload", pa.binary()),
            ("stage", pa.string()),
            ("origin", ORIGIN),
            *_WHERE,
        ]
    ),
    order=("device", "received", "partition", "offset"),
    identity=("device", "id"),
    rank='"partition", "offset"',
    dictionary=(
        *("device", "reason", "detail", "via", "transport", "topic", "peer", "decoder", "stage", "partition"),
        *("origin.partition", "origin.n"),
    ),
    encodings={
        "id": "DELTA_LENGTH_BYTE_ARRAY",
        "received": _TIMES,
        "size": "DELTA_BINARY_PACKED",
        "sha256": "DELTA_LENGTH_BYTE_ARRAY",
        "payload": "DELTA_LENGTH_BYTE_ARRAY",
        "origin.offset": "DELTA_BINARY_PACKED",
    }
    | _WHERE_ENCODINGS,
)

TABLES = (MESSAGES_TABLE, READINGS_TABLE, CANDIDATES_TABLE, REJECTED_TABLE)
OF_TOPIC: dict[str, tuple[Table, ...]] = {
    MESSAGES: (MESSAGES_TABLE, READINGS_TABLE),
    CANDIDATES: (CANDIDATES_TABLE,),
    REJECTED: (REJECTED_TABLE,),
}
"""Topic → its tables, in the order of their commits: so that no reading is there before its message."""
