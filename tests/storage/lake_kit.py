"""What the lake's tests need: a lake in a folder as a `Place`, all that a user sees of it, and what it should be."""

import random
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from headwater.config import Lake
from headwater.log import CANDIDATES, MESSAGES, REJECTED
from headwater.message import Body, Candidate, Message
from storage.contract import LakeReader, LakeRow, Record, Span
from storage.delta_lake import DeltaLake, open_lake
from storage.lake_reader import DeltaLakeReader, open_lake_reader

ALL = Span()
TOPICS = (MESSAGES, CANDIDATES, REJECTED)


class Seen(NamedTuple):
    """The users' view of a lake, each part by what identifies a row."""

    messages: Mapping[tuple[str, str], LakeRow]
    candidates: Mapping[tuple[str, str], Candidate]
    rejected: Mapping[tuple[str, str], Body]


def reader(root: Path, log_id: str = "log-1") -> AbstractAsyncContextManager[DeltaLakeReader]:
    return open_lake_reader(root, log_id)


async def seen(lake: LakeReader, written: Sequence[Record] = ()) -> Seen:
    """Everything, page by page; no row twice. `written` adds devices to those the lake says it has."""
    devices = {record.body.device for record in written if isinstance(record.body, Message)}
    async for batch in lake.ids(MESSAGES):
        devices |= {device for _, _, device, _ in batch}
    found = Seen({}, {}, {})
    messages: dict[tuple[str, str], LakeRow] = {}
    for device in devices:
        rows, _ = await lake.history(device, ALL, 10_000)
        for row in rows:
            assert messages.setdefault((device, row.message.id), row) is row, "twice in the view"
    candidates, _ = await lake.candidates(None, ALL, 10_000)
    rejected, _ = await lake.rejected(ALL, 10_000)
    by_id = {(one.device, one.id): one for one in candidates}
    refused: dict[tuple[str, str], Body] = {(one.device, one.id): one for one in rejected}
    assert (len(by_id), len(refused)) == (len(candidates), len(rejected)), "twice in the view"
    return found._replace(messages=messages, candidates=by_id, rejected=refused)


def expected(written: Sequence[Record]) -> Seen:
    """The first copy on the log of each (device, id); of candidates the highest revision."""

    def rank(record: Record) -> tuple[int, int, int]:
        revision = record.body.revision if isinstance(record.body, Candidate) else 0
        return -revision, record.partition, record.offset

    topics: dict[str, dict[tuple[str, str], Record]] = {MESSAGES: {}, CANDIDATES: {}, REJECTED: {}}
    for record in sorted(written, key=rank):
        topics[record.topic].setdefault((record.body.device, record.body.id), record)
    rows: dict[tuple[str, str], LakeRow] = {}
    candidates: dict[tuple[str, str], Candidate] = {}
    for name, record in topics[MESSAGES].items():
        assert isinstance(record.body, Message)
        rows[name] = LakeRow(record.partition, record.offset, record.body)
    for name, record in topics[CANDIDATES].items():
        assert isinstance(record.body, Candidate)
        candidates[name] = record.body
    return Seen(rows, candidates, {name: record.body for name, record in topics[REJECTED].items()})


class LakePlace:
    """A lake in a folder, as the laws want it."""

    topics = TOPICS

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.root = folder / "lake"

    def open(self, log_id: str = "log-1") -> AbstractAsyncContextManager[DeltaLake]:
        return open_lake(self.root, log_id, Lake())

    async def read_back(self) -> object:
        async with reader(self.root) as lake:
            return await seen(lake)

    def expected(self, written: Sequence[Record]) -> object:
        return expected(written)

    @asynccontextmanager
    async def taken_away(self) -> AsyncGenerator[None, None]:
        hidden = self._folder / f"hidden-{random.random()}"
        self.root.rename(hidden)
        self.root.write_text("not a folder")
        try:
            yield
        finally:
            self.root.unlink()
            hidden.rename(self.root)
