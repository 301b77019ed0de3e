"""Sparkplug B: births name what data only number; losses are noticed; deaths take everything below with them."""

import json
import struct
import zlib

import pytest
from msgspec import structs

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.platforms.sparkplug_b import decode
from ingest.decoders.platforms.sparkplug_hosts import rebirth
from ingest.decoders.platforms.sparkplug_metrics import contents
from tests.decoders.memory import Memory
from tests.decoders.platforms.kit import NOW, field, messages, of_kind, only, payload, reason

AT = 1_763_699_999_000


def metric(name: str = "", alias: int | None = None, kind: int = 0, value: bytes = b"", extra: bytes = b"") -> bytes:
    head = (field(1, name) if name else b"") + (b"" if alias is None else field(2, alias))
    return field(2, head + field(4, kind) + value + extra) if kind else field(2, head + value + extra)


def body(*metrics: bytes, seq: int | None = 0, at: int = AT) -> bytes:
    return field(1, at) + b"".join(metrics) + (b"" if seq is None else field(3, seq))


def unit(name: str) -> bytes:
    return field(9, field(1, "engUnit") + field(2, field(1, 12) + field(8, name)))


BIRTH = body(
    metric("bdSeq", kind=8, value=field(11, 7)),
    metric("Properties/Hardware Make", kind=12, value=field(15, "Acme")),
    metric("Line/Temperature", 5, 9, field(12, 12.1, wide=False), unit("°C")),
    metric("Line/Offset", 6, 3, field(10, 2**32 - 4)),
)


def born() -> Memory:
    memory = Memory()
    decode(payload(BIRTH, "spBv1.0/plant/NBIRTH/edge 1", context=memory))
    decode(
        payload(body(metric("Flow", 9, 10, field(13, 1.5)), seq=1), "spBv1.0/plant/DBIRTH/edge 1/pump", context=memory)
    )
    return memory


def test_a_birth_is_a_status_a_description_and_values() -> None:
    made = messages(decode, payload(BIRTH, "spBv1.0/plant/NBIRTH/edge 1"))
    status, about, values = made
    assert {one.device for one in made} == {"edge_1"}
    assert (status.kind, status.texts["status"], status.fields["bdSeq"]) == ("status", "online", 7)
    assert about.kind == "description"
    assert about.texts["manufacturer"] == "Acme"
    assert about.texts["unit.Line/Temperature"] == "°C"
    assert about.texts["name"] == "edge 1"
    assert (values.kind, values.at, values.seq) == ("telemetry", AT * 1000, 0)
    assert values.fields == {"bdSeq": 7, "Line/Temperature": 12.1, "Line/Offset": -4}
    assert values.texts == {"Properties/Hardware Make": "Acme"}


def test_data_by_alias_get_the_names_and_types_of_the_birth() -> None:
    memory = born()
    data = body(metric(alias=5, value=field(12, 13.5, wide=False)), metric(alias=6, value=field(10, 2**32 - 1)), seq=2)
    made = only(decode, payload(data, "spBv1.0/plant/NDATA/edge 1", context=memory))
    assert made.fields == {"Line/Temperature": 13.5, "Line/Offset": -1}
    assert made.texts == {}
    below = only(
        decode,
        payload(body(metric(alias=9, value=field(13, 2.5)), seq=3), "spBv1.0/plant/DDATA/edge 1/pump", context=memory),
    )
    assert below.device == "edge_1:pump"
    assert below.fields == {"Flow": 2.5}
    assert memory.asked == []


def test_an_alias_nobody_named_is_refused_and_a_new_birth_asked_for() -> None:
    memory = born()
    data = body(metric(alias=5, value=field(12, 1.0, wide=False)), metric(alias=77, value=field(10, 1)), seq=2)
    made = decode(payload(data, "site/spBv1.0/plant/NDATA/edge 1", context=memory))
    assert isinstance(made[0], Message)
    assert isinstance(made[1], Rejected)
    assert made[1].reason == "unknown_alias"
    assert memory.asked == [("site/spBv1.0/plant/NCMD/edge 1", rebirth(NOW))]


def test_what_is_asked_is_the_command_that_nodes_know() -> None:
    said = contents(rebirth(NOW))
    assert said.at == NOW // 1000
    ((name, kind, raw),) = [(one.name, one.kind, one.raw) for one in said.metrics]
    assert (name, kind, raw) == ("Node Control/Rebirth", 11, 1)


def test_data_of_a_node_that_was_never_born_are_taken_by_name_and_a_birth_asked_for() -> None:
    memory = Memory()
    data = body(metric("Level", kind=10, value=field(13, 4.0)), seq=9)
    assert only(decode, payload(data, "spBv1.0/g/NDATA/n", context=memory)).fields == {"Level": 4.0}
    assert [topic for topic, _ in memory.asked] == ["spBv1.0/g/NCMD/n"]


def test_a_missing_sequence_number_is_noted_and_a_new_birth_asked_for() -> None:
    memory = born()
    data = body(metric(alias=5, value=field(12, 1.0, wide=False)), seq=4)
    made = only(decode, payload(data, "spBv1.0/plant/NDATA/edge 1", context=memory))
    assert "2 was to come, 4 came" in made.texts["note.seq"]
    assert len(memory.asked) == 1


def test_the_sequence_goes_on_with_0_after_255_and_a_repeated_one_is_no_gap() -> None:
    memory = born()
    for seq in (*range(2, 256), 0, 0, 1):
        made = only(
            decode,
            payload(body(metric(alias=6, value=field(10, 1)), seq=seq), "spBv1.0/plant/NDATA/edge 1", context=memory),
        )
        assert made.texts == {}
    assert memory.asked == []


def test_a_nodes_death_is_also_that_of_its_devices_and_its_time_is_not_the_wills() -> None:
    memory = born()
    will = body(metric("bdSeq", kind=8, value=field(11, 7)), seq=None)
    made = messages(decode, payload(will, "spBv1.0/plant/NDEATH/edge 1", context=memory))
    assert [one.texts["status"] for one in made] == ["offline", "offline"]
    assert [one.at for one in made] == [None, None]
    assert [one.device for one in made] == ["edge_1", "edge_1:pump"]


def test_the_will_of_an_earlier_session_is_no_death() -> None:
    memory = born()
    will = body(metric("bdSeq", kind=8, value=field(11, 6)), seq=None)
    assert only(decode, payload(will, "spBv1.0/plant/NDEATH/edge 1", context=memory)).kind == "event"


def test_a_devices_death_is_its_own() -> None:
    memory = born()
    made = only(decode, payload(body(seq=2), "spBv1.0/plant/DDEATH/edge 1/pump", context=memory))
    assert (made.kind, made.texts, made.seq, made.at) == ("status", {"status": "offline"}, 2, AT * 1000)


def test_commands_are_what_others_say_to_the_device() -> None:
    memory = born()
    data = body(metric(alias=9, value=field(13, 3.0)), seq=None)
    made = only(decode, payload(data, "spBv1.0/plant/DCMD/edge 1/pump", context=memory))
    assert (made.kind, made.fields) == ("command", {"command.Flow": 3.0})


@pytest.mark.parametrize(
    ("kind", "value", "fields", "texts"),
    [
        (1, field(10, 0xFF), {"x": -1}, {}),
        (1, field(10, 2**32 - 1), {"x": -1}, {}),
        (2, field(10, 2**32 - 300), {"x": -300}, {}),
        (4, field(11, 2**64 - 5), {"x": -5}, {}),
        (7, field(10, 2**32 - 1), {"x": 2**32 - 1}, {}),
        (7, field(11, 2**32 - 1), {"x": 2**32 - 1}, {}),
        (8, field(11, 2**64 - 1), {}, {"x": str(2**64 - 1)}),
        (11, field(14, 1), {"x": True}, {}),
        (11, field(10, 0), {"x": False}, {}),
        (13, field(11, AT), {"x": AT}, {}),
        (15, field(15, "a-b"), {}, {"x": "a-b"}),
        (17, field(16, b"\x01\xff"), {}, {"x": "01ff"}),
        (18, field(16, bytes(100)), {}, {"note.x": "a file of 100 bytes"}),
        (22, field(16, b"\xe9\x7b"), {"x.0": -23, "x.1": 123}, {}),
        (23, field(16, struct.pack("<2h", -30000, 30000)), {"x.0": -30000, "x.1": 30000}, {}),
        (29, field(16, struct.pack("<Q", 7)), {"x.0": 7}, {}),
        (30, field(16, struct.pack("<f", 1.23)), {"x.0": 1.23}, {}),
        (32, field(16, b"\x0c\x00\x00\x00\x34\xd0"), None, {}),
        (33, field(16, b"ABC\0hello\0"), {}, {"x.0": "ABC", "x.1": "hello"}),
        (34, field(16, struct.pack("<q", AT)), {"x.0": AT}, {}),
        (9, field(12, float("nan"), wide=False), {}, {"note.x": "not a finite number"}),
        (10, field(7, 1), {}, {"note.x": "null"}),
        (31, field(16, b"\0\0\0"), {}, {"note.x": "3 bytes are no array of values of 8 bytes"}),
    ],
)
def test_every_type_has_its_value(
    kind: int, value: bytes, fields: dict[str, float] | None, texts: dict[str, str]
) -> None:
    made = only(decode, payload(body(metric("x", kind=kind, value=value)), "spBv1.0/g/NDATA/n"))
    if fields is None:
        bits = [False, False, True, True, False, True, False, False, True, True, False, True]
        fields = {f"x.{place}": bit for place, bit in enumerate(bits)}
    assert made.fields == fields
    assert made.texts == texts


def test_data_sets_and_templates_are_flattened() -> None:
    row = field(4, field(1, field(1, 2**32 - 2)) + field(1, field(6, "up")))
    table = field(1, 2) + field(2, "level") + field(2, "state") + field(3, 3) + field(3, 12) + row + row
    motor = (
        field(4, "Motor")
        + metric("rpm", kind=3, value=field(10, 50))
        + field(3, field(1, "poles") + field(2, 3) + field(3, 4))
    )
    definition = field(5, 1) + metric("rpm", kind=3)
    made = only(
        decode,
        payload(
            body(
                metric("t", kind=16, value=field(17, table)),
                metric("m", kind=19, value=field(18, motor)),
                metric("_types_/Motor", kind=19, value=field(18, definition)),
            ),
            "spBv1.0/g/NDATA/n",
        ),
    )
    assert made.fields == {"t.0.level": -2, "t.1.level": -2, "m.rpm": 50, "m.poles": 4}
    assert made.texts["t.1.state"] == "up"


def test_values_of_other_times_are_messages_of_their_own() -> None:
    old = field(3, AT - 60_000) + field(5, 1)
    data = body(metric("x", kind=10, value=field(13, 1.0)), metric("x", kind=10, value=field(13, 0.5), extra=old))
    now, before = messages(decode, payload(data, "spBv1.0/g/NDATA/n"))
    assert (now.at, now.fields) == (AT * 1000, {"x": 1.0})
    assert (before.at, before.fields) == ((AT - 60_000) * 1000, {"x": 0.5, "historical": True})


def test_a_bad_quality_is_noted() -> None:
    bad = field(9, field(1, "Quality") + field(2, field(1, 3) + field(3, 0)))
    made = only(decode, payload(body(metric("x", kind=10, value=field(13, 1.0), extra=bad)), "spBv1.0/g/NDATA/n"))
    assert made.texts == {"note.x": "its quality is bad"}


def test_a_compressed_payload_is_read_and_a_bomb_is_not() -> None:
    def packed(inner: bytes) -> bytes:
        return field(4, "SPBV1.0_COMPRESSED") + field(5, zlib.compress(inner))

    made = only(decode, payload(packed(body(metric("x", kind=10, value=field(13, 1.0)))), "spBv1.0/g/NDATA/n"))
    assert made.fields == {"x": 1.0}
    assert reason(decode, payload(packed(bytes(1 << 22)), "spBv1.0/g/NDATA/n")) == "too_large"


@pytest.mark.parametrize(
    ("topic", "data", "status", "at"),
    [
        ("spBv1.0/STATE/scada", json.dumps({"online": True, "timestamp": AT}), "online", AT * 1000),
        ("spBv1.0/STATE/scada", json.dumps({"online": False, "timestamp": AT}), "offline", None),
        ("STATE/scada", "OFFLINE", "offline", None),
    ],
)
def test_hosts_say_whether_they_are_there(topic: str, data: str, status: str, at: int | None) -> None:
    made = only(decode, payload(data, topic))
    assert (made.device, made.kind, made.texts["status"], made.at) == ("scada", "status", status, at)


@pytest.mark.parametrize(
    ("topic", "data", "code"),
    [
        ("spBv1.0/g/NDATA", BIRTH, "bad_topic"),
        ("spBv1.0/g/DDATA/n", BIRTH, "bad_topic"),
        ("spBv1.0/g/XDATA/n", BIRTH, "bad_topic"),
        ("spBv1.0/g/NDATA/n", b"{}", "bad_encoding"),
        ("spBv1.0/g/NDATA/n", BIRTH[:-3], "bad_encoding"),
        ("spBv1.0/STATE/scada", b"soon", "bad_json"),
        ("spBv1.0/STATE/scada", b"{}", "missing_field"),
        ("", BIRTH, "missing_device"),
    ],
)
def test_what_is_none_is_refused_with_a_reason(topic: str, data: bytes, code: str) -> None:
    assert reason(decode, payload(data, topic)) == code


def test_without_a_topic_the_payload_says_what_it_is() -> None:
    made = messages(decode, payload(BIRTH, device="edge-9"))
    assert {one.device for one in made} == {"edge-9"}
    assert of_kind(made, "status")[0].texts["status"] == "online"


def at(bridge: Payload) -> Payload:
    return bridge._replace(source=structs.replace(bridge.source, transport="bridge"))


def test_what_one_gateway_was_told_all_know_that_share_a_broker() -> None:
    one = born()
    other = Memory(one.learned, alone=False)
    data = body(metric(alias=5, value=field(12, 13.5, wide=False)), seq=7)
    made = only(decode, at(payload(data, "spBv1.0/plant/NDATA/edge 1", context=other)))
    assert (made.fields, made.texts) == ({"Line/Temperature": 13.5}, {})
    below = body(metric(alias=9, value=field(13, 2.5)), seq=19)
    made = only(decode, at(payload(below, "spBv1.0/plant/DDATA/edge 1/pump", context=other)))
    assert (made.fields, made.texts) == ({"Flow": 2.5}, {}), "what is missing here was read by the other"
    assert other.asked == []
    will = body(metric("bdSeq", kind=8, value=field(11, 7)), seq=None)
    fresh = Memory(one.learned, alone=False)
    made = messages(decode, payload(will, "spBv1.0/plant/NDEATH/edge 1", context=fresh))
    assert [one.device for one in made] == ["edge_1", "edge_1:pump"]


def test_a_bridge_by_itself_notices_what_is_missing() -> None:
    memory = born()
    data = body(metric(alias=5, value=field(12, 1.0, wide=False)), seq=4)
    assert (
        "2 was to come"
        in only(decode, at(payload(data, "spBv1.0/plant/NDATA/edge 1", context=memory))).texts["note.seq"]
    )


def test_a_birth_that_says_the_same_teaches_nobody_anything() -> None:
    memory, told = born(), list[bytes]()
    memory.learned.write = lambda key, _: told.append(key)
    decode(payload(BIRTH, "spBv1.0/plant/NBIRTH/edge 1", context=memory))
    assert told == []
    data = body(metric(alias=9, value=field(13, 2.5)), seq=1)
    assert only(decode, payload(data, "spBv1.0/plant/DDATA/edge 1/pump", context=memory)).fields == {"Flow": 2.5}


def test_a_node_with_other_names_makes_its_devices_be_born_again() -> None:
    memory = born()
    other = Memory(memory.learned)
    for context in (memory, other):
        decode(payload(body(metric("New", 5, 10, field(13, 1.0))), "spBv1.0/plant/NBIRTH/edge 1", context=context))
        data = body(metric(alias=9, value=field(13, 2.5)), seq=1)
        assert reason(decode, payload(data, "spBv1.0/plant/DDATA/edge 1/pump", context=context)) == "unknown_alias"
        assert context.asked
    again = body(metric("Speed", 9, 10, field(13, 1.5)), seq=2)
    decode(payload(again, "spBv1.0/plant/DBIRTH/edge 1/pump", context=memory))
    data = body(metric(alias=9, value=field(13, 2.5)), seq=3)
    for context in (memory, other):
        made = only(decode, payload(data, "spBv1.0/plant/DDATA/edge 1/pump", context=context))
        assert made.fields == {"Speed": 2.5}
