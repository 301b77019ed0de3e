"""Raw adverts become messages of the tag that sent them, whichever way they come and whoever has made it."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwater.errors import Rejected
from headwater.message import Heard, Message
from ingest.decoders.ble import ble_hci_adv
from ingest.decoders.ble.advert import read_ad, read_hci
from ingest.decoders.ble.known import values_of
from ingest.decoders.families import built_in
from tests.decoders.ble.kit import GATEWAY, TAG, event, heard, one, report, said, structures
from tests.decoders.compare import Expectation, Expected, compare
from tests.decoders.memory import Memory
from tests.decoders.report import decode, row
from tests.decoders.samples import CATALOGUE, FOLDER, Sample, samples

PVVX = structures((0x16, "1a18b2188d38c1a42b0890 11f70a43200f"))
"""A thermometer with pvvx's firmware: 20.91 °C, 44.96 %, 2.807 V, 67 %, counter 32."""
SEALED = "1a1811d603fbfa7b6dfb1e26fd"
KEY = "b9ea895fac7eea6d30532432a516f3a3"

PUBLISHED_KEYS = {
    "A4C1388D18B2": KEY,
    "112233445566": "00112233445566778899aabbccddeeff",
    "582D34122089": "a3bfe9853dd85a620debe3620caaa351",
    "2C1165257004": "b2cf9a553d53571b5657defd582d676e",
    "A4C138058EE9": "7475a4a77584401780ffc3ee62dd353c",
    "A4C138A4888A": "fb352ea2139ab095877a9e2ae600c912",
    "A4C138A5B9AD": "a74510b40386d35ae6227a7451efc76e",
    "980C33A3043D": "54d84797cb77f9538b224b305c877d1e",
    "CCB5D1D6377B": "13f072b8c8469f54ac2c333ee746d771",
    "18C23C2A690D": "c533a5ab361b0a24de4d21d1d9a3d8a1",
    "A4C138C7C376": "b26295a7a08fbac306c8706ade7f0fe4",
    "F82441C5988B": "b853075158487ca39a5b5ea9",
    "54EF44E39CBC": "5b51a7c91cde6707c9ef18dfda143a58",
    "A4C138B94C67": "33ede53321bc73c790a8daae4581f3d5",
    "DC8E952DEA43": "685d647dc5e7bc9bcfcf5a1357bd2114",
    "54EF44E027BC": "255e6cabb39b2eddd0de992b9fee2bf2",
}
"""Of the adverts that ble_monitor (MIT) tests with."""


def available() -> tuple[Sample, ...]:
    if not FOLDER.is_dir():
        pytest.skip("not shown: the folder with samples is not beside the project")
    return samples("ble_hci_adv")


def test_a_tag_is_the_device_and_whoever_heard_it_the_gateway() -> None:
    message = one(event(0x02, report(PVVX)))
    assert (message.device, message.kind, message.seq) == (TAG, "telemetry", None)
    assert message.fields == {
        "temperature": 20.91,
        "humidity": 44.96,
        "voltage": 2.807,
        "battery": 67,
        "switch": True,
        "opening": True,
        "packet": 32,
        "rssi": -60,
    }
    about = {"type": "ATC", "model": "ATC", "manufacturer": "ATC", "firmware": "ATC (Custom)"}
    assert message.texts == {**about, "mac": TAG}
    assert message.heard_by == [Heard(GATEWAY, -60)]


@pytest.mark.parametrize("form", ["{}", " {}\r\n", "04 3e{}"])
def test_hex_text_is_the_same_as_its_bytes(form: str) -> None:
    data = event(0x02, report(PVVX))
    digits = data.hex()
    text = form.format(digits[4:] if form.startswith("04") else digits.upper())
    assert one(text.encode()) == one(data)


def test_bare_ad_structures_are_of_the_device_that_is_named() -> None:
    message = one(PVVX, TAG)
    assert (message.device, message.fields["temperature"], message.heard_by) == (TAG, 20.91, [])


def test_a_topic_names_the_gateway() -> None:
    source = built_in().source("site/ble/attic/hci")
    assert (source.decoder, source.device) == ("ble_hci_adv", "attic")


def test_one_report_that_nobody_knows_does_not_hold_up_the_others() -> None:
    unknown = structures((0xFF, "fe7f0102"), (0x09, "58"))
    first, second = heard(event(0x02, report(unknown), report(PVVX)))
    assert isinstance(first, Rejected)
    assert (first.reason, "company 7ffe, name 'X'" in first.detail) == ("unsupported", True)
    assert isinstance(second, Message)


@pytest.mark.parametrize("data", [b"not an advert", b"\x05\xff\x01", b"{}", b"abc", b"\x04\x3e\x05\x02\x01", b"\0\0"])
def test_what_is_no_advert_is_refused_with_a_sentence(data: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        heard(data)
    assert caught.value.reason == "bad_shape"


def test_an_empty_payload_says_nothing() -> None:
    assert heard(b"") == []


def test_content_alone_tells_an_hci_event() -> None:
    data = event(0x02, report(PVVX))
    assert CATALOGUE.by_payload(data, "").name == "ble_hci_adv"
    assert not ble_hci_adv.recognises(data[:-1])
    assert not ble_hci_adv.recognises(b'{"temperature": 1}')


def test_an_encrypted_advert_is_refused_until_its_key_is_given_and_then_remembered() -> None:
    data, memory = event(0x02, report(structures((0x16, SEALED)))), Memory()
    (refused,) = heard(data, context=memory)
    assert isinstance(refused, Rejected)
    assert refused.reason == "encrypted"
    assert one(data, query=f"bindkey={KEY}", context=memory).fields["temperature"] == 23.45
    assert one(data, context=memory).fields["humidity"] == 41.73


def test_a_wrong_key_opens_nothing_and_is_not_remembered() -> None:
    data, memory = event(0x02, report(structures((0x16, SEALED)))), Memory()
    (refused,) = heard(data, query="bindkey=" + "00" * 16, context=memory)
    assert isinstance(refused, Rejected)
    assert (refused.reason, memory.known) == ("encrypted", {})
    for key in ("12", "xyz", "00" * 15):
        with pytest.raises(Rejected) as caught:
            heard(data, query=f"bindkey={key}")
        assert caught.value.reason == "bad_value"


def test_a_counter_that_does_not_begin_anew_every_few_minutes_is_the_sequence_number() -> None:
    sealed = structures((0x16, "d2fc 41 a47266c95f73 00112233 78237214"))  # bthome-ble's tests, Apache-2.0
    message = one(
        event(0x02, report(sealed, "5448E68F80A5")), query="bindkey=231d39c1d7cc1ab1aee224cd096db932", context=Memory()
    )
    assert (message.fields["temperature"], message.seq) == (25.06, 0x33221100)


def test_a_press_is_an_event() -> None:
    message = said((0x16, "95fe503053013f 7450e94124f8 011003000000"), address="F82441E95074")
    assert (message.kind, message.texts["button"], message.texts["type"]) == ("event", "single press", "YLYK01YL")


def test_a_probe_that_is_not_plugged_in_is_absent_with_a_note_and_no_number() -> None:
    message = said((0xFF, "0000 0000 b2188d38c1a4 f000 f6ff"), address="A4C1388D18B2")
    assert message.fields == {"temperature_probe_1": 24.0, "rssi": -60}
    assert "note.temperature_probe_2" in message.texts


def test_two_sensors_behind_one_radio_are_two_devices() -> None:
    inside = said((0xFF, "0100 0101 00 03a00f 64 0000"), address="A4C138DFC545")
    outside = said((0xFF, "0100 0101 01 02fc87 64 0002"), address="A4C138DFC545")
    assert (inside.device, outside.device) == ("A4C138DFC545", "A4C138DFC546")
    assert (inside.fields["temperature"], outside.fields["temperature"]) == (23.7, 19.5)


def test_a_lock_says_when_it_was_opened() -> None:
    message = said((0x16, "95fe50449e0643918aeb441fd7 0b0009 20 02000180 7c442f61"), address="D71F44EB8A91")
    assert (message.kind, message.texts["action"], message.at) == (
        "event",
        "unlock outside the door",
        1_630_487_676_000_000,
    )


def test_an_error_in_place_of_a_level_is_said_as_one() -> None:
    tank = said((0xFF, "3101 112233 00 4f504e 303030 303030 30"), address=TAG)
    assert (tank.fields, tank.texts["fresh_tank_error"]) == ({"problem": 0, "rssi": -60}, "OPN")
    assert "note.fresh_tank" in tank.texts


def test_an_advert_that_is_cut_short_is_refused() -> None:
    (made,) = heard(event(0x02, report(structures((0xFF, "9a08 01 ff 0a")))))
    assert isinstance(made, Rejected)
    assert made.reason == "bad_shape"


def test_gateways_get_the_kind_of_sensor_and_its_values() -> None:
    found = values_of(read_ad(PVVX, TAG))
    assert found is not None
    assert (found[0], found[1]["humidity"]) == ("ATC", 44.96)
    assert values_of(read_ad(structures((0xFF, "fe7f0102")))) is None


def test_every_sample_says_what_its_source_says() -> None:
    available()
    assert row("ble_hci_adv").failures == []


def test_encrypted_samples_say_what_their_source_says_once_their_keys_are_known() -> None:
    opened = 0
    for sample in available():
        message = sample.expected["sensor_msg"]
        key = PUBLISHED_KEYS.get(message["mac"])
        if key is None or "encrypted)" not in message["firmware"]:
            continue
        wanted = [Expected((name, "device") if name == "mac" else (name,), value) for name, value in message.items()]
        payload = sample.payload()
        payload = payload._replace(source=sample.source().__class__("http", "", GATEWAY, query=f"bindkey={key}"))
        assert compare(Expectation(wanted), list(ble_hci_adv.decode(payload))).passed, message
        opened += 1
    assert opened >= len(PUBLISHED_KEYS)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_mutated_samples_are_messages_or_rejected(data: st.DataObject) -> None:
    sample = data.draw(st.sampled_from(available()))
    body = bytearray(sample.data)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(body)))
    bare = bytes(body[14:cut])
    for mutated in (bytes(body), bytes(body[:cut]), bare):
        made = decode(sample._replace(data=mutated), ble_hci_adv.decode)
        assert isinstance(made, list | Rejected)


def test_makers_agree_with_the_structures_they_came_in() -> None:
    (advert,) = read_hci(event(0x02, report(PVVX)))
    assert advert.service_data["181a"] == PVVX[4:]
