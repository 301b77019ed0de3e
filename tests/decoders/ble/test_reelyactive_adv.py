"""Industrial tags: what their makers' bytes come to, named or found out."""

import pytest

from headwater.errors import Rejected
from ingest.decoders.ble.reelyactive_adv import guess
from tests.decoders.home.kit import one, post
from tests.decoders.samples import families, samples


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("12850a", {"temperature": 26.93}),
        (
            "112b12345678800045aabbccdd0c",
            {"interactionDigest.timestamp": 69, "interactionDigest.interactions.3.count": 12},
        ),
        ("213012b80a", {"relativeHumidity": 48, "temperature": 27.44}),
        ("f145", {"batteryPercentage": 69, "battery": 69}),
        ("429d00", {"isMotionDetected.0": True}),
        ("a30364197348466745233123ac007ad3", {"batteryPercentage": 100, "battery": 100, "temperature": 25.44921875}),
        ("a000000002c044090045010020021012b343", {"illuminance": 1, "batteryPercentage": 96}),
        ("5f0000000909df40a3", {"txCount": 95, "isButtonPressed.2": True, "isButtonPressed.0": False}),
        ("040145c102003d0327955d5d", {"temperature": 28.57, "relativeHumidity": 61, "pressure": 101330}),
        (b'{"t": 21.5}'.hex(), {"t": 21.5}),
        ("0215" + "00112233445566778899aabbccddeeff" + "00010002c5", {"txPower": -59}),
    ],
)
def test_the_maker_is_found_by_what_fits(text: str, values: dict[str, object]) -> None:
    said = one(post("reelyactive_adv", bytes.fromhex(text), "tag-1"))
    for name, value in values.items():
        assert said.fields[name] == pytest.approx(value), name


def test_the_address_in_the_data_is_the_device() -> None:
    said = one(post("reelyactive_adv", "a30364197348466745233123ac007ad3", "tag-1", "company=0639"))
    assert said.device == "AC2331234567"
    assert said.texts["uri"].endswith("Minew_Technologies_Co_Ltd/")


def test_a_whole_advert_brings_its_company() -> None:
    said = one(post("reelyactive_adv", "020106" + "06ff5707" + "12850a", "tag-1"))
    assert (said.device, said.fields["temperature"]) == ("tag-1", 26.93)


@pytest.mark.parametrize(
    ("text", "query", "reason"),
    [
        ("12345678", "", "unsupported"),
        ("a303", "company=minew", "unsupported"),
        ("12850a", "company=nobody", "unsupported"),
        ("0100000000006655443322111f01001e62", "company=0077", "unsupported"),
    ],
)
def test_what_nobody_sends_is_refused(text: str, query: str, reason: str) -> None:
    with pytest.raises(Rejected) as refused:
        post("reelyactive_adv", bytes.fromhex(text), "tag-1", query)
    assert refused.value.reason == reason


def test_the_samples_makers_are_found_out_without_being_told() -> None:
    if not families():
        pytest.skip("not shown: whose real bytes are, since the folder with samples is not here")
    unknown = [sample.raw["case"] for sample in samples("reelyactive_adv") if sample.data and not guess(sample.data)]
    assert unknown == ["INPUT_DATA_INVALID_JSON"]
