"""The flat form: one object of values, as simple senders write it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import Rejected
from headwater.message import Message, Position, decode_message, encode
from ingest.decoders.native import read

RECEIVED = 1_763_719_000_000_000
EXACT = 2**53
SPECIAL = {"device_id", "device", "sequence", "seq", "at", "id", "client_id", "lat", "latitude", "lon", "longitude"}
NATIVE = {"fields", "position", "heard_by"}

values = (
    st.none()
    | st.booleans()
    | st.integers(-EXACT, EXACT)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=12)
)


def flat(_device: str = "", /, **message: object) -> Message:
    return read(json.dumps(message).encode(), _device, RECEIVED)


def refused(_device: str = "", /, **message: object) -> Rejected:
    with pytest.raises(Rejected) as caught:
        flat(_device, **message)
    return caught.value


def test_the_first_example_anyone_sends() -> None:
    made = read(b'{"client_id":1,"device_id":7,"voltage":647,"temperature":110,"sequence":400}', "", RECEIVED)

    assert made == Message(
        device="7",
        id="",
        received=RECEIVED,
        time=RECEIVED,
        seq=400,
        fields={"voltage": 647, "temperature": 110},
        texts={"client_id": "1"},
        decoder="flat",
    )


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), values, max_size=8))
def test_every_value_is_a_field_or_a_text_or_absent(message: dict[str, Any]) -> None:
    message = {name: value for name, value in message.items() if name not in SPECIAL | NATIVE}

    made = read(json.dumps(message | {"device_id": "d"}).encode(), "", RECEIVED)

    assert made.texts == {name: value for name, value in message.items() if isinstance(value, str)}
    assert made.fields == {n: v for n, v in message.items() if v is not None and not isinstance(v, str)}
    assert decode_message(encode(made)) == made


@given(st.dictionaries(st.sampled_from(sorted(SPECIAL)), values | st.integers(), max_size=11))
def test_no_choice_of_special_keys_does_more_than_be_rejected(message: dict[str, Any]) -> None:
    data = json.dumps(message).encode()
    try:
        made = read(data, "", RECEIVED)
    except Rejected:
        return
    assert decode_message(encode(made)) == made
    assert all(isinstance(value, float) or abs(value) <= EXACT for value in made.fields.values())


def test_device_id_comes_before_device_which_is_then_a_value_like_any_other() -> None:
    assert flat(device="pump", x=1).device == "pump"
    both = flat(device_id=7, device="thermostat", x=1)
    assert both.device == "7"
    assert both.texts == {"device": "thermostat"}


def test_the_topic_names_the_device_where_the_payload_does_not() -> None:
    assert flat("pump-7", x=1).device == "pump-7"
    assert flat("7", device_id=7, x=1).device == "7"
    assert refused("pump-7", device_id=8, x=1).reason == "device_mismatch"
    assert refused(x=1).reason == "missing_device"


def test_sequence_or_seq_is_the_sequence_number_and_may_exceed_2_to_the_53() -> None:
    assert flat(device_id=1, sequence=400).seq == 400
    assert flat(device_id=1, seq=2**63 - 1, x=1).seq == 2**63 - 1
    assert flat(device_id=1, sequence=1, seq=2).fields == {"seq": 2}
    assert refused(device_id=1, sequence=2**63).reason == "number_too_large"
    assert refused(device_id=1, sequence=-1).reason == "bad_value"
    assert refused(device_id=1, sequence=1.5).reason == "wrong_type"
    assert refused(device_id=1, sequence="4").reason == "wrong_type"


def test_a_device_number_may_exceed_2_to_the_53_and_a_field_may_not() -> None:
    assert flat(device_id=2**60, x=1).device == str(2**60)
    error = refused(device_id=1, counter=2**53 + 1)
    assert error.reason == "number_too_large"
    assert "`counter`" in error.detail


@pytest.mark.parametrize(("north", "east"), [("lat", "lon"), ("latitude", "longitude")])
def test_two_coordinates_are_a_position(north: str, east: str) -> None:
    made = flat(device_id=1, **{north: 48, east: 11.5})

    assert made.position == Position(48.0, 11.5)
    assert made.fields == {}


def test_what_is_no_position_stays_a_value_and_a_position_off_the_globe_is_rejected() -> None:
    assert flat(device_id=1, lat=5).fields == {"lat": 5}
    assert flat(device_id=1, lat="N5", lon="E6").texts == {"lat": "N5", "lon": "E6"}
    assert flat(device_id=1, lat=None, lon=None, x=1).position is None
    assert flat(device_id=1, lat=None, lon=None, latitude=1, longitude=2).position == Position(1, 2)
    assert refused(device_id=1, lat=91, lon=0).reason == "bad_position"


def test_at_and_id_mean_what_they_mean_in_the_native_form() -> None:
    made = flat(device_id=1, at="2026-11-21T07:40:00Z", id=17, x=1)

    assert made.id == "17"
    assert made.at == 1_795_246_800_000_000
    assert refused(device_id=1, at=True, x=1).reason == "wrong_type"
    assert refused(device_id=1, id=1.5, x=1).reason == "wrong_type"
    assert flat(device_id=1, timestamp=5).fields == {"timestamp": 5}


@pytest.mark.parametrize("value", [[], {}, [1], {"x": 1}])
@pytest.mark.parametrize("key", ["x", "sequence", "device_id", "at", "id", "lat"])
def test_an_object_or_array_is_rejected_by_name(key: str, value: object) -> None:
    error = refused(**{"device_id": 1, key: value})

    assert error.reason == "bad_shape"
    assert f"`{key}`" in error.detail


def test_null_is_as_if_the_name_were_not_there() -> None:
    assert flat(device_id=1, x=None, y=2, sequence=None, at=None).fields == {"y": 2}
