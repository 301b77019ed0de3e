"""A store that came back empty between two writes says so to each writer, or what was lost would never come again.

Redis, MongoDB and the lake have such tests among their own.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest

from headwater.config_stack import Elasticsearch, MariaDb
from headwater.errors import Stale, Unavailable
from storage.contract import Record, Store
from storage.elastic_store import open_elastic_search
from storage.mysql_connection import Cursor, open_mysql
from storage.mysql_store import open_mysql_reports
from tests.services.server import Server
from tests.storage.factory import T, candidate, message, records

FOREVER = 1e10
Opening = Callable[[], AbstractAsyncContextManager[Store]]
Wipe = Callable[[], Awaitable[None]]


class Emptied:
    """A store on a real server: how to open it, how to take all from it, what to write to it."""

    def __init__(self, open_one: Opening, wipe: Wipe, written: list[Record]) -> None:
        self.open = open_one
        self.wipe = wipe
        self.own, self.others = ([one for one in written if one.partition % 2 == half] for half in (0, 1))
        (self.topic,) = {one.topic for one in written}


def on_mariadb(server: Server) -> Emptied:
    config = MariaDb(port=server.port, user="root", database=f"emptied_{uuid4().hex}", time=10)

    async def wipe() -> None:
        async def drop(cursor: Cursor) -> None:
            await cursor.execute(f"DROP DATABASE {config.database}")

        async with open_mysql(config, []) as other:
            await other.plain(drop)

    def opened() -> AbstractAsyncContextManager[Store]:
        return open_mysql_reports(config, "log-1", rows=FOREVER)

    return Emptied(opened, wipe, records([message(n, f"device-{n % 8}") for n in range(40)]))


def on_elasticsearch(server: Server) -> Emptied:
    prefix = f"t{uuid4().hex[:12]}"
    config = Elasticsearch(urls=(f"http://127.0.0.1:{server.port}",), prefix=prefix)

    def asked(method: str, path: str) -> str:
        request = Request(f"http://127.0.0.1:{server.port}/{path}", method=method)
        with urlopen(request, timeout=20) as answer:
            return answer.read().decode()

    async def wipe() -> None:
        for index in asked("GET", f"_cat/indices/{prefix}-*?h=index").split():
            asked("DELETE", index)

    def opened() -> AbstractAsyncContextManager[Store]:
        return open_elastic_search(config, "log-1", retention=3 * 86_400.0, now=lambda: T + 60_000_000)

    return Emptied(opened, wipe, records([candidate(n, f"device-{n % 8}") for n in range(40)]))


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("server", "on"), [("mariadb", on_mariadb), ("elastic", on_elasticsearch)])
async def test_each_writer_of_a_store_that_came_back_empty_begins_again(
    request: pytest.FixtureRequest, server: str, on: Callable[[Server], Emptied]
) -> None:
    emptied = on(request.getfixturevalue(f"{server}_server"))
    async with emptied.open() as store, emptied.open() as rival:
        mine, others = emptied.own, emptied.others
        await store.write(mine[:5])
        await rival.write(others[:5])
        await emptied.wipe()
        for writer, written in ((store, mine), (rival, others)):
            with pytest.raises((Stale, Unavailable)):
                await writer.write(written[5:])
            ledger = await writer.ledger(emptied.topic)
            assert not ledger.keys() & {one.partition for one in written}
            await writer.write(written)
            await writer.write(written)
        found = await store.ledger(emptied.topic)
        assert found == {one.partition: one.position for one in [*mine, *others]}
        await emptied.wipe()
