"""Produce requests and answers, byte for byte beside those of aiokafka's schemas."""

import struct
from io import BytesIO

import pytest
from aiokafka.protocol.produce import ProduceRequest_v7, ProduceResponse_v7
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import Unavailable
from headwater.log import TopicPartition
from storage.kafka_produce import Answers, Landed, Produce

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
NUMBERS = st.integers(0, 2**31 - 1)
BATCHES = st.dictionaries(st.tuples(NAMES, NUMBERS), st.binary(max_size=40), max_size=8)
CODES = st.tuples(st.integers(-1, 90), st.integers(-1, 2**62), st.integers(-1, 2**62), st.integers(-1, 2**62))


@given(BATCHES, NUMBERS, NUMBERS, NAMES)
def test_a_request_has_the_bytes_of_aiokafkas_own(
    batches: dict[tuple[str, int], bytes], milliseconds: int, number: int, name: str
) -> None:
    ours = Produce([(TopicPartition(*at), data) for at, data in batches.items()], milliseconds)
    topics: dict[str, list[tuple[int, bytes]]] = {}
    for (topic, partition), data in batches.items():
        topics.setdefault(topic, []).append((partition, data))
    theirs = ProduceRequest_v7(None, -1, milliseconds, list(topics.items()))

    assert ours.prepare({0: (3, 9)}).encode() == theirs.encode()
    header = ours.build_request_header(correlation_id=number, client_id=name)
    assert header.encode() == theirs.build_request_header(correlation_id=number, client_id=name).encode()


@given(st.dictionaries(NAMES, st.dictionaries(NUMBERS, CODES, max_size=5), max_size=5), NUMBERS)
def test_an_answer_is_read_as_aiokafka_writes_it(
    topics: dict[str, dict[int, tuple[int, int, int, int]]], number: int
) -> None:
    written = ProduceResponse_v7(
        topics=[(topic, [(at, *rest) for at, rest in parts.items()]) for topic, parts in topics.items()],
        throttle_time_ms=0,
    ).encode()
    stream = BytesIO(struct.pack(">i", number) + written)

    assert Produce([], 0).parse_response_header(stream).correlation_id == number
    assert Answers.decode(stream) == {
        TopicPartition(topic, at): Landed(code, offset)
        for topic, parts in topics.items()
        for at, (code, offset, _, _) in parts.items()
    }


def test_an_answer_that_is_cut_off_is_no_answer() -> None:
    whole = ProduceResponse_v7(topics=[("t", [(0, 0, 7, -1, 0)])], throttle_time_ms=0).encode()
    for length in range(len(whole) - 4):  # the last four are the throttle time, which nobody reads
        with pytest.raises(struct.error):
            Answers.decode(BytesIO(whole[:length]))


@pytest.mark.parametrize("versions", [{}, {0: (0, 6)}, {0: (8, 12)}])
def test_a_broker_that_takes_other_versions_is_named_as_such(versions: dict[int, tuple[int, int]]) -> None:
    with pytest.raises(Unavailable, match=r"Headwater speaks 7 \(Kafka 2\.1\)"):
        Produce([], 0).prepare(versions)
