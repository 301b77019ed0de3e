"""Candidates to be found, a clock, and a server asked as an administrator asks it."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import msgspec

from headwater.config_stack import Elasticsearch
from headwater.message import Candidate, Position
from storage.contract import Record, Span
from storage.elastic_store import ElasticSearch
from storage.search_words import terms_of
from storage.sqlite_search import SqliteSearch, open_sqlite_search
from tests.services.server import Server
from tests.storage.factory import DAY, T, candidate, message
from tests.storage.sqlite_kit import held

Search = SqliteSearch | ElasticSearch


EVER = Span()


KEEP = 40 * 86_400.0


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = T + 3 * DAY

    def __call__(self) -> int:
        return self.now


def asked_of(server: Server, method: str, path: str, body: object = None) -> Any:
    """A plain request, without the store's code."""
    request = Request(f"http://{server.host}:{server.port}/{path}", method=method)  # our own server
    request.add_header("content-type", "application/json")
    data = None if body is None else msgspec.json.encode(body)
    with urlopen(request, data, timeout=20) as answer:
        return msgspec.json.decode(answer.read())


def remove(server: Server, prefix: str) -> None:
    """All that a test made."""
    there = asked_of(server, "GET", f"_cat/indices/{prefix}-*?format=json&h=index")
    for row in there:
        asked_of(server, "DELETE", row["index"])
    asked_of(server, "DELETE", f"_index_template/{prefix}-*")


def configured(port: int, prefix: str, seconds: float = 15) -> Elasticsearch:
    return Elasticsearch(urls=(f"http://127.0.0.1:{port}",), prefix=prefix, time=seconds)


Opened = AbstractAsyncContextManager[Search]


Opening = Callable[..., Opened]


CLOCK = Clock()


def say(
    n: int, device: str = "pump-7", *, time: int | None = None, at: Position | None = None, **parts: Any
) -> Candidate:
    """The n-th candidate, with a message that says this."""
    said = message(n, device, **({"position": at} | parts))
    return candidate(n, device, message=said, time=said.time if time is None else time)


async def found(store: Search, question: str, span: Span = EVER, limit: int = 100, **how: Any) -> list[int | None]:
    """The sequence numbers of what is found."""
    rows, _ = await store.search(terms_of(question) if question else [], span, limit, **how)
    return [row.message.seq for row in rows]


class SqlitePlace:
    """One file; what is there, as id → JSON."""

    topics = ("candidates",)

    def __init__(self, folder: Path) -> None:
        self._path = folder / "search.sqlite"

    def open(self, log_id: str = "log-1") -> AbstractAsyncContextManager[Search]:
        return open_sqlite_search(self._path, log_id, retention=KEEP, now=CLOCK)

    async def read_back(self) -> object:
        async with self.open() as store:
            return await everything(store)

    def expected(self, written: Sequence[Record]) -> object:
        return sorted({(one.time, one.id, msgspec.json.encode(one)) for one in map(_candidate, written)})

    def taken_away(self) -> AbstractAsyncContextManager[None]:
        return held(self._path)


def _candidate(record: Record) -> Candidate:
    assert isinstance(record.body, Candidate)
    return record.body


async def everything(store: Search) -> list[tuple[int, str, bytes]]:
    rows, _ = await store.search([], EVER, 10_000, newest_first=False)
    assert [(row.id, row.revision) for row in rows] == [one async for batch in store.ids() for one in batch]
    return [(row.time, row.id, msgspec.json.encode(row)) for row in rows]
