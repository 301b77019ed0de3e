"""Adverts that a gateway hands on undecoded are said in Theengs's words; decoded ones as they are."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.errors import Rejected
from headwater.message import Heard, Message
from ingest.contract import Payload, Source
from ingest.decoders.ble.theengs_ble import decode
from tests.decoders.ble.kit import RECEIVED, TAG
from tests.decoders.report import decode as decoded
from tests.decoders.report import row
from tests.decoders.samples import CATALOGUE, FOLDER, Sample, samples

TOPIC = "home/attic/BTtoMQTT/undecoded"
GOVEE = {"id": "A4:C1:38:00:11:22", "name": "GVH5075_1122", "manufacturerdata": "88ec000418ee6400", "rssi": -70}
SEALED = {"id": TAG, "servicedatauuid": "0x181a", "servicedata": "11d603fbfa7b6dfb1e26fd"}
KEY = "b9ea895fac7eea6d30532432a516f3a3"


def come(body: object, topic: str = TOPIC, device: str = "", query: str = "") -> Message:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    source = Source("mqtt" if topic else "http", topic, device, "theengs_ble", query=query)
    (message,) = decode(Payload(data, source, RECEIVED))
    assert isinstance(message, Message)
    return message


def available() -> tuple[Sample, ...]:
    if not FOLDER.is_dir():
        pytest.skip("not shown: the folder with samples is not beside the project")
    return samples("theengs_ble")


def test_an_undecoded_advert_is_a_message_of_its_tag_in_theengs_words() -> None:
    message = come(GOVEE)
    assert (message.device, message.heard_by) == ("A4C138001122", [Heard("attic", -70)])
    assert message.fields.items() >= {"tempc": 26.8, "tempf": 80.24, "hum": 52.6, "batt": 100, "battery": 100}.items()
    assert message.fields.items() >= {"rssi": -70, "acts": True, "cidc": False}.items()
    assert message.texts.items() >= {"brand": "Govee", "model_id": "H5072/75", "type": "THB"}.items()
    assert "manufacturerdata" not in message.texts


def test_what_the_gateway_has_decoded_stays_as_it_is() -> None:
    message = come({"id": "F3:52:85", "name": "F35285", "rssi": -82, "model": "TempoDisc", "tempc": 24.1, "hum": 104.7})
    assert (message.device, message.fields["tempc"], message.texts["model"]) == ("F3:52:85", 24.1, "TempoDisc")


def test_the_topic_is_known_to_the_catalogue() -> None:
    assert CATALOGUE.source(TOPIC).decoder == "theengs_ble"
    assert CATALOGUE.source("elsewhere/lab/gw-2/BTtoMQTT/undecoded").decoder == "theengs_ble"


def test_how_far_away_a_tag_is_comes_on_a_topic_of_its_own() -> None:
    assert CATALOGUE.source("home/TheengsGateway/presence").decoder == "theengs_ble"
    source = CATALOGUE.source("home/TheengsGateway/presence")
    (message,) = decode(Payload(b'{"id": "11:22:33:44:55:66", "rssi": -42, "distance": 1.5}', source, RECEIVED))
    assert isinstance(message, Message)
    assert (message.device, message.fields) == ("112233445566", {"rssi": -42, "distance": 1.5})
    assert message.heard_by == [Heard("TheengsGateway", -42)]


def test_the_address_in_the_data_names_the_tag_where_the_gateway_does_not() -> None:
    message = come({"servicedata": "5020aa018ddfaa33342d580410021201"})
    assert (message.device, message.texts["mac"], message.fields["tempc"]) == (
        "582D3433AADF",
        "58:2D:34:33:AA:DF",
        27.4,
    )


def test_without_any_name_the_path_is_the_device_or_it_is_refused() -> None:
    nameless = {key: GOVEE[key] for key in ("name", "manufacturerdata")}
    assert come(nameless, topic="", device="shelf").device == "shelf"
    with pytest.raises(Rejected, match="missing_device"):
        come(nameless)


def test_an_encrypted_advert_is_opened_with_its_key_and_kept_as_it_is_without() -> None:
    assert come(SEALED, topic="", query=f"bindkey={KEY}").fields["tempc"] == 23.45
    shut = come(SEALED)
    assert (shut.fields["encr"], "tempc" in shut.fields) == (1, False)
    assert shut.texts.items() >= {"cipher": "d603fbfa7b6d", "ctr": "11", "mic": "fb1e26fd"}.items()
    assert "bindkey" in shut.texts["note.advert"]


def test_a_sealed_button_keeps_its_counter_and_its_check() -> None:
    data = "45" + "0102030405" + "00112233" + "aabbccdd"
    shut = come({"id": TAG, "name": "SBBT-002C", "servicedatauuid": "0xfcd2", "servicedata": data})
    assert (shut.device, shut.fields["encr"], shut.texts["model_id"]) == (TAG, 2, "SBBT_002C_ENCR")
    assert shut.texts.items() >= {"cipher": "0102030405", "ctr": "00112233", "mic": "aabbccdd"}.items()


@pytest.mark.parametrize("query", ["", f"bindkey={'00' * 16}"])
def test_what_cannot_be_opened_is_refused_where_theengs_has_no_word_for_it_or_the_key_is_wrong(query: str) -> None:
    body = SEALED if query else {**SEALED, "servicedata": SEALED["servicedata"][:16]}
    with pytest.raises(Rejected) as caught:
        come(body, topic="", query=query)
    assert caught.value.reason == "encrypted"


def test_a_phone_only_shows_that_it_is_there() -> None:
    message = come({"id": "54:94:5E:9F:64:C4", "mac_type": 1, "manufacturerdata": "4c0010060319247bbc68", "rssi": -74})
    assert (message.device, message.texts["model_id"]) == ("54945E9F64C4", "APPLEDEVICE")
    assert message.fields.items() >= {"track": True, "unlocked": False, "rssi": -74}.items()


def test_a_probe_that_is_not_plugged_in_has_no_property() -> None:
    message = come({**GOVEE, "name": "GVH5055", "manufacturerdata": "cf040400538f06ffffffff2c01065400ffff2c010"})
    assert (message.fields["tempc6"], "tempc5" in message.fields) == (84, False)
    assert "note.tempc5" in message.texts


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "bad_json"),
        (b"[1]", "bad_shape"),
        (b"7", "bad_shape"),
        ({"id": TAG, "manufacturerdata": "fe7f01"}, "unsupported"),
        ({"manufacturerdata": "55aa" + "01" * 20}, "unsupported"),
        ({"id": TAG, "manufacturerdata": "xxxx"}, "unsupported"),
        ({"id": TAG}, "unsupported"),
        ({"id": TAG, "manufacturerdata": 7, "servicedata": [1]}, "unsupported"),
        ({"id": TAG, "servicedatauuid": "fe95", "servicedata": "5858"}, "unsupported"),
    ],
)
def test_what_nobody_knows_is_refused_with_its_reason(body: object, reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        come(body)
    assert caught.value.reason == reason


def test_an_empty_payload_says_nothing() -> None:
    assert not decode(Payload(b"", Source("mqtt", TOPIC), RECEIVED))


def test_every_sample_says_what_theengs_makes_of_it() -> None:
    available()
    assert row("theengs_ble").failures == []


def test_every_sample_decodes() -> None:
    for sample in available():
        made = decoded(sample, decode)
        assert not isinstance(made, Rejected), (sample.raw, made)


@settings(max_examples=200)
@given(st.data())
def test_mutated_samples_are_messages_or_rejected(data: st.DataObject) -> None:
    sample = data.draw(st.sampled_from(available()))
    value = json.loads(sample.data)
    for name in ("manufacturerdata", "servicedata"):
        if name in value:
            text = value[name]
            at = data.draw(st.integers(0, max(len(text) - 1, 0)))
            value[name] = text[:at] + data.draw(st.text("0123456789abcdefx", max_size=6)) + text[at + 2 :]
    made = decoded(sample._replace(data=json.dumps(value).encode()), decode)
    assert isinstance(made, list | Rejected)


def test_openmqttgateway_reads_what_it_was_handed_undecoded() -> None:
    source = CATALOGUE.source("home/attic/BTtoMQTT/A4C138001122")
    body = json.dumps({**GOVEE, "mac_type": 0, "adv_type": 0}).encode()
    (message,) = CATALOGUE.named(source.decoder).decode(Payload(body, source, RECEIVED))
    assert isinstance(message, Message)
    assert (message.device, message.heard_by) == ("A4C138001122", [Heard("attic", -70)])
    assert message.fields.items() >= {"tempc": 26.8, "hum": 52.6, "battery": 100, "rssi": -70}.items()
