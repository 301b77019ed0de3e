"""What ChirpStack and The Things Stack publish: whose message it is, who heard it, its values, and what is no telemetry."""

from typing import Any

import msgspec
import pytest

from headwater.errors import Rejected
from headwater.message import Heard
from ingest.contract import Codec
from ingest.decoders.lorawan.codec import compile_codec
from tests.decoders.home.kit import CATALOGUE, come, one, post
from tests.decoders.memory import Memory

EUI = "24e124136b502217"
TOPIC = f"application/17c82e96/device/{EUI}/event/"
INFO = {
    "deviceInfo": {
        "applicationName": "Cellars",
        "deviceProfileName": "EM300-TH",
        "deviceProfileId": "p-1",
        "deviceName": "cellar",
        "devEui": EUI,
        "tags": {"floor": "-1"},
    }
}
UP: dict[str, Any] = {
    "deduplicationId": "3ac7e3c4-4401-4b8d-9386-a5c902f9202d",
    "time": "2025-11-21T04:39:59.775023242+00:00",
    **INFO,
    "devAddr": "00189440",
    "fCnt": 12,
    "fPort": 85,
    "data": "AWQDZ/QA",
    "rxInfo": [
        {"gatewayId": "0016c001f153a14c", "rssi": -110, "snr": -3.5, "location": {"latitude": 1.0, "longitude": 2.0}},
        {"gatewayId": "0016c001f153a14d", "rssi": -36, "snr": 10},
    ],
    "txInfo": {"frequency": 867100000, "modulation": {"lora": {"bandwidth": 125000, "spreadingFactor": 11}}},
}


class Knowing(Memory):
    """A context with a codec under each of these names."""

    def __init__(self, **codecs: Codec) -> None:
        super().__init__()
        self.codecs = {name.replace("_", "/"): found for name, found in codecs.items()}

    def codec(self, *names: str) -> Codec | None:  # pyright: ignore[reportIncompatibleMethodOverride] # Memory has none
        return next((self.codecs[name] for name in names if name in self.codecs), None)


def test_an_uplink_of_chirpstack_is_its_devices_whatever_it_is_called() -> None:
    up = one(
        come(TOPIC + "up", UP | {"object": {"temperature": 24.4, "ok": True, "door": "open", "in": [1, {"a": 2}]}})
    )
    assert (up.device, up.seq, up.id, up.kind) == (EUI, 12, "3ac7e3c4-4401-4b8d-9386-a5c902f9202d", "telemetry")
    assert up.at == 1_763_699_999_775_023
    assert up.fields["temperature"] == 24.4
    assert (up.fields["ok"], up.texts["door"], up.fields["in.0"], up.fields["in.1.a"]) == (True, "open", 1, 2)
    assert (up.texts["name"], up.texts["model"], up.texts["tags.floor"]) == ("cellar", "EM300-TH", "-1")
    assert "frm_payload" not in up.texts


def test_gateways_have_heard_it_the_strongest_first_and_their_place_is_not_the_devices() -> None:
    up = one(come(TOPIC + "up", UP))
    assert up.heard_by == [Heard("0016c001f153a14d", -36, 10), Heard("0016c001f153a14c", -110, -3.5)]
    assert (up.fields["rssi"], up.fields["snr"], up.position) == (-36, 10, None)


def test_what_the_server_has_not_decoded_is_kept_in_hex() -> None:
    assert one(come(TOPIC + "up", UP)).texts["frm_payload"] == "01640367f400"


def test_a_codec_of_the_devices_profile_reads_what_the_server_has_not_decoded() -> None:
    codec = compile_codec(
        "em300", "function decodeUplink(i) {return {data: {n: i.bytes.length, p: i.fPort}, warnings: ['old']}}"
    )
    up = one(come(TOPIC + "up", UP, Knowing(**{"EM300-TH": codec})))
    assert (up.fields["n"], up.fields["p"], up.texts["note.codec"]) == (6, 85, "old")
    assert "frm_payload" not in up.texts


def test_a_codec_that_refuses_a_payload_has_it_rejected_with_its_reason() -> None:
    codec = compile_codec("em300", "function decodeUplink(i) {return {errors: ['unknown channel']}}")
    with pytest.raises(Rejected, match="unknown channel") as caught:
        come(TOPIC + "up", UP, Knowing(**{"EM300-TH": codec}))
    assert caught.value.reason == "decoder_failed"


def test_a_place_in_the_payload_is_the_devices() -> None:
    up = one(come(TOPIC + "up", UP | {"object": {"latitude": 52.5, "longitude": 13.25, "altitude": 34}}))
    assert up.position is not None
    assert (up.position.lat, up.position.lon, up.position.alt, up.fields["latitude"]) == (52.5, 13.25, 34, 52.5)


@pytest.mark.parametrize(
    ("event", "body", "kind", "said"),
    [
        ("join", {"devAddr": "00189440"}, "event", {"event": "join", "devAddr": "00189440"}),
        (
            "ack",
            {"acknowledged": False, "fCntDown": 3},
            "event",
            {"event": "ack", "acknowledged": False, "fCntDown": 3},
        ),
        ("txack", {"gatewayId": "0016c001f153a14c"}, "event", {"event": "txack", "gatewayId": "0016c001f153a14c"}),
        (
            "log",
            {"level": "ERROR", "code": "UPLINK_CODEC", "description": "bad"},
            "event",
            {"level": "ERROR", "description": "bad"},
        ),
        ("status", {"margin": 10, "batteryLevel": 88.3}, "status", {"battery": 88.3, "margin": 10}),
        ("status", {"margin": -3, "externalPowerSource": True}, "status", {"margin": -3, "externalPowerSource": True}),
        (
            "integration",
            {"integrationName": "loracloud", "object": {"a": [1]}},
            "event",
            {"integrationName": "loracloud", "a.0": 1},
        ),
    ],
)
@pytest.mark.parametrize("by_topic", [True, False])
def test_every_event_of_chirpstack_is_told_apart_by_topic_or_by_what_is_in_it(
    event: str, body: dict[str, Any], kind: str, said: dict[str, object], *, by_topic: bool
) -> None:
    body = INFO | body
    made = one(come(TOPIC + event, body) if by_topic else post("chirpstack_v4", body))
    assert (made.device, made.kind) == (EUI, kind)
    assert said.items() <= {**made.fields, **made.texts}.items()


def test_an_event_may_be_named_in_the_query_as_chirpstacks_http_integration_does() -> None:
    assert one(post("chirpstack_v4", INFO | {"rxInfo": []}, query="event=join")).texts["event"] == "join"


def test_a_battery_that_cannot_be_measured_is_no_number() -> None:
    made = one(come(TOPIC + "status", INFO | {"margin": 7, "batteryLevelUnavailable": True, "batteryLevel": 0}))
    assert "battery" not in made.fields
    assert made.texts["note.battery"] == "the device cannot measure it"


def test_where_chirpstack_has_found_the_device_is_its_place() -> None:
    made = one(come(TOPIC + "location", INFO | {"location": {"latitude": 37.3, "longitude": -8.8, "altitude": 2}}))
    assert made.position is not None
    assert (made.kind, made.position.lat, made.position.lon) == ("event", 37.3, -8.8)


def test_uplink_and_status_of_one_frame_are_two_messages_with_two_ids() -> None:
    status = one(come(TOPIC + "status", INFO | {"deduplicationId": UP["deduplicationId"], "margin": 1}))
    assert status.id == UP["deduplicationId"] + "-status"


def test_a_downlink_that_was_asked_for_is_a_command() -> None:
    made = one(
        come(
            f"application/1/device/{EUI}/command/down", {"devEui": EUI, "fPort": 10, "confirmed": True, "data": "vu8="}
        )
    )
    assert (made.kind, made.device, made.fields, made.texts) == (
        "command",
        EUI,
        {"command.fPort": 10, "command.confirmed": True},
        {"command.frm_payload": "beef"},
    )


def test_topics_may_stand_behind_a_prefix() -> None:
    assert one(come(f"eu868/application/1/device/{EUI}/event/up", UP)).device == EUI


@pytest.mark.parametrize("topic", [TOPIC + "up", f"application/123/device/{EUI}/rx"])
def test_protobuf_is_refused_with_what_to_set(topic: str) -> None:
    with pytest.raises(Rejected, match="json") as caught:
        come(topic, b"\x0a\x24\x33\x61\x63\x37\x00\xff")
    assert caught.value.reason == "unsupported"


V3 = {
    "applicationID": "123",
    "applicationName": "temperature-sensor",
    "deviceName": "garden-sensor",
    "devEUI": "JOEkE2tQIhc=",
    "rxInfo": [{"gatewayID": "AwMDAwMDAwM=", "time": "2025-11-21T04:39:59.775Z", "rssi": -48, "loRaSNR": 9}],
    "txInfo": {"frequency": 868100000, "loRaModulationInfo": {"bandwidth": 125, "spreadingFactor": 11}},
    "fCnt": 10,
    "fPort": 5,
    "data": "AQI=",
}
V3_HEX = V3 | {"devEUI": EUI, "rxInfo": [{"gatewayID": "0303030303030303", "rssi": -48, "loRaSNR": 9}]}


@pytest.mark.parametrize(
    "body", [V3 | {"objectJSON": '{"t": 25, "in": {"h": 32}}'}, V3_HEX | {"object": {"t": 25, "in": {"h": 32}}}]
)
@pytest.mark.parametrize("event", ["event/up", "rx", "up"])
def test_chirpstack_3_is_read_in_both_its_forms_and_on_old_and_new_topics(body: dict[str, Any], event: str) -> None:
    up = one(come(f"application/123/device/{EUI}/{event}", body))
    assert (up.device, up.seq, up.texts["name"], up.texts["devEUI"]) == (EUI, 10, "garden-sensor", EUI)
    assert (up.fields["t"], up.fields["in.h"], up.heard_by) == (25, 32, [Heard("0303030303030303", -48, 9)])


def test_chirpstack_3_without_a_topic_is_known_by_its_content() -> None:
    assert one(post("chirpstack_v3", V3)).seq == 10
    assert one(post("chirpstack_v3", V3_HEX | {"margin": 6, "batteryLevel": 75.5})).fields["battery"] == 75.5
    failed = one(
        come(f"application/123/device/{EUI}/event/error", {"devEUI": EUI, "type": "UPLINK_CODEC", "error": "bad"})
    )
    assert (failed.kind, failed.texts["type"], failed.texts["error"]) == ("event", "UPLINK_CODEC", "bad")


THINGS: dict[str, Any] = {
    "end_device_ids": {
        "device_id": "dev1",
        "application_ids": {"application_id": "app1"},
        "dev_eui": "0004A30B001C0530",
    },
    "received_at": "2025-11-21T04:40:00.123Z",
}
MESSAGE: dict[str, Any] = {
    "f_port": 1,
    "f_cnt": 5,
    "frm_payload": "AQ==",
    "rx_metadata": [
        {
            "gateway_ids": {"gateway_id": "gtw1", "eui": "9C5C8E00001A05C4"},
            "rssi": -35,
            "channel_rssi": -35,
            "snr": 5.2,
        },
        {"gateway_ids": {"gateway_id": "packetbroker"}, "rssi": -30, "location": {"latitude": 1, "longitude": 2}},
    ],
    "settings": {"data_rate": {"lora": {"bandwidth": 125000, "spreading_factor": 7}}, "frequency": "868300000"},
    "received_at": "2025-11-21T04:39:59.775Z",
    "consumed_airtime": "0.056576s",
}


def things(event: str, **body: Any) -> Any:
    """What comes of an event of The Things Stack."""
    return one(come(f"v3/app1@ttn/devices/dev1/{event}", THINGS | body))


def test_an_uplink_of_the_things_stack_is_its_end_devices() -> None:
    up = things("up", uplink_message=MESSAGE | {"decoded_payload": {"temperature": 21.5, "f_cnt": 9}})
    assert (up.device, up.seq, up.at, up.kind) == ("dev1", 5, 1_763_699_999_775_000, "telemetry")
    assert (up.fields["temperature"], up.fields["consumed_airtime"], up.fields["frequency"]) == (
        21.5,
        0.056576,
        868300000,
    )
    assert up.heard_by == [Heard("packetbroker", -30, None), Heard("gtw1", -35, 5.2)]
    assert (up.texts["dev_eui"], up.texts["application_id"], up.position) == ("0004A30B001C0530", "app1", None)


def test_the_codec_of_brand_and_model_reads_what_the_stack_has_not_decoded() -> None:
    codec = compile_codec("x", "function Decoder(bytes, port) { return {first: bytes[0], port: port} }")
    versions = {"version_ids": {"brand_id": "dragino", "model_id": "lht65", "firmware_version": "1.8"}}
    body = THINGS | {"uplink_message": MESSAGE | versions}
    up = one(come("v3/app1@ttn/devices/dev1/up", body, Knowing(dragino_lht65=codec)))
    assert (up.fields["first"], up.fields["port"], up.texts["model"], up.texts["firmware"]) == (1, 1, "lht65", "1.8")
    assert things("up", uplink_message=MESSAGE | versions).texts["frm_payload"] == "01"


def test_locations_place_the_device_what_a_payload_says_before_what_somebody_entered() -> None:
    places = {
        "user": {"latitude": 1.5, "longitude": 2.5},
        "frm-payload": {"latitude": 3.5, "longitude": 4.5, "accuracy": 9},
    }
    up = things("up", uplink_message=MESSAGE | {"locations": places})
    assert up.position is not None
    assert (up.position.lat, up.position.lon, up.position.accuracy) == (3.5, 4.5, 9)


def test_battery_warnings_and_a_simulated_uplink_are_said() -> None:
    up = things(
        "up",
        simulated=True,
        uplink_message=MESSAGE
        | {"last_battery_percentage": {"value": 94.5}, "decoded_payload_warnings": ["out of range"]},
    )
    assert (up.fields["battery"], up.fields["simulated"], up.texts["note.codec"]) == (94.5, True, "out of range")


def test_sensecaps_lists_of_measurements_have_their_types_as_names() -> None:
    listed = [{"measurementId": "4097", "measurementValue": 6.5, "type": "Air Temperature"}]
    for messages in (listed, [listed]):
        up = things("up", uplink_message=MESSAGE | {"decoded_payload": {"err": 0, "messages": messages}})
        assert (up.fields["Air Temperature"], up.fields["err"]) == (6.5, 0)
    rounded = [
        {"measurementValue": "-1.5", "type": "Air Temperature"},
        {"measurementValue": "1.10", "type": "Firmware Version"},
    ]
    up = things("up", uplink_message=MESSAGE | {"decoded_payload": {"messages": rounded}})
    assert (up.fields["Air Temperature"], up.texts["Firmware Version"]) == (-1.5, "1.10")


@pytest.mark.parametrize(
    ("event", "body", "said"),
    [
        ("join", {"join_accept": {"received_at": "2025-11-21T04:39:59Z"}}, {"event": "join_accept"}),
        (
            "down/queued",
            {"downlink_queued": {"f_port": 15, "frm_payload": "vu8="}},
            {"event": "downlink_queued", "frm_payload": "beef"},
        ),
        ("down/sent", {"downlink_sent": {"f_cnt": 11}}, {"event": "downlink_sent", "f_cnt": 11}),
        ("down/nack", {"downlink_nack": {"f_port": 15}}, {"event": "downlink_nack"}),
        (
            "down/failed",
            {"downlink_failed": {"downlink": {"f_port": 15}, "error": {"name": "too_long"}}},
            {"f_port": 15, "error.name": "too_long"},
        ),
        (
            "service/data",
            {"service_data": {"service": "x", "data": {"a": 1}}},
            {"event": "service_data", "service": "x", "a": 1},
        ),
        (
            "up/normalized",
            {"uplink_normalized": MESSAGE | {"normalized_payload": {"air": {"temperature": 3.5}}}},
            {"air.temperature": 3.5},
        ),
    ],
)
def test_events_of_the_things_stack(event: str, body: dict[str, Any], said: dict[str, object]) -> None:
    made = things(event, **body)
    assert said.items() <= {**made.fields, **made.texts}.items()
    assert made.kind == ("telemetry" if event == "up/normalized" else "event")


def test_a_location_that_a_service_solved_is_the_devices_place() -> None:
    made = things(
        "location/solved", location_solved={"service": "lora-cloud", "location": {"latitude": 3.5, "longitude": 4.5}}
    )
    assert made.position is not None
    assert (made.position.lat, made.texts["service"]) == (3.5, "lora-cloud")


def test_downlinks_that_are_pushed_are_commands_one_each() -> None:
    made = come(
        "v3/app1@ttn/devices/dev1/down/push",
        THINGS | {"downlinks": [{"f_port": 15, "frm_payload": "vu8="}, {"f_port": 2}]},
    )
    assert [message.kind for message in made if not isinstance(message, Rejected)] == ["command", "command"]


@pytest.mark.parametrize(
    ("topic", "body", "reason"),
    [
        (TOPIC + "up", b"", ""),
        (TOPIC + "up", b"[1]", "bad_shape"),
        (TOPIC + "up", b"{", "bad_json"),
        (TOPIC + "future", INFO, "bad_shape"),
        ("v3/a@b/devices/dev1/up", THINGS, "bad_shape"),
        ("v3/a@b/devices/dev1/up", b"\x0a\x00", "unsupported"),
    ],
)
def test_what_is_no_event_is_refused_and_an_emptied_topic_says_nothing(topic: str, body: object, reason: str) -> None:
    if not reason:
        assert come(topic, body) == ()
        return
    with pytest.raises(Rejected) as caught:
        come(topic, body)
    assert caught.value.reason == reason


def test_content_alone_tells_the_servers_apart() -> None:
    for body, name in ((UP, "chirpstack_v4"), (V3, "chirpstack_v3"), (THINGS | {"uplink_message": MESSAGE}, "tts_v3")):
        assert CATALOGUE.by_payload(msgspec.json.encode(body), "").name == name
