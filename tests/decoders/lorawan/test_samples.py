"""The samples of LoRaWAN: what their sources say they mean, what makers' codecs make of theirs, and whatever bytes come."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.errors import Rejected
from headwater.message import Message
from ingest.decoders.lorawan import LORAWAN
from tests.decoders.lorawan import codecs
from tests.decoders.report import row
from tests.decoders.samples import CATALOGUE, RECEIVED, families, samples

NAMES = tuple(family.name for family in LORAWAN if family.name in families())
PIECES = [b"null", b"{}", b"[]", b"-1e308", b'""', b"9" * 30, b"[[1]]", b'"\\ud800"', b"true", b"0.5"]
OLDER = 32
"""Samples that assert what a later version of the maker's codec says than the one that could be had."""


@pytest.fixture(autouse=True)
def shown() -> None:
    """Without the samples there is nothing to show."""
    if not families():
        pytest.skip("not shown: what real payloads come to, since the folder with samples is not here")


@pytest.mark.parametrize("family", NAMES)
def test_every_sample_says_what_its_source_says(family: str) -> None:
    found = row(family)
    assert found.failures == []
    assert found.samples == len(samples(family)) > 0


@pytest.mark.parametrize(("family", "older"), [("chirpstack_codec", 0), ("lorawan_codec", OLDER)])
def test_makers_codecs_make_of_their_payloads_what_their_own_tests_say(family: str, older: int) -> None:
    if not any(codecs.path_of(sample) for sample in samples(family)):
        pytest.skip(f"not shown: what makers' codecs make of {family}, since they are not in build/codecs")
    found = row(family)
    assert len(found.failures) <= older, [sample.id for sample, _ in found.failures]
    assert found.expecting >= 98


def test_a_codecs_errors_are_the_reason_that_is_told() -> None:
    told = 0
    for family in codecs.FAMILIES:
        for sample in samples(family):
            path = codecs.path_of(sample)
            if path is None or not sample.expected.get("errors") or sample.raw.get("fPort") is None:
                continue
            with pytest.raises(Rejected) as caught:
                codecs.codec_at(path)(sample.data, sample.raw["fPort"], RECEIVED)
            told += sample.expected["errors"][0] in caught.value.detail
    if not told:
        pytest.skip("not shown: the errors of makers' codecs, since they are not in build/codecs")
    assert told >= 7


@pytest.mark.parametrize("family", NAMES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_bytes_come_there_are_messages_or_refusals(family: str, data: st.DataObject) -> None:
    sample = data.draw(st.sampled_from(samples(family)))
    body = bytearray(sample.data)
    for _ in range(data.draw(st.integers(0, 4))):
        start = data.draw(st.integers(0, len(body)))
        body[start : start + data.draw(st.integers(0, 8))] = data.draw(
            st.one_of(st.binary(max_size=6), st.sampled_from(PIECES))
        )
    try:
        made = CATALOGUE.named(family).decode(sample.payload()._replace(data=bytes(body)))
    except Rejected:
        return
    assert all(isinstance(one, Message | Rejected) for one in made)
