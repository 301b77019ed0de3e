"""MariaDB or MySQL: transactions and snapshots on a few connections, every wait bounded, every outage `Unavailable`.

In: functions that get a cursor. Out: their results, awaited. A function may be run twice (the tables were gone and are
made again), so it must not keep anything of its first run. Works with MariaDB ≥ 10.6 and MySQL 8; sessions are strict,
READ COMMITTED, and hold locks for no longer than three call times, even if their owner is frozen in a transaction.
Write `VALUES (` with the blank in `executemany`: without it aiomysql sends row by row.
"""

import asyncio
import math
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeVar

import aiomysql

from headwater.config_stack import MariaDb
from headwater.errors import Unavailable

T = TypeVar("T")

_MISSING = {1046, 1049, 1146}
"""The session's database, a database, a table is not there: the server came back empty."""
_OF_THE_DATA = {1264, 1366, 1367, 1406, 1690}
"""Out of range, wrong text, wrong number, too long, overflow: what the driver does not count as `DataError`."""

_STATEMENT_SIZE = 500_000


class Cursor(Protocol):
    """What of aiomysql's cursor is used. Parameters are `%s`."""

    rowcount: int

    async def execute(self, query: str, args: Sequence[object] | None = None) -> int: ...
    async def executemany(self, query: str, args: Sequence[Sequence[object]]) -> int | None: ...
    async def fetchone(self) -> tuple[Any, ...] | None: ...
    async def fetchall(self) -> Sequence[tuple[Any, ...]]: ...


Work = Callable[[Cursor], Awaitable[T]]


class _QuietCursor(aiomysql.Cursor):  # type: ignore[misc]
    async def _show_warnings(self, conn: object) -> None:
        """Not asked for: it would be a round trip a statement, for rows that INSERT IGNORE leaves out on purpose."""


class MySql:
    """Use `open_mysql`. Any number of tasks may share it."""

    def __init__(self, config: MariaDb, schema: Sequence[str] | None) -> None:
        self._config = config
        self._schema = schema
        self._free: deque[tuple[float, Any]] = deque()
        self._slots = asyncio.Semaphore(config.connections)

    async def transaction(self, work: Work[T]) -> T:
        """Run it in a transaction of its own (READ COMMITTED): committed if it returns, rolled back if it raises.

        Raises `Unavailable` (then it may have been committed, if the answer was lost), and aiomysql's `IntegrityError`,
        `DataError` and `ProgrammingError` as they are.
        """
        return await self._call(("BEGIN",), work)

    async def read(self, work: Work[T]) -> T:
        """Run it in one consistent snapshot. Raises as `transaction` does."""
        snapshot = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
        return await self._call(("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", snapshot), work)

    async def plain(self, work: Work[T]) -> T:
        """Run it without a transaction: for statements that commit by themselves, such as changes of tables."""
        return await self._call((), work)

    async def set_up(self) -> None:
        """Make the database and the tables, where they are missing. Racing processes wait for each other."""
        if (schema := self._schema) is None:
            return
        seconds = max(1, int(self._config.time))

        async def work(cursor: Cursor) -> None:
            name = f"headwater {self._config.database}"[:64]
            await cursor.execute("SELECT GET_LOCK(%s, %s)", (name, seconds))
            try:
                for statement in schema:
                    await cursor.execute(statement)
            finally:
                await cursor.execute("SELECT RELEASE_LOCK(%s)", (name,))

        await self._once((), work)

    async def close(self) -> None:
        """Say goodbye on every connection; a server that does not listen is left alone."""
        while self._free:
            await _goodbye(self._free.pop()[1])

    async def _call(self, begin: Sequence[str], work: Work[T]) -> T:
        try:
            return await self._once(begin, work)
        except _TablesMissing:
            await self.set_up()
            return await self._once(begin, work)

    async def _once(self, begin: Sequence[str], work: Work[T]) -> T:
        try:
            async with asyncio.timeout(self._config.time), self._connection() as connection:
                cursor: Cursor = await connection.cursor()
                for statement in begin:
                    await cursor.execute(statement)
                result = await work(cursor)
                if begin:
                    await connection.commit()
                return result
        except (OSError, TimeoutError) as error:
            raise Unavailable(f"{self.where}: {str(error) or f'no answer within {self._config.time:g} s'}") from error
        except aiomysql.Error as error:
            raise self._mapped(error) from error

    @property
    def where(self) -> str:
        """Which server, for a person."""
        return f"MariaDB {self._config.host}:{self._config.port}"

    def _mapped(self, error: Exception) -> Exception:
        code = error_code(error)
        if code in _MISSING:
            return _TablesMissing(f"{self.where}: {error}")
        permanent = isinstance(error, aiomysql.IntegrityError | aiomysql.DataError | aiomysql.ProgrammingError)
        if permanent or code in _OF_THE_DATA:
            return error
        return Unavailable(f"{self.where}: {error}")

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[Any, None]:
        """One of the connections, back among the free ones afterwards; thrown away if anything at all went wrong."""
        async with self._slots:
            connection = self._idle() or await self._connect()
            try:
                yield connection
            except BaseException as error:
                if not await _rolled_back(connection, error):
                    _throw_away(connection)
                    self._forget()
                    raise
                self._free.append((asyncio.get_running_loop().time(), connection))
                raise
            self._free.append((asyncio.get_running_loop().time(), connection))

    def _idle(self) -> Any:
        """The one used last, unless the server hung up on it or is about to."""
        while self._free:
            used, connection = self._free.pop()
            fresh = asyncio.get_running_loop().time() - used < self._config.time
            reader = connection._reader  # noqa: SLF001 (as aiomysql's own pool does)
            if fresh and not connection.closed and not reader.at_eof() and reader.exception() is None:
                return connection
            _throw_away(connection)
        return None

    def _forget(self) -> None:
        """What happened to one connection will have happened to those that rest."""
        while self._free:
            _throw_away(self._free.pop()[1])

    async def _connect(self) -> Any:
        try:
            return await self._connect_to(self._config.database)
        except aiomysql.Error as error:
            if error_code(error) != 1049 or self._schema is None:
                raise
        connection = await self._connect_to(None)
        try:
            cursor: Cursor = await connection.cursor()
            made = f"CREATE DATABASE IF NOT EXISTS `{self._config.database}` CHARACTER SET utf8mb4"
            await cursor.execute(made)
        except BaseException:
            _throw_away(connection)
            raise
        await _goodbye(connection)
        return await self._connect_to(self._config.database)

    async def _connect_to(self, database: str | None) -> Any:
        config = self._config
        waits = max(1, int(config.time / 2))
        connection: Any = aiomysql.Connection(
            host=config.host,
            port=config.port,
            user=config.user,
            password=config.password.get_secret_value(),
            db=database,
            charset="utf8mb4",
            autocommit=True,
            cursorclass=_QuietCursor,
            connect_timeout=config.time,
            init_command="SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', sql_notes = 0, "
            f"innodb_lock_wait_timeout = {waits}, lock_wait_timeout = {waits}, "
            f"wait_timeout = {math.ceil(3 * config.time)}",
        )
        try:
            await connection.ping()  # connects; `aiomysql.connect` would leak the socket if cancelled
            cursor: Cursor = await connection.cursor()
            await cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        except BaseException:
            _throw_away(connection)
            raise
        return connection


def quoted(text: str) -> str:
    """A text as it stands in a statement. Right in our sessions only: backslashes escape, the text is UTF-8."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0")
    return f"'{escaped}'"


async def send_all(cursor: Cursor, head: str, parts: Iterable[str], tail: str) -> None:
    """`head`, parts separated by commas, `tail`; in statements of about half a megabyte. No parts, no statement.

    What `executemany` does, for those who write the values themselves because they are many: half the CPU.
    """
    some: list[str] = []
    size = 0
    for part in parts:
        some.append(part)
        size += len(part)
        if size > _STATEMENT_SIZE:
            await cursor.execute(f"{head}{','.join(some)}{tail}")
            some, size = [], 0
    if some:
        await cursor.execute(f"{head}{','.join(some)}{tail}")


class _TablesMissing(Unavailable):
    """Tables or the database are not there (any more)."""


def error_code(error: BaseException) -> int:
    """The server's number of an error of aiomysql; 0 if it has none."""
    code = error.args[0] if error.args else 0
    return code if isinstance(code, int) else 0


async def _rolled_back(connection: Any, error: BaseException) -> bool:
    """True if the connection can be used again: the server answered, and the transaction is undone."""
    lost = connection.closed or isinstance(error, OSError | aiomysql.InterfaceError) or not isinstance(error, Exception)
    if lost or error_code(error) in _MISSING:
        return False
    try:
        await connection.rollback()
    except (OSError, TimeoutError, RuntimeError, aiomysql.Error):
        return False
    return not connection.closed


async def _goodbye(connection: Any) -> None:
    try:
        async with asyncio.timeout(1):
            await connection.ensure_closed()
    except (OSError, TimeoutError, RuntimeError):  # the last: what uvloop says where the server has hung up
        _throw_away(connection)
    await asyncio.sleep(0)


def _throw_away(connection: Any) -> None:
    """Close it now, whatever waits to be sent."""
    writer = connection._writer  # noqa: SLF001 (`close` would wait for a frozen server to read)
    if writer is not None:
        writer.transport.abort()
    connection.close()


@asynccontextmanager
async def open_mysql(config: MariaDb, schema: Sequence[str] | None) -> AsyncGenerator[MySql, None]:
    """Connected and set up above the yield, closed below it. `schema`: statements that do nothing the second time.

    `schema` None: nothing is made, not even the database. Raises `Unavailable` if the server is not there: try again.
    """
    mysql = MySql(config, schema)
    try:
        await mysql.set_up()
        yield mysql
    finally:
        await mysql.close()
