"""Every real sample: decoded to what its source says it means, and mutated to anything, it is messages or a reason."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwater.config import Ingest
from headwater.errors import Rejected
from headwater.ids import DEVICE_PATTERN
from headwater.message import Message, decode_message, encode
from ingest.bounds import Bounds
from ingest.contract import Decoder, Payload, Source
from ingest.decoders.family import Family
from tests.decoders.lorawan.codecs import FAMILIES as CODECS
from tests.decoders.report import decode, decoder_of, row
from tests.decoders.samples import CATALOGUE, FOLDER, RECEIVED, families, samples
from tests.taking import processor_time

READ = [family for family in families() if decoder_of(family) is not None and family not in CODECS]
"""Without makers' codecs, which tests/decoders/lorawan is about."""
NOT_SHOWN = "not shown: decoders against real payloads (the folder of samples is not beside the project)"
LONGEST = 0.5
"""Seconds for one payload of some kilobytes: a hang is minutes."""

with_samples = pytest.mark.skipif(not FOLDER.is_dir(), reason=NOT_SHOWN)


@with_samples
@pytest.mark.parametrize("family", READ)
def test_samples_say_what_their_source_says_they_mean(family: str) -> None:
    found = row(family)
    told = "\n".join(f"{sample.id}: {verdict}" for sample, verdict in found.failures[:10])
    assert found.failures == [], told


@with_samples
@pytest.mark.parametrize("family", READ)
def test_what_a_decoder_makes_can_be_kept(family: str) -> None:
    """The intake would take it: names, sizes, and what was written on the log is read as it was."""
    decoder = _decoder(family)
    bounds = Bounds(Ingest())
    for sample in samples(family):
        made = decode(sample, decoder)
        for one in [] if isinstance(made, Rejected) else made:
            if isinstance(one, Message):
                bounds.check_foreign(one)
                assert DEVICE_PATTERN.fullmatch(one.device), (sample.id, one.device)
                assert decode_message(encode(one)) == one
                assert one.received == RECEIVED


@with_samples
@pytest.mark.parametrize("family", READ)
def test_a_decoder_has_no_state_of_its_own(family: str) -> None:
    """The same payloads in another order are the same messages."""
    decoder = _decoder(family)
    found = samples(family)[:60]
    first = [_said(decode(sample, decoder)) for sample in found]
    mixed = list(range(len(found)))
    random.Random(1).shuffle(mixed)
    again = {index: _said(decode(found[index], decoder)) for index in mixed}
    if family != "sparkplug_b":  # its names are in its births
        assert [again[index] for index in range(len(found))] == first


@with_samples
@pytest.mark.parametrize("family", READ)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    derandomize=True,
)
@given(st.data())
def test_a_mutated_sample_is_messages_or_a_reason(family: str, data: st.DataObject) -> None:
    decoder = _decoder(family)
    found = samples(family)
    sample = found[data.draw(st.integers(0, len(found) - 1))]
    mutated = sample._replace(data=_mutated(sample.data, data.draw(st.randoms(use_true_random=False))))
    source = data.draw(
        st.sampled_from([mutated.source(), Source("http", "", "", family), Source("mqtt", "a/b", "b", family)])
    )

    def read() -> Sequence[Message | Rejected]:
        try:
            return decoder(mutated.payload()._replace(source=source))
        except Rejected:
            return []

    took, made = processor_time(read, LONGEST)
    assert took < LONGEST
    for one in made:
        assert isinstance(one, Message | Rejected)


@with_samples
def test_topics_choose_the_family_that_the_samples_are_of() -> None:
    """Where a sample's own topic names a family, it is its own (or one that takes it as its own, such as Theengs')."""
    wrong: dict[tuple[str, str], str] = {}
    for family in READ:
        for sample in samples(family):
            if sample.transport == "mqtt" and sample.topic and "topic_from" not in sample.raw:
                chosen = CATALOGUE.source(sample.topic).decoder
                if chosen and chosen not in {family, *_BORROWED.get(family, ())}:
                    wrong[family, chosen] = sample.topic
    assert not wrong


_BORROWED: dict[str, tuple[str, ...]] = {
    "go_iotdevice": ("tasmota",),
    "moziot_lab": ("tasmota", "eclipse_hono"),
    "esphome": ("ha_mqtt_discovery",),
    "openmqttgateway": ("ha_mqtt_discovery", "theengs_ble"),
    "theengs_ble": ("openmqttgateway",),
    "zigbee2mqtt": ("ha_mqtt_discovery",),
    "ha_mqtt_discovery": ("zigbee2mqtt", "tasmota"),
    "room_assistant": ("ha_mqtt_discovery", "espresense"),
    "owntracks_greenwich": ("owntracks",),
    "chirpstack_v3": ("chirpstack_v4",),
    "shelly_gen2": ("shelly_gen1",),
}
"""Families that speak on each other's topics."""


@pytest.mark.parametrize("family", CATALOGUE.families, ids=lambda family: family.name)
@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_messages_or_a_reason(family: Family, data: bytes) -> None:
    for source in (Source("mqtt", "a/b/c", "b", family.name), Source("http", "", "", family.name)):
        try:
            made = family.decode(Payload(data, source, RECEIVED))
        except Rejected:
            continue
        assert all(isinstance(one, Message | Rejected) for one in made)


def _decoder(family: str) -> Decoder:
    found = decoder_of(family)
    assert found is not None
    return found


def _said(made: list[Message | Rejected] | Rejected) -> object:
    if isinstance(made, Rejected):
        return made.reason
    return [one.reason if isinstance(one, Rejected) else one for one in made]


def _mutated(data: bytes, chance: random.Random) -> bytes:
    """Bytes flipped, taken out, repeated, cut; and values of JSON made into what nobody expects."""
    found = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        if not found:
            return bytes(found)
        at = chance.randrange(len(found))
        match chance.randrange(6):
            case 0:
                found[at] = chance.randrange(256)
            case 1:
                del found[at : at + chance.randint(1, 40)]
            case 2:
                found[at:at] = found[at : at + chance.randint(1, 60)] * chance.randint(1, 3)
            case 3:
                del found[at:]
            case 4:
                found = bytearray(chance.choice(_ODD).join(bytes(found).split(chance.choice(_MARKS), 2)))
            case _:
                found[at:at] = chance.choice(_ODD)
    return bytes(found)


_MARKS = (b"1", b"true", b'"', b"{", b"[", b":", b"2", b".", b",")
_ODD = (
    b"null", b"1e400", b"-1", b"99999999999999999999", b"NaN", b'"null"', b"{}", b"[]", b'""', b"[[[[[[[[", b"\xff\xfe",
    b"\x00", b"0x41", b"true", b'{"a":{"a":{"a":1}}}', b"1e-400", b'"\xed\xa0\x80"', b"'", b"-0.0", b'"1e999"',
)  # fmt: skip
