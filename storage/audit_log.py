"""The audit log: every change of the registry, once, as files in the lake's place.

In: the registry's audit trail, which is committed with the changes. Out: a chain of files. A file's name is made of its
first entry, which is the one after the last of the file before: so of several processes that write, one wins each name,
and the others read what it wrote and go on behind it. Killed anywhere, nothing is lost and nothing is there twice.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from functools import partial
from typing import Protocol

import msgspec

from headwater.errors import Unavailable
from headwater.failpoints import passing
from headwater.metrics import Metrics
from headwater.registry_contract import AuditEntry
from storage.log_files import AUDIT, ENDING, LogFiles, day_of, path_of, put_lines, read_lines
from storage.log_place import LogPlace, patiently

_PAGE = 5_000
"""Entries a file has at most."""
_LOOK_AGAIN = 3600.0
"""Seconds after which the chain is looked up anew: the place may have come back empty."""


class Trail(Protocol):
    """The registry, as far as it is asked."""

    async def audit_from(self, number: int, limit: int) -> Sequence[AuditEntry]:
        """Entries numbered `number` and above, the oldest first. Raises `Unavailable`."""
        ...


class AuditLog:
    """Every process that has the registry open may run one."""

    def __init__(self, place: LogPlace, trail: Trail, metrics: Metrics) -> None:
        self._place = place
        self._trail = trail
        self._metrics = metrics
        self._last: AuditEntry | None = None
        self._known_until = 0.0

    async def run(self, every: float, stop: asyncio.Event) -> None:
        """Write what is new every so many seconds, until `stop`."""
        await patiently("the audit log", self.catch_up, every, stop)

    async def catch_up(self) -> None:
        """Write all that is not there yet. Raises `Unavailable`: the rest is written the next time."""
        try:
            while await self._write_some():
                pass
        except Unavailable:
            self._known_until = 0.0
            raise

    async def _write_some(self) -> bool:
        """Write one file, or see that somebody else has; False if there was nothing to write."""
        time = asyncio.get_running_loop().time()
        if time >= self._known_until:
            self._last = await self._find()
            self._known_until = time + _LOOK_AGAIN
        last = self._last
        entries = await self._trail.audit_from(last.number if last else 0, _PAGE + 1)
        if last is not None:
            if not entries or entries[0] != last:  # the registry went back to an older state, or is a new one
                self._known_until = 0.0
                return True
            entries = entries[1:]
        if not entries:
            return False
        path = _path(entries[0])
        passing("audit.writing")
        if await self._place.run(partial(put_lines, path=path, lines=[_line(entry) for entry in entries])):
            self._metrics.audit_log_written.inc(len(entries))
            self._last = entries[-1]
        else:
            self._last = await self._last_of(path, entries[0])
        passing("audit.written")
        return True

    async def _find(self) -> AuditEntry | None:
        """The last entry that is there already, or one of some time before: from there the chain is followed."""
        for folder in sorted(await self._place.run(lambda files: files.folders(AUDIT)), reverse=True):
            for path in await self._place.run(partial(_newest_first, folder=folder)):
                number = _number_of(path)
                found = await self._trail.audit_from(number, 1)
                if found and _path(found[0]) == path:
                    return await self._last_of(path, found[0])
        return None

    async def _last_of(self, path: str, first: AuditEntry) -> AuditEntry:
        """The last entry of a file which the trail has too: a registry put back from a copy lacks the later ones."""
        there = await self._place.run(partial(read_lines, path=path))
        ours = await self._trail.audit_from(first.number, len(there))
        last = first
        for line, entry in zip(there, ours, strict=False):
            if line != _line(entry).rstrip():
                break
            last = entry
        return last


def _line(entry: AuditEntry) -> bytes:
    return msgspec.json.encode(entry, order="sorted") + b"\n"


def _path(first: AuditEntry) -> str:
    name = f"{first.number:012d}-{hashlib.sha256(_line(first)).hexdigest()[:16]}"
    return path_of(AUDIT, day_of(first.time), name)


def _number_of(path: str) -> int:
    number = path.rpartition("/")[2].partition("-")[0]
    return int(number) if number.isdigit() else 0


def _newest_first(files: LogFiles, folder: str) -> list[str]:
    named = [one.path for one in files.list(folder) if one.path.endswith(ENDING)]
    return sorted(named, key=_number_of, reverse=True)
