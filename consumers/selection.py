"""The selection stage: messages in, candidate records out. Pure: only entries of the log move its state.

One `Selection` a partition of `messages`. The same entries from the same state give the same candidates, with the same
ids and origins, however they are cut into batches and wherever the state went through a checkpoint.

Time here is the partition's clock: the highest `received` of its messages and `time` of its `Clock` entries. It never
goes back, and it alone decides about silence and about forgetting, so a host whose clock jumps ahead makes at most one
false silence a device.
"""

from collections.abc import Generator, Sequence
from heapq import heapify, heappop, heappush, nsmallest

import msgspec

from consumers.device_state import DeviceRow, DeviceState, kept
from consumers.rules import RuleBook, compile_rules
from consumers.track import NEVER, Track
from headwater.errors import ConfigError
from headwater.ids import hashed
from headwater.log import Entry
from headwater.message import UNREADABLE, Candidate, Clock, Message, Origin, Rules, decode_control, decode_message

FORMAT = 1
DEVICES = 250_000
"""The most devices a partition remembers: beyond, the tenth of them that was silent longest is forgotten."""
SILENCES = 10_000
"""The most silences one entry reports; what is left is reported with the next."""
_TIME_BITS = 62  # of microseconds: later times, or negative ones, are nonsense that someone wrote to the log
_DAY = 86_400 * 1_000_000
_CHUNK = 10_000
"""Values encoded at once: about a millisecond's work."""


class _State(msgspec.Struct, array_like=True):
    """A checkpoint's `state`. `chunks`: encoded lists of `DeviceRow`, so that making it need not be one long step."""

    format: int
    clock: int
    rule_version: int
    rules: bytes
    chunks: list[bytes]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_State).decode
_decode_rows = msgspec.msgpack.Decoder(list[DeviceRow]).decode


class Selection:
    """The state of one partition. Without rules in force only the clock moves.

    `taken`, `duplicates`, `late` count messages, `undecodable` entries, since this object was made. `rules_error`: why
    the latest `Rules` entry could not be followed; selection then goes on with the rules it had.
    """

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.clock = NEVER
        self._day_ends = NEVER
        self.rule_version = 0
        self.taken = self.duplicates = self.late = self.undecodable = 0
        self.rules_error = ""
        self._raw_rules = b""
        self._book: RuleBook | None = None
        self._devices: dict[str, DeviceState] = {}
        # One item a device whose silence is yet to come; never later than its true deadline, which is looked up when
        # this one is reached: so a message costs nothing here.
        self._deadlines: list[tuple[int, str]] = []
        self._emitted = (-1, 0)

    @property
    def has_rules(self) -> bool:
        """False until the first `Rules` entry."""
        return self._book is not None

    @property
    def devices(self) -> int:
        """How many are remembered."""
        return len(self._devices)

    def apply(self, entries: Sequence[Entry]) -> list[Candidate]:
        """The candidates of these entries of this partition's `messages`, in order. What cannot be read is counted."""
        out: list[Candidate] = []
        for _, _, offset, _, key, value in entries:
            try:
                if key:
                    message = decode_message(value or b"")
                    received = message.received
                    if (received | message.time) >> _TIME_BITS:
                        self.undecodable += 1
                        continue
                else:
                    message = None
                    received = self._obey(decode_control(value or b""))
            except UNREADABLE:
                self.undecodable += 1
                continue
            if received > self.clock:
                if received >= self._day_ends:
                    self._begin_day(received)
                self.clock = received
            if self._deadlines and self._deadlines[0][0] <= self.clock:
                out += self._silences(offset)
            if message is not None:
                self._judge(message, value or b"", offset, out)
        return out

    def chunks(self) -> Generator[bytes, None, bytes]:
        """`state`, piece by piece: the pieces are progress, what the generator returns is the whole."""
        pieces: list[bytes] = []
        rows: list[DeviceRow] = []
        weight = 0
        for device in self._devices.values():
            rows.append(device.row())
            weight += device.weight
            if weight >= _CHUNK:
                pieces.append(_encode(rows))
                yield pieces[-1]
                rows, weight = [], 0
        pieces.append(_encode(rows))
        return _encode(_State(FORMAT, self.clock, self.rule_version, self._raw_rules, pieces))

    def state(self) -> bytes:
        """Everything, as of after the last entry applied: `restored` makes an equal selection of it."""
        making = self.chunks()
        while True:
            try:
                next(making)
            except StopIteration as end:
                return end.value

    @classmethod
    def restored(cls, partition: int, state: bytes) -> "Selection":
        """The selection that `state` was taken of; raises `ConfigError` if this program cannot read it."""
        selection = cls(partition)
        try:
            found = _decode(state)
            if found.format != FORMAT:
                raise ConfigError(f"selection state has format {found.format}; this program knows {FORMAT}")
            selection.clock, selection.rule_version = found.clock, found.rule_version
            selection._day_ends = (found.clock // _DAY + 1) * _DAY
            if found.rules:
                selection._raw_rules = found.rules
                selection._book = book = compile_rules(found.rules)
                for chunk in found.chunks:
                    selection._take_in(_decode_rows(chunk), book)
        except msgspec.DecodeError as error:
            raise ConfigError(f"selection state: {error}") from None
        selection._arm()
        return selection

    def _take_in(self, rows: Sequence[DeviceRow], book: RuleBook) -> None:
        for row in rows:
            rule = book.for_device(row.name)
            if rule is not None:
                self._devices[row.name] = DeviceState.restored(row, rule)

    def follow(self, rules: Rules) -> None:
        """From here on these are in force, as if the log had them."""
        self._follow(bytes(rules.rules), rules.version)

    def _obey(self, control: Clock | Rules) -> int:
        """Follow the rules, or return what time the clock says it is."""
        if isinstance(control, Clock):
            return control.time if control.time < 1 << _TIME_BITS else NEVER
        raw = bytes(control.rules)
        if raw != self._raw_rules or control.version != self.rule_version:
            self._follow(raw, control.version)
        return NEVER

    def _follow(self, raw: bytes, version: int) -> None:
        try:
            book = compile_rules(raw)
        except ConfigError as error:
            self.rules_error = str(error)
            return
        self.rules_error = ""
        self._book, self._raw_rules, self.rule_version = book, raw, version
        for device in list(self._devices.values()):
            rule = book.for_device(device.name)
            if rule is None:
                del self._devices[device.name]
            else:
                device.bind(rule)
        self._arm()

    def _judge(self, message: Message, value: bytes, offset: int, out: list[Candidate]) -> None:
        """The message's candidate, if it is one, goes to `out`."""
        self.taken += 1
        book = self._book
        if book is None:
            return
        device = self._devices.get(message.device)
        new = device is None
        if device is None:
            device = self._enter(book, message.device)
            if device is None:
                return
        if device.knows(message.id, message.received, book.duplicate_count, book.duplicate_time):
            self.duplicates += 1
            return
        device.heard = self.clock
        rule = device.rule
        if rule.silence is not None:
            device.last = kept(message, value)
            if not device.armed:
                device.armed = True
                heappush(self._deadlines, (device.heard + rule.silence, device.name))
        if message.time >= device.newest:
            device.newest = message.time
            track = device.now
        else:
            self.late += 1
            track = device.backlog()
        if new or device.silent or not rule.quiet(track, message):
            out.append(self._selected(device, track, message, offset, new=new))

    def _selected(self, device: DeviceState, track: Track, message: Message, offset: int, *, new: bool) -> Candidate:
        rule = device.rule
        reasons = rule.reasons(track, message)
        if new:
            reasons = ["first"]
        elif device.silent:
            reasons.insert(0, "first_after_silence")
            device.silent = False
        rule.keep(track, message)
        return Candidate(
            id=hashed(message.device.encode(), message.id.encode(), rule.key),
            device=message.device,
            time=message.time,
            rule=rule.name,
            rule_version=self.rule_version,
            reasons=reasons,
            origin=self._origin(offset),
            message=message,
        )

    def _silences(self, offset: int) -> list[Candidate]:
        """Report the devices whose deadline the clock has reached, in the order of deadlines, then names."""
        found: list[Candidate] = []
        deadlines = self._deadlines
        while deadlines and deadlines[0][0] <= self.clock and len(found) < SILENCES:
            deadline, name = heappop(deadlines)
            device = self._devices[name]
            true = device.heard + (device.rule.silence or 0)
            if true != deadline:
                heappush(deadlines, (true, name))
                continue
            device.armed, device.silent = False, True
            found.append(self._silence(device, offset))
        return found

    def _silence(self, device: DeviceState, offset: int) -> Candidate:
        message = decode_message(device.last)
        rule = device.rule
        return Candidate(
            id=hashed(device.name.encode(), message.id.encode(), rule.key, b"silent"),
            device=device.name,
            time=device.heard,
            rule=rule.name,
            rule_version=self.rule_version,
            reasons=["silent"],
            origin=self._origin(offset),
            message=message,
            kind="silent",
        )

    def _origin(self, offset: int) -> Origin:
        last, n = self._emitted
        n = n + 1 if last == offset else 0
        self._emitted = (offset, n)
        return Origin(self.partition, offset, n)

    def _enter(self, book: RuleBook, name: str) -> DeviceState | None:
        rule = book.for_device(name)
        if rule is None:
            return None
        if len(self._devices) >= DEVICES:
            longest = nsmallest(DEVICES // 10, ((device.heard, device.name) for device in self._devices.values()))
            self._forget([name for _, name in longest])
        device = self._devices[name] = DeviceState(name, rule)
        return device

    def _begin_day(self, time: int) -> None:
        """Once a day of the clock: forget who was silent for too long."""
        self._day_ends = (time // _DAY + 1) * _DAY
        if self._book is not None:
            before = time - self._book.forget
            self._forget([x.name for x in self._devices.values() if x.heard <= before and not x.armed])

    def _forget(self, names: Sequence[str]) -> None:
        for name in names:
            del self._devices[name]
        if names:
            self._arm()

    def _arm(self) -> None:
        """Set all deadlines anew, each to its true value."""
        self._deadlines = []
        for device in self._devices.values():
            device.armed = device.rule.silence is not None and bool(device.last) and not device.silent
            if device.armed:
                self._deadlines.append((device.heard + (device.rule.silence or 0), device.name))
        heapify(self._deadlines)
