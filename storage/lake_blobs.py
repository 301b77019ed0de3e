"""Which large payloads the lake's messages refer to.

In: a device, and until when. Out: names of those that go with its messages: nobody else's message refers to them, nor
one of its own that came later.
"""

from collections.abc import Sequence

from storage.duck import connect
from storage.lake_compaction import by_day
from storage.lake_files import LakeFiles
from storage.lake_log import TableLog
from storage.lake_schema import MESSAGES_TABLE

_MEMORY = "256MiB"
_KIND = "blob"
_MINE = "device = ? AND epoch_us(received) < ?"
_HASHES = "SELECT DISTINCT element_at(texts, 'hash')[1] FROM read_parquet(?) WHERE kind = ? AND "


def blobs_of(files: LakeFiles, device: str, before: int) -> Sequence[str]:
    """SHA-256 in hex, sorted. The others' messages are looked at only where there are any."""
    at = TableLog(files, MESSAGES_TABLE).latest()
    if at is None:
        return []
    days = by_day(at.files.values())
    found: set[str] = set()
    with connect(files.scratch, 1, _MEMORY) as duck:

        def hashes(paths: Sequence[str], condition: str) -> set[str]:
            rows = duck.execute(_HASHES + condition, [list(paths), _KIND, device, before]).fetchall()
            return {str(name) for (name,) in rows if name}

        for day in days.values():
            mine = [f"{MESSAGES_TABLE.name}/{file.path}" for file in day if file.may_hold(device, None, None)]
            if mine:
                with files.local(mine) as paths:
                    found |= hashes(paths, _MINE)
        for day in days.values() if found else ():
            with files.local([f"{MESSAGES_TABLE.name}/{file.path}" for file in day]) as paths:
                found -= hashes(paths, f"NOT ({_MINE})")
    return sorted(found)
