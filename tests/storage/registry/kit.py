"""What the tests of the registry share: rules, its audit trail, and a log that does not take what it is given."""

from collections.abc import Sequence

from headwater.errors import LogError, Unavailable
from headwater.log import Log, NewEntry
from storage.registry_in_tables import TablesRegistry

RULES = b'{"pump":{"change":0.5}}'


async def audited(registry: TablesRegistry) -> list[tuple[str, str, str, str, int, int]]:
    return [(e.actor, e.kind, e.name, e.action, e.before, e.after) async for e in registry.audit_trail()]


class Refusing:
    """A log that does not take it: the call fails, or some of its entries do."""

    def __init__(self, log: Log, calls: Sequence[str]) -> None:
        self._log = log
        self._calls = list(calls)

    def __getattr__(self, name: str) -> object:
        return getattr(self._log, name)

    async def append(self, topic: str, entries: Sequence[NewEntry]) -> Sequence[int | LogError]:
        match self._calls.pop(0) if self._calls else "works":
            case "raises":
                raise Unavailable("away")
            case "last fails":
                taken = await self._log.append(topic, entries[:-1]) if entries[:-1] else []
                return [*taken, LogError("late")]
            case "late":
                await self._log.append(topic, entries)
                return [LogError("late")] * len(entries)
            case _:
                return await self._log.append(topic, entries)
