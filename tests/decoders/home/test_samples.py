"""The samples of the families at home, with something else in the places of their JSON."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.errors import Rejected
from headwater.message import Message
from ingest.decoders.home import ANYWHERE, HOME
from tests.decoders.samples import CATALOGUE, families, samples

AWKWARD = (
    None,
    True,
    0,
    -1,
    2**63,
    1e308,
    "",
    "null",
    "-127",
    "a/b",
    "☃",
    [],
    {},
    [[1]],
    {"id": 7},
    ["mac", "x"],
    "x" * 3000,
)
NAMES = tuple(family.name for family in (*HOME, *ANYWHERE))


@pytest.fixture(autouse=True)
def shown() -> None:
    """Without the samples there is nothing to show."""
    if not families():
        pytest.skip("not shown: what real payloads come to, since the folder with samples is not here")


@pytest.mark.parametrize("family", NAMES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_stands_in_its_json_there_are_messages_or_refusals(family: str, data: st.DataObject) -> None:
    sample = data.draw(st.sampled_from(samples(family)))
    try:
        value: Any = json.loads(sample.data)
    except ValueError:
        return
    for _ in range(data.draw(st.integers(1, 3))):
        value = put(value, data.draw(st.sampled_from(list(places(value)))), data.draw(st.sampled_from(AWKWARD)))
    try:
        made = CATALOGUE.named(family).decode(sample.payload()._replace(data=json.dumps(value).encode()))
    except Rejected:
        return
    assert all(isinstance(one, Message | Rejected) for one in made)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything in an object or array."""
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


def put(value: Any, path: tuple[Any, ...], item: Any) -> Any:
    """The same with something else at a path."""
    if not path:
        return item
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(value[path[0]], path[1:], item)
    return copy
