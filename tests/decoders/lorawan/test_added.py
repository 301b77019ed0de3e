"""A codec that somebody has added to the registry: asked for by its name, or reading what a network server has not decoded."""

from typing import Any

import msgspec
import pytest

from headwater.config_decoders import Decoders
from headwater.errors import ConfigError, Rejected
from headwater.registry import DecoderText
from ingest.contract import Payload, Source
from ingest.decoders.living import compiled, open_decoders, take
from tests.decoders.home.kit import RECEIVED, one

CODEC = """
function decodeUplink(input) {
  if (input.fPort !== 2) return {errors: ["unknown FPort"]};
  return {data: {temperature: input.bytes[0] / 2, latitude: 52.5, longitude: 13.25, batteryLevel: 80, at: input.recvTime}};
}
"""
RECORD = DecoderText("lht65", "javascript", CODEC, models=("EM300-TH",))


def decode(name: str, data: bytes, query: str = "", model: str = "") -> Any:
    """What a gateway makes of a payload by HTTP, with this codec added."""
    living = open_decoders(Decoders())
    take(living, [RECORD], Decoders())
    payload = Payload(data, Source("http", "", "d1", name, query=query), RECEIVED, living.knowledge, model)
    return living.catalogue.named(name).decode(payload)


def test_a_codec_is_asked_for_by_its_name_and_the_query_says_the_port() -> None:
    made = one(decode("lht65", b"\x2b", "fPort=2"))
    assert (made.fields["temperature"], made.fields["battery"], made.texts["at"]) == (
        21.5,
        80,
        "2025-11-21T04:40:00.000Z",
    )
    assert made.position is not None
    assert (made.position.lat, made.position.lon) == (52.5, 13.25)


def test_what_the_codec_says_is_wrong_is_the_reason() -> None:
    with pytest.raises(Rejected, match="unknown FPort"):
        decode("lht65", b"\x2b", "fPort=3")


def test_it_reads_what_a_network_server_has_not_decoded_for_a_device_of_its_model() -> None:
    up = {
        "deviceInfo": {"devEui": "24e124136b502217", "deviceProfileName": "em300-th"},
        "fPort": 2,
        "fCnt": 1,
        "data": "Kw==",
    }
    assert one(decode("chirpstack_v4", msgspec.json.encode(up))).fields["temperature"] == 21.5
    things = {"end_device_ids": {"device_id": "dev1"}, "uplink_message": {"f_port": 2, "frm_payload": "Kw=="}}
    assert one(decode("tts_v3", msgspec.json.encode(things), model="lht65")).fields["temperature"] == 21.5
    assert one(decode("tts_v3", msgspec.json.encode(things))).texts["frm_payload"] == "2b"


def test_a_codec_that_is_no_javascript_is_refused_where_it_is_added() -> None:
    with pytest.raises(ConfigError, match="line 2"):
        compiled(msgspec.structs.replace(RECORD, text="\nvar x = ;"), Decoders())


@pytest.mark.parametrize("port", ["256", "-1", "x", "9" * 5000])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(Rejected, match="fPort") as caught:
        decode("lht65", b"\x2b", f"fPort={port}")
    assert caught.value.reason == "bad_value"
