"""Commands and shadows of one process: its tables, what it writes to the log, and who is told of changes.

In: what people, programs and devices want. Out: entries on the topics `commands` and `shadows`, receipts settled once
they are durable and in the tables here; calls to the listeners for whatever any process has written. Nothing but the
log is shared: any gateway takes over from any other that is killed.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import islice

from headwater import times
from headwater.command import Answered, Command, Event, Ordered, encode_event, key_of
from headwater.command_table import CommandTable
from headwater.config import Config
from headwater.errors import Refused, Rejected, Stale, Unavailable
from headwater.log import COMMANDS, SHADOWS, Entry, Log
from headwater.metrics import Metrics
from headwater.shadow_table import Change, ShadowTable
from ingest.contract import Receipt
from ingest.mqtt.journal import Journal, JournalTerms
from ingest.pressure import Pressure
from ingest.provisioning import Provisioner
from ingest.shadow_writer import ShadowWriter

START_TIME = 60.0
_CHECK_EVERY = 5.0
_TICK = 1.0
_SWEEP = 30
"""Ticks between two looks at what is to be forgotten."""
_SWEPT = 2_000
"""Entries of a topic that are forgotten in one go."""
_NEW = b"/" + bytes(str(Ordered.__struct_config__.tag), "ascii")
"""How the keys of entries end that make a command."""


class Done:
    """An owner whose one receipt a coroutine waits for."""

    def __init__(self) -> None:
        self.receipt = Receipt(self)
        self.settled = asyncio.Event()

    def release(self) -> None:
        """See `ingest.contract.Owner`."""
        self.settled.set()

    async def wait(self) -> None:
        """Raises `Unavailable` where the log did not take it."""
        if self.receipt.waiting:
            await self.settled.wait()
        if self.receipt.failed:
            raise Unavailable("the log cannot take it now: send it again, with the same id")


class Control:
    """Use `open_control`. `clock`: seconds that only grow; `wall`: microseconds since 1970 UTC.

    `provisioner`: of devices that come by a claim; set by whoever has one.
    `listeners` are told of new commands, `watchers` of shadows that have changed, once the tables have it.
    """

    def __init__(
        self, log: Log, config: Config, metrics: Metrics, clock: Callable[[], float], wall: Callable[[], int]
    ) -> None:
        self.wall = wall
        self.commands = CommandTable()
        self.provisioner: Provisioner | None = None
        self.pressure = Pressure(config.ingest.waiting_messages, config.ingest.waiting_size)
        self.listeners: list[Callable[[Command], None]] = []
        self.watchers: list[Callable[[Change], None]] = []
        self._config = config.commands
        self._keep = round(config.commands.keep * 1e6)
        self._clock = clock
        self._patience = config.ingest.append_time
        self._waiting: dict[tuple[str, str], list[asyncio.Event]] = {}
        terms = JournalTerms(
            log=log,
            linger=config.ingest.linger,
            append_time=config.ingest.append_time,
            check_every=_CHECK_EVERY,
            pressure=self.pressure,
            metrics=metrics,
            clock=clock,
        )
        self._commands = Journal(COMMANDS, terms, self._take_command)
        self.shadows = ShadowWriter(ShadowTable(), config.commands, wall)
        self.shadows.journal = self._shadows = Journal(SHADOWS, terms, self._take_shadow)

    @asynccontextmanager
    async def running(self, *, sweeping: bool) -> AsyncGenerator[None]:
        """Read what there is; then follow. `sweeping`: forget what is over, for everyone. Raises `Unavailable`."""
        async with AsyncExitStack() as stack:
            for journal in (self._commands, self._shadows):
                await stack.enter_async_context(journal.running(START_TIME))
            ticking = asyncio.create_task(self._tick(sweeping=sweeping))
            try:
                yield
            finally:
                ticking.cancel()
                with suppress(asyncio.CancelledError):
                    await ticking
                await self.pressure.until_idle(self._patience)

    def order(self, device: str, ident: str, ordered: Ordered, receipt: Receipt) -> Command | None:
        """Make a command; returns the one that is there already by this id, if it says the same.

        Raises `Refused("over_quota")` where there are too many, `Stale` where the id means another one.
        """
        known = self.commands.get(device, ident)
        if known is not None:
            was = known.ordered
            if (was.name, bytes(was.arguments)) != (ordered.name, bytes(ordered.arguments)):
                raise Stale(f"{device!r} has another command with the id {ident!r}")
            return known
        self._check_room(device)
        self.note(device, ident, ordered, receipt)
        return None

    def answer(self, device: str, ident: str, answered: Answered, receipt: Receipt) -> None:
        """Note what a device says to a command; a second answer changes nothing. Raises `Rejected`."""
        command = self.commands.get(device, ident)
        if command is None:
            raise Rejected("bad_id", f"{device!r} has no command {ident!r}")
        if command.answered:
            return
        if answered.at >= command.ordered.expires:
            raise Rejected("bad_time", f"the command {ident!r} has expired")
        self.note(device, ident, answered, receipt)

    def note(self, device: str, ident: str, event: Event, receipt: Receipt) -> None:
        """Write an event; the receipt waits until it is in the table here."""
        if self.pressure.full:
            receipt.failed = True
        else:
            self._commands.add(key_of(device, ident, event), encode_event(event), receipt)

    async def ended(self, command: Command, seconds: float) -> None:
        """Wait until it is answered or expires, at most so long."""
        key, event = (command.device, command.id), asyncio.Event()
        left = (command.ordered.expires - self.wall()) / 1e6
        if command.answered or left <= 0:
            return
        self._waiting.setdefault(key, []).append(event)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), min(seconds, left))
        finally:
            self._waiting[key].remove(event)
            if not self._waiting[key]:
                del self._waiting[key]

    def release(self) -> None:
        """`ingest.contract.Owner`: of what nobody waits for."""

    def _check_room(self, device: str) -> None:
        table, limits, now = self.commands, self._config, self.wall()
        if sum(command.open(now) for command in table.of(device)) >= limits.device:
            raise Refused("over_quota", f"{device!r} has {limits.device} commands that it has not answered")
        if table.count >= limits.count or table.size >= limits.size:
            raise Refused("over_quota", "there is no room for one more command, see `commands.count`")

    def _take_command(self, entry: Entry) -> None:
        for command in self.commands.apply((entry,)):
            if command.answered:
                for event in self._waiting.get((command.device, command.id), ()):
                    event.set()
            elif entry.key.endswith(_NEW):
                for listener in self.listeners:
                    listener(command)

    def _take_shadow(self, entry: Entry) -> None:
        for change in self.shadows.apply(entry):
            for watcher in self.watchers:
                watcher(change)

    async def _tick(self, *, sweeping: bool) -> None:
        ticks, more = 0, False
        while True:
            await asyncio.sleep(_TICK)
            for journal in (self._commands, self._shadows):
                journal.tick(self._clock())
            ticks += 1
            if sweeping and (more or ticks % _SWEEP == 0):
                more = self.sweep()

    def sweep(self) -> bool:
        """Forget what is over, and what does not count; True if that is not all of it."""
        if self.pressure.count >= self.pressure.most // 2:  # devices come first
            return True
        now, more = self.wall(), False
        forgettable = (
            (self._commands, self.commands.forgettable(now, self._keep)),
            (self._shadows, self.shadows.table.forgettable(now, self._keep)),
        )
        for journal, keys in forgettable:
            some = list(islice(keys, _SWEPT))
            for key in some:
                journal.add(key, None, Receipt(self))
            more = more or len(some) == _SWEPT
        return more


@asynccontextmanager
async def open_control(
    log: Log,
    config: Config,
    metrics: Metrics,
    *,
    sweeping: bool,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], int] = times.now,
) -> AsyncGenerator[Control, None]:
    """Read both tables to their end, then follow. Raises `Unavailable`."""
    control = Control(log, config, metrics, clock, wall)
    async with control.running(sweeping=sweeping):
        yield control
