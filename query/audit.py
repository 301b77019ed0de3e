"""The audit: are the records of the log in every store, once, and nothing else? By sets of ids, not by counters.

In: the log, and a reader of each store. Out: a `Finding` a comparison, with the records that are missing or extra by
name. It looks at what was on the log when it began; a store that has not applied that much yet is waited for.

Memory: about 100 bytes a message on the log. Reads everything once.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from headwater.log import CANDIDATES, MESSAGES, REJECTED, Offsets, ReadableLog
from headwater.message import Message, Number, decode_candidate, decode_message, decode_rejected
from storage.contract import LakeReader, LiveReader, LiveValue

Named = tuple[str, str]
"""(device, id)."""
Order = tuple[int, int, str]
"""(time, received, id): the order of values of a field."""
Ledger = Callable[[str], Awaitable[Mapping[int, int]]]

_NAMED_AT_MOST = 20
_PAUSE = 0.2


class Where(NamedTuple):
    """A place on the log."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"partition {self.partition} offset {self.offset}"


class Finding(msgspec.Struct):
    """One comparison: how many records are missing and extra, and the first of them in words (`named`).

    `repeated`: harmless doubles, which the store's view shows once.
    """

    what: str
    compared: int
    missing: int = 0
    extra: int = 0
    repeated: int = 0
    named: list[str] = []

    @property
    def clean(self) -> bool:
        return not self.missing and not self.extra

    def lacks(self, text: str) -> None:
        self.missing += 1
        self._name(f"missing: {text}")

    def exceeds(self, text: str) -> None:
        self.extra += 1
        self._name(f"extra: {text}")

    def _name(self, text: str) -> None:
        if len(self.named) < _NAMED_AT_MOST:
            self.named.append(text)


class Newest(NamedTuple):
    """The value of a field that must be in the live state."""

    order: Order
    value: Number | str


class LogContents(msgspec.Struct):
    """What the log holds of messages: who is where, and the newest value of each field of each device."""

    where: dict[Named, Where]
    newest: dict[str, dict[str, Newest]]
    repeated: int = 0


class Audit:
    """`ledgers`: store name → its ledger, to wait for. Use `run`."""

    def __init__(self, log: ReadableLog, lake: LakeReader, live: LiveReader, ledgers: Mapping[str, Ledger]) -> None:
        self._log = log
        self._lake = lake
        self._live = live
        self._ledgers = ledgers

    async def run(self, patience: float = 30.0) -> Sequence[Finding]:
        """All comparisons. `patience`: seconds to wait for stores that are behind."""
        ends = await self._log.ends(MESSAGES)
        findings = [await self._wait(ends, patience)]
        contents = await self._read_messages(ends)
        in_lake, lake = await self._compare_lake(contents, ends)
        findings.append(lake)
        findings.append(await self._compare_live(contents, in_lake))
        findings.append(await self._compare_ids(CANDIDATES, lambda value: decode_candidate(value).id, patience))
        findings.append(await self._compare_ids(REJECTED, lambda value: decode_rejected(value).id, patience))
        return findings

    async def _wait(self, ends: Mapping[int, Offsets], patience: float) -> Finding:
        finding = Finding("every store has applied what was on the log", len(self._ledgers))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        for name, ledger in self._ledgers.items():
            while True:
                behind = await self._behind(ends, await ledger(MESSAGES))
                if not behind:
                    break
                if loop.time() > deadline:
                    finding.lacks(f"{name} is behind on partitions {', '.join(map(str, behind))}")
                    break
                await asyncio.sleep(_PAUSE)
        return finding

    async def _behind(self, ends: Mapping[int, Offsets], applied: Mapping[int, int]) -> list[int]:
        """Partitions with a message that the ledger does not cover; control entries at the end do not count."""
        behind: list[int] = []
        for partition, end in ends.items():
            start = max(applied.get(partition, -1) + 1, end.first)
            if start < end.next and await self._has_message(partition, start, end.next):
                behind.append(partition)
        return behind

    async def _has_message(self, partition: int, start: int, end: int) -> bool:
        async for batch in self._log.read(MESSAGES, partition, start):
            for entry in batch:
                if entry.offset >= end:
                    return False
                if entry.key:
                    return True
        return False

    async def _read_messages(self, ends: Mapping[int, Offsets]) -> LogContents:
        contents = LogContents({}, {})
        for partition, end in ends.items():
            if end.first == end.next:
                continue
            async for batch in self._log.read(MESSAGES, partition, end.first):
                for entry in batch:
                    if entry.offset >= end.next:
                        break
                    if entry.key and entry.value is not None:
                        _note(contents, decode_message(entry.value), Where(partition, entry.offset))
        return contents

    async def _compare_lake(self, contents: LogContents, ends: Mapping[int, Offsets]) -> tuple[set[Named], Finding]:
        finding = Finding("messages: log and lake", len(contents.where))
        in_lake: set[Named] = set()
        async for rows in self._lake.ids(MESSAGES):
            for partition, offset, device, id in rows:  # noqa: A001
                named = (device, id)
                finding.repeated += named in in_lake
                in_lake.add(named)
                end = ends.get(partition)
                on_log = end is not None and end.first <= offset < end.next
                if (on_log and named not in contents.where) or end is None:
                    finding.exceeds(
                        f"message {id} of device {device} in the lake, from partition {partition} offset {offset}"
                    )
        for (device, id), where in contents.where.items():  # noqa: A001
            if (device, id) not in in_lake:
                finding.lacks(f"message {id} of device {device} in the lake; on the log at {where}")
        return in_lake, finding

    async def _compare_live(self, contents: LogContents, in_lake: set[Named]) -> Finding:
        finding = Finding("live: the newest value of each field", 0)
        seen: set[str] = set()
        async for devices in self._live.everything():
            for device in devices:
                seen.add(device.device)
                expected = contents.newest.get(device.device, {})
                finding.compared += len(device.values)
                for field, newest in expected.items():
                    _compare_value(finding, device.device, field, newest, device.values.get(field))
                for field, value in device.values.items():
                    named = (device.device, value.id)
                    if field not in expected and named not in in_lake and named not in contents.where:
                        finding.exceeds(
                            f"live value of {field} of device {device.device}: no message {value.id} anywhere"
                        )
        for name in sorted({device for device, _ in in_lake} | set(contents.newest)):
            if name not in seen:
                finding.lacks(f"device {name} in the live state")
        return finding

    async def _compare_ids(self, topic: str, id_of: Callable[[bytes], str], patience: float) -> Finding:
        """Compare by id alone what is on the log with what is in the lake, as far back as the log goes."""
        on_log: dict[str, Where] = {}
        for partition, end in (await self._log.ends(topic)).items():
            if end.first < end.next:
                async for batch in self._log.read(topic, partition, end.first):
                    for entry in batch:
                        if entry.offset < end.next and entry.value is not None:
                            on_log.setdefault(id_of(entry.value), Where(partition, entry.offset))
        finding = Finding(f"{topic}: log and lake", len(on_log))
        deadline = asyncio.get_running_loop().time() + patience
        while True:
            in_lake = await _collect(self._lake.ids(topic))
            if on_log.keys() <= in_lake or asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(_PAUSE)
        for id, where in on_log.items():  # noqa: A001
            if id not in in_lake:
                finding.lacks(
                    f"{id} of {topic} in the lake; on the log at partition {where.partition} offset {where.offset}"
                )
        return finding


async def _collect(ids: AsyncGenerator[Sequence[tuple[int, int, str, str]], None]) -> set[str]:
    found: set[str] = set()
    async for rows in ids:
        found.update(row[3] for row in rows)
    return found


def _note(contents: LogContents, message: Message, where: Where) -> None:
    named = (message.device, message.id)
    if named in contents.where:
        contents.repeated += 1
        return
    contents.where[named] = where
    newest = contents.newest.setdefault(message.device, {})
    order = (message.time, message.received, message.id)
    values: Iterable[tuple[str, Number | str]] = (*message.fields.items(), *message.texts.items())
    for field, value in values:
        known = newest.get(field)
        if known is None or order > known.order:
            newest[field] = Newest(order, value)


def _compare_value(finding: Finding, device: str, field: str, expected: Newest, found: LiveValue | None) -> None:
    if found is None:
        finding.lacks(f"live value of {field} of device {device}, from message {expected.order[2]}")
        return
    order = (found.time, found.received, found.id)
    if order < expected.order:
        finding.lacks(
            f"live value of {field} of device {device} is from message {found.id}; newest is {expected.order[2]}"
        )
    elif order == expected.order and found.value != expected.value:
        finding.exceeds(
            f"live value of {field} of device {device} is {found.value!r}, its message says {expected.value!r}"
        )
