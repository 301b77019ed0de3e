"""WebSocket frames as a server reads them: any cut gives the same, whatever is wrong is found, nothing is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.mqtt.frames import BadFrame, CloseCode, FrameReader, Opcode, frame

MASK = b"\x12\xa5\x00\xff"


def masked(opcode: int, payload: bytes = b"", *, fin: bool = True, mask: bytes = MASK) -> bytes:
    """A frame as a client writes it; slow and plain, so that it can be believed."""
    size = len(payload)
    length = (
        bytes((size,)) if size < 126 else (b"\x7e" + size.to_bytes(2) if size < 65536 else b"\x7f" + size.to_bytes(8))
    )
    head = bytes((fin << 7 | opcode, length[0] | 0x80)) + length[1:] + mask
    return head + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def feed_all(data: bytes, cuts: list[int]) -> tuple[bytes, list[bytes], bool]:
    reader, found, at = FrameReader(), b"", 0
    for cut in [*sorted(cuts), len(data)]:
        found += reader.feed(data[at:cut])
        at = max(at, cut)
    return found, reader.pings, reader.closed


pieces = st.lists(
    st.one_of(
        st.tuples(st.just("data"), st.binary(max_size=300)),
        st.tuples(st.just("ping"), st.binary(max_size=125)),
        st.tuples(st.just("pong"), st.binary(max_size=125)),
        st.tuples(st.just("parts"), st.binary(max_size=300)),
    ),
    max_size=8,
)


@given(pieces, st.lists(st.integers(0, 2000), max_size=12), st.binary(min_size=4, max_size=4))
def test_any_cut_and_any_fragments_give_the_same_bytes(
    said: list[tuple[str, bytes]], cuts: list[int], mask: bytes
) -> None:
    data, expected, pings = b"", b"", list[bytes]()
    for kind, payload in said:
        if kind == "parts":
            half = len(payload) // 2
            data += masked(Opcode.BINARY, payload[:half], fin=False, mask=mask) + masked(Opcode.PING, b"between")
            data += masked(Opcode.CONTINUATION, payload[half:], mask=mask)
            pings.append(b"between")
            expected += payload
        else:
            opcode = {"data": Opcode.BINARY, "ping": Opcode.PING, "pong": Opcode.PONG}[kind]
            data += masked(opcode, payload, mask=mask)
            expected += payload if kind == "data" else b""
            pings += [payload] if kind == "ping" else []
    assert feed_all(data, [min(cut, len(data)) for cut in cuts]) == (expected, pings, False)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
def test_every_length_is_read_and_written(size: int) -> None:
    payload = bytes(index % 251 for index in range(size))
    assert FrameReader().feed(masked(Opcode.BINARY, payload)) == payload
    written = frame(Opcode.BINARY, payload)
    head = 2 if size < 126 else 4 if size < 65_536 else 10
    assert len(written) == head + size
    assert written[head:] == payload


@pytest.mark.parametrize(
    ("said", "code"),
    [
        pytest.param(b"\x82\x01\x00", CloseCode.PROTOCOL_ERROR, id="not masked"),
        pytest.param(b"\xc2\x81", CloseCode.PROTOCOL_ERROR, id="a reserved bit"),
        pytest.param(b"\x83\x80", CloseCode.PROTOCOL_ERROR, id="opcode 3"),
        pytest.param(b"\x8b\x80", CloseCode.PROTOCOL_ERROR, id="opcode 11"),
        pytest.param(masked(Opcode.TEXT, b"x"), CloseCode.UNSUPPORTED_DATA, id="text"),
        pytest.param(masked(Opcode.CONTINUATION, b"x"), CloseCode.PROTOCOL_ERROR, id="a fragment of nothing"),
        pytest.param(
            masked(Opcode.BINARY, b"x", fin=False) + masked(Opcode.BINARY), CloseCode.PROTOCOL_ERROR,
            id="a beginning inside a message",
        ),
        pytest.param(masked(Opcode.PING, b"", fin=False), CloseCode.PROTOCOL_ERROR, id="a ping in parts"),
        pytest.param(masked(Opcode.PING, b"x" * 126), CloseCode.PROTOCOL_ERROR, id="a long ping"),
        pytest.param(b"\x82\xfe\x00\x05" + MASK, CloseCode.PROTOCOL_ERROR, id="a length longer than it need be"),
        pytest.param(b"\x82\xff" + b"\xff" * 8 + MASK, CloseCode.PROTOCOL_ERROR, id="a length of 64 bits"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_found(said: bytes, code: CloseCode) -> None:
    with pytest.raises(BadFrame) as found:
        FrameReader().feed(said)
    assert found.value.code == code


def test_a_frame_of_an_enormous_length_is_passed_on_as_it_comes() -> None:
    reader = FrameReader()
    reader.feed(b"\x82\xff" + (2**62).to_bytes(8) + MASK)
    for _ in range(5):
        assert len(reader.feed(b"x" * 1000)) == 1000


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", 1000), (b"\x03\xe8", 1000), (b"\x03\xe9bye", 1000), (b"\x0f\xa0", 1000), (b"\x03", 1002),
        (b"\x03\xed", 1002), (b"\x00\x01", 1002), (b"\x03\xe8\xff", 1007),
    ],
)  # fmt: skip
def test_a_close_is_answered_with_what_it_says(payload: bytes, code: int) -> None:
    reader = FrameReader()
    assert reader.feed(masked(Opcode.BINARY, b"last") + masked(Opcode.CLOSE, payload) + b"noise") == b"last"
    assert (reader.closed, reader.close_code) == (True, code)
