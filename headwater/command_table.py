"""All commands that are not forgotten, in the memory of every process that follows topic `commands`.

In: entries of the topic, in the order of the log, from its beginning. Out: commands by device; what is to be forgotten.
"""

from collections.abc import Iterator, Sequence

from headwater.command import Acknowledged, Answered, Command, Ordered, Sent, decode_event, key_of, named_by
from headwater.errors import Rejected
from headwater.log import Entry
from headwater.message import UNREADABLE
from headwater.saying import get_logger

log = get_logger()

_ENDED = 100
"""Commands of a device that are kept after their end; of more, the oldest are forgotten early."""


class CommandTable:
    """`count`, `size`: of all commands together."""

    def __init__(self) -> None:
        self.count = self.size = 0
        self._number = 0
        self._devices: dict[str, dict[str, Command]] = {}
        self._left: set[bytes] = set()

    def get(self, device: str, ident: str) -> Command | None:
        """The command of that id."""
        return self._devices.get(device, {}).get(ident)

    def of(self, device: str) -> list[Command]:
        """All of a device, as they were made."""
        return sorted(self._devices.get(device, {}).values(), key=lambda command: command.number)

    def apply(self, entries: Sequence[Entry]) -> list[Command]:
        """Take what came on the log; returns the commands that changed, each once."""
        changed: dict[tuple[str, str], Command] = {}
        for entry in entries:
            try:
                command = self._apply(entry)
            except (Rejected, *UNREADABLE) as error:
                log.warning("no event of a command", offset=entry.offset, error=str(error))
                continue
            if command is not None:
                changed[command.device, command.id] = command
        return list(changed.values())

    def forgettable(self, now: int, keep: int) -> Iterator[bytes]:
        """Keys to be forgotten; of a command first the one that made it, so that it is never half there."""
        yield from list(self._left)
        for commands in list(self._devices.values()):
            ended = [command for command in commands.values() if not command.open(now)]
            ended.sort(key=lambda command: command.number)
            for at, command in enumerate(ended):
                if at < len(ended) - _ENDED or command.over(now, keep):
                    yield key_of(command.device, command.id, Ordered)
                    yield from _later_keys(command)

    def _apply(self, entry: Entry) -> Command | None:
        device, ident, kind = named_by(entry.key)
        command = self.get(device, ident)
        if entry.value is None:
            self._left.discard(entry.key)
            if kind == "ordered" and command is not None:
                self._forget(command)
            return None
        event = decode_event(entry.value)
        if isinstance(event, Ordered):
            return self._order(device, ident, event)
        if command is None:  # it was forgotten meanwhile
            self._left.add(entry.key)
            return None
        self.size -= command.size
        command.take(event)
        self.size += command.size
        return command

    def _order(self, device: str, ident: str, ordered: Ordered) -> Command:
        known = self.get(device, ident)
        if known is not None:  # the log keeps the newest entry of a key, so that is what counts here too
            self.size -= known.size
            known.ordered = ordered
            self.size += known.size
            return known
        self._number += 1
        command = Command(device, ident, ordered, self._number)
        self._devices.setdefault(device, {})[ident] = command
        self.count += 1
        self.size += command.size
        return command

    def _forget(self, command: Command) -> None:
        of_device = self._devices[command.device]
        del of_device[command.id]
        if not of_device:
            del self._devices[command.device]
        self.count -= 1
        self.size -= command.size
        self._left.update(_later_keys(command))


def _later_keys(command: Command) -> Iterator[bytes]:
    """Keys of what happened to it."""
    for event, at in ((Sent, command.sent), (Acknowledged, command.acknowledged), (Answered, command.answered)):
        if at:
            yield key_of(command.device, command.id, event)
