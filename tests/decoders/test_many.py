"""Payloads of many parts: what cannot be read does not end the rest, and too much of it ends early."""

import json

import pytest

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload, Source
from ingest.decoders.families import built_in
from ingest.decoders.many import FAULTS, each
from tests.taking import processor_time

LONGEST = 0.25
"""Seconds of processor time for 128 KiB; parts that were all tried took 0.3 to 1.5."""

CATALOGUE = built_in()
PAYLOAD = 128 * 1024
FLOODS = {
    "telegraf_json": b"[" + b",".join([b"{}"] * (PAYLOAD // 3)) + b"]",
    "influx_line_protocol": b"=\n" * (PAYLOAD // 2),
    "thingsboard": b"[" + b",".join([b"1"] * (PAYLOAD // 2)) + b"]",
    "fiware_ngsi": b"[" + b",".join([b"{}"] * (PAYLOAD // 3)) + b"]",
    "ogc_sensorthings": b"[" + b",".join([b"1"] * (PAYLOAD // 2)) + b"]",
    "sensor_community": b"[" + b",".join([b"{}"] * (PAYLOAD // 3)) + b"]",
    "senml": b"[" + b",".join([b"1"] * (PAYLOAD // 2)) + b"]",
    "flespi_http": b"[" + b",".join([b"{}"] * (PAYLOAD // 3)) + b"]",
}


def test_a_part_that_cannot_be_read_does_not_end_the_others() -> None:
    def read(part: int) -> list[Message]:
        if part == 1:
            raise Rejected("bad_value", "one is none")
        return [Message(f"device-{part}", "", 0, 0)]

    made = each(range(3), read)
    assert [one.device if isinstance(one, Message) else one.reason for one in made] == [
        "device-0",
        "bad_value",
        "device-2",
    ]


@pytest.mark.parametrize("family", FLOODS)
def test_a_flood_of_parts_that_cannot_be_read_ends_early_and_says_so(family: str) -> None:
    payload = Payload(FLOODS[family], Source("http", "", "device-1", family), 1_763_700_000_000_000)
    took, made = processor_time(lambda: CATALOGUE.named(family).decode(payload), LONGEST)
    assert took < LONGEST
    assert len(made) == FAULTS + 1
    last = made[-1]
    assert isinstance(last, Rejected)
    assert (last.reason, "left out" in last.detail) == ("too_large", True)


LONG = "k" * 50_000
MANY: dict[str, object] = {
    "telegraf_json": {"name": LONG, "fields": {f"f{n}": n for n in range(5000)}},
    "thingsboard": {LONG: {f"f{n}": n for n in range(5000)}},
    "zigbee2mqtt": {LONG: {f"f{n}": n for n in range(5000)}},
    "senml": [{"bn": f"urn:dev:ow:{LONG}:", "n": "a", "v": 1}, *({"n": f"b{n}", "v": n} for n in range(4000))],
    "ogc_sensorthings": {
        "Datastream": {"name": LONG},
        "components": ["result"],
        "dataArray": [[n] for n in range(9000)],
    },
    "influx_line_protocol": f"{LONG} {','.join(f'f{n}=1' for n in range(7000))}",
}


@pytest.mark.parametrize("family", MANY)
def test_a_long_name_that_stands_before_many_is_not_written_with_each(family: str) -> None:
    """It would be, for 128 KiB, a second and half a gigabyte."""
    said = MANY[family]
    data = said.encode() if isinstance(said, str) else json.dumps(said).encode()
    payload = Payload(data, Source("http", "", "device-1", family), 1_763_700_000_000_000)
    took, made = processor_time(lambda: CATALOGUE.named(family).decode(payload), LONGEST)
    assert took < LONGEST
    assert sum(len(one.fields) for one in made if isinstance(one, Message)) >= 4000


def test_two_long_names_that_begin_alike_stay_apart() -> None:
    said = {f"{LONG}1": {"x": 1}, f"{LONG}2": {"x": 2}}
    source = Source("http", "", "device-1", "telegraf_json")
    (made,) = CATALOGUE.named("telegraf_json").decode(Payload(json.dumps(said).encode(), source, 0))
    assert isinstance(made, Message)
    assert sorted(made.fields.values()) == [1, 2]
