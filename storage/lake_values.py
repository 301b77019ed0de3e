"""Rows of the lake → messages, candidates, rejected messages.

In: rows that DuckDB fetched by the columns named here, times as microseconds. Out: the records as the log has them.
A number that is whole and at most 2**53 comes back as an int, whatever it was: to the log `5` and `5.0` are one value.
"""

from collections.abc import Callable, Mapping, Sequence
from math import copysign
from typing import Any, NamedTuple

from headwater.log import CANDIDATES, MESSAGES, REJECTED
from headwater.message import Candidate, Heard, Message, Number, Origin, Position, RejectedMessage
from storage.contract import LakeRow

_PLAIN = (
    *("seq", "flag", "via", "kind", "numbers", "bools", "texts"),
    *("lat", "lon", "alt", "accuracy", "heard_by", "decoder", "raw"),
)
_EXACT = 2.0**53


class Columns(NamedTuple):
    """`select`: SQL. `made`: the record of a row with just these columns. `drifts`: see `lake_query.Question`."""

    select: str
    made: Callable[[Sequence[Any]], Any]
    drifts: str


def number(value: float) -> Number:
    """An int where that says the same."""
    if value.is_integer() and -_EXACT <= value <= _EXACT and (value or copysign(1, value) > 0):
        return int(value)
    return value


def _said(prefix: str) -> str:
    micros = (f"epoch_us({prefix}{name})" for name in ("received", '"time"', '"at"'))
    return ", ".join([f"{prefix}device", f"{prefix}id", *micros, *(f"{prefix}{name}" for name in _PLAIN)])


def message(row: Sequence[Any]) -> Message:
    """From the columns of `_said`."""
    device, id_, received, time, at, seq, flag, via, kind, numbers, bools, texts = row[:12]
    lat, lon, alt, accuracy, heard_by, decoder, raw = row[12:19]
    fields: dict[str, Number] = {name: number(value) for name, value in numbers.items()}
    return Message(
        device=device,
        id=id_,
        received=received,
        time=time,
        at=at,
        seq=seq,
        flag=flag,
        via=via,
        kind=kind,
        fields=fields | bools,
        texts=texts,
        position=None if lat is None else Position(lat, lon, alt, accuracy),
        heard_by=[Heard(one["gateway"], one["rssi"], one["snr"]) for one in heard_by],
        decoder=decoder,
        raw=raw,
    )


def _lake_row(row: Sequence[Any]) -> LakeRow:
    return LakeRow(row[19], row[20], message(row))


def _origin(said: Mapping[str, int]) -> Origin:
    return Origin(said["partition"], said["offset"], said["n"])


def _candidate(row: Sequence[Any]) -> Candidate:
    device, time, id_, rule, rule_version, reasons, kind, revision, origin = row[:9]
    return Candidate(
        id=id_,
        device=device,
        time=time,
        rule=rule,
        rule_version=rule_version,
        reasons=reasons,
        origin=_origin(origin),
        message=message(row[9:]),
        kind=kind,
        revision=revision,
    )


def _rejected(row: Sequence[Any]) -> RejectedMessage:
    device, received, id_, reason, detail, via, transport, topic, peer, decoder, size, sha256, payload, stage = row[:14]
    return RejectedMessage(
        id=id_,
        received=received,
        reason=reason,
        detail=detail,
        via=via,
        device=device,
        transport=transport,
        topic=topic,
        peer=peer,
        decoder=decoder,
        size=size,
        sha256=sha256,
        payload=payload,
        stage=stage,
        origin=None if row[14] is None else _origin(row[14]),
    )


COLUMNS: dict[str, Columns] = {
    MESSAGES: Columns(f'{_said("")}, "partition", "offset"', _lake_row, "flag <> ''"),
    CANDIDATES: Columns(
        f'device, epoch_us("time"), id, rule, rule_version, reasons, kind, revision, origin, {_said("message.")}',
        _candidate,
        "true",
    ),
    REJECTED: Columns(
        "device, epoch_us(received), id, reason, detail, via, transport, topic, peer, decoder, size, sha256, payload, "
        "stage, origin",
        _rejected,
        "false",
    ),
}
"""Topic → what to select, and what it makes."""
