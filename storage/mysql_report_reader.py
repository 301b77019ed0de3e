"""How reports are read in MariaDB or MySQL: each answer from one snapshot, with the ledger of exactly that.

In: what to look for. Out: rollups, messages, names of rows, and the ledger.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from decimal import Decimal

from headwater.log import MESSAGES
from headwater.message import Message, decode_message
from storage.contract import Period, Rollup, Span
from storage.mysql_connection import Cursor, MySql
from storage.report_query import of_rollups, of_rows
from storage.report_rollups import Kept, add, rollup

_LEDGER = "SELECT part, position FROM report_ledger WHERE log_id = %s AND topic = %s AND position >= 0"


class MySqlReportReader:
    """The reading half of `MySqlReports`."""

    def __init__(self, mysql: MySql, log_id: str, rows: float, now: Callable[[], int]) -> None:
        self._mysql = mysql
        self._log_id = log_id
        self._rows = rows
        self._now = now

    async def ledger(self, topic: str) -> Mapping[int, int]:
        """See `Store.ledger`."""
        return await self._mysql.read(lambda cursor: self._positions(cursor, topic))

    async def rollups(
        self,
        period: Period,
        device: str | None,
        field: str | None,
        span: Span,
        limit: int,
        *,
        after: tuple[int, str, str] | None = None,
    ) -> tuple[Sequence[Rollup], Mapping[int, int]]:
        """See `ReportReader.rollups`."""
        query, values = of_rollups("%s", "total, rest", period, device, field, span, after)

        async def work(cursor: Cursor) -> tuple[Sequence[Rollup], Mapping[int, int]]:
            await cursor.execute(query, (*values, limit))
            answer = [
                rollup((start, name.decode(), of.decode()), n, add(total, Decimal(rest.decode())), low, high, newest)
                for start, name, of, n, total, rest, low, high, newest in await cursor.fetchall()
            ]
            return answer, await self._positions(cursor, MESSAGES)

        return await self._mysql.read(work)

    async def rows(
        self, device: str | None, span: Span, limit: int, *, after: tuple[int, int, str, str] | None = None
    ) -> tuple[Sequence[Message], Mapping[int, int]]:
        """See `ReportReader.rows`."""
        query, values = of_rows("%s", device, span, self._kept().since, after)

        async def work(cursor: Cursor) -> tuple[Sequence[Message], Mapping[int, int]]:
            await cursor.execute(query, (*values, limit))
            found = [decode_message(body) for (body,) in await cursor.fetchall()]
            return found, await self._positions(cursor, MESSAGES)

        return await self._mysql.read(work)

    async def ids(self) -> AsyncGenerator[Sequence[tuple[str, str]], None]:
        """See `ReportReader.ids`."""
        query = "SELECT device, id FROM report_row WHERE received >= %s AND device >= %s AND (device > %s OR id > %s) "
        query += "ORDER BY device, id LIMIT 10000"
        (device, name), since = ("", ""), self._kept().since
        while True:
            values = (since, device, device, name)

            async def work(cursor: Cursor, values: tuple[object, ...] = values) -> Sequence[tuple[str, str]]:
                await cursor.execute(query, values)
                return [(of.decode(), ident.decode()) for of, ident in await cursor.fetchall()]

            found = await self._mysql.read(work)
            if not found:
                return
            yield found
            device, name = found[-1]

    def _kept(self) -> Kept:
        return Kept(self._now(), self._rows)

    async def _positions(self, cursor: Cursor, topic: str) -> Mapping[int, int]:
        await cursor.execute(_LEDGER, (self._log_id, topic))
        return dict(await cursor.fetchall())
