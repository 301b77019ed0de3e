"""What The Things Network v2, Helium and LORIOT send, of which there are no samples: payloads of the documented shapes."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.errors import Rejected
from headwater.message import Heard, Message
from tests.decoders.home.kit import CATALOGUE, come, one, post

V2: dict[str, Any] = {
    "app_id": "my-app",
    "dev_id": "my-dev",
    "hardware_serial": "0102030405060708",
    "port": 1,
    "counter": 2,
    "payload_raw": "AQIDBA==",
    "metadata": {
        "time": "2025-11-21T04:39:59.775Z",
        "frequency": 868.1,
        "data_rate": "SF7BW125",
        "gateways": [{"gtw_id": "eui-1", "rssi": -25, "snr": 5, "latitude": 52.1, "longitude": 6.1}],
    },
}
HELIUM: dict[str, Any] = {
    "dev_eui": "1C29FBD1D2084E21",
    "name": "Test Me",
    "fcnt": 19,
    "port": 1,
    "reported_at": 1763699999775,
    "payload": "AQID",
    "hotspots": [{"name": "icy-fiery-hippo", "rssi": -54, "snr": 9.5, "frequency": 912.3, "spreading": "SF9BW125"}],
}
LORIOT: dict[str, Any] = {
    "cmd": "gw",
    "EUI": "0102030405060708",
    "ts": 1763699999775,
    "fcnt": 1,
    "port": 1,
    "data": "0102AABB",
    "gws": [{"gweui": "00-01-FF-FF-FE-00-00-01", "rssi": -130, "snr": 1.2}],
}
ALL = {"ttn_v2": V2, "helium": HELIUM, "loriot": LORIOT}


@pytest.mark.parametrize(
    ("name", "device", "seq", "heard", "raw"),
    [
        ("ttn_v2", "my-dev", 2, Heard("eui-1", -25, 5), "01020304"),
        ("helium", "1c29fbd1d2084e21", 19, Heard("icy-fiery-hippo", -54, 9.5), "010203"),
        ("loriot", "0102030405060708", 1, Heard("0001fffffe000001", -130, 1.2), "0102aabb"),
    ],
)
def test_an_uplink_says_whose_it_is_who_heard_it_and_its_bytes(
    name: str, device: str, seq: int, heard: Heard, raw: str
) -> None:
    made = one(post(name, ALL[name]))
    assert (made.device, made.seq, made.at, made.heard_by) == (device, seq, 1_763_699_999_775_000, [heard])
    assert (made.texts["frm_payload"], made.position) == (raw, None)


@pytest.mark.parametrize(
    ("name", "decoded"),
    [
        ("ttn_v2", {"payload_fields": {"t": 21.5}}),
        ("helium", {"decoded": {"status": "success", "payload": {"t": 21.5}}}),
        ("loriot", {"decoded": {"data": {"t": 21.5}}}),
        ("loriot", {"decoded": {"t": 21.5}}),
    ],
)
def test_what_the_server_has_decoded_goes_before_the_bytes(name: str, decoded: dict[str, Any]) -> None:
    made = one(post(name, ALL[name] | decoded))
    assert made.fields["t"] == 21.5
    assert "frm_payload" not in made.texts


@pytest.mark.parametrize("name", ALL)
def test_each_is_known_by_its_content(name: str) -> None:
    assert CATALOGUE.by_payload(msgspec.json.encode(ALL[name]), "").name == name


def test_a_topic_of_version_2_names_the_device_and_what_it_is() -> None:
    assert one(come("my-app/devices/my-dev/up", V2)).device == "my-dev"
    joined = one(come("my-app/devices/my-dev/events/activations", {"dev_eui": "0102030405060708", "metadata": {}}))
    assert (joined.kind, joined.texts["event"]) == ("event", "activations")
    assert one(come("my-app/devices/my-dev/down", {"port": 1, "payload_raw": "AQ=="})).kind == "command"


def test_a_device_of_version_2_is_where_its_metadata_says() -> None:
    made = one(post("ttn_v2", V2 | {"metadata": V2["metadata"] | {"latitude": 52.5, "longitude": 13.25}}))
    assert made.position is not None
    assert made.position.lat == 52.5


def test_helium_and_loriot_have_events_and_commands_too() -> None:
    assert one(post("helium", HELIUM | {"type": "join"})).texts["event"] == "join"
    assert one(come("helium/abc/tx", {"payload_raw": "AQ==", "port": 1})).kind == "command"
    assert one(post("loriot", {"cmd": "txd", "EUI": "0102030405060708", "seqdn": 4})).texts["event"] == "txd"


@pytest.mark.parametrize(("level", "said"), [(0, ("externalPowerSource", True)), (254, ("battery", 100.0))])
def test_loriots_battery_is_a_byte(level: int, said: tuple[str, object]) -> None:
    assert said in one(post("loriot", LORIOT | {"bat": level})).fields.items()
    assert "battery" not in one(post("loriot", LORIOT | {"bat": 255})).fields


def test_a_payload_that_loriot_cannot_decrypt_is_refused() -> None:
    body = {key: value for key, value in LORIOT.items() if key != "data"} | {"encdata": "00ff"}
    with pytest.raises(Rejected) as caught:
        post("loriot", body)
    assert caught.value.reason == "encrypted"


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_whatever_stands_in_a_field_there_are_messages_or_refusals(name: str, data: st.DataObject) -> None:
    odd = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=12),
        st.just([]),
        st.just({}),
    )
    body = dict(ALL[name])
    for key in data.draw(st.lists(st.sampled_from(sorted(body)), max_size=3)):
        body[key] = data.draw(
            st.one_of(
                odd,
                st.lists(odd, max_size=2),
                st.dictionaries(st.sampled_from(["gateways", "payload", "rssi", "a"]), odd, max_size=2),
            )
        )
    try:
        made = post(name, msgspec.json.encode(body), device="d")
    except Rejected:
        return
    assert all(isinstance(one, Message | Rejected) for one in made)
