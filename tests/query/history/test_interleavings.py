"""History across lake and log: every id once, in order, whatever is appended, committed, trimmed or read in between."""

import asyncio
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.message import Message
from query.history import Ask
from tests.query.fakes import order
from tests.query.history.kit import Site, ids
from tests.storage.factory import SECOND, T

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.integers(0, 6), st.integers(0, 3), st.integers(0, 2)),
        st.tuples(st.just("flush"), st.integers(1, 4), st.just(0), st.just(0)),
        st.tuples(st.just("trim"), st.just(0), st.just(0), st.just(0)),
        st.tuples(st.just("page"), st.integers(1, 3), st.just(0), st.just(0)),
        st.tuples(st.just("restart"), st.just(0), st.just(0), st.just(0)),
    ),
    max_size=25,
)


def _model(said: Sequence[Message]) -> list[str]:
    first: dict[str, Message] = {}
    for one in said:
        first.setdefault(one.id, one)
    return [one.id for one in sorted(first.values(), key=lambda m: (m.time, m.received, m.id))]


async def _play(steps: Sequence[tuple[str, int, int, int]], *, newest_first: bool, size: int, race: bool) -> None:
    site = Site(size=size)
    said: list[Message] = []
    began: list[str] | None = None
    paged: list[str] = []
    cursor: str | None = ""
    stop = asyncio.Event()
    run = asyncio.create_task(site.tail.run(stop))

    async def racing() -> None:
        site.flush(count=1)
        await site.tail.trim()

    site.lake.race = racing if race else None
    for name, first, second, third in steps:
        if name == "say":
            # Few ids and times: an id comes again later (received later), times tie and go back.
            one = Message(
                device="pump-7",
                id=f"id-{first}",
                received=T + len(said) * SECOND,
                # A device's own clock says the same again; without one it is another time.
                time=T + (first if first % 2 else second) * SECOND,
                seq=third,
                flag="" if first % 2 else "none",
            )
            said.append(one)
            site.say(one)
            await site.log.grown()
        elif name == "flush":
            site.flush(count=first)
        elif name == "trim":
            await site.tail.trim()
        elif name == "restart":
            stop.set()
            await run
            stop = asyncio.Event()
            run = asyncio.create_task(site.tail.run(stop))
        elif cursor is not None:
            page = await site.history.messages("pump-7", Ask(first, newest_first=newest_first, cursor=cursor))
            began = _model(said) if began is None else began
            paged += ids(page.rows)
            cursor = page.next
            assert sorted(page.rows, key=order, reverse=newest_first) == page.rows
        await asyncio.sleep(0)
    for limit in (1, 2, 100):
        found = ids(await site.all(limit=limit, newest_first=newest_first))
        assert found == (_model(said)[::-1] if newest_first else _model(said))
    assert len(paged) == len(set(paged)), "an id stood on two pages"
    if began is not None and cursor is None:
        assert set(began) <= set(paged), "an id that was there from the first page on stood on none"
    stop.set()
    await run


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, newest_first=st.booleans(), size=st.sampled_from([1_500, 10**6]), race=st.booleans())
def test_every_id_once_under_any_interleaving(
    steps: list[tuple[str, int, int, int]], newest_first: bool, size: int, race: bool
) -> None:
    asyncio.run(_play(steps, newest_first=newest_first, size=size, race=race))
