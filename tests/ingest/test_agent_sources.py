"""What the agent reads: each line of a file that is rotated, however often, once; and nothing that it can't send."""

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ingest.agent.buffer import Buffer
from ingest.agent.sources import Mqtt, Tail
from ingest.bridge.link import Broker
from ingest.decoders.passed_on import MARK

BROKER = Broker("127.0.0.1", 1, "agent", "", "", None, 60, 10, 1.0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "readings.ndjson"


def lines(first: int, last: int, size: int = 0) -> bytes:
    each = ({"device": "m", "fields": {"n": n}, "text": "x" * size} for n in range(first, last))
    return b"".join(json.dumps(one).encode() + b"\n" for one in each)


def moment(path: Path, seconds: int) -> None:
    """Its last write was then."""
    os.utime(path, (seconds, seconds))


def numbers(buffer: Buffer) -> list[int]:
    return [json.loads(one.line)["fields"]["n"] for one in buffer.oldest(10_000, 2**30)]


@asynccontextmanager
async def opened(folder: Path) -> AsyncGenerator[Buffer]:
    buffer = Buffer(folder / "agent.sqlite", 2**30, "wait")
    try:
        yield buffer
    finally:
        buffer.close()


async def read(file: Path, expected: Sequence[int]) -> None:
    """One life of an agent: until the buffer has these, and nothing comes after them."""
    async with opened(file.parent) as buffer:
        stop = asyncio.Event()
        reading = asyncio.create_task(Tail(file, buffer).run(stop))
        try:
            async with asyncio.timeout(20):
                while len(numbers(buffer)) < len(expected):
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.3)
        finally:
            stop.set()
            await reading
            assert numbers(buffer) == list(expected)


async def test_files_rotated_more_than_once_while_it_was_away_are_read_in_their_order(file: Path) -> None:
    file.write_bytes(lines(0, 10))
    moment(file, 1000)
    await read(file, range(10))
    with file.open("ab") as more:
        more.write(lines(10, 20))
    moment(file, 1010)
    for at, name in ((20, "readings.ndjson.3"), (30, "readings.ndjson.2"), (40, "readings.ndjson.1")):
        file.rename(file.with_name(name))
        file.write_bytes(lines(at, at + 10))
        moment(file, 1000 + at)
    await read(file, range(50))
    await read(file, range(50))


async def test_what_was_read_before_or_is_no_rotated_file_is_left_alone(file: Path) -> None:
    for at, name in enumerate(("readings.ndjson.1", "readings.ndjson.lock", "readings.ndjson.2.gz")):
        file.with_name(name).write_bytes(lines(90, 92))
        moment(file.with_name(name), 500 if not at else 2000)
    file.write_bytes(lines(0, 10))
    moment(file, 1000)
    await read(file, range(10))
    file.rename(file.with_name("readings.ndjson.0"))
    file.write_bytes(lines(10, 20))
    await read(file, range(20))


async def test_another_file_in_the_place_of_one_that_is_gone_is_read_from_its_beginning(file: Path) -> None:
    """As where a disk gives the number of a deleted file to the next one."""
    file.write_bytes(lines(0, 10))
    await read(file, range(10))
    with file.open("r+b") as same_inode:
        same_inode.truncate()
        same_inode.write(lines(10, 40))
    await read(file, range(40))


async def test_a_file_that_was_copied_and_cut_while_it_was_away_is_read_once(file: Path) -> None:
    file.write_bytes(lines(0, 10))
    moment(file, 1000)
    await read(file, range(10))
    for at, name in ((10, "readings.ndjson.2"), (20, "readings.ndjson.1")):
        with file.open("ab") as more:
            more.write(lines(at, at + 10))
        file.with_name(name).write_bytes(file.read_bytes())
        moment(file.with_name(name), 1000 + at)
        file.write_bytes(b"")
    file.write_bytes(lines(30, 40))
    await read(file, range(40))
    await read(file, range(40))


async def test_a_line_as_long_as_a_message_may_be_stays_one(file: Path) -> None:
    file.write_bytes(lines(0, 2, 600_000) + lines(2, 4))
    await read(file, range(4))


@pytest.mark.parametrize("payload", [b"", b" \n"])
async def test_an_empty_payload_is_passed_on_as_one_and_not_as_a_line_that_nothing_takes(
    tmp_path: Path, payload: bytes
) -> None:
    async with opened(tmp_path) as buffer:
        source = Mqtt(BROKER, ["#"], buffer)
        await source._take(None, "devices/m/telemetry", payload, 1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportPrivateUsage] - no link is needed
        (line,) = buffer.oldest(10, 2**20)
        assert line.line.startswith(MARK)
