"""Bodies → payloads, without a server."""

import gzip
import json
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.http.head import Route
from ingest.http.reply import BadRequest
from ingest.http.request import MOST_MEMBERS, MOST_PAYLOADS, inflate, payloads

JSON = Route("", "", "application/json", lines=False, native=True)
LINES = Route("", "", "application/x-ndjson", lines=True, native=True)
FOREIGN = Route("x", "foreign", "", lines=False, native=False)

values = st.recursive(
    st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
objects = st.dictionaries(st.text(max_size=5), values, max_size=3)
spaces = st.text(alphabet=" \t\r\n", max_size=3)


def refused(body: bytes, route: Route) -> tuple[int, str]:
    with pytest.raises(BadRequest) as caught:
        payloads(body, route)
    return caught.value.refusal.status, caught.value.refusal.code


@settings(max_examples=50)
@given(st.lists(objects, min_size=1, max_size=4), spaces, st.sampled_from([None, 1]))
def test_each_element_of_an_array_is_a_payload_with_its_own_bytes(values: list[Any], space: str, indent: int | None):
    texts = [json.dumps(value, ensure_ascii=False, indent=indent) for value in values]
    body = f"{space}[{space}{f'{space},{space}'.join(texts)}{space}]{space}".encode()
    assert payloads(body, JSON) == [text.encode() for text in texts]


@settings(max_examples=50)
@given(st.lists(objects, min_size=2, max_size=4), st.sampled_from(["\n", "\r\n", "\n\n", " \n\t\n"]))
def test_lines_are_known_by_their_content_too(values: list[Any], end: str):
    texts = [json.dumps(value) for value in values]
    body = end.join(texts).encode() + end.encode()
    assert payloads(body, JSON) == payloads(body, LINES) == [text.encode() for text in texts]


@given(objects, st.sampled_from([None, 0, 2]), spaces)
def test_one_object_is_one_payload_however_it_is_written(value: Any, indent: int | None, space: str):
    text = json.dumps(value, indent=indent)
    assert payloads(f"{space}{text}{space}".encode(), JSON) == [text.encode()]


@given(st.binary(min_size=1, max_size=200))
def test_any_bytes_have_an_answer(body: bytes):
    for route in (JSON, LINES, FOREIGN):
        if not body.strip() and route is not FOREIGN:
            assert refused(body, route) == (400, "empty")
        else:
            assert all(payload in body and payload for payload in payloads(body, route))


@pytest.mark.parametrize(
    "body",
    [
        b"nonsense",
        b'{"a": tru}',
        b'[{"a":1},',
        b'{"a":1} {"b":2}',
        b'{"a":1,\n"b":2',
        b"[" * 10_000,
        b'[{"a":1},{"b":[1}]',
        b'[{"a":1},,{"b":2}]',
        b'[{"a":"1},{"b":2}]',
        b'[{"a":1}],[{"b":2}]',
        b'[{"a":NaN}' + b',"\\""' * 200_000 + b"]",
        b"\xff\xfe{",
    ],
)
def test_what_cannot_be_split_is_one_payload(body: bytes):
    assert payloads(body, JSON) == [body]


def test_invalid_utf_8_in_one_element_leaves_the_others_whole():
    assert payloads(b'[{"a":1},{"a":"\xff"}]', JSON) == [b'{"a":1}', b'{"a":"\xff"}']


@pytest.mark.parametrize(
    "spoilt", [b'{"a":NaN}', b'{"a":tru}', b'{"a":"]",}', b'{"a":' + b"[" * 9000 + b"]" * 9000 + b"}"]
)
def test_an_element_that_is_no_json_leaves_the_others_whole(spoilt: bytes):
    others = [b'{"a":"x,]\\""}', b"{}", b'[{"b":[1,2]},"]"]']
    assert payloads(b" [ " + b" ,\n".join([*others, spoilt]) + b"\n] ", JSON) == [*others, spoilt]


def test_a_broken_line_leaves_the_others_whole():
    assert payloads(b'{"a":1}\n{"a":\n{"a":2}', JSON) == [b'{"a":1}', b'{"a":', b'{"a":2}']


def test_as_many_messages_as_allowed_and_not_one_more():
    most = [b"{}"] * MOST_PAYLOADS
    assert len(payloads(b"[" + b",".join(most) + b"]", JSON)) == MOST_PAYLOADS
    assert len(payloads(b"\n".join(most), LINES)) == MOST_PAYLOADS
    assert refused(b"[" + b",".join([*most, b"{}"]) + b"]", JSON) == (413, "too_many")
    assert refused(b"\n".join([*most, b"{}"]), LINES) == (413, "too_many")


def test_millions_of_nothings_are_refused_before_they_are_made():
    assert refused(b"[" + b"1," * 2_000_000 + b"1]", JSON) == (413, "too_many")
    assert refused(b"{}" + b"\n" * 1_000_000, LINES) == (413, "too_many")


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5), st.integers(0, 9))
def test_gzip_of_one_or_more_members_is_unpacked(parts: list[bytes], padding: int):
    packed = b"".join(gzip.compress(part) for part in parts) + bytes(padding)
    assert inflate(packed, 10_000) == b"".join(parts)


@given(st.binary(max_size=300), st.data())
def test_gzip_with_a_wrong_byte_or_cut_off_is_refused_or_the_same(body: bytes, data: st.DataObject):
    packed = bytearray(gzip.compress(body))
    at = data.draw(st.integers(0, len(packed) - 1))
    cut = bytes(packed[:at])
    packed[at] ^= data.draw(st.integers(1, 255))
    for bad in (cut, bytes(packed)):
        try:
            found = inflate(bad, 10_000)
        except BadRequest as error:
            found, status = None, error.refusal.status
        else:
            status = 400
        assert found in {None, body}  # the same with another time stamp in the header, say
        assert status in {400, 413}


@pytest.mark.parametrize(("size", "fits"), [(999, True), (1000, True), (1001, False), (50_000_000, False)])
def test_gzip_is_unpacked_up_to_the_limit(size: int, fits: bool):
    packed = gzip.compress(bytes(size))
    if fits:
        assert inflate(packed, 1000) == bytes(size)
    else:
        with pytest.raises(BadRequest) as caught:
            inflate(packed, 1000)
        assert caught.value.refusal.status == 413


def test_many_members_count_together_and_are_not_without_number():
    with pytest.raises(BadRequest) as caught:
        inflate(gzip.compress(bytes(600)) * 2, 1000)
    assert caught.value.refusal.status == 413
    assert inflate(gzip.compress(b"") * MOST_MEMBERS, 1000) == b""
    with pytest.raises(BadRequest) as caught:
        inflate(gzip.compress(b"") * (MOST_MEMBERS + 1), 1000)
    assert caught.value.refusal.code == "bad_encoding"


def test_zlib_without_gzips_header_is_no_gzip():
    with pytest.raises(BadRequest):
        inflate(zlib.compress(b"{}"), 1000)
