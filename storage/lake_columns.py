"""Records → Arrow columns, a column at a time.

In: records of one topic. Out: Arrow tables with the columns of that topic's table, in the order of the log. Whole
columns are gathered by list comprehensions and handed to Arrow: measured several times cheaper than a tuple a message.
"""

import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain
from typing import Any, cast

from headwater.log import CANDIDATES, MESSAGES
from headwater.message import Candidate, Heard, Message, Number, RejectedMessage
from storage.arrow import Column, Rows, pa
from storage.contract import Record
from storage.lake_schema import (
    BOOLS,
    CANDIDATES_TABLE,
    HEARD,
    MESSAGES_TABLE,
    NUMBERS,
    ORIGIN,
    REJECTED_TABLE,
    SAID,
    STAMP,
    TEXTS,
)

CHUNK = 8_192
"""Records gathered at once: a few milliseconds, after which other threads may run."""
_A_MOMENT = 50e-6
_ZERO = pa.scalar(0, pa.int32())
_values = cast("Callable[[Mapping[str, object]], Sequence[Any]]", dict.values)


def tables(topic: str, records: Sequence[Record]) -> Iterator[Rows]:
    """The records as Arrow tables of at most `CHUNK` rows. Raises what Arrow raises for a value without a place."""
    for start in range(0, len(records), CHUNK):
        chunk = records[start : start + CHUNK]
        partition = pa.array([record.partition for record in chunk], pa.int32())
        offset = pa.array([record.offset for record in chunk], pa.int64())
        bodies: list[Any] = [record.body for record in chunk]
        if topic == MESSAGES:
            columns, schema = _message_columns(bodies), MESSAGES_TABLE.schema
        elif topic == CANDIDATES:
            columns, schema = _candidate_columns(bodies), CANDIDATES_TABLE.schema
        else:
            columns, schema = _rejected_columns(bodies), REJECTED_TABLE.schema
        yield pa.Table.from_arrays([*columns, partition, offset], schema=schema)
        time.sleep(_A_MOMENT)  # one call into C holds the interpreter to its end: let the event loop have it


def _message_columns(messages: Sequence[Message]) -> list[Column]:
    """In the order of `SAID`."""
    count = len(messages)
    fields = [message.fields for message in messages]
    numbers, bools = _numbers_and_bools(fields)
    positions = [message.position for message in messages]
    return [
        pa.array([message.device for message in messages], pa.string()),
        pa.array([message.time for message in messages], STAMP),
        pa.array([message.id for message in messages], pa.string()),
        pa.array([message.received for message in messages], STAMP),
        pa.array([message.at for message in messages], STAMP),
        _words([message.flag for message in messages]),
        _words([message.kind for message in messages]),
        pa.array([message.seq for message in messages], pa.int64()),
        _words([message.via for message in messages]),
        numbers,
        bools,
        _texts([message.texts for message in messages]),
        *(_place(positions, name, count) for name in ("lat", "lon", "alt", "accuracy")),
        _heard([message.heard_by for message in messages]),
        _words([message.decoder for message in messages]),
        _optional([message.raw for message in messages], pa.binary()),
    ]


def _candidate_columns(candidates: Sequence[Candidate]) -> list[Column]:
    said = _message_columns([candidate.message for candidate in candidates])
    return [
        pa.array([candidate.device for candidate in candidates], pa.string()),
        pa.array([candidate.time for candidate in candidates], STAMP),
        pa.array([candidate.id for candidate in candidates], pa.string()),
        _words([candidate.rule for candidate in candidates]),
        pa.array([candidate.rule_version for candidate in candidates], pa.int64()),
        pa.array([candidate.reasons for candidate in candidates], pa.list_(pa.string())),
        _words([candidate.kind for candidate in candidates]),
        pa.array([candidate.revision for candidate in candidates], pa.int64()),
        _origins(candidates),
        pa.StructArray.from_arrays(said, fields=list(SAID)),
    ]


def _rejected_columns(rejected: Sequence[RejectedMessage]) -> list[Column]:
    return [
        pa.array([one.device for one in rejected], pa.string()),
        pa.array([one.received for one in rejected], STAMP),
        pa.array([one.id for one in rejected], pa.string()),
        pa.array([one.reason for one in rejected], pa.string()),
        pa.array([one.detail for one in rejected], pa.string()),
        _words([one.via for one in rejected]),
        _words([one.transport for one in rejected]),
        pa.array([one.topic for one in rejected], pa.string()),
        pa.array([one.peer for one in rejected], pa.string()),
        _words([one.decoder for one in rejected]),
        pa.array([one.size for one in rejected], pa.int64()),
        pa.array([one.sha256 for one in rejected], pa.string()),
        pa.array([one.payload for one in rejected], pa.binary()),
        _words([one.stage for one in rejected]),
        _origins(rejected),
    ]


def _origins(bodies: Sequence[Candidate] | Sequence[RejectedMessage]) -> Column:
    origins = [body.origin for body in bodies]
    return pa.array(
        [origin and {"partition": origin.partition, "offset": origin.offset, "n": origin.n} for origin in origins],
        ORIGIN,
    )


def _words(texts: Sequence[str]) -> Column:
    """A column that mostly says one thing."""
    if len(set(texts)) == 1:
        return pa.repeat(pa.scalar(texts[0], pa.string()), len(texts))
    return pa.array(texts, pa.string())


def _optional(values: Sequence[object], kind: Any) -> Column:
    if values.count(None) == len(values):
        return pa.nulls(len(values), kind)
    return pa.array(values, kind)


def _place(positions: Sequence[object], name: str, count: int) -> Column:
    if not any(positions):
        return pa.nulls(count, pa.float64())
    return pa.array([position and getattr(position, name) for position in positions], pa.float64())


def _offsets(lengths: Iterator[int]) -> Column:
    offsets = array("i", accumulate(lengths, initial=0))
    return pa.Array.from_buffers(pa.int32(), len(offsets), [None, pa.py_buffer(offsets)])


def _all(maps: Iterable[Mapping[str, object]]) -> list[Any]:
    return list(chain.from_iterable(map(_values, maps)))


def _map(kind: Any, maps: Sequence[Mapping[str, object]], items: Column) -> Column:
    keys = pa.array(list(chain.from_iterable(maps)), pa.string())
    return pa.MapArray.from_arrays(_offsets(map(len, maps)), keys, items, kind)


def _no_entries(kind: Any, count: int) -> Column:
    keys, items = pa.nulls(0, kind.key_type), pa.nulls(0, kind.item_type)
    return pa.MapArray.from_arrays(pa.repeat(_ZERO, count + 1), keys, items, kind)


def _texts(texts: Sequence[Mapping[str, str]]) -> Column:
    if not any(texts):
        return _no_entries(TEXTS, len(texts))
    return _map(TEXTS, texts, pa.array(_all(texts), pa.string()))


def _doubles(numbers: Sequence[float]) -> Column:
    """As float(number) has it, also beyond 2**53, where Arrow would refuse whole numbers."""
    packed = array("d", numbers)
    return pa.Array.from_buffers(pa.float64(), len(packed), [None, pa.py_buffer(packed)])


def _numbers_and_bools(fields: Sequence[Mapping[str, Number]]) -> tuple[Column, Column]:
    values = _all(fields)
    if bool not in set(map(type, values)):
        return _map(NUMBERS, fields, _doubles(values)), _no_entries(BOOLS, len(fields))
    numbers = [{name: value for name, value in said.items() if type(value) is not bool} for said in fields]
    bools = [{name: value for name, value in said.items() if type(value) is bool} for said in fields]
    return _map(NUMBERS, numbers, _doubles(_all(numbers))), _map(BOOLS, bools, pa.array(_all(bools), pa.bool_()))


def _heard(heard_by: Sequence[list[Heard]]) -> Column:
    if not any(heard_by):
        return pa.ListArray.from_arrays(pa.repeat(_ZERO, len(heard_by) + 1), pa.nulls(0, HEARD))
    flat = list(chain.from_iterable(heard_by))
    parts = [
        pa.array([one.gateway for one in flat], pa.string()),
        pa.array([one.rssi for one in flat], pa.float64()),
        pa.array([one.snr for one in flat], pa.float64()),
    ]
    return pa.ListArray.from_arrays(_offsets(map(len, heard_by)), pa.StructArray.from_arrays(parts, fields=list(HEARD)))
