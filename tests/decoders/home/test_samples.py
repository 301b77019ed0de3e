"""The samples of the families at home: what their sources say they mean, and whatever bytes become of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.errors import Rejected
from headwater.message import Message
from ingest.decoders.home import ANYWHERE, HOME
from tests.decoders.report import row
from tests.decoders.samples import CATALOGUE, families, samples

NAMES = tuple(family.name for family in (*HOME, *ANYWHERE))


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


@pytest.mark.parametrize("family", NAMES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_bytes_come_there_are_messages_or_refusals(family: str, data: st.DataObject) -> None:
    sample = data.draw(st.sampled_from(samples(family)))
    body = bytearray(sample.data)
    for _ in range(data.draw(st.integers(0, 4))):
        start = data.draw(st.integers(0, len(body)))
        body[start : start + data.draw(st.integers(0, 8))] = data.draw(
            st.one_of(
                st.binary(max_size=6), st.sampled_from([b"null", b"{}", b"[]", b"-1e308", b'""', b"9" * 30, b"[[1]]"])
            )
        )
    payload = sample.payload()._replace(data=bytes(body))
    try:
        made = CATALOGUE.named(family).decode(payload)
    except Rejected:
        return
    assert all(isinstance(one, Message | Rejected) for one in made)
