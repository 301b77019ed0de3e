"""The samples of LoRaWAN payloads: what makers' codecs make of them."""

import pytest

from headwater.errors import Rejected
from tests.decoders.lorawan import codecs
from tests.decoders.report import row
from tests.decoders.samples import RECEIVED, families, samples

OLDER = 32
"""Samples that assert what a later version of the maker's codec says than the one that could be had."""


@pytest.fixture(autouse=True)
def shown() -> None:
    """Without the samples there is nothing to show."""
    if not families():
        pytest.skip("not shown: what real payloads come to, since the folder with samples is not here")


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
