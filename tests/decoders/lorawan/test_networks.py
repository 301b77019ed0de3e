"""What ChirpStack's gateways, ThingPark and AWS IoT Core for LoRaWAN publish."""

import base64
from typing import Any

import msgspec
import pytest

from headwater.errors import Rejected
from headwater.message import Heard
from tests.decoders.home.kit import CATALOGUE, come, one, post, refusal

GATEWAY = "0016c001f153a14c"
JOIN = base64.b64encode(bytes([0, *range(8, 0, -1), *range(18, 10, -1), 0, 0, 1, 2, 3, 4])).decode()


def gateway(event: str, body: object) -> Any:
    """What comes of an event of a gateway."""
    return one(come(f"eu868/gateway/{GATEWAY}/{event}", body))


def test_a_gateways_counters_and_place_are_its_own() -> None:
    stats = {
        "gatewayId": GATEWAY,
        "time": "2025-11-21T04:39:59Z",
        "location": {"latitude": 52.5, "longitude": 13.25, "altitude": 34},
        "rxPacketsReceived": 4,
        "txPacketsPerFrequency": {"867300000": 1},
        "rxPacketsPerModulation": [
            {"modulation": {"lora": {"spreadingFactor": 7}}, "count": 3},
            {"modulation": {"fsk": {}}, "count": 1},
        ],
        "metadata": {"temperature": "41"},
    }
    made = gateway("event/stats", stats)
    assert (made.device, made.kind, made.at) == (GATEWAY, "telemetry", 1_763_699_999_000_000)
    assert made.fields == {
        "rxPacketsReceived": 4,
        "txPacketsPerFrequency.867300000": 1,
        "rxPacketsPerModulation.SF7": 3,
        "rxPacketsPerModulation.fsk": 1,
    }
    assert (made.position.lat, made.texts) == (52.5, {"metadata.temperature": "41"})


@pytest.mark.parametrize(("state", "status"), [("ONLINE", "online"), ("OFFLINE", "offline")])
def test_a_gateways_connection_is_its_status(state: str, status: str) -> None:
    made = gateway("state/conn", {"gatewayId": GATEWAY, "state": state})
    assert (made.kind, made.texts["status"]) == ("status", status)


def test_of_an_encrypted_frame_the_header_is_told() -> None:
    frame = {"phyPayload": "gKb+agGABQABOIc6cwQ=", "rxInfo": {"gatewayId": GATEWAY, "rssi": -52, "snr": 13.75}}
    made = gateway("event/up", frame)
    assert (made.kind, made.fields["fCnt"], made.fields["fPort"], made.fields["rssi"]) == ("event", 5, 1, -52)
    assert (made.texts["devAddr"], made.texts["mType"]) == ("016afea6", "ConfirmedDataUp")
    join = gateway("event/up", frame | {"phyPayload": JOIN})
    assert (join.texts["mType"], join.texts["joinEui"], join.texts["devEui"]) == (
        "JoinRequest",
        "0102030405060708",
        "0b0c0d0e0f101112",
    )


@pytest.mark.parametrize("frame", ["", "AA==", "gKb+agGP", "====", "a"])
def test_a_frame_that_is_cut_off_is_still_told(frame: str) -> None:
    assert gateway("event/up", {"phyPayload": frame, "rxInfo": {"gatewayId": GATEWAY, "rssi": -1}}).fields["rssi"] == -1


def test_acknowledgements_executions_and_commands_are_told_apart() -> None:
    assert gateway("event/ack", {"gatewayId": GATEWAY, "items": [{"status": "OK"}, {}]}).texts["items.0.status"] == "OK"
    made = one(post("chirpstack_gateway_bridge", {"gatewayID": "cnb/AC4GLBg=", "stdout": "eA=="}))
    assert (made.device, made.texts["event"]) == ("7276ff002e062c18", "exec")
    assert gateway("command/down", {"gatewayId": GATEWAY, "downlinkId": 5}).kind == "command"


def test_what_the_mesh_says_is_its_relays_heard_by_the_gateway_at_the_border() -> None:
    events = [{"heartbeat": {"relayPath": []}}, {"proprietary": {"eventType": 128, "payload": "IA=="}}]
    first, second = come(
        f"gateway/{GATEWAY}/event/mesh", {"gatewayId": GATEWAY, "relayId": "f1137eb4", "events": events}
    )
    made = one([first])
    assert made.texts == {"event": "mesh.heartbeat"}
    assert (one([second]).device, one([second]).heard_by) == ("f1137eb4", [Heard(GATEWAY)])


def test_protobuf_of_a_gateway_is_refused_with_what_to_set() -> None:
    with pytest.raises(Rejected, match="marshaler") as caught:
        come(f"gateway/{GATEWAY}/event/up", b"\x0a\x11\x40")
    assert caught.value.reason == "unsupported"


PARK: dict[str, Any] = {
    "Time": "2025-11-21T05:39:59.775+01:00",
    "DevEUI": "6C4756C9BD557121",
    "FPort": "2",
    "FCntUp": "933",
    "payload_hex": "78a3",
    "LrrRSSI": "-116.000000",
    "LrrSNR": "0",
    "Lrrid": "46584253",
    "LrrLAT": "57.99918",
    "LrrLON": "55.93696",
    "CustomerData": {"name": "Meter 7"},
}
LRR = {"Lrrid": "46584254", "LrrRSSI": "-115.0", "LrrSNR": "-10"}


@pytest.mark.parametrize("lrrs", [[LRR], {"Lrr": [LRR]}, {"Lrr": LRR}])
def test_thingparks_numbers_are_texts_and_its_stations_an_array_or_an_object(lrrs: object) -> None:
    made = one(post("actility_thingpark", {"DevEUI_uplink": PARK | {"Lrrs": lrrs}}))
    assert (made.device, made.seq, made.at) == ("6c4756c9bd557121", 933, 1_763_699_999_775_000)
    assert (made.heard_by, made.fields["FPort"]) == ([Heard("46584254", -115, -10)], 2)
    assert (made.texts["frm_payload"], made.texts["name"], made.position) == ("78a3", "Meter 7", None)


def test_without_a_list_of_stations_the_best_one_has_heard_it() -> None:
    assert one(post("actility_thingpark", {"DevEUI_uplink": PARK})).heard_by == [Heard("46584253", -116, 0)]


def test_what_thingpark_has_decoded_goes_before_the_bytes() -> None:
    decoded = {
        "payload": {"temperature": 24},
        "points": {"batteryLevel": {"unitId": "%", "record": 81.5}},
        "BatteryLevel": "96.85",
    }
    made = one(post("actility_thingpark", {"DevEUI_uplink": PARK | decoded}))
    assert (made.fields["temperature"], made.fields["points.batteryLevel.record"], made.fields["battery"]) == (
        24,
        81.5,
        96.85,
    )
    assert "frm_payload" not in made.texts


def test_thingparks_xml_is_the_same_document() -> None:
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?><DevEUI_uplink xmlns="http://uri.actility.com/lora">'
        "<Time>2025-11-21T05:39:59.775+01:00</Time><DevEUI>6C4756C9BD557121</DevEUI><FPort>2</FPort><FCntUp>933</FCntUp>"
        "<payload_hex>78a3</payload_hex><Lrrs><Lrr><Lrrid>46584254</Lrrid><LrrRSSI>-115.0</LrrRSSI><LrrSNR>-10</LrrSNR></Lrr>"
        "<Lrr><Lrrid>46584255</Lrrid><LrrRSSI>-99</LrrRSSI></Lrr></Lrrs></DevEUI_uplink>"
    )
    made = one(post("actility_thingpark", xml))
    assert (made.device, made.seq, made.texts["frm_payload"]) == ("6c4756c9bd557121", 933, "78a3")
    assert made.heard_by == [Heard("46584255", -99, None), Heard("46584254", -115, -10)]


def test_a_payload_that_is_still_encrypted_is_refused() -> None:
    with pytest.raises(Rejected) as caught:
        post("actility_thingpark", {"DevEUI_uplink": PARK | {"PayloadEncryption": 1}})
    assert caught.value.reason == "encrypted"


def test_an_odd_word_on_encryption_is_none() -> None:
    made = one(post("actility_thingpark", {"DevEUI_uplink": PARK | {"PayloadEncryption": []}}))
    assert made.fields["FPort"] == 2


@pytest.mark.parametrize(
    ("var1", "said"),
    [("0", {"externalPowerSource": True}), ("254", {"battery": 100.0}), ("1", {"battery": 0.0}), ("255", {})],
)
def test_a_device_status_of_thingpark_is_charge_and_margin(var1: str, said: dict[str, object]) -> None:
    body = {"DevEUI_notification": {"DevEUI": "00", "Type": "devstatusans", "Var1": var1, "Var2": "-7"}}
    made = one(post("actility_thingpark", body, device="meter"))
    assert (made.kind, made.fields) == ("status", said | {"margin": -7})


def test_thingparks_place_of_a_device_is_the_devices() -> None:
    place = {
        "DevEUI": "6C4756C9BD557121",
        "DevLocTime": "2025-11-21T04:39:59Z",
        "DevLAT": "52.5",
        "DevLON": "13.25",
        "DevLocRadius": "80",
    }
    made = one(post("actility_thingpark", {"DevEUI_location": place}))
    assert made.position is not None
    assert (made.position.lat, made.position.accuracy, made.at) == (52.5, 80, 1_763_699_999_000_000)


AWS: dict[str, Any] = {
    "WirelessDeviceId": "5b58245e-146c-4c30-9703-0ca942e3ff35",
    "PayloadData": "Cc48",
    "WirelessMetadata": {
        "LoRaWAN": {
            "DevEui": "FFFFFF10000163B0",
            "FCnt": 7,
            "FPort": 5,
            "Frequency": "868100000",
            "Gateways": [{"GatewayEui": "80029cfffe5cf1cc", "Snr": 9.75, "Rssi": -29}],
            "Timestamp": "2025-11-21T04:39:59Z",
        }
    },
}


def test_an_uplink_through_aws_is_its_radios() -> None:
    made = one(post("aws_iot_lorawan", AWS))
    assert (made.device, made.seq, made.at, made.texts["frm_payload"]) == (
        "ffffff10000163b0",
        7,
        1_763_699_999_000_000,
        "09ce3c",
    )
    assert (made.heard_by, made.fields["Frequency"]) == ([Heard("80029cfffe5cf1cc", -29, 9.75)], 868100000)


def test_sidewalks_bytes_are_hex_in_base64_and_its_device_is_awss() -> None:
    body = {
        "WirelessDeviceId": "wireless-1",
        "PayloadData": base64.b64encode(b"f4e665").decode(),
        "WirelessMetadata": {
            "Sidewalk": {"Seq": 3, "SidewalkId": "device-id", "CmdExStatus": "COMMAND_EXEC_STATUS_UNSPECIFIED"}
        },
    }
    made = one(post("aws_iot_lorawan", body))
    assert (made.device, made.seq, made.texts["frm_payload"]) == ("wireless-1", 3, "f4e665")


def test_notifications_of_aws_are_events_and_a_gateways_connection_its_status() -> None:
    joined = {
        "eventId": "e1",
        "eventType": "join_accepted",
        "WirelessDeviceId": "w",
        "LoRaWAN": {"DevEui": "feffff00000011d8"},
    }
    made = one(come("$aws/iotwireless/events/join/join_accepted/lorawan/wireless_devices", joined))
    assert (made.device, made.kind, made.texts["event"], made.texts["eventType"]) == (
        "feffff00000011d8",
        "event",
        "join",
        "join_accepted",
    )
    lost = {
        "eventId": "e2",
        "eventType": "disconnected",
        "WirelessGatewayId": "g-1",
        "LoRaWAN": {"GatewayEui": "feffff00000011ff"},
    }
    made = one(post("aws_iot_lorawan", lost))
    assert (made.device, made.kind, made.texts["status"]) == ("feffff00000011ff", "status", "offline")


@pytest.mark.parametrize("decoder", ["actility_thingpark", "aws_iot_lorawan", "chirpstack_gateway_bridge"])
@pytest.mark.parametrize(("body", "reason"), [(b"", ""), (b"[]", "bad_shape"), (b'{"a":1}', ""), (b"<a", "bad_shape")])
def test_what_is_none_of_theirs_is_refused(decoder: str, body: bytes, reason: str) -> None:
    if not body:
        assert post(decoder, body) == ()
        return
    with pytest.raises(Rejected) as caught:
        post(decoder, body, device="x")
    assert caught.value.reason in {reason, "bad_shape", "bad_json", "unsupported"}


def test_each_is_known_by_its_content() -> None:
    stats = {"gatewayId": GATEWAY, "rxPacketsReceived": 1}
    found = [CATALOGUE.by_payload(msgspec.json.encode(body), "").name for body in ({"DevEUI_uplink": PARK}, AWS, stats)]
    assert found == ["actility_thingpark", "aws_iot_lorawan", "chirpstack_gateway_bridge"]


def test_a_mesh_event_that_says_nothing_does_not_hide_the_others() -> None:
    made = come(
        f"gateway/{GATEWAY}/event/mesh", {"relayId": "f1137eb4", "events": [{}, {"proprietary": {"eventType": 1}}]}
    )
    assert refusal(made[:1]) == "no_fields"
    assert one(made[1:]).fields == {"proprietary.eventType": 1}
