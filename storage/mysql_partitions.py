"""The hours that `report_row` is cut into: made before they are needed, dropped whole when they are over.

In: which hours there shall be. Out: changes of the table. A partition is named for its upper bound (microseconds of
`received`). The lowest one, p0, is always empty and stays, since a table must have one. There is none without a bound:
a row for which no hour was made is an error, never a row that nothing drops.
"""

from storage.mysql_connection import Cursor, MySql
from storage.report_rollups import HOUR, Kept

_BOUNDS = """
SELECT CAST(PARTITION_DESCRIPTION AS UNSIGNED) FROM information_schema.PARTITIONS
WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'report_row' AND PARTITION_NAME IS NOT NULL
ORDER BY PARTITION_ORDINAL_POSITION"""
_LOCK = "headwater report_row"
_AHEAD = 3 * HOUR
_MOST = 100
"""Hours in the table; where rows are kept for longer than that many hours, its partitions are several hours long."""


def width(rows: float) -> int:
    """How long a partition is (microseconds) where rows are kept for so many seconds."""
    return HOUR * (1 + int(rows / 3600) // _MOST)


async def extend(mysql: MySql, highest: int, kept: Kept, rows: float) -> int:
    """Make the partitions up to the one that holds `highest`, and a few more; the bound of the last one."""
    step = width(rows)

    async def work(cursor: Cursor) -> int:
        await cursor.execute("SELECT GET_LOCK(%s, %s)", (_LOCK, 5))
        try:
            await cursor.execute("SELECT 1 FROM report_row LIMIT 0")  # fails if it has to be made first
            await cursor.execute(_BOUNDS)
            last = int((await cursor.fetchall())[-1][0])
            wanted = max(highest, kept.now) + _AHEAD
            if last > wanted:
                return last
            first = max(last, kept.floor)
            bounds = range(first - first % step + step, wanted + step + 1, step)
            await cursor.execute(f"ALTER TABLE report_row ADD PARTITION ({', '.join(map(_partition, bounds))})")
            return bounds[-1]
        finally:
            await cursor.execute("SELECT RELEASE_LOCK(%s)", (_LOCK,))

    return await mysql.plain(work)


async def drop(mysql: MySql, kept: Kept) -> int:
    """Drop the partitions that hold nothing but what is over; how many they were."""

    async def work(cursor: Cursor) -> int:
        await cursor.execute("SELECT GET_LOCK(%s, %s)", (_LOCK, 5))
        try:
            await cursor.execute("SELECT 1 FROM report_row LIMIT 0")  # fails if it has to be made first
            await cursor.execute(_BOUNDS)
            bounds = [int(bound) for (bound,) in await cursor.fetchall()]
            over = [bound for bound in bounds if 0 < bound <= kept.floor]
            if over:
                await cursor.execute(
                    f"ALTER TABLE report_row DROP PARTITION {', '.join(f'p{bound}' for bound in over)}"
                )
            return len(over)
        finally:
            await cursor.execute("SELECT RELEASE_LOCK(%s)", (_LOCK,))

    return await mysql.plain(work)


def _partition(bound: int) -> str:
    return f"PARTITION p{bound} VALUES LESS THAN ({bound})"
