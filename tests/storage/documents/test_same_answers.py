"""Documents: both backends give the same answers, whatever comes in whatever cuts."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwater.log import CANDIDATES
from headwater.message import Candidate
from storage.contract import CandidateReader, Record, Span
from storage.sqlite_documents import open_sqlite_documents
from tests.services.server import Server
from tests.storage.documents.kit import RETENTION, Documents, all_ids, at, clock, mongo, new_database
from tests.storage.factory import DAY, T, candidates, cut
from tests.storage.laws import check_ledgers


@st.composite
def histories(draw: st.DrawFn) -> list[Record]:
    """Candidates in revisions and repetitions, in any order, behind one another on the log."""
    plain = st.text(st.characters(max_codepoint=0xD7FF).filter(str.isprintable), min_size=1, max_size=8)
    drawn = draw(st.lists(candidates(), max_size=8, unique_by=lambda one: one.message.id))
    bodies: list[Candidate] = []
    for number, one in enumerate(drawn):
        ident = f"{number}{draw(plain)}"  # compared by UTF-16 units in the stand-in: none beyond the first plane
        for revision in draw(st.lists(st.integers(0, 3), min_size=1, max_size=3)):
            bodies.append(msgspec.structs.replace(one, id=ident, revision=revision, rule_version=revision))
    return [at(offset, one) for offset, one in enumerate(draw(st.permutations(bodies)))]


def model(written: Sequence[Record]) -> list[Candidate]:
    """What must be shown, by (time, id)."""
    best: dict[str, Candidate] = {}
    for record in written:
        one = record.body
        assert isinstance(one, Candidate)
        if one.time >= clock() - 4 * DAY and (one.id not in best or one.revision > best[one.id].revision):
            best[one.id] = one
    return sorted(best.values(), key=lambda one: (one.time, one.id))


async def pages(store: CandidateReader, size: int, *, newest_first: bool) -> list[Candidate]:
    read: list[Candidate] = []
    after = None
    while True:
        found, _ = await store.candidates(None, Span(), size, newest_first=newest_first, after=after)
        if not found:
            return read
        read += found
        after = (found[-1].time, found[-1].id)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
async def test_both_give_the_same_answers_whatever_comes_in_whatever_cuts(
    mongo_server: Server, data: st.DataObject
) -> None:
    written = data.draw(histories())
    shown = model(written)
    for kind in ("sqlite", "the stand-in for mongod"):
        with TemporaryDirectory() as folder:
            opened: AbstractAsyncContextManager[Documents]
            opened = (
                open_sqlite_documents(Path(folder) / "d.sqlite", "log-1", retention=RETENTION, clock=clock)
                if kind == "sqlite"
                else mongo(mongo_server, new_database())
            )
            async with opened as store:
                for batch in data.draw(cut(written)):
                    await store.write(batch)
                await store.write(written[: len(written) // 2])
                assert await pages(store, 3, newest_first=False) == shown, kind
                assert await pages(store, 2, newest_first=True) == shown[::-1], kind
                for device in {one.device for one in shown}:
                    found, _ = await store.candidates(device, Span(), 100, newest_first=False)
                    assert found == [one for one in shown if one.device == device], kind
                found, _ = await store.candidates(None, Span(T, T + DAY), 100, newest_first=False)
                assert found == [one for one in shown if T <= one.time < T + DAY], kind
                assert sorted(await all_ids(store)) == sorted(one.id for one in shown), kind
                await check_ledgers(store, (CANDIDATES,), written)
