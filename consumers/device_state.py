"""What selection remembers of one device: its tracks, the ids it used lately, when it was last heard.

In and out: rows of plain values, which a checkpoint holds. All of it is bounded: ids by the rules' `duplicate_count`,
fields by `track.FIELDS`, the last message by `LAST_SIZE`.
"""

import msgspec
from msgspec import structs

from consumers.criteria import Rule
from consumers.track import NEVER, Track, TrackRow
from headwater.message import Message, encode

LAST_SIZE = 16 * 1024
"""Bytes: a longer last message is remembered without what makes it long."""


class DeviceRow(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A device as it stands in a checkpoint."""

    name: str
    heard: int
    newest: int
    silent: bool
    last: bytes
    young: list[str]
    old: list[str]
    young_since: int
    now: TrackRow
    late: TrackRow | None


class DeviceState:
    """One device. `heard`: the partition's clock at its last message; `newest`: the highest `time` of its messages.

    `silent`: its silence has been reported, and it has said nothing since. `last`: its last message, as on the log,
    where its rule asks for silence. `armed`: its silence has a place among the partition's deadlines.
    `young`, `old`: two generations of ids. A new one begins when `young` is full or old enough, and the one before the
    last is forgotten: so at least the ids of the window are known, and at most twice as many. Dicts for their order,
    which sets would lose between two processes.
    """

    __slots__ = (
        "armed",
        "heard",
        "last",
        "late",
        "name",
        "newest",
        "now",
        "old",
        "rule",
        "silent",
        "young",
        "young_since",
    )

    def __init__(self, name: str, rule: Rule) -> None:
        self.name = name
        self.rule = rule
        self.heard = NEVER
        self.newest = NEVER
        self.silent = False
        self.armed = False
        self.last = b""
        self.young: dict[str, None] = {}
        self.old: dict[str, None] = {}
        self.young_since = NEVER
        self.now = Track()
        self.late: Track | None = None

    @classmethod
    def restored(cls, row: DeviceRow, rule: Rule) -> "DeviceState":
        """As it was when `row` was made."""
        device = cls(row.name, rule)
        device.heard, device.newest, device.silent, device.last = row.heard, row.newest, row.silent, row.last
        device.young, device.old = dict.fromkeys(row.young), dict.fromkeys(row.old)
        device.young_since = row.young_since
        device.now = Track(row.now)
        device.late = None if row.late is None else Track(row.late)
        device.bind(rule)
        return device

    def row(self) -> DeviceRow:
        """As it is now, to be encoded before the next message."""
        return DeviceRow(
            self.name,
            self.heard,
            self.newest,
            self.silent,
            self.last,
            list(self.young),
            list(self.old),
            self.young_since,
            self.now.row(),
            None if self.late is None else self.late.row(),
        )

    @property
    def weight(self) -> int:
        """About how many values an encoder has to write."""
        return 10 + len(self.young) + len(self.old) + self.now.weight + (self.late.weight if self.late else 0)

    def knows(self, message_id: str, received: int, count: int, time: int) -> bool:
        """True if the id came lately; from now on it did.

        Surely if it was among the last `count` and within `time` (microseconds), never if more than three times as
        long ago.
        """
        since = received - self.young_since
        if since >= time or len(self.young) >= count:
            self.old = self.young if since < 2 * time else {}
            self.young, self.young_since = {}, received
        if message_id in self.old:
            return True
        before = len(self.young)
        self.young[message_id] = None
        return len(self.young) == before

    def backlog(self) -> Track:
        """What a late message is compared with."""
        if self.late is None:
            self.late = Track()
        return self.late

    def bind(self, rule: Rule) -> None:
        """Follow this rule from now on."""
        self.rule = rule
        if rule.silence is None:
            self.silent, self.last = False, b""
        rule.bind(self.now)
        if self.late is not None:
            rule.bind(self.late)


def kept(message: Message, value: bytes) -> bytes:
    """The message to remember as a device's last: as on the log (`value`), or without what is long in it."""
    if len(value) <= LAST_SIZE:
        return value
    short = structs.replace(message, raw=None, texts={}, heard_by=[])
    written = encode(short)
    return written if len(written) <= LAST_SIZE else encode(structs.replace(short, fields={}))
