"""Bytes a message for each column of `messages` and `readings`, by the way Parquet writes it; the one in use is marked.

Run: `python -m benchmarks.lake_encodings [--messages N] [--devices N]`. The messages of `benchmarks.lake`, with a
position that wanders by metres, all in one file, zstd level 1.
"""

import argparse
import random
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks.lake import records
from benchmarks.lake_messages import made
from headwater.log import MESSAGES
from headwater.message import Message, Position
from storage.arrow import Rows, pa, pq
from storage.lake_rows import day_tables, readings_of
from storage.lake_schema import MESSAGES_TABLE, READINGS_TABLE, ROW_GROUP, Table

_DICTIONARY = "dictionary"
_NUMBERS = ("PLAIN", "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT")
_WORDS = ("PLAIN", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY")


def wandering(count: int, devices: int) -> dict[str, Rows]:
    """The tables, with a position in each message."""
    draw = random.Random(5)
    decoded = records(made(count, devices).entries)
    places: dict[str, tuple[float, float]] = {}
    for record in decoded:
        if isinstance(record.body, Message):
            lat, lon = places.get(record.body.device, (47 + draw.random(), 8 + draw.random()))
            places[record.body.device] = lat, lon = lat + draw.gauss(0, 2e-5), lon + draw.gauss(0, 2e-5)
            record.body.position = Position(round(lat, 6), round(lon, 6), round(draw.gauss(400, 3), 1))
    (rows,) = day_tables(MESSAGES, decoded).values()
    return {"messages": rows, "readings": readings_of(rows)}


def ways(kind: Any) -> Iterator[str]:
    """How a leaf of this type can be written."""
    yield _DICTIONARY
    if pa.types.is_integer(kind) or pa.types.is_timestamp(kind):
        yield from _NUMBERS
    elif pa.types.is_floating(kind):
        yield from ("PLAIN", "BYTE_STREAM_SPLIT")
    elif pa.types.is_string(kind):
        yield from _WORDS


def in_use(table: Table, path: str) -> str:
    return _DICTIONARY if path in table.dictionary else table.encodings.get(path, "PLAIN")


def size(rows: Rows, name: str, path: str, way: str) -> int:
    """Bytes of the column's chunks."""
    options: dict[str, Any] = {"use_dictionary": [path]} if way == _DICTIONARY else {"use_dictionary": False}
    if way not in {_DICTIONARY, "PLAIN"}:
        options["column_encoding"] = {path: way}
    sink = pa.BufferOutputStream()
    pq.write_table(
        rows.select([name]), sink, compression="zstd", compression_level=1, row_group_size=ROW_GROUP, **options
    )
    found = pq.ParquetFile(pa.BufferReader(sink.getvalue())).metadata
    groups = (found.row_group(number) for number in range(found.num_row_groups))
    columns = (group.column(number) for group in groups for number in range(group.num_columns))
    return sum(column.total_compressed_size for column in columns if column.path_in_schema == path)


def leaves(name: str, kind: Any) -> Iterator[tuple[str, Any]]:
    """The columns that Parquet makes of one of ours: path and type."""
    if pa.types.is_map(kind):
        yield f"{name}.key_value.key", kind.key_type
        yield f"{name}.key_value.value", kind.item_type
    elif not pa.types.is_list(kind):
        yield name, kind


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--devices", type=int, default=1000)
    options = parser.parse_args()
    tables = wandering(options.messages, options.devices)
    for table in (MESSAGES_TABLE, READINGS_TABLE):
        print(f"{table.name}: bytes a message")
        for field in table.schema:
            for path, kind in leaves(field.name, field.type):
                found = {way: size(tables[table.name], field.name, path, way) for way in ways(kind)}
                if max(found.values()) < 0.01 * options.messages:
                    continue
                used = in_use(table, path)
                said = (f"{way}{' *' if way == used else ''} {found[way] / options.messages:.2f}" for way in found)
                print(f"  {path:<24}", "   ".join(said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
