"""Search: what a candidate says, where and when finds it, and both stores find the same, in the same order.

The same sentences on the SQLite file and on a real Elasticsearch; then random candidates and questions on both.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import Request, urlopen
from uuid import uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwater.config_stack import Elasticsearch
from headwater.errors import ConfigError, PartialWrite, Unavailable
from headwater.message import Candidate, Position
from storage.contract import Circle, Record, Span, Term
from storage.elastic_store import ElasticSearch, open_elastic_search
from storage.search_words import terms_of, words_of
from storage.sqlite_search import SqliteSearch, open_sqlite_search
from tests.services.proxy import proxied
from tests.services.server import Server
from tests.storage.factory import DAY, T, candidate, candidates, cut, highest, message, records
from tests.storage.laws import StoreLaws

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


@pytest.fixture
def prefix(elastic_server: Server) -> Iterator[str]:
    made = f"t{uuid4().hex[:12]}"
    yield made
    remove(elastic_server, made)


def configured(port: int, prefix: str, seconds: float = 15) -> Elasticsearch:
    return Elasticsearch(urls=(f"http://127.0.0.1:{port}",), prefix=prefix, time=seconds)


Opened = AbstractAsyncContextManager[Search]
Opening = Callable[..., Opened]
CLOCK = Clock()


@pytest.fixture(params=["sqlite", "elastic"])
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Opening:
    """Opens the store for a log id, with a retention and a clock."""
    path = tmp_path / "search.sqlite"
    if request.param == "sqlite":

        def file(log_id: str = "log-1", retention: float = KEEP, now: Clock = CLOCK) -> Opened:
            return open_sqlite_search(path, log_id, retention=retention, now=now)

        return file
    server: Server = request.getfixturevalue("elastic_server")
    config = configured(server.port, request.getfixturevalue("prefix"))

    def real(log_id: str = "log-1", retention: float = KEEP, now: Clock = CLOCK) -> Opened:
        return open_elastic_search(config, log_id, retention=retention, now=now)

    return real


@pytest.fixture
async def store(opening: Opening) -> AsyncGenerator[Search, None]:
    async with opening() as opened:
        yield opened


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


async def test_words_prefixes_and_values_find_it(store: Search) -> None:
    await store.write(
        records(
            [
                say(1, texts={"state": "Überhitzt, OFF"}, fields={"level": 21.0, "on": True}),
                say(2, "tank:1", texts={"state": "on"}, fields={"level": 2, "on": False}),
            ]
        )
    )
    assert await found(store, "pump") == [1]
    assert await found(store, "PUMP überhitzt") == [1]
    assert await found(store, "über*") == [1]
    assert await found(store, "ber*") == []
    assert await found(store, "level") == [2, 1]
    assert await found(store, "level:21") == [1]
    assert await found(store, "level:2") == [2]
    assert await found(store, "level:2*") == [2, 1]
    assert await found(store, "on:true") == [1]
    assert await found(store, 'state:"überhitzt, off"') == [1]
    assert await found(store, "state:off") == []
    assert await found(store, "device:tank*") == [2]
    assert await found(store, "pump tank") == []
    assert await found(store, "state:*") == [2, 1]
    assert await found(store, "") == [2, 1]


async def test_a_word_is_no_value_and_a_mark_no_operator(store: Search) -> None:
    await store.write(records([say(1, texts={"a": "and or not", "near": 'x"y*z', "b": "w70"})]))
    for question in ("and or not", "near", "x y z", "w70", "b:w70", "a:and*"):
        assert await found(store, question) == [1], question
    for question in ("w7", "p70", "a", "b", "70"):
        assert await found(store, question) == ([1] if question in {"a", "b"} else []), question
    assert (await store.search([Term("")], EVER, 10))[0] == []
    assert len((await store.search([Term("", prefix=True)], EVER, 10))[0]) == 1


async def test_what_comes_back_is_what_was_written(store: Search) -> None:
    said = message(
        1,
        texts={"": "ä\u2028😀\x00", "a.b": "..", "x": "y" * 1024},
        fields={".": 1, "real": 1.0, "big": 2**63 - 1, "low": -(2**63), "small": 5e-324, "zero": -0.0, "no": False},
        position=Position(lat=-90.0, lon=180.0, alt=1.5),
        raw=b"\x00\xff",
    )
    one = candidate(1, message=said, reasons=["a", "b"], rule="ü" * 2000)
    await store.write(records([one]))
    (back,), ledger = await store.search(terms_of("pump"), EVER, 10)
    assert msgspec.json.encode(back) == msgspec.json.encode(one)
    assert ledger == highest(records([one]))


async def test_a_span_is_half_open_and_exact_to_the_microsecond(store: Search) -> None:
    await store.write(records([say(n, time=T + DAY + at) for n, at in enumerate((-1, 0, 1, 2))]))
    assert await found(store, "pump", Span(T + DAY, T + DAY + 2)) == [2, 1]
    assert await found(store, "pump", Span(None, T + DAY)) == [0]
    assert await found(store, "", Span(T + DAY + 2, None)) == [3]
    assert await found(store, "pump", Span(T + DAY, T + DAY)) == []


@pytest.mark.parametrize("newest_first", [True, False])
async def test_pages_go_on_where_the_last_one_ended_across_days_and_equal_times(
    store: Search, newest_first: bool
) -> None:
    made = [say(n, time=T + (n // 4) * DAY // 2) for n in range(20)][::-1]
    await store.write(records(made))
    expected = sorted(((one.time, one.id) for one in made), reverse=newest_first)
    for question in ([], terms_of("pump")):
        seen: list[tuple[int, str]] = []
        while rows := (
            await store.search(question, EVER, 3, newest_first=newest_first, after=seen[-1] if seen else None)
        )[0]:
            assert len(rows) <= 3
            seen += [(row.time, row.id) for row in rows]
        assert seen == expected


async def test_a_circle_is_the_great_circles_its_edge_included(store: Search) -> None:
    # Along a meridian one degree is 6,371,008.8 m times pi / 180.
    places = [Position(lat=10.0, lon=179.9995), Position(lat=10.0, lon=-179.9995), Position(lat=11.0, lon=179.9995)]
    places += [Position(lat=89.9, lon=0.0), Position(lat=89.9, lon=180.0), Position(lat=0.0, lon=0.0)]
    await store.write(records([*(say(n, at=at) for n, at in enumerate(places)), say(9)]))

    async def near(lat: float, lon: float, radius: float, question: str = "") -> list[int | None]:
        return await found(store, question, within=Circle(lat, lon, radius), newest_first=False)

    assert await near(10.0, 179.9995, 100.0) == [0]
    assert await near(10.0, 179.9995, 110.0) == [0, 1]
    assert await near(10.0, 179.9995, 111_195.0) == [0, 1]
    assert await near(10.0, 179.9995, 111_195.2, "pump") == [0, 1, 2]
    assert await near(89.9, 90.0, 16_000.0) == [3, 4]
    assert await near(0.0, 0.0, 0.0) == [5]
    assert await near(0.0, 0.0, 30_000_000.0) == [0, 1, 2, 3, 4, 5]
    assert await near(0.0, 0.0, -1.0) == []
    assert await near(91.0, 0.0, 1e6) == []


async def test_what_lies_just_outside_does_not_shorten_a_page(store: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.elastic_store._PAGE", 4)
    here, outside = Position(lat=0.0, lon=0.0), Position(lat=0.0009, lon=0.0)  # 100.08 m
    await store.write(records([say(n, at=here if n % 10 == 0 else outside) for n in range(40)]))
    within = Circle(0.0, 0.0, 100.0)
    assert await found(store, "pump", limit=3, within=within) == [30, 20, 10]
    assert await found(store, "pump", limit=9, within=within) == [30, 20, 10, 0]


async def test_a_higher_revision_takes_the_place_of_a_lower_one_also_on_another_day(store: Search) -> None:
    first = say(1, texts={"state": "early"})
    second = msgspec.structs.replace(say(1, texts={"state": "late"}, time=T + DAY), revision=1)
    third = msgspec.structs.replace(say(1, texts={"state": "last"}, time=T + DAY), revision=2)
    other = say(2)
    written = records([first, other, second, first, third, second])
    for position, record in enumerate(written):
        await store.write([record._replace(position=position)])
    rows, _ = await store.search([], EVER, 10)
    assert [(row.id, row.revision) for row in rows] == [(third.id, 2), (other.id, 0)]
    assert await found(store, "early") == []
    assert await found(store, "late") == []
    assert await found(store, "last") == [1]
    assert sorted([ident async for batch in store.ids() for ident, _ in batch]) == sorted([third.id, other.id])


async def test_days_beyond_the_retention_are_dropped_and_never_come_back(opening: Opening) -> None:
    clock = Clock()
    clock.now = T
    written = records([say(n, time=T + (n - 5) * DAY) for n in range(6)])
    async with opening(retention=3 * 86_400.0, now=clock) as store:
        await store.write(written)
        assert await found(store, "pump") == [5, 4, 3, 2]
        assert await store.ledger("candidates") == highest(written)
        clock.now = T + 2 * DAY
        assert await found(store, "pump") == [5, 4]
        await store.maintain()
        await store.maintain()
        assert await found(store, "") == [5, 4]
    async with opening("log-2", retention=3 * 86_400.0, now=clock) as store:
        await store.write(written)
        assert await store.ledger("candidates") == highest(written)
        clock.now = T  # had they been written, this clock would show them
        assert await found(store, "pump") == [5, 4]


async def test_a_time_days_ahead_is_refused_and_the_others_are_durable(store: Search, opening: Opening) -> None:
    written = records([say(1), say(2, time=T + 9000 * DAY), say(3)])
    with pytest.raises(PartialWrite) as refusal:
        await store.write(written)
    assert list(refusal.value.reasons) == [1]
    async with opening() as other:
        assert await found(other, "pump") == [3, 1]
        assert await other.ledger("candidates") == highest(written)


async def test_what_the_ledger_claims_is_found_while_others_write(opening: Opening) -> None:
    written = records([say(n) for n in range(60)])
    async with opening() as writer, opening() as reader:

        async def write() -> None:
            for start in range(0, 60, 5):
                await writer.write(written[start : start + 5])

        task = asyncio.create_task(write())
        claimed = -1
        while claimed < 59:
            rows, ledger = await asyncio.wait_for(reader.search(terms_of("pump"), EVER, 100), 30)
            claimed = max((position >> 20 for position in ledger.values()), default=-1)
            assert {row.message.seq for row in rows} >= set(range(claimed + 1))
        await task


async def test_a_server_is_set_up_once_whoever_comes_first(elastic_server: Server, prefix: str) -> None:
    async def one(n: int) -> None:
        opened = open_elastic_search(configured(elastic_server.port, prefix), "log-1", retention=KEEP, now=CLOCK)
        async with opened as store:
            await store.write(records([say(n, f"d-{n}")]))

    await asyncio.wait_for(asyncio.gather(*(one(n) for n in range(6))), 60)
    names = asked_of(elastic_server, "GET", f"_alias/{prefix}-candidates")
    assert list(names) == [f"{prefix}-candidates-2025.11.21"]
    assert asked_of(elastic_server, "POST", f"{prefix}-candidates/_refresh")["_shards"]["failed"] == 0
    assert asked_of(elastic_server, "GET", f"{prefix}-candidates/_count")["count"] == 6
    mapping = asked_of(elastic_server, "GET", f"{prefix}-candidates/_mapping")
    said = mapping[f"{prefix}-candidates-2025.11.21"]["mappings"]
    assert said["dynamic"] == "strict"
    assert said["properties"]["words"]["type"] == said["properties"]["pairs"]["type"] == "keyword"


async def test_more_days_than_a_node_has_shards_for_are_refused_before_anything_connects() -> None:
    with pytest.raises(ConfigError, match=r"796 days at most"):
        async with open_elastic_search(configured(1, "x"), "log-1", retention=800 * 86_400.0):
            pass


async def test_a_document_the_server_cannot_take_is_named_and_the_others_are_durable(
    elastic_server: Server, prefix: str
) -> None:
    config = configured(elastic_server.port, prefix)
    written = records([say(n, fields={"level": n}) for n in range(5)])
    async with open_elastic_search(config, "log-1", retention=KEEP, now=CLOCK) as store:
        # A day's index that someone made by hand, in which a device's name has to be a number.
        template = asked_of(elastic_server, "GET", f"_index_template/{prefix}-candidates")
        mappings = template["index_templates"][0]["index_template"]["template"]["mappings"]
        mappings["properties"]["device"] = {"type": "integer"}
        index = f"{prefix}-candidates-2025.11.21"
        asked_of(elastic_server, "PUT", index, {"mappings": mappings})
        with pytest.raises(PartialWrite) as refusal:
            await store.write([*written, *records([say(7, "7")])])
        assert set(refusal.value.reasons) == {0, 1, 2, 3, 4}
        assert "device" in refusal.value.reasons[0]
        assert await found(store, "") == [7]
        assert await store.ledger("candidates") == highest([*written, *records([say(7, "7")])])


async def test_a_server_that_takes_no_writes_is_unavailable_and_nothing_is_quarantined(
    elastic_server: Server, prefix: str
) -> None:
    config = configured(elastic_server.port, prefix)
    written = records([say(n) for n in range(5)])
    async with open_elastic_search(config, "log-1", retention=KEEP, now=CLOCK) as store:
        await store.write(written[:2])
        for block in ("read_only_allow_delete", "write"):
            asked_of(elastic_server, "PUT", f"{prefix}-*/_settings", {f"index.blocks.{block}": True})
            with pytest.raises(Unavailable):
                await store.write(written)
            with pytest.raises(Unavailable):
                await store.ping()
            asked_of(elastic_server, "PUT", f"{prefix}-*/_settings", {f"index.blocks.{block}": None})
        await store.ping()
        await store.write(written)
        assert await found(store, "pump") == [4, 3, 2, 1, 0]


async def test_data_without_its_ledger_is_written_again_and_not_doubled(elastic_server: Server, prefix: str) -> None:
    written = records([say(n, time=T + n * DAY) for n in range(3)])
    config = configured(elastic_server.port, prefix)
    async with open_elastic_search(config, "log-1", retention=KEEP, now=CLOCK) as store:
        await store.write(written)
        asked_of(elastic_server, "DELETE", f"{prefix}-ledger")
        assert await store.ledger("candidates") == {}
        await store.write(written[:2])
        assert await store.ledger("candidates") == highest(written[:2])
        await store.write(written)
        assert await found(store, "pump") == [2, 1, 0]


async def test_a_server_that_comes_back_empty_is_set_up_and_filled_again(elastic_server: Server, prefix: str) -> None:
    written = records([say(n) for n in range(5)])
    config = configured(elastic_server.port, prefix)
    async with open_elastic_search(config, "log-1", retention=KEEP, now=CLOCK) as store:
        await store.write(written)
        assert await found(store, "pump") == [4, 3, 2, 1, 0]
        remove(elastic_server, prefix)  # all there is of this installation, as a wiped disk leaves it
        assert await store.ledger("candidates") == {}
        assert await found(store, "pump") == []
        assert [batch async for batch in store.ids()] == []
        await store.ping()
        await store.write(written)
        assert await store.ledger("candidates") == highest(written)
        assert await found(store, "pump") == [4, 3, 2, 1, 0]
    mapping = asked_of(elastic_server, "GET", f"{prefix}-candidates/_mapping")
    assert all(index["mappings"]["dynamic"] == "strict" for index in mapping.values())


async def test_a_frozen_server_costs_no_more_than_the_time_allowed(elastic_server: Server, prefix: str) -> None:
    config = configured(elastic_server.port, prefix, 0.5)
    written = records([say(n) for n in range(5)])
    async with open_elastic_search(configured(elastic_server.port, prefix), "log-1", retention=KEEP, now=CLOCK):
        pass
    async with open_elastic_search(config, "log-1", retention=KEEP, now=CLOCK) as store:
        elastic_server.freeze()
        try:
            calls: list[Callable[[], Awaitable[object]]] = [
                lambda: store.write(written),
                lambda: store.ledger("candidates"),
                store.ping,
                store.maintain,
                lambda: store.search([], EVER, 1),
            ]
            for call in calls:
                with pytest.raises(Unavailable):
                    await asyncio.wait_for(call(), 5)
            with pytest.raises(Unavailable):
                async with open_elastic_search(config, "log-1", retention=KEEP):
                    pass
        finally:
            elastic_server.thaw()


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

    @asynccontextmanager
    async def taken_away(self) -> AsyncGenerator[None, None]:
        other = sqlite3.connect(self._path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")
            other.close()


class ElasticPlace(SqlitePlace):
    """One prefix; what is there, as the file has it. Reached through a proxy where one is opened."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.prefix = f"t{uuid4().hex[:12]}"
        self._port = server.port

    def open(self, log_id: str = "log-1") -> AbstractAsyncContextManager[Search]:
        return self._open(log_id)

    @asynccontextmanager
    async def _open(self, log_id: str) -> AsyncGenerator[Search, None]:
        async with AsyncExitStack() as stack:
            self.proxy = await stack.enter_async_context(proxied(self._server.port))
            config = configured(self.proxy.port, self.prefix, 10)
            yield await stack.enter_async_context(open_elastic_search(config, log_id, retention=KEEP, now=CLOCK))

    @asynccontextmanager
    async def taken_away(self) -> AsyncGenerator[None, None]:
        await self.proxy.refuse()
        yield
        await self.proxy.serve()


def _candidate(record: Record) -> Candidate:
    assert isinstance(record.body, Candidate)
    return record.body


async def everything(store: Search) -> list[tuple[int, str, bytes]]:
    rows, _ = await store.search([], EVER, 10_000, newest_first=False)
    assert [(row.id, row.revision) for row in rows] == [one async for batch in store.ids() for one in batch]
    return [(row.time, row.id, msgspec.json.encode(row)) for row in rows]


class TestSqliteLaws(StoreLaws):
    @pytest.fixture(autouse=True)
    def _impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("storage.sqlite_file._BUSY_MS", 200)

    def place(self, folder: Path) -> SqlitePlace:
        return SqlitePlace(folder)


class TestElasticLaws(StoreLaws):
    @pytest.fixture(autouse=True)
    def _server(self, elastic_server: Server) -> Iterator[None]:
        self.server = elastic_server
        self.places: list[ElasticPlace] = []
        yield
        for place in self.places:
            remove(elastic_server, place.prefix)

    def place(self, folder: Path) -> ElasticPlace:
        del folder
        self.places.append(ElasticPlace(self.server))
        return self.places[-1]


async def test_a_server_that_hangs_in_a_write_is_unavailable_and_goes_on(elastic_server: Server, prefix: str) -> None:
    written = records([say(n) for n in range(5)])
    async with proxied(elastic_server.port) as proxy, AsyncExitStack() as stack:
        config = configured(proxy.port, prefix, 1)
        store = await stack.enter_async_context(open_elastic_search(config, "log-1", retention=KEEP, now=CLOCK))
        await store.write(written[:1])
        await proxy.hang()
        with pytest.raises(Unavailable):
            await asyncio.wait_for(store.write(written), 10)
        await proxy.serve()
        await store.write(written)
        assert await found(store, "pump") == [4, 3, 2, 1, 0]


@st.composite
def questions(draw: st.DrawFn, written: Sequence[Candidate]) -> tuple[list[Term], Span, Circle | None, bool]:
    """Terms that some of the candidates meet, mostly; a span and a circle around one of them, sometimes."""
    one = draw(st.sampled_from(written))
    words, pairs = words_of(one)
    terms = [Term(word) for word in words] + [Term(value, name) for name, _, value in map(_parted, pairs)]
    chosen = draw(st.lists(st.sampled_from(terms), max_size=3))
    cuts = [draw(st.none() | st.integers(0, len(term.text))) for term in chosen]
    chosen = [
        term if at is None else term._replace(text=term.text[:at], prefix=True)
        for term, at in zip(chosen, cuts, strict=True)
    ]
    edges = st.none() | st.sampled_from([c.time for c in written])
    position = one.message.position
    within = None
    if position is not None and draw(st.booleans()):
        within = Circle(position.lat, position.lon, draw(st.sampled_from([0.0, 1e3, 1e6, 1e7, 2.1e7])))
    return chosen, Span(draw(edges), draw(edges)), within, draw(st.booleans())


def _parted(pair: str) -> tuple[str, str, str]:
    return pair.partition(":")


# The server keeps what an example wrote, so each has a prefix of its own: few examples, and many questions to each.
@settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
async def test_both_find_the_same_whatever_is_asked(elastic_server: Server, data: st.DataObject) -> None:
    drawn = data.draw(st.lists(candidates(), min_size=3, max_size=25, unique_by=lambda one: one.id))
    bodies = [msgspec.structs.replace(one, revision=0, time=T + one.time % (2 * DAY)) for one in drawn]
    written = [record._replace(position=at) for at, record in enumerate(records(bodies))]
    prefix = f"t{uuid4().hex[:12]}"
    try:
        with TemporaryDirectory() as folder:
            async with (
                open_sqlite_search(Path(folder) / "search.sqlite", "log-1", retention=KEEP, now=CLOCK) as file,
                open_elastic_search(
                    configured(elastic_server.port, prefix), "log-1", retention=KEEP, now=CLOCK
                ) as server,
            ):
                for store in (file, server):
                    for batch in data.draw(cut(written)):
                        await store.write(batch)
                assert await everything(file) == await everything(server) == SqlitePlace(Path(folder)).expected(written)
                for _ in range(25):
                    terms, span, within, newest_first = data.draw(questions(bodies))
                    answers = [
                        await store.search(terms, span, 10, within=within, newest_first=newest_first)
                        for store in (file, server)
                    ]
                    assert answers[0] == answers[1], (terms, span, within)
    finally:
        remove(elastic_server, prefix)
