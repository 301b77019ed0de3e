"""Records → the rows of the lake's tables, day by day, sorted as files are.

In: records of one topic. Out: for each day of arrival the rows of its table; and `readings` made of `messages`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from headwater.log import CANDIDATES, REJECTED
from headwater.times import SECOND
from storage.arrow import Column, Rows, pa, pc
from storage.contract import Record
from storage.lake_columns import tables
from storage.lake_schema import READINGS_TABLE

_DAY = 86_400 * SECOND


def day_tables(topic: str, records: Sequence[Record]) -> dict[str, Rows]:
    """Day of arrival (YYYY-MM-DD) → rows of the topic's own table, sorted.

    Raises what Arrow raises when a value has no place in its column.
    """
    rows = pa.concat_tables(tables(topic, records)).combine_chunks()
    if topic == REJECTED:
        return _by_day(_sorted(rows, "received"), rows["received"])
    rows = _sorted(rows, "time")
    arrived = pc.struct_field(rows["message"], "received") if topic == CANDIDATES else rows["received"]
    return _by_day(rows, arrived)


def _ranks(words: Column) -> Column:
    """For each word its place in the order of all different words."""
    coded = words.dictionary_encode()
    places = pc.array_sort_indices(pc.array_sort_indices(coded.dictionary)).cast(pa.int64())
    return pc.take(places, coded.indices)


def _order(first: Column, then: Column) -> Column:
    """Indices that sort by `first`, then by `then`; rows equal in both keep their order. Both sorts are stable."""
    by_second = pc.array_sort_indices(then)
    return pc.take(by_second, pc.array_sort_indices(pc.take(first, by_second)))


def _sorted(rows: Rows, stamp: str) -> Rows:
    """By device, then time, then as on the log."""
    return rows.take(_order(_ranks(rows["device"].chunk(0)), rows[stamp].chunk(0)))


def _by_day(rows: Rows, arrived: Column) -> dict[str, Rows]:
    micros = arrived.cast(pa.int64())
    first, last = (bound.as_py() // _DAY for bound in pc.min_max(micros).values())
    if first == last:
        return {_date(first): rows}
    # Arrow divides towards zero: shift so that days before 1970 are whole days too.
    days = pc.add(pc.divide(pc.subtract(micros, first * _DAY), _DAY), first)
    found = sorted(pc.unique(days).to_pylist())
    return {_date(day): rows.filter(pc.equal(days, day)).combine_chunks() for day in found}


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d")


def readings_of(messages: Rows) -> Rows:
    """Rows of `messages` → rows of `readings`: one a number or boolean (as 1 or 0), sorted by device, field, time."""
    numbers, bools = (messages[name].combine_chunks() for name in ("numbers", "bools"))
    parent, field = _flat(numbers)
    value = numbers.items
    if len(bools.items):
        bool_parent, bool_field = _flat(bools)
        parent, field = pa.concat_arrays([parent, bool_parent]), pa.concat_arrays([field, bool_field])
        value = pa.concat_arrays([value, bools.items.cast(pa.float64())])
    device = messages["device"].chunk(0)
    field_ranks = _ranks(field)
    span = len(pc.unique(field_ranks)) or 1
    pair = pc.add(pc.multiply(pc.take(_ranks(device), parent), span), field_ranks)
    order = _order(pair, pc.take(messages["time"].chunk(0), parent))
    parent = pc.take(parent, order)
    columns = [
        pc.take(device, parent),
        pc.take(field, order),
        pc.take(messages["time"].chunk(0), parent),
        pc.take(value, order),
        pc.take(messages["partition"].chunk(0), parent),
        pc.take(messages["offset"].chunk(0), parent),
    ]
    return pa.Table.from_arrays(columns, schema=READINGS_TABLE.schema)


def _flat(maps: Column) -> tuple[Column, Column]:
    """For each entry of the maps: its row, and its key."""
    keys = pa.ListArray.from_arrays(maps.offsets, maps.keys)
    return pc.list_parent_indices(keys), maps.keys
