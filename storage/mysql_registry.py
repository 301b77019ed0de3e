"""The registry on MariaDB, shared by any number of processes: see `storage.registry_in_tables`.

In: what the gateways' and APIs' processes ask for. Out: rows, each change made under one lock (`SELECT … FOR UPDATE` on
`registry_state`), so that the outbox is numbered in the order of the commits. Who sends from it has its turn for a
stated time, by the server's clock: a pump that dies or freezes in its turn loses it when that time is over.
"""

import secrets
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TypeVar, cast

from headwater.config_stack import MariaDb
from headwater.errors import Unavailable
from headwater.registry import Change
from headwater.times import now
from storage import registry_changes as changes
from storage import registry_tables as tables
from storage.mysql_connection import Cursor, MySql, open_mysql
from storage.mysql_registry_schema import SCHEMA
from storage.registry_in_tables import TablesRegistry
from storage.registry_tables import Outgoing, Steps

T = TypeVar("T")
_BORN = "SELECT born FROM registry_state WHERE id = 1"
_WAITS = "SELECT born, EXISTS (SELECT 1 FROM outbox) FROM registry_state WHERE id = 1"
_TAKE = """
UPDATE registry_state SET owner = ?, until = NOW(6) + INTERVAL ? MICROSECOND
WHERE id = 1 AND (owner IN ('', ?) OR until < NOW(6))
"""
_OWNER = "SELECT owner FROM registry_state WHERE id = 1"
_LEAVE = "UPDATE registry_state SET owner = '' WHERE id = 1 AND owner = ?"


class MySqlRegistry(TablesRegistry):
    """Use `open_mysql_registry`. `lease`: seconds that a turn to send lasts, unless it is given back before."""

    def __init__(self, mysql: MySql, born: str, lease: float, clock: Callable[[], int]) -> None:
        super().__init__(clock)
        self._mysql = mysql
        self._born = born
        self._lease = round(lease * 1e6)
        self._me = secrets.token_hex(8)
        self._ours = False
        self._in_doubt: set[bytes] = set()
        """Keys that this process may have sent, or may still send, after another one had sent something newer."""

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[bool, None]:
        """See `storage.outbox.Outbox`."""
        self._ours = ours = await self._waits() and await self._write(self._take)
        try:
            yield ours
        finally:
            self._ours = False
            if ours:
                with suppress(Unavailable):  # then it ends by itself
                    await self._write(self._leave)

    async def pending(self, limit: int) -> Sequence[Outgoing]:
        """The oldest changes that are not known to be on the log."""
        found = await super().pending(limit)
        if self._ours:
            self._in_doubt.update(outgoing.key for outgoing in found)
        return found

    async def sent(self, number: int) -> None:
        """All changes up to this one are durable on the log: forgotten, if the turn lasted until now."""
        if await self._write(lambda: self._forget(number)):
            self._in_doubt.clear()

    async def emptied(self) -> bool:
        """True if the server came back without what it had."""
        return await self._mysql.read(lambda cursor: _run(cursor, _born(_BORN))) != self._born

    async def reconcile(self, on_log: Sequence[Change]) -> Mapping[bytes, int]:
        """See `TablesRegistry`; also where the tables were lost, and are not used for anything else before."""
        time = self._clock()
        return await self._settling(lambda: changes.reconcile_all(on_log, time))

    async def send_missing(self, on_log: Mapping[bytes, int]) -> int:
        """See `TablesRegistry`. With it the tables are whole again."""

        def steps() -> Steps[tuple[str, int]]:
            born = yield from _born(_BORN)
            return born, (yield from changes.send_missing(on_log))

        self._born, count = await self._settling(steps)
        return count

    async def _read(self, steps: Callable[[], Steps[T]]) -> T:
        return await self._mysql.read(lambda cursor: _run(cursor, self._checked(_BORN, steps())))

    async def _write(self, steps: Callable[[], Steps[T]]) -> T:
        return await self._mysql.transaction(lambda cursor: _run(cursor, self._checked(_BORN + " FOR UPDATE", steps())))

    async def _settling(self, steps: Callable[[], Steps[T]]) -> T:
        return await self._mysql.transaction(lambda cursor: _run(cursor, _locked(steps())))

    def _checked(self, query: str, steps: Steps[T]) -> Steps[T]:
        if (yield from _born(query)) != self._born:
            raise Unavailable("the registry's tables came back empty: they are taken back from the log first")
        return (yield from steps)

    async def _waits(self) -> bool:
        def steps() -> Steps[bool]:
            ((_, waits),) = yield _WAITS, ()
            return bool(waits)

        return bool(self._in_doubt) or await self._read(steps)

    def _take(self) -> Steps[bool]:
        yield _TAKE, (self._me, self._lease, self._me)
        if not (yield from self._is_ours()):
            return False
        yield from changes.send_again(self._in_doubt)
        return True

    def _leave(self) -> Steps[None]:
        yield _LEAVE, (self._me,)

    def _is_ours(self) -> Steps[bool]:
        ((owner,),) = yield _OWNER, ()
        return owner == self._me

    def _forget(self, number: int) -> Steps[bool]:
        yield from tables.drop_outgoing(number)
        return (yield from self._is_ours())


def _born(query: str) -> Steps[str]:
    rows = yield query, ()
    if not rows:
        raise Unavailable("the registry's tables are being made")
    return str(rows[0][0])


def _locked(steps: Steps[T]) -> Steps[T]:
    yield from _born(_BORN + " FOR UPDATE")
    return (yield from steps)


async def _run(cursor: Cursor, steps: Steps[T]) -> T:
    try:
        query, values = next(steps)
        while True:
            # aiomysql fails on bytes; ours are UTF-8, and a text in a binary column is its UTF-8.
            texts = [value.decode() if isinstance(value, bytes) else value for value in values]
            await cursor.execute(query.replace("?", "%s"), texts)
            query, values = steps.send(cast("tables.Rows", await cursor.fetchall()))
    except StopIteration as end:
        return end.value


@asynccontextmanager
async def open_mysql_registry(
    config: MariaDb, *, clock: Callable[[], int] = now
) -> AsyncGenerator[MySqlRegistry, None]:
    """Open it, and make its tables where they are not there yet. Raises `Unavailable`: try again."""
    async with open_mysql(config, SCHEMA) as mysql:
        born = await mysql.read(lambda cursor: _run(cursor, _born(_BORN)))
        yield MySqlRegistry(mysql, born, config.time, clock)
