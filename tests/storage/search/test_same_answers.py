"""Search: both stores find the same, whatever is asked."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwater.message import Candidate
from storage.contract import Circle, Span, Term
from storage.elastic_store import open_elastic_search
from storage.search_words import words_of
from storage.sqlite_search import open_sqlite_search
from tests.services.server import Server
from tests.storage.factory import DAY, T, candidates, cut, records
from tests.storage.search.kit import CLOCK, KEEP, SqlitePlace, configured, everything, remove


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
