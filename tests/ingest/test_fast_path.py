"""The fast path is only faster: whatever comes, it does what the intake does one by one."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headwater.config_models import FieldModel, Model
from headwater.message import Message, RejectedMessage
from headwater.registry import Identity
from ingest.contract import Receipt, Source
from tests.ingest.intake_kit import NOW, PUMP, bench, named

MODELS = {"default": Model(fields={"x": FieldModel(max=5)})}
SOURCES = (
    Source("mqtt", "devices/pump-7/telemetry", "pump-7", "native", peer="127.0.0.1:5"),
    Source("http", peer="127.0.0.1:6"),
    Source("http", "", "pump-7"),
    Source("blob", "", "pump-7", "native"),
)
EDGE = NOW - 30 * 86_400_000_000
KNOWN = Identity("key", roles=("ingest",))
SENDERS = (PUMP, Identity("site", speaks_for=("pump-*",)), KNOWN)

_names = st.sampled_from(["x", "y", "state", "ü", "", "n\n", "a" * 129])
_values = st.one_of(
    st.integers(-3, 9), st.floats(), st.booleans(), st.none(), st.text(max_size=3), st.just("t" * 40),
    st.just(2**60), st.lists(st.integers(), max_size=1),
)  # fmt: skip
_moments = st.one_of(
    st.sampled_from([NOW // 1000 - 2_592_000_000, NOW // 1000 + 300_000, NOW // 1000 + 1]),
    st.integers(NOW // 1000 - 4_000_000_000, NOW // 1000 + 400_000),
    st.sampled_from(["2026-11-21T07:40:00Z", "x", 1.5]),
)
_forms = st.fixed_dictionaries(
    {"fields": st.dictionaries(_names, _values, max_size=4)},
    optional={
        "device": st.sampled_from(["pump-7", "pump-8", "", "a b", 7]),
        "at": _moments,
        "seq": st.integers(-1, 3),
        "id": st.sampled_from(["m1", "m2", "", "i" * 65, "i\n", 5]),
        "kind": st.sampled_from(["", "log"]),
        "position": st.just({"lat": 1, "lon": 2.5}),
        "heard_by": st.just([{"gateway": "g"}]),
        "other": st.just(1),
    },
)
_payloads = st.one_of(
    _forms.map(lambda form: json.dumps(form).encode()),
    st.sampled_from([b"", b"{}", b'{"fields"', b'"fields"', b'{"device":"pump-7","x":1}', b"\xff", b"[1]"]),
)


def leave(_route: object, _payloads: object, at: int, _receipt: object) -> int:
    """A fast path that takes nothing."""
    return at


async def outcome(batches: list[list[bytes]], sender: Identity, source: Source, key: str, *, fast: bool) -> object:
    """Everything that is told and logged of them."""
    async with bench(models=MODELS, text_length=20, duplicates=100) as desk:
        if not fast:
            slow: Any = desk.intake
            slow._fast.take = leave
        warm = [
            {"device": device, "fields": {"x": 1, "y": 1, "state": "", "ü": 1}}
            for device in ("pump-7", "pump-8", "cam")
        ]
        for way in (SOURCES[1], source):  # devices, fields and who may send are known: only then is it fast
            await desk.take(*warm, identity=KNOWN, source=way)
            await desk.take(*warm, identity=sender, source=way)
        receipts: list[Receipt] = []
        for batch in batches:
            desk.now += 3
            receipts.append(await desk.take(*batch, identity=sender, source=source, key=key))
        told = [(one.accepted, one.failed, one.rejections) for one in receipts]
        counts = [desk.count(name) for name in ("received", "accepted", "rejected", "duplicate", "failed")]
        return told, counts, [_same(one) for one in desk.messages], [_same(one) for one in desk.rejected]


def _same(one: Message | RejectedMessage) -> Message | RejectedMessage:
    """Without what no two runs have alike: ids made up, and the microsecond that is a message's own."""
    if isinstance(one, RejectedMessage) or (one.at is None and one.seq is None and len(one.id) == 16):
        one.id = ""
    if isinstance(one, Message) and one.time == one.received:
        one.time = 0
    one.received = 0
    return one


@settings(deadline=None)
@given(
    batches=st.lists(st.lists(_payloads, min_size=1, max_size=4), min_size=1, max_size=3),
    sender=st.sampled_from(SENDERS),
    source=st.sampled_from(SOURCES),
    key=st.sampled_from(["", "", "k"]),
)
@example([[b'{"fields":{"y":1,"x":null}}'] * 2], PUMP, SOURCES[0], "")
@example([[b'{"fields":{"y":1,"state":"on"},"seq":1}'] * 3], PUMP, SOURCES[0], "")
@example([[b'{"device":"pump-7","fields":{"x":1},"id":"i\\n"}']], KNOWN, SOURCES[1], "")
@example([[b'{"device":"pump-7","fields":{"x":1},"at":%d}' % (NOW // 1000 + 300_000)] * 2], KNOWN, SOURCES[1], "")
@example([[b'{"device":"pump-7","fields":{"x":1},"at":%d}' % (EDGE // 1000)] * 2], KNOWN, SOURCES[1], "")
def test_it_does_what_the_intake_does(batches: list[list[bytes]], sender: Identity, source: Source, key: str) -> None:
    fast = asyncio.run(outcome(batches, sender, source, key, fast=True))
    assert fast == asyncio.run(outcome(batches, sender, source, key, fast=False))


@pytest.mark.parametrize("fields", [{"x": 1}, {"x": 1.5, "state": "on", "y": True}])
async def test_what_is_plain_is_taken(fields: dict[str, Any]) -> None:
    """From the second message on: whose name and fields are known by then."""
    async with bench() as desk:
        await desk.take(named(fields=fields, seq=1))
        made: Any = desk.intake
        made._accept_native = None
        await desk.take(named(fields=fields, seq=2), named(fields=fields, at=NOW // 1000, id="m3"))
        assert [message.seq for message in desk.messages] == [1, 2, None]
        assert desk.messages[1].texts == {name: text for name, text in fields.items() if isinstance(text, str)}
