"""Messages, candidates, rejected messages and records of them, for every store's tests.

In: what a test wants to fix. Out: plain records for sentences, and hypothesis strategies for laws.
"""

from collections.abc import Sequence
from itertools import groupby

from hypothesis import strategies as st

from headwater.ids import DEVICE_PATTERN, hashed
from headwater.log import CANDIDATES, MESSAGES, REJECTED, partition_for
from headwater.message import Body, Candidate, Heard, Message, Number, Origin, Position, RejectedMessage
from headwater.times import SECOND, believed
from storage.contract import ORIGIN_BITS, Record

T = 1_763_700_000 * SECOND
"""2025-11-21T04:40:00Z."""
DAY = 86_400 * SECOND
PARTITIONS = 3
DEVICES = ("pump-7", "tank:1", "aa.bb@cc", "7")
_WHOLE = 2**53


def message(n: int = 0, device: str = "pump-7", **parts: object) -> Message:
    """The n-th message of a device: two seconds after the one before, with an id and a temperature of its own."""
    at = T + 2 * n * SECOND
    said: dict[str, object] = {
        "device": device,
        "id": hashed(device.encode(), str(n).encode()),
        "received": at + 20_000,
        "time": at,
        "at": at,
        "seq": n,
        "fields": {"temperature": 20 + n / 10},
    }
    return Message(**(said | parts))  # type: ignore[arg-type]


def candidate(n: int = 0, device: str = "pump-7", **parts: object) -> Candidate:
    """The n-th message of a device, selected by the rule `change`."""
    source = message(n, device)
    partition = partition_for(device.encode(), PARTITIONS)
    said: dict[str, object] = {
        "id": hashed(source.id.encode(), b"change"),
        "device": device,
        "time": source.time,
        "rule": "change",
        "rule_version": 1,
        "reasons": ["temperature changed"],
        "origin": Origin(partition, n, 0),
        "message": source,
    }
    return Candidate(**(said | parts))  # type: ignore[arg-type]


def rejected(n: int = 0, **parts: object) -> RejectedMessage:
    """The n-th thing that was not valid."""
    said: dict[str, object] = {
        "id": hashed(b"rejected", str(n).encode()),
        "received": T + n * SECOND,
        "reason": "bad_json",
        "detail": "not JSON at byte 3",
        "transport": "http",
        "payload": b"\x00{]",
        "size": 3,
    }
    return RejectedMessage(**(said | parts))  # type: ignore[arg-type]


def partition_of(body: Body) -> int:
    """Where it stands on its topic: by device, as the intake does it."""
    return partition_for(body.device.encode(), PARTITIONS)


def records(bodies: Sequence[Body], start: int = 0) -> list[Record]:
    """As they stand on their topic, one after the other from offset `start` of each partition."""
    ends: dict[int, int] = {}
    made: list[Record] = []
    for body in bodies:
        partition = partition_of(body)
        offset = ends.get(partition, start)
        ends[partition] = offset + 1
        made.append(_record(body, partition, offset))
    return made


def _record(body: Body, partition: int, offset: int) -> Record:
    if isinstance(body, Candidate):
        position = body.origin.offset << ORIGIN_BITS | body.origin.n
        return Record(CANDIDATES, partition, offset, position, body)
    topic = MESSAGES if isinstance(body, Message) else REJECTED
    return Record(topic, partition, offset, offset, body)


def highest(batch: Sequence[Record]) -> dict[int, int]:
    """The ledger after the batch: partition → highest position."""
    ordered = sorted(batch, key=lambda record: record.partition)
    return {
        partition: max(record.position for record in group)
        for partition, group in groupby(ordered, lambda record: record.partition)
    }


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
names = st.one_of(st.sampled_from(["temperature", "humidity", "on"]), words.filter(bool))
devices = st.one_of(st.sampled_from(DEVICES), st.from_regex(DEVICE_PATTERN, fullmatch=True))
ids = st.one_of(
    st.integers(0, 2**64 - 1).map(lambda number: f"{number:016x}"),
    st.text(st.characters(exclude_categories=["Cs"]).filter(str.isprintable), min_size=1, max_size=64),
)
numbers: st.SearchStrategy[Number] = st.one_of(
    st.booleans(),
    st.integers(-_WHOLE, _WHOLE),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 1.0, 5e-324, 1.7976931348623157e308]),
)
degrees = st.floats(-90, 90)
reals = st.none() | st.floats(allow_nan=False, allow_infinity=False)
positions = st.builds(Position, lat=degrees, lon=degrees, alt=reals, accuracy=reals)
heard = st.builds(Heard, gateway=words, rssi=reals, snr=reals)


@st.composite
def messages(draw: st.DrawFn, device: st.SearchStrategy[str] = devices) -> Message:
    """Any message that the front door lets through, over a few days of arrival."""
    received = T + draw(st.integers(-2 * DAY, 2 * DAY))
    at = draw(st.none() | st.integers(0, 2 * T) | st.integers(-DAY, DAY).map(lambda gap: received + gap))
    time, flag = believed(at, received)
    return Message(
        device=draw(device),
        id=draw(ids),
        received=received,
        time=time,
        at=at,
        flag=flag,
        seq=draw(st.none() | st.integers(-(2**63), 2**63 - 1)),
        via=draw(st.just("") | devices),
        kind=draw(st.sampled_from(["telemetry", "event", "ä"])),
        fields=draw(st.dictionaries(names, numbers, max_size=4)),
        texts=draw(st.dictionaries(names, words, max_size=3)),
        position=draw(st.none() | positions),
        heard_by=draw(st.lists(heard, max_size=2)),
        decoder=draw(st.sampled_from(["native", "tasmota"])),
        raw=draw(st.none() | st.binary(max_size=30)),
    )


@st.composite
def candidates(draw: st.DrawFn, device: st.SearchStrategy[str] = devices) -> Candidate:
    """Any candidate; its origin is that of a message in its device's partition."""
    chosen = draw(messages(device))
    partition = partition_for(chosen.device.encode(), PARTITIONS)
    return Candidate(
        id=draw(ids),
        device=chosen.device,
        time=draw(st.just(chosen.time) | st.integers(T, T + DAY)),
        rule=draw(words),
        rule_version=draw(st.integers(0, 2**31)),
        reasons=draw(st.lists(words, max_size=2)),
        origin=Origin(partition, draw(st.integers(0, 2**30)), draw(st.integers(0, 2**ORIGIN_BITS - 1))),
        message=chosen,
        kind=draw(st.sampled_from(["message", "silent"])),
        revision=draw(st.integers(0, 3)),
    )


@st.composite
def rejections(draw: st.DrawFn) -> RejectedMessage:
    """Anything that was not valid, from the front door or from a store."""
    return RejectedMessage(
        id=draw(ids),
        received=T + draw(st.integers(-2 * DAY, 2 * DAY)),
        reason=draw(st.sampled_from(["bad_json", "too_large"])),
        detail=draw(words),
        via=draw(words),
        device=draw(st.just("") | devices),
        transport=draw(st.sampled_from(["", "http", "mqtt"])),
        topic=draw(words),
        peer=draw(words),
        decoder=draw(words),
        size=draw(st.integers(0, 2**40)),
        sha256=draw(st.just("") | st.binary(min_size=32, max_size=32).map(bytes.hex)),
        payload=draw(st.binary(max_size=30)),
        stage=draw(st.sampled_from(["ingest", "live"])),
        origin=draw(st.none() | st.builds(Origin, st.integers(0, 9), st.integers(0, 2**40), st.integers(0, 9))),
    )


@st.composite
def cut(draw: st.DrawFn, batch: Sequence[Record]) -> list[list[Record]]:
    """The same records in the same order, in batches of any sizes."""
    places = sorted(draw(st.sets(st.integers(1, max(1, len(batch) - 1)), max_size=4))) if len(batch) > 1 else []
    return [list(batch[start:end]) for start, end in zip([0, *places], [*places, len(batch)], strict=True)]
