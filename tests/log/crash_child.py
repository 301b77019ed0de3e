"""A process that appends until it is killed, and tells its parent of every offset that was reported to it.

Started as `python crash_child.py FILE`. Writes a line "partition offset value" each; the parent kills it at any moment.
"""

import asyncio
import os
import sys
from itertools import count
from pathlib import Path

from headwater.errors import LogError
from headwater.log import NewEntry, TopicSpec
from storage.sqlite_log import open_log

PARTITIONS = 3


async def main() -> None:
    async with open_log(Path(sys.argv[1]), [TopicSpec("messages", PARTITIONS)]) as log:
        run = os.getpid()

        async def append(who: int) -> None:
            for number in count():
                size = 1 + (who + number) % 7
                entries = [
                    NewEntry((who + n) % PARTITIONS, b"k", b"%d.%d.%d.%d" % (run, who, number, n)) for n in range(size)
                ]
                results = await log.append("messages", entries)
                lines = [
                    b"%d %d %b\n" % (entry.partition, offset, entry.value or b"")
                    for entry, offset in zip(entries, results, strict=True)
                    if not isinstance(offset, LogError)
                ]
                os.write(1, b"".join(lines))

        await asyncio.gather(*(append(who) for who in range(5)))


if __name__ == "__main__":
    asyncio.run(main())
