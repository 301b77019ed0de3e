"""Changes of shadows on their way to the log: those of a device one after the other, against rivals in other processes.

In: a change, and the version that it is meant for. Out: an entry on topic `shadows`; whoever asked is called with the
shadow that it made, or with why there is none. A change that lost against a rival is made again on top of the rival's,
unless it named a version.
"""

import secrets
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from headwater.config_commands import Commands
from headwater.errors import HeadwaterError, Refused, Rejected, Stale, Unavailable
from headwater.log import Entry
from headwater.shadow import Shadow, encode_shadow, key_of
from headwater.shadow_table import Change, ShadowTable
from ingest.contract import Receipt
from ingest.mqtt.journal import Journal

_TRIES = 50
_QUEUED = 1000
"""Changes of one device that may wait."""

Outcome: TypeAlias = Shadow | Rejected | Refused | Stale | Unavailable
Make: TypeAlias = Callable[[Shadow, int], Shadow]
"""The shadow as it is, and the time, to the one it shall be. Raises `Rejected`."""


class _Asked:
    __slots__ = ("asking", "done", "expected", "key", "made", "make", "receipt", "tries")

    def __init__(self, make: Make, expected: int | None, receipt: Receipt, done: Callable[[Outcome], None]) -> None:
        self.make = make
        self.expected = expected
        self.receipt = receipt
        self.done = done
        self.key = b""
        self.made: Shadow | None = None
        self.tries = 0
        self.asking = True  # whoever asks is still asking, and sees by itself if it is settled


class ShadowWriter:
    """`table`: all shadows. `wall`: microseconds since 1970 UTC."""

    def __init__(self, table: ShadowTable, limits: Commands, wall: Callable[[], int]) -> None:
        self.table = table
        self.journal: Journal
        """Set before anything is changed."""
        self._limits = limits
        self._wall = wall
        self._queues: dict[str, deque[_Asked]] = {}

    def apply(self, entry: Entry) -> list[Change]:
        """Take what came on the log; returns what of it counts."""
        changes = self.table.apply((entry,))
        for change in changes:
            queue = self._queues.get(change.device)
            if queue and queue[0].key == change.key:
                queue[0].made = change.after
        return changes

    def change(
        self, device: str, make: Make, expected: int | None, receipt: Receipt, done: Callable[[Outcome], None]
    ) -> None:
        """Make a change; `done` is called before the receipt is settled. `expected` 0: there must be none."""
        queue = self._queues.setdefault(device, deque())
        if len(queue) >= _QUEUED:
            receipt.failed = True
            done(Unavailable(f"too many changes of the shadow of {device!r} wait"))
            return
        receipt.waiting += 1
        asked = _Asked(make, expected, receipt, done)
        queue.append(asked)
        if len(queue) == 1:
            self._begin(device)
        asked.asking = False

    def _begin(self, device: str) -> None:
        """Begin with what waits, until something is under way."""
        queue = self._queues[device]
        while queue:
            try:
                self._write(device, queue[0])
            except (Rejected, Refused, Stale) as error:
                self._finish(queue, error)
            else:
                return
        del self._queues[device]

    def _write(self, device: str, asked: _Asked) -> None:
        known = self.table.get(device)
        version = known.version if known.there else 0
        if asked.expected is not None and asked.expected != version:
            raise Stale(f"the shadow of {device!r} has version {version}, not {asked.expected}")
        after = asked.make(known, self._wall())
        data = encode_shadow(after)
        self._check_room(known, len(data))
        asked.key = key_of(device, after.version, secrets.token_hex(8))
        asked.tries += 1
        self.journal.write(asked.key, data, partial(self._written, device))

    def _written(self, device: str, durable: bool) -> None:  # noqa: FBT001 - a callback
        """What was under way has won, failed, or lost against a rival: then it is begun again."""
        queue = self._queues[device]
        asked = queue[0]
        if asked.made is not None:
            self._finish(queue, asked.made)
        elif not durable:
            self._finish(queue, Unavailable("the log cannot take it now: send it again"))
        elif asked.tries >= _TRIES:
            self._finish(queue, Unavailable(f"too many others change the shadow of {device!r}"))
        self._begin(device)

    def _check_room(self, known: Shadow, more: int) -> None:
        table, limits = self.table, self._limits
        if known.version == 0 and (table.count >= limits.shadows or table.size + more > limits.shadows_size):
            raise Refused("over_quota", "there is no room for one more shadow, see `commands.shadows`")

    def _finish(self, queue: deque[_Asked], outcome: Outcome) -> None:
        asked = queue.popleft()
        receipt = asked.receipt
        receipt.failed = receipt.failed or isinstance(outcome, Unavailable)
        asked.done(outcome)
        receipt.waiting -= 1
        if not receipt.waiting and not asked.asking:
            receipt.owner.release()


def raised(outcome: Outcome) -> Shadow:
    """The shadow, or the error raised."""
    if isinstance(outcome, HeadwaterError):
        raise outcome
    return outcome
