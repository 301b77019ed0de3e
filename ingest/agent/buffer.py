"""What waits on the agent's disk: one SQLite file, so that a kill between any two lines loses and doubles nothing.

In: lines, with the position of their source after them, in one transaction. Out: the oldest lines, until they are
dropped; and counts. Bounded by bytes: full, it takes nothing more (`wait`), or forgets its oldest (`drop-oldest`).
"""

import fcntl
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from headwater.errors import ConfigError

Full = Literal["wait", "drop-oldest"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS lines (n INTEGER PRIMARY KEY AUTOINCREMENT, added REAL NOT NULL, line BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS positions (source TEXT PRIMARY KEY, position TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
"""


class Waiting(NamedTuple):
    """A line that is not acknowledged; `n` grows."""

    n: int
    line: bytes


class Status(NamedTuple):
    """`oldest`: seconds that the oldest line has waited. `counts`: buffered, sent, rejected, dropped."""

    waiting: int
    size: int
    oldest: float
    counts: Mapping[str, int]


class NoRoom(Exception):
    """It is full, and keeps what it has."""


class Buffer:
    """One process at a time. Any thread may call. `size`: bytes of lines."""

    def __init__(self, path: Path, size: int, full: Full) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock_file = path.with_suffix(".lock").open("w")
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock_file.close()
            raise ConfigError(f"{path}: another agent uses this buffer") from None
        self._most = size
        self._full: Full = full
        self._lock = threading.Lock()
        self._tables = _connect(path)
        (self._size,) = self._tables.execute("SELECT coalesce(sum(length(line)), 0) FROM lines").fetchone()

    def close(self) -> None:
        """Nothing is lost by not calling it."""
        with self._lock:
            self._tables.close()
        self._lock_file.close()

    def add(self, lines: Sequence[bytes], source: str = "", position: str = "") -> None:
        """Durable when it returns, together with the position. Raises `NoRoom`: then nothing of it was taken."""
        coming = sum(map(len, lines))
        with self._lock, self._tables as tables:
            dropped = 0
            if self._size + coming > self._most and self._size:
                if self._full == "wait":
                    raise NoRoom
                dropped = self._make_room(coming)
            now = time.time()
            tables.executemany("INSERT INTO lines (added, line) VALUES (?, ?)", ((now, line) for line in lines))
            if source:
                tables.execute("INSERT OR REPLACE INTO positions VALUES (?, ?)", (source, position))
            self._count(buffered=len(lines), dropped=dropped)
            self._size += coming

    def oldest(self, count: int, size: int) -> list[Waiting]:
        """At most so many lines and bytes, but one at least."""
        found: list[Waiting] = []
        with self._lock:
            for n, line in self._tables.execute("SELECT n, line FROM lines ORDER BY n LIMIT ?", (count,)):
                size -= len(line) + 1
                if size < 0 and found:
                    break
                found.append(Waiting(n, line))
        return found

    def done(self, lines: Sequence[Waiting], rejected: int) -> None:
        """They were acknowledged: forget them."""
        with self._lock, self._tables as tables:
            for one in lines:
                gone = tables.execute("DELETE FROM lines WHERE n = ?", (one.n,)).rowcount
                self._size -= len(one.line) * gone
            self._count(sent=len(lines) - rejected, rejected=rejected)

    def position(self, source: str) -> str:
        """Where the source was read to, "" if it never was."""
        with self._lock:
            found = self._tables.execute("SELECT position FROM positions WHERE source = ?", (source,)).fetchone()
        return found[0] if found else ""

    def _make_room(self, coming: int) -> int:
        dropped = 0
        for n, size in self._tables.execute("SELECT n, length(line) FROM lines ORDER BY n").fetchall():
            if self._size + coming <= self._most:
                break
            self._tables.execute("DELETE FROM lines WHERE n = ?", (n,))
            self._size -= size
            dropped += 1
        return dropped

    def _count(self, **counts: int) -> None:
        rows = [(name, count) for name, count in counts.items() if count]
        self._tables.executemany(
            "INSERT INTO counts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET count = count + excluded.count", rows
        )


def status_of(path: Path) -> Status:
    """What a buffer holds, also while an agent uses it. Raises `ConfigError` if there is none."""
    if not path.is_file():
        raise ConfigError(f"{path}: there is no buffer")
    tables = _connect(path)
    try:
        with tables:
            row = "SELECT count(*), coalesce(sum(length(line)), 0), min(added) FROM lines"
            waiting, size, added = tables.execute(row).fetchone()
            counts: dict[str, int] = dict(tables.execute("SELECT name, count FROM counts"))
    finally:
        tables.close()
    return Status(waiting, size, 0.0 if added is None else max(0.0, time.time() - added), counts)


def _connect(path: Path) -> sqlite3.Connection:
    tables = sqlite3.connect(path, timeout=10, check_same_thread=False)
    tables.execute("PRAGMA journal_mode = WAL")
    tables.execute("PRAGMA synchronous = FULL")
    tables.executescript(_SCHEMA)
    return tables
