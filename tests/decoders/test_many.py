"""Payloads of many parts: what cannot be read does not end the rest, and too much of it ends early."""

import time

import pytest

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload, Source
from ingest.decoders.families import built_in
from ingest.decoders.many import FAULTS, each

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
    began = time.process_time()
    made = CATALOGUE.named(family).decode(payload)
    assert time.process_time() - began < LONGEST
    assert len(made) == FAULTS + 1
    last = made[-1]
    assert isinstance(last, Rejected)
    assert (last.reason, "left out" in last.detail) == ("too_large", True)
