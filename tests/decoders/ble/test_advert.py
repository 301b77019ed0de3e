"""Adverts are taken apart whatever wraps them, and nothing that is cut or made up gets further than `Rejected`."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import Rejected
from ingest.decoders.ble.advert import MOST, plain_address, read_ad, read_hci
from tests.decoders.ble.kit import event, report, structures

ADDRESS = "5448E68F80A5"


def test_an_advert_is_known_by_company_service_name_flags_and_power() -> None:
    ad = structures(
        (0x01, "06"), (0x03, "d2fc1a18"), (0xFF, "99040506"), (0x16, "d2fc4001"), (0x09, "68c3a9"), (0x0A, "f4")
    )
    advert = read_ad(ad, "54:48:e6:8f:80:a5", -52)
    assert advert[:7] == (
        ADDRESS,
        -52,
        "hé",
        6,
        {0x0499: b"\x05\x06"},
        {"fcd2": b"\x40\x01"},
        ("fcd2", "181a"),
    )
    assert advert.tx_power == -12
    assert [kind for kind, _ in advert.structures] == [1, 3, 255, 22, 9, 10]


def test_uuids_of_all_three_sizes_are_written_forwards() -> None:
    long = "00112233445566778899aabbccddeeff"
    ad = structures((0x07, bytes.fromhex(long)[::-1].hex()), (0x20, "78563412aa"), (0x21, "00" * 16 + "07"))
    advert = read_ad(ad)
    assert advert.service_uuids == (long,)
    assert advert.service_data == {"12345678": b"\xaa", "0" * 32: b"\x07"}


def test_the_complete_name_wins_over_the_short_one_wherever_it_stands() -> None:
    assert read_ad(structures((0x09, "616263"), (0x08, "61"))).local_name == "abc"
    assert read_ad(structures((0x08, "61"), (0x09, "616263"))).local_name == "abc"


def test_a_structure_cut_short_ends_the_advert_and_keeps_what_came_before() -> None:
    whole = structures((0x01, "06"), (0xFF, "99040506"))
    assert read_ad(whole[:-1]).manufacturer == {}
    assert read_ad(whole[:-1]).flags == 6
    assert read_ad(whole + b"\0\0\0").manufacturer == {0x0499: b"\x05\x06"}


def test_several_reports_in_one_event_are_several_adverts() -> None:
    ad = structures((0x01, "06"))
    data = event(0x02, report(ad, ADDRESS, -52), report(ad, "AABBCCDDEEFF", -90))
    assert [(one.address, one.rssi) for one in read_hci(data)] == [(ADDRESS, -52), ("AABBCCDDEEFF", -90)]
    assert read_hci(data[1:]) == read_hci(data)


def test_an_extended_report_has_its_rssi_before_the_advert() -> None:
    ad = structures((0x09, "616263"))
    head = b"\x13\0\0" + bytes.fromhex(ADDRESS)[::-1] + b"\x01\0\xff\x7f" + bytes((256 - 71,)) + bytes(9)
    (one,) = read_hci(event(0x0D, head + bytes((len(ad),)) + ad))
    assert (one.address, one.rssi, one.local_name) == (ADDRESS, -71, "abc")


def test_127_dbm_means_that_the_radio_does_not_know() -> None:
    (one,) = read_hci(event(0x02, report(b"", ADDRESS, 127)))
    assert one.rssi is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "bad_shape"),
        (b"\x04\x3e\x02\x02", "bad_shape"),
        (event(0x02), "bad_shape"),
        (event(0x02, report(b"", ADDRESS, -50))[:-1], "bad_shape"),
        (event(0x02, report(b"", ADDRESS, -50)[:-1]), "bad_shape"),
        (event(0x0D, b"\0" * 20), "bad_shape"),
        (event(0x0A, b"\0" * 20), "unsupported"),
        (b'{"a": 1}', "bad_shape"),
    ],
)
def test_what_is_no_whole_advertising_report_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        read_hci(data)
    assert caught.value.reason == reason


def test_an_advert_longer_than_any_is_refused() -> None:
    with pytest.raises(Rejected, match="too_large"):
        read_ad(b"\0" * (MOST + 1))


def test_addresses_have_one_form() -> None:
    assert {plain_address(a) for a in ("54:48:e6:8f:80:a5", "5448E68F80A5", "54-48-E6-8F-80-A5")} == {ADDRESS}
    assert plain_address("kitchen") == plain_address("") == ""


@given(st.binary(max_size=80))
def test_any_bytes_are_an_advert_or_rejected(data: bytes) -> None:
    advert = read_ad(data)
    assert sum(len(body) + 2 for _, body in advert.structures) <= len(data)
    for bytes_of in (data, b"\x04\x3e" + bytes((len(data),)) + data):
        with suppress(Rejected):
            assert read_hci(bytes_of)
