"""Ruuvi's and Minew's gateways: each tag a message of its own, heard by the gateway."""

import pytest

from headwater.errors import Rejected
from headwater.message import Heard, Message
from tests.decoders.home.kit import CATALOGUE, all_of, come, one, post, refusal

ADVERT = "0201061BFF990405166455D5C6DE0008FFF403F0AE760F2A8BF41F0C28CBD6"
GATEWAY = "C8:25:2D:8E:9C:2C"
TAG = "F4:1F:0C:28:CB:D6"
S1 = {"type": "S1", "mac": "AC233FA018E3", "rssi": -54, "battery": 100, "temperature": 26.69, "bleName": ""}
ROW = {"type": "Gateway", "mac": "AC233FC001EA", "gatewayFree": 98, "timestamp": "2019-08-01T05:54:25Z"}


def minew_long(*sightings: tuple[str, str]) -> bytes:
    body = b"".join(
        bytes.fromhex(mac) + b"\x00\x01" + bytes([len(ad) // 2]) + bytes.fromhex(ad) + b"\x00\xcf"
        for mac, ad in sightings
    )
    rest = bytes.fromhex("ac233fc02f87") + len(sightings).to_bytes(2, "big") + body + b"\xdd"
    return b"\xbb\x01" + (len(rest) + 6).to_bytes(4, "big") + rest


@pytest.mark.parametrize("topic", [f"ruuvi/{GATEWAY}/{TAG}", f"home/ruuvi/{GATEWAY}/{TAG}"])
def test_a_ruuvi_gateway_says_what_a_tag_said(topic: str) -> None:
    body = {
        "gw_mac": GATEWAY,
        "rssi": -26,
        "aoa": [],
        "gwts": "1653668028",
        "ts": "1653668027",
        "data": ADVERT,
        "coords": "",
    }
    said = one(come(topic, body))
    assert (said.device, said.at, said.seq) == ("F41F0C28CBD6", 1_653_668_027_000_000, 10_891)
    assert said.heard_by == [Heard("C8252D8E9C2C", -26.0)]
    assert (said.fields["temperature"], said.fields["rssi"]) == (28.66, -26)


def test_without_its_topic_the_tag_is_the_one_in_the_advert() -> None:
    said = one(post("ruuvi_gateway", {"gw_mac": GATEWAY, "rssi": -26, "cnt": "338", "data": ADVERT}, "any"))
    assert (said.device, said.fields["cnt"]) == ("F41F0C28CBD6", 338)


def test_a_record_is_a_message_for_each_tag_and_a_bad_one_only_itself() -> None:
    decoded = {"rssi": -40, "timestamp": "1665742208", "data": ADVERT, "accelX": 0.5, "temperature": 1}
    other = {"rssi": -50, "data": "0201060aff4c001005031cf7b75e"}
    tags = {
        TAG: decoded,
        "C6:A5:B9:E0:AD:06": other,
        "E3:75:CF:37:4E:23": 7,
        "E3:75:CF:37:4E:24": {"rssi": 1, "data": "xy"},
    }
    made = post("ruuvi_gateway", {"data": {"gw_mac": GATEWAY, "nonce": "1", "tags": tags}})
    assert [one.reason for one in made if isinstance(one, Rejected)] == ["bad_shape", "bad_value"]
    first, second = (one for one in made if isinstance(one, Message))
    assert (first.device, first.at) == ("F41F0C28CBD6", 1_665_742_208_000_000)
    assert (first.fields["temperature"], first.fields["accelX"]) == (28.66, 0.5)
    assert (second.device, second.fields, second.texts) == (
        "C6A5B9E0AD06",
        {"rssi": -50.0},
        {"data": "0201060aff4c001005031cf7b75e"},
    )


def test_the_ruuvi_gateway_itself_has_a_status() -> None:
    active = [{"MAC": TAG, "COUNTER": "5"}]
    body = {"DEVICE_ADDR": GATEWAY, "ESP_FW": "v1.11.2", "UPTIME": "11", "NONCE": "28", "ACTIVE_SENSORS": active}
    said = one(post("ruuvi_gateway", body))
    assert (said.device, said.kind, said.seq) == ("C8252D8E9C2C", "status", 28)
    assert said.fields == {"UPTIME": 11, "NONCE": 28, "ACTIVE_SENSORS": 1}
    assert said.texts == {"ESP_FW": "v1.11.2", "status": "online", "firmware": "v1.11.2"}
    will = one(come(f"ruuvi/{GATEWAY}/gw_status", {"state": "offline"}))
    assert (will.device, will.kind, will.texts) == ("C8252D8E9C2C", "status", {"status": "offline"})


@pytest.mark.parametrize("body", [{}, {"data": {}}, {"data": {"tags": []}}, "hello"])
def test_what_is_no_record_is_refused(body: object) -> None:
    with pytest.raises(Rejected):
        post("ruuvi_gateway", body, "gw")
    assert post("ruuvi_gateway", b"") == ()


def test_minews_rows_are_the_gateway_and_its_tags() -> None:
    raw = {
        "type": "Unknown",
        "mac": "AC233FA03208",
        "rssi": -79,
        "rawData": "0201060303E1FF1016E1FFA10164197348460832A03F23AC",
    }
    gateway, tag, other = all_of(post("minew_gateway", [ROW, S1, raw]))
    assert (gateway.device, gateway.fields, gateway.heard_by) == ("AC233FC001EA", {"gatewayFree": 98}, [])
    assert (tag.device, tag.heard_by) == ("AC233FA018E3", [Heard("AC233FC001EA", -54.0)])
    assert tag.fields == {"rssi": -54.0, "battery": 100, "temperature": 26.69}
    assert other.fields["humidity"] == 72.2734375
    assert other.fields["battery"] == 100


def test_a_bad_row_of_minews_is_only_itself() -> None:
    made = post("minew_gateway", [ROW, {"rssi": -3}, {"mac": "AC233FA03208", "rssi": -3, "rawData": "zz"}, None, S1])
    assert [one.reason if isinstance(one, Rejected) else one.device for one in made] == [
        "AC233FC001EA",
        "missing_device",
        "bad_value",
        "bad_shape",
        "AC233FA018E3",
    ]


def test_minews_topic_names_the_gateway_where_no_row_does() -> None:
    (said,) = all_of(come("/gw/ac233fc001ea/status", [S1]))
    assert said.heard_by == [Heard("AC233FC001EA", -54.0)]


def test_minews_binary_is_a_message_for_each_advert() -> None:
    data = minew_long(("ac233fa018e3", "0201061016e1ffa10164197348460832a03f23ac"), ("50ecece1aef0", ""))
    assert CATALOGUE.by_payload(data, "").name == "minew_gateway"
    first, second = all_of(post("minew_gateway", data))
    assert (first.device, first.heard_by) == ("AC233FA018E3", [Heard("AC233FC02F87", -49.0)])
    assert second.fields == {"rssi": -49.0}


def test_minew_connect_is_read_too() -> None:
    advert = bytes.fromhex("020106")
    frame = b"\x01\x00" + bytes.fromhex("ac233fa018e3") + b"\xcf" + bytes([len(advert)]) + advert
    body = b"\x84\x3e" + (len(frame) + 2).to_bytes(4, "little") + len(frame).to_bytes(2, "little") + frame
    data = b"\xbb\x02\x00\x00\x00\x00" + (14 + len(body)).to_bytes(4, "little") + len(body).to_bytes(4, "little") + body
    said = one(post("minew_gateway", data, "gw-1"))
    assert (said.device, said.heard_by) == ("AC233FA018E3", [Heard("gw-1", -49.0)])


@pytest.mark.parametrize(
    "data", [b"\xbb\x01", b"\xbb\x09aaaaaaaaaaaaaaaaaaaaaa", minew_long(("ac233fa018e3", "02"))[:-1]]
)
def test_binary_that_is_cut_or_unknown_is_refused(data: bytes) -> None:
    with pytest.raises(Rejected) as refused:
        post("minew_gateway", data, "gw-1")
    assert refusal(refused.value) in {"bad_shape", "unsupported"}
