"""BTHome: what its objects come to, in every wrapping, and encrypted."""

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from headwater.errors import Rejected
from headwater.message import Heard
from tests.decoders.home.kit import one, post

MAC = "A4:C1:38:8D:18:B2"
KEY = "231d39c1d7cc1ab1aee224cd096db932"
PLAIN = "4000 09 015d 025d09 03b718"


def said(text: str, device: str = MAC, query: str = "") -> tuple[dict[str, object], str]:
    message = one(post("bthome", bytes.fromhex(text), device, query))
    texts = {name: value for name, value in message.texts.items() if name != "firmware"}
    return {**message.fields, **texts}, message.kind


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (PLAIN, {"packet_id": 9, "battery": 93, "temperature": 23.97, "humidity": 63.27}),
        ("40 58ea", {"temperature": -7.7}),
        ("40 4d12138a14", {"energy": 344593.17}),
        ("40 02ca09 02cf09", {"temperature_1": 25.06, "temperature_2": 25.11}),
        ("40 0c0200 4a0200", {"voltage_1": 0.002, "voltage_2": 0.2}),
        ("40 07 3e1d", {"mass": 74.86, "unit.mass": "lb"}),
        ("40 1501 2d00", {"binary.battery": True, "window": False}),
        ("40 53 05 48616c6c6f", {"text": "Hallo"}),
        ("40 54 02 beef", {"raw": "beef"}),
        ("40 f0 0100 f1 00010204", {"device_type_id": 1, "firmware_version": "4.2.1.0"}),
        ("23 02 5d09 03 03 b718", {"temperature": 23.97, "humidity": 63.27}),
        ("43 06 fe70", {"mass": 102.24}),
        ("02 11 01", {"opening": True}),
        ("a5 50 5d396164", {"timestamp": 1684093277}),
    ],
)
def test_objects_of_both_versions(text: str, values: dict[str, object]) -> None:
    assert said(text) == (values, "telemetry")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("44 3a01", {"button": "press"}),
        ("44 3a00 3a80", {"button_2": "hold_press"}),
        ("40 3c01 03", {"dimmer": "rotate_left", "dimmer.steps": 3}),
        ("40 3c02 fd", {"dimmer": "rotate_right", "dimmer.steps": -3}),
    ],
)
def test_a_press_is_an_event(text: str, values: dict[str, object]) -> None:
    assert said(text) == (values, "event")


def test_what_follows_an_unknown_object_is_left_out_with_a_note() -> None:
    values, _ = said("40 015d fe02ca09")
    assert values["battery"] == 93
    assert "0xfe" in str(values["note.object"])


def test_the_address_in_the_data_is_the_device() -> None:
    message = one(post("bthome", bytes.fromhex("42b2188d38c1a404138a01")))
    assert (message.device, message.fields) == ("A4C1388D18B2", {"pressure": 1008.83})
    same = one(post("bthome", bytes.fromhex("42b2188d38c1a404138a01"), MAC))
    assert same.device == MAC


def test_service_data_comes_in_hexadecimal_with_its_uuid_or_in_an_advert() -> None:
    plain = one(post("bthome", bytes.fromhex(PLAIN), MAC))
    bare = bytes.fromhex(PLAIN)
    advert = b"\x02\x01\x06" + bytes([len(bare) + 3]) + b"\x16\xd2\xfc" + bare
    for wrapped in (PLAIN.replace(" ", "").encode(), b"\xd2\xfc" + bare, advert, advert.hex().encode()):
        assert one(post("bthome", wrapped, MAC)) == plain
    other = one(post("bthome", bytes.fromhex("020960"), MAC, "decoder=bthome&uuid=181c"))
    assert other.fields == {"count": 96}


def test_in_an_event_the_path_names_the_gateway() -> None:
    event = bytes.fromhex("043e1a02010000a5808fe648540e02010 60a16d2fc40450101450301cc".replace(" ", ""))
    message = one(post("bthome", event, "gw-1"))
    assert message.device == "5448E68F80A5"
    assert message.fields == {"temperature_1": 25.7, "temperature_2": 25.9, "rssi": -52}
    assert message.heard_by == [Heard("gw-1", -52)]


def test_encrypted_data_is_opened_with_its_key_and_its_address() -> None:
    sealed = "41a47266c95f730011223378237214"
    values, _ = said(sealed, "54:48:E6:8F:80:A5", f"bindkey={KEY}")
    assert values == {"temperature": 25.06, "humidity": 50.55}
    message = one(post("bthome", bytes.fromhex(sealed), "attic", f"bindkey={KEY}&address=5448e68f80a5"))
    assert (message.device, message.seq) == ("attic", 0x33221100)


def test_version_1_is_opened_too() -> None:
    mac, count = bytes.fromhex("5448E68F80A5"), bytes.fromhex("00112233")
    sealed = AESCCM(bytes.fromhex(KEY), tag_length=4).encrypt(
        mac + b"\x1e\x18" + count, bytes.fromhex("2302ca09"), b"\x11"
    )
    data = sealed[:-4] + count + sealed[-4:]
    assert said(data.hex(), "5448E68F80A5", f"bindkey={KEY}&uuid=181e")[0] == {"temperature": 25.06}
    assert said(data.hex(), "5448E68F80A5", f"bindkey={KEY}")[0] == {"temperature": 25.06}


def test_a_text_that_is_none_is_a_note() -> None:
    values, _ = said("40 015d 53 01 ff")
    assert values == {"battery": 93, "note.text": "neither a finite number nor UTF-8"}


@pytest.mark.parametrize(
    ("text", "query", "reason"),
    [
        ("41a47266c95f730011223378237214", "", "encrypted"),
        ("41a47266c95f730011223378237214", "bindkey=00112233445566778899aabbccddeeff", "encrypted"),
        ("41a47266", f"bindkey={KEY}", "encrypted"),
        ("41a47266c95f730011223378237214", "bindkey=xyz", "bad_value"),
        ("40 fe ca09", "", "unsupported"),
        ("40 02 ca", "", "bad_shape"),
        ("e1 02 000c", "", "bad_shape"),
        ("40", "", "no_fields"),
        ("40 3a00", "", "no_fields"),
    ],
)
def test_what_cannot_be_read_says_why(text: str, query: str, reason: str) -> None:
    with pytest.raises(Rejected) as refused:
        post("bthome", bytes.fromhex(text), "5448E68F80A5", query)
    assert refused.value.reason == reason


def test_nothing_is_nothing_and_too_much_is_refused() -> None:
    assert post("bthome", b"", MAC) == ()
    with pytest.raises(Rejected):
        post("bthome", b"\x40" * 5000, MAC)
