"""Globalstar, SPOT and IOTM: XML from satellites, and binary records."""

import pytest

from headwater.errors import Rejected
from headwater.message import Message, Position
from ingest.contract import Payload, Source
from tests.decoders.home.kit import CATALOGUE, RECEIVED, all_of, come, one, post

BOMB = "<!DOCTYPE a [<!ENTITY b 'x'>]><stuMessages><stuMessage><esn>&b;</esn></stuMessage></stuMessages>"


def stu(frame: str, esn: str = "0-26") -> str:
    return f"<stuMessage><esn>{esn}</esn><unixTime>1585105370</unixTime><payload>{frame}</payload></stuMessage>"


def iotm(*records: str) -> bytes:
    data = bytes.fromhex("02 02 0800 9188752de7120300" + "".join(records))
    return data + bytes([sum(data) & 0xFF])


def test_a_smart_one_says_where_it_is_and_what_woke_it() -> None:
    said = one(post("globalstar_http_xml", f"<stuMessages>{stu('0x00C583EACD37210A50')}</stuMessages>"))
    assert (said.device, said.at) == ("0-26", 1_585_105_370_000_000)
    assert said.position == Position(-41.122062, -71.415918)
    assert said.fields == {
        "battery_good": True,
        "input1_triggered": False,
        "input1": True,
        "input2_triggered": False,
        "input2": True,
        "message_type": 0,
        "vibration_triggered": False,
        "vibration": True,
        "motion": True,
    }


def test_an_atlas_trax_is_known_by_its_model() -> None:
    body = f"<stuMessages>{stu('0x61C583EACD37213080')}</stuMessages>".encode()
    payload = Payload(body, Source("http", decoder="globalstar"), RECEIVED, model="AtlasTrax")
    said = one(CATALOGUE.named("globalstar").decode(payload))
    assert said.position == Position(-41.122062, -71.415918)
    assert (said.fields["speed"], said.fields["course"], said.fields["battery_good"]) == (48, 135, False)


def test_one_bad_message_is_only_itself() -> None:
    inner = stu("0x63FFFF1BB4FFFFFFFF") + stu("hello") + stu("0x00") + stu("0x00C583EACD37210A00", "")
    made = post("globalstar_http_xml", f"<stuMessages>{inner}{stu('0x00C583EACD37210A00')}</stuMessages>")
    reasons = [one.reason for one in made if isinstance(one, Rejected)]
    assert reasons == ["unsupported", "bad_value", "bad_value", "missing_device"]
    assert isinstance(made[-1], Message)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (BOMB, "unsupported"),
        ("<a" * 9, "bad_shape"),
        ("<a>" * 40, "too_deep"),
        (f"<a>{'<b/>' * 60_000}</a>", "too_large"),
        ("<?xml version='1.0' encoding='ebcdic-of-mars'?><a/>", "bad_encoding"),
        ("<other/>", "unsupported"),
        ("", "bad_shape"),
    ],
)
def test_xml_that_means_harm_or_nothing_is_refused(body: str, reason: str) -> None:
    with pytest.raises(Rejected) as refused:
        post("globalstar_http_xml", body, "device-1")
    assert refused.value.reason == reason


def test_spots_feed_is_a_message_each() -> None:
    inner = "<id>8917</id><esn>0-31</esn><messageType>OK</messageType><timestamp>2017-12-27T13:19:38.000Z</timestamp>"
    place = "<latitude>-1.28781</latitude><longitude>-47.93042</longitude>"
    said = one(post("spot", f"<x:messageList xmlns:x='u'><message>{inner}{place}</message></x:messageList>"))
    assert (said.device, said.id, said.at) == ("0-31", "8917", 1_514_380_778_000_000)
    assert said.position == Position(-1.28781, -47.93042)
    assert said.texts == {"esn": "0-31", "messageType": "OK"}


def test_a_record_of_iotm_is_read_by_its_sensors() -> None:
    place = "0e00d0 b9ab5b42 0334c041 1e00 1f 06 5a00 3200"
    said = one(come("Iotm", iotm("01 1f00 2000ad59 050030b135 016d00", place)))
    assert (said.device, said.at) == ("865209039554705", 1_504_509_984_000_000)
    assert said.position == Position(54.9176979, 24.0253963, 50.0)
    assert said.fields == {
        "external_voltage": 13.745,
        "ignition": True,
        "speed": 30,
        "hdop": 3.1,
        "satellites": 6,
        "course": 90,
    }


def test_an_event_of_iotm_is_one() -> None:
    (said,) = all_of(post("iotm", iotm("03 0600 2000ad59 00 01")))
    assert (said.kind, said.fields) == ("event", {"function": 0, "event": 1})


def test_a_damaged_payload_of_iotm_is_refused() -> None:
    good = iotm("03 0600 2000ad59 00 01")
    for bad, reason in ((good[:-1] + b"\x00", "bad_value"), (b"\x02", "bad_shape"), (iotm(), "no_fields")):
        with pytest.raises(Rejected) as refused:
            post("iotm", bad)
        assert refused.value.reason == reason
    made = post("iotm", iotm("03 0600 2000ad59 00 01", "01 0700 2000ad59 990000", "01 ff00 20"))
    assert [isinstance(one, Rejected) for one in made] == [False, True, True]


def test_iotm_is_known_by_its_first_bytes() -> None:
    assert CATALOGUE.by_payload(iotm("03 0600 2000ad59 00 01"), "").name == "iotm_mqtt"
