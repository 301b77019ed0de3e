"""RuuviTag and Ruuvi Air: every format, and every way in which an advert comes."""

import pytest

from headwater.errors import Rejected
from headwater.message import Heard
from tests.decoders.home.kit import one, post

FIVE = "0512fc5394c37c0004fffc040cac364200cdcbb8334c884f"
E1 = "e1170c5668c79e0065007004bd11ca00c90a0213e0acffffffdecdee01ffffffffffcbb8334c884f"
SIX = "06170c5668c79e007000c90501d9ffcd004c884f"
EIGHT = "0843825b56324fe019c4bd4d6d3cecac6eaeaabbccddeeff"


def test_format_5_is_all_of_a_ruuvi_tag() -> None:
    said = one(post("ruuvi_tag", bytes.fromhex(FIVE), "sauna"))
    assert (said.device, said.seq, said.texts["unit.pressure"]) == ("CBB8334C884F", 205, "Pa")
    assert said.fields == {
        "data_format": 5,
        "temperature": 24.3,
        "humidity": 53.49,
        "pressure": 100044,
        "acceleration_x": 0.004,
        "acceleration_y": -0.004,
        "acceleration_z": 1.036,
        "voltage": 2.977,
        "battery": 97.7,
        "tx_power": 4,
        "movement_counter": 66,
        "measurement_sequence": 205,
    }


def test_the_largest_numbers_are_no_values() -> None:
    said = one(post("ruuvi_tag", bytes.fromhex("058000ffffffff800080008000ffffffffffffffffffffff"), "sauna"))
    assert (said.device, said.seq, said.fields) == ("sauna", None, {"data_format": 5})
    assert said.texts["note.temperature"] == "not available"
    least = one(post("ruuvi_tag", bytes.fromhex("058001000000008001800180010000000000cbb8334c884f")))
    assert least.fields["temperature"] == -163.835


def test_ruuvi_air_in_both_its_formats() -> None:
    full = one(post("ruuvi_tag", bytes.fromhex(E1)))
    assert (full.device, full.seq) == ("CBB8334C884F", 14_601_710)
    assert full.fields["pm_10_0"] == 455.4
    assert full.fields["voc"] == 20
    assert full.fields["calibration_in_progress"] is True
    short = one(post("ruuvi_tag", bytes.fromhex(SIX), "attic"))
    assert (short.device, short.seq) == ("attic", None)
    assert short.fields["luminosity"] == 13026.67
    assert (short.fields["voc"], short.fields["nox"], short.fields["co2"]) == (10, 2, 201)
    assert one(post("ruuvi_tag", bytes.fromhex(SIX))).device == "RUUVI-4C884F"


def test_the_ninth_bit_of_an_index_is_among_the_flags() -> None:
    said = one(post("ruuvi_tag", bytes.fromhex("06170c5668c79e007000c90501d9ffcdc04c884f"), "attic"))
    assert (said.fields["voc"], said.fields["nox"]) == (11, 3)
    none = one(post("ruuvi_tag", bytes.fromhex("06170c5668c79e007000c9ffffd9ffcdc04c884f"), "attic"))
    assert "note.voc" in none.texts


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ("https://ruu.vi/#BFwaAMjlQ", {"data_format": 4, "temperature": 26.0, "humidity": 46.0, "pressure": 101429}),
        ("045c9a00c8e5", {"data_format": 4, "temperature": -26.0, "humidity": 46.0, "pressure": 101429}),
        ("0x9904023c1800c15c", {"data_format": 2, "temperature": 24.0, "humidity": 30.0, "pressure": 99500}),
    ],
)
def test_old_tags_speak_in_urls(body: str, fields: dict[str, float]) -> None:
    assert one(post("ruuvi_tag", body, "sauna")).fields == fields


def test_format_8_is_opened_with_its_key() -> None:
    key = "bindkey=526457452d36091a5275757669546167"
    said = one(post("ruuvi_tag", bytes.fromhex(EIGHT), "", key))
    assert (said.device, said.seq) == ("AABBCCDDEEFF", 6353)
    assert (said.fields["temperature"], said.fields["humidity"]) == (24.58, 40.54)
    for query in ("", "bindkey=00112233445566778899aabbccddeeff"):
        with pytest.raises(Rejected) as refused:
            post("ruuvi_tag", bytes.fromhex(EIGHT), "", query)
        assert refused.value.reason == "encrypted"


def test_adverts_and_events_carry_the_same() -> None:
    advert = bytes.fromhex("0201061bff9904" + FIVE)
    assert one(post("ruuvi_tag", advert)) == one(post("ruuvi_tag", bytes.fromhex(FIVE)))
    event = (
        bytes.fromhex(f"043e{12 + len(advert):02x}02010001" + "4f884c33b8cb" + f"{len(advert):02x}") + advert + b"\xc4"
    )
    said = one(post("ruuvi_tag", event, "gw-1"))
    assert (said.device, said.fields["rssi"]) == ("CBB8334C884F", -60)
    assert said.heard_by == [Heard("gw-1", -60)]


def test_among_all_makers_it_has_their_units() -> None:
    advert = bytes.fromhex("0201061bff9904" + FIVE)
    event = (
        bytes.fromhex(f"043e{12 + len(advert):02x}02010001" + "4f884c33b8cb" + f"{len(advert):02x}") + advert + b"\xc4"
    )
    said = one(post("ble_hci_adv", event, "gw-1"))
    assert (said.fields["pressure"], said.fields["acceleration_z"]) == (1000.44, 1036)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0512fc53", "bad_shape"),
        ("07001122", "unsupported"),
        ("e1170c56", "bad_shape"),
        ("0201060303aafe", "bad_shape"),
    ],
)
def test_what_cannot_be_read_says_why(text: str, reason: str) -> None:
    with pytest.raises(Rejected) as refused:
        post("ruuvi_tag", bytes.fromhex(text), "sauna")
    assert refused.value.reason == reason


def test_nothing_is_nothing() -> None:
    assert post("ruuvi_tag", b"", "sauna") == ()
